"""A learned MentorNet, loaded from its folder and frozen (ICML alg. 1 step 11).

The folder holds ``mentornet.weights.h5`` (Keras' weight format, no code) and ``card.json``: the kind of network under
"architecture" (one MentorNet, or a mixture of several), its shape under "network", and what it was learned from.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import tensorflow as tf

from mentornet import files, hdf5, reading
from mentornet.curricula.base import Curriculum
from mentornet.curricula.experts import MixtureConfig, SparseMixture, build_mixture
from mentornet.network import MentorNetwork, NetworkConfig, build

WEIGHTS_FILE = "mentornet.weights.h5"
CARD_FILE = "card.json"
ARCHITECTURE, MIXTURE = "mentornet", "mixture"
_CARD: reading.Schema = {
    "architecture": reading.Value(str, longest=100),
    "network": reading.Value(dict),
    "name": reading.Value(str, longest=1000),
    "percentile": reading.Value(float, 0, 100),
}


class LearnedCurriculum(Curriculum):
    """A frozen MentorNet, or a mixture of several, behind the call of every curriculum.

    Args:
        network: the network.
        card: what it was learned from.
        name: what it is called.
        learned: False for one that has learned nothing yet; it must not decide before its first update.
    """

    def __init__(
        self,
        network: MentorNetwork | SparseMixture,
        card: dict[str, Any] | None = None,
        name: str = "mentornet",
        *,
        learned: bool = True,
    ):
        network.trainable = False
        self.network, self.card, self.name, self.learned = network, card or {}, name, learned
        self.history, self.activation_size = network.history, network.activation_size

    def __call__(
        self,
        loss: tf.Tensor,
        difference: tf.Tensor,
        label: tf.Tensor,
        epoch: tf.Tensor,
        activation: tf.Tensor | None = None,
    ) -> tf.Tensor:
        loss, difference = tf.convert_to_tensor(loss), tf.convert_to_tensor(difference)
        if loss.shape.rank == 1:
            loss, difference = loss[:, tf.newaxis], difference[:, tf.newaxis]
        epoch = tf.broadcast_to(tf.cast(epoch, tf.int32), tf.shape(label))
        inputs = {"loss": loss, "difference": difference, "label": label, "epoch": epoch}
        if activation is not None:
            inputs["activation"] = activation
        return tf.stop_gradient(self.network(inputs, training=False))

    @property
    def frozen_variables(self) -> list[tf.Variable]:
        """The network's weights, so that a checkpoint carries the curriculum in force."""
        return list(self.network.variables)


def save(network: MentorNetwork | SparseMixture, folder: str | Path, card: dict[str, Any]) -> None:
    """Writes a MentorNet or a mixture as a folder that ``load`` (and ``--curriculum=<folder>``) reads.

    Args:
        network: the built network.
        folder: made if missing.
        card: plain JSON values: source, error, percentile, seed, versions.

    Raises:
        ValueError: the folder cannot be written.
    """
    target = Path(folder)
    with files.explained(folder):
        target.mkdir(parents=True, exist_ok=True)
        network.save_weights(str(target / WEIGHTS_FILE))
    # The card comes last: a folder with a card is complete.
    kind = MIXTURE if isinstance(network, SparseMixture) else ARCHITECTURE
    files.write_json(target / CARD_FILE, {"architecture": kind, "network": asdict(network.config), **card})


def load(folder: str | Path, fixed_label: int | None = None) -> LearnedCurriculum:
    """Loads a learned MentorNet or mixture, frozen.

    Args:
        folder: what ``save`` wrote.
        fixed_label: feed this label instead of the sample's own (0 carries a MentorNet to other classes, app. E.3).

    Raises:
        FileNotFoundError: the folder or one of its two files is missing.
        ValueError: the card is not a MentorNet's, or the weights do not fit it.
    """
    source = Path(folder)
    shape, card = read_card(folder)
    try:
        hdf5.check(source / WEIGHTS_FILE)
    except ValueError as error:
        raise ValueError(f"the weights in {str(folder)!r} do not fit the network of its card: {error}") from None
    network: MentorNetwork | SparseMixture
    if card["architecture"] == MIXTURE:
        network = build_mixture(MixtureConfig.from_plain(shape, fixed_label))
    else:
        network = build(NetworkConfig(**(shape if fixed_label is None else {**shape, "fixed_label": fixed_label})))
    try:
        network.load_weights(str(source / WEIGHTS_FILE))
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"the weights in {str(folder)!r} do not fit the network of its card: {reason}") from None
    if not all(bool(tf.reduce_all(tf.math.is_finite(variable))) for variable in network.variables):
        raise ValueError(f"the weights in {str(folder)!r} are not all finite numbers; the file is damaged")
    return LearnedCurriculum(network, card, name=str(card.get("name", source.name)))


def read_card(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network settings and the whole card of a learned MentorNet; starts no TensorFlow operation.

    Raises:
        FileNotFoundError, ValueError: as ``load``, the weights apart.
    """
    source = Path(folder)
    if not source.is_dir():
        raise FileNotFoundError(f"no learned MentorNet at {str(folder)!r}: the folder does not exist")
    for name in (CARD_FILE, WEIGHTS_FILE):
        if not (source / name).is_file():
            raise FileNotFoundError(f"{str(folder)!r} is not a learned MentorNet: it has no {name}")
    card = reading.read_json(source / CARD_FILE, _CARD)
    kinds: dict[Any, type] = {ARCHITECTURE: NetworkConfig, MIXTURE: MixtureConfig}
    shape, found = card.get("network"), card.get("architecture")
    if shape is None or found not in kinds:
        raise ValueError(
            f"{str(folder)!r} holds architecture {found!r}, a curriculum needs {' or '.join(map(repr, kinds))}"
        )
    unknown = set(shape) - {field.name for field in fields(kinds[found])}
    if unknown:
        raise ValueError(f"{str(source / CARD_FILE)!r} names unknown network settings: {', '.join(sorted(unknown))}")
    return shape, card
