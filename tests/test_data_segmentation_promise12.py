"""PROMISE12 in its published layout, small: preparing, stopping and going on, the split, and every kind of bad file."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from data import segmentation
from data.segmentation import promise12
from scripts import prepare_promise12

sitk = pytest.importorskip("SimpleITK")

SHAPE = (5, 20, 24)
SPACING = (3.6, 0.6, 0.5)  # depth, height, width


def write(folder, name: str, voxels: np.ndarray, spacing=SPACING) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing[::-1])
    sitk.WriteImage(image, str(folder / f"{name}.mhd"))  # and .raw


def write_case(folder, number: int, shape=SHAPE) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(number)
    image = random.integers(-50, 900, shape).astype(np.int16)
    mask = np.zeros(shape, np.int8)
    mask[1:4, 5:15, 6:18] = 1
    write(folder, f"Case{number:02d}", image)
    write(folder, f"Case{number:02d}_segmentation", mask)
    return image, mask


def run(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare_promise12.py", *arguments])
    prepare_promise12.main()


def test_fifty_cases_are_prepared_divided_and_read(tmp_path, monkeypatch, capsys):
    published = tmp_path / "promise12"
    written = [write_case(published / f"TrainingData_Part{1 + n // 20}", n) for n in range(50)]
    assert (published / "TrainingData_Part1" / "Case00.raw").exists()
    run(monkeypatch, f"--data_dir={published}", f"--output_dir={tmp_path / 'a'}", "--image_size=20")
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("1/50 Case00: 5 slices of 20 x 20, ")
    assert len(shown) == 51

    data = segmentation.load("promise12", tmp_path / "a", mask_noise="dilate:2")
    cases = [set(part.cases) for part in (data.train, data.clean, data.test)]
    assert [len(part) for part in cases] == [37, 3, 10]
    assert set.union(*cases) == {f"Case{n:02d}" for n in range(50)}
    assert data.image_shape == (20, 20, 1)
    number = int(data.test.cases[0].removeprefix("Case"))
    volume = data.test.volumes[data.test.cases[0]]
    assert volume.spacing == pytest.approx(SPACING)
    assert np.array_equal(volume.mask, written[number][1])
    assert data.test.masks[2].sum() == 10 * round(12 * 20 / 24)
    assert data.train.masks.sum() > data.train.true_masks.sum()
    assert not data.test.masks[[0, 4]].any()

    # Another seed divides otherwise; lists of one's own are kept to.
    names = sorted(set.union(*cases))
    assert promise12.seeded_split(names, (37, 3, 10), seed=1) != promise12.seeded_split(names, (37, 3, 10), seed=0)
    (tmp_path / "own.csv").write_text("case,part\nCase07,train\nCase03,clean\nCase11,test\n")
    run(
        monkeypatch, f"--data_dir={published}", f"--output_dir={tmp_path / 'b'}", f"--split_file={tmp_path / 'own.csv'}"
    )
    own = segmentation.load("promise12", tmp_path / "b")
    assert (set(own.train.cases), set(own.clean.cases), set(own.test.cases)) == ({"Case07"}, {"Case03"}, {"Case11"})
    assert own.image_shape == (144, 144, 1)


def test_slices_of_the_same_size_are_stretched_only(tmp_path):
    image, mask = write_case(tmp_path / "in", 0, (4, 32, 32))
    image[3] = 7  # a slice of one value
    write(tmp_path / "in", "Case00", image)
    list(promise12.prepare(tmp_path / "in", tmp_path / "out", image_size=32, split={"Case00": "train"}))
    with np.load(tmp_path / "out" / "Case00.npz") as found:
        low, high = image[:3].min((1, 2), keepdims=True), image[:3].max((1, 2), keepdims=True)
        expected = np.rint((image[:3] - low) / (high - low) * 255)
        assert np.abs(found["images"][:3] - expected).max() <= 1  # float32: halves may go either way
        assert not found["images"][3].any()
        assert np.array_equal(found["masks"], mask)


def test_what_was_stopped_goes_on_and_ends_alike(tmp_path):
    for n in range(4):
        write_case(tmp_path / "in", n)
    split = promise12.seeded_split([f"Case{n:02d}" for n in range(4)], (2, 1, 1), seed=0)
    whole = list(promise12.prepare(tmp_path / "in", tmp_path / "whole", split=split))
    stopped = promise12.prepare(tmp_path / "in", tmp_path / "stopped", split=split)
    next(stopped), next(stopped)
    stopped.close()
    (tmp_path / "stopped" / "Case02.npz.partial").write_bytes(b"half")  # where a kill hit
    with pytest.raises(FileNotFoundError, match="not wholly prepared; first run: python scripts/prepare_promise12"):
        promise12.load(tmp_path / "stopped")
    rest = list(promise12.prepare(tmp_path / "in", tmp_path / "stopped", split=split))
    assert [line.rpartition(", ")[2] for line in rest] == ["kept", "kept", "prepared", "prepared"]
    assert [line.rpartition(", ")[0] for line in rest] == [line.rpartition(", ")[0] for line in whole]
    for file in ("split.csv", *(f"{name}.npz" for name in split)):
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()

    with pytest.raises(ValueError, match="another split"):
        list(
            promise12.prepare(
                tmp_path / "in", tmp_path / "whole", split={**split, "Case00": "clean", "Case01": "clean"}
            )
        )
    with pytest.raises(ValueError, match="slices of 144 x 144, not 96"):
        list(promise12.prepare(tmp_path / "in", tmp_path / "whole", image_size=96, split=split))
    with pytest.raises(ValueError, match="use --image_size=144"):
        segmentation.load("promise12", tmp_path / "whole", image_size=96)
    (tmp_path / "whole" / "Case01.npz").write_bytes((tmp_path / "whole" / "Case01.npz").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"Case01\.npz is damaged"):
        promise12.load(tmp_path / "whole")
    (tmp_path / "whole" / "Case01.npz").unlink()
    with pytest.raises(ValueError, match="'Case01', which is missing among the 3 cases"):
        promise12.load(tmp_path / "whole")
    with pytest.raises(FileNotFoundError, match="is as published, not prepared"):
        promise12.load(tmp_path / "in")


def damaged(folder, how: str) -> None:
    image, mask = write_case(folder, 0)
    if how == "size":
        write(folder, "Case00_segmentation", mask[:, :, :-1])
    elif how == "depth":
        write(folder, "Case00_segmentation", mask[:-1])
    elif how == "spacing":
        write(folder, "Case00_segmentation", mask, (3.6, 0.6, 0.7))
    elif how == "huge":
        write(folder, "Case00", image, (3.6, 600, 600))
    elif how == "values":
        write(folder, "Case00_segmentation", mask * 3)
    elif how == "empty":
        write(folder, "Case00_segmentation", mask * 0)
    elif how == "raw":
        (folder / "Case00.raw").unlink()
    elif how == "short":
        (folder / "Case00.raw").write_bytes(b"1234")
    elif how == "no mask":
        (folder / "Case00_segmentation.mhd").unlink()
    elif how == "no image":
        (folder / "Case00.mhd").unlink()
    elif how == "twice":
        write_case(folder / "part2", 0)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("size", r"Case00: the image Case00.mhd has 5 x 20 x 24 voxels, but the segmentation 5 x 20 x 23"),
        ("depth", r"but the segmentation 4 x 20 x 24"),
        ("spacing", r"spacing of 3.6 x 0.6 x 0.5 mm, but its segmentation 3.6 x 0.6 x 0.7"),
        ("huge", r"a spacing of 3.6 x 600 x 600 mm in Case00.mhd cannot be right"),
        ("values", r"the values of Case00_segmentation.mhd are 0, 3, but must be 0 and 1"),
        ("empty", r"Case00_segmentation.mhd is empty"),
        ("raw", r"Case00.mhd cannot be read"),
        ("short", r"Case00.mhd cannot be read"),
        ("no mask", r"Case00 has its image .*Case00.mhd, but no segmentation"),
        ("no image", r"Case00 has its segmentation .*, but no image"),
        ("twice", r"are the same case"),
    ],
)
def test_bad_files_end_the_command_with_one_sentence(tmp_path, monkeypatch, how, sentence):
    damaged(tmp_path / "in", how)
    write_case(tmp_path / "in", 1)
    with pytest.raises(SystemExit, match=sentence) as stopped:
        run(monkeypatch, f"--data_dir={tmp_path / 'in'}", f"--output_dir={tmp_path / 'out'}", "--split=1,0,1")
    assert str(stopped.value).startswith("prepare_promise12.py: ")
    assert "\n" not in str(stopped.value)


def test_missing_cases_and_wrong_lists_are_told(tmp_path, monkeypatch):
    for n in (0, 2):
        write_case(tmp_path / "in", n)
    with pytest.raises(SystemExit, match=r"There are 2 cases; Case01 missing, but 1 \+ 1 \+ 1 = 3 are to divide"):
        run(monkeypatch, f"--data_dir={tmp_path / 'in'}", f"--output_dir={tmp_path / 'out'}", "--split=1,1,1")
    with pytest.raises(SystemExit, match="There are 2 cases; Case01, Case03"):
        run(monkeypatch, f"--data_dir={tmp_path / 'in'}", f"--output_dir={tmp_path / 'out'}")
    with pytest.raises(SystemExit, match="There is no folder"):
        run(monkeypatch, f"--data_dir={tmp_path / 'no'}", f"--output_dir={tmp_path / 'out'}")
    for text, what in (
        ("Case00,train\nCase09,test\n", "Line 2 of .* names 'Case09', which is missing"),
        ("Case00,train\nCase02,validation\n", "must be a case and train, clean or test"),
        ("Case00,train\nCase00,test\n", "names Case00 again"),
        ("Case00,train\nCase02,train\n", "names no test case"),
    ):
        (tmp_path / "own.csv").write_text(text)
        with pytest.raises(SystemExit, match=what):
            run(
                monkeypatch,
                f"--data_dir={tmp_path / 'in'}",
                f"--output_dir={tmp_path / 'out'}",
                f"--split_file={tmp_path / 'own.csv'}",
            )
