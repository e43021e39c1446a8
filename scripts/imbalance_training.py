"""One cell of scripts/imbalance_experiment.py: a LeNet trained on digits of 4 and 9 at one ratio by one method."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

import student_nets
from data import imbalance, pipeline
from data.image_dataset import ImageDataset
from data.imbalance import ImbalancedData
from data.streams import TRAINING, MemoryStreams, Source
from mentornet import methods
from mentornet.methods.class_weights import class_weights
from mentornet.stages import GIVEN, Stream
from mentornet.training.evaluation import sample_outputs
from mentornet.training.optimizers import MomentumSGD
from scripts.imbalance_results import short

METHODS = ("l2rw", "plain", "proportion", "resample", "hard_mining", "random")
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
    examples: int = 5000
    precision: str = "float32"

    @property
    def seed(self) -> int:
        """The released code's seed of run k = 0, 1, ..."""
        return self.run * 123456789 % 100000

    @property
    def clean_per_class(self) -> int:
        return CLEAN_PER_CLASS if self.method == "l2rw" else 0

    @property
    def majority_share(self) -> float:
        return self.ratio / (1.0 + self.ratio)


def build_method(cell: Cell, data: ImbalancedData) -> methods.NoisyLabelMethod:
    """The method of a cell around a new LeNet."""
    student = student_nets.get("lenet", 2, input_shape=data.train.images.shape[1:], seed=cell.seed)
    shared: dict[str, Any] = {"max_steps": cell.steps, "seed": cell.seed}
    if cell.method == "l2rw":
        return methods.L2RW(student, **shared)
    if cell.method == "proportion":
        # The released code sums w f over the batch, without dividing by its size as class weights do here.
        weights = [BATCH * weight for weight in class_weights("share", data.train.labels, 2)]
        return methods.ClassWeights(student, class_weights=weights, **shared)
    if cell.method == "hard_mining":
        return methods.HardMining(student, positive_label=0, choose_first=True, **shared)
    if cell.method == "random":
        return methods.RandomWeights(student, **shared)
    return methods.Standard(student, **shared)


def batches(cell: Cell, data: ImbalancedData) -> tf.data.Dataset:
    """The training batches of a cell."""
    size = min(HARD_MINING_BATCH if cell.method == "hard_mining" else BATCH, len(data.train))
    known = np.ones(len(data.train), bool)
    sources = {TRAINING: Source(data.train.images, data.train.labels, size, known)}
    streams = {GIVEN: Stream(balanced=cell.method == "resample")}
    if data.clean is not None:
        sources["clean"] = Source(data.clean.images, data.clean.true_labels, len(data.clean), what="clean images")
        streams["clean"] = Stream(source="clean")
    return MemoryStreams(sources, seed=cell.seed, augmentation=PIXELS).dataset(streams, 0, cell.steps)


def run_cell(cell: Cell, mnist: ImageDataset) -> dict[str, Any]:
    """Trains and tests one cell; the row of the csv."""
    started = time.monotonic()
    keras.backend.clear_session()
    test = min(250, *np.bincount(mnist.test.labels, minlength=10)[[imbalance.RARE, imbalance.COMMON]])
    data = imbalance.draw(
        mnist,
        cell.majority_share,
        seed=cell.seed,
        total=cell.examples,
        clean_per_class=cell.clean_per_class,
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
        "ratio": short(cell.ratio),
        "run": cell.run,
        "seed": cell.seed,
        "steps": cell.steps,
        "examples": cell.examples,
        "precision": cell.precision,
        "error": f"{wrong.mean():.5f}",
        "error_rare": f"{wrong[found.label == 0].mean():.5f}",
        "error_common": f"{wrong[found.label == 1].mean():.5f}",
        "seconds": f"{time.monotonic() - started:.1f}",
    }
