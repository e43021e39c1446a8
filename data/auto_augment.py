"""AutoAugment's policy for CIFAR-10, drawn for every image by a keyed, stateless generator: "strong" views.

AutoAugment: Learning Augmentation Strategies from Data (Cubuk et al., CVPR 2019): section 3 (sub-policies, ten
magnitudes), the appendix's tables of transformations with their ranges and of the policy found on reduced CIFAR-10.

The paper's ten magnitudes are evenly spaced over a range and it leaves open how a range with two sides is used. Here,
as in the implementations common with PyTorch, magnitude 0 changes nothing, 9 is the end of the range, and the side is
drawn; the authors' code reads magnitudes of the factors, Posterize and translations in ways of its own. Pixels are
taken from the nearest neighbour, as in the authors' code, and grey moves in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data.image_operations import Operation, Operations
from data.order import GENERATOR

# 25 sub-policies of two operations in turn: name, probability, magnitude 0 to 9. The policy has neither ShearX nor
# Cutout; AutoContrast, Equalize and Invert have a magnitude in the table but do not use it.
SUB_POLICIES = (
    (("Invert", 0.1, 7), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 8), ("Equalize", 0.9, 2)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 5), ("Equalize", 0.5, 1)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 7), ("AutoContrast", 0.4, 8)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 3)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 8), ("Equalize", 0.6, 4)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 6)),
    (("AutoContrast", 0.8, 4), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 3)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 2), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 8), ("Invert", 0.1, 3)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 1)),
)


def operation(name: str, magnitude: int, side: int) -> Operation:
    """Returns an operation of the paper's list at one of its ten magnitudes.

    Args:
      name: see `image_operations.NAMES`.
      magnitude: 0 to 9.
      side: -1 or 1; without effect where a range has one side only.
    """
    share = magnitude / 9
    if name in ("ShearX", "ShearY"):
        return Operation(name, side * 0.3 * share)
    if name in ("TranslateX", "TranslateY"):
        return Operation(name, side * 150 / 331 * share)  # 150 pixels of ImageNet's 331
    if name == "Rotate":
        return Operation(name, side * 30 * share)
    if name == "Solarize":
        return Operation(name, 256 - 256 * share)
    if name == "Posterize":
        return Operation(name, round(8 - 4 * share))
    if name in ("Contrast", "Color", "Brightness", "Sharpness"):
        return Operation(name, 1 + side * 0.9 * share)
    return Operation(name)


# Position 0 does nothing; then every sub-policy's first and second operation, each on its lower and upper side.
OPERATIONS = (
    Operation("Identity"),
    *(operation(name, magnitude, side) for pair in SUB_POLICIES for name, _, magnitude in pair for side in (-1, 1)),
)
_PROBABILITIES = np.array([[probability for _, probability, _ in pair] for pair in SUB_POLICIES], np.float32)
# Traced once a shape: an epoch of a network reads a data set of its own, and tracing all operations for each costs
# more than a short epoch's steps.
_apply = tf.function(Operations(OPERATIONS).__call__, autograph=False)


class Draw(NamedTuple):
    """What happens to each of b images.

    Attributes:
      sub_policy: int32 [b], 0 to 24.
      operations: int32 [b, 2], positions in `OPERATIONS`, the first operation and the second.
    """

    sub_policy: tf.Tensor
    operations: tf.Tensor


def draw(key: int, step: tf.Tensor, rows: slice) -> Draw:
    """Draws sub-policies, whether each operation is applied, and on which side.

    Args:
      key: of this use, see `seeding.key`.
      step: int64 scalar.
      rows: start and stop of the wanted rows of the global batch, b of them.
    """
    # The generator fills row after row, so a row does not depend on how many follow it.
    numbers = tf.random.stateless_uniform([rows.stop, 5], [key, step], alg=GENERATOR)[rows]
    sub_policy = tf.cast(numbers[:, 0] * len(SUB_POLICIES), tf.int32)
    applied = numbers[:, 1:3] < tf.gather(_PROBABILITIES, sub_policy)
    upper = tf.cast(numbers[:, 3:5] < 0.5, tf.int32)
    positions = 1 + 4 * sub_policy[:, tf.newaxis] + tf.constant([0, 2]) + upper
    return Draw(sub_policy, tf.where(applied, positions, 0))


def strong(images: tf.Tensor, key: int, step: tf.Tensor, rows: slice | None = None) -> tf.Tensor:
    """Applies the policy, each image having its own sub-policy: a function of (key, step, row).

    Args:
      images: uint8 [b, h, w, c], h and w static and at least 3, c 1 or 3; Color does nothing if c is 1.
      key: of this use, see `seeding.key`; two views of one image need two keys.
      step: int64 scalar, the number of the batch.
      rows: which rows of the global batch `images` are, b of them, given as start and stop; by default the first b.

    Returns:
      uint8 [b, h, w, c].

    Raises:
      ValueError: images of another type or shape.
    """
    drawn = draw(key, step, slice(0, tf.shape(images)[0]) if rows is None else rows)
    for turn in (0, 1):
        images = _apply(images, drawn.operations[:, turn])
    return images
