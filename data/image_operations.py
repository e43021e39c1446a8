"""The image operations of AutoAugment for a whole batch, each image with its own, in TensorFlow operations only.

Operations: AutoAugment (Cubuk et al., CVPR 2019), appendix, the list of all image transformations, which are Pillow's.
The arithmetic here is Pillow's, down to its rounding, so that the results are equal: fixed point with 16 binary digits
for coordinates, float32 and truncation for blends, float64 and truncation for AutoContrast.

A batch is parted into families, each computed at once for all its images:
  geometric: one gather of single pixels by per-image affine matrices, nearest neighbour, grey moving in;
  point: one gather from per-image tables, 256 entries a channel;
  Color and Sharpness: a step from the grey or the smoothed image to the image and beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

FILL = 128  # grey, for pixels that come from outside the image

_GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
_POINT = ("Invert", "Solarize", "Posterize", "Brightness", "AutoContrast", "Equalize", "Contrast")
_FAMILIES = (("Identity",), _GEOMETRIC, _POINT, ("Color",), ("Sharpness",))
NAMES = tuple(name for family in _FAMILIES for name in family)

# Pillow's weights of red, green and blue in a grey level, in units of 2**-16.
_LUMA = (19595.0, 38470.0, 7471.0)


@dataclass(frozen=True)
class Operation:
    """One operation with its strength.

    Attributes:
      name: one of `NAMES`.
      amount: what Pillow takes. ShearX, ShearY: by how many pixels the source moves a row (a column); TranslateX,
        TranslateY: by which fraction of the width (the height) it moves; Rotate: degrees counter-clockwise; Solarize:
        the level from which on pixels are inverted; Posterize: bits kept, 0 to 8; Contrast, Color, Brightness,
        Sharpness: the factor, 1 for no change; otherwise unused.
    """

    name: str
    amount: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"There is no image operation {self.name!r}; choose from {', '.join(NAMES)}.")


class Operations:
    """A list of operations, of which every image of a batch gets one."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = tuple(operations)
        names = [operation.name for operation in operations]
        self._families = np.array([[name in family for family in _FAMILIES].index(True) for name in names], np.int32)
        self._names = np.array([NAMES.index(name) for name in names], np.int32)
        self._amounts = np.array([operation.amount for operation in operations], np.float32)
        self._tables = np.stack([_fixed_table(operation) for operation in operations])

    def __call__(self, images: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        """Applies operation which[i] of the list to image i.

        Args:
          images: uint8 [b, h, w, c], h and w static and at least 3, c 1 or 3.
          which: int32 [b], positions in the list.

        Returns:
          uint8 [b, h, w, c].

        Raises:
          ValueError: images of another type or shape.
        """
        _check(images)
        family = tf.gather(self._families, which)
        parts = tf.dynamic_partition(images, family, len(_FAMILIES))
        chosen = tf.dynamic_partition(which, family, len(_FAMILIES))
        places = tf.dynamic_partition(tf.range(tf.size(which)), family, len(_FAMILIES))
        unchanged, to_move, to_map, to_colour, to_sharpen = zip(parts, chosen, strict=True)
        done = [
            unchanged[0],
            self._moved(*to_move),
            self._mapped(*to_map),
            self._coloured(*to_colour),
            self._sharpened(*to_sharpen),
        ]
        return tf.ensure_shape(tf.dynamic_stitch(places, done), images.shape)

    def _moved(self, images: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        """Geometric operations: where each pixel comes from, then one gather."""
        height, width, channels = images.shape[1:]
        matrices = np.stack([_fixed_point(_matrix(operation, height, width)) for operation in self._operations])
        a, b, c, d, e, f = (
            value[:, tf.newaxis, tf.newaxis] for value in tf.unstack(tf.gather(matrices, which), axis=1)
        )
        x, y = np.arange(width, dtype=np.int32), np.arange(height, dtype=np.int32)[:, np.newaxis]
        column = tf.bitwise.right_shift(a * x + (b * y + c), 16)
        row = tf.bitwise.right_shift(d * x + (e * y + f), 16)
        # A frame of one pixel stands for all that is outside.
        framed = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=tf.constant(FILL, tf.uint8))
        first = tf.range(tf.shape(images)[0])[:, tf.newaxis, tf.newaxis] * ((height + 2) * (width + 2))
        row, column = tf.clip_by_value(row, -1, height) + 1, tf.clip_by_value(column, -1, width) + 1
        return tf.gather(tf.reshape(framed, [-1, channels]), first + row * (width + 2) + column)

    def _mapped(self, images: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        """Point operations: a table for each channel of each image, then one gather."""
        n, channels = tf.shape(images)[0], images.shape[3]
        first = tf.reshape(tf.range(n * channels) * 256, [n, 1, 1, channels])
        positions = tf.cast(images, tf.int32) + first
        counts = tf.raw_ops.Bincount(
            arr=tf.reshape(positions, [-1]), size=n * channels * 256, weights=tf.constant([], tf.int32)
        )
        counts = tf.reshape(counts, [n, channels, 256])
        name = tf.gather(self._names, which)[:, tf.newaxis, tf.newaxis]
        tables = tf.gather(self._tables, which)[:, tf.newaxis, :]
        made = {
            "AutoContrast": _stretching(counts),
            "Equalize": _equalizing(counts),
            "Contrast": _contrasting(_grey(tf.cast(images, tf.float32)), tf.gather(self._amounts, which)),
        }
        for made_name, table in made.items():
            tables = tf.where(name == NAMES.index(made_name), table, tables)
        tables = tf.broadcast_to(tables, [n, channels, 256])
        # gather_nd takes two thirds of the time of gather for single bytes.
        return tf.gather_nd(tf.reshape(tf.cast(tables, tf.uint8), [-1]), positions[..., tf.newaxis])

    def _coloured(self, images: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(images, tf.float32)
        return _blend(_grey(pixels), pixels, tf.gather(self._amounts, which))

    def _sharpened(self, images: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(images, tf.float32)
        return _blend(_smooth(pixels), pixels, tf.gather(self._amounts, which))


def _check(images: tf.Tensor) -> None:
    shape = images.shape
    if images.dtype != tf.uint8 or shape.rank != 4 or shape[3] not in (1, 3) or min(shape[1] or 0, shape[2] or 0) < 3:
        raise ValueError(
            "Image operations take uint8 [b, h, w, c] of known h and w from 3 pixels on and c of 1 or 3, but these are "
            f"{images.dtype.name} of shape {shape}; convert the images, or choose an augmentation without them."
        )


# Geometric


def _matrix(operation: Operation, height: int, width: int) -> tuple[float, ...]:
    """(a, b, c, d, e, f): the pixel at (x, y) comes from (a x + b y + c, d x + e y + f), corners being integers."""
    amount = operation.amount
    if operation.name == "ShearX":
        return 1.0, amount, 0.0, 0.0, 1.0, 0.0
    if operation.name == "ShearY":
        return 1.0, 0.0, 0.0, amount, 1.0, 0.0
    if operation.name == "TranslateX":
        return 1.0, 0.0, amount * width, 0.0, 1.0, 0.0
    if operation.name == "TranslateY":
        return 1.0, 0.0, 0.0, 0.0, 1.0, amount * height
    if operation.name == "Rotate":
        cosine, sine = math.cos(math.radians(amount)), math.sin(math.radians(amount))
        x, y = width / 2, height / 2
        return cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y
    return 1.0, 0.0, 0.0, 0.0, 1.0, 0.0


def _fixed_point(matrix: tuple[float, ...]) -> npt.NDArray[np.int32]:
    """The same for pixels' centres, in units of 2**-16."""
    a, b, c, d, e, f = matrix
    centred = (a, b, c + (a + b) / 2, d, e, f + (d + e) / 2)
    return np.floor(np.array(centred) * 65536 + 0.5).astype(np.int32)


# Point


def _fixed_table(operation: Operation) -> npt.NDArray[np.int32]:
    """The 256 entries of an operation that treats all images alike, and of others those that change nothing."""
    levels = np.arange(256, dtype=np.int32)
    if operation.name == "Invert":
        return 255 - levels
    if operation.name == "Solarize":
        return np.where(levels < operation.amount, levels, 255 - levels)
    if operation.name == "Posterize":
        return levels & ~(2 ** (8 - int(operation.amount)) - 1)
    if operation.name == "Brightness":
        return np.clip(np.float32(operation.amount) * levels.astype(np.float32), 0, 255).astype(np.int32)
    return levels


def _stretching(counts: tf.Tensor) -> tf.Tensor:
    """AutoContrast: the darkest level that occurs goes to 0, the lightest to 255; [n, c, 256] of counts to int32."""
    # argmax takes the first of equals: the first level that occurs, and the first with no pixel above it.
    darkest = tf.argmax(counts > 0, axis=2, output_type=tf.int32)[:, :, tf.newaxis]
    lightest = tf.argmax(tf.cumsum(counts, axis=2), axis=2, output_type=tf.int32)[:, :, tf.newaxis]
    levels = tf.range(256)
    scale = 255.0 / tf.cast(tf.maximum(lightest - darkest, 1), tf.float64)
    stretched = tf.cast(levels, tf.float64) * scale - tf.cast(darkest, tf.float64) * scale
    stretched = tf.cast(tf.clip_by_value(stretched, 0.0, 255.0), tf.int32)
    return tf.where(lightest > darkest, stretched, levels)


def _equalizing(counts: tf.Tensor) -> tf.Tensor:
    """Equalize: levels spread so that each share of the pixels gets an equal share of levels; as `_stretching`."""
    # The pixels of the lightest level that occurs do not count, so that it can go to 255.
    below = tf.cumsum(counts, axis=2, exclusive=True)
    last = tf.reduce_max(tf.where(counts > 0, below, 0), axis=2, keepdims=True)
    step = last // 255
    spread = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
    return tf.where(step > 0, spread, tf.range(256))


def _contrasting(grey: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Contrast: a step from the mean grey level, int32 [n, 1, 256], for grey [n, h, w, 1] and factor [n], float32."""
    pixels = grey.shape[1] * grey.shape[2]
    total = tf.reduce_sum(tf.cast(grey, tf.int32), axis=[1, 2, 3])
    mean = tf.cast((2 * total + pixels) // (2 * pixels), tf.float32)[:, tf.newaxis, tf.newaxis]
    levels = tf.range(256, dtype=tf.float32)
    return tf.cast(_blend(mean, levels, factor), tf.int32)


# Blends


def _blend(start: tf.Tensor, end: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """The step of factor [n] from start (0) to end (1) and beyond, clipped and truncated to uint8."""
    factor = tf.reshape(factor, [-1, *[1] * (start.shape.rank - 1)])
    return tf.cast(tf.clip_by_value(start + factor * (end - start), 0.0, 255.0), tf.uint8)


def _grey(pixels: tf.Tensor) -> tf.Tensor:
    """Grey levels [n, h, w, 1], whole numbers, of float32 pixels [n, h, w, c]."""
    if pixels.shape[3] == 1:
        return pixels
    # All sums are whole numbers below 2**24, so float32 holds them exactly.
    red, green, blue = (pixels[..., i : i + 1] * weight for i, weight in enumerate(_LUMA))
    return tf.floor((red + green + blue + 32768.0) / 65536.0)


def _smooth(pixels: tf.Tensor) -> tf.Tensor:
    """Weights 1, the centre 5, of 13, as whole numbers; the border stays as it is."""
    rows = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    box = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    inside = tf.floor((box + 4.0 * pixels[:, 1:-1, 1:-1] + 6.5) / 13.0)
    middle = tf.concat([pixels[:, 1:-1, :1], inside, pixels[:, 1:-1, -1:]], axis=2)
    return tf.concat([pixels[:, :1], middle, pixels[:, -1:]], axis=1)
