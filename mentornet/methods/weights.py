"""Weights from scores, as several methods make them."""

from __future__ import annotations

import tensorflow as tf


def normalised(weights: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """L2RW eq. 9: weights / (S + [S = 0]) with S their sum over the global batch, so that they sum to 1 or are 0."""
    return weights / (total + tf.cast(tf.equal(total, 0.0), tf.float32))
