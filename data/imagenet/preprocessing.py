"""From an encoded image to what Inception networks are fed: slim's default ImageNet preprocessing.

Training (Szegedy et al. 2015; slim's inception_preprocessing with its default fast mode): a random crop of 5% to 100%
of the picture with an aspect ratio of 3/4 to 1.33 that covers at least a tenth of it, bilinearly resized to a square,
mirrored half of the time, brightness shifted by up to 32/255, saturation scaled by 0.5 to 1.5, clipped, scaled to
[-1, 1]. Colour "full" is slim's slow mode: hue (0.2) and contrast (0.5 to 1.5) too, in one of four orders.
Evaluation: the central 87.5% of height and width, resized, scaled.

It is fast because only the crop of a JPEG is decoded, mirrored while it is still bytes, made float32 before it is
resized (the kernel for bytes takes longer), and because one fused pass over several images does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from data.limits import MOST_PIXELS
from data.order import GENERATOR

Colour = Literal["fast", "full", "none"]
Three = tuple[float, float, float]
COLOURS: tuple[Colour, ...] = ("fast", "full", "none")

_AREA = (0.05, 1.0)
_ASPECT_RATIO = (0.75, 1.33)
_COVERED = 0.1
_ATTEMPTS = 100
_CENTRAL = 0.875
_BRIGHTNESS = 32.0  # in 0..255
_SATURATION = _CONTRAST = (0.5, 1.5)
_HUE = 0.2
_DRAWS = 8  # random numbers of an image beside its crop: mirrored or not, then the colours


@dataclass(frozen=True)
class Preprocessing:
    """How images become input.

    Attributes:
      image_size: side of the square in pixels.
      distort: whether training images are cropped at random and mirrored; if not, they are treated as in evaluation.
      colour: which colours of training images are distorted, if any.
    """

    image_size: int = 299
    distort: bool = True
    colour: Colour = "fast"

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"The image size is {self.image_size} pixels, but it has to be at least 1.")
        if self.colour not in COLOURS:
            raise ValueError(f"The colour distortion is {self.colour!r}, but may be {', '.join(COLOURS)}.")

    @property
    def pixels(self) -> tuple[Three, Three]:
        """Mean m and deviation s, of red, green and blue: input is (p - m) / s of pixels p in [0, 1]."""
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def __call__(self, encoded: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """See `preprocessed`; the range of the values follows from `pixels`."""
        return preprocessed(encoded, self, seeds)


def preprocessed(encoded: tf.Tensor, how: Preprocessing, seeds: tf.Tensor) -> tf.Tensor:
    """Encoded images, strings [b] -> float32 [b, size, size, 3] in [-1, 1].

    Args:
      encoded: JPEG, PNG, BMP or GIF (its first picture); an error where one cannot be decoded.
      how: the distortions.
      seeds: int64 [b, 2], from each of which all random numbers of one image follow.
    """
    side = how.image_size
    spec = (tf.TensorSpec((side, side, 3), tf.float32), tf.TensorSpec((_DRAWS,), tf.float32))
    pixels, draws = tf.map_fn(lambda each: _cut(each[0], each[1], how), (encoded, seeds), fn_output_signature=spec)
    if not how.distort or how.colour == "none":
        return _scaled(pixels)
    if how.colour == "full":
        return tf.map_fn(
            lambda each: _all_colours(each[0], each[1]), (pixels, draws[:, 1:]), fn_output_signature=spec[0]
        )
    return _coloured(pixels, _between(draws[:, 1], -_BRIGHTNESS, _BRIGHTNESS), _between(draws[:, 2], *_SATURATION))


def _cut(encoded: tf.Tensor, seed: tf.Tensor, how: Preprocessing) -> tuple[tf.Tensor, tf.Tensor]:
    """A string scalar -> the resized crop, float32 [size, size, 3] in [0, 255], and random numbers for its colours."""
    if not how.distort:
        return _resized(decoded_window(encoded, _centre), how.image_size), tf.zeros([_DRAWS])
    draws = tf.random.stateless_uniform([_DRAWS], seed, alg=GENERATOR)

    def window(shape: tf.Tensor) -> tf.Tensor:
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            shape,
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            seed=seed,
            min_object_covered=_COVERED,
            aspect_ratio_range=_ASPECT_RATIO,
            area_range=_AREA,
            max_attempts=_ATTEMPTS,
        )
        return tf.concat([begin[:2], size[:2]], axis=0)

    crop = decoded_window(encoded, window)
    mirrored = tf.cond(draws[0] < 0.5, lambda: tf.reverse(crop, [1]), lambda: crop)
    return _resized(mirrored, how.image_size), draws


def _centre(shape: tf.Tensor) -> tf.Tensor:
    """The central part (row, column, height, width) of an image of this shape."""
    sides = tf.cast(shape[:2], tf.float32)
    begin = tf.cast((sides - sides * _CENTRAL) / 2.0, tf.int32)
    return tf.concat([begin, tf.cast(shape[:2], tf.int32) - 2 * begin], axis=0)


def decoded_window(encoded: tf.Tensor, window: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Decodes the part (row, column, height, width) that `window` chooses for a shape: uint8 [height, width, 3].

    An image of more than MOST_PIXELS is not decoded, which is an error as of one that cannot be.
    """

    def allowed(sides: tf.Tensor) -> tf.Tensor:
        # Nothing can be decoded of "". An assertion would make deterministic runs sequential.
        sides = tf.cast(sides, tf.int64)
        return tf.where((sides[0] > 0) & (sides[1] > 0) & (sides[0] <= MOST_PIXELS // sides[1]), encoded, "")

    def jpeg() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(encoded)
        part = window(shape)
        return tf.image.decode_and_crop_jpeg(allowed(shape), part, channels=3, dct_method="INTEGER_FAST")

    def other() -> tf.Tensor:
        whole = tf.io.decode_image(allowed(_sides(encoded)), channels=3, expand_animations=False)
        row, column, height, width = tf.unstack(window(tf.shape(whole)))
        return whole[row : row + height, column : column + width]

    return tf.cond(tf.io.is_jpeg(encoded), jpeg, other)


def _sides(encoded: tf.Tensor) -> tf.Tensor:
    """What the head of a PNG, BMP or GIF says of its two sides, int32 [2]; 0 of anything else."""

    def numbers(place: int, kind: tf.DType, big: bool = False) -> tf.Tensor:
        part = tf.strings.substr(encoded, place, 2 * kind.size)
        return tf.abs(tf.cast(tf.io.decode_raw(part, kind, little_endian=not big), tf.int32))

    head = tf.strings.substr(encoded, 0, 4)
    cases = [
        (head == b"\x89PNG", lambda: numbers(16, tf.int32, big=True)),
        (head == b"GIF8", lambda: numbers(6, tf.uint16)),
        (tf.strings.substr(encoded, 0, 2) == b"BM", lambda: numbers(18, tf.int32)),
    ]
    return tf.ensure_shape(tf.case(cases, default=lambda: tf.zeros([2], tf.int32)), [2])


def _resized(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """uint8 [h, w, 3] -> float32 [size, size, 3] in [0, 255]."""
    return tf.ensure_shape(tf.image.resize(tf.cast(pixels, tf.float32), (size, size)), (size, size, 3))


def _between(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + draw * (high - low)


# As separate operations these few sums would take longer than decoding the picture; XLA makes one pass of them.
@tf.function(jit_compile=True)
def _coloured(pixels: tf.Tensor, shift: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Brightness, saturation in HSV as tf.image.adjust_saturation, clip and scale: [b, h, w, 3] in [0, 255] -> [-1, 1].

    In HSV with value v and smallest channel m the saturation is (v - m) / v. Scaling it by f (to 1 at most) moves
    each channel c to v - (v - c) min(f, v / (v - m)). Shift and factor are [b].
    """
    shift, factor = shift[:, None, None, None], factor[:, None, None, None]
    pixels = pixels + shift
    channels = [pixels[..., c : c + 1] for c in range(3)]
    value = tf.maximum(tf.maximum(channels[0], channels[1]), channels[2])
    range_ = value - tf.minimum(tf.minimum(channels[0], channels[1]), channels[2])
    limit = tf.where(range_ > 0.0, value / tf.where(range_ > 0.0, range_, 1.0), factor)
    changed = value - (value - pixels) * tf.minimum(factor, limit)
    return tf.clip_by_value(changed / 127.5 - 1.0, -1.0, 1.0)


@tf.function(jit_compile=True)
def _scaled(pixels: tf.Tensor) -> tf.Tensor:
    """[0, 255] -> [-1, 1]."""
    return pixels / 127.5 - 1.0


def _all_colours(pixels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Slim's slow mode: brightness (b), saturation (s), hue (h) and contrast (c) in one of four orders."""
    steps = {
        "b": lambda x: x + _between(draws[0], -_BRIGHTNESS, _BRIGHTNESS) / 255.0,
        "s": lambda x: tf.image.adjust_saturation(x, _between(draws[1], *_SATURATION)),
        "h": lambda x: tf.image.adjust_hue(x, _between(draws[2], -_HUE, _HUE)),
        "c": lambda x: tf.image.adjust_contrast(x, _between(draws[3], *_CONTRAST)),
    }

    def in_order(order: str) -> tf.Tensor:
        x = pixels / 255.0
        for step in order:
            x = steps[step](x)
        return x

    orders = ("bshc", "sbch", "chbs", "hscb")
    chosen = tf.cast(draws[4] * len(orders), tf.int32)
    changed = tf.switch_case(chosen, [lambda order=order: in_order(order) for order in orders])
    return tf.clip_by_value(changed * 2.0 - 1.0, -1.0, 1.0)
