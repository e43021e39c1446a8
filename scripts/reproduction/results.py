"""Results of cells: of finished runs, and those recorded in docs/results; the papers' numbers in docs/papers."""

from __future__ import annotations

import csv
import dataclasses
import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mentornet import reading
from scripts import tables
from scripts.reproduction import machine, tuning
from scripts.reproduction.jobs import Job
from scripts.tables.declarations import Cell, Table
from scripts.tables.recipe_files import RESULTS, ROOT, SHOWN

FIGURES = ("accuracy_last", "accuracy_best", "accuracy_mean_last_10", "accuracy_early_stopped", "weights_auc",
           "suspects_auc", "data_utilisation", "steps_per_second")  # fmt: skip
PAPERS = ROOT / "docs" / "papers"


@dataclass(frozen=True)
class Ours:
    """What came out of a cell, in % where it is an accuracy.

    Attributes:
        values: a figure a seed; empty where a record has the mean alone.
        mean, deviation: over seeds; the deviation is None of a single one.
        seeds: how many.
        source: the csv in docs/results; empty for runs that are here.
        date, commit, processor: of the runs, where known.
        changed: how the runs were made otherwise than the table declares, see ``otherwise``; empty: as declared.
    """

    mean: float
    deviation: float | None
    seeds: int
    source: str = ""
    date: str = ""
    commit: str = ""
    processor: str = ""
    changed: str = ""


@dataclass(frozen=True)
class Printed:
    """A paper's number, in % where it is a fraction or %."""

    value: float
    spread: float | None
    remark: str


