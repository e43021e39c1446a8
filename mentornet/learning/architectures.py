"""The networks g_m is compared with (ICML app. D, table 1): logistic regression, MLP, CNN and RNN.

All answer the call of ``WeightNetwork`` and read the same features: T losses and T differences, the label and the
epoch percent. g_m embeds the last two; here they are numbers, the percent scaled to [0, 1]. The appendix gives a line
to each of them; what it leaves open is said in each class.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tf_keras as keras

from mentornet.features import EPOCH_ROWS
from mentornet.network import MentorNetwork, NetworkConfig, WeightNetwork


def _dense(units: int, seed: int, name: str, activation: str | None = None) -> keras.layers.Dense:
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=keras.initializers.GlorotUniform(seed), name=name
    )


class _FeatureNetwork(WeightNetwork):
    """A network on plain numbers instead of embeddings."""

    def __init__(self, history: int, name: str):
        super().__init__(name=name)
        self.history = history

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "history": self.history}

    def label_and_epoch(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 [b, 2]."""
        label = tf.cast(inputs["label"], tf.float32)
        return tf.stack([label, tf.cast(inputs["epoch"], tf.float32) / (EPOCH_ROWS - 1)], axis=-1)

    def features(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 [b, 2T + 2]: losses and differences by turns, label, epoch."""
        pairs = self.loss_history(inputs)
        return tf.concat([tf.reshape(pairs, [-1, 2 * self.history]), self.label_and_epoch(inputs)], axis=-1)


class Logistic(_FeatureNetwork):
    """Logistic regression."""

    def __init__(self, history: int = 1, seed: int = 0, name: str = "logistic"):
        super().__init__(history, name)
        self.output_layer = _dense(1, seed + 1, "output")

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.squeeze(self.output_layer(self.features(inputs)), axis=-1)


class MLP(_FeatureNetwork):
    """Two layers: 10 tanh units (as in the release), one output."""

    def __init__(self, history: int = 1, seed: int = 0, name: str = "mlp"):
        super().__init__(history, name)
        self.hidden = _dense(10, seed + 1, "hidden", "tanh")
        self.output_layer = _dense(1, seed + 2, "output")

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.squeeze(self.output_layer(self.hidden(self.features(inputs))), axis=-1)


class CNN(_FeatureNetwork):
    """Two convolutions over the T steps (10 filters of width 3, tanh, padded), mean pooling over the steps, one output.

    Label and epoch are further channels, the same at every step. The paper gives neither widths nor the axis.
    """

    def __init__(self, history: int = 1, seed: int = 0, name: str = "cnn"):
        super().__init__(history, name)
        self.convolutions = [
            keras.layers.Conv1D(
                10,
                3,
                padding="same",
                activation="tanh",
                kernel_initializer=keras.initializers.GlorotUniform(seed + layer),
                name=f"convolution_{layer}",
            )
            for layer in (1, 2)
        ]
        self.output_layer = _dense(1, seed + 3, "output")

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        constant = tf.repeat(self.label_and_epoch(inputs)[:, tf.newaxis], self.history, axis=1)
        hidden = tf.concat([self.loss_history(inputs), constant], axis=-1)
        for convolution in self.convolutions:
            hidden = convolution(hidden)
        return tf.squeeze(self.output_layer(tf.reduce_mean(hidden, axis=1)), axis=-1)


class RNN(_FeatureNetwork):
    """An LSTM of 10 units that reads the samples of a mini-batch one after another; one output a sample.

    Args:
        batch_size: length of the sequence. A call with k times as many samples is k mini-batches.
    """

    def __init__(self, history: int = 1, seed: int = 0, batch_size: int = 32, name: str = "rnn"):
        super().__init__(history, name)
        self.batch_size = batch_size
        self.lstm = keras.layers.LSTM(
            10,
            return_sequences=True,
            unroll=True,
            kernel_initializer=keras.initializers.GlorotUniform(seed + 1),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 2),
            name="lstm",
        )
        self.output_layer = _dense(1, seed + 3, "output")

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        sequences = tf.reshape(self.features(inputs), [-1, self.batch_size, 2 * self.history + 2])
        return tf.reshape(self.output_layer(self.lstm(sequences)), [-1])


def _mentornet(history: int = 1, seed: int = 0) -> MentorNetwork:
    return MentorNetwork(NetworkConfig(history=history, fixed_label=0), seed)


_ARCHITECTURES: dict[str, Callable[..., WeightNetwork]] = {
    "logistic": Logistic,
    "mlp": MLP,
    "cnn": CNN,
    "rnn": RNN,
    "mentornet": _mentornet,
}


def names() -> tuple[str, ...]:
    """The architectures of table 1, in its order."""
    return tuple(_ARCHITECTURES)


def build(name: str, history: int = 10, seed: int = 0) -> WeightNetwork:
    """One of ``names()`` with its variables created.

    Args:
        name: one of ``names()``.
        history: T.
        seed: decides the starting values.

    Raises:
        ValueError: there is no such architecture.
    """
    if name not in _ARCHITECTURES:
        raise ValueError(f"unknown architecture {name!r}: use one of {', '.join(_ARCHITECTURES)}")
    network = _ARCHITECTURES[name](history=history, seed=seed)
    network.create_variables(getattr(network, "batch_size", 1))
    return network
