"""How well wrong labels are found: our rankings and cleanlab's, on the same images, labels and student.

    python benchmarks/suspects.py --data cifar10_worst --data_dir=DATA --work runs/suspects [--output CSV]

Data: digits with 40% uniform noise, and 10,000 images of CIFAR-10 with 40% uniform noise or with CIFAR-10N's worst
labels. Each training is one of plain, MentorNet PD, Co-teaching and L2RW; every ranking that can be read from it is
judged against the true labels by AUROC, average precision, and precision among the first 100 and 1,000. cleanlab
(Northcutt et al., JAIR 2021) ranks by out-of-sample probabilities: five folds, each a plain training. Trainings are
kept in --work, so that a second call only judges. Needs the "bench" extra.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from sklearn.model_selection import StratifiedKFold  # noqa: E402

import student_nets  # noqa: E402
from data import datasets, labels, pipeline  # noqa: E402
from data.streams import TRAINING, MemoryStreams, Source  # noqa: E402
from flags.define.student_flags import default_boundaries  # noqa: E402
from mentornet import methods  # noqa: E402
from mentornet.methods.replicas import add_to_rows  # noqa: E402
from mentornet.stages import GIVEN, Stream  # noqa: E402
from mentornet.training.optimizers import MomentumSGD, stepwise_rate  # noqa: E402

# name: (data set, images or all, noise, fraction, student, learning rate, batch, steps, steps of a fold)
DATA: dict[str, tuple[str, int, str, float, str, float, int, int, int]] = {
    "digits_uniform": ("digits", 0, "uniform", 0.4, "small_cnn", 0.02, 64, 1000, 400),
    "cifar10_worst": ("cifar10", 10_000, "human:worse", 0.0, "resnet8", 0.1, 128, 2400, 1000),
    "cifar10_uniform": ("cifar10", 10_000, "uniform", 0.4, "resnet8", 0.1, 128, 2400, 1000),
}
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("standard", {}),
    "mentornet_pd": ("spade", {"loss_percentile": 0.6}),
    "co_teaching": ("co_teaching", {}),
}
WINDOWS, FOLDS = 20, 5


class Recorder:
    """Mixed into a method: sums of losses and of the given label's probabilities in twentieths of the training."""

    def prepare(self, examples: int) -> None:
        """Makes the tables for as many samples."""
        names = ("loss_sums", "confidence_sums", "weight_sums", "visits")
        self.tables = {name: tf.Variable(tf.zeros([WINDOWS * examples]), trainable=False) for name in names}
        self.forgotten = tf.Variable(tf.zeros([examples]), trainable=False)
        self.was_right = tf.Variable(tf.zeros([examples]), trainable=False)
        self.examples = examples

    def finish_step(self: Any, batch: Any, logits: Any, losses: Any, weighting: Any) -> Any:
        """Adds a batch to the tables."""
        window = tf.cast(self.step * WINDOWS // self.max_steps, tf.int32)
        row = window * self.examples + batch["index"]
        loss = losses if losses.shape.rank == 1 else tf.reduce_mean(losses, -1)
        weight = weighting.curriculum_weights
        weight = weight if weight.shape.rank == 1 else tf.reduce_mean(weight, -1)
        for name, values in (
            ("loss_sums", loss),
            ("confidence_sums", tf.exp(-loss)),
            ("weight_sums", weight),
            ("visits", tf.ones_like(loss)),
        ):
            add_to_rows(self.tables[name], row, values)
        shown = logits if logits.shape.rank == 2 else tf.reduce_mean(logits, 1)
        right = tf.cast(tf.equal(tf.argmax(shown, -1, tf.int32), batch["label"]), tf.float32)
        was = tf.gather(self.was_right, batch["index"])
        add_to_rows(self.forgotten, batch["index"], was * (1.0 - right))
        add_to_rows(self.was_right, batch["index"], right - was)
        return super().finish_step(batch, logits, losses, weighting)  # type: ignore[misc]


def load(name: str, data_dir: str | None, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Images, given labels, true labels, number of classes."""
    dataset_name, count, noise, fraction, *_ = DATA[name]
    dataset = datasets.load(dataset_name, data_dir=data_dir)
    train = labels.subset(dataset.train, count, seed) if count else dataset.train
    noisy = labels.corrupt(
        train, noise, fraction, dataset.num_classes, seed=seed, dataset_name=dataset_name, data_dir=data_dir
    )
    assert noisy.clean is not None
    return train.images, noisy.given, noisy.clean.reveal(), dataset.num_classes


def trained(name: str, kind: str, options: Mapping[str, Any], data: Any, steps: int, seed: int, records: bool) -> Any:
    """A method after its training on (images, given labels, classes)."""
    images, given, classes = data
    _, _, _, _, student, rate, batch, *_ = DATA[name]
    network = student_nets.get(student, classes, input_shape=images.shape[1:], seed=seed)
    base = methods.get(kind)
    made = type(f"Recording{base.__name__}", (Recorder, base), {}) if records else base
    shared = {"max_steps": steps, "num_examples": len(images), "weight_decay": 2e-4, "seed": seed}
    method: Any = made(network, clean_known=False, **shared, **options)
    if records:
        method.prepare(len(images))
    rates = stepwise_rate(rate, default_boundaries(student, steps), 0.1)
    method.compile(MomentumSGD(rates, 0.9), steps_per_execution=20)
    source = {TRAINING: Source(images, given, batch)}
    streams = MemoryStreams(source, seed=seed, augmentation=pipeline.AUGMENTATIONS["none"])
    method.fit(streams.dataset({GIVEN: Stream()}, 0, steps), epochs=1, steps_per_epoch=steps, verbose=0)
    return method


def probabilities(student: keras.Model, images: np.ndarray) -> np.ndarray:
    """Softmax outputs float64 [n, c]."""
    batches = pipeline.evaluation_batches(images, np.zeros(len(images), np.int32), 500, pipeline.AUGMENTATIONS["none"])
    found = [tf.nn.softmax(tf.cast(student(batch["image"], training=False), tf.float64)).numpy() for batch in batches]
    return np.concatenate(found)


def one_training(name: str, kind: str, work: Path, data_dir: str | None, seed: int) -> dict[str, np.ndarray]:
    """What one of our trainings tells of each sample, from its file if it has been taken."""
    file = work / f"{name}_{kind}_{seed}.npz"
    if not file.exists():
        started = time.process_time()
        images, given, _, classes = load(name, data_dir, seed)
        method, options = OURS[kind]
        if kind == "co_teaching":
            options = {"keep_schedule": "co_teaching:tau=0.4,epochs=10"}
        run = trained(name, method, options, (images, given, classes), DATA[name][7], seed, records=True)
        found = {key: table.numpy().reshape(WINDOWS, -1) for key, table in run.tables.items()}
        found |= {"forgotten": run.forgotten.numpy(), "probabilities": probabilities(run.student, images)}
        np.savez(file, seconds=time.process_time() - started, **found)
    with np.load(file) as stored:
        return dict(stored)


def folds(name: str, work: Path, data_dir: str | None, seed: int) -> tuple[np.ndarray, float]:
    """Out-of-sample probabilities [n, c], and the processor seconds of all folds."""
    images, given, _, classes = load(name, data_dir, seed)
    probability, seconds = np.zeros([len(images), classes]), 0.0
    divided = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(images, given)
    for number, (kept, held) in enumerate(divided):
        file = work / f"{name}_fold{number}_{seed}.npz"
        if not file.exists():
            started = time.process_time()
            part = (images[kept], given[kept], classes)
            run = trained(name, "standard", {}, part, DATA[name][8], seed + number, records=False)
            out = probabilities(run.student, images[held])
            np.savez(file, probabilities=out, seconds=time.process_time() - started)
        with np.load(file) as stored:
            probability[held] = stored["probabilities"]
            seconds += float(stored["seconds"])
    return probability, seconds


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compare rankings of suspect labels.")
    parser.add_argument("--data", choices=sorted(DATA), default="digits_uniform")
    parser.add_argument("--data_dir")
    parser.add_argument("--work", type=Path, default=Path("runs/suspects"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainings", default="plain,mentornet_pd")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for kind in options.trainings.split(","):
        found = one_training(options.data, kind, options.work, options.data_dir, options.seed)
        print(kind, float(found["seconds"]), flush=True)
    _, seconds = folds(options.data, options.work, options.data_dir, options.seed)
    print("folds", seconds, flush=True)


if __name__ == "__main__":
    main()
