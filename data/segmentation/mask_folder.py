"""People's own slices: a folder of images and a folder of masks of the same names.

    ROOT/images/kidney_001.png      ROOT/masks/kidney_001.png    the masks to learn from, which may be wrong
    ROOT/clean_masks/kidney_001.png     of some images: masks that were checked; these images leave the training set
    ROOT/true_masks/...                 of all images, if the truth is known: for measuring alone
    ROOT/test/images/...            ROOT/test/masks/...          else a fifth of the cases is held out

A case is what comes before the last underscore of a name, if numbers of slices follow it, or the file itself.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data import seeding
from data.folder import printable
from data.segmentation import mask_files
from data.segmentation.dataset import MaskSet, SegmentationData, Volume

HELD_OUT = 0.2  # of the cases, where there is no folder test/
CASES_FROM = ("auto", "name", "file")
_LAYOUT = "expected are images/*.png and masks/*.png of the same names (or .tif)"


class Slice(NamedTuple):
    """An image file with its masks, not read yet."""

    image: Path
    mask: Path
    true_mask: Path | None
    case: str
    number: int  # orders the slices of a case


def load(
    data_dir: str | os.PathLike[str] | None,
    *,
    image_size: int,
    seed: int,
    mask_values: Sequence[int] | None = None,
    spacing: Sequence[float] | None = None,
    cases_from: str = "auto",
) -> SegmentationData:
    """Reads a folder as described at the head of this module.

    Args:
      data_dir: ROOT.
      image_size: side in pixels to which slices are resized, masks by nearest neighbour.
      seed: of the cases that are held out.
      mask_values: the value in the files of class 0, 1, ...; None if they are 0 and 1, 0 and 255, or 0, 1, 2, ...
      spacing: (depth, height, width) of a voxel in mm; None for 1, so that distances are in pixels.
      cases_from: "name", the part before the last underscore; "file"; "auto" for "name" where it makes sense.

    Raises:
      FileNotFoundError: a folder or file that is not there.
      ValueError: files that cannot be read or don't belong together, or values of masks that are no classes.
    """
    if data_dir is None:
        raise ValueError(f"Segmentation of a folder needs its --data_dir; {_LAYOUT}.")
    root = Path(data_dir).expanduser()
    for folder in ("images", "masks"):
        if not (root / folder).is_dir():
            raise FileNotFoundError(f"There is no folder {root / folder}; {_LAYOUT}.")
    notes = []
    images, masks = mask_files.by_stem(root / "images"), mask_files.by_stem(root / "masks", masks=True)
    clean = _of_some(root / "clean_masks", images)
    true = _of_some(root / "true_masks", images)
    _refuse_missing(set(images) - set(masks) - set(clean), root / "masks", "image")
    _refuse_missing(set(masks) - set(images), root / "images", "mask")
    if true:
        _refuse_missing(set(images) - set(true), root / "true_masks", "image")
    parts = {"train": {s: images[s] for s in images if s not in clean}, "clean": {s: images[s] for s in clean}}
    masks_of = {"train": masks, "clean": clean}
    has_test = (root / "test").is_dir()
    if has_test:
        for folder in ("images", "masks"):
            if not (root / "test" / folder).is_dir():
                raise FileNotFoundError(f"There is no folder {root / 'test' / folder}; {_LAYOUT} in test/, too.")
        parts["test"] = mask_files.by_stem(root / "test" / "images")
        masks_of["test"] = mask_files.by_stem(root / "test" / "masks", masks=True)
        _refuse_missing(set(parts["test"]) - set(masks_of["test"]), root / "test" / "masks", "image")
    if clean and not parts["train"]:
        raise ValueError(
            f"{root / 'clean_masks'} has a mask of every image, so none is left to learn from: keep there only those "
            "that were checked, or call the folder true_masks if it is for measuring."
        )
    sizes = {
        part: {stem: _size(image, masks_of[part][stem], true.get(stem)) for stem, image in files.items()}
        for part, files in parts.items()
    }
    how = _cases_from(cases_from, sizes)
    slices = {
        part: [
            Slice(image, masks_of[part][stem], true.get(stem) if part == "train" else None, *_case_of(stem, how))
            for stem, image in files.items()
        ]
        for part, files in parts.items()
    }
    notes.append(
        "A case is what comes before the last underscore of a file's name."
        if how == "name"
        else "Every file counts as a case of its own."
    )
    if not has_test:
        slices["train"], slices["test"] = _hold_out(slices["train"], root, seed)
        notes.append(
            f"There is no folder {root / 'test'}, so {len({s.case for s in slices['test']})} of the cases were held "
            f"out to evaluate on (drawn with the seed), with {'true_masks' if true else 'the given masks'} as right."
        )
        slices["test"] = [s._replace(mask=s.true_mask or s.mask, true_mask=None) for s in slices["test"]]
    elif shared := {s.case for s in slices["train"]} & {s.case for s in slices["test"]}:
        notes.append(f"{len(shared)} cases are in the training and in the test folder, such as {min(shared)}.")
    if len(slices["train"]) < 2:
        raise ValueError(
            f"Only {len(slices['train'])} slice of {root / 'images'} is left to learn from; at least 2 are needed."
        )
    return _read(slices, root, image_size, mask_values, _checked(spacing), notes)


def _read(
    slices: dict[str, list[Slice]],
    root: Path,
    size: int,
    mask_values: Sequence[int] | None,
    spacing: tuple[float, float, float],
    notes: list[str],
) -> SegmentationData:
    everything = [s for part in slices.values() for s in part]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        files = [s.image for s in everything]
        images = mask_files.all_of(files, pool.map(lambda file: mask_files.image(file, size), files))
        # Whole masks are kept where they are compared with: photographs are large.
        kept = {s.mask for s in slices["test"]}
        files = [file for s in everything for file in (s.mask, s.true_mask) if file is not None]
        found_masks = pool.map(lambda file: mask_files.mask(file, size, whole=file in kept), files)
        masks = dict(zip(files, mask_files.all_of(files, found_masks), strict=True))
    classes, class_names = mask_files.classes_of(masks, mask_values)
    channels = max(image.shape[-1] for image in images)
    images = [np.broadcast_to(image, (size, size, channels)) for image in images]
    found: dict[str, MaskSet | None] = {}
    for part, own in slices.items():
        own_images, images = images[: len(own)], images[len(own) :]
        if not own:
            found[part] = None
            continue
        order = sorted(range(len(own)), key=lambda i: (own[i].case, own[i].number, own[i].image.name))
        own = [own[i] for i in order]
        if not any(masks[s.mask].present[classes > 0].any() for s in own):
            raise ValueError(
                f"All {len(own)} {part} masks are empty, such as {own[0].mask}: a slice without anything is fine, but "
                "there must be something to find."
            )
        given = np.stack([classes[masks[s.mask].resized] for s in own])
        true = [classes[masks[s.true_mask].resized] for s in own if s.true_mask is not None]
        right = given if part != "train" else (np.stack(true) if true else None)
        volumes, positions, rows_of = {}, np.zeros(len(own), np.int64), defaultdict[str, list[int]](list)
        for row, s in enumerate(own):
            rows_of[s.case].append(row)
        for case, rows in rows_of.items():
            positions[rows] = np.arange(len(rows))
            whole = [classes[values] for i in rows if (values := masks[own[i].mask].whole) is not None]
            shape = (len(rows), *masks[own[rows[0]].mask].shape)
            volumes[case] = Volume(shape, spacing, np.stack(whole) if part == "test" else None)
        found[part] = MaskSet(
            np.stack([own_images[i] for i in order]),
            given,
            right,
            tuple(s.case for s in own),
            positions,
            tuple(printable(s.image.relative_to(root).as_posix()) for s in own),
            volumes,
        )
    train, test = found["train"], found["test"]
    if train is None or test is None:
        raise ValueError(f"{root} has no {'training' if train is None else 'test'} images; {_LAYOUT}.")
    return SegmentationData(train, found.get("clean"), test, class_names, tuple(notes))


def _of_some(folder: Path, images: dict[str, Path]) -> dict[str, Path]:
    """The masks of a folder that may be missing and need not have one of every image."""
    if not folder.is_dir():
        return {}
    masks = mask_files.by_stem(folder, masks=True)
    _refuse_missing(set(masks) - set(images), folder.parent / "images", "mask")
    return masks


def _refuse_missing(stems: set[str], folder: Path, of: str) -> None:
    if stems:
        more = f" (and {len(stems) - 1} more)" if len(stems) > 1 else ""
        what = "a mask" if of == "mask" else f"an {of}"
        sentence = f"{folder} has nothing of the name {min(stems)}{more}, of which there is {what}"
        checked = folder.parent / "clean_masks"
        without = "" if of == "mask" or checked.is_dir() else f"; and there is no {checked}, for masks that are right"
        raise FileNotFoundError(f"{sentence}{without}.")


def _size(image: Path, *masks: Path | None) -> tuple[int, int]:
    """(width, height), after all of them are found to have the same."""
    size = mask_files.size(image)
    for mask in masks:
        if mask is not None and (other := mask_files.size(mask)) != size:
            raise ValueError(
                f"{image} has {size[0]} x {size[1]} pixels, but its mask {mask} {other[0]} x {other[1]}: they must "
                "be of one size."
            )
    return size


def _cases_from(wanted: str, sizes: dict[str, dict[str, tuple[int, int]]]) -> str:
    """How to tell cases: "name" or "file"."""
    if wanted not in CASES_FROM:
        raise ValueError(f"Cases come from {', '.join(CASES_FROM)}, not from {wanted!r}.")
    if wanted == "file":
        return "file"
    unnumbered = [stem for files in sizes.values() for stem in files if not re.fullmatch(r".+_\d+", stem)]
    several: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for part, files in sizes.items():
        for stem, size in files.items():
            several.setdefault((part, stem.rpartition("_")[0]), set()).add(size)
    uneven = [case for (_, case), found in several.items() if len(found) > 1]
    if wanted == "name":
        if unnumbered:
            raise ValueError(f"{unnumbered[0]} doesn't end in an underscore and the number of a slice.")
        if uneven:
            raise ValueError(f"The slices of case {uneven[0]} have different sizes, so they are no volume.")
        return "name"
    # One name for all, as of a camera, tells no cases.
    return "file" if unnumbered or uneven or len({case for _, case in several}) < 2 else "name"


def _case_of(stem: str, how: str) -> tuple[str, int]:
    case, _, number = stem.rpartition("_")
    return (printable(case), int(number)) if how == "name" else (printable(stem), 0)


def _hold_out(slices: list[Slice], root: Path, seed: int) -> tuple[list[Slice], list[Slice]]:
    cases = sorted({s.case for s in slices})
    if len(cases) < 2:
        raise ValueError(
            f"{root / 'images'} has {len(slices)} slice(s) of a single case to learn from and no {root / 'test'}: at "
            "least 2 cases are needed, one to evaluate on."
        )
    number = max(1, round(HELD_OUT * len(cases)))
    out = set(seeding.generator(seed, "held-out cases").permutation(cases)[:number].tolist())
    return [s for s in slices if s.case not in out], [s for s in slices if s.case in out]


def _checked(spacing: Sequence[float] | None) -> tuple[float, float, float]:
    steps = np.asarray((1.0, 1.0, 1.0) if spacing is None else spacing, np.float64)
    if steps.shape != (3,) or not (np.isfinite(steps) & (steps > 0)).all():
        raise ValueError(f"The spacing must be 3 positive numbers (mm along depth, height, width), not {spacing}.")
    return float(steps[0]), float(steps[1]), float(steps[2])
