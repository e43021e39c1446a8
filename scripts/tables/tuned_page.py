"""The tables of docs/all_methods.md: every method tuned alike, of docs/results/cpu_tuned.csv and the declared cells."""

from __future__ import annotations

from scripts.tables.cpu_tuned import FIRST, METHODS, NOISES, NOTHING
from scripts.tables.document_table import DocumentTable, Row, by_recipe, figure

CSV = "docs/results/cpu_tuned.csv"
_NAMES = {FIRST: "`plain`, not tuned", **{name: f"`{name}`" for name in METHODS}}


def _found() -> dict[str, Row]:
    return by_recipe(CSV)


def _accuracies() -> list[list[str]]:
    found = _found()
    rows = []
    for name, shown in _NAMES.items():
        cells = [shown, METHODS[name].knows if name in METHODS else NOTHING]
        for noise in NOISES:
            row = found.get(f"{noise}_{name}")
            cells += [figure(row, "accuracy_last"), figure(row, "accuracy_best")]
        rows.append(cells)
    return rows


def _tuning() -> list[list[str]]:
    """Of the cells that have been run, noise by noise."""
    found = _found()
    rows = []
    for noise in NOISES:
        for name, shown in _NAMES.items():
            row = found.get(f"{noise}_{name}")
            if row is not None:
                minutes = f"{float(row['tuning_minutes'] or 0):.1f} + {float(row['minutes'] or 0):.1f}"
                chosen = row["chosen"].partition("=")[2]
                last = figure(row, "accuracy_mean_last_10")
                rows.append([shown, noise, _tried(row["tried"]), chosen, row["seeds"], last, minutes])
    return rows


def _tried(text: str) -> str:
    """As "`a`: 1 (30.5), 2 (33.2)" what the csv has as "a=1: 0.305; a=2: 0.332"."""
    if not text:
        return ""
    parts = [part.rpartition(": ") for part in text.split("; ")]
    shown = [f"{setting.partition('=')[2]} ({100 * float(score):.1f})" for setting, _, score in parts]
    return f"`{text.partition('=')[0]}`: {', '.join(shown)}"


def _missing() -> list[list[str]]:
    found = _found()
    rows = []
    for noise, (title, _) in NOISES.items():
        run = [name for name in _NAMES if f"{noise}_{name}" in found]
        left = [shown for name, shown in _NAMES.items() if name not in run]
        which = ", ".join(left) if len(left) < len(_NAMES) else "all"
        rows.append([title, f"{len(run)} of {len(_NAMES)}", which])
    return rows


TABLES = {
    "cpu_tuned": DocumentTable(
        (CSV, "scripts/tables"),
        ("method", "may know", *(f"{noise}: {what}" for noise in NOISES for what in ("last", "best"))),
        _accuracies,
        left=(1,),
    ),
    "cpu_tuned_tried": DocumentTable(
        (CSV,),
        ("method", "noise", "tried (accuracy on the hold-out)", "chosen", "seeds", "mean of last 10", "minutes"),
        _tuning,
        left=(1, 2, 3),
    ),
    "cpu_tuned_missing": DocumentTable(
        (CSV, "scripts/tables"), ("labels", "cells run", "not run"), _missing, left=(1, 2)
    ),
}
"""By the names in the documents' markers."""
