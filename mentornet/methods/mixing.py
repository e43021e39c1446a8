"""What semi-supervised methods do with the views of a batch: guess labels, sharpen them, mix samples, and the losses.

MixMatch (Berthelot et al., NeurIPS 2019, section 3) as DivideMix uses it (Li et al., ICLR 2020, section 3.2): labelled
and unlabelled samples mix freely, and which loss a row has follows from the sample that keeps the larger part of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy import stats

from mentornet.features import random_seed
from mentornet.methods.replicas import gather, own_part, replicas, total

_TINY = 1e-12
_QUANTILES = 4096


def guess(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """The mean of several predicted distributions, a constant.

    Args:
        logits: each float [n, C], of other views or networks.

    Returns:
        float32 [n, C]; rows sum to 1.
    """
    predicted = [tf.nn.softmax(tf.cast(answered, tf.float32)) for answered in logits]
    return tf.stop_gradient(tf.add_n(predicted) / len(predicted))


def refined(label: tf.Tensor, clean: tf.Tensor, guessed: tf.Tensor) -> tf.Tensor:
    """Given labels that count as much as they are probably right: w y + (1 - w) guess (eq. 3).

    Args:
        label: int [n].
        clean: w, float32 [n] in [0, 1].
        guessed: distributions float32 [n, C].

    Returns:
        float32 [n, C].
    """
    weight = clean[:, tf.newaxis]
    return weight * tf.one_hot(label, guessed.shape[-1]) + (1.0 - weight) * guessed


def sharpened(distributions: tf.Tensor, temperature: float) -> tf.Tensor:
    """p_k^(1/T) / sum of them (eq. 4): float32 [n, C] -> [n, C]; T = 1 changes nothing, T -> 0 leaves the largest."""
    # Against the largest, so that a small temperature does not let all of them vanish.
    scaled = distributions / tf.maximum(tf.reduce_max(distributions, axis=-1, keepdims=True), _TINY)
    powers = tf.pow(scaled, 1.0 / temperature)
    return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)


def mixing_weight(alpha: float, seed: int, step: tf.Tensor) -> tf.Tensor:
    """lambda ~ Beta(alpha, alpha), or 1 - lambda if that is more; a function of (seed, step), float32 in [0.5, 1].

    By the inverse of its distribution, between tabled quantiles: XLA has no Gamma variables.
    """
    places = np.linspace(0.5, 1.0, _QUANTILES + 1)
    quantiles = tf.constant(stats.beta(alpha, alpha).ppf(places), tf.float32)
    place = tf.random.stateless_uniform([], random_seed(seed, "mixing_weight", step)) * _QUANTILES
    below = tf.minimum(tf.cast(place, tf.int32), _QUANTILES - 1)
    low, high = tf.gather(quantiles, below), tf.gather(quantiles, below + 1)
    return low + (high - low) * (place - tf.cast(below, tf.float32))


def permutation(count: tf.Tensor | int, seed: int, step: tf.Tensor) -> tf.Tensor:
    """A random order of ``count`` rows, int32 [count]; a function of (seed, step)."""
    return tf.argsort(tf.random.stateless_uniform([count], random_seed(seed, "mixing_partners", step)), stable=True)


def mixed(values: tf.Tensor, partners: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """weight values + (1 - weight) partners, of the same shape."""
    return weight * values + (1.0 - weight) * partners


def mixed_batch(
    images: tf.Tensor, targets: tf.Tensor, weight: tf.Tensor, partners: tf.Tensor, labelled: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Every row with the larger part of itself and the smaller one of its partner (eqs. 7 and 8).

    Args:
        images: float32 [n, h, w, c], this replica's rows, the labelled ones first.
        targets: float32 [n, C].
        weight: of a row itself.
        partners: int32 [all rows of the global batch, the labelled ones first], which row each is mixed with.
        labelled: how many of the n rows are labelled.
    """
    all_labelled = labelled * replicas()
    own = tf.concat(
        [own_part(partners[:all_labelled], images[:labelled]), own_part(partners[all_labelled:], images[labelled:])], 0
    )

    def everyones(rows: tf.Tensor) -> tf.Tensor:
        return rows if replicas() == 1 else tf.concat([gather(rows[:labelled]), gather(rows[labelled:])], 0)

    first, second = (mixed(rows, tf.gather(everyones(rows), own), weight) for rows in (images, targets))
    return first, second


def sample_rows(views: Sequence[tf.Tensor]) -> tf.Tensor:
    """One row a view, those of a sample together: k times [b, ...] -> [k b, ...].

    So the rows of several replicas, one behind the other, are those of the whole batch.

    Args:
        views: each [b, ...], a view of the samples or what belongs to it.
    """
    together = tf.stack(views, axis=1)
    return tf.reshape(together, tf.concat([[-1], tf.shape(together)[2:]], 0))


def semi_supervised(
    targets: tf.Tensor, logits: tf.Tensor, strength: tf.Tensor | float, labelled: tf.Tensor | int
) -> tf.Tensor:
    """L_x + strength L_u + L_reg (eq. 12): this replica's share of the loss of the global batch.

    Args:
        targets: float32 [n, C], the labelled rows first.
        logits: float32 [n, C].
        strength: lambda_u as it is now.
        labelled: how many of the n rows are labelled; L_u is 0 if all are.
    """
    rows, kept = (tf.cast(count * replicas(), tf.float32) for count in (tf.shape(logits)[0], labelled))
    supervised = tf.reduce_sum(cross_entropies(targets[:labelled], logits[:labelled])) / kept
    guessed = tf.reduce_sum(squared_errors(targets[labelled:], logits[labelled:])) / tf.maximum(rows - kept, 1.0)
    mean_prediction = total(tf.reduce_sum(tf.nn.softmax(logits), axis=0) / rows)
    return supervised + strength * guessed + imbalance(mean_prediction) / replicas()


def cross_entropies(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """- sum_k target_k log p_k of every row (eq. 9), [n, C] -> float32 [n]."""
    return -tf.reduce_sum(targets * tf.nn.log_softmax(tf.cast(logits, tf.float32)), axis=-1)


def squared_errors(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The mean over the C classes of (p_k - target_k)^2 of every row (eq. 10), [n, C] -> float32 [n]."""
    return tf.reduce_mean(tf.square(tf.nn.softmax(tf.cast(logits, tf.float32)) - targets), axis=-1)


def imbalance(mean_prediction: tf.Tensor) -> tf.Tensor:
    """sum_k 1/C log((1/C) / p_k) of a mean prediction float32 [C] (eq. 11): 0 if it is uniform, else above 0."""
    prior = 1.0 / mean_prediction.shape[-1]
    return tf.reduce_sum(prior * tf.math.log(prior / tf.maximum(mean_prediction, _TINY)))


def negative_entropies(logits: tf.Tensor) -> tf.Tensor:
    """sum_k p_k log p_k of every row (eq. 6 of DivideMix, for asymmetric noise): [n, C] -> float32 [n], at most 0."""
    logits = tf.cast(logits, tf.float32)
    return tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), axis=-1)


def ramp(epoch: tf.Tensor, start: float, length: float = 16.0) -> tf.Tensor:
    """0 up to epoch ``start``, rising linearly to 1 within ``length`` epochs; released code of DivideMix."""
    return tf.clip_by_value((epoch - start) / length, 0.0, 1.0)
