"""Crops, flips and standardisation against slow NumPy versions, and how random they are in a stream."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from data import augmentation
from data.augmentation import AUGMENTATIONS, Augmentation
from data.streams import GIVEN
from mentornet.stages import Stream
from tests.one_stream import OneStream, collected


def examples(n, height=6, width=6, channels=3):
    """Random images, and flags that depend on the position."""
    return np.random.default_rng(n).integers(0, 256, (n, height, width, channels), np.uint8), np.arange(n) % 3 != 0


def slow_crop_and_flip(images, offsets, flipped, pad):
    """One image, one pixel at a time."""
    n, height, width, _ = images.shape
    out = np.zeros_like(images)
    for i, y, x in itertools.product(range(n), range(height), range(width)):
        source_y = y + offsets[i, 0] - pad
        source_x = (width - 1 - x if flipped[i] else x) + offsets[i, 1] - pad
        if 0 <= source_y < height and 0 <= source_x < width:
            out[i, y, x] = images[i, source_y, source_x]
    return out


@pytest.mark.parametrize(("pad", "shape"), [(0, (5, 7, 3)), (1, (8, 8, 1)), (4, (6, 5, 3))])
def test_crop_and_flip_equals_the_slow_version(pad, shape):
    images, flipped = examples(20, *shape)
    offsets = np.random.default_rng(1).integers(0, 2 * pad + 1, (20, 2)).astype(np.int32)
    fast = augmentation.crop_and_flip(tf.constant(images), tf.constant(offsets), tf.constant(flipped), pad)
    np.testing.assert_array_equal(fast, slow_crop_and_flip(images, offsets, flipped, pad))


def found_augmentations(augment, n=40, steps=30, views=("weak",)):
    """For each image of a stream, by trying all: the (row, column, flip) of each view, int [steps n, views, 3]."""
    images, _ = examples(n)
    pad = augment.pad
    candidates = list(itertools.product(range(2 * pad + 1), range(2 * pad + 1), (False, True)))
    variants = {}
    for row, column, flip in candidates:
        made = slow_crop_and_flip(images, np.tile([row, column], (n, 1)), [flip] * n, pad)
        for i in range(n):
            variants[i, made[i].tobytes()] = (row, column, flip)
    source = OneStream(images, np.zeros(n), batch_size=n, seed=3, augmentation=augment)
    source.streams = {GIVEN: Stream(views=views)}
    found = []
    for batch in source.dataset(0, steps).as_numpy_iterator():
        pixels = np.rint(batch["image"] * 255).astype(np.uint8).reshape(n, len(views), 6, 6, 3)
        for i, own in zip(batch["index"], pixels, strict=True):
            found.append([variants[int(i), image.tobytes()] for image in own])
    return np.array(found)


def assert_uniform(found):
    for axis in (0, 1):
        # 1,200 draws of three offsets: 400 each, standard deviation 16.3.
        assert np.abs(np.bincount(found[:, axis], minlength=3) - 400).max() < 5 * 16.4
    assert abs(found[:, 2].sum() - 600) < 5 * 17.4


def test_crops_and_flips_are_uniform_and_independent():
    found = found_augmentations(Augmentation(pad=1, flip=True, standardise="none"))[:, 0]
    assert_uniform(found)
    assert np.abs(np.corrcoef(found.T)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(1200)


def test_crops_and_flips_of_several_views_are_uniform_and_independent():
    found = found_augmentations(Augmentation(pad=1, flip=True, standardise="none"), views=("weak", "weak", "weak"))
    for view in range(3):
        assert_uniform(found[:, view])
    correlations = np.corrcoef(found.reshape(1200, 9).T)[np.triu_indices(9, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(1200)


def test_without_flip_nothing_is_mirrored():
    assert not found_augmentations(Augmentation(pad=1, standardise="none"), steps=3)[:, 0, 2].any()
    flipped_only = found_augmentations(Augmentation(flip=True, standardise="none"), steps=3)[:, 0]
    assert 30 < flipped_only[:, 2].sum() < 90
    assert not flipped_only[:, :2].any()


def test_named_augmentations():
    assert AUGMENTATIONS["none"] == Augmentation(0, False, "per_image")
    assert AUGMENTATIONS["cifar"] == Augmentation(4, True, "per_image")
    assert AUGMENTATIONS["release"] == Augmentation(2, True, "per_image")
    assert AUGMENTATIONS["l2rw"] == Augmentation(2, True, "scale")
    assert not AUGMENTATIONS["crop"].flip


def test_standardisation():
    images = examples(12)[0]
    images[0] = 77  # constant: divided by 1 / sqrt(number of values), not by 0
    per_image = augmentation.standardised(tf.constant(images), "per_image").numpy()
    flat = images.reshape(12, -1).astype(np.float64)
    deviation = np.maximum(flat.std(1), 1 / np.sqrt(flat.shape[1]))
    expected = ((flat - flat.mean(1, keepdims=True)) / deviation[:, None]).reshape(images.shape)
    np.testing.assert_allclose(per_image, expected, atol=1e-5)
    one_by_one = np.stack([tf.image.per_image_standardization(image) for image in images])
    np.testing.assert_allclose(per_image, one_by_one, atol=1e-6)
    extremes = tf.constant([[[[0], [255]]]], tf.uint8)
    assert augmentation.standardised(extremes, "scale").numpy().ravel().tolist() == [-1, 1]
    assert augmentation.standardised(extremes, "none").numpy().ravel().tolist() == [0, 1]


def test_padding_comes_before_standardisation():
    # A white image shifted by any amount has black borders, so only a centred crop standardises to zero.
    white = np.full((64, 6, 6, 1), 255, np.uint8)
    (batch,) = collected(OneStream(white, [0] * 64, batch_size=64, augmentation=Augmentation(pad=2)).dataset(0, 1))
    centred = np.ptp(batch["image"], axis=(1, 2, 3)) == 0
    assert centred.mean() < 0.2  # 1 of 25
    np.testing.assert_allclose(batch["image"].mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(batch["image"][~centred].std((1, 2, 3)), 1, atol=1e-5)


def test_impossible_augmentations_are_refused():
    with pytest.raises(ValueError, match="pads -1"):
        Augmentation(pad=-1)
    with pytest.raises(ValueError, match="'z_score', but may be per_image"):
        Augmentation(standardise="z_score")
