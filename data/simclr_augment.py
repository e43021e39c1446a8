"""The views of contrastive learning: resized crops, mirror images, distorted colours, each image with its own.

SimCLR (Chen et al., ICML 2020), appendices A and B.9: for CIFAR-10 an Inception-style crop (8% to 100% of the area,
sides in a ratio of 3/4 to 4/3) resized to the whole, a mirror image, colour distortion of strength 0.5, no blur.
Brightness, contrast, saturation and hue change in this order; the hue by a rotation of the colour plane of YIQ. Images
of one channel have no saturation, hue or grey.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from data.order import GENERATOR

AREA = (0.08, 1.0)
RATIO = (3.0 / 4.0, 4.0 / 3.0)
STRENGTH = 0.5
DISTORTED, GREY = 0.8, 0.2
"""How probable colour distortion and the loss of all colour are."""

_MATRIX = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)  # YIQ
_NUMBERS = 11


def distorted(images: tf.Tensor, key: int, step: tf.Tensor, rows: slice | None = None, flip: bool = True) -> tf.Tensor:
    """One view of every image: a function of (key, step, row).

    Args:
      images: uint8 [b, h, w, c], c 1 or 3.
      key: of this use, see `seeding.key`; two views of one image need two keys.
      step: int64 scalar, the number of the batch.
      rows: which rows of the global batch `images` are, b of them; by default the first b.
      flip: whether half of the images are mirrored left to right.

    Returns:
      float32 [b, h, w, c] in [0, 255].
    """
    rows = slice(0, tf.shape(images)[0]) if rows is None else rows
    # The generator fills row after row, so a row does not depend on how many follow it.
    drawn = tf.random.stateless_uniform([rows.stop, _NUMBERS], [key, step], alg=GENERATOR)[rows]
    return recoloured(cropped(images, drawn[:, :5], flip), drawn[:, 5:])


def cropped(images: tf.Tensor, drawn: tf.Tensor, flip: bool) -> tf.Tensor:
    """Boxes of the images, scaled up to the whole by bilinear interpolation.

    Args:
      images: uint8 [b, h, w, c].
      drawn: float32 [b, 5] in [0, 1): area, ratio, row and column of the box, coin of the mirror image.
      flip: whether the coin counts.

    Returns:
      float32 [b, h, w, c] in [0, 255].
    """
    area, ratio, row, column, coin = tf.unstack(drawn, axis=1)
    area = AREA[0] + (AREA[1] - AREA[0]) * area
    ratio = tf.exp(math.log(RATIO[0]) + (math.log(RATIO[1]) - math.log(RATIO[0])) * ratio)
    height, width = tf.minimum(tf.sqrt(area / ratio), 1.0), tf.minimum(tf.sqrt(area * ratio), 1.0)
    top, left = row * (1.0 - height), column * (1.0 - width)
    right = left + width
    if flip:  # a box from right to left is mirrored
        left, right = tf.where(coin < 0.5, right, left), tf.where(coin < 0.5, left, right)
    boxes = tf.stack([top, left, top + height, right], axis=1)
    made = tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), images.shape[1:3])
    return tf.ensure_shape(made, images.shape)


def recoloured(images: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Images with distorted colours, some of them grey.

    Args:
      images: float32 [b, h, w, c] in [0, 255].
      drawn: float32 [b, 6] in [0, 1): brightness, contrast, saturation, hue, and the coins of distortion and of grey.

    Returns:
      float32 [b, h, w, c] in [0, 255].
    """
    b = tf.shape(images)[0]
    brightness, contrast, saturation, hue, coin, grey_coin = (
        tf.reshape(number, [b, 1, 1, 1]) for number in tf.unstack(drawn, axis=1)
    )
    # 0.8 times the strength for the first three, 0.2 for the hue.
    factors = [1.0 + 0.8 * STRENGTH * (2.0 * number - 1.0) for number in (brightness, contrast, saturation)]
    angle = 2.0 * math.pi * 0.2 * STRENGTH * (2.0 * hue[:, :, :, 0] - 1.0)
    made = _within(images * factors[0])
    mean = tf.reduce_mean(_grey(made), axis=[1, 2, 3], keepdims=True)
    made = _within(mean + factors[1] * (made - mean))
    if images.shape[3] == 3:
        grey = _grey(made)
        made = _within(grey + factors[2] * (made - grey))
        made = _within(_turned(made, angle))
    made = tf.where(coin < DISTORTED, made, images)
    return tf.where(grey_coin < GREY, tf.broadcast_to(_grey(made), tf.shape(made)), made)


def _within(images: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(images, 0.0, 255.0)


def _grey(images: tf.Tensor) -> tf.Tensor:
    """Grey levels [b, h, w, 1]."""
    return images if images.shape[3] == 1 else tf.reduce_sum(images * _MATRIX[0], axis=3, keepdims=True)


def _turned(images: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Colours turned by angles [b, 1, 1] around the axis of grey."""
    y, i, q = tf.unstack(tf.tensordot(images, _MATRIX.T, 1), axis=3)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    turned = tf.stack([y, i * cosine - q * sine, i * sine + q * cosine], axis=3)
    return tf.tensordot(turned, np.linalg.inv(_MATRIX).T, 1)
