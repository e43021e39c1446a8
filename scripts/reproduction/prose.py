"""Numbers in sentences of the documents, each compared with the csv it comes from.

A comment behind a paragraph names the file and says where every number of the paragraph stands:

    At 20% noise MentorNet PD ends almost six points above plain training, at 60.6%.
    <!-- numbers from docs/results/x.csv: six = pd accuracy_last - plain accuracy_last; 60.6 = pd accuracy_last -->

A place is a row and a column. A row is what stands in the first column of the file, or conditions as in
``method=standard,seed!=0,step>100``; a number of rows give their mean. Places, and plain numbers, may be added,
subtracted and divided. A column that ends with ``*100`` is multiplied; one in brackets behind a function,
``max(...)``, ``min(...)``, ``sum(...)``, ``std(...)`` or ``count(...)``, gives that of the rows. A place in another
file than the comment's has the file before it, with a colon; files may be JSON, too, a list of rows. Numbers are
compared with as many digits as they have in the text, words as whole numbers; with ``~`` in place of ``=`` the last
zeros of 29,000 are no digits.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import re
import statistics
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from scripts.tables.recipe_files import ROOT

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "max": max,
    "min": min,
    "std": statistics.stdev,
    "count": len,
    "sum": math.fsum,
}
_COMMENT = re.compile(r"<!-- numbers from (?P<file>[^\s:]+):\s+(?P<places>.*?)\s*-->", re.DOTALL)
_FILE = re.compile(r"(\S+\.(?:csv|json)):(.*)", re.DOTALL)
_NO_PROSE = re.compile(r"^```.*?^```|<!-- table .*?<!-- end of table -->", re.MULTILINE | re.DOTALL)
_NO_NUMBERS = re.compile(r"`[^`]*`|\]\([^)]*\)|v?\d+(?:\.\d+){2,}")  # code, addresses, versions
_DECIMAL = re.compile(r"(?<![\w.,/-])(?:\d[\d,]*)?\.\d+(?:e-?\d+)?(?!\w|\.\d)")
_COLUMN = re.compile(r"(?:(?P<function>\w+)\((?P<inside>\w+)\)|(?P<plain>\w+))(?P<factor>\*100)?")


def problems(text: str) -> list[str]:
    """What is wrong with the marked numbers of a document, a sentence each."""
    found = []
    for comment in _COMMENT.finditer(text):
        paragraph = _COMMENT.sub("", text[: comment.start()].rpartition("\n\n")[2])
        for entry in filter(None, map(str.strip, " ".join(comment["places"].split()).split(";"))):
            shown, sign, place = (*re.split(" ([=~]) ", entry, maxsplit=1), "", "")[:3]
            try:
                value = at(comment["file"], place)
            except (ValueError, OSError) as error:
                found.append(f"{entry}: {error}")
                continue
            if not re.search(rf"(?<![\w.]){re.escape(shown)}(?![\w]|\.\d)", paragraph):
                found.append(f"{shown} is not in the paragraph before its comment ({place})")
            elif not agrees(shown, value, rounded=sign == "~"):
                found.append(f"{shown} is {value:.6g} in {comment['file']} ({place})")
    return found


def count(text: str) -> int:
    """How many numbers of a document are marked."""
    return sum(len([e for e in comment["places"].split(";") if e.strip()]) for comment in _COMMENT.finditer(text))


def unmarked(text: str) -> list[str]:
    """Decimal numbers of a document that no comment marks, in paragraphs and in tables that no command writes."""
    found = []
    for paragraph in re.split(r"\n\n+", _NO_PROSE.sub("\n\n", text)):
        places = ";".join(comment["places"] for comment in _COMMENT.finditer(paragraph)).split(";")
        marked = {place.split(maxsplit=1)[0] for place in places if place.strip()}
        plain = _NO_NUMBERS.sub(" ", _COMMENT.sub("", paragraph))
        found += [number for number in _DECIMAL.findall(plain) if number not in marked]
    return found


def agrees(shown: str, value: float, rounded: bool = False) -> bool:
    """Whether a number as it is written is that value, with the digits that it has; ``rounded``: without last zeros."""
    if shown in WORDS:
        return WORDS.index(shown) == round(abs(value))
    written = Decimal(shown.replace(",", ""))
    digits = -int((written.normalize() if rounded else written).as_tuple().exponent)
    return abs(float(written) - value) <= 0.5 * 10.0**-digits + 1e-9


def at(file: str, places: str) -> float:
    """The value of places in a csv, see above.

    Raises:
        ValueError: no such row or column, or no number there.
    """
    total, sign = 0.0, 1.0
    for part in re.split(r" ([+-]) ", places):
        if part in "+-":
            sign = 1.0 if part == "+" else -1.0
            continue
        over, *under = (_place(file, place.strip()) for place in part.split(" / "))
        total += sign * over / math.prod(under)
    return total


def _place(file: str, place: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", place):
        return float(place)
    named = _FILE.fullmatch(place)
    row, _, column = (named[2] if named else place).rpartition(" ")
    return _figure(named[1] if named else file, row, column)


def _figure(file: str, row: str, column: str) -> float:
    read = _COLUMN.fullmatch(column)
    if read is None or (read["function"] or "max") not in FUNCTIONS:
        raise ValueError(f"no column can be {column!r}")
    name = read["inside"] or read["plain"]
    chosen = [found for found in _rows(ROOT / file) if _matches(found, row)]
    if not chosen or name not in chosen[0]:
        raise ValueError(f"{file} has no {'column ' + name if chosen else 'row ' + row}")
    values = [float(found[name]) for found in chosen if found[name]]
    if not values:
        raise ValueError(f"{file} has no number in {name} of {row}")
    value = FUNCTIONS[read["function"]](values) if read["function"] else statistics.fmean(values)
    return float(value) * (100.0 if read["factor"] else 1.0)


def _matches(found: dict[str, str], row: str) -> bool:
    if not re.search("[=<>]", row):
        return next(iter(found.values())) == row
    return all(_holds(found, condition) for condition in re.split(r",(?=\w+(?:!=|[=<>]))", row))


def _holds(found: dict[str, str], condition: str) -> bool:
    name, sign, value = re.split("(!=|=|<|>)", condition, maxsplit=1)
    if name not in found:
        raise ValueError(f"there is no column {name}")
    if sign in "<>":
        return bool(found[name]) and (float(found[name]) < float(value)) == (sign == "<") and found[name] != value
    return (found[name] == value) == (sign == "=")


@functools.cache
def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        if path.suffix == ".json":
            rows = json.load(stream)
            names = {name: "" for row in rows for name in row}
            return [names | {name: str(value) for name, value in row.items()} for row in rows]
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))
