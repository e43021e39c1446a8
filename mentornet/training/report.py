"""Redraws the plots of runs from their files and compares the runs in one table and one plot.

    python -m mentornet.training.report RUN [RUN ...] [--output DIR]

Writes report.md and, for several runs, compare.png to the output folder: by default the folder that contains all the
runs, or the run's own. Runs that differ only by their seed are also summed up as mean ± standard deviation. Nothing
here imports TensorFlow, so it takes about a second.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mentornet.training import files, plots
from mentornet.training.run_data import RunData

_MARK = "<!-- written by mentornet.training.report; it replaces this file -->"
_HEADINGS = (
    "run", "dataset", "noise", "method", "curriculum", "student", "seed", "steps",
    "last", "best", "mean last 10", "AUC", "utilisation", "steps/s",
)  # fmt: skip
_OUTPUTS = ("report.md", "compare.png")
_TEXT_COLUMNS = 6  # the first ones are aligned to the left
_FIGURES = (
    ("accuracy_last", 3),
    ("accuracy_best", 3),
    ("accuracy_mean_last_10", 3),
    ("weights_auc", 3),
    ("data_utilisation", 3),
    ("steps_per_second", 1),
)


def group_by_seed(runs: Iterable[RunData]) -> list[list[RunData]]:
    """Puts together the runs whose settings are equal except for the seed, in the order of their first members."""
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        groups.setdefault(repr(sorted(_settings(run).items())), []).append(run)
    return list(groups.values())


def table(runs: Sequence[RunData], names: Sequence[str]) -> list[list[str]]:
    """One row a run under `_HEADINGS`, then one a group of several seeds; accuracies are on clean test labels.

    An unfinished run is marked and shows the steps done and planned. A group's figures are means over its finished
    runs, its accuracies with ± the sample standard deviation.
    """
    rows = []
    for run, name in zip(runs, names, strict=True):
        seed, steps, planned = run.fact("seed"), f"{run.fact('steps'):,}", run.fact("max_steps")
        if not run.finished:
            name += " (unfinished)"
            steps += f"/{int(planned):,}" if planned else ""
        figures = [_figure([run.fact(key)], digits) for key, digits in _FIGURES]
        rows.append([name, *_description(run), "-" if seed is None else str(seed), steps, *figures])
    for group in group_by_seed(runs):
        finished = [run for run in group if run.finished]
        if len(finished) > 1:
            figures = [
                _figure([run.fact(key) for run in finished], digits, spread="accuracy" in key)
                for key, digits in _FIGURES
            ]
            steps = f"{finished[0].fact('steps'):,}"
            rows.append([f"mean of {len(finished)}", *_description(finished[0]), "all", steps, *figures])
    return rows


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """The table in aligned columns, two blanks apart."""
    lines = [list(_HEADINGS), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADINGS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < _TEXT_COLUMNS else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """The table in Markdown."""
    lines = [list(_HEADINGS), [":--"] * _TEXT_COLUMNS + ["--:"] * (len(_HEADINGS) - _TEXT_COLUMNS), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def write_report(paths: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str] | None = None) -> str:
    """Redraws every run's plots, writes report.md and compare.png, and returns the text to print.

    Args:
      paths: run folders; one named twice counts once.
      output: where report.md and compare.png go; by default the folder that contains all the runs.

    Raises:
      RunFolderError: (a ValueError) a path is no run folder, a file in one is damaged, or something cannot be
        written. All runs are read before anything is written.
    """
    unique = dict.fromkeys(Path(path).resolve() for path in paths)
    # "runs/*" also names what an earlier report left next to the runs.
    runs = [RunData.load(path) for path in unique if not (path.name in _OUTPUTS and path.is_file())]
    if not runs:
        raise files.RunFolderError("There is no run folder among the paths given.")
    folder = Path(output) if output is not None else _common_folder(runs)
    report = folder / "report.md"
    if report.exists():
        with files.explained(report, "read"):
            ours = report.read_bytes().startswith(_MARK.encode())
        if not ours:
            raise files.RunFolderError(f"{report} is not a report of this program; give another --output.")
    with files.explained(folder, "create the folder"):
        folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        plots.draw_run(run)

    names = _names(runs)
    rows = table(runs, names)
    compare = folder / "compare.png"
    if len(runs) > 1:
        title, groups = _labelled_groups(runs)
        plots.plot_compare(compare, groups, title)
    files.write_text(report, _markdown(runs, names, rows, folder))
    written = [report, *([compare] if len(runs) > 1 else [])]
    drawn = "accuracy.png, loss.png and weights.png redrawn in " + ("each run folder" if len(runs) > 1 else "it")
    return f"{as_text(rows)}\n\nWritten: {', '.join(map(str, written))}; {drawn}."


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.training.report",
        description="Redraw the plots of runs and compare the runs in one table and one plot.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder (--train_log_dir of a training)")
    parser.add_argument(
        "--output", metavar="DIR", help="where report.md and compare.png go (default: the folder containing the runs)"
    )
    options = parser.parse_args(arguments)
    try:
        print(write_report(options.runs, options.output))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _settings(run: RunData) -> dict[str, Any]:
    """What has to be equal in runs of several seeds; the noise has the run's seed unless it was given one."""
    seed = run.identity.get("seed")
    settings = {name: value for name, value in run.identity.items() if name != "seed"}
    if settings.get("noise_seed") == seed:
        del settings["noise_seed"]
    return settings


