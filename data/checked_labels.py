"""Labels that people checked: a csv that names some training images and says what is on them.

    path,label                    index,label
    train/cat/0001.jpg,cat        17,3
    train/cat/0002.jpg,dog        204,0

`path` is as in a run's samples.csv (folder data sets), `index` likewise (every data set). A label is a class name or,
unless classes are named by numbers, a number. The heading may be left out of two columns in this order; with it the
columns may have any order, others are ignored, and a path counts where there is an index too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from data.image_dataset import CleanSet, Split
from data.label_files import csv_lines

_SHOWN = 10


def read(path: str | os.PathLike[str], split: Split, class_names: Sequence[str]) -> CleanSet:
    """Reads which training images were checked, and their right labels.

    Args:
      path: the csv, see the head of this module.
      split: all training images of the data set.
      class_names: the name of every class.

    Returns:
      The named images with the labels of the file, in the order of `split`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another kind of file, an image that is not among the training images, a label that is no class, or
        two labels of one image.
    """
    chosen, labels = positions_and_labels(path, split.ids, split.paths, class_names)
    return CleanSet(split.images[chosen], labels, split.ids[chosen])


def positions_and_labels(
    path: str | os.PathLike[str], ids: np.ndarray, paths: Sequence[str] | None, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Reads which of n images were checked, wherever they are.

    Args:
      path: the csv.
      ids: int64 [n], the index of each.
      paths: their n names; None if they have none.
      class_names: the name of every class.

    Returns:
      Positions int64 [k], ascending, and labels int32 [k].

    Raises:
      FileNotFoundError, ValueError: see `read`.
    """
    file = Path(path).expanduser()
    by_path, rows = _rows(file, paths is not None)
    positions = {str(name): row for row, name in enumerate((paths or ()) if by_path else ids.tolist())}
    classes = _classes(class_names)
    found: dict[int, int] = {}
    for number, image, label in rows:
        name = PurePath(image).as_posix() if by_path else image.lstrip("0") or "0"
        if name not in positions:
            known = f"such as {next(iter(positions))}" if by_path else f"{ids.min()} to {ids.max()}"
            if not by_path and np.ptp(ids) >= len(ids):
                known += ", not all of these: samples.csv of a run has them in the column index"
            raise ValueError(
                f"Line {number} of {file} names {image!r}, which is none of the training images ({known})."
            )
        if label not in classes:
            shown = ", ".join(class_names[:_SHOWN]) + (", ..." if len(class_names) > _SHOWN else "")
            numbers = f", or 0 to {len(class_names) - 1}" if "0" in classes and "0" not in class_names else ""
            raise ValueError(f"Line {number} of {file} has the label {label!r}, but the classes are {shown}{numbers}.")
        position, given = positions[name], classes[label]
        if found.setdefault(position, given) != given:
            raise ValueError(
                f"Line {number} of {file} says that {image} is {class_names[given]}, but an earlier line that it is "
                f"{class_names[found[position]]}."
            )
    chosen = np.array(sorted(found), np.int64)
    return chosen, np.array([found[position] for position in sorted(found)], np.int32)


def _classes(names: Sequence[str]) -> dict[str, int]:
    """The class of every way to write it; a number means the class of that name where names are numbers."""
    numbers = {} if any(re.fullmatch("[0-9]+", name) for name in names) else {str(c): c for c in range(len(names))}
    return numbers | {name: c for c, name in enumerate(names)}


def _rows(file: Path, has_paths: bool) -> tuple[bool, list[tuple[int, str, str]]]:
    """Whether images are named by their paths, and (number of the line, image, label) of every line."""
    lines = csv_lines(file)
    first = lines[0][1]
    names = [cell.lower() for cell in first]
    if "label" in names and ("path" in names or "index" in names):
        kind = "path" if "path" in names and (has_paths or "index" not in names) else "index"
        columns, lines = (names.index(kind), names.index("label")), lines[1:]
    elif len(first) == 2:
        kind, columns = "index" if first[0].isdecimal() else "path", (0, 1)
    else:
        raise ValueError(
            f"{file} starts with {','.join(first)!r}, but needed are two columns with a comma between, the path or "
            "index of an image and its label, or a heading that names them path or index, and label."
        )
    if kind == "path" and not has_paths:
        raise ValueError(f"{file} names images by paths, but this data set has no files: use the index of the image.")
    if not lines:
        raise ValueError(f"{file} names no image.")
    short = [number for number, row in lines if len(row) <= max(columns)]
    if short:
        raise ValueError(f"Line {short[0]} of {file} has fewer columns than the first.")
    return kind == "path", [(number, row[columns[0]], row[columns[1]]) for number, row in lines]