@functools.cache
def printed(paper: str) -> dict[tuple[str, str, str], Printed]:
    """(table, row, column) -> number, of a csv in docs/papers; {} for no paper."""
    if not paper:
        return {}
    found = {}
    with open(PAPERS / f"{paper}.csv", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            factor = 100.0 if row["unit"] == "fraction" else 1.0
            spread = factor * float(row["spread"]) if row["spread"] else None
            found[row["table"], row["row"], row["column"]] = Printed(
                factor * float(row["value"]), spread, row["remark"]
            )
    return found


def of_paper(table: Table, cell: Cell) -> Printed | None:
    """What the paper prints in a cell."""
    return printed(table.paper).get((table.printed, cell.row, cell.column))


@functools.cache
def recorded() -> dict[str, tuple[str, dict[str, str]]]:
    """Stem of a recipe -> csv in docs/results and its row there; the first csv of ``SHOWN`` that has it."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    others = sorted(file.name for file in RESULTS.glob("*.csv") if file.name not in SHOWN)
    for name in (*(name for name in SHOWN if (RESULTS / name).is_file()), *others):
        with open(RESULTS / name, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(line for line in stream if not line.startswith("#")):
                if row.get("recipe") and not row.get("changed"):
                    found.setdefault(row["recipe"], (name, row))
    return found


def record_of(table: Table, cell: Cell) -> Ours | None:
    """What docs/results has of a cell; figures of searches are not kept there."""
    name, row = recorded().get(_recorded_name(cell), ("", {}))
    value = row.get(table.figure)
    if not value:
        return None
    deviation = row.get(f"{table.figure}_std")
    return Ours(
        100 * float(value),
        100 * float(deviation) if deviation else None,
        int(row["seeds"]),
        f"docs/results/{name}",
        row.get("date", ""),
        row.get("commit", ""),
        row.get("processor", ""),
    )


def _recorded_name(cell: Cell) -> str:
    if cell.recipe is None:  # scripts/mentornet_dd.py at one share of noise
        return f"cifar10_{cell.name.rpartition('_')[2]}_{cell.row}"
    return cell.stem


_LENGTHS = ("--max_number_of_steps", "--num_epochs", "--warmup_epochs", "--warmup_steps", "--train_examples", "--steps")

_BESIDE = ("--eval_every_steps", "--save_interval_secs", "--show_progress", "--noshow_progress")


def otherwise(job: Job) -> str:
    """How the run of a job was made otherwise than the table declares, in words; empty: as declared."""
    changed = job.changed
    if not changed:
        return ""
    names = {flag.partition("=")[0] for flag in changed}
    shortened = names & {*_LENGTHS} and names <= {*_LENGTHS, *_BESIDE}
    return f"{'shortened' if shortened else 'changed'}: {' '.join(changed)}"


def ours_of(table: Table, cell: Cell, jobs: Sequence[Job]) -> tuple[Ours | None, list[Job]]:
    """What stands in a cell, and the finished runs that don't count: runs made otherwise replace no result.

    Runs as declared come first, then what docs/results has, then runs made otherwise, the first that there are.
    """
    finished = [job for job in jobs if job.runs()]
    kinds: dict[str, list[Job]] = {"": []}
    for job in finished:
        kinds.setdefault(otherwise(job), []).append(job)
    declared = of_runs(table, kinds.pop("")) or record_of(table, cell)
    if declared is not None or not kinds:
        return declared, [job for same in kinds.values() for job in same]
    words, counted = next(iter(kinds.items()))
    ours = of_runs(table, counted)
    left_out = [job for job in finished if otherwise(job) and job not in counted]
    return (None if ours is None else dataclasses.replace(ours, changed=words)), left_out


def of_runs(table: Table, jobs: Sequence[Job]) -> Ours | None:
    """What the finished ones of these jobs, which differ in the seed alone, say; None if there is none."""
    values: list[float] = []
    facts: list[tuple[str, str, str]] = []
    for job, run in [(one, folder) for one in jobs for folder in one.runs()]:
        value: Any = reading.read_json(run / "result.json")
        for part in table.figure.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            values.append(100 * float(value))
            facts.append(facts_of(job, run))
    if not values:
        return None
    deviation = statistics.stdev(values) if len(values) > 1 else None
    dates, commits, processors = (", ".join(sorted({fact[k] for fact in facts} - {""})) for k in range(3))
    return Ours(statistics.fmean(values), deviation, len(values), "", dates, commits, processors)


def facts_of(job: Job, folder: Path) -> tuple[str, str, str]:
    """Day, commit (with + if files were changed) and processor of a run of a job; empty where unknown."""
    run_file, record = folder / "run.json", job.record("json")
    run = reading.read_json(run_file) if run_file.is_file() else {}
    noted = reading.read_json(record) if record.is_file() else {}
    return (*machine.origin(run), noted.get("processor", ""))


def table_of(name: str) -> Table:
    """The declaration."""
    return tables.tables()[name]


def figures_of_runs(jobs: Sequence[Job]) -> dict[str, Any] | None:
    """A row of a csv in docs/results: what the finished ones of these jobs, which differ in the seed alone, say."""
    finished = [job for job in jobs if job.runs()]
    kinds = sorted({otherwise(job) for job in finished})
    if not finished:
        return None
    finished = [job for job in finished if otherwise(job) == kinds[0]]  # as declared, if there are any
    runs = [(job, run) for job in finished for run in job.runs()]
    found = [reading.read_json(run / "result.json") for _, run in runs]
    row: dict[str, Any] = {"recipe": _recorded_name(finished[0].cell)}
    if tuning.told(finished[0].cell):
        row |= tuning.columns(finished[0])
    row["seeds"] = len(found)
    for name in FIGURES:
        values = [float(result[name]) for result in found if result.get(name) is not None]
        row[name] = round(statistics.fmean(values), 5) if values else None
        row[f"{name}_std"] = round(statistics.stdev(values), 5) if len(values) > 1 else None
    seconds = [result["seconds"] for result in found if result.get("seconds")]
    row["minutes"] = round(statistics.fmean(seconds) / 60, 5) if seconds else None
    facts = [facts_of(job, run) for job, run in runs]
    for place, name in enumerate(("date", "commit", "processor")):
        row[name] = " ".join(sorted({fact[place] for fact in facts} - {""}))
    return row | ({"changed": kinds[0]} if kinds[0] else {})
