"""PROMISE12, prostates in MR images (Litjens et al., Medical Image Analysis 2014), prepared as in L2B.

The challenge's training data are 50 cases: CaseNN.mhd with its CaseNN.raw, and CaseNN_segmentation.mhd with its
CaseNN_segmentation.raw, in one folder or several. `prepare` makes a file a case of them: axial slices resized to
144 x 144 and stretched to 8 bit one by one, and the mask at its original size, at which Dice is measured. L2B divides
them at random into 37 training, 3 clean and 10 test cases; its lists are a MATLAB file, so here they follow from a seed
unless a csv gives them.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from data import seeding
from data.label_files import csv_lines
from data.segmentation.dataset import MaskSet, SegmentationData, Volume, joined
from data.segmentation.mask_files import nearest
from data.segmentation.scanner import to_bytes

PARTS = ("train", "clean", "test")
SPLIT = (37, 3, 10)
SPLIT_FILE = "split.csv"
SPACINGS = (0.05, 20.0)  # mm that can be meant
_LAYOUT = "expected are CaseNN.mhd with .raw and CaseNN_segmentation.mhd with .raw, as the challenge publishes them"
_COMMAND = "python scripts/prepare_promise12.py --data_dir=PROMISE12 --output_dir=PREPARED"


def find_cases(data_dir: str | os.PathLike[str]) -> dict[str, tuple[Path, Path]]:
    """Returns the image and the segmentation file of every case in a folder and those below it, by "CaseNN".

    Raises:
      FileNotFoundError: no folder, no case, or an image without its segmentation or the other way.
      ValueError: a case is there twice.
    """
    root = Path(data_dir).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; {_LAYOUT}.")
    found: dict[str, dict[bool, Path]] = {}
    for file in sorted(root.rglob("*.mhd")):
        match = re.fullmatch(r"(case\d+)(_segmentation)?", file.stem, re.IGNORECASE)
        if match:
            own = found.setdefault(match[1].capitalize(), {})
            if bool(match[2]) in own:
                raise ValueError(f"{own[bool(match[2])]} and {file} are the same case: keep one of them.")
            own[bool(match[2])] = file
    if not found:
        raise FileNotFoundError(f"{root} has no cases; {_LAYOUT}.")
    for name, own in found.items():
        if len(own) < 2:
            has, lacks = ("segmentation", "image") if True in own else ("image", "segmentation")
            raise FileNotFoundError(f"{name} has its {has} {own[True in own]}, but no {lacks}; {_LAYOUT}.")
    return {name: (own[False], own[True]) for name, own in sorted(found.items())}


def seeded_split(names: Sequence[str], counts: Sequence[int], *, seed: int) -> dict[str, str]:
    """Divides cases at random: returns "train", "clean" or "test" by case.

    Raises:
      ValueError: there are not as many cases as counts add up to.
    """
    if len(counts) != 3 or counts[0] < 1 or counts[1] < 0 or counts[2] < 1:
        raise ValueError(
            f"A split has training, clean and test cases, such as 37,3,10, not {','.join(map(str, counts))}."
        )
    if len(names) != sum(counts):
        expected = [f"Case{number:02d}" for number in range(sum(counts))]
        missing = [name for name in expected if name not in names]
        hint = f"; {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''} missing" if missing else ""
        raise ValueError(
            f"There are {len(names)} cases{hint}, but {' + '.join(map(str, counts))} = {sum(counts)} are to divide: "
            "complete them, or give other numbers with --split."
        )
    shuffled = seeding.generator(seed, "promise12 split").permutation(sorted(names)).tolist()
    parts = np.repeat(PARTS, counts).tolist()
    return dict(sorted(zip(shuffled, parts, strict=True)))


def read_split(file: str | os.PathLike[str], names: Sequence[str]) -> dict[str, str]:
    """Reads a csv with lines such as Case07,train (also clean, test); cases that it doesn't name are left out.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a line of another kind, a case that is not in `names` or twice in the file, or an empty part.
    """
    path = Path(file).expanduser()
    parts: dict[str, str] = {}
    for number, row in csv_lines(path):
        cells = [cell.strip() for cell in row]
        if number == 1 and [cell.lower() for cell in cells] == ["case", "part"]:
            continue
        if len(cells) != 2 or cells[1] not in PARTS:
            raise ValueError(f"Line {number} of {path} must be a case and train, clean or test, such as Case07,train.")
        if cells[0] not in names:
            raise ValueError(
                f"Line {number} of {path} names {cells[0]!r}, which is missing among the {len(names)} cases."
            )
        if cells[0] in parts:
            raise ValueError(f"Line {number} of {path} names {cells[0]} again.")
        parts[cells[0]] = cells[1]
    for part in ("train", "test"):
        if part not in parts.values():
            raise ValueError(f"{path} names no {part} case.")
    return dict(sorted(parts.items()))


def prepare(
    data_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    *,
    image_size: int = 144,
    split: Mapping[str, str],
) -> Iterator[str]:
    """Prepares the cases of a split one by one; what was prepared before is kept, so it goes on where it was stopped.

    Args:
      data_dir: the challenge's files, see `find_cases`.
      output_dir: gets CaseNN.npz of every case and split.csv.
      image_size: side of the slices.
      split: "train", "clean" or "test" by case.

    Yields:
      A line about each case.

    Raises:
      ModuleNotFoundError: SimpleITK is not installed.
      ValueError: files that cannot be read or don't fit, or a folder that was prepared in another way.
    """
    files = find_cases(data_dir)
    output = Path(output_dir).expanduser()
    output.mkdir(parents=True, exist_ok=True)
    listed = output / SPLIT_FILE
    if listed.exists() and read_split(listed, list(files)) != dict(split):
        raise ValueError(f"{output} was prepared with another split: name a new folder, or remove {listed}.")
    for position, name in enumerate(split, 1):
        target = output / f"{name}.npz"
        kept = target.exists()
        if not kept:
            _save(target, _prepared(name, *files[name], image_size))
        depth, height, width = _checked_case(target, image_size)["images"].shape[:3]
        done = "kept" if kept else "prepared"
        yield f"{position}/{len(split)} {name}: {depth} slices of {height} x {width}, {split[name]}, {done}"
    partial = listed.with_name(f"{SPLIT_FILE}.partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("case", "part"), *split.items()])
    partial.replace(listed)


def load(data_dir: str | os.PathLike[str] | None, *, image_size: int | None = None) -> SegmentationData:
    """Reads what `prepare` made.

    Args:
      data_dir: the folder that was prepared.
      image_size: side of the slices; None for that of the folder.

    Raises:
      FileNotFoundError: a folder that was not prepared, or not to the end.
      ValueError: a damaged file or another size.
    """
    if data_dir is None:
        raise ValueError(f"promise12 needs its --data_dir, a folder made by: {_COMMAND}")
    root = Path(data_dir).expanduser()
    if not (root / SPLIT_FILE).is_file():
        raw = root.is_dir() and any(root.rglob("*_segmentation.mhd"))
        begun = root.is_dir() and any(root.glob("Case*.npz"))
        what = (
            "is as published, not prepared" if raw else "is not wholly prepared" if begun else "is no prepared folder"
        )
        raise FileNotFoundError(f"{root} {what}; first run: {_COMMAND}")
    split = read_split(root / SPLIT_FILE, [file.stem for file in root.glob("Case*.npz")])
    parts: dict[str, list[MaskSet]] = {part: [] for part in PARTS}
    for name, part in split.items():
        case = _checked_case(root / f"{name}.npz", image_size)
        depth = len(case["images"])
        volume = Volume(case["mask"].shape, tuple(case["spacing"].tolist()), case["mask"])
        parts[part].append(
            MaskSet(
                case["images"][..., np.newaxis],
                case["masks"],
                case["masks"],
                (name,) * depth,
                np.arange(depth, dtype=np.int64),
                tuple(f"{name}/{number:03d}" for number in range(depth)),
                {name: volume},
            )
        )
    sizes = {cases.images.shape[1] for own in parts.values() for cases in own}
    if len(sizes) > 1:
        raise ValueError(f"{root} has slices of several sizes, {sorted(sizes)}: prepare it anew.")
    clean = joined(parts["clean"]) if parts["clean"] else None
    return SegmentationData(joined(parts["train"]), clean, joined(parts["test"]), ("background", "prostate"))


def _prepared(name: str, image_file: Path, mask_file: Path, size: int) -> dict[str, npt.NDArray[Any]]:
    (image, spacing), (mask, of_mask) = _read(image_file), _read(mask_file)
    if image.shape != mask.shape:
        raise ValueError(
            f"{name}: the image {image_file.name} has {_by(image.shape)} voxels, but the segmentation "
            f"{_by(mask.shape)} (depth x height x width)."
        )
    if not all(SPACINGS[0] <= step <= SPACINGS[1] for step in spacing):
        raise ValueError(f"{name}: a spacing of {_by(spacing)} mm in {image_file.name} cannot be right.")
    if not np.allclose(spacing, of_mask, rtol=0.01):
        raise ValueError(
            f"{name}: the image has a spacing of {_by(spacing)} mm, but its segmentation {_by(of_mask)}: one is wrong."
        )
    values = np.unique(mask)
    if not np.isin(values, (0, 1)).all():
        shown = ", ".join(f"{value:g}" for value in values[:8])
        raise ValueError(f"{name}: the values of {mask_file.name} are {shown}, but must be 0 and 1.")
    if not mask.any():
        raise ValueError(f"{name}: {mask_file.name} is empty, but every case has a prostate.")
    slices = np.nan_to_num(image.astype(np.float32))
    bilinear = Image.Resampling.BILINEAR
    resized = np.stack([np.asarray(Image.fromarray(one).resize((size, size), bilinear)) for one in slices])
    whole = mask.astype(np.uint8)
    return {
        "images": to_bytes(resized),
        "masks": np.stack([nearest(one, size) for one in whole]),
        "mask": whole,
        "spacing": np.asarray(spacing, np.float64),
    }


def _read(file: Path) -> tuple[npt.NDArray[Any], tuple[float, float, float]]:
    """The voxels [depth, height, width] and their spacing in that order."""
    try:
        import SimpleITK
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Reading .mhd files needs the package SimpleITK; install it with: pip install SimpleITK"
        ) from error
    try:
        image = SimpleITK.ReadImage(str(file))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{file} cannot be read ({reason.removeprefix('sitk::ERROR: ')}).") from None
    voxels = SimpleITK.GetArrayFromImage(image)
    if voxels.ndim != 3:
        raise ValueError(f"{file} has {voxels.ndim} dimensions, not 3.")
    x, y, z = image.GetSpacing()
    if not all(math.isfinite(step) for step in (x, y, z)):
        raise ValueError(f"{file} says no spacing of its voxels.")
    return voxels, (z, y, x)


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def _save(target: Path, arrays: Mapping[str, Any]) -> None:
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(target)  # a file is there as a whole or not at all


def _checked_case(file: Path, image_size: int | None) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            case = {name: stored[name] for name in ("images", "masks", "mask", "spacing")}
    # What NumPy and zipfile raise depends on where a file is damaged.
    except Exception as error:
        raise ValueError(f"{file} is damaged ({error}): remove it and prepare it anew.") from None
    size = case["images"].shape[1]
    if image_size is not None and size != image_size:
        raise ValueError(
            f"{file.parent} was prepared with slices of {size} x {size}, not {image_size}: use --image_size={size}, or "
            "prepare another folder."
        )
    return case
