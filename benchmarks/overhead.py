"""What a run costs beyond its steps: start and finish, stage changes, intervals (evaluation, row, checkpoint).

Four short runs through the engine, ResNet-8 on 2,000 random images, that differ in one thing each: the length, the
number of stages, the number of intervals. Differences between them are the rows, in seconds and in plain steps of the
same student. ``make bench`` prints these rows and writes them beside the others.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import student_nets
from data import pipeline
from data.streams import TRAINING, MemoryStreams, Source
from mentornet.methods.standard import Standard
from mentornet.runs.workdir import Workdir
from mentornet.stages import Stage
from mentornet.training import run
from mentornet.training.inputs import RunSettings, TrainingInputs
from mentornet.training.optimizers import MomentumSGD

EXAMPLES, TEST_EXAMPLES, BATCH, CLASSES = 2_000, 1_000, 64, 10
PARTS = 11  # stages or intervals where there is more than one


class Staged(Standard):
    """Plain training in several stages of equal length."""

    def next_stage(self, done: int) -> Stage | None:
        assert self.max_steps is not None
        return Stage(number=done, steps=self.max_steps // PARTS) if done < PARTS else None


def inputs() -> TrainingInputs:
    """Random images with random labels."""
    rng = np.random.default_rng(0)
    images, test = (rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (EXAMPLES, TEST_EXAMPLES))
    labels, truth = (rng.integers(0, CLASSES, n).astype(np.int32) for n in (EXAMPLES, TEST_EXAMPLES))
    augmentation = pipeline.AUGMENTATIONS["cifar"]

    def ordered(positions: np.ndarray | None) -> tf.data.Dataset:
        chosen = np.arange(EXAMPLES) if positions is None else positions
        return pipeline.evaluation_batches(images[chosen], labels[chosen], 500, augmentation)

    return TrainingInputs(
        streams=MemoryStreams({TRAINING: Source(images, labels, BATCH)}, seed=0, augmentation=augmentation),
        evaluation=pipeline.evaluation_batches(test, truth, 500, augmentation),
        ordered=ordered,
        given=labels,
        clean=None,
        original_index=np.arange(EXAMPLES),
        class_names=[str(number) for number in range(CLASSES)],
        pictures=lambda positions: images[positions],
        evaluation_examples=TEST_EXAMPLES,
    )


def seconds_of(kind: type[Standard], steps: int, intervals: int = 1) -> float:
    """A whole run, from its method to its result."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        workdir = Workdir(Path(folder) / "run")
        workdir.claim("", {})
        data = inputs()
        started = time.perf_counter()
        method = kind(student_nets.get("resnet8", CLASSES, seed=0), max_steps=steps)
        settings = RunSettings(max_steps=steps, eval_every_steps=steps // intervals, progress=False)
        run.train(method, MomentumSGD(0.1, 0.9), data, workdir, settings, {"dataset": "random"})
        return time.perf_counter() - started


def measure(steps: int = 110) -> list[dict[str, Any]]:
    """Rows {variant, seconds, plain_steps}; ``steps`` is a multiple of ``PARTS``."""
    seconds_of(Standard, PARTS)  # what a process does once
    plain, longer = seconds_of(Standard, steps), seconds_of(Standard, 3 * steps)
    step = (longer - plain) / (2 * steps)
    interval = (seconds_of(Standard, steps, PARTS) - plain) / (PARTS - 1)
    rows = {
        "start_and_finish": plain - steps * step,
        "stage_change": (seconds_of(Staged, steps) - plain) / (PARTS - 1),
        "interval": interval,
    }
    return [{"variant": name, "seconds": found, "plain_steps": found / step} for name, found in rows.items()]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text."""
    head = f"{'beyond the steps of a run':<26}{'seconds':>10}{'plain steps':>13}"
    lines = [f"{row['variant']:<26}{row['seconds']:>10.3f}{row['plain_steps']:>13.1f}" for row in rows]
    return "\n".join([head, *lines])
