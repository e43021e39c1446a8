"""What the steps of DivideMix, UniCon and C2D cost, and the look at all losses before an epoch.

A step of theirs has 64 labelled and 64 unlabelled images, two views of each: 256 images are passed with a gradient. So
they are compared with a plain step of 256 images; ``images_per_second`` counts these 256 in all. Behind them a pass in
inference mode, as before an epoch, with several batch sizes. ``data_wait`` is how long a training waits for the next
batch, with its views, as a share of its own step. Beside ``benchmarks/run.py`` it runs alone:

    python benchmarks/semi_supervised.py [--student=resnet32] [--rounds=5] [--variants=dividemix,unicon]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import student_nets  # noqa: E402
from data import pipeline  # noqa: E402
from data.streams import TRAINING, MemoryStreams, Source  # noqa: E402
from mentornet import methods  # noqa: E402
from mentornet.stages import GIVEN, Stage, Stream  # noqa: E402
from mentornet.training.evaluation import answering  # noqa: E402
from mentornet.training.optimizers import MomentumSGD  # noqa: E402

CLASSES, EXAMPLES, LABELLED = 10, 2_000, 64
IMAGES = 4 * LABELLED
EVALUATED = (100, 500, 1000)
COMPILED = ("plain", "dividemix")
"""Measured a second time, compiled with XLA."""
READ_AHEAD = 4
"""Steps after which what was read while others trained is used up."""


def variants(student: str) -> dict[str, methods.NoisyLabelMethod]:
    """The plain step first."""

    def network() -> Any:
        return student_nets.get(student, CLASSES, seed=0)

    shared: dict[str, Any] = {"num_examples": EXAMPLES, "weight_decay": 5e-4}
    turns = shared | {"num_epochs": 30, "warmup_epochs": 1, "batch_size": LABELLED}
    return {
        "plain": methods.Standard(network(), max_steps=10_000, **shared),
        "dividemix": methods.DivideMix(network(), **turns),
        "unicon": methods.UniCon(network(), **turns),
        "c2d": methods.C2D(network(), **turns),
        "dividemix_l2b": methods.DivideMix(network(), meta="l2b", clean_source="labelled", **turns),
        "unicon_l2b": methods.UniCon(network(), meta="l2b", clean_source="labelled", **turns),
    }


def prepared(method: methods.NoisyLabelMethod, jit_compile: bool = False) -> Callable[[], tuple[float, float]]:
    """Takes one step on the next batch, half of the labels being kept: seconds of the step, and of the wait before."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, 32, 32, 3), np.uint8)
    source = Source(images, rng.integers(0, CLASSES, EXAMPLES).astype(np.int32), IMAGES)
    streams = MemoryStreams({TRAINING: source}, seed=0, augmentation=pipeline.AUGMENTATIONS["cifar"])
    method.compile(MomentumSGD(0.02, 0.9))
    method.build_optimizers()
    asked = {GIVEN: Stream()}
    if isinstance(method, methods.DivideMix | methods.UniCon):
        stage = Stage(("mix", 0), 40, epoch=20)
        method.enter(stage)
        half = np.arange(EXAMPLES) % 2 == 0
        method.clean.assign(np.stack([half, half]).astype(np.float32))
        if hasattr(method, "kept"):
            method.kept.assign(np.stack([half, half]))
        asked = dict(method.streams(stage))
    batches = iter(streams.dataset(asked))
    step = tf.function(method.train_step, jit_compile=jit_compile, reduce_retracing=True)

    def take() -> tuple[float, float]:
        asked_for = time.perf_counter()
        batch = next(batches)
        begun = time.perf_counter()
        tf.nest.map_structure(lambda value: value.numpy(), step(batch))
        return time.perf_counter() - begun, begun - asked_for

    return take


def measure(student: str = "resnet32", rounds: int = 5, only: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Rows {student, variant, images_per_second, ratio, data_wait}: of steps, then of looks at all losses.

    The ratio is to the plain step, of looks to the smallest batch; ``data_wait`` is a share of the own step.
    ``only`` names variants beside the plain one; () for all of them.
    """
    made = {name: method for name, method in variants(student).items() if not only or name in ("plain", *only)}
    takes = {name: prepared(method) for name, method in made.items()}
    again = {name: method for name, method in variants(student).items() if name in COMPILED and name in made}
    takes |= {f"{name}_xla": prepared(method, jit_compile=True) for name, method in again.items()}
    for take in takes.values():
        take()
    seconds: dict[str, list[float]] = {name: [] for name in takes}
    for _ in range(rounds):
        for name, take in takes.items():
            seconds[name].append(take()[0])
    rows = []
    for name, times in seconds.items():
        # One after the other, or batches would be read while other variants train.
        steps = [takes[name]() for _ in range(READ_AHEAD + 2)][READ_AHEAD:]
        wait = statistics.median(waited / taken for taken, waited in steps)
        rows.append({**_row(student, name, IMAGES, times, seconds["plain"]), "data_wait": wait})
    answer = answering(student_nets.get(student, CLASSES, seed=0))
    looks: dict[int, list[float]] = {size: [] for size in EVALUATED}
    images = tf.random.stateless_normal([max(EVALUATED), 32, 32, 3], [0, 0])
    for number in range(rounds + 1):
        for size, times in looks.items():
            begun = time.perf_counter()
            for first in range(0, max(EVALUATED), size):
                answer(images[first : first + size], tf.zeros([size], tf.int32))[1].numpy()
            if number:  # the first one traces
                times.append(time.perf_counter() - begun)
    first_look = looks[EVALUATED[0]]
    return rows + [_row(student, f"look_{size}", max(EVALUATED), times, first_look) for size, times in looks.items()]


def _row(student: str, name: str, images: int, times: list[float], against: list[float]) -> dict[str, Any]:
    return {
        "student": student,
        "variant": name,
        "images_per_second": images / statistics.median(times),
        # Paired by round, so that a drift of the machine cancels.
        "ratio": statistics.median(t / p for t, p in zip(times, against, strict=True)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text."""
    head = f"{'student':<18}{'variant':<18}{'images/s':>10}{'ratio':>8}{'data wait':>11}"
    lines = [
        f"{r['student']:<18}{r['variant']:<18}{r['images_per_second']:>10.1f}{r['ratio']:>8.2f}"
        + (f"{r['data_wait']:>11.4f}" if "data_wait" in r else "")
        for r in rows
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="resnet32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variants", default="", help="comma-separated names beside plain; default: all")
    parser.add_argument("--output", type=Path, help="json of the rows")
    chosen = parser.parse_args()
    rows = measure(chosen.student, chosen.rounds, tuple(name for name in chosen.variants.split(",") if name))
    print(table(rows))
    if chosen.output:
        chosen.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
