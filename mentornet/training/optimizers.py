"""Momentum SGD, Adam and RMSProp as the papers' codes ran them, and their learning rates.

The step-wise rate is MentorNet's (ICML app. E.1), the linear decay Co-teaching's and S2E's. Weight decay is coupled:
it is part of the loss, and so of the gradients that reach velocities and moments.
"""

from __future__ import annotations

import itertools
import math
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
        return _present_rate(self)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(learning_rate=self._serialize_hyperparameter(self._learning_rate), momentum=self.momentum)
        return config


@keras.saving.register_keras_serializable(package="mentornet")
class Adam(keras.optimizers.Optimizer):
    """Adam with PyTorch's conventions (Kingma and Ba, ICLR 2015, alg. 1).

    m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon),
    with t counted from 1. Keras' own Adam adds its epsilon (1e-7) to the root before the correction by b2, and forms
    one rate of both corrections.

    Args:
        learning_rate: a number or a Keras schedule of the step.
        beta_1: in [0, 1), or a Keras schedule of the step; the correction uses the present value, as PyTorch does when
            it is changed under way.
        beta_2: in [0, 1).
        epsilon: above 0.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: Any = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "Adam",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.means = [self.add_variable_from_reference(model_variable=v, variable_name="m") for v in var_list]
        self.squares = [self.add_variable_from_reference(model_variable=v, variable_name="v") for v in var_list]
        self._built = True

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        place = self._index_dict[self._var_key(variable)]
        mean, square = self.means[place], self.squares[place]
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        beta_1 = self.beta_1(self.iterations) if callable(self.beta_1) else self.beta_1
        beta_1, beta_2 = tf.cast(beta_1, variable.dtype), tf.cast(self.beta_2, variable.dtype)
        count = tf.cast(self.iterations + 1, variable.dtype)
        mean.assign(beta_1 * mean + (1.0 - beta_1) * gradient)
        square.assign(beta_2 * square + (1.0 - beta_2) * tf.square(gradient))
        rate = tf.cast(self.learning_rate, variable.dtype) / (1.0 - tf.pow(beta_1, count))
        root = tf.sqrt(square / (1.0 - tf.pow(beta_2, count))) + self.epsilon
        variable.assign_sub(rate * mean / root)

    def present_rate(self) -> tf.Tensor:
        """The rate of the coming step; see ``MomentumSGD.present_rate``."""
        return _present_rate(self)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            learning_rate=self._serialize_hyperparameter(self._learning_rate),
            beta_1=self._serialize_hyperparameter(self.beta_1),
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Adam:
        config = dict(config)
        if isinstance(config.get("beta_1"), dict):
            config["beta_1"] = keras.optimizers.schedules.deserialize(config["beta_1"], custom_objects=custom_objects)
        made: Adam = super().from_config(config, custom_objects)
        return made


@keras.saving.register_keras_serializable(package="mentornet")
class RMSProp(keras.optimizers.Optimizer):
    """RMSProp with PyTorch's conventions, the optimiser of S2E's figure 1(e) (Hinton et al., 2012).

    v <- rho v + (1 - rho) g^2; w <- w - rate g / (sqrt(v) + epsilon), v = 0 at the start, without momentum. TensorFlow
    1 begins at v = 1 with rho = 0.9 and has its epsilon, 1e-10, inside the root; Keras has it, 1e-7, inside, too.

    Args:
        learning_rate: a number or a Keras schedule of the step.
        rho: in [0, 1).
        epsilon: above 0.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self, learning_rate: Any = 0.01, rho: float = 0.99, epsilon: float = 1e-8, name: str = "RMSProp", **kwargs: Any
    ):
        super().__init__(name=name, **kwargs)
        if not (0.0 <= rho < 1.0 and epsilon > 0.0):
            raise ValueError(f"rho={rho:g} must lie in [0, 1) and epsilon={epsilon:g} be above 0")
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.rho, self.epsilon = rho, epsilon

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.squares = [self.add_variable_from_reference(model_variable=v, variable_name="v") for v in var_list]
        self._built = True

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        square = self.squares[self._index_dict[self._var_key(variable)]]
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        rho = tf.cast(self.rho, variable.dtype)
        square.assign(rho * square + (1.0 - rho) * tf.square(gradient))
        variable.assign_sub(tf.cast(self.learning_rate, variable.dtype) * gradient / (tf.sqrt(square) + self.epsilon))

    def present_rate(self) -> tf.Tensor:
        """The rate of the coming step; see ``MomentumSGD.present_rate``."""
        return _present_rate(self)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        rate = self._serialize_hyperparameter(self._learning_rate)
        config.update(learning_rate=rate, rho=self.rho, epsilon=self.epsilon)
        return config


