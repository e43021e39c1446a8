"""A sparse mixture of pretrained MentorNets as one weight network (the December 2017 preprint, sec. 5.2, eq. 7).

k pretrained MentorNets are the experts of a sparsely gated mixture (Shazeer et al. 2017, eq. 3 to 5). The gate reads
their weights and the student's activation before its logits, adds Gaussian noise while it learns, and keeps the top
few; the sample's weight is the mixture of theirs. ``mentornet.learning.experts`` learns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.network import MentorNetwork, NetworkConfig, WeightNetwork, build

TOP = 2
MOST_EXPERTS, MOST_ACTIVATIONS = 100, 100_000
_LEAST_WEIGHT = 1e-6  # the cross-entropy of a weight of exactly 0 or 1 could be infinite


@dataclass(frozen=True)
class MixtureConfig:
    """The shape of one mixture.

    Attributes:
        experts: the shapes of its k MentorNets, which read the same number of losses.
        top: experts that count for a sample, 1 to k.
        activation_size: a, width of the student's activation before its logits; 0: none.
    """

    experts: tuple[NetworkConfig, ...]
    top: int = TOP
    activation_size: int = 0

    def __post_init__(self) -> None:
        if len(self.experts) > MOST_EXPERTS:
            raise ValueError(f"a mixture has at most {MOST_EXPERTS} experts, got {len(self.experts)}")
        histories = sorted({expert.history for expert in self.experts})
        if len(histories) != 1:
            raise ValueError(f"a mixture needs experts that read the same number of losses, got {histories}")
        count = len(self.experts)
        if type(self.top) is not int or not 1 <= self.top <= count:
            raise ValueError(f"top={self.top}: a mixture of {count} experts keeps 1 to {count} of them")
        if type(self.activation_size) is not int or not 0 <= self.activation_size <= MOST_ACTIVATIONS:
            raise ValueError(
                f"activation_size={self.activation_size} must be a whole number, 0 to {MOST_ACTIVATIONS:,}"
            )

    @classmethod
    def from_plain(cls, shape: dict[str, Any], fixed_label: int | None = None) -> MixtureConfig:
        """The shape from the plain values of a card; ``fixed_label`` takes the place of every expert's if given.

        Raises:
            ValueError: these are not the settings of a mixture.
        """
        experts = shape.get("experts")
        known = {field.name for field in fields(NetworkConfig)}
        if not isinstance(experts, list) or not all(isinstance(e, dict) and set(e) <= known for e in experts):
            raise ValueError("a mixture's card lists its experts with the network settings of each")
        own = {} if fixed_label is None else {"fixed_label": fixed_label}
        return cls(**{**shape, "experts": tuple(NetworkConfig(**{**expert, **own}) for expert in experts)})


class SparseMixture(WeightNetwork):
    """A mixture of MentorNets, called as they are, with ``"activation"`` [b, a] as a further input if a > 0.

    Args:
        experts: k built MentorNets that read the same history; they are copied.
        top, activation_size: see ``MixtureConfig``.
        tune_experts: whether the experts' own weights are learned on (Theta in eq. 7) or only the gate.
        seed: of the noise.

    Raises:
        ValueError: no experts, experts of different histories, or ``top`` out of range.
    """

    def __init__(
        self,
        experts: Sequence[MentorNetwork],
        top: int = TOP,
        activation_size: int = 0,
        tune_experts: bool = True,
        seed: int = 0,
    ):
        super().__init__(name="mixture")
        self.config = MixtureConfig(tuple(expert.config for expert in experts), top, activation_size)
        self.history = experts[0].history
        self.experts = [_copy(expert, tune_experts) for expert in experts]
        self.top, self.activation_size, self._seed = top, activation_size, seed
        # Zeros, as Shazeer et al. have it: all experts are used alike at the start, only the noise chooses.
        self.gate = keras.layers.Dense(len(experts), kernel_initializer="zeros", name="gate")
        self.noise_gate = keras.layers.Dense(len(experts), kernel_initializer="zeros", name="noise_gate")
        self.create_variables()

    @property
    def label_rows(self) -> int | None:
        return min((expert.label_rows for expert in self.experts if expert.label_rows is not None), default=None)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "experts": [expert.get_config() for expert in self.experts],
            "top": self.top,
            "activation_size": self.activation_size,
        }

    def create_variables(self, rows: int = 1) -> None:
        features = tf.zeros([rows, len(self.experts) + self.activation_size])
        self.gate(features)
        self.noise_gate(features)

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        weights, features = self._experts_and_features(inputs)
        return self._mixed(weights, self.gate(features))

    def learning_logits(self, inputs: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        weights, features = self._experts_and_features(inputs)
        seed = tf.stack([tf.constant(self._seed, tf.int64), tf.cast(step, tf.int64)])
        noise = tf.random.stateless_normal(tf.shape(weights), seed)
        return self._mixed(weights, self.gate(features) + noise * tf.math.softplus(self.noise_gate(features)))

    def shares(self, scores: tf.Tensor) -> tf.Tensor:
        """The gate's softmax over the ``top`` highest scores of each sample, 0 for the others; float32 [b, k]."""
        highest = tf.math.top_k(scores, self.top).indices
        kept = tf.reduce_max(tf.one_hot(highest, len(self.experts)), axis=1)
        return tf.nn.softmax(tf.where(kept > 0, scores, tf.fill(tf.shape(scores), -np.inf)), axis=-1)

    def _experts_and_features(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The experts' weights [b, k] and what the gate reads [b, k + a]."""
        weights = tf.stack([expert(inputs) for expert in self.experts], axis=-1)
        if not self.activation_size:
            return weights, weights
        if "activation" not in inputs or inputs["activation"].shape[-1] != self.activation_size:
            found = inputs["activation"].shape if "activation" in inputs else None
            raise ValueError(f"this mixture reads an activation of shape [b, {self.activation_size}], got {found}")
        return weights, tf.concat([weights, tf.cast(inputs["activation"], tf.float32)], axis=-1)

    def _mixed(self, weights: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        mixed = tf.reduce_sum(self.shares(scores) * weights, axis=-1)
        mixed = tf.clip_by_value(mixed, _LEAST_WEIGHT, 1.0 - _LEAST_WEIGHT)
        return tf.math.log(mixed) - tf.math.log1p(-mixed)


def build_mixture(config: MixtureConfig) -> SparseMixture:
    """A mixture of that shape that has learned nothing."""
    return SparseMixture([build(expert) for expert in config.experts], config.top, config.activation_size)


def _copy(expert: MentorNetwork, trainable: bool) -> MentorNetwork:
    same = build(expert.config)
    same.set_weights(expert.get_weights())
    same.trainable = trainable
    return same
