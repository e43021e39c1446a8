"""slim's ImageNet preprocessing against TensorFlow's and Pillow's own operations, and the distribution of its crops."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.imagenet import preprocessing
from data.imagenet.preprocessing import Preprocessing, preprocessed

SEEDS = [tf.constant([7, n], tf.int64) for n in range(200)]


def training_image(data: bytes | tf.Tensor, how: Preprocessing, seed: tf.Tensor) -> tf.Tensor:
    return preprocessed(tf.constant(data)[tf.newaxis], how, seed[tf.newaxis])[0]


def evaluation_image(data: bytes | tf.Tensor, size: int) -> tf.Tensor:
    return training_image(data, Preprocessing(size, distort=False), SEEDS[0])


def gradient(width: int = 80, height: int = 60) -> np.ndarray:
    """Red tells the column and green the row, so that a crop shows where it comes from."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, np.newaxis]
    return pixels


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind, quality=95)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("BMP", "RGB"), ("GIF", "RGB")]
)
def test_evaluation_shows_the_centre_of_any_format(kind, mode):
    data = encoded(gradient(), kind, mode)
    found = evaluation_image(tf.constant(data), 40).numpy()
    assert (found.shape, found.dtype) == ((40, 40, 3), np.float32)
    # 87.5% of 80x60: columns 5 to 75, rows 3 (60 * 0.0625 rounded down) to 57.
    with Image.open(io.BytesIO(data)) as image:
        centre = image.convert("RGB").crop((5, 3, 75, 57))
    expected = tf.image.resize(np.asarray(centre), (40, 40)).numpy() / 127.5 - 1.0
    tolerance = 0.08 if kind == "JPEG" else 1e-5  # decoders round differently
    assert np.abs(found - expected).max() < tolerance


def test_training_images_are_crops_of_the_right_shapes():
    data = tf.constant(encoded(gradient()))
    how = Preprocessing(32, colour="none")
    crops = tf.function(lambda seed: training_image(data, how, seed))
    found = (np.stack([crops(seed) for seed in SEEDS]) + 1.0) / 2.0
    assert found.shape == (200, 32, 32, 3)
    mirrored = found[:, 16, -1, 0] < found[:, 16, 0, 0]
    assert 70 <= mirrored.sum() <= 130  # a fair coin, five deviations
    width = np.abs(found[:, 16, -1, 0] - found[:, 16, 0, 0]) * 80
    height = (found[:, -1, 16, 1] - found[:, 0, 16, 1]) * 60
    share, ratio = width * height / 4800, width / height
    # Slack for pixels cut off by the resizing and rounded sides.
    assert share.min() > 0.06
    assert share.max() > 0.8
    assert 0.65 < ratio.min() < 0.85
    assert 1.2 < ratio.max() < 1.5
    assert 0.35 < share.mean() < 0.65


def test_a_seed_gives_one_image_and_another_seed_another():
    data, how = tf.constant(encoded(gradient())), Preprocessing(16)
    first, again, other = (training_image(data, how, SEEDS[n]).numpy() for n in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_distortion_training_shows_what_evaluation_shows():
    data = tf.constant(encoded(gradient()))
    found = training_image(data, Preprocessing(16, distort=False), SEEDS[0])
    assert np.array_equal(found, evaluation_image(data, 16))


def test_the_fused_colours_are_those_of_tensorflow():
    shift, factor = (values.ravel() for values in np.meshgrid([-20.0, 0.0, 25.0], [0.5, 1.0, 1.5]))
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 9, 3)).astype(np.float32)
    pixels[:, 0, :3] = [[0, 0, 0], [255, 255, 255], [9, 9, 9]]
    found = preprocessing._coloured(*(tf.constant(values, tf.float32) for values in (pixels, shift, factor)))
    for image, own_shift, own_factor, result in zip(pixels, shift, factor, found, strict=True):
        brighter = tf.image.adjust_brightness(tf.constant(image / 255.0), own_shift / 255.0)
        expected = np.clip(tf.image.adjust_saturation(brighter, own_factor).numpy() * 2.0 - 1.0, -1.0, 1.0)
        np.testing.assert_allclose(result, expected, atol=2e-6)


def test_each_image_follows_its_own_seed_alone():
    """What the draws of a seed ask for, done to the same crop by NumPy; neighbours in a batch change nothing."""
    shapes = {"PNG": (80, 60), "JPEG": (50, 70), "BMP": (64, 64)}
    # Lighter by more than the darkest brightness takes away: below 0 HSV is not defined.
    data = [encoded(60 + gradient(*shape) // 2, kind) for kind, shape in shapes.items()]
    seeds = tf.stack(SEEDS[:3])
    crops = preprocessed(tf.constant(data), Preprocessing(20, colour="none"), seeds).numpy()
    found = preprocessed(tf.constant(data), Preprocessing(20), seeds).numpy()
    for crop, image, seed, one in zip(crops, found, SEEDS, data, strict=False):
        draws = tf.random.stateless_uniform([8], seed, alg="philox").numpy()
        pixels = np.float64(crop + 1.0) / 2.0 + (2.0 * draws[1] - 1.0) * 32.0 / 255.0
        value, least = pixels.max(-1, keepdims=True), pixels.min(-1, keepdims=True)
        saturation = np.divide(value - least, value, out=np.zeros_like(value), where=value > 0)
        scale = np.divide(np.clip(saturation * (draws[2] + 0.5), None, 1.0), saturation, out=np.ones_like(value),
                          where=saturation > 0)  # fmt: skip
        expected = np.clip(2.0 * (value - (value - pixels) * scale) - 1.0, -1.0, 1.0)
        np.testing.assert_allclose(image, expected, atol=1e-5)
        np.testing.assert_allclose(image, training_image(one, Preprocessing(20), seed), atol=1e-6)


def test_a_mirrored_crop_is_the_crop_mirrored():
    """A symmetric picture tells nothing of its being mirrored; the same crop of the other half of it does."""
    plain = gradient()
    both = [training_image(encoded(image), Preprocessing(24, colour="none"), seed).numpy()
            for seed in SEEDS[:12] for image in (plain, 255 - plain[..., [0, 0, 0]])]  # fmt: skip
    falling = [image[12, -1, 0] < image[12, 0, 0] for image in both[::2]]
    coins = [tf.random.stateless_uniform([8], seed, alg="philox")[0].numpy() < 0.5 for seed in SEEDS[:12]]
    assert falling == coins
    for image, inverse in zip(both[::2], both[1::2], strict=True):
        np.testing.assert_allclose(image[..., 0], -inverse[..., 0], atol=1e-5)


def test_colours_stay_in_range_and_all_four_orders_occur():
    data, how = tf.constant(encoded(gradient())), Preprocessing(8, colour="full")
    make = tf.function(lambda seed: training_image(data, how, seed))
    found = np.stack([make(seed) for seed in SEEDS[:40]])
    assert -1.0 <= found.min() < found.max() <= 1.0
    orders = []
    for seed in SEEDS[:40]:  # one draw decides: the sixth of the eight
        orders.append(int(tf.random.stateless_uniform([8], seed, alg="philox")[5] * 4))
    assert set(orders) == {0, 1, 2, 3}
    assert len(np.unique(found.reshape(40, -1).round(5), axis=0)) == 40


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="image size is 0 pixels"):
        Preprocessing(0)
    with pytest.raises(ValueError, match="may be fast, full, none"):
        Preprocessing(8, colour="sepia")  # type: ignore[arg-type]
