"""Reading labels from files: labels.npz of a run folder, or a csv that people make themselves.

labels.npz   `given` [n], optionally `clean` [n] and `index` [n] (position in the data set), and facts such as
             noise_type as arrays without dimensions
csv          one label a line, in the order of the training images (a heading `label` is allowed), or a heading
             with `index` and `label` (or `given_label`) and rows in any order; other columns are ignored; cells may be
             separated by semicolons

Files are data: nothing in them is unpickled or evaluated.
"""

from __future__ import annotations

import csv
import math
import os
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

_MOST_PACKED = 1100  # what deflate can make of a byte is 1,032 bytes
_LABEL_COLUMNS = ("label", "given_label")


@dataclass(frozen=True, eq=False)
class LabelsFile:
    """What a labels file says.

    Attributes:
      given: int32 [n], labels to train on, in the order asked for.
      clean: int32 [n], the true labels, where the file has them.
      facts: what an npz tells about its labels (noise_type, noise_fraction, ...); empty for csv.
    """

    given: npt.NDArray[np.int32]
    clean: npt.NDArray[np.int32] | None = None
    facts: dict[str, str | int | float] = field(default_factory=dict)


def read_labels_file(
    path: str | os.PathLike[str], n: int, num_classes: int, *, ids: npt.ArrayLike | None = None
) -> LabelsFile:
    """Reads the labels of n training images.

    Args:
      path: a file ending in .npz, .csv or .txt, see the head of this module.
      n: how many training images there are.
      num_classes: labels have to be in [0, num_classes).
      ids: int [n], the position in the data set of every training image, by which an `index` in the file is
        matched; None means 0..n-1.

    Returns:
      The labels in the order of `ids`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another kind of file, a wrong number of labels, a label that is no integer or out of range, or an
        index that is repeated, missing or foreign.
    """
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix == ".npz":
        arrays = read_npz(file)
        if "given" not in arrays:
            raise ValueError(f"The labels file {file} has no array 'given', only {', '.join(arrays) or 'nothing'}.")
        vectors = arrays.keys() & {"given", "clean", "index"}
        columns = {name: _integers(file, name, arrays[name]) for name in sorted(vectors)}
        facts = {name: _fact(file, name, value) for name, value in arrays.items() if value.ndim == 0}
    elif suffix in (".csv", ".txt"):
        columns, facts = _read_csv(file), {}
    elif not file.exists():
        raise FileNotFoundError(f"There is no file {file}, which should hold labels.")
    else:
        raise ValueError(f"The labels file {file} ends in {suffix!r}, but .npz, .csv and .txt are what can be read.")

    wanted = np.arange(n) if ids is None else np.asarray(ids, np.int64)
    for name, values in columns.items():
        if values.size != n:
            raise ValueError(
                f"The labels file {file} has {values.size} {'labels' if name == 'given' else name + ' entries'}, "
                f"but there are {n} training images."
            )
    for name in ("given", "clean"):
        if name in columns and n and not (columns[name].min() >= 0 and columns[name].max() < num_classes):
            raise ValueError(
                f"The labels file {file} has {name} labels from {columns[name].min()} to {columns[name].max()}, but "
                f"the classes are 0 to {num_classes - 1}."
            )
    rows = _matched(file, columns["index"], wanted) if "index" in columns else slice(None)
    ordered = {name: columns[name][rows].astype(np.int32) for name in ("given", "clean") if name in columns}
    return LabelsFile(ordered["given"], ordered.get("clean"), facts)


def read_npz(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.generic]]:
    """Returns all arrays of an npz file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no npz of plain arrays.
    """
    file = Path(path)
    require(file)
    try:
        _refuse_false_claims(file)
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:  # a damaged archive makes NumPy and zipfile raise a dozen types
        raise ValueError(f"{file} is damaged or no npz file of plain arrays.") from error


