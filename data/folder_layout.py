"""Where the images of a folder data set lie, and which are held out where nobody made a test set.

Two layouts are read: train/<class>/*, with test/<class>/* and clean/<class>/* beside it, and <class>/* alone, with
test/ and clean/ beside the classes if there are any. Without test/ a tenth of every class is held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".jp2")
EXPECTED = (
    "expected are <class>/*.jpg, or train/<class>/*.jpg and test/<class>/*.jpg for images with right labels (or "
    f"{', '.join(SUFFIXES[1:])})"
)
TENTHS = 10
LEAST_HELD_FROM = 4
"""Images that a class needs so that one of them is held out."""

_FURTHER_PARTS = ("test", "clean")
_OTHER_TESTS = ("val", "valid", "validation", "dev", "eval")
_SHOWN = 5


@dataclass(frozen=True)
class Layout:
    """The files of a folder data set.

    Attributes:
      names: the class folders in alphabetical order.
      files: for "train", and "test" and "clean" where they exist, the files of every class by name.
      notes: what was seen and is not read, a sentence each.
    """

    names: tuple[str, ...]
    files: dict[str, list[list[Path]]]
    notes: tuple[str, ...] = ()


def find(root: Path) -> Layout:
    """Lists the images below a folder.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: fewer than two classes, a class without images, a class that only test/ or clean/ has, or folders
        that do not tell which layout is meant.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; {EXPECTED}.")
    beside = [folder for folder in _folders(root) if not _is_part(root / folder)]
    divided = (root / "train").is_dir() and (bool(_folders(root / "train")) or not _with_images(root, beside))
    top = root / "train" if divided else root
    names = _folders(top) if divided else [name for name in beside if not _is_of_runs(root / name)]
    if divided and not (root / "test").is_dir():
        _refuse_mixture(root, [name for name in beside if name != "train"])
    if not divided:
        _refuse_deeper(root, names)
    if len(names) < 2:
        raise ValueError(f"{top} has {len(names)} class folder(s), but at least 2 classes are needed; {EXPECTED}.")
    further = [part for part in _FURTHER_PARTS if (root / part).is_dir() and (divided or _is_part(root / part))]
    for part in further:
        unknown = sorted(set(_folders(root / part)) - set(names))
        if unknown:
            known = "train" if divided else "the others beside it"
            raise ValueError(
                f"{root / part} has classes that {known} {'has' if divided else 'have'} not: "
                f"{', '.join(unknown[:_SHOWN])}."
            )
    if {"images", "masks"} <= {*names}:
        raise ValueError(
            f"{top} has images/ and masks/: for segmentation give --dataset_name=mask_folder; as the names of classes "
            "they would be taken for labels."
        )
    files = {"train": [_images(top / name) for name in names]}
    files |= {part: [_images(root / part / name) for name in names] for part in further}
    for name, own in zip(names, files["train"], strict=True):
        if not own:
            raise ValueError(f"The class folder {top / name} has no images{_nested(top / name)}; {EXPECTED}.")
    for part in further:
        if not any(files[part]):
            raise ValueError(f"{root / part} has no images; {EXPECTED.replace('test', part)}.")
    return Layout(tuple(names), files, tuple(_notes(top, names)))


