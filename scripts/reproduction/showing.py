"""What people see of tables: the list of all, the plan of one, and a table with the paper's numbers beside ours."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mentornet import files
from scripts import csv_table, tables
from scripts.reproduction import planning, results
from scripts.reproduction.jobs import Job
from scripts.reproduction.planning import StepTimes
from scripts.reproduction.runner import duration
from scripts.tables.declarations import SCALES, Cell, Table

COLUMNS = ("table", "row", "column", "scale", "recipe", "paper", "paper_spread", "ours", "deviation", "seeds",
           "difference", "date", "commit", "processor", "source", "setting", "changed", "remark")  # fmt: skip


def listing(known: Iterable[Table]) -> str:
    """All tables: cells, stated cost and how many cells docs/results has, at both scales."""
    known, lines = list(known), list[tuple[str, ...]]()
    for table in known:
        texts = [table.name, table.title]
        if table.apart:
            made = ("its own command:", table.own_command) if table.own_command else ("none:", table.remark)
            lines.append((*texts, *made))
            continue
        found = tables.cells(table.name)
        lines.append((*texts, *(_of_scale(table, [cell for cell in found if cell.scale == scale]) for scale in SCALES)))
    head: tuple[str, ...] = ("table", "", "CPU scale", "full scale")
    widths = [max(len(line[k]) for line in (head, *lines)) for k in range(3)]
    rows = ["  ".join([*(line[k].ljust(widths[k]) for k in range(3)), line[3]]).rstrip() for line in (head, *lines)]
    remarks = [f"{table.name}: {table.remark}." for table in known if table.remark and not table.apart]
    return "\n".join(
        [
            *rows,
            "",
            "Cells; hours as the heads of the recipes state them; cells whose results are in docs/results.",
            *remarks,
            "",
        ]
    )


def _of_scale(table: Table, cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    hours = planning.total(planning.stated_hours(cell) for cell in cells if cell.recipe is not None)
    done = sum(results.record_of(table, cell) is not None for cell in cells)
    texts = [f"{len(cells)} cell{'s' if len(cells) > 1 else ''}", *([duration(3600 * hours)] if hours else [])]
    return ", ".join([*texts, *([f"{done} run"] if done else [])])


def plan(table: str, jobs: Sequence[Job], output: Path, measure: bool) -> str:
    """Cells, steps, hours by a measured step, room on the disk; what is finished counts no more."""
    times = StepTimes(output / planning.CACHE)
    if measure and jobs:
        times.measure([job.cell for job in jobs], jobs[0].data)
    head: tuple[str, ...] = ("cell", "steps", "a step", "time", "disk", "")
    lines: list[tuple[str, ...]] = []
    for job in jobs:
        known = times.of(job.cell) or {}
        seconds, room = times.seconds(job.cell, job.counted), times.room(job.cell, job.counted)
        stated = planning.stated_hours(job.cell)
        lines.append(
            (
                job.name,
                f"{planning.steps(job.cell, job.counted):,}",
                f"{known['seconds']:.3g} s" if "seconds" in known else "?",
                duration(seconds) if seconds is not None else "?" if stated is None else f"({duration(3600 * stated)})",
                _bytes(room),
                "finished" if job.finished else "started" if job.started else "",
            )
        )
    widths = [max(len(line[k]) for line in (head, *lines)) for k in range(5)]
    rows = [
        "  ".join([line[0].ljust(widths[0]), *(line[k].rjust(widths[k]) for k in range(1, 5)), line[5]]).rstrip()
        for line in (head, *lines)
    ]
    left = [job for job in jobs if not job.finished]
    costs = [times.seconds(job.cell, job.counted) for job in left]
    known_seconds = [value for value in costs if value is not None]
    space = sum(times.room(job.cell, job.counted) or 0.0 for job in left)
    unknown = [job.cell for job, value in zip(left, costs, strict=True) if value is None]
    cost = f"about {duration(sum(known_seconds))} on this machine, one at a time, and {_bytes(space)}"
    summary = (
        f"{table}: {len(jobs)} trainings, {len(jobs) - len(left)} finished; left: "
        f"{sum(planning.steps(job.cell, job.counted) for job in left):,} steps"
        + (f", {cost}" if known_seconds or not left else "")
        + (f"; the time of {len(unknown)} is not known ({_why_unknown(unknown, times)})" if unknown else "")
    )
    stated_hours = [planning.stated_hours(cell) for cell in unknown]
    if any(stated_hours):
        summary += f"; their heads state about {duration(3600 * sum(filter(None, stated_hours)))}"
    notes = "Times are those of training steps alone, without evaluations; a plan of a busy machine is too long. " + (
        "(In brackets: what the recipe's head states, on the hardware that it names, for its declared length.)"
        if any(stated_hours)
        else ""
    )
    return "\n".join([*rows, "", summary, notes.strip(), ""])


def _why_unknown(cells: Sequence[Cell], times: StepTimes) -> str:
    """Why cells have no measured step, each reason with how many it is of."""
    found: dict[str, int] = {}
    for cell in cells:
        problem = (times.of(cell) or {}).get("problem")
        if cell.recipe is None:
            reason = f"made by {cell.script}, whose stages are not measured"
        elif problem is not None:
            reason = f"could not be measured: {problem}"
        else:
            reason = "not measured yet, without --no_measure they are"
        found[reason] = found.get(reason, 0) + 1
    return "; ".join(f"{count} {reason}" for reason, count in found.items())


def _bytes(count: float | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def rows_of(table: Table, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """A row a cell: the paper's number, ours, and where ours comes from; empty where there is none."""
    found = []
    for same in by_cell(jobs):
        cell = same[0].cell
        paper = results.of_paper(table, cell)
        ours, _ = results.ours_of(table, cell, same)
        row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
        row |= {"table": table.name, "row": cell.row, "column": cell.column, "scale": cell.scale, "recipe": cell.stem}
        if paper is not None:
            row |= {"paper": _rounded(paper.value), "paper_spread": _rounded(paper.spread), "remark": paper.remark}
        if ours is not None:
            row |= {
                "ours": _rounded(ours.mean), "deviation": _rounded(ours.deviation), "seeds": ours.seeds,
                "date": ours.date, "commit": ours.commit, "processor": ours.processor,
                "source": ours.source or "runs", "changed": ours.changed,
                "setting": ours.changed or (table.setting if cell.scale == "cpu" else ""),
            }  # fmt: skip
        if paper is not None and ours is not None:
            row["difference"] = _rounded(ours.mean - paper.value)
        found.append(row)
    return found


