"""An index of the images inside TFRecord files: read once, kept, so that any image can be fetched at any time.

TFRecord files are made to be read in order. Training wants any order: one that follows from (seed, step), survives a
restart at no cost, and mixes all classes. So the place of every image's bytes is looked up once and the image is then
read by file, offset and length, without its record. Looking up walks through the wire format of the records and steps
over the images themselves: some 100 bytes of every record are read, not 100 kB.

Formats: a TFRecord is (uint64 length, uint32 checksum, payload, uint32 checksum), little endian; the payload a
tf.train.Example in protocol buffer encoding. Checksums are not verified; a damaged image shows when it is decoded.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from absl import logging

from data.label_files import read_npz

_FORMAT = 1  # of the kept index
_HEADER, _FOOTER = 12, 4
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FEATURES_FIELD, _ENTRY_FIELD, _KEY_FIELD, _VALUE_FIELD = 1, 1, 1, 2
_BYTES_LIST, _INT64_LIST = 1, 3

Span = tuple[int, int]


@dataclass(frozen=True)
class RecordKeys:
    """Names of the features of a record: the encoded image, its label and, where there are any, its class' names."""

    image: str
    label: str
    class_id: str = ""
    class_name: str = ""


SLIM_KEYS = RecordKeys("image/encoded", "image/class/label", "image/class/synset", "image/class/text")
TFDS_KEYS = RecordKeys("image", "label")


@dataclass(frozen=True, eq=False)
class RecordIndex:
    """The images of n records in k files, in the order of (file, record).

    Attributes:
      file: int32 [n]; offset, length: int64 [n]; label: int64 [n], as the records say.
      class_ids, class_names: by label, of the classes that occur, where the records tell.
    """

    file: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    class_ids: dict[int, str]
    class_names: dict[int, str]


def index_of(files: Sequence[Path], keys: RecordKeys, index_dir: str | os.PathLike[str] | None = None) -> RecordIndex:
    """Finds the images in TFRecord files, or remembers where they were.

    Args:
      files: the files, in the order that decides positions.
      keys: names of the features.
      index_dir: where found indexes are kept, under a name made of the files' names, sizes and times; None means
        the user's cache folder. A folder that cannot be written is no error: then nothing is kept.

    Raises:
      ValueError: a file that is truncated or holds other records.
      OSError: a file that cannot be read.
    """
    kept = _kept_file(files, keys, index_dir)
    found = _load(kept)
    if found is None:
        logging.info("Indexing %d record files of %s, once", len(files), files[0].parent)
        found = _scan(files, keys)
        _store(found, kept)
    return found


