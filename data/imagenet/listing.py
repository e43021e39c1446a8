"""People's own large data sets: a list (csv) of paths and labels, or a folder with one sub-folder a class.

list     <data_dir>/train.csv and <data_dir>/test.csv, each with a heading that names the columns `path` and `label`
         (more columns are ignored), or without a heading and with exactly these two; paths are relative to data_dir.
         Labels are integers 0..C-1, or names. MentorNet's v1 used such a subset of YFCC100M.
folder   <data_dir>/train/<class>/* and <data_dir>/test/<class>/* (or val/, validation/); images whose labels were
         checked, if there are any, in <data_dir>/clean/<class>/*
"""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.folder import printable
from data.folder_layout import SUFFIXES
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex, file_names
from data.label_files import csv_reader

_TEST_NAMES = ("test", "val", "validation")
_LIST_LAYOUT = "expected are train.csv and test.csv with the columns path and label"
_FOLDER_LAYOUT = "expected are train/<class>/* and test/<class>/* (.jpg, .jpeg, .png, .bmp)"

Rows = tuple[list[str], list[str]]


def load_list(
    data_dir: str | os.PathLike[str],
    train_list: str | os.PathLike[str] | None = None,
    test_list: str | os.PathLike[str] | None = None,
) -> StreamedDataset:
    """Reads lists of images.

    Args:
      data_dir: the folder paths are relative to.
      train_list: the csv file of the training images; None means train.csv in `data_dir`.
      test_list: that of the test images; None means test.csv.

    Raises:
      FileNotFoundError: a folder or a list that is not there.
      ValueError: a list that is empty or cannot be read, labels that are no classes 0..C-1, or a class that only the
        test list has.
    """
    root = Path(data_dir).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; {_LIST_LAYOUT}.")
    train_path, test_path = (
        Path(given).expanduser() if given else root / f"{part}.csv"
        for part, given in (("train", train_list), ("test", test_list))
    )
    train_rows, test_rows = _read_list(train_path), _read_list(test_path)
    names = _class_names(train_path, train_rows[1])
    train = _listed(root, train_path, train_rows, names, labels_are_true=False)
    test = _listed(root, test_path, test_rows, names, labels_are_true=True)
    return StreamedDataset("list", train, test, names)


def load_folder(data_dir: str | os.PathLike[str]) -> StreamedDataset:
    """Lists a folder of images.

    Raises:
      FileNotFoundError: no such folder, or one without train/ and test/.
      ValueError: fewer than two classes, a class without images, or a class that only test/ has.
    """
    root = Path(data_dir).expanduser()
    test_name = next((name for name in _TEST_NAMES if (root / name).is_dir()), "test")
    for needed in (root, root / "train", root / test_name):
        if not needed.is_dir():
            raise FileNotFoundError(f"There is no folder {needed}; {_FOLDER_LAYOUT}.")
    train, names = class_folders(root, "train")
    if len(names) < 2:
        raise ValueError(f"{root / 'train'} has {len(names)} class folder(s), but 2 are needed; {_FOLDER_LAYOUT}.")
    test, _ = class_folders(root, test_name, names)
    clean = class_folders(root, "clean", names)[0] if (root / "clean").is_dir() else None
    return StreamedDataset("folder", _untrusted(train), test, tuple(map(printable, names)), clean=clean)


def class_folders(root: Path, part: str, names: Sequence[str] | None = None) -> tuple[ImageIndex, tuple[str, ...]]:
    """Lists root/part/<class>/*: the images by class and name, and the classes in alphabetical order, or as given.

    Raises:
      ValueError: no class folder, a class without images (where `names` are not given), or a class not in `names`.
    """
    found = sorted(entry.name for entry in os.scandir(root / part) if entry.is_dir() and entry.name[0] != ".")
    classes = tuple(found) if names is None else tuple(names)
    unknown = sorted(set(found) - set(classes))
    if unknown:
        raise ValueError(f"{root / part} has a class that train has not: {unknown[0]}.")
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = root / part / name
        images = sorted(
            file for file in (os.listdir(folder) if name in found else [])
            if os.path.splitext(file)[1].lower() in SUFFIXES and file[0] != "."
        )  # fmt: skip
        if not images and names is None:
            raise ValueError(f"The class folder {folder} has no images; {_FOLDER_LAYOUT}.")
        files += [f"{part}/{name}/{file}" for file in images]
        labels += [label] * len(images)
    if not files:
        raise ValueError(f"{root / part} has no images; {_FOLDER_LAYOUT}.")
    return ImageIndex(root, file_names(files), np.array(labels, np.int32), np.arange(len(files))), classes


def _untrusted(index: ImageIndex) -> ImageIndex:
    return ImageIndex(index.root, index.files, index.labels, index.ids, labels_are_true=False)


def _read_list(path: Path) -> Rows:
    """Returns paths and labels, numbers without leading zeros."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no list of images {path}; {_LIST_LAYOUT}.")
    files: list[str] = []
    labels: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv_reader(stream)
            first: list[str] = next(reader, [])
            heading = [cell.strip().lower() for cell in first]
            named = "path" in heading and "label" in heading
            columns = (heading.index("path"), heading.index("label")) if named else (0, 1)
            if first and not named and len(first) != 2:
                raise ValueError(f"{path} starts with {','.join(first)!r}, but columns path and label are needed.")
            for row in reader if named else itertools.chain([first], reader):
                if not any(row):
                    continue
                if len(row) <= max(columns) or not row[columns[0]].strip() or not row[columns[1]].strip():
                    raise ValueError(f"Line {reader.line_num} of {path} lacks a path or a label.")
                files.append(row[columns[0]].strip())
                labels.append(_canonical(row[columns[1]].strip()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"The list {path} is not a text file with comma-separated columns.") from error
    if not files:
        raise ValueError(f"The list {path} has no images.")
    return files, labels


def _canonical(label: str) -> str:
    return str(int(label)) if re.fullmatch(r"[0-9]{1,9}", label) else label


def _class_names(path: Path, labels: list[str]) -> tuple[str, ...]:
    """The classes of the training list: "0", "1", ... for numbers, else the names in alphabetical order."""
    distinct = set(labels)
    if all(label.isdigit() for label in distinct):
        numbers = sorted(map(int, distinct))
        if numbers != list(range(len(numbers))):
            absent = next(n for n, number in enumerate(numbers) if n != number)
            raise ValueError(f"The labels in {path} go up to {numbers[-1]}, but no image has the label {absent}.")
        names = tuple(map(str, numbers))
    else:
        names = tuple(sorted(distinct))
    if len(names) < 2:
        raise ValueError(f"The list {path} has images of one class only, but at least 2 are needed.")
    return names


def _listed(root: Path, path: Path, rows: Rows, names: tuple[str, ...], *, labels_are_true: bool) -> ImageIndex:
    files, spelt = rows
    numbers = {name: number for number, name in enumerate(names)}
    unknown = sorted(set(spelt) - set(numbers))
    if unknown:
        raise ValueError(f"The list {path} has the class {unknown[0]!r}, which the training list has not.")
    labels = np.array([numbers[label] for label in spelt], np.int32)
    return ImageIndex(root, file_names(files), labels, np.arange(len(files)), labels_are_true=labels_are_true)
