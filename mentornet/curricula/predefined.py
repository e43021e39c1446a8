"""Curricula known from the literature, as formulas (ICML sec. 3, app. D; the release's ``vstar`` functions).

Each has v*, and its G and robust objective rho where these are known. ``threshold`` is l_pt = loss - difference, so
1[d <= 0] and 1[l <= lambda] are the same statement.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import Tensor

from mentornet.curricula.base import Curriculum


def _positive(value: float, what: str) -> float:
    if not value > 0:
        raise ValueError(f"{what}={value:g}: must be greater than 0")
    return float(value)


def _indicator(condition: Tensor) -> Tensor:
    return tf.cast(condition, tf.float32)


class Uniform(Curriculum):
    """``none``: every sample counts fully; rho is the loss itself."""

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        return tf.ones_like(loss)

    def objective(self, loss: Tensor, threshold: Tensor | float) -> Tensor:
        return tf.identity(loss)


class SelfPaced(Curriculum):
    """``self_paced`` (Kumar et al. 2010, ICML eq. 2): 1[l <= lambda], lambda the moving percentile.

    ``growth`` raises lambda linearly by that share over training (app. E.2 uses 0.2 for the baseline); ``threshold``
    fixes lambda to a number instead of l_pt.
    """

    def __init__(self, growth: float = 0.0, threshold: float = 0.0):
        if growth < 0 or threshold < 0:
            raise ValueError("self_paced: growth and threshold must not be negative")
        self._growth, self._threshold = float(growth), float(threshold)

    def _lambda(self, threshold: Tensor | float) -> Tensor | float:
        return self._threshold if self._threshold else threshold

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        # The difference itself is compared wherever possible: a loss on the percentile counts as kept.
        if not self._growth and not self._threshold:
            return _indicator(difference <= 0.0)
        limit = self._lambda(loss - difference) * (1.0 + self._growth * tf.cast(epoch, tf.float32) / 99.0)
        return _indicator(loss <= limit)

    def regulariser(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        return -self._lambda(threshold) * weight

    def regulariser_gradient(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        return -self._lambda(threshold) * tf.ones_like(weight)

    def objective(self, loss: Tensor, threshold: Tensor | float) -> Tensor:
        return tf.minimum(loss, self._lambda(threshold))


class HardExampleMining(Curriculum):
    """``hard_example_mining`` (Felzenszwalb et al. 2010): 1[d >= 0], and 1 for every sample of a positive label.

    It comes from detectors: the rare positives (label 1) are all kept, and the hard ones chosen among the negatives
    (label 0). Among more classes than two there are no negatives, so that the loss alone decides, whatever the label.

    Args:
        positive_label_kept: 1 keeps the positives, which more than two classes refuse; 0 goes by the loss alone. None
            stands for 1 with two classes, and for 0 with more.
    """

    counts_classes = True

    def __init__(self, positive_label_kept: float | None = None):
        self._asked, self._positive = positive_label_kept, positive_label_kept is None or bool(positive_label_kept)

    def for_classes(self, num_classes: int) -> HardExampleMining:
        if num_classes == 2 or not self._positive:
            return self
        if self._asked is not None:
            raise ValueError(
                f"positive_label_kept={self._asked:g} keeps the positives of two classes, but there are {num_classes}: "
                "leave it out"
            )
        found = HardExampleMining(0)
        found.name = self.name
        return found

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        hard = difference >= 0.0
        return _indicator(tf.logical_or(hard, label > 0) if self._positive else hard)


class FocalLoss(Curriculum):
    """``focal_loss`` (ICML eq. 8, 30): (1 - exp(-l))^gamma; the paper tunes gamma over 1, 2, 3."""

    def __init__(self, gamma: float = 2.0):
        self._gamma = _positive(gamma, "focal_loss: gamma")

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        return tf.pow(-tf.math.expm1(-tf.maximum(loss, 0.0)), self._gamma)


class LinearWeighting(Curriculum):
    """ICML eq. 5 and 7 (Jiang et al. 2015): clip(1 - (l - lambda_1) / lambda_2, 0, 1).

    ``spcl_linear`` takes lambda_1 = l_pt and lambda_2 = gamma. ``spcl`` fixes both; lambda_2 = 0 is self-paced.
    """

    def __init__(self, gamma: float = 1.0, lambda1: float | None = None):
        if gamma < 0 or (lambda1 is not None and lambda1 < 0):
            raise ValueError("linear weighting: lambda1 and lambda2 (gamma) must not be negative")
        self._gamma, self._lambda1 = float(gamma), lambda1

    def _lambda(self, threshold: Tensor | float) -> Tensor | float:
        return threshold if self._lambda1 is None else self._lambda1

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        over = difference if self._lambda1 is None else loss - self._lambda1
        if self._gamma == 0.0:
            return _indicator(over <= 0.0)
        return tf.clip_by_value(1.0 - over / self._gamma, 0.0, 1.0)

    def regulariser(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        return 0.5 * self._gamma * tf.square(weight) - (self._lambda(threshold) + self._gamma) * weight

    def regulariser_gradient(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        return self._gamma * weight - (self._lambda(threshold) + self._gamma)

    def objective(self, loss: Tensor, threshold: Tensor | float) -> Tensor:
        """ICML eq. 11 (remark 1)."""
        lambda1 = tf.cast(self._lambda(threshold), tf.float32)
        if self._gamma == 0.0:
            return tf.minimum(loss, lambda1)
        theta = (lambda1 + self._gamma) / self._gamma
        middle = theta * loss - tf.square(loss) / (2 * self._gamma) - tf.square(theta - 1) * self._gamma / 2
        capped = tf.where(loss >= lambda1 + self._gamma, (self._gamma + 2 * lambda1) / 2, middle)
        return tf.where(loss <= lambda1, loss, capped)


def spcl_linear(gamma: float = 1.0) -> LinearWeighting:
    """``spcl_linear``: linear weighting that starts to fall at l_pt and reaches 0 at l_pt + gamma."""
    return LinearWeighting(gamma)


def spcl(lambda1: float = 1.0, lambda2: float = 1.0) -> LinearWeighting:
    """``spcl``: eq. 5 with both its parameters fixed."""
    return LinearWeighting(lambda2, lambda1)


class MentorNetPD(Curriculum):
    """``mentornet_pd``: all samples up to percent 18, then self-paced, and from percent 90 linear weighting."""

    _first_selective = 19

    def __init__(self, gamma: float = 1.0):
        self._easy, self._linear = SelfPaced(), LinearWeighting(_positive(gamma, "mentornet_pd: gamma"))

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        inputs = (loss, difference, label, epoch)
        selective = tf.where(epoch >= 90, self._linear(*inputs), self._easy(*inputs))
        return tf.where(epoch < self._first_selective, tf.ones_like(loss), selective)


class MentorNetPDv1(MentorNetPD):
    """``mentornet_pd_v1`` (v1): the same with weight 1 for the whole first 20%.

    The preprint pairs it with percentiles "0.75,90,0.8,10" and drop rates "0.5,20,0.05,70" falling to 0; these are
    settings of the training method, given in its recipe.
    """

    _first_selective = 20


class TemporalMixture(Curriculum):
    """``temporal_mixture`` (app. D): self-paced up to percent ``switch`` (50), hard example mining from it on."""

    counts_classes = True

    def __init__(self, switch: float = 50):
        if not 0 <= switch <= 100:
            raise ValueError(f"temporal_mixture: switch={switch:g} must lie in 0..100")
        self._switch, self._easy, self._hard = int(switch), SelfPaced(), HardExampleMining()

    def for_classes(self, num_classes: int) -> TemporalMixture:
        found = TemporalMixture(self._switch)
        found.name, found._hard = self.name, self._hard.for_classes(num_classes)
        return found

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        inputs = (loss, difference, label, epoch)
        return tf.where(epoch < self._switch, self._easy(*inputs), self._hard(*inputs))


class PredictionVariance(Curriculum):
    """``prediction_variance`` (app. D, after Chang et al. 2017): samples whose prediction keeps changing count more.

    With p_t = exp(-l_t), the predicted probability of the given label t epochs ago, the weight is the paper's
    sqrt(var + var^2 / (T - 1)) + eps, times ``scale`` so that the largest standard deviation possible (1/2) is near
    weight 1, clipped to [0, 1].
    """

    history = 10

    def __init__(self, scale: float = 2.0, epsilon: float = 0.0):
        self._scale, self._epsilon = _positive(scale, "prediction_variance: scale"), float(epsilon)

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        probability = tf.exp(-loss)
        variance = tf.math.reduce_variance(probability, axis=-1)
        deviation = tf.sqrt(variance + tf.square(variance) / (self.history - 1)) + self._epsilon
        return tf.clip_by_value(self._scale * deviation, 0.0, 1.0)
