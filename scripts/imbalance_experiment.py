"""L2RW's experiment on class imbalance: LeNet on MNIST, 4 against 9 (Ren et al. 2018, section 4.1, figure 2).

    python scripts/imbalance_experiment.py --data_dir=DATA --output_dir=runs/imbalance --threads=1        # full size
    python scripts/imbalance_experiment.py --data_dir=DATA --output_dir=runs/try --runs=1 --steps=200 --ratios=9,199

Every (method, ratio, run) is one cell: a line of imbalance.csv, written when it is finished. The same command continues
with the cells that are missing, and draws imbalance.png beside the paper's claim: at 200:1 the error of L2RW is about
2 percent points above the balanced case, while the others fail. As in the paper: 5,000 images, a clean set of 10 for
L2RW alone, batch 100 (hard mining: 500), momentum 0.9 at a constant rate of 0.001, 8,000 steps for every method (the
released code stops L2RW at 4,000), error at the last step on 250 + 250 test images. Instead of one sigmoid output the
student has two logits.

Run by run: a stop leaves whole runs of the figure. Of the 30 ms that a plain step takes on one core, 25 are the
convolutions of LeNet (100 images, forward and backward) at the speed of the processor; L2RW takes 60, hard mining on
500 images 46 because it trains on the chosen ones alone, and XLA is three times slower: some 25 core-hours in all.
With --threads=1, commands with --methods (or --ratios) and folders of their own share a machine well.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402

import student_nets  # noqa: E402
from data import balanced, clean_batches, datasets, imbalance, pipeline  # noqa: E402
from data.image_dataset import ImageDataset  # noqa: E402
from data.imbalance import ImbalancedData  # noqa: E402
from mentornet import methods  # noqa: E402
from mentornet.methods.class_weights import class_weights  # noqa: E402
from mentornet.training import determinism  # noqa: E402
from mentornet.training.evaluation import sample_outputs  # noqa: E402
from mentornet.training.optimizers import MomentumSGD  # noqa: E402

COLUMNS = ("method", "ratio", "run", "seed", "steps", "error", "error_rare", "error_common", "seconds")
METHODS = ("l2rw", "plain", "proportion", "resample", "hard_mining", "random")
RATIOS = (9, 19, 49, 99, 199)
CLEAN_PER_CLASS, BATCH, HARD_MINING_BATCH = 5, 100, 500
LEARNING_RATE, MOMENTUM = 1e-3, 0.9
PIXELS = pipeline.Augmentation(standardise="none")


@dataclass(frozen=True)
class Cell:
    """One training of the experiment."""

    method: str
    ratio: float
    run: int
    steps: int

    @property
    def seed(self) -> int:
        """The released code's seed of run k = 0, 1, ..."""
        return self.run * 123456789 % 100000

    @property
    def majority_share(self) -> float:
        return self.ratio / (1.0 + self.ratio)


def cells(names: Sequence[str], ratios: Sequence[float], runs: int, steps: int) -> Iterator[Cell]:
    """All cells, run by run, so that a few seeds of the whole figure come first."""
    for run in range(runs):
        for ratio in ratios:
            for name in names:
                yield Cell(name, ratio, run, steps)


def build_method(cell: Cell, data: ImbalancedData) -> methods.NoisyLabelMethod:
    """The method of a cell around a new LeNet."""
    student = student_nets.get("lenet", 2, input_shape=data.train.images.shape[1:], seed=cell.seed)
    shared: dict[str, Any] = {"max_steps": cell.steps, "seed": cell.seed}
    if cell.method == "l2rw":
        return methods.L2RW(student, **shared)
    if cell.method == "proportion":
        weights = class_weights("share", data.train.labels, 2)
        return methods.ClassWeights(student, class_weights=weights, **shared)
    if cell.method == "hard_mining":
        return methods.HardMining(student, positive_label=0, choose_first=True, **shared)
    if cell.method == "random":
        return methods.RandomWeights(student, **shared)
    return methods.Standard(student, **shared)


def batches(cell: Cell, data: ImbalancedData) -> tf.data.Dataset:
    """The training batches of a cell."""
    kind = balanced.BalancedBatches if cell.method == "resample" else pipeline.TrainingBatches
    size = min(HARD_MINING_BATCH if cell.method == "hard_mining" else BATCH, len(data.train))
    known = np.ones(len(data.train), bool)
    source = kind(data.train.images, data.train.labels, known, batch_size=size, seed=cell.seed, augmentation=PIXELS)
    if data.clean is None:
        return source.dataset(0, cell.steps)
    clean = data.clean
    paired = clean_batches.PairedBatches(
        source, clean.images, clean.true_labels, batch_size=len(clean), seed=cell.seed, augmentation=PIXELS
    )
    return paired.dataset(0, cell.steps)


def run_cell(cell: Cell, mnist: ImageDataset, total: int) -> dict[str, Any]:
    """Trains and tests one cell; the row of the csv."""
    started = time.monotonic()
    keras.backend.clear_session()
    clean = CLEAN_PER_CLASS if cell.method == "l2rw" else 0
    test = min(250, *np.bincount(mnist.test.labels, minlength=10)[[imbalance.RARE, imbalance.COMMON]])
    data = imbalance.draw(
        mnist,
        cell.majority_share,
        seed=cell.seed,
        total=total,
        clean_per_class=clean,
        test_per_class=int(test),
    )
    method = build_method(cell, data)
    method.compile(
        optimizer=MomentumSGD(LEARNING_RATE, MOMENTUM),
        steps_per_execution=min(50, cell.steps),
    )
    method.fit(batches(cell, data), epochs=1, steps_per_epoch=cell.steps, verbose=0)
    found = sample_outputs(method.student, pipeline.evaluation_batches(data.test.images, data.test.labels, 500, PIXELS))
    wrong = found.predicted != found.label
    return {
        "method": cell.method,
        "ratio": f"{cell.ratio:g}",
        "run": cell.run,
        "seed": cell.seed,
        "steps": cell.steps,
        "error": f"{wrong.mean():.5f}",
        "error_rare": f"{wrong[found.label == 0].mean():.5f}",
        "error_common": f"{wrong[found.label == 1].mean():.5f}",
        "seconds": f"{time.monotonic() - started:.1f}",
    }


