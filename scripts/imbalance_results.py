"""Rows, summary and figure of scripts/imbalance_experiment.py."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    *("method", "ratio", "run", "seed", "steps", "examples", "precision"),
    *("error", "error_rare", "error_common", "seconds"),
)


def key(cell: Mapping[str, Any]) -> tuple[str, float, int, int, int, str]:
    """What tells cells apart: method, ratio, run; and what a figure needs to have in common."""
    return (
        *(cell["method"], float(cell["ratio"]), int(cell["run"])),
        *(int(cell["steps"]), int(cell["examples"]), cell["precision"]),
    )


def short(ratio: float) -> str:
    """9.0 -> "9", and all digits of a ratio that needs them."""
    return f"{ratio:g}" if float(f"{ratio:g}") == ratio else repr(ratio)


def read_rows(file: Path) -> list[dict[str, str]]:
    """The finished cells; a line that was cut off by a kill is left out, and taken out of the file.

    Raises:
        ValueError: another kind of csv, or a line of other values.
    """
    if not file.exists():
        return []
    content = file.read_bytes()
    lines = content[: content.rfind(b"\n") + 1]
    if lines != content:
        file.write_bytes(lines)
    whole = lines.decode("utf-8", errors="replace")
    reader = csv.DictReader(whole.splitlines())
    if whole and tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{file} does not have the columns {','.join(COLUMNS)}: use another --output_dir")
    rows = []
    for row in reader:
        try:
            key(row)
            complete = None not in row and None not in row.values() and 0 <= float(row["error"]) <= 1
        except (TypeError, ValueError):
            complete = False
        if not complete:
            raise ValueError(
                f"{file} is damaged in line {reader.line_num}: take that line out, and its cell is trained again"
            )
        rows.append(row)
    return rows


def append_row(file: Path, row: dict[str, Any]) -> None:
    """Adds a line, and the heading to an empty file."""
    head = "" if file.exists() and file.stat().st_size else ",".join(COLUMNS) + "\n"
    with file.open("a", encoding="utf-8") as stream:
        stream.write(head + ",".join(str(row[name]) for name in COLUMNS) + "\n")


def write_summary(folder: Path, wanted: Collection[tuple[Any, ...]]) -> str:
    """Writes imbalance.md and imbalance.png for the finished cells of imbalance.csv; returns the table.

    Args:
        folder: where they are.
        wanted: the ``key`` of the cells to take.
    """
    rows = list({key(row): row for row in read_rows(folder / "imbalance.csv") if key(row) in wanted}.values())
    draw_figure(rows, folder / "imbalance.png")
    (folder / "imbalance.md").write_text(table(rows), encoding="utf-8")
    return table(rows)


def summary(rows: Sequence[dict[str, str]]) -> dict[str, list[tuple[float, float, float, int]]]:
    """Mean and standard deviation of the error: method -> [(ratio, mean, deviation, runs)], ratios ascending."""
    grouped: dict[tuple[str, float], list[float]] = {}
    for row in rows:
        grouped.setdefault((row["method"], float(row["ratio"])), []).append(float(row["error"]))
    found: dict[str, list[tuple[float, float, float, int]]] = {}
    for (name, ratio), errors in sorted(grouped.items()):
        deviation = float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0
        found.setdefault(name, []).append((ratio, float(np.mean(errors)), deviation, len(errors)))
    return found


def table(rows: Sequence[dict[str, str]]) -> str:
    """Markdown: test errors in %, mean ± deviation over runs; below it, how many runs that is, in which precision."""
    found = summary(rows)
    ratios = sorted({point[0] for points in found.values() for point in points})
    lines = [f"| test error in % | {' | '.join(f'{short(ratio)}:1' for ratio in ratios)} |"]
    lines.append("| --- |" + " ---: |" * len(ratios))
    for name, points in found.items():
        cells = {
            ratio: f"{100 * mean:.1f}" + (f" ± {100 * deviation:.1f}" if runs > 1 else "")
            for ratio, mean, deviation, runs in points
        }
        lines.append(f"| {name} | {' | '.join(cells.get(ratio, '') for ratio in ratios)} |")
    least, most = _least_and_most_runs(found)
    return "\n".join([*lines, "", f"Runs of each cell, in {_precision(rows)}: {_range(least, most)}.", ""])


def _precision(rows: Sequence[dict[str, str]]) -> str:
    return " and ".join(sorted({row["precision"] for row in rows}))


def _least_and_most_runs(found: Mapping[str, Sequence[tuple[float, float, float, int]]]) -> tuple[int, int]:
    counts = [runs for points in found.values() for _, _, _, runs in points]
    return min(counts), max(counts)


def _range(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} to {most}"


def draw_figure(rows: Sequence[dict[str, str]], file: Path) -> None:
    """Error against ratio, with the deviation over runs and the paper's claim for L2RW."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    found = summary(rows)
    beside = 1.03 ** (np.arange(len(found)) - (len(found) - 1) / 2)  # or the bars hide each other
    for (name, points), marker, shift in zip(found.items(), itertools.cycle("osD^vX"), beside):
        ratio, mean, deviation, counts = np.array(points).T
        spread = np.where(counts > 1, 100 * deviation, np.nan)  # one run tells nothing of it
        axes.errorbar(shift * ratio, 100 * mean, spread, marker=marker, ms=5, alpha=0.8, capsize=3, label=name)
    if "l2rw" in found:
        first, start = found["l2rw"][0][:2]
        axes.axhline(
            100 * start + 2,
            color="grey",
            linestyle=":",
            label=f"2 points above L2RW at {first:g}:1: the paper's claim for 200:1",
        )
    least, most = _least_and_most_runs(found)
    runs = "1 run" if most == 1 else f"mean and deviation of {_range(least, most)} runs"
    steps = " and ".join(f"{count:,}" for count in sorted({int(row["steps"]) for row in rows}))
    axes.set_title(f"{steps} steps in {_precision(rows)}, {runs}", fontsize="medium")
    axes.set(xscale="log", xlabel="nines to one four among the MNIST images trained on", ylabel="test error (%)")
    ticks = sorted({point[0] for points in found.values() for point in points})
    axes.set_xticks(ticks, [f"{tick:g}:1" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
