"""Learns the MentorNets that come with the library anew, into ``mentornet/curricula/pretrained/``.

    python -m mentornet.curricula.pretraining [NAME ...] [--output=DIR] [--starts=5]

Each is learned by ``mentornet.curricula.learning`` from its closed form on 100,000 grid points, with a learning rate of
0.01: at the release's 0.1 mentornet_pd ends at an error of 1e-3 instead of 1e-6. The card also gets ``mse_bound``,
twice the error found and at least 1e-6, which the tests hold it to. About ten seconds of one core each.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mentornet.curricula import learning
from mentornet.training import files

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
    card = files.read_json(fresh / "card.json")
    error = float(card["held_out"]["mse"])
    card |= {
        "name": name,
        "mse_bound": mse_bound(error),
        "command": f"{learning.PROGRAM} {' '.join(arguments)} --train_dir={name}",
    }
    files.write_text(fresh / "card.json", json.dumps(card, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.curricula.pretraining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(CURRICULA)}")
    parser.add_argument("--output", type=Path, default=PRETRAINED, help="default: the library's own folder")
    parser.add_argument("--starts", type=int, default=5, help="random starts, the best is kept (default: %(default)s)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in CURRICULA]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(CURRICULA)}")
    for name in options.names or CURRICULA:
        print(f"{name}: MSE {learn(name, options.output, options.starts):.2g}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
