"""The preprocessing of DivideMix and L2B against Pillow, and the geometry of turned parts read off a linear picture."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.imagenet.published import WAYS, Published

WIDTH, HEIGHT, SIDE = 200, 150, 64


def picture() -> np.ndarray:
    """Red tells the column and green the row."""
    pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    pixels[..., 0] = 20 + np.arange(WIDTH)
    pixels[..., 1] = 20 + np.arange(HEIGHT)[:, np.newaxis]
    return pixels


def shown(way: str, count: int = 1, distort: bool = False, pixels: np.ndarray | None = None) -> np.ndarray:
    """uint8-like [count, SIDE, SIDE, 3] with standardisation undone."""
    stream = io.BytesIO()
    Image.fromarray(picture() if pixels is None else pixels).save(stream, "PNG")
    seeds = tf.constant([[3, number] for number in range(count)], tf.int64)
    found = Published(SIDE, distort, way=way)(tf.repeat(tf.constant([stream.getvalue()]), count), seeds).numpy()
    assert (found.shape, found.dtype) == ((count, SIDE, SIDE, 3), np.float32)
    return (found * WAYS[way].deviation + WAYS[way].mean) * 255.0


@pytest.mark.parametrize(("way", "shorter"), [("clothing1m", 73), ("webvision", 72), ("isic2019", None)])
def test_evaluation_is_what_pillow_makes(way, shorter):
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (15, 20, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT), 3)
    if shorter is None:
        expected = smooth.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    else:
        size = int(shorter * WIDTH / HEIGHT), shorter
        left, top = (round((side - SIDE) / 2) for side in size)
        resized = smooth.resize(size, Image.Resampling.BILINEAR)
        expected = resized.crop((left, top, left + SIDE, top + SIDE))
    found = shown(way, pixels=np.asarray(smooth))[0]
    assert np.abs(found - np.asarray(expected, float)).max() < 1.5  # Pillow rounds twice


def test_cut_squares_lie_anywhere_and_are_mirrored_half_of_the_time():
    found = shown("clothing1m", 200, distort=True)
    scale = 73 / HEIGHT
    left, right = found[:, 32, 0, 0], found[:, 32, -1, 0]
    mirrored = right < left
    assert 65 <= mirrored.sum() <= 135
    assert np.abs(np.abs(right - left) - (SIDE - 1) / scale).max() < 1.5
    start = (np.minimum(left, right) - 20) * scale
    top = (found[:, 0, 32, 1] - 20) * scale
    for places, room in ((start, 97 - SIDE), (top, 73 - SIDE)):
        assert places.min() > -1.0
        assert places.max() < room + 1.0
        assert np.ptp(places) > 0.9 * room


def test_turned_parts_have_the_published_sizes_and_any_angle():
    """Columns of the affine map from the result to the picture: orthogonal, as long as the part's sides."""
    found = shown("isic2019", 150, distort=True)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    shares, ratios, angles, mirrored, dark = [], [], [], [], []
    for image in found:
        inside = image[..., 2] > 254.9  # black came in elsewhere
        dark.append((image[..., 2] < 1.0).mean())
        if inside.sum() < 500:
            continue
        places = np.stack([columns[inside], rows[inside], np.ones(inside.sum())], 1).astype(float)
        solved, _, _, _ = np.linalg.lstsq(places, image[inside][:, :2].astype(float), rcond=None)
        assert np.abs(places @ solved - image[inside][:, :2]).max() < 2.0  # it is affine, but where the frame's edge is
        across, down = solved[0] * SIDE, solved[1] * SIDE
        wide, high = np.linalg.norm(across), np.linalg.norm(down)
        assert abs(across @ down) < 0.03 * wide * high
        shares.append(wide * high / (WIDTH * HEIGHT))
        ratios.append(wide / high)
        mirrored.append(across[0] * down[1] - across[1] * down[0] < 0)
        angles.append(np.arctan2(down[0], down[1]))
    assert len(shares) > 140
    assert min(shares) > 0.28
    assert max(shares) < 1.03
    assert min(ratios) > 0.73
    assert max(ratios) < 1.37
    assert 0.33 < np.mean(mirrored) < 0.67
    assert np.histogram(angles, 4, (-np.pi, np.pi))[0].min() > 15
    assert 0.0 < np.mean(dark) < 0.4


def test_a_seed_gives_one_image_and_a_way_must_exist():
    for way in WAYS:
        both = shown(way, 2, distort=True)
        np.testing.assert_array_equal(both, shown(way, 2, distort=True))
        assert np.abs(both[0] - both[1]).max() > 5
    with pytest.raises(ValueError, match="'mnist', but may be clothing1m, webvision, isic2019"):
        Published(way="mnist")
