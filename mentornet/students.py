"""Students: a network with the optimiser that moves it, several of them as peers, and their ensemble."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from mentornet import inspection


class Student(NamedTuple):
    """A network and the optimiser that moves it.

    Attributes:
        network: images -> logits.
        optimizer: its own; None before ``compile``.
    """

    network: keras.Model
    optimizer: Any = None


def peers(student: keras.Model | Sequence[keras.Model], count: int) -> list[keras.Model]:
    """The networks of ``count`` peers, which have names of their own, because Keras joins no two of one name.

    Args:
        student: the first; the others get its architecture and starting values of their own. Or all of them.
        count: at least 1.

    Raises:
        ValueError: another number of networks, two of one name, or a student that can't be built again.
    """
    if isinstance(student, (list, tuple)):
        names = [network.name for network in student]
        if len(student) != count or len(set(names)) != count:
            raise ValueError(f"{count} students with names of their own are needed, got {', '.join(names)}")
        return list(student)
    return [student, *(another(student, number) for number in range(1, count))]


def another(student: keras.Model, number: int) -> keras.Model:
    """A student of the same architecture with other starting values, a function of (the student's seeds, number).

    Initialisers and layers without a seed draw from Keras' own generator.

    Raises:
        ValueError: Keras can't build it again from its configuration.
    """
    try:
        config = _reseeded(student.get_config(), number)
        config["name"] = f"{student.name}_{number + 1}"
        copy: keras.Model = type(student).from_config(config)
    except (NotImplementedError, TypeError):
        raise ValueError(
            f"the student {student.name!r} can't be built a second time from its configuration: give all peers as a "
            "list of models"
        ) from None
    for layer, original in zip(inspection.layers(copy), inspection.layers(student), strict=True):
        if getattr(original, "synchronized", False):  # of batch norm; Keras leaves it out of its configuration
            layer.synchronized, layer.fused = True, False
    return copy


def _reseeded(config: Any, number: int) -> Any:
    """The configuration with every integer seed in it replaced."""
    if isinstance(config, dict):
        return {
            key: _seed(value, number) if key == "seed" and type(value) is int else _reseeded(value, number)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_reseeded(value, number) for value in config)
    return config


def _seed(seed: int, number: int) -> int:
    digest = hashlib.blake2b(f"{seed}/peer {number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % 2**31


def ensemble(networks: Sequence[keras.Model]) -> keras.Model:
    """One Keras model that answers with the mean of the networks' logits; of one network, that network.

    Raises:
        ValueError: a network whose input shape is not known.
    """
    if len(networks) == 1:
        return networks[0]
    first = networks[0]
    if not getattr(first, "inputs", None):
        raise ValueError(
            f"the student {first.name!r} does not tell its input shape, which an ensemble needs: build it from "
            "keras.Input"
        )
    image = keras.Input(first.input_shape[1:], name="image")
    mean = keras.layers.Average(name="mean_logits")([network(image) for network in networks])
    return keras.Model(image, mean, name=f"{first.name}_ensemble")


def plain_copy(student: keras.Model) -> keras.Model:
    """A copy of a student, weights and all, outside any distribution strategy: one process can use and save it alone.

    Where several processes share the student, all of them have to make their copy at the same point.
    """
    copy: keras.Model = type(student).from_config(student.get_config())
    for target, source in zip(copy.variables, student.variables, strict=True):
        target.assign(tf.convert_to_tensor(source))
    return copy


def copied_optimizer(optimizer: Any) -> Any:
    """An optimiser of the same settings that has done nothing yet, for a peer."""
    return type(optimizer).from_config(optimizer.get_config())
