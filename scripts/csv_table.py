"""Tables of figures that scripts write for docs/results: csv, a row a line."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mentornet import files


def write(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Writes rows, in the order of the columns; by default those of the first row. What a row lacks is empty.

    Raises:
        OSError: the file can't be written; in one sentence.
    """
    _write(path, rows, columns, "w")


def add(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds rows to a table of the same columns, which is begun if there is none; see ``write``."""
    _write(path, rows, None, "a")


def _write(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None, mode: str) -> None:
    with files.explained(path), open(path, mode, newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns or rows[0]), restval="", lineterminator="\n")
        if not stream.tell():
            writer.writeheader()
        writer.writerows(rows)
