"""Every image operation against Pillow, the mixture of operations in one batch, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from data import auto_augment, image_operations
from data.image_operations import Operation, Operations
from tests.pillow_operations import pillow

GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
OTHERS = tuple(name for name in image_operations.NAMES if name not in GEOMETRIC)


def pictures(height=32, width=32, channels=3):
    """Noise of several spreads, smooth images, and the corner cases of histograms; uint8 [n, h, w, c]."""
    rng = np.random.default_rng(height * width + channels)
    shape = (height, width, channels)
    noise = [rng.normal(mean, spread, shape) for mean in (40, 128, 220) for spread in (1, 10, 60, 200)]
    y, x = np.mgrid[:height, :width]
    waves = [
        np.stack([128 + 120 * np.sin(x * f + y * g + k) for k in range(channels)], -1) for f, g in [(0.1, 0.2), (1, 0)]
    ]
    flat = [np.full(shape, level) for level in (0, 77, 255)]
    two_levels = [np.where(rng.random(shape) < share, 20, 21) for share in (0.1, 0.5, 0.999)]
    one_odd_pixel = np.full(shape, 200)
    one_odd_pixel[3, 4] = 10
    every = np.arange(height * width * channels).reshape(shape) % 256
    return np.clip(np.stack([*noise, *waves, *flat, *two_levels, one_odd_pixel, every]), 0, 255).astype(np.uint8)


def made_and_expected(operation, images):
    made = Operations([operation])(tf.constant(images), tf.zeros([len(images)], tf.int32)).numpy()
    return made, np.stack([pillow(image, operation.name, operation.amount) for image in images])


def ten_magnitudes(name):
    return {auto_augment.operation(name, magnitude, side) for magnitude in range(10) for side in (-1, 1)}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OTHERS)
def test_levels_are_those_of_pillow(name, channels):
    images = pictures(channels=channels)
    for operation in ten_magnitudes(name):
        made, expected = made_and_expected(operation, images)
        difference = np.abs(made.astype(int) - expected)
        # Equal where Pillow is compiled without fused multiply-add, which moves a few values over a whole number.
        assert difference.max() <= 1, operation
        assert np.mean(difference > 0) < 1e-3, operation


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1), (20, 33, 3), (3, 5, 1)])
@pytest.mark.parametrize("name", GEOMETRIC)
def test_places_are_those_of_pillow(name, shape):
    images = (
        pictures(*shape) if min(shape[:2]) > 4 else np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
    )
    for operation in ten_magnitudes(name):
        made, expected = made_and_expected(operation, images)
        # A source exactly between two pixels may be rounded either way: none is at these sizes and magnitudes.
        np.testing.assert_array_equal(made, expected, err_msg=str(operation))


@pytest.mark.parametrize("name", image_operations.NAMES)
def test_operations_change_images(name):
    """So that the comparisons above do not hold for want of an effect."""
    image = pictures()[:1]
    made = Operations([auto_augment.operation(name, 8, 1)])(tf.constant(image), tf.constant([0]))
    assert np.array_equal(made, image) == (name == "Identity")


def test_what_moves_in_is_grey():
    black = tf.zeros([5, 32, 32, 3], tf.uint8)
    operations = Operations([auto_augment.operation(name, 9, 1) for name in GEOMETRIC])
    moved = operations(black, tf.range(5)).numpy()
    assert set(moved.ravel()) == {0, 128}
    assert (moved == 128).any((1, 2, 3)).all()


def test_a_translation_moves_the_source_to_the_right():
    image = np.arange(32, dtype=np.uint8)[np.newaxis, np.newaxis, :, np.newaxis].repeat(32, 1)
    moved = Operations([Operation("TranslateX", 0.25)])(tf.constant(image), tf.constant([0]))
    np.testing.assert_array_equal(moved[0, 0, :, 0], [*range(8, 32), *[128] * 8])


def test_a_rotation_is_counter_clockwise():
    image = np.zeros((1, 33, 33, 1), np.uint8)
    image[0, 16, 28] = 255  # right of the centre
    (turned,) = Operations([Operation("Rotate", 30)])(tf.constant(image), tf.constant([0])).numpy()
    row, column = np.argwhere(turned[..., 0] == 255)[0]
    assert (row, column) == (16 - 6, 16 + 10)  # 12 (sin 30°, cos 30°)


def test_colour_does_nothing_to_grey_images():
    images = pictures(channels=1)
    made, _ = made_and_expected(Operation("Color", 0.1), images)
    np.testing.assert_array_equal(made, images)


def test_every_image_has_its_own_operation():
    images = pictures().repeat(6, 0)
    operations = [auto_augment.operation(name, 6, side) for name in image_operations.NAMES for side in (-1, 1)]
    which = np.random.default_rng(1).integers(0, len(operations), len(images))
    made = Operations(operations)(tf.constant(images), tf.constant(which, tf.int32)).numpy()
    for image, result, i in zip(images, made, which, strict=True):
        difference = np.abs(result.astype(int) - pillow(image, operations[i].name, operations[i].amount))
        assert difference.max() <= 1, operations[i]


@pytest.mark.parametrize("name", image_operations.NAMES)
def test_families_without_an_image(name):
    """A batch in which all images have one operation leaves the other families empty."""
    images = tf.constant(pictures()[:1])
    operations = Operations([Operation(other) for other in image_operations.NAMES])
    assert operations(images, tf.constant([image_operations.NAMES.index(name)])).shape == images.shape


def test_what_is_refused():
    with pytest.raises(ValueError, match="no image operation 'Blur'; choose from Identity"):
        Operation("Blur")
    identity, which = Operations([Operation("Identity")]), tf.constant([0])
    for images in (tf.zeros([1, 8, 8, 3]), tf.zeros([1, 8, 8, 4], tf.uint8), tf.zeros([1, 2, 8, 3], tf.uint8)):
        with pytest.raises(ValueError, match="known h and w from 3 pixels on and c of 1 or 3, but these are"):
            identity(images, which)