def _description(run: RunData) -> list[str]:
    facts = (run.fact("dataset"), run.noise, run.fact("method"), run.curriculum, run.fact("studentnet"))
    return [str(fact) if fact is not None else "-" for fact in facts]


def _figure(values: Sequence[Any], digits: int, spread: bool = False) -> str:
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return "-"
    mean = f"{statistics.fmean(known):.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if spread and len(known) > 1 else mean


def _common_folder(runs: Sequence[RunData]) -> Path:
    try:
        folder = Path(os.path.commonpath([run.path for run in runs]))
    except ValueError:  # several drives
        folder = Path(os.sep)
    if folder == Path(folder.anchor):
        raise files.RunFolderError("The runs have no folder in common; give one for the report with --output.")
    return folder


def _names(runs: Sequence[RunData]) -> list[str]:
    """Names of the runs as short as they can be while telling them apart."""
    if len(runs) == 1 or len({run.name for run in runs}) == len(runs):
        return [run.name for run in runs]
    common = os.path.commonpath([run.path.parent for run in runs])
    return [os.path.relpath(run.path, common) for run in runs]


def _labelled_groups(runs: Sequence[RunData]) -> tuple[str, dict[str, list[RunData]]]:
    """What all of the runs share, as a title, and the groups of seeds by what sets them apart."""
    parts: tuple[Callable[[RunData], str], ...] = (
        lambda run: str(run.fact("method") or "unknown method"),
        lambda run: run.curriculum if run.curriculum != "-" else "",
        lambda run: str(run.fact("dataset") or ""),
        lambda run: "no noise added" if run.noise == "none" else f"{run.noise} noise",
        lambda run: str(run.fact("studentnet") or ""),
    )
    groups = group_by_seed(runs)
    shared = [len({part(run) for run in runs}) == 1 for part in parts]
    title = " · ".join(filter(None, (part(runs[0]) for part, same in zip(parts, shared, strict=True) if same)))
    labels = [
        ", ".join(filter(None, (part(group[0]) for part, same in zip(parts, shared, strict=True) if not same)))
        for group in groups
    ]
    # Groups may differ in a setting the label does not show; then the run's name has to tell them apart.
    unique = [
        label if label and labels.count(label) == 1 else f"{label} ({group[0].name})".strip()
        for label, group in zip(labels, groups, strict=True)
    ]
    numbered = [label if unique.count(label) == 1 else f"{label} #{k + 1}" for k, label in enumerate(unique)]
    return f"Comparison · {title}" if title else "Comparison", dict(zip(numbered, groups, strict=True))


def _markdown(runs: Sequence[RunData], names: Sequence[str], rows: Sequence[Sequence[str]], folder: Path) -> str:
    def link(target: Path) -> str:
        return quote(Path(os.path.relpath(target, folder.resolve())).as_posix())

    parts = [_MARK, "# Comparison of runs" if len(runs) > 1 else f"# Run {names[0]}", as_markdown(rows)]
    parts.append(
        "Accuracies are on clean test labels; AUC tells how well the weights separate clean from wrong labels. "
        "Means are over finished runs, ± the sample standard deviation."
    )
    if len(runs) > 1:
        parts.append("![Test accuracy of the runs](compare.png)")
    for run, name in zip(runs, names, strict=True):
        parts += [f"## {name}", run.title]
        if run.command:
            parts.append(f"```sh\n{run.command}\n```")
        pictures = ["accuracy.png", "loss.png", "weights.png"]
        parts.append("\n".join(f"![{p[:-4]} of {name}]({link(run.path / p)})" for p in pictures))
        if (run.path / "suspects.png").exists():
            parts.append(f"Most suspect labels: [suspects.png]({link(run.path / 'suspects.png')})")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
