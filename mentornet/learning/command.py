"""The command that learns a MentorNet (ICML sec. 3.2, app. D and E.3), with the flag names of the original release.

    python -m mentornet.learning --vstar_fn=mentornet_pd --train_dir=my_mentornet
    python -m mentornet.learning --input_csv_filename=dump.csv --train_dir=my_mentornet

The release does it in two steps, which also work: ``--vstar_fn`` or ``--input_csv_filename`` with ``--outdir`` writes
the samples to learn from, ``--data_path`` with ``--train_dir`` learns from them. ``--experts`` fine-tunes a mixture of
MentorNets that were learned before. ``--train_dir`` gets the weights, card.json and pictures, and is what
``--curriculum=<folder>`` of a training reads.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mentornet import quiet
from mentornet.learning import experts_command

if TYPE_CHECKING:
    from mentornet.curricula.experts import SparseMixture
    from mentornet.learning.dump import LossDump
    from mentornet.learning.learning_set import LearningSet
    from mentornet.learning.trainer import LearningSettings
    from mentornet.network import MentorNetwork, NetworkConfig

PROGRAM = "python -m mentornet.learning"
_LEARNING_ONLY = ("mini_batch_size", "max_step_train", "learning_rate", "explicit", "network", "fixed_label", "starts")


class ProgressLine:
    """Prints how the learning goes: one line that renews itself on a terminal, a line every few seconds in a log."""

    def __init__(self, steps: int) -> None:
        self._steps, self._network, self._last_step = steps, 1, 0
        self._started = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._printed = self._started

    def __call__(self, step: int, objective: float, held_out: dict[str, float]) -> None:
        """Takes what ``Learner.learn`` reports; a step smaller than the last one begins another network."""
        now = time.monotonic()
        if step <= self._last_step:
            self._network, self._started = self._network + 1, now
        self._last_step = step
        done = step >= self._steps
        if not done and now - self._printed < (0.3 if self._terminal else 5.0):
            return
        left = (now - self._started) * (self._steps - step) / step
        line = (
            f"network {self._network}: step {step:,}/{self._steps:,} | objective {objective:.3g} | held out: "
            f"MSE {held_out['mse']:.3g}, cross-entropy {held_out['cross_entropy']:.3g} | {left:.0f} s left"
        )
        end = "\n" if done or not self._terminal else ""
        sys.stdout.write(("\r" if self._terminal else "") + line.ljust(100 if self._terminal else 0) + end)
        sys.stdout.flush()
        self._printed = now


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(
        prog=PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    samples = result.add_argument_group("what to learn from")
    samples.add_argument(
        "--vstar_fn", help="a predefined curriculum, with or without the release's vstar_ before it, or data_driven"
    )
    samples.add_argument("--vstar_gamma", type=float, help="the curriculum's parameter gamma")
    samples.add_argument("--sample_size", type=_whole, help="points of the input grid (default: 100000)")
    samples.add_argument("--history", type=_whole, help="T, past losses of the network (default: the curriculum's own)")
    samples.add_argument("--input_csv_filename", help="a loss dump: id, epoch percent, noisy label, clean label, loss")
    samples.add_argument("--num_classes", type=_whole, help="labels of the dump lie below it (default: not checked)")
    samples.add_argument("--percentiles", help="tried for l_pt (default: 40,50,60,75,80,90; with --experts: 75)")
    samples.add_argument("--data_path", help="a folder that --outdir wrote")
    samples.add_argument("--outdir", help="write the samples there")
    learning = result.add_argument_group("how to learn")
    learning.add_argument("--train_dir", help="write the learned MentorNet there")
    learning.add_argument("--mini_batch_size", type=_whole, help="default: 32")
    learning.add_argument("--max_step_train", type=_whole, help="default: 3e4")
    learning.add_argument(
        "--learning_rate",
        type=float,
        help="at the start (default: 0.1, the release's, but 0.01 fits formulas better; with --experts: 0.01)",
    )
    learning.add_argument(
        "--explicit", action="store_true", help="minimise g l + G(g) (eq. 4) instead of the error to v*"
    )
    learning.add_argument("--network", choices=("paper", "release"), help="the network's shape (default: paper)")
    learning.add_argument("--fixed_label", type=int, help="feed this label whatever the sample's own (release: 0)")
    learning.add_argument(
        "--starts", type=_whole, help="learn from so many starting values, keep the best (default: 1)"
    )
    experts_command.add_arguments(result)
    result.add_argument("--seed", type=int, default=0, help="decides everything random (default: 0)")
    result.add_argument("--no_jit_compile", action="store_true", help="do not compile with XLA")
    result.add_argument("--no_pictures", action="store_true", help="write weights and card only")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    try:
        _check(options)
        quiet.start_tensorflow()
        _run(options, f"{PROGRAM} {shlex.join(given)}")
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuses contradictory arguments before any work."""
    if options.vstar_fn == "data_driven" and not options.input_csv_filename:
        raise ValueError("--vstar_fn=data_driven needs --input_csv_filename, the loss dump to learn from")
    if options.input_csv_filename and options.vstar_fn not in (None, "data_driven"):
        raise ValueError(f"--vstar_fn={options.vstar_fn} and --input_csv_filename contradict each other: give one")
    makes = options.vstar_fn or options.input_csv_filename
    if bool(makes) == bool(options.data_path):
        raise ValueError("give one of --vstar_fn, --input_csv_filename or --data_path: what should be learned?")
    if not options.train_dir and not options.outdir:
        raise ValueError("give --train_dir to learn a MentorNet, or --outdir to write the samples it is learned from")
    if options.data_path and options.outdir:
        raise ValueError("--outdir writes new samples, --data_path reads finished ones: give one of them")
    grid_only = ("vstar_gamma", "sample_size", "history")
    dump_only = ("num_classes", "percentiles", "experts")
    for names, fits, needs in (
        (grid_only, options.vstar_fn and not options.input_csv_filename, "--vstar_fn with a predefined curriculum"),
        (dump_only, options.input_csv_filename, "--input_csv_filename"),
        (_LEARNING_ONLY, options.train_dir, "--train_dir"),
        (experts_command.OPTIONS, options.experts, "--experts"),
    ):
        used = [name for name in names if getattr(options, name) is not None and getattr(options, name) is not False]
        if used and not fits:
            raise ValueError(f"--{used[0]} is only used with {needs}")
    if options.explicit and options.input_csv_filename:
        raise ValueError("--explicit needs a curriculum whose G is known, a loss dump has none")
    experts_command.check(options)
    for folder, file in ((options.train_dir, "card.json"), (options.outdir, "learning_set.npz")):
        if folder and (Path(folder) / file).exists():
            raise ValueError(f"{folder!r} already holds a {file}; choose another folder or remove it")


