"""A table of a document, and how figures of a csv are written in it."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.tables.recipe_files import ROOT

Row = dict[str, str]


@dataclass(frozen=True)
class DocumentTable:
    """A table of a document.

    Attributes:
        files: what it comes from, from the repository's root.
        head: the headings.
        rows: makes the cells; the first of a row is at the left.
        best: columns, from 0 on, whose highest figure is bold.
        compared: how many rows from the top may be bold; 0: all.
        left: further columns that stand at the left.
    """

    files: tuple[str, ...]
    head: tuple[str, ...]
    rows: Callable[[], Sequence[Sequence[str]]]
    best: tuple[int, ...] = ()
    compared: int = 0
    left: tuple[int, ...] = ()

    def markdown(self) -> str:
        """The table."""
        rows = [list(row) for row in self.rows()]
        for column in self.best:
            values = [
                float(row[column].split()[0]) if row[column] else -math.inf for row in rows[: self.compared or None]
            ]
            place = values.index(max(values))
            rows[place][column] = f"**{rows[place][column]}**"
        signs = ["---" if k == 0 or k in self.left else "---:" for k in range(len(self.head))]
        return "\n".join(_line(cells) for cells in (self.head, signs, *rows))


def _line(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def read(file: str) -> list[Row]:
    """The rows of a csv, or of a JSON file that is a list of them."""
    if file.endswith(".json"):
        rows = json.loads((ROOT / file).read_text(encoding="utf-8"))
        return [{name: str(value) for name, value in row.items()} for row in rows]
    with open(ROOT / file, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def by_recipe(*names: str) -> dict[str, Row]:
    """Rows by the recipe's name; the first file that has it."""
    found: dict[str, Row] = {}
    for name in names:
        for row in read(name):
            found.setdefault(row["recipe"], row)
    return found


def figure(row: Row | None, name: str, factor: float = 100, digits: int = 1) -> str:
    """As mean ± deviation, or the figure of a single seed; empty where there is none."""
    if row is None or not row[name]:
        return ""
    deviation = row.get(f"{name}_std")
    spread = f" ± {factor * float(deviation):.{digits}f}" if deviation else ""
    return f"{factor * float(row[name]):.{digits}f}{spread}"


def auc(row: Row | None, name: str = "weights_auc") -> str:
    """The mean AUC of the weights, or another one."""
    return f"{float(row[name]):.3f}" if row and row[name] else ""


def spread_of(values: Sequence[float], digits: int = 1) -> str:
    """Mean and standard deviation of some values."""
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"
