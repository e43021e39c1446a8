"""How a recipe is written down: a flagfile whose head says what it is for and ends with the command that runs it.

Used by the declarations beside it; `python scripts/reproduce.py write` writes the files.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("flags/recipes")
File = tuple[Path, str]
"""Path from the repository's root, content."""
RecipeLike = tuple  # (path, content) or (path, lines of the head, flags)


def run_folder(path: Path) -> str:
    """Where the run of a recipe goes: named after its folder too, as several tables have a row of the same name."""
    return f"runs/{path.parent.name}_{path.stem}"


RESULTS = ROOT / "docs" / "results"
# csv of finished runs -> where its figures are shown. A recipe that is in several is expected where the first is shown.
SHOWN = {
    "cpu_cifar10_0.4.csv": "the table in README.md (measured there, seeds 0 and 1)",
    "cpu_mentornet_dd.csv": "the table of MentorNet DD in docs/learning.md (measured there, seeds 0 and 1)",
    "cpu_icml_table2.csv": "the table in docs/reproducing.md (measured there, seed 0)",
    "cpu_methods.csv": "the table of all methods in docs/methods.md (measured there)",
    "cpu_semi_supervised.csv": "the tables in docs/semi_supervised.md (measured there)",
    "cpu_methods_selection.csv": "the tables of all methods in docs/methods.md (measured there, seed 0)",
    "cpu_tuned.csv": "the tables in docs/all_methods.md (measured there)",
    "cpu_other_data.csv": "the table in docs/cpu_results.md (measured there, seed 0)",
    "cpu_segmentation.csv": "the tables in docs/segmentation.md (measured there)",
}


def measured(recipe: str) -> str:
    """What the head of a recipe for a CPU says of its result: where it is, or that there is none."""
    for name, place in SHOWN.items():
        if not (RESULTS / name).is_file():  # its first runs are still to come
            continue
        with open(RESULTS / name, newline="", encoding="utf-8") as stream:
            if recipe in {row["recipe"] for row in csv.DictReader(stream)}:
                return f"expected: {place}"
    return "expected: not known, it has not been run here"


def file(
    path: Path,
    head: Sequence[str],
    flags: Sequence[str],
    script: str,
    data: str = "--data_dir=DATA",
    output: str = "--train_log_dir",
) -> File:
    """The flagfile of one recipe.

    Args:
        path: where it goes, from the repository's root.
        head: lines of the comment it opens with.
        flags: one a line.
        script: the script that takes them.
        data: flags for the reader to fill in, named in the command only.
        output: the flag that says where the results go.
    """
    command = " ".join(filter(None, (f"python {script} --flagfile={path}", data, f"{output}={run_folder(path)}")))
    return path, "\n".join([*(f"# {line}" for line in [*head, f"command: {command}"]), *flags, ""])


def write(files: Sequence[File]) -> None:
    """Writes the files into the repository and says so."""
    for path, text in files:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    print(f"{len(files)} recipes in {FOLDER}")
