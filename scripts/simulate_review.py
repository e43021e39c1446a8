"""Plays the person at the review page: decides on a run's worst suspects by their true labels, where these are known.

    python scripts/simulate_review.py RUN --top 500 [--output corrections.csv] [--mistakes 0.05] [--seed 0]

Writes what the page would: `confirm` for a given label that is right, `relabel` with the true one otherwise. With
--mistakes a share of the answers is wrong (another class than the true one, drawn at random).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mentornet import files
from mentornet.runs.run_data import RunData
from mentornet.runs.samples import as_text


def decisions(run: RunData, top: int, mistakes: float, seed: int) -> list[list[str]]:
    """The table of a review of the `top` most suspect images.

    Raises:
      RunFolderError: the run has no samples, or nobody knows its true labels.
    """
    if run.samples is None or "clean_label" not in run.samples:
        raise files.RunFolderError(f"{run.path} does not know the true labels of its images, so a person has to look.")
    order = np.argsort(run.samples["suspect_rank"], kind="stable")[:top]
    given, true = run.samples["given_label"][order], run.samples["clean_label"][order]
    rng, classes = np.random.default_rng(seed), int(run.samples["clean_label"].max()) + 1
    slips = rng.random(len(order)) < mistakes
    answer = np.where(slips, (true + rng.integers(1, classes, len(order))) % classes, true)
    rows = [["index", "action", "label"]]
    for index, was, now in zip(run.samples["index"][order], given, answer, strict=True):
        rows.append([str(index), "confirm" if was == now else "relabel", as_text(str(now))])
    return rows


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Decide on suspects by their true labels.")
    parser.add_argument("run", metavar="RUN", help="a finished run whose true labels are known")
    parser.add_argument("--top", type=int, default=500, help="how many suspects are looked at")
    parser.add_argument("--output", type=Path, default=Path("corrections.csv"))
    parser.add_argument("--mistakes", type=float, default=0.0, help="share of wrong answers")
    parser.add_argument("--seed", type=int, default=0, help="of the wrong answers")
    options = parser.parse_args()
    if options.top < 1 or not 0 <= options.mistakes <= 1:
        parser.error("--top is 1 or more, --mistakes within 0 and 1")
    try:
        rows = decisions(RunData.load(options.run), options.top, options.mistakes, options.seed)
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(rows)
        files.write_text(options.output, stream.getvalue())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    changed = sum(row[1] == "relabel" for row in rows[1:])
    print(f"{options.output}: {len(rows) - 1:,} decisions, {changed:,} labels changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
