"""Figures of finished runs as a small csv, for numbers that stand in a sentence of the documents and in no table.

    python scripts/run_figures.py RUN_FOLDER... --figures=accuracy_last,weights_auc --output=docs/results/demo.csv

A row a run, named by its folder: what result.json says of each figure, else the last row of metrics.csv, or of a name
such as raw_loss_at_100 the row of step 100. The whole csv is written anew. The processor is this machine's: run it
where the trainings ran.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mentornet.runs.run_data import RunData
from mentornet.runs.workdir import Workdir
from scripts import csv_table
from scripts.reproduction import machine


def row(folder: Path, figures: Sequence[str]) -> dict[str, Any]:
    """Figures of a run and how it was made; empty where the run has none.

    Raises:
        ValueError: the run is not finished, or none of its files knows a figure.
    """
    run = RunData.load(folder)
    if not run.finished:
        raise ValueError(f"{folder} is no finished run")
    found = {name: _figure(run, name) for name in figures}
    date, commit = machine.origin(Workdir(folder).read_run())
    made = {"date": date, "commit": commit, "processor": machine.processor()}
    known = {"run": folder.resolve().name, "seed": run.result["seed"], "steps": run.result["steps"]}
    return {**known, **found, **made}


def _figure(run: RunData, name: str) -> Any:
    column, *steps = re.split(r"_at_(\d+)$", name)[:2]
    rows = run.metrics["step"] == float(steps[0] if steps else run.metrics["step"][-1])
    if name in run.result:
        value = run.result[name]
    elif column in run.metrics and rows.any():
        value = float(run.metrics[column][rows][-1])
    else:
        raise ValueError(f"{run.path} has no figure {name}")
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else ""
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the folders and writes the csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_FOLDER")
    parser.add_argument("--figures", required=True, help="names, separated by commas")
    parser.add_argument("--output", type=Path, required=True, help="the csv")
    chosen = parser.parse_args(arguments)
    try:
        csv_table.write(chosen.output, [row(folder, chosen.figures.split(",")) for folder in chosen.folders])
    except (ValueError, OSError) as error:
        print(f"run_figures.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
