"""Clothing1M (Xiao et al., CVPR 2015): a million pictures of clothes from shops, labelled by the words around them.

The official layout:
  noisy_label_kv.txt, clean_label_kv.txt      lines "images/0/01/<file> <label>", labels 0 to 13
  noisy_train_key_list.txt                    lines "images/0/01/<file>": the images to train on
  clean_val_key_list.txt                      14,313 images whose labels people gave: the clean set
  clean_test_key_list.txt                     10,526 more: the test images
  category_names_eng.txt                      the name of class c in line c (may be left out)
  images/0/01/...                             (or 0/01/... where the folder images/ was left out)
clean_train_key_list.txt belongs to it too, and is not used: no row of DivideMix's or L2B's tables trains on it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from absl import logging

from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex, file_names

CLASSES = (
    "T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker", "Jacket", "Down Coat", "Suit",
    "Shawl", "Dress", "Vest", "Underwear",
)  # fmt: skip
NAMES_FILE = "category_names_eng.txt"
_IMAGES = "images/"


def load(data_dir: str | os.PathLike[str]) -> StreamedDataset:
    """Reads the lists.

    Training images that are clean ones, too, are left out of the training images.

    Args:
      data_dir: the folder with the lists.

    Returns:
      The data set; the clean set is that of the validation images.

    Raises:
      FileNotFoundError: a folder or a list that is not there.
      ValueError: a list that is empty or no text, a line that cannot be read, a label outside of 0 to 13, a key twice
        in a list or without a label, or another number of names than classes.
    """
    root = Path(data_dir).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; expected is Clothing1M as published, with its lists.")
    noisy, clean = (_labels(root / f"{kind}_label_kv.txt") for kind in ("noisy", "clean"))
    keys = {
        part: _keys(root / f"{part}_key_list.txt", labels, f"{part.partition('_')[0]}_label_kv.txt")
        for part, labels in (("noisy_train", noisy), ("clean_val", clean), ("clean_test", clean))
    }
    common = set(keys["clean_val"]) & set(keys["clean_test"])
    if common:
        raise ValueError(
            f"{len(common)} images are in clean_val_key_list.txt and in clean_test_key_list.txt, such as {min(common)}."
        )
    apart = set(keys["clean_val"]) | set(keys["clean_test"])
    train = [key for key in keys["noisy_train"] if key not in apart]
    if left := len(keys["noisy_train"]) - len(train):
        logging.warning("%d images of noisy_train_key_list.txt are clean ones, too, and are not trained on.", left)
    inside = (root / _IMAGES).is_dir()

    def index(chosen: list[str], labels: dict[str, int], labels_are_true: bool) -> ImageIndex:
        files = chosen if inside else [key.removeprefix(_IMAGES) for key in chosen]
        numbers = np.array([labels[key] for key in chosen], np.int32)
        return ImageIndex(root, file_names(files), numbers, _positions(files), labels_are_true=labels_are_true)

    return StreamedDataset(
        "clothing1m",
        train=index(train, noisy, False),
        test=index(keys["clean_test"], clean, True),
        class_names=_names(root / NAMES_FILE),
        clean=index(keys["clean_val"], clean, True),
    )


def _positions(files: list[str]) -> npt.NDArray[np.int64]:
    return np.arange(len(files), dtype=np.int64)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no list {path}; it belongs to Clothing1M (its annotations).")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file.") from error
    if not any(lines):
        raise ValueError(f"{path} is empty.")
    return lines


def _labels(path: Path) -> dict[str, int]:
    """The label of every key."""
    found: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line:
            continue
        key, _, label = line.rpartition(" ")
        if not key or not (label.isascii() and label.isdigit()):
            raise ValueError(f"Line {number} of {path} is {line[:200]!r}, but a key and a label are expected.")
        if len(label) > 2 or int(label) >= len(CLASSES):
            raise ValueError(
                f"Line {number} of {path} has the label {label[:20]}, but Clothing1M's are 0 to {len(CLASSES) - 1}."
            )
        if found.setdefault(key.strip(), int(label)) != int(label):
            raise ValueError(f"Line {number} of {path} gives {key[:200]} another label than an earlier line.")
    return found


def _keys(path: Path, labels: dict[str, int], where: str) -> list[str]:
    """The keys of a list in its order, all of which have labels."""
    found: dict[str, None] = {}
    for number, key in enumerate(_lines(path), start=1):
        if not key:
            continue
        if key not in labels:
            raise ValueError(f"Line {number} of {path} names {key[:200]}, which has no label in {where}.")
        if key in found:
            raise ValueError(f"Line {number} of {path} names {key[:200]}, which an earlier line names, too.")
        found[key] = None
    return list(found)


def _names(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return CLASSES
    names = tuple(line for line in _lines(path) if line)
    if len(names) != len(CLASSES):
        raise ValueError(f"{path} has {len(names)} names, but Clothing1M has {len(CLASSES)} classes.")
    return names
