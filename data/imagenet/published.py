"""What the papers that are compared on Clothing1M, ISIC 2019 and WebVision-mini do with images, as torchvision does it.

clothing1m   (DivideMix, L2B) the shorter side is resized to 256, 224 x 224 are cut out at random and mirrored half of
             the time; for evaluation, and of the clean set, the centre is cut out; pixels by Clothing1M's own mean and
             deviation
webvision    (DivideMix's released code) likewise, with 227 of 256 pixels and ImageNet's mean and deviation
isic2019     (L2B's released code) mirrored half of the time, turned by any angle (black comes in at the corners), a
             part of 30% to 100% of the area with an aspect ratio of 3/4 to 4/3 resized to a square; for evaluation the
             whole picture is squeezed into it; ImageNet's mean and deviation

Other sizes keep these proportions. Resizing is bilinear and anti-aliased, as Pillow's. Turning and cutting are one
affine map of the picture, which has been shrunk to the resolution of the result first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from data.imagenet.preprocessing import Preprocessing, Three, decoded_window
from data.order import GENERATOR

_IMAGENET: tuple[Three, Three] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLOTHING: tuple[Three, Three] = ((0.6959, 0.6537, 0.6371), (0.3113, 0.3192, 0.3214))
_AREA, _RATIO, _ATTEMPTS = (0.3, 1.0), (3 / 4, 4 / 3), 10
_DRAWS = 4 + 2 * _ATTEMPTS  # where (2), mirrored or not, an angle; areas and aspect ratios


@dataclass(frozen=True)
class Way:
    """One paper's way.

    Attributes:
      resized: the shorter side over the cut square's; None: turned, see above.
      mean, deviation: of pixels in [0, 1], by red, green and blue.
      distorts_clean: whether the images of a clean set are distorted as other training images.
    """

    resized: float | None
    mean: Three
    deviation: Three
    distorts_clean: bool = True


WAYS: Mapping[str, Way] = {
    "clothing1m": Way(256 / 224, *_CLOTHING, distorts_clean=False),
    "webvision": Way(256 / 227, *_IMAGENET),
    "isic2019": Way(None, *_IMAGENET),
}


@dataclass(frozen=True)
class Published(Preprocessing):
    """Preprocessing as one of WAYS; pixels come out standardised, not in [-1, 1].

    Attributes:
      way: a name in WAYS.
    """

    way: str = "clothing1m"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.way not in WAYS:
            raise ValueError(f"The way of preprocessing is {self.way!r}, but may be {', '.join(WAYS)}.")

    @property
    def pixels(self) -> tuple[Three, Three]:
        way = WAYS[self.way]
        return way.mean, way.deviation

    def __call__(self, encoded: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        side, (mean, deviation) = self.image_size, self.pixels
        spec = tf.TensorSpec((side, side, 3), tf.float32)
        shown = tf.map_fn(lambda each: self._one(*each), (encoded, seeds), fn_output_signature=spec)
        return (shown / 255.0 - tf.constant(mean)) / tf.constant(deviation)

    def _one(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A string scalar -> float32 [size, size, 3] in [0, 255]."""
        pixels = tf.cast(decoded_window(encoded, _whole), tf.float32)
        draws = tf.random.stateless_uniform([_DRAWS], seed, alg=GENERATOR)
        ratio = WAYS[self.way].resized
        if ratio is not None:
            return self._cut(pixels, round(self.image_size * ratio), draws)
        if self.distort:
            return self._turned(pixels, draws)
        side = self.image_size
        return tf.ensure_shape(tf.image.resize(pixels, (side, side), antialias=True), (side, side, 3))

    def _cut(self, pixels: tf.Tensor, shorter: int, draws: tf.Tensor) -> tf.Tensor:
        """A square of the picture whose shorter side has been resized."""
        sides = tf.shape(pixels)[:2]
        resized = shorter * sides // tf.reduce_min(sides)  # rounded down, as torchvision does
        room = resized - self.image_size
        if self.distort:
            corner = tf.minimum(tf.cast(draws[:2] * tf.cast(room + 1, tf.float32), tf.int32), room)
        else:
            corner = tf.cast(tf.round(tf.cast(room, tf.float32) / 2.0), tf.int32)
        found = tf.raw_ops.ScaleAndTranslate(
            images=pixels[tf.newaxis],
            size=[self.image_size] * 2,
            scale=tf.cast(resized, tf.float32) / tf.cast(sides, tf.float32),
            translation=-tf.cast(corner, tf.float32),
            kernel_type="triangle",
            antialias=True,
        )[0]
        mirrored = (draws[2] < 0.5) if self.distort else tf.constant(False)
        found = tf.cond(mirrored, lambda: tf.reverse(found, [1]), lambda: found)
        return tf.ensure_shape(found, (self.image_size, self.image_size, 3))

    def _turned(self, pixels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """A part of the turned picture."""
        side = float(self.image_size)
        height, width = tf.unstack(tf.cast(tf.shape(pixels)[:2], tf.float32))
        top, left, rows, columns = _part(height, width, draws)
        shrink = tf.minimum(1.0, side / tf.sqrt(rows * columns))
        small = tf.maximum(1.0, tf.round(tf.stack([height, width]) * shrink))
        shrunk = tf.image.resize(pixels, tf.cast(small, tf.int32), antialias=True)
        # A pixel's centre (x + 1/2, y + 1/2) of the result lies at p in the turned picture, at c + R (p - c) in the
        # mirrored one, c being its centre, and then in the shrunk one.
        mirror = tf.where(draws[2] < 0.5, -1.0, 1.0)
        angle = (2.0 * draws[3] - 1.0) * math.pi
        turn = tf.reshape(tf.stack([tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle)]), [2, 2])
        sizes, shape = tf.stack([width, height]), tf.stack([columns, rows])
        matrix = tf.stack([mirror, 1.0])[:, None] * turn * (shape / side)
        offset = tf.linalg.matvec(turn, tf.stack([left, top]) - sizes / 2.0) * tf.stack([mirror, 1.0]) + sizes / 2.0
        scale = tf.reverse(small, [0]) / sizes
        matrix, offset = scale[:, None] * matrix, scale * offset
        # From centres of pixels to their numbers.
        offset = offset + tf.linalg.matvec(matrix, [0.5, 0.5]) - 0.5
        row = [matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1], 0.0, 0.0]
        found = tf.raw_ops.ImageProjectiveTransformV3(
            images=shrunk[tf.newaxis],
            transforms=tf.stack(row)[tf.newaxis],
            output_shape=[self.image_size] * 2,
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )[0]
        return tf.ensure_shape(found, (self.image_size, self.image_size, 3))


