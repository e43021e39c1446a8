"""Redraws the plots of runs from their files and compares the runs in one table and one plot.

    python -m mentornet.reports RUN [RUN ...] [--output DIR]

Writes report.md and, for several runs, compare.png to the output folder: by default the folder that contains all the
runs, or the run's own. Runs that differ only by their seed are also summed up as mean ± standard deviation. Nothing
here imports TensorFlow, so it takes about a second.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from mentornet import files, quiet
from mentornet.reports import names as display
from mentornet.reports import plots, run_table, unfinished
from mentornet.runs.run_data import RunData

_MARK = "<!-- written by mentornet.reports.report; it replaces this file -->"
_OUTPUTS = ("report.md", "compare.png")


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
    rows = run_table.table(runs, names)
    compare = folder / "compare.png"
    if len(runs) > 1:
        title, groups = _labelled_groups(runs)
        plots.plot_compare(compare, groups, title)
    files.write_text(report, _markdown(runs, names, rows, folder))
    written = [report, *([compare] if len(runs) > 1 else [])]
    judged = "dice.png" if all(run.has_masks for run in runs) else "accuracy.png"
    drawn = f"{judged}, loss.png and, where weights differ, weights.png redrawn in " + (
        "each run folder" if len(runs) > 1 else "it"
    )
    if any(run.transition_matrix is not None for run in runs):
        drawn += ", transition_matrix.png where the method has a matrix"
    return f"{run_table.as_text(rows)}\n\nWritten: {', '.join(map(str, written))}; {drawn}."


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong.

    Where the suspects of an interrupted run can't be made, its curves are drawn nevertheless.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.reports",
        description="Redraw the plots of runs and compare the runs in one table and one plot.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder (--train_log_dir of a training)")
    parser.add_argument(
        "--output", metavar="DIR", help="where report.md and compare.png go (default: the folder containing the runs)"
    )
    options = parser.parse_args(arguments)
    failed = []
    try:
        for folder in options.runs:
            try:
                if note := unfinished.make_suspects(folder):
                    print(f"note: {note}", flush=True)
            except ValueError as error:  # its curves can be drawn all the same
                failed.append(str(error))
        print(write_report(options.runs, options.output), flush=True)
    except BrokenPipeError:
        raise  # nobody reads any more, which is no error of ours
    except (ValueError, OSError) as error:
        failed = [str(error)]
    for sentence in failed:
        print(f"error: {sentence}", file=sys.stderr)
    return 2 if failed else 0


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
        display.name,
        lambda run: str(run.fact("dataset") or ""),
        lambda run: {"none": "no noise added"}.get(run.noise, f"{run.noise} noise"),
        lambda run: str(run.fact("studentnet") or ""),
        lambda run: settings[id(run)],
    )
    settings = dict(zip(map(id, runs), run_table.apart(runs), strict=True))
    groups = run_table.group_by_seed(runs)
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


def _markdown(runs: Sequence[RunData], names: Sequence[str], rows: Sequence[run_table.Row], folder: Path) -> str:
    def link(target: Path) -> str:
        return quote(Path(os.path.relpath(target, folder.resolve())).as_posix())

    parts = [_MARK, "# Comparison of runs" if len(runs) > 1 else f"# Run {names[0]}", run_table.as_markdown(rows)]
    of_masks = [run.has_masks for run in runs]
    dice = "Dice is that of test cases as volumes, at the size that the student sees"
    accuracies = "Accuracies are on clean test labels" + (
        ", except where they are agreement with given labels" if any(run.judged_by_given for run in runs) else ""
    )
    parts.append(
        (dice if all(of_masks) else f"{accuracies}; {dice}" if any(of_masks) else accuracies)
        + "; mean last 10 is over the last ten evaluations, of a short run also those of its burn-in. AUC tells how "
        f"well the weights separate {'right from wrong pixels' if all(of_masks) else 'clean from wrong labels'} "
        "(- where all weights are alike). "
        "Means are over finished runs, ± the sample standard deviation."
    )
    if len(runs) > 1:
        parts.append(f"![Test {'Dice' if all(of_masks) else 'accuracy'} of the runs](compare.png)")
    for run, name in zip(runs, names, strict=True):
        parts += [f"## {name}", run.title]
        if run.command:
            parts.append(f"```sh\n{run.command}\n```")
        pictures = [
            "dice.png" if run.has_masks else "accuracy.png",
            "loss.png",
            *([] if run.weights_alike else ["weights.png"]),
        ]
        if run.transition_matrix is not None:
            pictures.append("transition_matrix.png")
        parts.append("\n".join(f"![{p[:-4]} of {name}]({link(run.path / p)})" for p in pictures))
        if (run.path / "suspects.png").exists():
            what = "masks" if run.has_masks else "labels"
            parts.append(f"Most suspect {what}: [suspects.png]({link(run.path / 'suspects.png')})")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    with quiet.ends_with_its_reader():
        sys.exit(main())