def read_rows(file: Path) -> list[dict[str, str]]:
    """The finished cells; a line that was cut off by a kill is left out, and taken out of the file."""
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    return list(csv.DictReader(whole.splitlines()))


def append_row(file: Path, row: dict[str, Any]) -> None:
    """Adds a line, and the heading to an empty file."""
    head = "" if file.exists() and file.stat().st_size else ",".join(COLUMNS) + "\n"
    with file.open("a", encoding="utf-8") as stream:
        stream.write(head + ",".join(str(row[name]) for name in COLUMNS) + "\n")


def summary(rows: Sequence[dict[str, str]]) -> dict[str, list[tuple[float, float, float, int]]]:
    """Mean and standard deviation of the error: method -> [(ratio, mean, deviation, runs)], ratios ascending."""
    grouped: dict[tuple[str, float], list[float]] = {}
    for row in rows:
        grouped.setdefault((row["method"], float(row["ratio"])), []).append(float(row["error"]))
    found: dict[str, list[tuple[float, float, float, int]]] = {}
    for (name, ratio), errors in sorted(grouped.items()):
        deviation = float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0
        found.setdefault(name, []).append((ratio, float(np.mean(errors)), deviation, len(errors)))
    return found


def draw_figure(rows: Sequence[dict[str, str]], file: Path) -> None:
    """Error against ratio, with the deviation over runs and the paper's claim for L2RW."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    found = summary(rows)
    for name, points in found.items():
        ratio, mean, deviation, _ = np.array(points).T
        axes.errorbar(ratio, 100 * mean, 100 * deviation, marker="o", capsize=3, label=name)
    if "l2rw" in found:
        start = 100 * found["l2rw"][0][1]
        axes.axhline(start + 2, color="grey", linestyle=":", label="paper: L2RW, about 2 points more at 200:1")
    axes.set(xscale="log", xlabel="nines to one four", ylabel="test error (%)")
    ticks = sorted({point[0] for points in found.values() for point in points})
    axes.set_xticks(ticks, [f"{tick:g}:1" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; None reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", help="where the prepared MNIST is (or is downloaded to)")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/imbalance"), help="of imbalance.csv and .png")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated, of: " + ", ".join(METHODS))
    parser.add_argument(
        "--ratios", default=",".join(map(str, RATIOS)), help="nines to one four: 9 is 9:1, 199 the paper's 200:1"
    )
    parser.add_argument("--runs", type=int, default=10, help="seeds of every point of the figure")
    parser.add_argument("--steps", type=int, default=8000, help="of every training")
    parser.add_argument("--train_examples", type=int, default=5000, help="training images, clean ones included")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of TensorFlow (0: its choice)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the missing cells and draws the figure; a mistake ends with one sentence."""
    options = parse(arguments)
    try:
        run_all(options)
    except (ValueError, OSError) as error:
        print(f"imbalance_experiment.py: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(1) from None


def run_all(options: argparse.Namespace) -> None:
    """Does what the options ask for.

    Raises:
        ValueError, OSError: unknown methods, impossible numbers, missing data.
    """
    names = options.methods.split(",")
    unknown = sorted(set(names) - set(METHODS))
    if unknown:
        raise ValueError(f"--methods={','.join(unknown)}: use some of {', '.join(METHODS)}")
    if options.runs < 1 or options.steps < 1 or options.threads < 0:
        raise ValueError(
            f"--runs={options.runs} and --steps={options.steps} must be at least 1, "
            f"--threads={options.threads} at least 0"
        )
    try:
        ratios = [float(text) for text in options.ratios.split(",")]
    except ValueError:
        raise ValueError(f"--ratios={options.ratios}: expected numbers such as 9,49,199") from None
    wanted = list(cells(names, ratios, options.runs, options.steps))
    for cell in wanted:
        imbalance.class_sizes(options.train_examples, cell.majority_share)
    folder = options.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "imbalance.csv"
    done = {(row["method"], float(row["ratio"]), int(row["run"]), int(row["steps"])) for row in read_rows(file)}
    missing = [cell for cell in wanted if (cell.method, cell.ratio, cell.run, cell.steps) not in done]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} cells are there", flush=True)
    if missing and options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    determinism.make_deterministic(jit_compile=False)
    mnist = datasets.load("mnist", data_dir=options.data_dir) if missing else None
    for number, cell in enumerate(missing, start=1):
        assert mnist is not None
        keras.utils.set_random_seed(cell.seed)
        row = run_cell(cell, mnist, options.train_examples)
        append_row(file, row)
        print(
            f"{number}/{len(missing)} {cell.method} {cell.ratio:g}:1 run {cell.run}: error {row['error']} "
            f"({row['seconds']} s)",
            flush=True,
        )
    rows = [row for row in read_rows(file) if int(row["steps"]) == options.steps]
    draw_figure(rows, folder / "imbalance.png")
    for name, points in summary(rows).items():
        shown = ", ".join(f"{ratio:g}:1 {100 * mean:.2f} ± {100 * std:.2f}" for ratio, mean, std, _ in points)
        print(f"{name}: {shown} % test error")


if __name__ == "__main__":
    main()