@keras.saving.register_keras_serializable(package="mentornet")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """The first rate up to an epoch, then falling linearly to what would be 0 behind the last one.

    rate (E - e) / (E - s) in the epochs e = s, ..., E - 1, the same for all steps of an epoch (released codes of
    Co-teaching and S2E: s = 80 of E = 200).

    Args:
        learning_rate: above 0.
        steps_per_epoch: at least 1.
        epochs: E, at least 1.
        start: s in [0, E); None: 40% of E.

    Raises:
        ValueError: a decay that starts behind the end.
    """

    def __init__(self, learning_rate: float, steps_per_epoch: int, epochs: int, start: float | None = None):
        self.learning_rate, self.steps_per_epoch, self.epochs = learning_rate, steps_per_epoch, epochs
        self.start = 0.4 * epochs if start is None else float(start)
        if not 0.0 <= self.start < epochs:
            raise ValueError(f"the linear decay starts in epoch {self.start:g}, but there are only {epochs}")

    def __call__(self, step: Any) -> tf.Tensor:
        epoch = tf.cast(step // self.steps_per_epoch, tf.float32)
        falling = (self.epochs - epoch) / (self.epochs - self.start)
        return self.learning_rate * tf.clip_by_value(falling, 0.0, 1.0)

    def switched(self, before: float, after: float) -> keras.optimizers.schedules.LearningRateSchedule:
        """``before`` up to the step with which the decay begins, ``after`` from there on."""
        first = math.ceil(self.start) * self.steps_per_epoch
        if first == 0:
            return keras.optimizers.schedules.PiecewiseConstantDecay([0], [after, after])
        return keras.optimizers.schedules.PiecewiseConstantDecay([first - 1], [before, after])

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "steps_per_epoch": self.steps_per_epoch,
            "epochs": self.epochs,
            "start": self.start,
        }


@keras.saving.register_keras_serializable(package="mentornet")
class InverseDecay(keras.optimizers.schedules.LearningRateSchedule):
    """rate k / (e + k) in epoch e, the same for all its steps (released code of L2B for PROMISE12: k = 20).

    Args:
        learning_rate: above 0.
        steps_per_epoch: at least 1.
        epochs: k, above 0.
    """

    def __init__(self, learning_rate: float, steps_per_epoch: int, epochs: float):
        self.learning_rate, self.steps_per_epoch, self.epochs = learning_rate, steps_per_epoch, float(epochs)

    def __call__(self, step: Any) -> tf.Tensor:
        epoch = tf.cast(step // self.steps_per_epoch, tf.float32)
        return self.learning_rate * self.epochs / (epoch + self.epochs)

    def get_config(self) -> dict[str, Any]:
        return {"learning_rate": self.learning_rate, "steps_per_epoch": self.steps_per_epoch, "epochs": self.epochs}


def _present_rate(optimizer: Any) -> tf.Tensor:
    """The rate of the coming step; ``learning_rate`` under a schedule is still that of the step before."""
    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(optimizer.iterations)
    return tf.cast(rate, tf.float32)


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
