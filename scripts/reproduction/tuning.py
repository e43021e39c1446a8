"""What a tuned cell of a table has in a csv beside its accuracies: which settings were tried, with which scores."""

from __future__ import annotations

import csv
import re
from typing import Any

from mentornet import reading
from scripts.reproduction.jobs import Job
from scripts.tables.cpu_tuned import KNOWS
from scripts.tables.declarations import Cell
from scripts.tables.recipe_files import ROOT


def columns(job: Job) -> dict[str, Any]:
    """Columns "tried" (as "gamma=1: 0.412; gamma=2: 0.433", by the validation data), "chosen", "may_know"."""
    cell = job.cell
    known: dict[str, Any] = {
        "method": cell.row,
        "noise": cell.column,
        "tried": "",
        "chosen": "",
        "may_know": told(cell),
    }
    if not cell.tuned:
        return known | {"tuning_minutes": None}
    scores: dict[int, str] = {}
    with open(job.folder / "progress.csv", newline="", encoding="utf-8") as stream:
        scores |= {int(row["trial"]): row["score"] for row in csv.DictReader(stream)}
    settings = {number: _shown(reading.read_json(job.folder / "trials" / f"{number:04d}" / "parameters.json"))
                for number in scores}  # fmt: skip
    tried = [
        f"{settings[number]}: {float(scores[number]):.3f}" if scores[number] else f"{settings[number]}: nan"
        for number in sorted(scores, key=lambda number: _order(settings[number]))
    ]
    search = reading.read_json(job.folder / "result.json")
    known |= {"tried": "; ".join(tried), "chosen": _shown(search["parameters"])}
    return known | {"tuning_minutes": round(60 * search["hours"], 3)}


def _order(text: str) -> tuple[float, str]:
    """By the first number in it."""
    found = re.search(r"-?\d+(\.\d+)?", text.partition("=")[2])
    return (float(found[0]) if found else 0.0, text)


def _shown(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def told(cell: Cell) -> str:
    """What the head of a recipe says that its method may know; empty where it says nothing."""
    if cell.recipe is None:
        return ""
    text = (ROOT / cell.recipe).read_text(encoding="utf-8")
    lines = (line.partition(": ") for line in text.splitlines() if line.startswith(f"# {KNOWS}: "))
    return next((what for _, _, what in lines), "")
