"""Loss correction with a known or estimated transition matrix T (Patrini et al., CVPR 2017, theorems 1 and 2).

T[i, j] = P(given label j | true class i). Forward: the cross-entropy of the given label under the predicted
distribution of given labels, -log (p T)_y; its minimiser is the clean classifier. Backward: sum_j (T^-1)_yj l_j, whose
mean over the noise is the clean loss. Both take T from a first training on the noisy labels (``transition.estimated``),
or from whoever knows it.
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
from mentornet.methods.preparation import BASELINE_RUN, OUTLIERS, TRANSITION_MATRIX, check_matrix_options
from mentornet.methods.standard import Standard
from mentornet.options import RunFacts

_LOG_OF_ZERO = -1e9
_WORST_CONDITION = 1e6


class _LossCorrection(Standard):
    """A method that was given its T."""

    OPTIONS = (TRANSITION_MATRIX, BASELINE_RUN, OUTLIERS)

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        check_matrix_options(options, needed=True)

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        return {"transition_matrix": data.transition_matrix(options)}

    def __init__(self, student: keras.Model, *, transition_matrix: npt.ArrayLike, **shared: Any):
        super().__init__(student, **shared)
        self._matrix = transition.checked(transition_matrix, num_classes(student))

    def transition_matrix(self) -> np.ndarray:
        return self._matrix


class ForwardCorrection(_LossCorrection):
    """Cross-entropy through T.

    Args:
        student: a Keras model with a known output shape, images -> logits.
        transition_matrix: float [C, C], row-stochastic.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a matrix of another size than the student's classes, or that is not row-stochastic.
    """

    def __init__(self, student: keras.Model, *, transition_matrix: npt.ArrayLike, **shared: Any):
        super().__init__(student, transition_matrix=transition_matrix, **shared)
        logarithms = np.log(self._matrix, out=np.full_like(self._matrix, _LOG_OF_ZERO), where=self._matrix > 0)
        self._log_columns = tf.constant(logarithms.T, tf.float32)

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        found = super().prepared(options, data)
        if data.kept_matrix is None:
            checked = transition.checked(found["transition_matrix"], data.num_classes)
            transition.check_labels(checked, data.given)
        return found

    def sample_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        # In logarithms, because p T underflows where the student is sure and wrong.
        log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        return -tf.reduce_logsumexp(log_p + tf.gather(self._log_columns, label), axis=-1)


class BackwardCorrection(_LossCorrection):
    """Cross-entropy times the inverse of T; the loss of a sample can be negative.

    Args:
        student: a Keras model with a known output shape, images -> logits.
        transition_matrix: float [C, C], row-stochastic and invertible.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a matrix that does not fit, or that can't be inverted.
    """

    divergence_advice = (
        "a corrected loss falls without bound where the transition matrix does not fit the labels: a lower "
        "--learning_rate may help, or --method=forward_correction, whose loss is never negative"
    )

    def __init__(self, student: keras.Model, *, transition_matrix: npt.ArrayLike, **shared: Any):
        super().__init__(student, transition_matrix=transition_matrix, **shared)
        if np.linalg.cond(self._matrix) > _WORST_CONDITION:
            raise ValueError(
                "the transition matrix can't be inverted: use forward correction, which does not need that"
            )
        self._inverse = tf.constant(np.linalg.inv(self._matrix), tf.float32)

    def sample_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        return -tf.reduce_sum(tf.gather(self._inverse, label) * log_p, axis=-1)
