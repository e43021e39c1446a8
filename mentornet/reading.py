"""Reading text that may be cut off, edited by hand or made to do harm: each file is checked against its schema.

What is wrong with a file is said in one sentence, and what comes back has the types and ranges of the schema.
`mentornet.arrays` reads arrays. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mentornet.files import RunFolderError, explained

LARGEST_TEXT = 2**20  # characters of one string
LARGEST_JSON = 2**26  # bytes
LARGEST_TABLE = 2**31  # bytes of a csv
DEEPEST = 32  # objects and lists inside each other
LARGEST_WHOLE = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Value:
    """What one value of a file may be. None, or an empty cell, stands for "not known" and always may be.

    Attributes:
      kind: int, float (which takes whole numbers, too), str, bool, dict or list.
      low, high: of numbers; a float may be NaN or infinite only in tables, if the range has no ends.
      longest: characters of a string.
    """

    kind: type
    low: float = -math.inf
    high: float = math.inf
    longest: int = LARGEST_TEXT

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value as JSON gives it, None if nothing is."""
        if value is None:
            return None
        kinds: tuple[type, ...] = (int, float) if self.kind is float else (self.kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and self.kind is not bool):
            return f"is {shown(value)} where {_NAMES[self.kind]} is expected"
        if isinstance(value, str) and len(value) > self.longest:
            return f"has {len(value):,} characters, more than {self.longest:,}"
        if isinstance(value, (int, float)) and abs(value) > LARGEST_WHOLE and self.kind is int:
            return "has more than 64 bits"
        if isinstance(value, (int, float)) and not self.low <= value <= self.high:
            return f"is {shown(value)}, which is not within {self.low:g} and {self.high:g}"
        return None

    def column(self, cells: Sequence[str]) -> np.ndarray:
        """The cells of a column of a table as int64, float64 (NaN: empty) or str [n].

        Raises:
          ValueError: one of them is none such; the text says which row.
        """
        if self.kind is str:
            self._refuse_first([len(cell) > self.longest for cell in cells], cells)
            return np.array(cells, np.str_)
        try:
            values = np.array([_number(self.kind, cell) for cell in cells], _TYPES[self.kind])
        except (ValueError, OverflowError):
            self._refuse_first([not _is_number(self.kind, cell) for cell in cells], cells)
            raise
        self._refuse_first((values < self.low) | (values > self.high), cells)
        return values

    def _refuse_first(self, wrong: Sequence[bool] | np.ndarray, cells: Sequence[str]) -> None:
        if np.any(wrong):
            row = int(np.argmax(wrong))
            ends = "" if self.low == -math.inf else f" of {self.low:g} to {self.high:g}"
            raise ValueError(f"has {shown(cells[row])} in row {row + 1}, where {_NAMES[self.kind]}{ends} is expected")


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
_TYPES: dict[type, Any] = {int: np.int64, float: np.float64}
_LONGEST_NUMBER = 400  # characters; Python writes the smallest float with some 325 when asked for all its digits

Schema = Mapping[str, Value]
"""What the values of these names may be; there may be others."""


def read_bytes(path: str | os.PathLike[str], largest: int) -> bytes:
    """The bytes of a file.

    Raises:
      RunFolderError: it is missing, unreadable, no regular file, or larger than ``largest`` bytes.
    """
    refuse_special(path)
    with explained(path, "read"), open(path, "rb") as stream:
        raw = stream.read(largest + 1)
    if len(raw) > largest:
        raise RunFolderError(f"Cannot read {os.fspath(path)}: it has more than the {largest:,} bytes allowed.")
    return raw


