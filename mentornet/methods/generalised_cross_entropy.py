"""Generalised cross-entropy, between cross-entropy and mean absolute error (Zhang and Sabuncu, NeurIPS 2018, eq. 6)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.standard import Standard
from mentornet.options import Option


class GeneralisedCrossEntropy(Standard):
    """L_q = (1 - p_y^q) / q for the probability p_y of the given label.

    Args:
        student: any Keras model, images -> logits.
        q: in (0, 1]; 1 is the mean absolute error (up to a factor of 2), towards 0 it becomes cross-entropy. 0.7 in the
            paper.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: q outside (0, 1].
    """

    OPTIONS = (Option("q", 0.7, "q of the loss", within="(0, 1]", source="eq. 6", flag="gce_q"),)

    def __init__(self, student: keras.Model, *, q: float = 0.7, **shared: Any):
        super().__init__(student, **shared)
        if not 0.0 < q <= 1.0:
            raise ValueError(f"q={q:g} must lie in (0, 1]")
        self._q = float(q)

    def sample_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        # expm1 keeps the digits that 1 - p^q loses where p is near 1.
        return -tf.math.expm1(-self._q * super().sample_losses(label, logits)) / self._q
