"""S-model: a softmax layer of learned label noise behind the student (Goldberger and Ben-Reuven, ICLR 2017).

The simple model: P(given label j) = sum_i p_i q_ij with q the row-wise softmax of free numbers, learned with the
student and left out at test time. It starts as a smoothed identity, or (+CONF of L2RW's tables) as the confusion
matrix of a trained baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from mentornet import transition
from mentornet.inspection import num_classes
from mentornet.methods.preparation import BASELINE_RUN, TRANSITION_MATRIX, check_matrix_options
from mentornet.methods.standard import Standard
from mentornet.options import Option, RunFacts


class SModel(Standard):
    """Training through a noise adaptation layer.

    Args:
        student: a Keras model with a known output shape, images -> logits.
        initial_transition: float [C, C], row-stochastic; None is the identity.
        smoothing: s in (0, 1): the layer starts at (1 - s) matrix + s / C. The nearer to 0, the slower it learns.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a matrix that does not fit, or s outside (0, 1).
    """

    OPTIONS = (
        Option("smoothing", 0.1, "smoothing of the start", within="(0, 1)", flag="noise_layer_smoothing"),
        TRANSITION_MATRIX,
        BASELINE_RUN,
    )

    def __init__(
        self,
        student: keras.Model,
        *,
        initial_transition: npt.ArrayLike | None = None,
        smoothing: float = 0.1,
        **shared: Any,
    ):
        super().__init__(student, **shared)
        classes = num_classes(student)
        start = np.eye(classes) if initial_transition is None else transition.checked(initial_transition, classes)
        logarithms = np.log(transition.smoothed(start, smoothing))
        self.noise_logits = tf.Variable(logarithms, dtype=tf.float32, name="noise_logits")

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        check_matrix_options(options, needed=False)

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        sources = {TRANSITION_MATRIX.name, BASELINE_RUN.name}
        made = {name: value for name, value in options.items() if name not in sources}
        if made.keys() != options.keys():
            made["initial_transition"] = data.transition_matrix(options, confusion=True)
        return made

    def trained_variables(self, peer: int = 0) -> list[tf.Variable]:
        return [*super().trained_variables(peer), self.noise_logits]

    def sample_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        log_q = tf.nn.log_softmax(self.noise_logits)
        return -tf.reduce_logsumexp(log_p + tf.gather(tf.transpose(log_q), label), axis=-1)

    def transition_matrix(self) -> np.ndarray:
        """The noise learned so far."""
        return tf.nn.softmax(self.noise_logits).numpy()