def _rounded(value: float | None) -> Any:
    return "" if value is None else round(value, 3)


def markdown(table: Table, rows: Sequence[dict[str, Any]], left_out: Sequence[Job] = ()) -> str:
    """The rows for a document; below them which finished runs are left out, as they were made otherwise."""
    head = ["row", "column", "the paper", "ours", "seeds", "difference", "date", "commit or file"]
    lines = [f"## {table.title}", "", f"| {' | '.join(head)} |", "| --- | --- |" + " ---: |" * 4 + " --- | --- |"]
    for row in rows:
        paper = _shown(row["paper"], row["paper_spread"])
        difference = "" if row["difference"] == "" else f"{row['difference']:+.1f}"
        source = row["commit"] or (row["source"] if row["source"] != "runs" else "")
        ours = _shown(row["ours"], row["deviation"]) + (f" ({row['changed']})" if row["changed"] else "")
        cells = [row["row"], row["column"], paper, ours, str(row["seeds"])]
        lines.append(re.sub(r"\|  (?=\|)", "| ", f"| {' | '.join([*cells, difference, row['date'], source])} |"))
    facts = ["", f"Figures in %: {table.figure}; ours: mean ± standard deviation over seeds."]
    settings = sorted({row["setting"] for row in rows} - {""})
    processors = sorted({row["processor"] for row in rows} - {""})
    facts += [f"Setting of ours: {'; '.join(settings)}."] if settings else []
    facts += [f"Processor: {'; '.join(processors)}."] if processors else []
    facts += [f"Left out: {job.name} ({results.otherwise(job)})." for job in left_out]
    return "\n".join([*lines, *facts, ""])