def default_index_dir() -> Path:
    """The user's cache folder for indexes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mentornet"


def _scan(files: Sequence[Path], keys: RecordKeys) -> RecordIndex:
    rows: list[tuple[int, int, int, int]] = []
    names: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for number, path in enumerate(files):
        with path.open("rb") as stream:
            if not os.fstat(stream.fileno()).st_size:
                continue  # a shard may be empty, and mmap refuses it
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
                for record, (start, end) in enumerate(_records(buffer, path)):
                    try:
                        rows.append((number, *_entry(buffer, start, end, keys, names)))
                    except (KeyError, IndexError, struct.error) as error:
                        wanted = f"{keys.image!r} and {keys.label!r}"
                        raise ValueError(
                            f"Record {record} of {path} is no tf.train.Example with the features {wanted} ({error})."
                        ) from error
    if not rows:
        raise ValueError(f"The record files in {files[0].parent} hold no records.")
    table = np.array(rows, np.int64)
    return RecordIndex(table[:, 0].astype(np.int32), table[:, 1], table[:, 2], table[:, 3], *names)


def _records(buffer: mmap.mmap, path: Path) -> Iterator[Span]:
    """Yields where the payload of every record starts and ends."""
    position, size = 0, len(buffer)
    while position < size:
        end = size + 1
        if position + _HEADER <= size:
            (length,) = struct.unpack_from("<Q", buffer, position)
            end = position + _HEADER + length + _FOOTER
        if end > size:
            raise ValueError(f"{path} is truncated, or no TFRecord file; copy it again.")
        yield position + _HEADER, end - _FOOTER
        position = end


def _entry(
    buffer: mmap.mmap, start: int, end: int, keys: RecordKeys, names: tuple[dict[int, str], dict[int, str]]
) -> tuple[int, int, int]:
    """Returns (offset, length, label) of one record, and notes the names of a class not met before."""
    values = _features(buffer, start, end)
    image = _first_bytes(buffer, values[keys.image])
    label = _first_integer(buffer, values[keys.label])
    for known, key in zip(names, (keys.class_id, keys.class_name), strict=True):
        if label not in known and key in values:
            first, last = _first_bytes(buffer, values[key])
            known[label] = buffer[first:last].decode("utf-8", errors="replace")
    return image[0], image[1] - image[0], label


def _features(buffer: mmap.mmap, start: int, end: int) -> dict[str, Span]:
    """Returns where the value (a tf.train.Feature) of each feature of an Example lies."""
    values = {}
    for features in _fields(buffer, start, end, _FEATURES_FIELD):
        for entry in _fields(buffer, *features, _ENTRY_FIELD):
            key = next(_fields(buffer, *entry, _KEY_FIELD))
            value = next(_fields(buffer, *entry, _VALUE_FIELD), None)
            if value is not None:
                values[buffer[key[0] : key[1]].decode("utf-8", errors="replace")] = value
    return values


def _first_bytes(buffer: mmap.mmap, feature: Span) -> Span:
    for listed in _fields(buffer, *feature, _BYTES_LIST):
        for value in _fields(buffer, *listed, 1):
            return value
    raise KeyError("a feature has no bytes")


def _first_integer(buffer: mmap.mmap, feature: Span) -> int:
    for start, end in _fields(buffer, *feature, _INT64_LIST):
        if end > start:
            tag, position = _varint(buffer, start)
            if tag & 7 == _LENGTH_DELIMITED:  # packed, as by default
                _, position = _varint(buffer, position)
            value, _ = _varint(buffer, position)
            return value - 2**64 if value >= 2**63 else value
    raise KeyError("a feature has no integer")


def _fields(buffer: mmap.mmap, start: int, end: int, wanted: int) -> Iterator[Span]:
    """Yields where the contents of every length-delimited field of that number lie, stepping over the others."""
    position = start
    while position < end:
        tag, position = _varint(buffer, position)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            length, position = _varint(buffer, position)
            if position + length > end:
                raise IndexError("a field is longer than its record")
            if tag >> 3 == wanted:
                yield position, position + length
            position += length
        elif kind == _VARINT:
            _, position = _varint(buffer, position)
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise IndexError(f"wire type {kind} does not exist")


def _varint(buffer: mmap.mmap, position: int) -> tuple[int, int]:
    """Returns (value, position behind it) of a number of 7 bits a byte, the lowest first."""
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise IndexError("a number is longer than 64 bits")


def _kept_file(files: Sequence[Path], keys: RecordKeys, index_dir: str | os.PathLike[str] | None) -> Path:
    facts = [(str(path.resolve()), status.st_size, status.st_mtime_ns) for path in files for status in [path.stat()]]
    digest = hashlib.sha256(json.dumps([_FORMAT, repr(keys), facts]).encode()).hexdigest()[:32]
    folder = default_index_dir() if index_dir is None else Path(index_dir).expanduser()
    return folder / f"records-{digest}.npz"


def _load(kept: Path) -> RecordIndex | None:
    try:
        arrays = read_npz(kept)
        class_ids, class_names = (
            {int(label): str(name) for label, name in json.loads(str(arrays[which])).items()}
            for which in ("class_ids", "class_names")
        )
        return RecordIndex(
            file=arrays["shard"].astype(np.int32),
            offset=arrays["offset"].astype(np.int64),
            length=arrays["length"].astype(np.int64),
            label=arrays["label"].astype(np.int64),
            class_ids=class_ids,
            class_names=class_names,
        )
    except (ValueError, KeyError, OSError):  # not there, or damaged: it is made anew
        return None


def _store(found: RecordIndex, kept: Path) -> None:
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Written elsewhere and renamed, so that another process never reads half of it.
        descriptor, partial = tempfile.mkstemp(dir=kept.parent, suffix=".partial")
        with os.fdopen(descriptor, "wb") as stream:
            np.savez(
                stream,
                shard=found.file,
                offset=found.offset,
                length=found.length,
                label=found.label,
                class_ids=np.array(json.dumps(found.class_ids)),
                class_names=np.array(json.dumps(found.class_names)),
            )
        os.replace(partial, kept)
    except OSError as error:
        logging.warning("The index of record files is not kept, because %s cannot be written: %s", kept.parent, error)