def _whole(shape: tf.Tensor) -> tf.Tensor:
    return tf.concat([[0, 0], tf.cast(shape[:2], tf.int32)], axis=0)


def _part(height: tf.Tensor, width: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Top, left, height and width, floats of whole pixels, of the first of ten drawn parts that fits, else of a centre.

    The centre has the picture's area as far as its aspect ratio is allowed.
    """
    where, areas, ratios = draws[:2], draws[4 : 4 + _ATTEMPTS], draws[4 + _ATTEMPTS :]
    area = height * width * (_AREA[0] + areas * (_AREA[1] - _AREA[0]))
    low, high = (math.log(ratio) for ratio in _RATIO)
    ratio = tf.exp(low + ratios * (high - low))
    columns, rows = tf.round(tf.sqrt(area * ratio)), tf.round(tf.sqrt(area / ratio))
    fits = (columns > 0.0) & (columns <= width) & (rows > 0.0) & (rows <= height)
    first = tf.argmax(tf.cast(fits, tf.int32))
    drawn = tf.stack([rows[first], columns[first]])
    allowed = tf.minimum([height, width], tf.round(tf.stack([width / _RATIO[0], height * _RATIO[1]])))
    fitting = tf.reduce_any(fits)
    size = tf.where(fitting, drawn, allowed)
    room = tf.stack([height, width]) - size
    place = tf.minimum(tf.where(fitting, tf.floor(where * (room + 1.0)), tf.floor(room / 2.0)), room)
    return place[0], place[1], size[0], size[1]
