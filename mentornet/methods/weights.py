"""Weights from scores, as several methods make them."""

from __future__ import annotations

import math

import tensorflow as tf

from mentornet.methods.statistics import given_share


def normalised(weights: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """L2RW eq. 9: weights / (S + [S = 0]) with S their sum over the global batch, so that they sum to 1 or are 0."""
    return weights / (total + tf.cast(tf.equal(total, 0.0), tf.float32))


def label_weights(
    scores: tf.Tensor, size: tf.Tensor, ablation: str, normalisation: str, scope: str, temperature: float
) -> tf.Tensor:
    """L2B's weights of given and pseudo labels (eqs. 8 and 9, and what its code and table 8 have instead).

    Args:
        scores: float32 [2, n], of the global batch.
        size: n, float32.
        ablation: see ``L2B``.
        normalisation: likewise.
        scope: likewise.
        temperature: likewise.

    Returns:
        (alpha, beta) float32 [2, n].
    """
    kept = tf.constant({"alpha_zero": [[0.0], [1.0]], "beta_zero": [[1.0], [0.0]]}.get(ablation, [[1.0]] * 2))
    rectified = tf.nn.relu(scores) * kept
    if ablation == "alpha_plus_beta_one":
        share = given_share(rectified[0], rectified[1])
        return tf.stack([share, 1.0 - share]) / size
    if normalisation == "sigmoid":
        raw = tf.sigmoid(rectified) * kept
    elif normalisation == "softmax":
        # Against the largest of those that are normalised together, or the others' exponentials may all be 0.
        masked = tf.where(kept > 0, scores, -math.inf)
        highest = tf.reduce_max(masked, axis=None if scope == "joint" else 1, keepdims=True)
        raw = tf.where(kept > 0, tf.exp((scores - highest) / temperature), 0.0)
    else:
        raw = rectified
    if scope == "joint":
        return normalised(raw, tf.reduce_sum(raw))
    rows = 2.0 if ablation == "none" else 1.0
    return normalised(raw, tf.reduce_sum(raw, axis=1, keepdims=True)) / rows
