"""Learns the MentorNets that come with the library anew, into ``mentornet/curricula/pretrained/``.

    python -m mentornet.learning.make_pretrained [NAME ...] [--output=DIR] [--starts=5]
    python -m mentornet.learning.make_pretrained mentornet_dd_0.4 --from_run=runs/mentornet_dd_0.4

The first learns those with a closed form, on 100,000 grid points, with a learning rate of 0.01: at the release's 0.1
mentornet_pd ends at an error of 1e-3 instead of 1e-6. The card also gets ``mse_bound``, twice the error found and at
least 1e-6, which the tests hold it to. About ten seconds of one core each.

The second takes over a data-driven one, learned by ``scripts/mentornet_dd.py --learn_only --output=runs/...``. What it
should answer is the share of right labels among the dump's samples of about the same loss; the card keeps that curve
("posterior"), and its ``mse_bound`` is twice the error to it.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mentornet import files, quiet, reading
from mentornet.learning import command as learning

if TYPE_CHECKING:
    from mentornet.learning.dump import LossDump

PRETRAINED = Path(__file__).parent / "pretrained"
# Name of the MentorNet and the curriculum it imitates.
CURRICULA = {
    "baseline": "none",
    "self_paced": "self_paced",
    "spcl_linear": "spcl_linear",
    "hard_example_mining": "hard_example_mining",
    "focal_loss": "focal_loss",
    "mentornet_pd": "mentornet_pd",
    "temporal_mixture": "temporal_mixture",
    "huber": "huber",
    "log_sum": "log_sum",
}
LEARNING_RATE = 0.01
LEAST_BOUND = 1e-6
BINS = 20
# What a card says about the student whose losses were dumped; keys of its result.json.
STUDENT_KEYS = ("dataset", "noise_type", "noise_fraction", "noise_rate_actual", "studentnet", "steps", "seed")


def mse_bound(error: float) -> float:
    """Twice the error, rounded up to one digit, but not below what rounding on another machine may do."""
    if error <= LEAST_BOUND / 2:
        return LEAST_BOUND
    unit = 10.0 ** math.floor(math.log10(2 * error))
    return float(f"{math.ceil(2 * error / unit) * unit:.0e}")


def learn(name: str, output: Path, starts: int) -> float:
    """Learns one of ``CURRICULA``, replacing the one in the folder; returns its error on held-out grid points."""
    folder, fresh = output / name, output / f".{name}"
    shutil.rmtree(fresh, ignore_errors=True)
    arguments = [f"--vstar_fn={CURRICULA[name]}", f"--learning_rate={LEARNING_RATE:g}", f"--starts={starts}"]
    if learning.main([*arguments, f"--train_dir={fresh}", "--no_pictures"]) != 0:
        raise SystemExit(2)
    card = reading.read_json(fresh / "card.json")
    error = float(card["held_out"]["mse"])
    card |= {
        "name": name,
        "mse_bound": mse_bound(error),
        "command": f"{learning.PROGRAM} {' '.join(arguments)} --train_dir={name}",
    }
    files.write_text(fresh / "card.json", json.dumps(card, indent=2) + "\n")
    _replace(folder, fresh)
    return error


def posterior(dump: LossDump, threshold: float, bins: int = BINS) -> list[dict[str, float]]:
    """P(label is right | loss) as the dump shows it: bins of equally many samples, from low to high losses.

    Args:
        dump: with at least one sample a bin.
        threshold: l_pt, which the differences are taken to.
        bins: how many.

    Returns:
        A dict a bin: mean "loss", its "difference" to the threshold, share of "right" labels, number of "rows".
    """
    order = np.argsort(dump.loss, kind="stable")
    parts = np.array_split(order, bins)
    return [
        {
            "loss": round(float(dump.loss[part].mean()), 5),
            "difference": round(float(dump.loss[part].mean() - threshold), 5),
            "right": round(float(dump.is_clean[part].mean()), 5),
            "rows": len(part),
        }
        for part in parts
    ]


def adopt(name: str, run: Path, output: Path) -> float:
    """Takes over the MentorNet that ``scripts/mentornet_dd.py`` learned; returns its error to the dump's posterior.

    Args:
        name: of the folder in ``output``, replaced if there is one.
        run: OUTPUT of the script, with ``mentornet``, ``dump.csv`` and ``student``.
        output: the folder of ready-made MentorNets.

    Raises:
        FileNotFoundError, ValueError: ``run`` is not such a folder.
    """
    from mentornet.curricula import learned
    from mentornet.learning import dump

    curriculum = learned.load(run / "mentornet")
    losses = dump.read(run / "dump.csv")
    losses.check()
    epochs = curriculum.card["source"]["epochs"]
    threshold = float(np.percentile(losses.loss.astype(np.float64), curriculum.card["percentile"]))
    curve = posterior(losses, threshold)
    loss, difference = (np.array([part[key] for part in curve], np.float32) for key in ("loss", "difference"))
    weight = curriculum(loss, difference, np.zeros(len(curve), np.int32), epochs[0]).numpy()
    error = float(np.mean((weight - np.array([part["right"] for part in curve])) ** 2))
    student = reading.read_json(run / "student" / "result.json")
    card = dict(curriculum.card)
    card["source"] = {**card["source"], "student": {key: student[key] for key in STUDENT_KEYS if key in student}}
    card |= {"name": name, "posterior": curve, "posterior_mse": error, "mse_bound": mse_bound(error)}
    fresh = output / f".{name}"
    shutil.rmtree(fresh, ignore_errors=True)
    learned.save(curriculum.network, fresh, card)
    _replace(output / name, fresh)
    return error


def _replace(folder: Path, fresh: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.learning.make_pretrained",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(CURRICULA)}")
    parser.add_argument("--output", type=Path, default=PRETRAINED, help="default: the library's own folder")
    parser.add_argument("--starts", type=int, default=5, help="random starts, the best is kept (default: %(default)s)")
    parser.add_argument("--from_run", type=Path, metavar="DIR", help="take over the data-driven one learned there")
    options = parser.parse_args(arguments)
    if options.from_run:
        quiet.start_tensorflow()
        if len(options.names) != 1:
            parser.error("--from_run takes over one MentorNet: give one NAME for it")
        try:
            error = adopt(options.names[0], options.from_run, options.output)
        except (ValueError, FileNotFoundError) as problem:
            parser.error(str(problem))
        print(f"{options.names[0]}: MSE to the dump's posterior {error:.2g}")
        return 0
    unknown = [name for name in options.names if name not in CURRICULA]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(CURRICULA)}")
    for name in options.names or CURRICULA:
        print(f"{name}: MSE {learn(name, options.output, options.starts):.2g}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