def _refuse_false_claims(file: Path) -> None:
    """Raises a ValueError if an array says that it is larger than the file can be; NumPy would allocate it at once."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                shape, _, dtype = readers[np.lib.format.read_magic(stream)](stream)
            packed = min(member.compress_size, file.stat().st_size)
            if math.prod(shape) * dtype.itemsize > min(member.file_size, _MOST_PACKED * (packed + 1)):
                raise ValueError(f"{member.filename} claims the shape {shape}")


def positions_of_run(path: str | os.PathLike[str], ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Finds the images an earlier run trained on.

    Args:
      path: labels.npz of a run folder.
      ids: int [n], the position in the data set of every training image there is.

    Returns:
      int64 [m]: where each `index` of the file stands in `ids`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no such file, or has an index that `ids` has not.
    """
    file = Path(path)
    arrays = read_npz(file)
    if "index" not in arrays:
        raise ValueError(f"{file} has no array 'index', so the images of the run are not known.")
    index = _integers(file, "index", arrays["index"])
    available = np.asarray(ids, np.int64)
    foreign = np.setdiff1d(index, available)
    if foreign.size:
        raise ValueError(f"{file} names image {foreign[0]}, which this data set has not; it is of another data set.")
    order = np.argsort(available)
    return order[np.searchsorted(available, index, sorter=order)]


def require(file: Path) -> None:
    """Raises FileNotFoundError if there is no such file."""
    if not file.is_file():
        raise FileNotFoundError(f"There is {'a folder, but ' if file.is_dir() else ''}no file {file}.")


def _integers(file: Path, name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"Array {name!r} of {file} is a vector of integers in a labels file, but this one is {values.dtype} of "
            f"shape {values.shape}."
        )
    if values.size and int(values.max()) >= 2**63:
        raise ValueError(f"Array {name!r} of {file} has {values.max()}, which is no 64-bit integer.")
    return values.astype(np.int64)


def _fact(file: Path, name: str, value: npt.NDArray[np.generic]) -> str | int | float:
    fact = value.item()
    if isinstance(fact, str) or (isinstance(fact, (int, float)) and math.isfinite(fact)):
        return fact
    raise ValueError(f"Array {name!r} of {file} is {fact!r}, but a text or a finite number is expected there.")


def _matched(file: Path, index: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns for every id the row of the file with that index."""
    order = np.argsort(index, kind="stable")
    ascending = index[order]
    repeated = ascending[1:][ascending[1:] == ascending[:-1]]
    if repeated.size:
        raise ValueError(f"The labels file {file} has index {repeated[0]} more than once.")
    missing = np.setdiff1d(ids, index)
    if missing.size:
        raise ValueError(
            f"The labels file {file} has no label for {missing.size} of the training images, the first with index "
            f"{missing[0]}; it was made for another data set or another subset."
        )
    return order[np.searchsorted(ascending, ids)]


def csv_reader(stream: TextIO) -> Any:
    """``csv.reader`` from the first line on; cells are separated by semicolons where the first line has these alone.

    Spreadsheets write them wherever the comma stands in decimal numbers.
    """
    first = stream.readline()
    stream.seek(0)
    return csv.reader(stream, delimiter=";" if ";" in first and "," not in first else ",")


def csv_lines(file: Path) -> list[tuple[int, list[str]]]:
    """Returns (number, cells without blanks around them) of the lines of a csv that are not empty; at least one.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no csv, or empty.
    """
    require(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv_reader(stream)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"The labels file {file} is not a text file with comma-separated columns.") from error
    if not lines:
        raise ValueError(f"The labels file {file} is empty.")
    return lines


def _read_csv(file: Path) -> dict[str, npt.NDArray[np.int64]]:
    """Returns {"given": [m]} and, if there is such a column, "index": [m]."""
    lines = csv_lines(file)
    first = [cell.lower() for cell in lines[0][1]]
    named = [name for name in _LABEL_COLUMNS if name in first]
    if len(named) == 1 and ("index" in first or len(first) == 1):
        columns = {"given": first.index(named[0])}
        if "index" in first:
            columns["index"] = first.index("index")
        lines = lines[1:]
    elif len(first) == 1:
        columns = {"given": 0}
    else:
        raise ValueError(
            f"The labels file {file} starts with {','.join(first)!r}, but needed is one label a line or a heading with "
            f"index and one of {' and '.join(_LABEL_COLUMNS)}."
        )
    return {
        name: np.array([_cell(file, number, row, column) for number, row in lines], np.int64)
        for name, column in columns.items()
    }


def _cell(file: Path, number: int, row: list[str], column: int) -> int:
    text = row[column] if column < len(row) else ""
    # Eighteen digits fit into int64; int() alone would also accept underscores.
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError(f"Line {number} of the labels file {file} has {text!r} where an integer has to be.")
    return int(text)