def _run(options: argparse.Namespace, command: str) -> None:
    from mentornet.curricula import learned
    from mentornet.learning import dump

    read = dump.read(options.input_csv_filename) if options.input_csv_filename else None
    if read is not None:
        read.check(num_classes=options.num_classes)
    sets = [] if options.experts else _sets(options, read)
    if options.outdir:
        for samples in sets:
            percentile = samples.source.get("percentile")
            folder = Path(options.outdir)
            if read is not None:
                folder /= f"{Path(read.name).stem}_percentile_{percentile}"
            samples.save(folder)
            print(f"wrote {len(samples.target):,} samples to {folder}", flush=True)
    if not options.train_dir:
        return
    network, card = _learn(options, sets, read)
    if read is not None and (warning := read.memorised()):
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    curve = card.pop("curve")
    card = {"name": Path(options.train_dir).name, "command": command, **card}
    learned.save(network, options.train_dir, card)
    if not options.no_pictures:
        from mentornet.learning import plots

        plots.draw_learned(options.train_dir, curve)
    percentile = "" if card["percentile"] is None else f", percentile {card['percentile']}"
    print(
        f"learned {options.train_dir}{percentile}: held-out MSE {card['held_out']['mse']:.3g}, cross-entropy "
        f"{card['held_out']['cross_entropy']:.3g}, accuracy {card['held_out']['accuracy']:.4f}",
        flush=True,
    )