def _shown(value: Any, spread: Any) -> str:
    return "" if value == "" else f"{value:.1f}" + ("" if spread == "" else f" ± {spread:.1f}")


def show(table_name: str, jobs: Sequence[Job], output: Path, more_csv: Path | None = None) -> None:
    """Prints the Markdown, and writes it beside the runs with a csv and a picture."""
    table = results.table_of(table_name)
    if more_csv is not None and not more_csv.absolute().parent.is_dir():
        raise ValueError(f"--csv={more_csv}: there is no folder {more_csv.absolute().parent}, make it first")
    rows = rows_of(table, jobs)
    stem = output / f"{table_name}_{jobs[0].cell.scale}"
    with files.explained(output):
        output.mkdir(parents=True, exist_ok=True)
    left_out = [job for same in by_cell(jobs) for job in results.ours_of(table, same[0].cell, same)[1]]
    text = markdown(table, rows, left_out)
    files.write_text(stem.with_suffix(".md"), text)
    csv_table.write(stem.with_suffix(".csv"), rows, COLUMNS)
    if more_csv is not None:
        record(jobs, more_csv)
    draw(table, rows, stem.with_suffix(".png"))
    print(text)
    print(f"written: {stem}.md, .csv and .png" + (f", {more_csv}" if more_csv else ""))


def by_cell(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs of each cell, which differ in the seed."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.cell.name, []).append(job)
    return list(found.values())


def record(jobs: Sequence[Job], path: Path) -> None:
    """Writes the figures of the finished runs, a row a cell, as docs/results keeps them.

    Rows of other cells that the file has stay, and so do those of more seeds, or of runs as declared where these are
    not.

    Raises:
        ValueError: none is finished.
    """
    new = {row["recipe"]: row for row in map(results.figures_of_runs, by_cell(jobs)) if row is not None}
    if not new:
        raise ValueError(f"no run of these cells is finished: {path} is not written")
    kept: dict[str, dict[str, Any]] = {}
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as stream:
            kept = {row["recipe"]: dict(row) for row in csv.DictReader(stream) if row.get("recipe")}
    for name, row in new.items():
        old = kept.get(name)
        if old is None or (int(old["seeds"]) <= row["seeds"] and bool(row.get("changed")) <= bool(old.get("changed"))):
            kept[name] = row
    rows = list(kept.values())
    columns = dict.fromkeys(name for row in rows for name in row)  # "changed" only if a run was made otherwise
    csv_table.write(path, rows, list(columns))


def draw(table: Table, rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A line a cell: the paper's number hollow, ours filled with its deviation."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [row for row in rows if row["paper"] != "" or row["ours"] != ""]
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.26 * max(1, len(shown))), layout="constrained")
    for place, row in enumerate(shown):
        if row["paper"] != "":
            axes.errorbar(row["paper"], place, xerr=row["paper_spread"] or None, fmt="D", mfc="none", color="tab:gray")
        if row["ours"] != "":
            color = "tab:orange" if row["changed"] else "tab:blue"
            axes.errorbar(row["ours"], place, xerr=row["deviation"] or None, fmt="o", color=color, capsize=2)
            axes.annotate(row["changed"], (row["ours"], place), (6, 4), textcoords="offset points", fontsize=6)
    axes.set_yticks(range(len(shown)), [f"{row['row']}, {row['column']}".rstrip(", ") for row in shown], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(f"{table.figure.replace('_', ' ')} in %; hollow: the paper, filled: ours")
    axes.set_title(table.title, fontsize=10)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
