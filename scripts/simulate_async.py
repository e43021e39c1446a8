"""What old gradients do to accuracy: asynchronous SPADE with 1, 4, 16 and 50 virtual workers, in one process.

    make simulate-async   # or: python scripts/simulate_async.py [--output docs/images/asynchronous]

Handwritten digits with 40% wrong labels, momentum 0.9, batch 32, at several learning rates. Every virtual worker
computes its gradient on the weights it fetched after its last update (mentornet.training.distribution.staleness).
Writes <output>.csv and <output>.png, and checks that the mean age of a gradient is the number of workers less one.
Finished trainings are kept in <output>.partial.csv until all are done: started again after a stop, it goes on from
there.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flags import quiet  # noqa: E402

quiet.start_tensorflow([])

import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402

import student_nets  # noqa: E402
from data import datasets, noise, pipeline  # noqa: E402
from data.streams import TRAINING, MemoryStreams, Source  # noqa: E402
from mentornet.files import replacing  # noqa: E402
from mentornet.stages import GIVEN, Stream  # noqa: E402
from mentornet.training.distribution import staleness  # noqa: E402
from mentornet.training.optimizers import MomentumSGD, stepwise_rate  # noqa: E402

BATCH, NOISE = 32, 0.4
Cell = tuple[float, int, int, int]  # learning rate, workers, seed, steps


@dataclass(frozen=True)
class Row:
    """One simulated training."""

    workers: int
    learning_rate: float
    steps: int
    seed: int
    mean_age: float
    expected_age: int
    highest_age: int
    loss_percentile: float
    accuracy: float

    @property
    def cell(self) -> Cell:
        """What was simulated."""
        return self.learning_rate, self.workers, self.seed, self.steps

    @property
    def age_is_as_expected(self) -> bool:
        """Whether the mean age is W - 1, but for the W gradients still under way, none older than the oldest."""
        slack = self.workers * (self.highest_age + self.workers) / self.steps
        return abs(self.mean_age - self.expected_age) <= slack


def simulate(workers: int, learning_rate: float, steps: int, seed: int) -> Row:
    """Trains with virtual workers and evaluates on the clean test digits."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    digits = datasets.load("digits")
    given = noise.uniform(digits.train.labels, NOISE, digits.num_classes, seed=seed)
    augmentation = pipeline.AUGMENTATIONS["none"]
    source = Source(digits.train.images, given, BATCH, given == digits.train.labels)
    streams = MemoryStreams({TRAINING: source}, seed=seed, augmentation=augmentation)
    batches = streams.dataset({GIVEN: Stream()}, 0, steps)
    order = staleness.completion_order(workers, steps, seed=seed)
    turns = tf.data.Dataset.from_tensor_slices(order)
    method = staleness.StaleSpade(
        student_nets.get("small_cnn", digits.num_classes, input_shape=digits.image_shape, seed=seed),
        "mentornet_pd",
        workers=workers,
        max_steps=steps,
        loss_percentile=0.6,
        example_dropout_rates="0.5,20,0.05,80",
        seed=seed,
    )
    # The paper's schedule of 39,000 steps, shortened.
    rate = stepwise_rate(learning_rate, [round(steps * share / 39) for share in (19.531, 25, 30)], 0.1)
    method.compile(MomentumSGD(rate, momentum=0.9), steps_per_execution=50)
    with_worker = tf.data.Dataset.zip((batches, turns)).map(lambda batch, w: {**batch, "worker": tf.repeat(w, BATCH)})
    method.fit(with_worker, steps_per_epoch=steps, verbose=0)
    test = pipeline.evaluation_batches(digits.test.images, digits.test.labels, 500, augmentation)
    accuracy = method.evaluate(test, verbose=0, return_dict=True)["accuracy"]
    found = staleness.ages(order, workers)
    return Row(
        workers=workers,
        learning_rate=learning_rate,
        steps=steps,
        seed=seed,
        mean_age=float(found.mean()),
        expected_age=staleness.mean_age(workers),
        highest_age=int(found.max()),
        loss_percentile=float(method.loss_percentile.numpy()),
        accuracy=float(accuracy),
    )


def read(path: Path) -> dict[Cell, Row]:
    """The rows of a csv made by `write`, none if it is not there.

    Raises:
        ValueError: a file that is not such a csv.
    """
    if not path.is_file():
        return {}
    kinds: dict[str, Any] = {"workers": int, "steps": int, "seed": int, "expected_age": int, "highest_age": int}
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            rows = [Row(**{k: kinds.get(k, float)(v) for k, v in line.items()}) for line in csv.DictReader(stream)]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} was not written by this script; move it away.") from error
    return {row.cell: row for row in rows}


def write(rows: Sequence[Row], path: Path) -> None:
    """Writes the rows as a csv, all at once."""
    with replacing(path) as stream:
        lines = [",".join(asdict(rows[0])), *(",".join(f"{v:g}" for v in asdict(row).values()) for row in rows)]
        stream.write("".join(line + "\n" for line in lines).encode())


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draws accuracy over the number of workers, a line a learning rate, with the range over seeds."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4))
    workers = sorted({row.workers for row in rows})
    for rate in sorted({row.learning_rate for row in rows}, reverse=True):
        found = [[row.accuracy for row in rows if (row.workers, row.learning_rate) == (w, rate)] for w in workers]
        middle = np.array([np.mean(values) for values in found])
        lowest, highest = (np.array([pick(values) for values in found]) for pick in (min, max))
        axes.errorbar(workers, middle, [middle - lowest, highest - middle], fmt="o-", capsize=3, label=f"{rate:g}")
    axes.set_xscale("log")
    axes.set_xticks(workers, [f"{count}\nage {count - 1}" for count in workers])
    axes.minorticks_off()
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("virtual workers, and mean age of their gradients in updates")
    axes.set_ylabel("accuracy on clean test digits")
    axes.set_title(f"Asynchronous SPADE, 40% wrong labels, {rows[0].steps:,} updates, momentum 0.9", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(title="learning rate")
    figure.tight_layout()
    with replacing(path) as stream:
        figure.savefig(stream, format="png", dpi=110)
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "asynchronous", help="without ending")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 50])
    parser.add_argument("--learning_rates", type=float, nargs="+", default=[0.01, 0.003, 0.001, 0.0003, 0.0001])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=2000)
    chosen = parser.parse_args(arguments)
    partial = chosen.output.with_suffix(".partial.csv")
    cells = list(itertools.product(chosen.learning_rates, chosen.workers, chosen.seeds, [chosen.steps]))
    try:
        found = read(partial)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    started, missing = time.monotonic(), [cell for cell in cells if cell not in found]
    print("learning rate  workers  seed  mean age  accuracy  time left")
    for done, cell in enumerate(missing, start=1):
        rate, workers, seed, steps = cell
        row = found[cell] = simulate(workers, rate, steps, seed)
        write(list(found.values()), partial)
        left = (time.monotonic() - started) / done * (len(missing) - done)
        print(f"{rate:13g}  {workers:7}  {seed:4}  {row.mean_age:8.2f}  {row.accuracy:8.3f}  {left:7.0f} s", flush=True)
        if not row.age_is_as_expected:
            print(f"the mean age should be {row.expected_age}", file=sys.stderr)
            return 1
    rows = [found[cell] for cell in cells]
    write(rows, chosen.output.with_suffix(".csv"))
    draw(rows, chosen.output.with_suffix(".png"))
    partial.unlink(missing_ok=True)
    print(f"{chosen.output}.csv and .png written, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    # The student is so small that a second thread would only wait for the first.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sys.exit(main())