def _sets(options: argparse.Namespace, read: LossDump | None) -> list[LearningSet]:
    """The samples to learn from; several if a percentile has to be chosen."""
    from mentornet import curricula
    from mentornet.learning import fitting, grid, learning_set

    if options.data_path:
        folder = Path(options.data_path)
        parts = sorted(path.parent for path in folder.glob(f"*_percentile_*/{learning_set.FILE}"))
        return [learning_set.load(part) for part in parts or [folder]]
    if read is not None:
        percentiles = _percentiles(options.percentiles, fitting.PERCENTILES)
        return [fitting.dump_set(read, percentile, options.seed) for percentile in percentiles]
    name = options.vstar_fn.removeprefix("vstar_")
    name = "none" if name == "baseline" else name
    if options.vstar_gamma is not None:
        name += f":gamma={options.vstar_gamma:g}"
    curriculum = curricula.get(name)
    history = options.history or curriculum.history
    return [grid.learning_set(curriculum, options.sample_size or grid.SAMPLE_SIZE, options.seed, history)]


def _learn(
    options: argparse.Namespace, sets: list[LearningSet], read: LossDump | None
) -> tuple[MentorNetwork | SparseMixture, dict[str, Any]]:
    from mentornet.learning import experts, fitting

    if options.experts:
        assert read is not None
        settings = _settings(options, "cross_entropy", experts.LEARNING_RATE)
        tried = _percentiles(options.percentiles, (experts.PERCENTILE,))
        return experts_command.learn(options, read, tried, settings, ProgressLine(settings.steps))
    data_driven = sets[0].source["kind"] == "data_driven"
    if options.explicit and data_driven:
        raise ValueError("--explicit needs a curriculum whose G is known, a loss dump has none")
    objective = "cross_entropy" if data_driven else ("explicit" if options.explicit else "mse")
    settings = _settings(options, objective)
    return fitting.learn_best(
        sets, _config(options, sets[0]), settings, options.seed, options.starts or 1, ProgressLine(settings.steps)
    )


def _settings(options: argparse.Namespace, objective: str, learning_rate: float | None = None) -> LearningSettings:
    """How to fit; a learning rate that is not given is ``learning_rate``, or the spec's."""
    from mentornet.learning.trainer import LearningSettings

    given = {
        "batch_size": options.mini_batch_size,
        "steps": options.max_step_train,
        "learning_rate": learning_rate if options.learning_rate is None else options.learning_rate,
    }
    return LearningSettings(
        objective=objective,
        jit_compile=not options.no_jit_compile,
        **{name: value for name, value in given.items() if value is not None},
    )


def _config(options: argparse.Namespace, samples: LearningSet) -> NetworkConfig:
    """The network's shape: a grid has label 0 only, a dump's labels are fed unless one is fixed."""
    from dataclasses import replace

    from mentornet.network import RELEASE_CONFIG, NetworkConfig

    if options.network == "release":
        config = replace(RELEASE_CONFIG, history=samples.history)
    elif samples.source["kind"] == "data_driven":
        config = NetworkConfig(label_rows=max(2, samples.source["num_classes"]))
    else:
        config = NetworkConfig(history=samples.history, fixed_label=0)
    return config if options.fixed_label is None else replace(config, fixed_label=options.fixed_label)


def _percentiles(text: str | None, default: Sequence[int]) -> Sequence[int]:
    if not text:
        return default
    try:
        return [int(cell) for cell in text.split(",")]
    except ValueError:
        raise ValueError(f"--percentiles={text}: expected whole numbers separated by commas") from None


def _whole(text: str) -> int:
    """A whole number >= 1, also as 3e4."""
    value = float(text)
    if not value.is_integer() or value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(value)
