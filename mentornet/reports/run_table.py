"""The table of mentornet.reports.report: one row a run, one more for runs that differ by their seed alone."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from mentornet.runs.run_data import RunData

_DESCRIPTION = ("dataset", "noise", "method", "curriculum", "student")
_NOT_TOLD = {
    *("dataset_name", "noise_type", "noise_fraction", "method", "curriculum", "studentnet", "seed", "noise_seed"),
    *("data_dir", "train_log_dir", "show_progress", "noshow_progress"),
}
"""Flags that other columns tell, or that differ between runs of one setting."""
_TEXT_COLUMNS = ("run", *_DESCRIPTION, "settings", "judged by")
# (heading, fact, digits behind the point); {} is what the run is judged by, accuracy or Dice
_FIGURES = (
    ("last", "{}_last", 3),
    ("best", "{}_best", 3),
    ("mean last 10", "{}_mean_last_10", 3),
    ("early stopped", "accuracy_early_stopped", 3),
    ("AUC", "weights_auc", 3),
    ("T error", "transition_l1_error", 3),
    ("utilisation", "data_utilisation", 3),
    ("steps/s", "steps_per_second", 1),
)
_OPTIONAL = ("settings", "judged by", "early stopped", "T error")
"""Columns that are left out when no run has something to say there."""

Row = dict[str, str]
"""Heading -> text."""


def group_by_seed(runs: Iterable[RunData]) -> list[list[RunData]]:
    """Puts together the runs whose settings are equal except for the seed, in the order of their first members."""
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        groups.setdefault(repr(sorted(_settings(run).items())), []).append(run)
    return list(groups.values())


def apart(runs: Sequence[RunData]) -> list[str]:
    """The flags that set a run apart from others of its data, noise, method, curriculum, student: "name=value, ..."."""
    found = []
    for run in runs:
        alike = [_told(other) for other in runs if _description(other) == _description(run)]
        own = _told(run)
        names = [name for name in own if any(other.get(name) != own[name] for other in alike)]
        found.append(", ".join(f"{name}={own[name]}" if own[name] else name for name in names))
    return found


def table(runs: Sequence[RunData], names: Sequence[str]) -> list[Row]:
    """One row a run, then one a group of several seeds; accuracies are on clean test labels.

    An unfinished run is marked and shows the steps done and planned. A group's figures are means over its finished
    runs, its accuracies with ± the sample standard deviation. All rows have the same columns.
    """
    rows = []
    settings = dict(zip(map(id, runs), apart(runs), strict=True))
    for run, name in zip(runs, names, strict=True):
        seed, steps, planned = run.fact("seed"), f"{run.fact('steps'):,}", run.fact("max_steps")
        if not run.finished:
            name += " (unfinished)"
            steps += f"/{int(planned):,}" if planned else ""
        rows.append(_row(name, [run], settings[id(run)], "-" if seed is None else str(seed), steps))
    for group in group_by_seed(runs):
        finished = [run for run in group if run.finished]
        if len(finished) > 1:
            steps = f"{finished[0].fact('steps'):,}"
            rows.append(_row(f"mean of {len(finished)}", finished, settings[id(finished[0])], "all", steps))
    empty = [heading for heading in _OPTIONAL if all(row[heading] in ("", "-") for row in rows)]
    return [{heading: text for heading, text in row.items() if heading not in empty} for row in rows]


def _row(name: str, runs: Sequence[RunData], settings: str, seed: str, steps: str) -> Row:
    described = dict(zip(_DESCRIPTION, _description(runs[0]), strict=True))
    figures = {
        heading: _figure([_fact(run, fact) for run in runs], digits, spread="accuracy" in fact or "{}" in fact)
        for heading, fact, digits in _FIGURES
    }
    judged = "given labels" if runs[0].judged_by_given else "Dice" if runs[0].has_masks else ""
    return {
        "run": name,
        **described,
        "settings": settings,
        "judged by": judged,
        "seed": seed,
        "steps": steps,
        **figures,
    }


def _fact(run: RunData, fact: str) -> Any:
    """A figure of a run; equal weights separate nothing, so that their AUC of 0.5 is no result."""
    return None if fact == "weights_auc" and run.weights_alike else run.fact(fact.format(run.goes_by[1]))


def as_text(rows: Sequence[Row]) -> str:
    """The table in aligned columns, two blanks apart."""
    headings = list(rows[0])
    widths = {heading: max(len(heading), *(len(row[heading]) for row in rows)) for heading in headings}
    rule = {heading: "-" * width for heading, width in widths.items()}
    return "\n".join(
        "  ".join(
            line[heading].ljust(width) if heading in _TEXT_COLUMNS else line[heading].rjust(width)
            for heading, width in widths.items()
        ).rstrip()
        for line in (dict(zip(headings, headings, strict=True)), rule, *rows)
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    headings = list(rows[0])
    rule = [":--" if heading in _TEXT_COLUMNS else "--:" for heading in headings]
    lines = [headings, rule, *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _told(run: RunData) -> dict[str, str]:
    """The flags of a run that may set it apart."""
    told = {name: value for name, value in run.flags.items() if name not in _NOT_TOLD}
    return told | ({"baseline_run": _without_seed(told["baseline_run"])} if told.get("baseline_run") else {})


def _settings(run: RunData) -> dict[str, Any]:
    """What has to be equal in runs of several seeds; the noise has the run's seed unless it was given one."""
    seed = run.identity.get("seed")
    settings = {name: value for name, value in run.identity.items() if name != "seed"}
    if settings.get("baseline_run"):
        settings["baseline_run"] = _without_seed(settings["baseline_run"])
    if settings.get("noise_seed") == seed:
        del settings["noise_seed"]
    return settings


def _without_seed(folder: str) -> str:
    """The name of a first run; those of several seeds have one of their own each, called ..._seed0 and so on."""
    return re.sub(r"_seed\d+$", "", PurePath(folder).name)


def _description(run: RunData) -> list[str]:
    facts = (run.fact("dataset"), run.noise, run.fact("method"), run.curriculum, run.fact("studentnet"))
    return [str(fact) if fact is not None else "-" for fact in facts]


def _figure(values: Sequence[Any], digits: int, spread: bool = False) -> str:
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return "-"
    mean = f"{statistics.fmean(known):.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if spread and len(known) > 1 else mean
