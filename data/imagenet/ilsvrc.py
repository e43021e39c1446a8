"""ImageNet ILSVRC2012 (Russakovsky et al., 2015) in the three forms people have it in.

slim     train-?????-of-01024 and validation-?????-of-00128: TFRecords with image/encoded, image/class/label 1..1000
         (0 is background), image/class/synset and image/class/text
tfds     imagenet2012/<version>/ as tensorflow-datasets prepares it, labels 0..999
folders  train/<WordNet id>/*.JPEG and val/<WordNet id>/*.JPEG

Labels come out as 0..999 in the order of the WordNet ids, as WebVision numbers its classes too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.imagenet import listing, records
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex, file_names

_LAYOUTS = (
    "train-?????-of-????? and validation-?????-of-????? (slim's TFRecords), imagenet2012/<version>/ "
    "(tensorflow-datasets), or train/<WordNet id>/*.JPEG and val/<WordNet id>/*.JPEG"
)
_SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})")
_SPLITS = {"train": ("train",), "validation": ("validation", "val")}

Classes = tuple[tuple[str, ...], tuple[str, ...]]


def load(data_dir: str | os.PathLike[str], index_dir: str | os.PathLike[str] | None = None) -> StreamedDataset:
    """Finds the images of ILSVRC2012.

    Args:
      data_dir: the folder with one of the three layouts.
      index_dir: where indexes of TFRecords are kept, see `records.index_of`.

    Returns:
      The data set, without a background class.

    Raises:
      FileNotFoundError: no such folder, none of the layouts, or shards that are missing.
      ValueError: records or class folders that do not fit.
    """
    train, classes = split(data_dir, "train", index_dir)
    test, test_classes = split(data_dir, "validation", index_dir)
    if classes != test_classes and set(test_classes[0]) - set(classes[0]):
        raise ValueError(f"The validation images in {data_dir} have classes that the training images have not.")
    if classes != test_classes:
        test = _renumbered(test, test_classes[0], classes[0], Path(data_dir))
    return StreamedDataset("imagenet", train, test, class_names=classes[1], class_ids=classes[0])


def split(
    data_dir: str | os.PathLike[str], which: str, index_dir: str | os.PathLike[str] | None = None
) -> tuple[ImageIndex, Classes]:
    """Finds one split, "train" or "validation".

    Returns:
      The images and (ids, names) of their classes, by label.

    Raises:
      FileNotFoundError, ValueError: see `load`.
    """
    root = Path(data_dir).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; expected is ImageNet as {_LAYOUTS}.")
    shards = _shards(root, which)
    if shards:
        return _from_records(root, shards, records.SLIM_KEYS, index_dir)
    prepared = _prepared(root)
    if prepared is not None:
        found = _shards(prepared, f"imagenet2012-{which}.tfrecord")
        if not found:
            raise FileNotFoundError(
                f"{prepared} has no imagenet2012-{which}.tfrecord-?????-of-?????; prepare imagenet2012 with the file "
                "format tfrecord."
            )
        return _from_records(prepared, found, records.TFDS_KEYS, index_dir, prepared / "label.labels.txt")
    for name in _SPLITS[which]:
        if (root / name).is_dir():
            index, ids = listing.class_folders(root, name)
            return index, (ids, ids)
    raise FileNotFoundError(f"{root} has no {which} images of ImageNet; expected are {_LAYOUTS}.")


def evaluation_for(
    data_dir: str | os.PathLike[str], class_ids: Sequence[str], index_dir: str | os.PathLike[str] | None = None
) -> ImageIndex:
    """Returns the validation images of these classes, labelled by their position among them.

    Args:
      data_dir: see `load`; the training images may be absent.
      class_ids: WordNet ids, in the order of the labels wanted.
      index_dir: see `load`.

    Raises:
      FileNotFoundError, ValueError: see `load`; or none of the classes occurs.
    """
    index, (ids, _) = split(data_dir, "validation", index_dir)
    return _renumbered(index, ids, tuple(class_ids), Path(data_dir))


def _renumbered(index: ImageIndex, ids: tuple[str, ...], wanted: tuple[str, ...], root: Path) -> ImageIndex:
    """Keeps the images of the wanted classes, numbered by their position there."""
    numbers = {name: number for number, name in enumerate(wanted)}
    table = np.array([numbers.get(name, -1) for name in ids], np.int32)
    labels = table[index.labels]
    if not (labels >= 0).any():
        raise ValueError(
            f"The validation images in {root} share no class with the training images: {ids[0]}, ... against "
            f"{wanted[0]}, ..."
        )
    kept = np.flatnonzero(labels >= 0)
    return index.take(kept).relabelled(labels[kept])


def _shards(root: Path, prefix: str) -> list[Path]:
    """The files <prefix>-00000-of-0000k by number, all k of them; none if there is no such file."""
    found = {int(match["number"]): path for path, match in _matches(root, prefix)}
    totals = sorted({int(match["total"]) for _, match in _matches(root, prefix)})
    if not found:
        return []
    missing = sorted(set(range(totals[-1])) - set(found))
    if missing or len(totals) > 1:
        first = missing[0] if missing else 0
        raise FileNotFoundError(
            f"{root} has {len(found)} of {totals[-1]} files {prefix}-?????-of-{totals[-1]:05d}; missing is for example "
            f"{prefix}-{first:05d}-of-{totals[-1]:05d}."
        )
    return [found[number] for number in sorted(found)]


def _matches(root: Path, prefix: str) -> list[tuple[Path, re.Match[str]]]:
    matches = [(path, _SHARD.fullmatch(path.name)) for path in sorted(root.iterdir())]
    return [(path, match) for path, match in matches if match is not None and match["split"] == prefix]


def _prepared(root: Path) -> Path | None:
    """The folder of the newest prepared version of tensorflow-datasets' imagenet2012, or None."""
    if (root / "label.labels.txt").is_file():
        return root
    versions = [path.parent for path in (root / "imagenet2012").glob("*/label.labels.txt")]
    return max(versions, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def _from_records(
    root: Path,
    shards: list[Path],
    keys: records.RecordKeys,
    index_dir: str | os.PathLike[str] | None,
    labels_file: Path | None = None,
) -> tuple[ImageIndex, Classes]:
    found = records.index_of(shards, keys, index_dir)
    lowest = 0 if labels_file is not None else 1
    if found.label.min() < lowest:
        raise ValueError(
            f"A record in {shards[int(found.file[found.label.argmin()])]} has the label {found.label.min()}, but "
            f"labels start at {lowest}" + (", behind the background class." if lowest else ".")
        )
    labels = (found.label - lowest).astype(np.int32)
    if labels_file is not None:
        ids = tuple(labels_file.read_text(encoding="utf-8").split())
        classes: Classes = (ids, ids)
    else:
        numbers = range(1, int(found.label.max()) + 1)
        names = tuple(found.class_names.get(n) or found.class_ids.get(n) or str(n) for n in numbers)
        classes = (tuple(found.class_ids.get(n) or names[n - 1] for n in numbers), names)
    if labels.max() >= len(classes[0]):
        raise ValueError(
            f"The records in {root} have the label {labels.max()}, but there are {len(classes[0])} classes."
        )
    index = ImageIndex(
        root,
        file_names([path.name for path in shards]),
        labels,
        np.arange(len(labels)),
        found.file,
        found.offset,
        found.length,
    )
    return index, classes
