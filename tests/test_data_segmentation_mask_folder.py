"""Folders of images and masks: layouts, kinds of files, which value is which class, cases, and every refusal."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from data import segmentation
from data.segmentation import noise

SIZE = (24, 16)  # width, height


def mask_of(number: int, value: int = 1) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[2:8, number % 10 : number % 10 + 8] = value
    return mask


def put(file, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def make(root, names, *, part="", value=1, suffix="png") -> None:
    for number, name in enumerate(names):
        random = np.random.default_rng(number)
        put(root / part / "images" / f"{name}.png", random.integers(0, 256, SIZE[::-1], np.uint8))
        put(root / part / "masks" / f"{name}.{suffix}", mask_of(number, value))


def load(root, **options) -> segmentation.SegmentationData:
    return segmentation.load("mask_folder", root, image_size=16, **options)


CASES = [f"{case}_{number}" for case in ("anna", "ben", "carl", "dora", "emil") for number in (2, 10, 1)]


def test_cases_are_held_out_whole_and_slices_are_ordered_by_number(tmp_path):
    make(tmp_path, CASES, value=255, suffix="tif")
    data = load(tmp_path)
    assert set(data.train.cases) | set(data.test.cases) == {"anna", "ben", "carl", "dora", "emil"}
    assert len(set(data.test.cases)) == 1
    assert not set(data.train.cases) & set(data.test.cases)
    assert data.clean is None
    assert data.train.true_masks is None
    case = data.test.cases[0]
    assert data.test.names == tuple(f"images/{case}_{number}.png" for number in (1, 2, 10))
    assert data.test.slices.tolist() == [0, 1, 2]
    volume = data.test.volumes[case]
    assert (volume.shape, volume.spacing) == ((3, 16, 24), (1.0, 1.0, 1.0))
    assert np.array_equal(volume.mask[1], mask_of(CASES.index(f"{case}_2")))
    assert data.test.masks.max() == 1
    assert data.class_names == ("background", "foreground")
    assert any("held out" in note and "the given masks as right" in note for note in data.notes)
    assert any("before the last underscore" in note for note in data.notes)
    assert set(load(tmp_path, seed=1).test.cases) != set(data.test.cases)
    assert load(tmp_path, spacing=(3, 0.5, 0.5)).test.volumes[case].spacing == (3.0, 0.5, 0.5)


def test_checked_true_and_test_masks(tmp_path):
    """Images with a checked mask leave the training set; true masks serve measuring alone."""
    make(tmp_path, CASES)
    make(tmp_path, ["zoe_1", "zoe_2"], part="test")
    for number in (0, 1):
        put(tmp_path / "clean_masks" / f"{CASES[number]}.png", mask_of(5))
    for number, name in enumerate(CASES):
        put(tmp_path / "true_masks" / f"{name}.png", mask_of(number + 1))
    data = load(tmp_path)
    assert (len(data.train), len(data.clean), len(data.test)) == (13, 2, 2)
    assert set(data.clean.names) == {"images/anna_2.png", "images/anna_10.png"}
    assert not set(data.clean.names) & set(data.train.names)
    assert np.array_equal(data.clean.masks[0], data.clean.masks[1])
    assert not np.array_equal(data.train.masks, data.train.true_masks)
    assert data.test.names == ("test/images/zoe_1.png", "test/images/zoe_2.png")
    given = np.mean([2 * 42 / 96] * 13)  # 6 x 8 pixels, moved by one
    assert noise.dice_of_given(data.train) == pytest.approx(given, abs=0.08)  # resized from 24 to 16 columns
    noisy = load(tmp_path, mask_noise="dilate:1").train
    assert np.array_equal(noisy.true_masks, data.train.true_masks)
    assert noisy.masks.sum() > noisy.true_masks.sum()


def test_kinds_of_files(tmp_path):
    """Grey beside colour, 16 bit, masks of one bit, in a palette and in three equal channels; photographs as cases."""
    make(tmp_path, [f"IMG_{n}" for n in range(5)])
    put(tmp_path / "images" / "IMG_0.png", np.full((*SIZE[::-1], 3), [200, 100, 50], np.uint8))
    deep = np.full(SIZE[::-1], 1000, np.uint16)
    deep[:8] = 3000
    put(tmp_path / "images" / "IMG_1.png", deep)
    Image.fromarray(mask_of(0) > 0).save(tmp_path / "masks" / "IMG_0.png")
    palette = Image.fromarray(mask_of(1)).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    (tmp_path / "masks" / "IMG_1.png").unlink()
    palette.save(tmp_path / "masks" / "IMG_1.png")
    put(tmp_path / "masks" / "IMG_2.png", np.repeat(mask_of(2)[..., None], 3, -1))
    put(tmp_path / "masks" / "IMG_3.png", np.zeros(SIZE[::-1], np.uint8))  # nothing in this slice
    make(tmp_path, ["t"], part="test")
    data = load(tmp_path)
    assert data.image_shape == (16, 16, 3)
    assert data.train.cases == tuple(f"IMG_{n}" for n in range(5))
    assert any("Every file counts as a case" in note for note in data.notes)
    assert data.train.images[0, 3, 3].tolist() == [200, 100, 50]
    assert set(np.unique(data.train.images[1, [0, -1]])) == {0, 255}  # 16 bit, stretched
    assert [int(mask.sum() > 0) for mask in data.train.masks] == [1, 1, 1, 0, 1]


def test_masks_that_do_not_fit_the_others_are_named(tmp_path):
    make(tmp_path, CASES, value=255)
    made = len(list((tmp_path / "masks").iterdir()))
    odd = tmp_path / "masks" / f"{CASES[-1]}.png"
    put(odd, mask_of(0, 255) // np.arange(1, 1 + SIZE[0], dtype=np.uint8))  # fading to the right
    with pytest.raises(
        ValueError, match=rf"{made - 1} of {made} masks have 0 and 255 alone, but .*{odd.name} has .*smoothed"
    ):
        load(tmp_path)
    put(odd, 7 * (mask_of(0, 255) > 0).astype(np.uint8))
    with pytest.raises(
        ValueError, match=rf"{odd.name} has 7: if they are classes, say so: --mask_values=0,7,255, else mend it"
    ):
        load(tmp_path)
    for name in CASES:
        put(tmp_path / "masks" / f"{name}.png", mask_of(0, 255))
    put(tmp_path / "clean_masks" / f"{CASES[0]}.png", mask_of(0, 1))
    with pytest.raises(ValueError, match=r"clean_masks has 0 and 1, .*masks has 0 and 255: write them alike"):
        load(tmp_path)


def test_values_of_classes(tmp_path):
    make(tmp_path, CASES)
    for number, name in enumerate(CASES):
        put(tmp_path / "masks" / f"{name}.png", mask_of(number) + 2 * np.roll(mask_of(number), 9, axis=0))
    data = load(tmp_path)
    assert data.class_names == ("background", "value_1", "value_2")
    assert set(np.unique(data.train.masks)) == {0, 1, 2}

    put(tmp_path / "masks" / "anna_2.png", mask_of(0, 128))
    with pytest.raises(ValueError, match=r"values 0, 1, 2, 128, not 0 and 1, .*say so: --mask_values=0,1,2,128\.$"):
        load(tmp_path)
    swapped = load(tmp_path, mask_values=[0, 128, 2, 1])
    assert swapped.class_names == ("background", "value_128", "value_2", "value_1")
    with pytest.raises(ValueError, match=r"anna_2\.png has the value 128, which is not among --mask_values=0,1,2;"):
        load(tmp_path, mask_values=[0, 1, 2])
    for wrong in ([0], [0, 0], [0, 300]):
        with pytest.raises(ValueError, match="2 to 32 different numbers from 0 to 255"):
            load(tmp_path, mask_values=wrong)
    put(tmp_path / "masks" / "anna_2.png", np.arange(24 * 16, dtype=np.uint32).reshape(16, 24).astype(np.uint8))
    with pytest.raises(ValueError, match="smoothed or compressed"):
        load(tmp_path)


def test_the_same_name_before_an_underscore_needs_one_size(tmp_path):
    make(tmp_path, CASES)
    put(tmp_path / "images" / "anna_2.png", np.ones((30, 30), np.uint8))
    put(tmp_path / "masks" / "anna_2.png", np.ones((30, 30), np.uint8))
    assert len(set(load(tmp_path).train.cases)) > 5  # so they are no volumes
    with pytest.raises(ValueError, match="slices of case anna have different sizes"):
        load(tmp_path, cases_from="name")


def damage(root, how: str) -> None:
    if how == "size":
        put(root / "masks" / "ben_2.png", np.ones((16, 23), np.uint8))
    elif how == "test size":
        make(root, ["t_1"], part="test")
        put(root / "test" / "masks" / "t_1.png", np.ones((16, 23), np.uint8))
    elif how == "no mask":
        (root / "masks" / "ben_2.png").unlink()
    elif how == "clean folder lost":
        (root / "masks" / "ben_2.png").unlink()
        shutil.rmtree(root / "clean_masks", ignore_errors=True)
    elif how == "no image":
        (root / "images" / "ben_2.png").unlink()
    elif how == "unreadable":
        (root / "images" / "ben_2.png").write_bytes(b"this is text")
    elif how == "cut":
        put(root / "images" / "ben_2.png", np.random.default_rng(0).integers(0, 255, SIZE[::-1], np.uint8))
        (root / "images" / "ben_2.png").write_bytes((root / "images" / "ben_2.png").read_bytes()[:150])
    elif how == "colours":
        put(root / "masks" / "ben_2.png", np.full((*SIZE[::-1], 3), [0, 0, 1], np.uint8))
    elif how == "empty":
        for file in (root / "masks").iterdir():
            put(file, np.zeros(SIZE[::-1], np.uint8))
    elif how == "one":
        for name in CASES[1:]:
            (root / "masks" / f"{name}.png").unlink()
            (root / "images" / f"{name}.png").unlink()
    elif how == "jpeg":
        put(root / "masks" / "ben_2.jpg", mask_of(0))
    elif how == "twice":
        put(root / "images" / "ben_2.tif", mask_of(0))
    elif how == "all clean":
        make(root / "x", CASES)
        (root / "x" / "masks").rename(root / "clean_masks")
    elif how == "folder":
        (root / "masks").rename(root / "labels")
    elif how == "pages":
        page = Image.fromarray(mask_of(0))
        (root / "images" / "ben_2.png").unlink()
        page.save(root / "images" / "ben_2.tif", save_all=True, append_images=[page])


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("size", r"ben_2\.png has 24 x 16 pixels, but its mask .*ben_2\.png 23 x 16: they must be of one size"),
        ("test size", r"test.images.t_1\.png has 24 x 16 pixels, but its mask"),
        ("no mask", r"masks has nothing of the name ben_2, of which there is an image"),
        ("no image", r"images has nothing of the name ben_2, of which there is a mask"),
        (
            "clean folder lost",
            r"of the name ben_2, .*; and there is no .*clean_masks, for masks that are right\.$",
        ),
        ("unreadable", r"ben_2\.png cannot be read"),
        ("cut", r"1 of 15 files cannot be used, repair or remove them: .*ben_2\.png"),
        ("colours", r"ben_2\.png \(a mask in colours; write the number of the class into one channel\)"),
        ("empty", r"All 12 train masks are empty, such as .*there must be something to find"),
        ("one", r"1 slice\(s\) of a single case .* at least 2 cases are needed"),
        ("jpeg", r"ben_2\.jpg is of a lossy kind"),
        ("twice", r"ben_2\.png and .*ben_2\.tif have the same name"),
        ("all clean", r"a mask of every image, so none is left to learn from"),
        ("folder", r"There is no folder .*masks; expected are images/\*\.png and masks/"),
        ("pages", r"ben_2\.tif cannot be used \(it has several pages"),
    ],
)
def test_bad_folders_are_refused_with_one_sentence(tmp_path, how, sentence):
    make(tmp_path, CASES)
    damage(tmp_path, how)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as refused:
        load(tmp_path)
    assert "\n" not in str(refused.value)
