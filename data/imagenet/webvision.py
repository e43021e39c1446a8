"""WebVision 1.0 (Li et al., 2017): 2.4 million images that Google and Flickr found for the classes of ILSVRC2012.

The official layout:
  info/train_filelist_google.txt, info/train_filelist_flickr.txt   lines "google/q0001/<file> <label>"
  info/val_filelist.txt                                            lines "<file> <label>", in val_images_256/
  info/synsets.txt                                                 line i: WordNet id and name of class i
  info/queries_synsets_map.txt                                     lines "<query> <class>" (0001 is google/q0001)
  google/q0001/..., flickr/q0001/..., val_images_256/...
Training labels are what was searched for, and often wrong; the validation labels were given by people. "Mini" is
the first 50 classes, of Google alone (Jiang et al., ICML 2018, section 5.3).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.imagenet import ilsvrc
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex, file_names

PARTS = ("google", "flickr")
MINI_CLASSES = 50
ILSVRC = "ilsvrc"

_VALIDATION_FOLDERS = ("val_images_256", "val_images")
_QUERY = re.compile(r"q(\d+)$")


def load(
    data_dir: str | os.PathLike[str],
    *,
    mini: bool = False,
    parts: Sequence[str] = PARTS,
    ilsvrc_dir: str | os.PathLike[str] | None = None,
    index_dir: str | os.PathLike[str] | None = None,
) -> StreamedDataset:
    """Reads the file lists.

    Args:
      data_dir: the folder with info/, google/, flickr/ and the validation images.
      mini: only images with labels below 50.
      parts: which of PARTS to train on.
      ilsvrc_dir: ImageNet, whose validation images of the same classes become the further test split "ilsvrc".
      index_dir: see `ilsvrc.load`.

    Raises:
      FileNotFoundError: a folder, a file list or a class map that is not there.
      ValueError: an unknown part, a list that cannot be read, or labels that contradict the class map.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown or not parts:
        raise ValueError(f"The parts of WebVision are {' and '.join(PARTS)}, not {', '.join(unknown) or 'none'}.")
    root = Path(data_dir).expanduser()
    info = root / "info"
    if not info.is_dir():
        raise FileNotFoundError(
            f"There is no folder {info}; expected is WebVision 1.0 as published, with info/ inside."
        )
    ids, names = _synsets(info / "synsets.txt")
    class_of_query = _class_of_query(info / "queries_synsets_map.txt")
    lists = [_file_list(info / f"train_filelist_{part}.txt", len(ids)) for part in parts]
    for part, (files, labels) in zip(parts, lists, strict=True):
        _check_queries(info / f"train_filelist_{part}.txt", files, labels, class_of_query)
    train_files = [file for files, _ in lists for file in files]
    train_labels = np.concatenate([labels for _, labels in lists])
    test_files, test_labels = _file_list(info / "val_filelist.txt", len(ids))
    folder = next((name for name in _VALIDATION_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise FileNotFoundError(f"{root} has no folder {' or '.join(_VALIDATION_FOLDERS)} with the validation images.")
    train = ImageIndex(root, file_names(train_files), train_labels, np.arange(len(train_labels)), labels_are_true=False)
    test = ImageIndex(
        root, file_names([f"{folder}/{file}" for file in test_files]), test_labels, np.arange(len(test_labels))
    )
    if mini:
        ids, names = ids[:MINI_CLASSES], names[:MINI_CLASSES]
        train, test = (index.take(np.flatnonzero(index.labels < len(ids))) for index in (train, test))
    more = {} if ilsvrc_dir is None else {ILSVRC: ilsvrc.evaluation_for(ilsvrc_dir, ids, index_dir)}
    return StreamedDataset("webvision_mini" if mini else "webvision", train, test, names, ids, more)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; it belongs to WebVision 1.0 (info.tar).")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file.") from error
    lines = [line for line in lines if line]
    if not lines:
        raise ValueError(f"{path} is empty.")
    return lines


def _synsets(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """WordNet ids and the first name of every class, in the order of the labels."""
    split = [line.partition(" ") for line in _lines(path)]
    ids = tuple(wordnet for wordnet, _, _ in split)
    return ids, tuple(name.split(",")[0].strip() or wordnet for wordnet, _, name in split)


def _class_of_query(path: Path) -> dict[int, int]:
    """The number in the second column by the number in the first."""
    pairs = [line.split() for line in _lines(path)]
    for number, pair in enumerate(pairs, start=1):
        if len(pair) != 2 or not all(value.isdigit() for value in pair):
            raise ValueError(f"Line {number} of {path} is {' '.join(pair)!r}, but a query and a class are expected.")
    return {int(query): int(target) for query, target in pairs}


def _file_list(path: Path, num_classes: int) -> tuple[list[str], npt.NDArray[np.int32]]:
    files, labels = [], []
    for number, line in enumerate(_lines(path), start=1):
        file, _, label = line.rpartition(" ")
        if not file or not label.isdigit():
            raise ValueError(f"Line {number} of {path} is {line!r}, but a file and a label are expected.")
        if int(label) >= num_classes:
            raise ValueError(
                f"Line {number} of {path} has the label {label}, but synsets.txt has {num_classes} classes."
            )
        files.append(file.strip())
        labels.append(int(label))
    return files, np.array(labels, np.int32)


def _check_queries(path: Path, files: list[str], labels: npt.NDArray[np.int32], class_of: dict[int, int]) -> None:
    """Makes sure that each label is the class of the query whose folder the image is in.

    Copies of the map count classes from 0 or from 1; one of the two has to fit all images.
    """
    folders = [file.rpartition("/")[0] for file in files]
    expected: dict[str, int] = {}
    for folder in dict.fromkeys(folders):
        match = _QUERY.search(folder)
        if match is None or int(match[1]) not in class_of:
            raise ValueError(f"{path} names the folder {folder!r}, which is no query of queries_synsets_map.txt.")
        expected[folder] = class_of[int(match[1])]
    first_class = min(class_of.values())
    wrong = np.flatnonzero(np.array([expected[folder] for folder in folders]) - first_class != labels)
    if wrong.size:
        line = int(wrong[0])
        raise ValueError(
            f"Line {line + 1} of {path} labels {files[line]} as {labels[line]}, but queries_synsets_map.txt says "
            f"{expected[folders[line]] - first_class}."
        )
