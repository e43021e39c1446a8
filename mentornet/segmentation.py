"""The task that gives every pixel a class: losses [b, h, w], and Dice by slice and by case (L2B, CVPR 2024, section 4).

Targets are int [b, h, w], logits [b, h, w, C]. With two classes whose background logit is 0 (students of
``student_nets`` with one output channel, see ``layers.BackgroundLogit``) the softmax cross-entropy is the pixel-wise
binary cross-entropy of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.task import per_sample_cross_entropy


class CaseDice(keras.metrics.Metric):
    """Dice of the foreground, of volumes that are put together of slices as they come.

    Args:
        cases: int [n], the case of each slice of the evaluation.
        classes: C; with more than two the mean over the classes 1 to C - 1.
    """

    def __init__(self, cases: np.ndarray, classes: int, name: str = "dice_cases"):
        super().__init__(name=name, dtype=tf.float32)
        self._cases, self._foreground = np.asarray(cases, np.int32), classes - 1
        count = int(self._cases.max(initial=-1)) + 1
        # Of every case and class: voxels in both, and voxels of the two together.
        self.sums = self.add_weight(name="sums", shape=(count, self._foreground, 2), initializer="zeros")

    def update_state(self, index: tf.Tensor, both: tf.Tensor, together: tf.Tensor) -> None:
        """Adds slices: index int32 [b], negative for none; both, together float32 [b, C - 1]."""
        case = tf.gather(self._cases, tf.maximum(index, 0))
        counted = tf.cast(index >= 0, tf.float32)[:, tf.newaxis, tf.newaxis]
        sums = counted * tf.stack([both, together], axis=-1)
        self.sums.assign_add(tf.math.unsorted_segment_sum(sums, case, self.sums.shape[0]))

    def reset_state(self) -> None:
        self.sums.assign(tf.zeros(self.sums.shape))

    def result(self) -> tf.Tensor:
        """The mean over cases, float32 in [0, 1]; a class that is in neither mask counts as 1."""
        both, together = self.sums[..., 0], self.sums[..., 1]
        return tf.reduce_mean(dice(both, together))


def dice(both: tf.Tensor, together: tf.Tensor) -> tf.Tensor:
    """2 |A and B| / (|A| + |B|), elementwise; 1 where both are empty."""
    return tf.where(together > 0, 2.0 * both / tf.maximum(together, 1.0), 1.0)


class Segmentation:
    """A class a pixel, with the interface of ``mentornet.task.Classification``.

    Args:
        cases: int [n], the case of each slice of the evaluation, counted from 0.
        classes: C, at least 2.
    """

    sites = True

    def __init__(self, cases: Sequence[int] | np.ndarray, classes: int = 2):
        self._classes = classes
        self.loss = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.Mean(name="accuracy")
        self.dice_slices = keras.metrics.Mean(name="dice_slices")
        self.dice_cases = CaseDice(np.asarray(cases), classes)

    def losses(self, target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The loss of every pixel, float32 [b, h, w]."""
        return per_sample_cross_entropy(target, logits)

    def correct(self, target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Whether the prediction equals the target, bool [b, h, w]."""
        return tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.cast(target, tf.int32))

    def metrics(self) -> list[keras.metrics.Metric]:
        """What an evaluation adds up."""
        return [self.loss, self.accuracy, self.dice_slices, self.dice_cases]

    def results(self) -> dict[str, float]:
        """The figures of an evaluation by name."""
        return {metric.name: float(metric.result()) for metric in self.metrics()}

    def evaluate(
        self,
        target: tf.Tensor,
        logits: tf.Tensor,
        of_peers: Any = None,
        index: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch to the evaluation; slices whose target is negative only fill it up and don't count.

        Args:
            target: int [b, h, w].
            logits: [b, h, w, C].
            of_peers: not used; methods of several students don't segment.
            index: int32 [b], the place of each slice among those of the evaluation.
        """
        del of_peers
        counted, target = target[:, 0, 0] >= 0, tf.maximum(target, 0)
        self.loss.update_state(tf.reduce_mean(self.losses(target, logits), axis=[1, 2]), sample_weight=counted)
        correct = tf.cast(self.correct(target, logits), tf.float32)
        self.accuracy.update_state(tf.reduce_mean(correct, axis=[1, 2]), sample_weight=counted)
        both, together = self._overlap(target, logits)
        self.dice_slices.update_state(tf.reduce_mean(dice(both, together), axis=1), sample_weight=counted)
        if index is not None:
            self.dice_cases.update_state(tf.where(counted, index, -1), both, together)

    def _overlap(self, target: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Of every slice and foreground class: pixels in both masks, and pixels of the two together, [b, C - 1]."""
        predicted = tf.one_hot(tf.argmax(logits, axis=-1), self._classes)[..., 1:]
        true = tf.one_hot(target, self._classes)[..., 1:]
        return tf.reduce_sum(predicted * true, axis=[1, 2]), tf.reduce_sum(predicted + true, axis=[1, 2])
