"""Bootstrapping: part of the target is the student's own prediction (Reed et al., ICLR 2015 workshop, eqs. 6 and 7).

Target: beta times the given label plus (1 - beta) times the predicted distribution p (soft) or its argmax (hard).
Baseline of MentorNet (ICML 2018, eqs. 31 and 32; beta in 0.7, 0.8, 0.9, 0.95) and of L2RW (hard 0.8, soft 0.95).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.standard import Standard
from mentornet.options import Option

KINDS = ("soft", "hard")


class Reed(Standard):
    """Cross-entropy against the bootstrapped target.

    Args:
        student: any Keras model, images -> logits.
        kind: "soft" differentiates the prediction in the target as well, which makes it the cross-entropy plus
            (1 - beta) times the entropy of the prediction, as Reed et al. describe it; "hard" can't be differentiated.
        beta: share of the given label in [0, 1]; None: 0.95 soft, 0.8 hard.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: an unknown kind, or beta outside [0, 1].
    """

    OPTIONS = (
        Option("kind", "hard", "soft or hard bootstrapping", choices=KINDS, flag="reed_kind"),
        Option(
            "beta", None, "share of the given label; by default 0.95 soft, 0.8 hard", float, "[0, 1]", flag="reed_beta"
        ),
    )

    def __init__(self, student: keras.Model, *, kind: str = "hard", beta: float | None = None, **shared: Any):
        super().__init__(student, **shared)
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: use one of {', '.join(KINDS)}")
        self._beta = {"soft": 0.95, "hard": 0.8}[kind] if beta is None else float(beta)
        if not 0.0 <= self._beta <= 1.0:
            raise ValueError(f"beta={self._beta:g} must lie in [0, 1]")
        self._soft = kind == "soft"

    def sample_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        classes = log_p.shape[-1]
        own = tf.exp(log_p) if self._soft else tf.one_hot(tf.argmax(log_p, axis=-1), classes)
        target = self._beta * tf.one_hot(label, classes) + (1.0 - self._beta) * own
        return -tf.reduce_sum(target * log_p, axis=-1)
