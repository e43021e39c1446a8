"""The one call every curriculum answers: (loss, loss difference, label, epoch percent) -> weight in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


class Curriculum:
    """A weighting of samples, predefined (a formula) or learned (a frozen MentorNet).

    Attributes:
        name: what ``mentornet.curricula.get`` knows it by, parameters included.
        history: length T of the loss history it reads; 1 for all but those that look at the past.
        activation_size: a; above 0, its call takes ``activation`` float32 [b, a] as a further argument: the student's
            activation before its logits.
        weight_limit: the largest weight its G allows (1, but 1/2 for Huber).
        counts_classes: ``for_classes`` makes a difference.
        frozen_variables: variables that a checkpoint must carry (a learned curriculum's weights).
    """

    name: str = ""
    history: int = 1
    activation_size: int = 0
    weight_limit: float = 1.0
    counts_classes: bool = False

    def __call__(self, loss: tf.Tensor, difference: tf.Tensor, label: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        """The weights v*.

        Args:
            loss: float32 [b], or [b, T] (oldest first) where ``history`` is T > 1; >= 0.
            difference: loss minus its moving percentile l_pt, same shape.
            label: int32 [b], given labels.
            epoch: int32 scalar or [b], percent of training in 0..99.

        Returns:
            float32 [b] in [0, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} defines no weights")

    def for_classes(self, num_classes: int) -> Curriculum:
        """The curriculum for labels 0 to ``num_classes`` - 1; SPADE asks with its student's. Here: the same for all.

        Raises:
            ValueError: it means nothing for so many classes.
        """
        del num_classes
        return self

    @property
    def frozen_variables(self) -> list[tf.Variable]:
        """Variables of a learned curriculum; none for a formula."""
        return []

    def regulariser(self, weight: tf.Tensor, threshold: tf.Tensor | float) -> tf.Tensor | None:
        """G(v; lambda) of ICML eq. 1, a sample at a time; None where no G is known.

        Args:
            weight: float32 [b] in [0, weight_limit].
            threshold: the l_pt in force (lambda_1 of eq. 5), unless the curriculum fixes its own.
        """
        return None

    def regulariser_gradient(self, weight: tf.Tensor, threshold: tf.Tensor | float) -> tf.Tensor | None:
        """dG/dv, same arguments as ``regulariser``; what alg. 1 step 9 descends."""
        return None

    def objective(self, loss: tf.Tensor, threshold: tf.Tensor | float) -> tf.Tensor | None:
        """The underlying robust objective rho(l) = integral of v* from 0 to l (ICML eq. 10); None if there is none."""
        return None


class FunctionCurriculum(Curriculum):
    """A plain function as a curriculum.

    Args:
        function: (loss, difference, label, epoch) -> weights float32 [b], in TensorFlow operations; see ``Curriculum``.
    """

    def __init__(self, function: Callable[..., tf.Tensor]):
        self._function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def __call__(self, loss: tf.Tensor, difference: tf.Tensor, label: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._function(loss, difference, label, epoch), tf.float32)
