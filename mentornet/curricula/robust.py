"""Weightings behind classic robust M-estimators (ICML proposition 1, app. C, eq. 22 to 29).

Weighting a sample by v*(l) and descending v* l is descending rho(l) = integral_0^l v*. For Huber and log-sum G follows
from -G'(v*) = l.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import Tensor

from mentornet.curricula.base import Curriculum


class Huber(Curriculum):
    """``huber`` (eq. 22 to 24): 1/2 for l <= lambda^2, then lambda / (2 sqrt(l)); G = lambda^2 / (4 v) on (0, 1/2]."""

    weight_limit = 0.5

    def __init__(self, scale: float = 1.0):
        if scale <= 0:
            raise ValueError(f"huber: scale={scale:g} must be greater than 0")
        self._scale = float(scale)

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        safe = tf.maximum(loss, self._scale**2)
        return tf.where(loss <= self._scale**2, 0.5 * tf.ones_like(loss), self._scale / (2.0 * tf.sqrt(safe)))

    def regulariser(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        return self._scale**2 / (4.0 * weight)

    def regulariser_gradient(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        # G rises without bound towards v = 0; the floor keeps one explicit step finite.
        return -(self._scale**2) / (4.0 * tf.square(tf.maximum(weight, 1e-2)))

    def objective(self, loss: Tensor, threshold: Tensor | float) -> Tensor:
        outer = self._scale * (tf.sqrt(tf.maximum(loss, 0.0)) - 0.5 * self._scale)
        return tf.where(loss <= self._scale**2, 0.5 * loss, outer)


class LogSum(Curriculum):
    """``log_sum`` (eq. 25 to 27): lambda / (l + epsilon); lambda = epsilon keeps it in (0, 1].

    G = -lambda log v + epsilon v, rho = lambda log(1 + l / epsilon).
    """

    def __init__(self, scale: float = 1.0, epsilon: float = 1.0):
        if scale <= 0 or epsilon < scale:
            raise ValueError(f"log_sum: needs 0 < scale <= epsilon for weights in [0, 1], got {scale:g}, {epsilon:g}")
        self._scale, self._epsilon = float(scale), float(epsilon)

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        return self._scale / (tf.maximum(loss, 0.0) + self._epsilon)

    def regulariser(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        return -self._scale * tf.math.log(weight) + self._epsilon * weight

    def regulariser_gradient(self, weight: Tensor, threshold: Tensor | float) -> Tensor:
        return -self._scale / tf.maximum(weight, 1e-2) + self._epsilon

    def objective(self, loss: Tensor, threshold: Tensor | float) -> Tensor:
        return self._scale * tf.math.log1p(loss / self._epsilon)


class Lorentzian(Curriculum):
    """``lorentzian`` (eq. 28, 29): 2 l / (2 delta^2 + l^2), clipped to [0, 1].

    The paper integrates the unclipped weight, rho = log(1 + (l / delta)^2 / 2); the two agree for
    delta >= 1 / sqrt(2), where the weight never exceeds 1.
    """

    def __init__(self, delta: float = 1.0):
        if delta <= 0:
            raise ValueError(f"lorentzian: delta={delta:g} must be greater than 0")
        self._delta = float(delta)

    def __call__(self, loss: Tensor, difference: Tensor, label: Tensor, epoch: Tensor) -> Tensor:
        return tf.clip_by_value(2.0 * loss / (2.0 * self._delta**2 + tf.square(loss)), 0.0, 1.0)

    def objective(self, loss: Tensor, threshold: Tensor | float) -> Tensor:
        return tf.math.log1p(0.5 * tf.square(loss / self._delta))
