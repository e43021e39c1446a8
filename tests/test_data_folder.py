"""The folder data set on image files the test itself writes, good ones and broken ones."""

import numpy as np
import pytest
from PIL import Image

from data import datasets, folder

RED, BLUE = (200, 30, 20), (10, 40, 220)


def write(path, colour=RED, size=(40, 40), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


@pytest.fixture
def root(tmp_path):
    """Two classes whose colours tell them apart; dogs are blue."""
    write(tmp_path / "train/dog/b.png", BLUE)
    write(tmp_path / "train/dog/a.JPG", BLUE, quality=95)
    write(tmp_path / "train/cat/z.jpeg", RED, quality=95)
    write(tmp_path / "train/cat/m.bmp", RED)
    write(tmp_path / "test/dog/t.png", BLUE)
    return tmp_path


def test_layout_becomes_sorted_classes_and_paths(root):
    (root / "train/cat/notes.txt").write_text("not an image")
    (root / "train/cat/._z.jpeg").write_bytes(b"what macOS leaves behind")
    dataset = datasets.load("folder", data_dir=root)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.image_shape == (32, 32, 3)
    assert dataset.train.paths == ("train/cat/m.bmp", "train/cat/z.jpeg", "train/dog/a.JPG", "train/dog/b.png")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert dataset.train.ids.tolist() == [0, 1, 2, 3]
    assert dataset.test.labels.tolist() == [1]
    assert dataset.test.ids.tolist() == [0]
    for label, image in zip(dataset.train.labels, dataset.train.images, strict=True):
        assert np.abs(image.astype(int) - (BLUE if label else RED)).max() <= 3  # JPEG rounding
    assert not dataset.train.labels_are_true
    assert dataset.test.labels_are_true


def test_image_size_and_pixels_of_a_png(root):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / "test/dog/t.png")
    dataset = folder.load(root, image_size=8)
    np.testing.assert_array_equal(dataset.test.images[0], pixels)


def test_downscaling_averages(root):
    # Left half black, right half white, squeezed from 64x16 to 2x2: anti-aliasing keeps both halves.
    pixels = np.zeros((16, 64, 3), np.uint8)
    pixels[:, 32:] = 255
    Image.fromarray(pixels).save(root / "test/dog/t.png")
    image = folder.load(root, image_size=2).test.images[0, :, :, 0].astype(int)
    assert (image[:, 0] < 60).all()
    assert (image[:, 1] > 195).all()


def test_images_are_turned_as_the_camera_recorded(root):
    picture = Image.new("RGB", (16, 16), RED)
    picture.paste(BLUE, (0, 0, 16, 8))  # stored: top half blue
    exif = Image.Exif()
    exif[0x0112] = 3  # orientation: to be turned by 180 degrees
    picture.save(root / "test/dog/t.jpg", quality=95, exif=exif)
    (root / "test/dog/t.png").unlink()
    image = folder.load(root, image_size=16).test.images[0].astype(int)
    assert np.abs(image[:6] - RED).max() <= 6
    assert np.abs(image[10:] - BLUE).max() <= 6


def test_16_bit_grey_keeps_its_range(root):
    grey = np.repeat(np.array([[0, 16384, 32768, 65535]], np.uint16), 4, axis=0)
    Image.fromarray(grey).save(root / "test/dog/t.png")
    assert folder.load(root, image_size=4).test.images[0, 0, :, 2].tolist() == [0, 64, 128, 255]


def test_all_broken_images_are_named_in_one_error(root):
    whole = (root / "train/cat/z.jpeg").read_bytes()
    (root / "train/cat/z.jpeg").write_bytes(whole[: len(whole) * 2 // 3])
    (root / "train/dog/b.png").write_bytes((root / "train/dog/b.png").read_bytes()[:60])
    (root / "test/dog/t.png").write_bytes(b"")
    with pytest.raises(ValueError, match="3 of 5 image files cannot be read") as caught:
        folder.load(root)
    message = str(caught.value)
    assert all(name in message for name in ("z.jpeg", "b.png", "t.png"))
    assert "\n" not in message


def test_long_lists_of_broken_images_are_cut(root):
    for number in range(8):
        (root / f"train/cat/broken{number}.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="8 of 13 image files") as caught:
        folder.load(root)
    assert "broken4" in str(caught.value)
    assert "broken5" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path, root):
    with pytest.raises(ValueError, match="needs --data_dir"):
        folder.load(None)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        folder.load(tmp_path / "nowhere")
    (root / "test/dog/t.png").unlink()
    with pytest.raises(ValueError, match="test has no images"):
        folder.load(root)


def test_one_class_is_not_enough(root):
    for file in (root / "train/cat").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="cat has no images"):
        folder.load(root)
    (root / "train/cat").rmdir()
    with pytest.raises(ValueError, match=r"1 class folder\(s\), but at least 2"):
        folder.load(root)


def test_a_class_that_only_test_has_is_refused(root):
    write(root / "test/horse/h.png")
    with pytest.raises(ValueError, match="test has classes that train has not: horse"):
        folder.load(root)


@pytest.mark.parametrize("suffix", ["webp", "gif", "tif", "TIFF"])
def test_other_kinds_that_pillow_reads(suffix, root):
    write(root / f"train/cat/a.{suffix}", RED)
    dataset = folder.load(root)
    assert dataset.train.paths[0] == f"train/cat/a.{suffix}"
    assert np.abs(dataset.train.images[0].astype(int) - RED).max() <= 8  # the palette of a gif


def test_photos_of_other_kinds_are_refused(root):
    (root / "train/cat/IMG_0001.HEIC").write_bytes(b"whatever")
    with pytest.raises(ValueError, match=r"IMG_0001\.HEIC is of a kind that is not read: convert"):
        folder.load(root)


def test_transparent_palettes_are_read_without_a_warning(root, recwarn):
    palette = Image.new("P", (40, 40), 1)
    palette.putpalette([0, 0, 0, *RED])
    palette.save(root / "train/cat/a.png", transparency=bytes([0, 255]))
    assert folder.load(root).train.images[0, 0, 0].tolist() == list(RED)
    assert not [str(warning.message) for warning in recwarn]


def test_a_checked_image_that_is_still_among_the_noisy_ones_is_refused(root):
    """Copied instead of moved, to another name and class."""
    write(root / "clean/dog/good.png", BLUE, size=(41, 40))
    write(root / "clean/cat/good.png", RED, size=(41, 40))
    assert len(folder.load(root).clean) == 2
    (root / "train/cat/wrong.png").write_bytes((root / "clean/dog/good.png").read_bytes())
    with pytest.raises(ValueError, match=r"clean/dog/good\.png is also .*train/cat/wrong\.png: move checked images"):
        folder.load(root)
