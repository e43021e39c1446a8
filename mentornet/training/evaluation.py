"""A student's answers, sample by sample: for samples.csv, loss dumps and evaluation of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods.base import per_sample_cross_entropy


@dataclass(frozen=True)
class SampleOutputs:
    """Per-sample results in data set order.

    Attributes:
        label: int32 [n], the label in the batches.
        predicted: int32 [n].
        loss: float32 [n], against that label.
    """

    label: np.ndarray
    predicted: np.ndarray
    loss: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of samples whose prediction equals the label, in [0, 1]."""
        return float(np.mean(self.predicted == self.label))


def sample_outputs(student: keras.Model, batches: tf.data.Dataset) -> SampleOutputs:
    """Runs the student in inference mode over a data set of {"image", "label"} batches.

    Raises:
        ValueError: the data set is empty.
    """

    @tf.function(reduce_retracing=True)
    def answer(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = student(image, training=False)
        return tf.argmax(logits, axis=-1, output_type=tf.int32), per_sample_cross_entropy(label, logits)

    labels, predictions, losses = [], [], []
    for batch in batches:
        predicted, loss = answer(batch["image"], batch["label"])
        labels.append(batch["label"].numpy())
        predictions.append(predicted.numpy())
        losses.append(loss.numpy())
    if not labels:
        raise ValueError("there are no samples to evaluate")
    return SampleOutputs(np.concatenate(labels), np.concatenate(predictions), np.concatenate(losses))


def plain_copy(student: keras.Model) -> keras.Model:
    """A copy of a student, weights and all, outside any distribution strategy: one process can use and save it alone.

    Where several processes share the student, all of them have to make their copy at the same point.
    """
    copy: keras.Model = type(student).from_config(student.get_config())
    for target, source in zip(copy.variables, student.variables, strict=True):
        target.assign(tf.convert_to_tensor(source))
    return copy
