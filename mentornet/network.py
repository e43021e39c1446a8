"""The network g_m: what a MentorNet is made of (ICML sec. 3.1, fig. 1, app. D).

[loss, difference] over T steps -> bidirectional LSTM; label -> embedding of 2; epoch percent -> embedding of 5; all
concatenated -> fc1 (20, tanh) -> fc2 (1, sigmoid) = the sample's weight.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import tensorflow as tf
import tf_keras as keras

from mentornet.features import EPOCH_ROWS


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of one MentorNet.

    Attributes:
        history: T, steps the LSTM reads: 1 beside a student, 10 in the comparison of app. D.
        lstm_units: units a direction: 10 in the paper, 1 in the release.
        label_rows: rows of the label embedding: the number of classes; the release has 2 and always reads row 0.
        label_size, epoch_size: widths of the two embeddings.
        hidden_units: width of fc1.
        unit_forget_bias: LSTM forget bias 1 (paper's stack); the release sets 0.
        train_epoch_embedding: False keeps the epoch embedding at its random start, as in the release.
        fixed_label: the label fed whatever the sample's own (0 in the release, and to carry a MentorNet to a data set
            with other classes, app. E.3); None feeds the sample's label.
    """

    history: int = 1
    lstm_units: int = 10
    label_rows: int = 2
    label_size: int = 2
    epoch_size: int = 5
    hidden_units: int = 20
    unit_forget_bias: bool = True
    train_epoch_embedding: bool = True
    fixed_label: int | None = None

    def __post_init__(self) -> None:
        sizes = (
            self.history,
            self.lstm_units,
            self.label_rows,
            self.label_size,
            self.epoch_size,
            self.hidden_units,
        )
        if min(sizes) < 1:
            raise ValueError(f"a MentorNet's sizes must all be at least 1, got {asdict(self)}")
        if self.fixed_label is not None and not 0 <= self.fixed_label < self.label_rows:
            raise ValueError(f"fixed_label={self.fixed_label} has no row in a label embedding of {self.label_rows}")


RELEASE_CONFIG = NetworkConfig(lstm_units=1, unit_forget_bias=False, train_epoch_embedding=False, fixed_label=0)
"""The shape of the original release's networks (spec marks: 1 unit, forget bias 0, label 0, frozen embedding)."""


class MentorNetwork(keras.Model):
    """g_m as a Keras model.

    Call: ``network({"loss": [b, T], "difference": [b, T], "label": [b], "epoch": [b]})`` -> float32 [b] in (0, 1).
    """

    def __init__(self, config: NetworkConfig | None = None, seed: int = 0, name: str = "mentornet"):
        super().__init__(name=name)
        self.config = config or NetworkConfig()
        shape = self.config
        glorot, orthogonal = keras.initializers.GlorotUniform, keras.initializers.Orthogonal
        uniform = keras.initializers.RandomUniform

        def cell(offset: int, backwards: bool) -> keras.layers.LSTM:
            return keras.layers.LSTM(
                shape.lstm_units,
                unit_forget_bias=shape.unit_forget_bias,
                go_backwards=backwards,
                kernel_initializer=glorot(seed + offset),
                recurrent_initializer=orthogonal(seed=seed + offset + 1),
                name="backward" if backwards else "forward",
            )

        self.lstm = keras.layers.Bidirectional(
            cell(1, False), backward_layer=cell(3, True), merge_mode="concat", name="lstm"
        )
        self.label_embedding = keras.layers.Embedding(
            shape.label_rows,
            shape.label_size,
            embeddings_initializer=uniform(seed=seed + 5),
            name="label_embedding",
        )
        self.epoch_embedding = keras.layers.Embedding(
            EPOCH_ROWS,
            shape.epoch_size,
            embeddings_initializer=uniform(-1.0, 1.0, seed=seed + 6),
            trainable=shape.train_epoch_embedding,
            name="epoch_embedding",
        )
        self.fc1 = keras.layers.Dense(
            shape.hidden_units, activation="tanh", kernel_initializer=glorot(seed + 7), name="fc1"
        )
        self.fc2 = keras.layers.Dense(1, activation="sigmoid", kernel_initializer=glorot(seed + 8), name="fc2")

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        label, epoch = tf.cast(inputs["label"], tf.int32), tf.cast(inputs["epoch"], tf.int32)
        if self.config.fixed_label is not None:
            label = tf.fill(tf.shape(label), self.config.fixed_label)
        history = tf.stack([inputs["loss"], inputs["difference"]], axis=-1)
        features = tf.concat([self.lstm(history), self.label_embedding(label), self.epoch_embedding(epoch)], axis=-1)
        return tf.squeeze(self.fc2(self.fc1(features)), axis=-1)


def build(config: NetworkConfig | None = None, seed: int = 0) -> MentorNetwork:
    """A MentorNet with its variables created (``config`` None: the paper's shape, T = 1)."""
    network = MentorNetwork(config, seed)
    steps = network.config.history
    network(
        {
            "loss": tf.zeros([1, steps]),
            "difference": tf.zeros([1, steps]),
            "label": tf.zeros([1], tf.int32),
            "epoch": tf.zeros([1], tf.int32),
        }
    )
    return network
