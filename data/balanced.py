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
from data.order import EpochOrder
from data.pipeline import TrainingBatches


class BalancedOrder(EpochOrder):
    """Which images each batch holds, by classes drawn alike."""

    def __init__(self, labels: npt.ArrayLike, batch_size: int, seed: int, shard: tuple[int, int] = (0, 1)) -> None:
        """Sorts the images by class.

        Args:
          labels: [n] non-negative integers; classes without images are never drawn.
          batch_size: images in a global batch, 1 to n.
          seed: 0 or more.
          shard: see `TrainingBatches`.

        Raises:
          ValueError: as `EpochOrder`.
        """
        given = np.asarray(labels, np.int32)
        super().__init__(len(given), batch_size, seed, shard)
        self._draw_key = seeding.key(seed, "pipeline/balanced")
        counts = np.bincount(given)
        present = np.flatnonzero(counts)
        with tf.device("CPU:0"):
            self._by_class = tf.constant(np.argsort(given, kind="stable"), tf.int64)
            self._starts = tf.constant((np.cumsum(counts) - counts)[present], tf.int64)
            self._counts = tf.constant(counts[present], tf.int64)

    def indices(self, step: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform(
            [self.batch_size, 2], [self._draw_key, step], dtype=tf.float64, alg="philox"
        )[self.rows]
        classes = tf.cast(draws[:, 0] * tf.cast(tf.size(self._counts), tf.float64), tf.int64)
        place = tf.cast(draws[:, 1] * tf.cast(tf.gather(self._counts, classes), tf.float64), tf.int64)
        return tf.gather(self._by_class, tf.gather(self._starts, classes) + place)


class BalancedBatches(TrainingBatches):
    """`TrainingBatches` in a balanced order."""

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.ArrayLike,
        is_clean: npt.ArrayLike,
        *,
        batch_size: int,
        seed: int,
        shard: tuple[int, int] = (0, 1),
        **options: Any,
    ) -> None:
        """Takes what `TrainingBatches` takes, and raises what it raises."""
        super().__init__(images, labels, is_clean, batch_size=batch_size, seed=seed, shard=shard, **options)
        self._order = BalancedOrder(labels, batch_size, seed, shard)