def refuse_special(path: str | os.PathLike[str]) -> None:
    """Refuses pipes and devices, which never end or make the reader wait."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise RunFolderError(f"Cannot read {os.fspath(path)}: it is no regular file.")


def read_json(path: str | os.PathLike[str], schema: Schema | None = None) -> dict[str, Any]:
    """Reads a JSON object of finite numbers.

    Args:
      path: the file.
      schema: of its entries.

    Raises:
      RunFolderError: the file is missing, unreadable, or not such an object.
    """
    raw = read_bytes(path, LARGEST_JSON)
    name = os.fspath(path)
    try:
        content = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise RunFolderError(f"Cannot read {name}: it is not valid JSON ({error}).") from error
    except RecursionError:
        raise RunFolderError(f"Cannot read {name}: it is nested too deeply.") from None
    if not isinstance(content, dict):
        held = "null" if content is None else f"a {type(content).__name__}"
        raise RunFolderError(f"Cannot read {name}: it holds {held}, not an object.")
    check_plain(content, f"Cannot read {name}")
    check_object(content, schema or {}, f"Cannot read {name}")
    return content


def check_object(content: Mapping[str, Any], schema: Schema, what: str) -> None:
    """Raises a `RunFolderError` that begins with ``what`` for the first entry that is not as the schema says."""
    for key, value in schema.items():
        if problem := value.problem(content.get(key)):
            raise RunFolderError(f"{what}: {key!r} {problem}.")


def check_plain(content: Any, what: str) -> None:
    """Refuses what JSON allows but no reader expects: deep nesting, numbers beyond 64 bits, text that is no Unicode.

    Raises:
      RunFolderError: its text begins with ``what``.
    """
    layer = [content]
    for _ in range(DEEPEST):
        following: list[Any] = []
        for value in layer:
            if isinstance(value, dict):
                following += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                following += value
            elif problem := _plain_problem(value):
                raise RunFolderError(f"{what}: {problem}.")
        if not following:
            return
        layer = following
    raise RunFolderError(f"{what}: it is nested more than {DEEPEST} deep.")


def _plain_problem(value: Any) -> str | None:
    if isinstance(value, str):
        if len(value) > LARGEST_TEXT:
            return f"it has a text of {len(value):,} characters"
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            return "it has a text that is no Unicode"
    elif isinstance(value, float) and not math.isfinite(value):
        return "it has a number that is not finite"
    elif isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return "it has a number of more than 64 bits"
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def read_table(
    path: str | os.PathLike[str], schema_of: Callable[[str], Value], needed: Sequence[str], what: str
) -> dict[str, np.ndarray]:
    """Reads a csv with a heading into arrays [n] by column: int64, float64 (NaN for an empty cell) or str.

    Args:
      path: the file.
      schema_of: what the cells of a column may be, by its name.
      needed: columns that must be there.
      what: the table in words, for the message: "a table of samples".

    Raises:
      RunFolderError: the file is missing or is not such a table.
    """
    raw = read_bytes(path, LARGEST_TABLE)
    try:
        header, *body = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True)
        missing = [name for name in needed if name not in header]
        if missing:
            raise ValueError(f"columns {missing} are missing")
        if len(set(header)) < len(header):
            raise ValueError("two of its columns have one name")
        lengths = {len(row) for row in body} - {len(header)}
        if lengths:
            raise ValueError(f"a row has {min(lengths)} cells, the heading {len(header)}")
        columns = zip(*body, strict=True) if body else (() for _ in header)
        return {name: _column(schema_of(name), name, cells) for name, cells in zip(header, columns, strict=True)}
    except (ValueError, csv.Error) as error:
        reason = "it is empty" if not raw else "it is no text" if isinstance(error, UnicodeError) else str(error)
        raise RunFolderError(f"{os.fspath(path)} is not {what}: {reason}.") from error


def _column(value: Value, name: str, cells: Sequence[str]) -> np.ndarray:
    try:
        return value.column(cells)
    except ValueError as error:
        raise ValueError(f"column {shown(name)} {error}") from None


def _number(kind: type, cell: str) -> Any:
    if len(cell) > _LONGEST_NUMBER:
        raise ValueError("too long for a number")
    return kind(cell) if cell or kind is int else math.nan


def _is_number(kind: type, cell: str) -> bool:
    try:
        number = _number(kind, cell)
        return kind is float or abs(number) <= LARGEST_WHOLE
    except ValueError:
        return False


def read_matrix(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a matrix of numbers, float64 [rows, columns].

    Raises:
      RunFolderError: the file is missing, unreadable, or not a matrix of finite numbers.
    """
    lines = read_bytes(path, LARGEST_TABLE).decode("utf-8", errors="replace").splitlines()
    try:
        matrix = np.array([[float(cell) for cell in line.split(",")] for line in lines], np.float64, ndmin=2)
    except ValueError:
        raise RunFolderError(f"Cannot read {os.fspath(path)}: it is no matrix of numbers.") from None
    if not matrix.size or not np.isfinite(matrix).all():
        raise RunFolderError(f"Cannot read {os.fspath(path)}: a matrix of finite numbers is expected.")
    return matrix


def shown(value: Any) -> str:
    """A value in a few characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
