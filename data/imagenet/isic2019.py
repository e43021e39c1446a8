"""ISIC 2019 (the challenge's training data: HAM10000, BCN_20000, MSK): 25,331 pictures of skin lesions in 8 classes.

The official layout:
  ISIC_2019_Training_GroundTruth.csv          image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK with 1.0 in one column a line
  ISIC_2019_Training_Input/<image>.jpg        (or once more in a folder of that name, as some archives unpack)
UNK has no training image and is no class here. L2B (Zhou, Li et al., CVPR 2024, section 4) keeps 4,291 images for the
test and 640 (80 of every class) as its clean set, and trains on 20,400. Which images these are is not published; here
the test images are drawn at random, the same ones whatever a run's seed, or are those of a list.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from data import seeding
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex, file_names
from data.label_files import csv_lines

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
UNKNOWN = "UNK"
TRUTH_FILE, FOLDER = "ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Input"
TOTAL, TEST = 25_331, 4_291
_COLUMNS = ("image", *CLASSES, UNKNOWN)
_SPLIT_SEED = 2019


def load(data_dir: str | os.PathLike[str], test_list: str | os.PathLike[str] | None = None) -> StreamedDataset:
    """Reads the truth and divides the images.

    Args:
      data_dir: the folder with the csv and the folder of images.
      test_list: a file with the name of a test image a line (more columns are ignored, and so is a heading "image");
        None: 4,291 of 25,331 are drawn, and as large a share of another number.

    Raises:
      FileNotFoundError: a folder, the truth or the list that is not there.
      ValueError: a heading or a line that is not as expected, an image twice, a list that names unknown images or
        leaves no training images, or a class of which no training image is left.
    """
    root = Path(data_dir).expanduser()
    truth, folder = root / TRUTH_FILE, FOLDER
    for needed, there in ((truth, truth.is_file()), (root / folder, (root / folder).is_dir())):
        if not there:
            raise FileNotFoundError(
                f"There is no {needed}; expected are {TRUTH_FILE} and {FOLDER}/*.jpg as the challenge published them."
            )
    if (root / folder / FOLDER).is_dir():
        folder = f"{FOLDER}/{FOLDER}"
    names, labels = _truth(truth)
    test = test_positions(len(names)) if test_list is None else _listed(Path(test_list).expanduser(), names)
    rest = np.setdiff1d(np.arange(len(names)), test)
    missing = np.setdiff1d(np.arange(len(CLASSES)), labels[rest])
    if missing.size:
        raise ValueError(f"{truth} leaves no training image of the class {CLASSES[missing[0]]}.")
    files = file_names([f"{folder}/{name}.jpg" for name in names])
    every = ImageIndex(root, files, labels, np.arange(len(names), dtype=np.int64))
    return StreamedDataset("isic2019", every.take(rest), every.take(test), CLASSES)


def test_positions(count: int) -> np.ndarray:
    """Which of so many images are for the test, int64, ascending: 4,291 of 25,331, or that share."""
    size = min(max(1, round(count * TEST / TOTAL)), count - 1)
    return np.sort(seeding.generator(_SPLIT_SEED, "isic2019/test").permutation(count)[:size]).astype(np.int64)


def _truth(path: Path) -> tuple[list[str], np.ndarray]:
    """The names of the images and their classes, int32 [n]."""
    (_, heading), *lines = csv_lines(path)
    if tuple(cell.strip() for cell in heading) != _COLUMNS:
        raise ValueError(f"{path} starts with {','.join(heading)[:200]!r}, but {','.join(_COLUMNS)} is expected.")
    names: dict[str, int] = {}
    for number, row in lines:
        name, *cells = row
        marked = _marked(cells)
        if not name or marked is None:
            raise ValueError(
                f"Line {number} of {path} is {','.join(row)[:200]!r}, but the name of an image is expected, with 1.0 "
                f"in one of {len(_COLUMNS) - 1} columns and 0.0 in the others."
            )
        if marked == len(CLASSES):
            raise ValueError(f"Line {number} of {path} says that {name[:200]} is {UNKNOWN}, which is no class here.")
        if name in names:
            raise ValueError(f"Line {number} of {path} names {name[:200]}, which an earlier line names, too.")
        names[name] = marked
    if len(names) < 2:
        raise ValueError(f"{path} names {len(names)} images, but at least 2 are needed.")
    return list(names), np.array(list(names.values()), np.int32)


def _marked(cells: list[str]) -> int | None:
    """Which of the columns has the 1; None if it is not exactly one."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return None
    if len(values) != len(_COLUMNS) - 1 or sorted(values) != [0.0] * (len(values) - 1) + [1.0]:
        return None
    return values.index(1.0)


def _listed(path: Path, names: list[str]) -> np.ndarray:
    """The positions of the images that a list names, int64, ascending."""
    numbers = {name: number for number, name in enumerate(names)}
    found: set[int] = set()
    for line, row in csv_lines(path):
        name = row[0].removesuffix(".jpg")
        if name == "image" and not found:
            continue
        if name not in numbers:
            raise ValueError(f"Line {line} of {path} names {name[:200]!r}, which {TRUTH_FILE} has not.")
        found.add(numbers[name])
    if not 0 < len(found) < len(names):
        raise ValueError(f"{path} names {len(found)} of {len(names)} images, but some have to be left to train on.")
    return np.array(sorted(found), np.int64)
