"""Views of contrastive learning against Pillow, colorsys and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.simclr_augment import cropped, distorted, recoloured

STEP = tf.constant(3, tf.int64)


def images(n: int = 4, side: int = 12, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, side, side, channels), np.uint8)


def neutral(n: int, **numbers: float) -> tf.Tensor:
    """Numbers that change no colour, but for those that are given."""
    names = ("brightness", "contrast", "saturation", "hue", "distorted", "grey")
    usual = dict.fromkeys(names, 0.5) | {"distorted": 0.0, "grey": 0.9}
    return tf.tile(tf.constant([[(usual | numbers)[name] for name in names]], tf.float32), [n, 1])


def test_a_whole_box_is_the_image_and_a_box_from_right_to_left_its_mirror_image():
    pixels = images()
    whole = np.tile([[1 - 1e-7, 0.5, 0.3, 0.3, 0.7]], (4, 1)).astype(np.float32)
    np.testing.assert_allclose(cropped(pixels, whole, flip=True), pixels, atol=1e-2)
    whole[:, 4] = 0.2
    np.testing.assert_allclose(cropped(pixels, whole, flip=True), pixels[:, :, ::-1], atol=1e-2)
    np.testing.assert_allclose(cropped(pixels, whole, flip=False), pixels, atol=1e-2)


def test_boxes_have_the_drawn_area_and_ratio():
    """A ramp from left to right shows which columns a box takes, one from top to bottom which rows."""
    side = 65
    ramp = np.tile(np.arange(side, dtype=np.uint8), (side, 1))
    pixels = np.stack([np.stack([ramp, ramp.T, ramp], axis=2)] * 50)
    drawn = np.random.default_rng(0).random((50, 5)).astype(np.float32)
    made = cropped(pixels, drawn, flip=False).numpy() / (side - 1)
    width, height = np.ptp(made[..., 0], axis=(1, 2)), np.ptp(made[..., 1], axis=(1, 2))
    area, ratio = 0.08 + 0.92 * drawn[:, 0], 0.75 * (16 / 9) ** drawn[:, 1]
    inside = np.sqrt(area * np.maximum(ratio, 1 / ratio)) < 1
    np.testing.assert_allclose((width * height)[inside], area[inside], rtol=1e-3)
    np.testing.assert_allclose((width / height)[inside], ratio[inside], rtol=1e-3)
    assert inside.sum() > 25


@pytest.mark.parametrize(
    ("name", "number", "enhancer"), [("saturation", 0.9, "Color"), ("brightness", 0.1, "Brightness")]
)
def test_factors_are_pillows(name, number, enhancer):
    from PIL import ImageEnhance

    pixels = images()
    found = recoloured(tf.cast(pixels, tf.float32), neutral(4, **{name: number})).numpy()
    factor = 1 + 0.4 * (2 * number - 1)
    expected = [getattr(ImageEnhance, enhancer)(Image.fromarray(each)).enhance(factor) for each in pixels]
    np.testing.assert_allclose(found, np.stack([np.asarray(each) for each in expected]), atol=2.0)  # it rounds twice


def test_contrast_moves_from_the_mean_grey_and_the_hue_keeps_it():
    pixels = tf.constant(np.random.default_rng(0).uniform(90, 160, (3, 8, 8, 3)), tf.float32)
    grey = pixels.numpy() @ [0.299, 0.587, 0.114]
    mean = grey.mean(axis=(1, 2), keepdims=True)[..., None]
    found = recoloured(pixels, neutral(3, contrast=0.0)).numpy()
    np.testing.assert_allclose(found, mean + 0.6 * (pixels - mean), rtol=1e-4)
    turned = recoloured(pixels, neutral(3, hue=1.0)).numpy()
    np.testing.assert_allclose(turned @ [0.299, 0.587, 0.114], grey, rtol=1e-3)
    assert np.abs(turned - pixels).max() > 5
    np.testing.assert_allclose(recoloured(pixels, neutral(3)), pixels, rtol=1e-3)
    np.testing.assert_allclose(recoloured(pixels, neutral(3, grey=0.0))[..., 2], grey, rtol=1e-3)
    np.testing.assert_allclose(recoloured(pixels, neutral(3, contrast=0.0, distorted=0.9)), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_functions_of_key_step_and_row(channels):
    pixels = images(6, channels=channels)
    whole = distorted(pixels, 5, STEP).numpy()
    assert whole.shape == pixels.shape
    assert 0 <= whole.min() <= whole.max() <= 255
    np.testing.assert_array_equal(distorted(pixels[2:5], 5, STEP, slice(2, 5)), whole[2:5])
    assert (distorted(pixels, 6, STEP).numpy() != whole).mean() > 0.5
    assert (distorted(pixels, 5, STEP + 1).numpy() != whole).mean() > 0.5
