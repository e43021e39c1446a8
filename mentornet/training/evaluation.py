"""A student's answers, sample by sample, for samples.csv, loss dumps and evaluations; and its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import files
from mentornet.inspection import StudentWithActivation
from mentornet.task import per_sample_cross_entropy


@dataclass(frozen=True)
class SampleOutputs:
    """Per-sample results in data set order.

    Attributes:
        label: int32 [n], the label in the batches.
        predicted: int32 [n].
        loss: float32 [n], against that label.
        among_first_5: bool [n], the label is among the five most probable classes.
        activation: float32 [n, a], the student's activation before its logits; None if it was not asked for.
        unreadable: samples whose images could not be read, and were shown as grey ones.
    """

    label: np.ndarray
    predicted: np.ndarray
    loss: np.ndarray
    among_first_5: np.ndarray
    activation: np.ndarray | None = None
    unreadable: int = 0

    @property
    def accuracy(self) -> float:
        """Share of samples whose prediction equals the label, in [0, 1]."""
        return float(np.mean(self.predicted == self.label))

    @property
    def top5(self) -> float:
        """Share of samples whose label is among the five most probable classes (P@5, Hit@5), in [0, 1]."""
        return float(np.mean(self.among_first_5))


Answer = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]
"""Images [b, h, w, c] and labels [b] -> the attributes of ``SampleOutputs`` for them."""


def answering(student: keras.Model, with_activation: bool = False) -> Answer:
    """What runs a student in inference mode, compiled once, for several data sets; see ``sample_outputs``.

    Raises:
        ValueError: the student has no activation before its logits.
    """
    both = StudentWithActivation(student) if with_activation else None

    @tf.function(reduce_retracing=True)
    def answer(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, ...]:
        logits, *more = (student(image, training=False),) if both is None else both(image, training=False)
        predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        among_first_5 = tf.math.in_top_k(label, tf.cast(logits, tf.float32), 5)
        return label, predicted, per_sample_cross_entropy(label, logits), among_first_5, *more

    found: Answer = answer
    return found


def sample_outputs(
    student: keras.Model, batches: tf.data.Dataset, with_activation: bool = False, answer: Answer | None = None
) -> SampleOutputs:
    """Runs the student in inference mode over a data set of {"image", "label"} batches.

    Args:
        student: images -> logits.
        batches: the samples in order.
        with_activation: keep the activation before the logits, too.
        answer: what ``answering`` made of the student, if it is asked more than once.

    Raises:
        ValueError: the data set is empty, none of it can be read, or the student has no such activation.
    """
    unreadable = 0
    answer = answer or answering(student, with_activation)
    answers = []
    for batch in batches:
        answers.append([part.numpy() for part in answer(batch["image"], batch["label"])])
        if "readable" in batch:
            unreadable += int(np.sum(~batch["readable"].numpy()))
    if not answers:
        raise ValueError("there are no samples to evaluate")
    parts: list[Any] = list(map(np.concatenate, zip(*answers, strict=True)))
    outputs = replace(SampleOutputs(*parts), unreadable=unreadable)
    if unreadable == len(outputs.label):
        raise ValueError(f"none of the {unreadable:,} images can be read, so nothing can be evaluated")
    return outputs


def save_student(student: keras.Model, path: Path) -> None:
    """Writes a student to a .keras file, all or nothing.

    Raises:
        RunFolderError: the file can't be written.
    """
    with files.replacing_by_name(path) as partial:
        student.save(partial)
