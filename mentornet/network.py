"""The network g_m: what a MentorNet is made of (ICML sec. 3.1, fig. 1, app. D).

[loss, difference] over T steps -> bidirectional LSTM; label -> embedding of 2; epoch percent -> embedding of 5; all
concatenated -> fc1 (20, tanh) -> fc2 (1, sigmoid) = the sample's weight.

``WeightNetwork`` is what g_m shares with the networks it is compared with (``mentornet.learning.architectures``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.features import EPOCH_ROWS

MOST_PARAMETERS = 10_000_000  # some hundreds are usual, and two for every class
MOST_HISTORY = 10_000


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
        cell_state: what of the LSTM goes on: its output h (False), or its cell state c (True), which the release takes:
            it reads the first half of TensorFlow's pair (c, h).
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
    cell_state: bool = False
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
        if any(type(size) is not int or size < 1 for size in sizes):
            raise ValueError(f"a MentorNet's sizes must all be whole numbers of at least 1, got {asdict(self)}")
        if self._parameters() > MOST_PARAMETERS or self.history > MOST_HISTORY:
            raise ValueError(
                f"a MentorNet has at most {MOST_PARAMETERS:,} parameters and reads {MOST_HISTORY:,} losses, but this "
                f"one would have {self._parameters():,} and read {self.history:,}"
            )
        switches = (self.unit_forget_bias, self.train_epoch_embedding, self.cell_state)
        if any(type(switch) is not bool for switch in switches):
            raise ValueError(f"a MentorNet's switches must be true or false, got {asdict(self)}")
        if self.fixed_label is not None and (
            type(self.fixed_label) is not int or self.fixed_label not in range(self.label_rows)
        ):
            raise ValueError(f"fixed_label={self.fixed_label} has no row in a label embedding of {self.label_rows}")

    def _parameters(self) -> int:
        recurrent = 2 * 4 * self.lstm_units * (self.lstm_units + 3)
        embedded = self.label_rows * self.label_size + EPOCH_ROWS * self.epoch_size
        width = 2 * self.lstm_units + self.label_size + self.epoch_size
        return recurrent + embedded + self.hidden_units * (width + 2) + 1


RELEASE_CONFIG = NetworkConfig(
    lstm_units=1, unit_forget_bias=False, train_epoch_embedding=False, cell_state=True, fixed_label=0
)
"""The original release's networks: 1 unit, forget bias 0, cell states passed on, label 0, frozen epoch embedding."""


class WeightNetwork(keras.Model):
    """A network that turns what is known of a sample into its weight.

    Call: ``network({"loss": [b, T], "difference": [b, T], "label": [b], "epoch": [b]})`` -> float32 [b] in (0, 1).
    Losses are oldest first; labels and epochs are integers. Sub-classes define ``logits``.

    Attributes:
        history: T, the losses it reads of a sample.
        activation_size: a; above 0, it reads the student's "activation" [b, a] before its logits, too.
    """

    history: int = 1
    activation_size: int = 0

    @property
    def label_rows(self) -> int | None:
        """Labels lie below it; None: any label will do."""
        return None

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """The weights before the sigmoid, float32 [b]; learning with cross-entropy needs them unsquashed."""
        raise NotImplementedError(f"{type(self).__name__} defines no logits")

    def learning_logits(self, inputs: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        """``logits`` while the network is learned; one that adds noise then draws it from the step."""
        return self.logits(inputs)

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        return tf.sigmoid(self.logits(inputs))

    @tf.function
    def traced_logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """``logits`` as a graph, kept for further calls with the same shapes."""
        return self.logits(inputs)

    def loss_history(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Losses and differences side by side, float32 [b, T, 2]; ValueError if T is not the network's."""
        pairs = tf.stack([inputs["loss"], inputs["difference"]], axis=-1)
        if pairs.shape[1:] != (self.history, 2):
            raise ValueError(f"this network reads losses of shape [b, {self.history}], got {pairs.shape[:-1]}")
        return pairs

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as plain values."""
        return {"name": self.name}

    def create_variables(self, rows: int = 1) -> None:
        """Creates the variables by one call on ``rows`` zero samples."""
        history, scalars = tf.zeros([rows, self.history]), tf.zeros([rows], tf.int32)
        self({"loss": history, "difference": history, "label": scalars, "epoch": scalars})


class MentorNetwork(WeightNetwork):
    """g_m as a Keras model; see ``WeightNetwork`` for the call."""

    def __init__(self, config: NetworkConfig | None = None, seed: int = 0, name: str = "mentornet"):
        super().__init__(name=name)
        self.config = config or NetworkConfig()
        shape = self.config
        self.history = shape.history
        glorot, orthogonal = keras.initializers.GlorotUniform, keras.initializers.Orthogonal
        uniform = keras.initializers.RandomUniform

        def cell(offset: int, backwards: bool) -> keras.layers.LSTM:
            # Unrolled: T is small and fixed, and XLA compiles a loop over time very slowly.
            return keras.layers.LSTM(
                shape.lstm_units,
                unit_forget_bias=shape.unit_forget_bias,
                go_backwards=backwards,
                return_state=True,
                unroll=True,
                kernel_initializer=glorot(seed + offset),
                recurrent_initializer=orthogonal(seed=seed + offset + 1),
                name="backward" if backwards else "forward",
            )

        self.lstm = keras.layers.Bidirectional(cell(1, False), backward_layer=cell(3, True), name="lstm")
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
        self.fc2 = keras.layers.Dense(1, kernel_initializer=glorot(seed + 8), name="fc2")
        self._seed = seed

    @property
    def label_rows(self) -> int | None:
        return self.config.label_rows if self.config.fixed_label is None else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": asdict(self.config), "seed": self._seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> MentorNetwork:
        return cls(**{**config, "config": NetworkConfig(**config["config"])})

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        label, epoch = tf.cast(inputs["label"], tf.int32), tf.cast(inputs["epoch"], tf.int32)
        if self.config.fixed_label is not None:
            label = tf.fill(tf.shape(label), self.config.fixed_label)
        _, forward_h, forward_c, backward_h, backward_c = self.lstm(self.loss_history(inputs))
        states = [forward_c, backward_c] if self.config.cell_state else [forward_h, backward_h]
        features = tf.concat([*states, self.label_embedding(label), self.epoch_embedding(epoch)], axis=-1)
        return tf.squeeze(self.fc2(self.fc1(features)), axis=-1)


def build(config: NetworkConfig | None = None, seed: int = 0) -> MentorNetwork:
    """A MentorNet with its variables created (``config`` None: the paper's shape, T = 1)."""
    network = MentorNetwork(config, seed)
    network.create_variables()
    return network
