"""The papers' numbers in docs/papers: every one as typed a second time, and as the recipes' heads expect."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from scripts import tables
from scripts.tables import recipe_files
from tests.papers_second_typing import TYPED

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "docs" / "papers").glob("*.csv"))
UNITS = {"fraction", "%", "millions", "mean squared error", "voxels"}


def rows() -> list[tuple[str, dict[str, str]]]:
    return [(file.stem, row) for file in FILES for row in csv.DictReader(file.open(encoding="utf-8", newline=""))]


def number(text: str, exponent: str = "") -> float:
    return float(text + exponent)


def second() -> dict[tuple[str, ...], tuple[float, float | None]]:
    """(csv, table, row, column) -> value and spread of the second typing."""
    found: dict[tuple[str, ...], tuple[float, float | None]] = {}
    for (paper, table), (names, columns) in TYPED.items():
        for column, text in columns.items():
            for row, figure in zip(names.split(), text.split(), strict=True):
                if figure == "-":
                    continue
                mantissa, _, power = figure.partition("e")
                value, _, spread = mantissa.partition("~")
                scale = f"e{power}" if power else ""
                found[paper, table, row, column] = (
                    number(value, scale),
                    number(spread, scale) if spread else None,
                )
    return found


def test_both_typings_have_the_same_numbers():
    first = {
        (paper, row["table"], row["row"], row["column"]): (
            float(row["value"]),
            float(row["spread"]) if row["spread"] else None,
        )
        for paper, row in rows()
    }
    assert len(first) == len(rows())  # nothing twice
    expected = second()
    assert first.keys() == expected.keys()
    for place, (value, spread) in expected.items():
        assert first[place] == (pytest.approx(value, rel=1e-9), spread and pytest.approx(spread, rel=1e-9)), place
    assert {row["unit"] for _, row in rows()} == UNITS


def test_every_printed_table_is_in_the_list():
    made_otherwise = {("icml", "appendix D table 1"): "icml_appendix_d", ("v1", "table 1"): "v1_table1"}
    known = tables.tables()
    assert all(known[name].own_command for name in made_otherwise.values())
    listed = {(table.paper, table.printed) for table in known.values()} | made_otherwise.keys()
    assert {(paper, row["table"]) for paper, row in rows()} <= listed


def test_every_full_scale_cell_of_a_table_with_numbers_has_one_and_its_recipe_expects_it():
    printed = {
        (paper, row["table"], row["row"], row["column"]): float(row["value"])
        for paper, row in rows()
        if row["unit"] in ("fraction", "%")
    }
    compared = 0
    for table in tables.tables().values():
        if not table.paper or table.apart:
            continue
        for cell in tables.cells(table.name):
            if cell.scale == "cpu":
                continue
            place = (table.paper, table.printed, cell.row, cell.column)
            text = (recipe_files.ROOT / cell.recipe).read_text(encoding="utf-8")
            stated = re.search(r"^# expected[^:]*: *(.*)$", text, re.MULTILINE)[1]
            numbers = [float(found) for found in re.findall(r"\d*\.\d+", stated)]
            assert (place in printed) == bool(numbers), (cell.name, stated)
            assert not numbers or printed[place] in numbers, (cell.name, printed[place], stated)
            compared += bool(numbers)
    assert compared > 200
