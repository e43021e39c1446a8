"""Augmented pseudo labels of masks: five views of every slice agree on one prediction (L2B's code for PROMISE12).

The views of a slice are itself, a zoom in, two zooms out and a mirror image. The student's probabilities of all are
warped back to the slice, averaged, and made a mask; that mask, warped to each view, is the view's pseudo label. A
zoomed-in view tells nothing of the border, so every pixel is averaged over the views that show it.

All views scale or mirror rows and columns, so warping is a product with one matrix a side.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from mentornet.features import random_seed

COUNTS = (1, 5)
_MARGINS = (4, 30)  # pixels of a slice of 144, in steps of 2
_SIDE = 144.0
_MIRRORS = ((1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))


class Scales(NamedTuple):
    """How far from the centre a pixel of a view comes from, in units of its own distance; negative: mirrored.

    Attributes:
        rows, columns: float32 [v].
    """

    rows: tf.Tensor
    columns: tf.Tensor


def drawn(seed: int, step: tf.Tensor) -> Scales:
    """The five views of a step's slices, a function of (seed, step); the first changes nothing."""
    lowest, highest = (margin // 2 for margin in _MARGINS)
    halves = tf.random.stateless_uniform([3], random_seed(seed, "view_margins", step), lowest, highest + 1, tf.int32)
    shares = 4.0 * tf.cast(halves, tf.float32) / _SIDE  # both margins together, of a side
    zooms = tf.stack([1.0 - shares[0], 1.0 + shares[1], 1.0 + shares[2]])
    which = tf.random.stateless_uniform([], random_seed(seed, "view_mirror", step), 0, len(_MIRRORS), tf.int32)
    mirror = tf.gather(tf.constant(_MIRRORS), which)
    rows, columns = (tf.concat([[1.0], zooms, mirror[side : side + 1]], 0) for side in (0, 1))
    return Scales(rows, columns)


def expanded(values: tf.Tensor, scales: Scales, nearest: bool = False) -> tf.Tensor:
    """The views of every slice, those of one slice together; black, or class 0, moves in.

    Args:
        values: images float32 [b, h, w, c], or with ``nearest`` masks int [b, h, w].
        scales: v of them.
        nearest: take the nearest pixel; otherwise interpolate.

    Returns:
        [b v, h, w, c] or [b v, h, w], of the same type.
    """
    pixels = tf.cast(values, tf.float32)[..., tf.newaxis] if nearest else values
    rows, columns = _matrices(scales, pixels.shape[1], pixels.shape[2], nearest)
    moved = tf.einsum("vij,bjkc,vlk->bvilc", rows, pixels, columns)
    moved = tf.reshape(moved, [-1, *pixels.shape[1:]])
    return tf.cast(moved[..., 0], values.dtype) if nearest else moved


def agreed(logits: tf.Tensor, scales: Scales) -> tf.Tensor:
    """The pseudo labels of all views, from the mean of what the student says of each.

    Args:
        logits: float32 [b v, h, w, C], ordered as ``expanded`` does.
        scales: of the views.

    Returns:
        int32 [b v, h, w].
    """
    _, height, width, classes = logits.shape
    views = scales.rows.shape[0]
    probabilities = tf.reshape(tf.nn.softmax(logits), [-1, views, height, width, classes])
    back = Scales(1.0 / scales.rows, 1.0 / scales.columns)
    rows, columns = _matrices(back, height, width, nearest=False)
    together = tf.einsum("vij,bvjkc,vlk->bilc", rows, probabilities, columns)  # the same order of classes as their mean
    mask = tf.argmax(together, axis=-1, output_type=tf.int32)
    return expanded(mask, scales, nearest=True)


def _matrices(scales: Scales, height: int, width: int, nearest: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Of every view, which rows [v, h, h] and columns [v, w, w] of the slice each of its own is made of."""
    return _matrix(scales.rows, height, nearest), _matrix(scales.columns, width, nearest)


def _matrix(scale: tf.Tensor, size: int, nearest: bool) -> tf.Tensor:
    places = tf.range(size, dtype=tf.float32)
    centre = (size - 1) / 2.0
    source = centre + scale[:, tf.newaxis] * (places - centre)
    if nearest:
        source = tf.floor(source + 0.5)
    return tf.nn.relu(1.0 - tf.abs(source[:, :, tf.newaxis] - places))
