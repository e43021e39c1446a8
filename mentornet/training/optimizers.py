"""Momentum SGD as the papers ran it, and the step-wise learning rate (ICML app. E.1)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="mentornet")
class MomentumSGD(keras.optimizers.Optimizer):
    """v <- momentum v + g; w <- w - learning_rate v.

    TensorFlow 1 and PyTorch keep the rate outside the velocity like this; Keras' SGD keeps it inside, which differs
    whenever the rate changes.

    Args:
        learning_rate: a number or a Keras schedule of the step.
        momentum: in [0, 1).
    """

    def __init__(self, learning_rate: Any = 0.1, momentum: float = 0.9, name: str = "MomentumSGD", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum={momentum:g} must lie in [0, 1)")
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum = momentum

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.velocities = [self.add_variable_from_reference(model_variable=v, variable_name="m") for v in var_list]
        self._built = True

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        velocity = self.velocities[self._index_dict[self._var_key(variable)]]
        # One locked operation where the variable lives: workers that share a parameter server would otherwise
        # overwrite each other's velocities and lose updates.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(self.learning_rate, variable.dtype),
            grad=tf.convert_to_tensor(gradient),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_locking=True,
        )

    def present_rate(self) -> tf.Tensor:
        """The rate of the coming step; ``learning_rate`` under a schedule is still that of the step before."""
        rate = self._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            rate = rate(self.iterations)
        return tf.cast(rate, tf.float32)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(learning_rate=self._serialize_hyperparameter(self._learning_rate), momentum=self.momentum)
        return config


def stepwise_rate(
    learning_rate: float, boundaries: Sequence[int], factor: float
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """``learning_rate`` times ``factor`` to the number of boundaries (in steps) that lie behind.

    The step after a boundary is the first with the lower rate: with a boundary at 100, steps 0..100 use the old one.

    Raises:
        ValueError: a rate or factor that is not positive, or boundaries that do not increase.
    """
    if learning_rate <= 0 or factor <= 0:
        raise ValueError(f"learning rate {learning_rate:g} and decay factor {factor:g} must be greater than 0")
    if any(a >= b for a, b in itertools.pairwise(boundaries)) or any(b <= 0 for b in boundaries):
        raise ValueError(f"learning rate boundaries {list(boundaries)} must be positive and increase")
    if not boundaries:
        return learning_rate
    rates = [learning_rate * factor**k for k in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay([int(b) for b in boundaries], rates)
