"""Finished runs on masks as a csv: figures of cases and areas under the curve of pixels.

    python scripts/segmentation_results.py RUN_FOLDER... --output=docs/results/cpu_segmentation.csv

A row a run, by data set, noise, method and seed, with the names of the recipes in flags/recipes/cpu. Rows of other
recipes and seeds that the csv has stay. Prints means over seeds. The processor in a row is this machine's: run
it where the trainings ran.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mentornet.runs.workdir import Workdir
from scripts import csv_table
from scripts.reproduction import machine

FIGURES = (
    ("dice", "Dice", 3),
    ("hausdorff", "HD, mm", 1),
    ("hausdorff_95", "HD95, mm", 1),
    ("average_surface_distance", "ASD, mm", 2),
    ("dice_given_masks", "Dice of given masks", 3),
    ("pixel_auc_loss", "AUC of loss", 3),
    ("pixel_auc_weight", "AUC of weight", 3),
    ("pixel_auc_share", "AUC of share", 3),
)
KEY = ("recipe", "dataset", "noise", "method", "seed", "steps")
MADE = ("date", "commit", "processor")
_ORDER = ("standard", "clean_only", "l2rw", "mixup", "l2b", "l2b_clean_step")


def row(folder: Path) -> dict[str, Any]:
    """What a finished run is and came to.

    Raises:
        ValueError: no finished run on masks.
    """
    workdir = Workdir(folder)
    if not workdir.finished():
        raise ValueError(f"{folder} is no finished run")
    result, record = workdir.read_result(), workdir.read_run()
    identity = record["identity"]
    if "dice" not in result:
        raise ValueError(f"{folder} is no run on masks")
    method = result["method"] + ("_clean_step" if identity.get("clean_step") else "")
    noise = result["noise_type"]
    facts = {"dataset": result["dataset"], "noise": noise, "method": method, "seed": result["seed"]}
    figures = {name: result.get(name) for name, _, _ in FIGURES}
    # The recipes' names are short.
    recipe = f"{facts['dataset'].partition('_')[0]}_{noise.partition(':')[0]}_{method}"
    made = dict(zip(MADE, (*machine.origin(record), machine.processor()), strict=True))
    return {"recipe": recipe, **facts, "steps": result["steps"], **figures, **made}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds, a line a recipe."""
    lines = [
        "| data | noise | method | seeds | " + " | ".join(title for _, title, _ in FIGURES) + " |",
        "| --- | --- | --- | --- | " + " | ".join("---:" for _ in FIGURES) + " |",
    ]
    for recipe in dict.fromkeys(found["recipe"] for found in rows):
        own = [found for found in rows if found["recipe"] == recipe]
        cells = []
        for name, _, digits in FIGURES:
            values = [found[name] for found in own if found[name] is not None]
            cells.append(f"{np.mean(values):.{digits}f}" if values else "")
        first, seeds = own[0], ", ".join(str(found["seed"]) for found in own)
        facts = f"{first['dataset']} | {first['noise']} | `{first['method']}` | {seeds}"
        lines.append(f"| {facts} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the folders, writes the csv and prints the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_FOLDER")
    parser.add_argument("--output", type=Path, required=True, help="the csv")
    chosen = parser.parse_args(arguments)
    try:
        rows = [row(folder) for folder in chosen.folders]
    except (ValueError, OSError) as error:
        print(f"segmentation_results.py: {error}", file=sys.stderr)
        return 1
    new = {(found["recipe"], found["seed"]) for found in rows}
    rows += [found for found in _kept(chosen.output) if (found["recipe"], found["seed"]) not in new]
    rows.sort(
        key=lambda found: (found["dataset"] != "phantoms", found["noise"], _place(found["method"]), found["seed"])
    )
    rounded = [{name: _rounded(value) for name, value in found.items()} for found in rows]
    csv_table.write(chosen.output, rounded, [*KEY, *(name for name, _, _ in FIGURES), *MADE])
    print(markdown(rows), end="")
    return 0


def _kept(table: Path) -> list[dict[str, Any]]:
    """The rows that are there already."""
    if not table.is_file():
        return []
    with open(table, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    numbers = [name for name, _, _ in FIGURES]
    return [
        found
        | {"seed": int(found["seed"]), "steps": int(found["steps"])}
        | {name: float(found[name]) if found[name] else None for name in numbers}
        for found in rows
    ]


def _place(method: str) -> int:
    return _ORDER.index(method) if method in _ORDER else len(_ORDER)


def _rounded(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