def held_out(files: Sequence[Sequence[Path]], root: Path, tenth: int) -> npt.NDArray[np.bool_]:
    """Draws a tenth of every class, the same files as long as they keep their names, whatever comes or goes beside.

    Args:
      files: of every class.
      root: names count below it.
      tenth: which of ten parts, 0 to 9.

    Returns:
      bool [n] over all files in their order: rounded tenths, at least one of a class of LEAST_HELD_FROM or more and
      none of smaller ones.

    Raises:
      ValueError: all classes are smaller than that.
    """

    def drawn(file: Path) -> bytes:
        name = file.relative_to(root).as_posix().encode(errors="surrogateescape")
        return hashlib.sha256(b"held out: " + name).digest()

    parts = []
    for group in files:
        bounds = [round(len(group) * part / TENTHS) for part in (tenth, tenth + 1)]
        if len(group) >= LEAST_HELD_FROM and bounds[0] == bounds[1]:
            bounds = [tenth % len(group), tenth % len(group) + 1]
        chosen = set(sorted(group, key=drawn)[slice(*bounds)] if len(group) >= LEAST_HELD_FROM else ())
        parts.append([file in chosen for file in group])
    held = np.array([mark for part in parts for mark in part], bool)
    if not held.any():
        raise ValueError(
            f"{root} has no test/ and no class with {LEAST_HELD_FROM} images or more, of which one could be held out "
            "to judge by: add images."
        )
    return held


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _is_part(folder: Path) -> bool:
    """Whether a folder is test/ or clean/ with classes inside; a class may have such a name, too."""
    return folder.name in _FURTHER_PARTS and folder.is_dir() and bool(_folders(folder))


def _is_of_runs(folder: Path) -> bool:
    """Whether a folder is a run folder, or holds some: runs are often written beside the images."""
    return (folder / "run.json").is_file() or any(folder.glob("*/run.json"))


def _with_images(root: Path, names: Sequence[str]) -> list[str]:
    """Those of the folders that have images directly inside, without train/."""
    return [name for name in names if name != "train" and _has_images(root / name)]


def _has_images(folder: Path) -> bool:
    return any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir() if not entry.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    """Returns the image files of one class by name; none if test/ or clean/ lacks the class."""
    if not folder.is_dir():
        return []
    shown = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    unread = sorted(entry for entry in shown if entry.suffix.lower() in UNREAD)
    if unread:
        raise ValueError(
            f"{unread[0]} is of a kind that is not read: convert such images to .jpg or .png, or take them out of the "
            "folder."
        )
    return sorted(entry for entry in shown if entry.suffix.lower() in SUFFIXES)


def _refuse_mixture(root: Path, beside: Sequence[str]) -> None:
    """Without test/, folders beside train/ may be meant to be classes, or the test set."""
    for name in beside:
        if _has_images(root / name) and not _is_of_runs(root / name):
            raise ValueError(
                f"{root} has both train/ with classes inside and images in {name}/ beside it: move {name}/ into train/ "
                "if it is a class, or elsewhere if it is not."
            )
        if name.lower() in _OTHER_TESTS and _with_images(root / name, _folders(root / name)):
            raise ValueError(
                f"{root} has no test/, but {name}/ with classes inside: rename it to test/ to evaluate on it, or move "
                "it elsewhere to have a part of train/ held out."
            )


def _refuse_deeper(root: Path, names: Sequence[str]) -> None:
    """No folder has images, but some one has class folders: the data is one level below."""
    if _with_images(root, names):
        return
    for name in names:
        if len(inner := _with_images(root / name, _folders(root / name))) > 1 or (root / name / "train").is_dir():
            shown = ", ".join((inner or ["train"])[:_SHOWN])
            raise ValueError(
                f"{root} has no class folders with images, but {root / name} has ({shown}): give --data_dir="
                f"{root / name}."
            )


def _nested(folder: Path) -> str:
    """Where the images of an empty class folder are."""
    inner = _with_images(folder, _folders(folder))
    return f" but folders with images ({', '.join(inner[:_SHOWN])}): move these up into it" if inner else ""


def _notes(top: Path, names: Sequence[str]) -> list[str]:
    notes = []
    loose = sorted(entry.name for entry in top.iterdir() if entry.is_file() and entry.suffix.lower() in SUFFIXES)
    if loose:
        notes.append(f"{len(loose):,} image(s) directly in {top} belong to no class and are passed over ({loose[0]})")
    deeper = [f"{name}/{inner}" for name in names for inner in _with_images(top / name, _folders(top / name))]
    if deeper:
        notes.append(f"{len(deeper):,} folder(s) with images inside class folders are not read, such as {deeper[0]}")
    return notes
