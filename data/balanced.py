"""Batches in which every given class is equally likely: resampling against class imbalance (L2RW, section 4.1).

Each place of a batch draws a class and then an image of it, with replacement, as a function of (seed, step, place); so
images of rare classes come back often, and there are no epochs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import seeding
from data.pipeline import TrainingBatches


class BalancedBatches(TrainingBatches):
    """`TrainingBatches` that draws classes alike instead of going through the images."""

    def __init__(self, images: npt.NDArray[np.uint8], labels: npt.ArrayLike, is_clean: npt.ArrayLike, **options: Any):
        """Takes what `TrainingBatches` takes.

        Raises:
          ValueError: as `TrainingBatches`.
        """
        super().__init__(images, labels, is_clean, **options)
        self._draw_key = seeding.key(options["seed"], "pipeline/balanced")
        given = np.asarray(labels, np.int32)
        counts = np.bincount(given)
        present = np.flatnonzero(counts)
        with tf.device("CPU:0"):
            self._by_class = tf.constant(np.argsort(given, kind="stable"), tf.int64)
            self._starts = tf.constant(np.cumsum(counts)[present] - counts[present], tf.int64)
            self._counts = tf.constant(counts[present], tf.int64)

    def _indices(self, step: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform(
            [self._batch_size, 2], [self._draw_key, step], dtype=tf.float64, alg="philox"
        )[self._rows]
        classes = tf.cast(draws[:, 0] * tf.cast(tf.size(self._counts), tf.float64), tf.int64)
        count = tf.gather(self._counts, classes)
        place = tf.cast(draws[:, 1] * tf.cast(count, tf.float64), tf.int64)
        return tf.gather(self._by_class, tf.gather(self._starts, classes) + place)
