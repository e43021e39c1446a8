"""metrics.csv: one row an evaluation interval, bit for bit the same after a crash and a resume.

Numbers are written with Python's shortest exact form, so reading gives back the very float that was written,
and two equal runs give equal files. A row reaches the disk in one write and is synced. What a killed process
may leave is an unfinished last line, which is recognised by its missing line end and dropped. Nothing here
imports TensorFlow.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mentornet import files, reading
from mentornet.runs import schemas

METRIC_COLUMNS = (
    "step",  # steps done, strictly increasing
    "epoch_percent",  # 0..99, the paper's "epoch"
    "seconds",  # of training since the very start, summed over resumes
    "learning_rate",
    "raw_loss",  # mean loss before weighting
    "weighted_loss",  # sum of weight times loss, divided by the batch size
    "train_accuracy",  # against the given labels, wrong ones included
    "loss_percentile",  # the moving percentile l_pt
    "weight_sum",  # mean over batches of the sum of weights
    "data_utilisation",  # share of samples with a weight above 0.001
    "drop_rate",
    "weights_auc",  # how well the weights separate clean from wrong labels; empty when that is not known
    "kept_precision",  # share of clean labels among the kept samples
    "weight_mean_clean",
    "weight_mean_wrong",
    "eval_loss",
    "eval_accuracy",  # on clean labels
)

MASK_COLUMNS = (
    "eval_dice_slices",  # mean over test slices of the Dice of the foreground
    "eval_dice_cases",  # mean over test cases, each as one volume of slices as the student sees them
)
"""What runs on masks have beyond them."""


class MetricsTable:
    """A CSV file of numbers that grows by whole rows.

    Args:
      path: the file; it is created by the first `append_row`.
      columns: names of a new file's columns. The first one is the step. An existing file must have the same.
    """

    def __init__(self, path: str | os.PathLike[str], columns: Sequence[str] = METRIC_COLUMNS):
        self.path = Path(path)
        self.columns = tuple(columns)
        self._last_step: int | None = None
        self._checked = False

    def append_row(self, row: Mapping[str, Any]) -> None:
        """Adds one row and waits until the disk has it.

        Args:
          row: value by column name: numbers, NumPy scalars, None or NaN. What is missing is left empty.

        Raises:
          ValueError: an unknown column, or a step that is not beyond the last row's.
          RunFolderError: the file cannot be written, or holds something else than this table.
        """
        unknown = sorted(set(row) - set(self.columns))
        if unknown:
            raise ValueError(f"Unknown metrics {unknown}; the columns are {list(self.columns)}.")
        step = int(row[self.columns[0]])
        if not self._checked:
            self._check_existing()
        if self._last_step is not None and step <= self._last_step:
            raise ValueError(
                f"{self.path} already has step {self._last_step}, so step {step} cannot follow; "
                "call truncate_after with the step of the checkpoint first."
            )
        line = ",".join(_cell(row.get(column)) for column in self.columns) + "\n"
        if self._last_step is None:
            files.write_text(self.path, ",".join(self.columns) + "\n" + line)
        else:
            with files.explained(self.path), open(self.path, "ab") as stream:
                self._checked = False  # until the row is whole on the disk
                stream.write(line.encode("ascii"))
                stream.flush()
                os.fsync(stream.fileno())
        self._last_step, self._checked = step, True

    def truncate_after(self, step: int) -> int:
        """Drops the rows beyond `step` and an unfinished last line; returns how many rows stay."""
        if not self.path.exists():
            return 0
        lines, rows = self._whole_lines()
        self._refuse_other_columns(lines)
        keep = sum(1 for row in rows if row[0] <= step)
        self._rewrite(lines[: keep + 1])
        self._last_step = int(rows[keep - 1][0]) if keep else None
        self._checked = True
        return keep

    def read(self) -> dict[str, np.ndarray]:
        """The table as float64 arrays by column name: NaN for an empty cell, no rows if there is no file.

        Raises:
          RunFolderError: the file cannot be read, or a line other than an unfinished last one is damaged.
        """
        if not self.path.exists():
            return {column: np.empty(0) for column in self.columns}
        lines, rows = self._whole_lines()
        names = lines[0].split(",") if lines else list(self.columns)
        table = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(names))
        return {name: table[:, i].copy() for i, name in enumerate(names)}

    def _check_existing(self) -> None:
        """Finds the last step and cuts off an unfinished line, before the first row is appended."""
        if self.path.exists():
            lines, rows = self._whole_lines()
            self._refuse_other_columns(lines)
            self._last_step = int(rows[-1][0]) if rows else None
            self._rewrite(lines)

    def _refuse_other_columns(self, lines: list[str]) -> None:
        if lines and tuple(lines[0].split(",")) != self.columns:
            raise files.RunFolderError(f"{self.path} has other columns than this table; move it away.")

    def _rewrite(self, lines: list[str]) -> None:
        text = "".join(line + "\n" for line in lines)
        with files.explained(self.path):
            unchanged = self.path.stat().st_size == len(text)
        if not unchanged:
            files.write_text(self.path, text)

    def _whole_lines(self) -> tuple[list[str], list[list[float]]]:
        """The lines that end properly, the header first, and the numbers of those after the header."""
        raw = reading.read_bytes(self.path, reading.LARGEST_TABLE)
        # Programs for tables end lines with "\r\n"; what is kept of them is rewritten before a row is added.
        lines = raw.decode("ascii", errors="replace").replace("\r\n", "\n").split("\n")[:-1]
        names = lines[0].split(",") if lines else []
        if len(set(names)) < len(names) or (names and names[0] != self.columns[0]):
            raise files.RunFolderError(f"{self.path} is damaged in line 1: it is no heading of different columns.")
        ranges = [schemas.metric(name) for name in names]
        rows: list[list[float]] = []
        for number, line in enumerate(lines[1:], start=2):
            try:
                rows.append(_row(line, ranges))
                if len(rows) > 1 and rows[-1][0] <= rows[-2][0]:
                    raise ValueError("its step is not beyond the one before")
            except ValueError as error:
                raise files.RunFolderError(f"{self.path} is damaged in line {number}: {error}.") from error
        return lines, rows


def _row(line: str, ranges: Sequence[reading.Value]) -> list[float]:
    cells = line.split(",")
    if len(cells) != len(ranges):
        raise ValueError("its cells do not fit the header")
    row = [float(kind.column([cell])[0]) for kind, cell in zip(ranges, cells, strict=True)]
    if not row[0].is_integer():
        raise ValueError("its step is no whole number")
    return row


def summarise(metrics: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The figures of a run that follow from its table alone.

    Args:
      metrics: what `MetricsTable.read` returns; the columns step, seconds, eval_accuracy, weights_auc and
        data_utilisation are used.

    Returns:
      accuracy_last, accuracy_best, accuracy_best_step, accuracy_mean_last_10 (over the last ten evaluations),
      of runs on masks the same of dice_cases, steps, seconds, steps_per_second, the last known weights_auc and
      data_utilisation. None where unknown.
    """
    step, seconds = metrics["step"], metrics["seconds"]
    steps = int(step[-1]) if step.size else 0
    total = float(seconds[-1]) if step.size and math.isfinite(seconds[-1]) else None
    return {
        **_over_time("accuracy", step, metrics["eval_accuracy"]),
        **(_over_time("dice_cases", step, metrics["eval_dice_cases"]) if "eval_dice_cases" in metrics else {}),
        "steps": steps,
        "seconds": total,
        "steps_per_second": steps / total if total else None,
        "weights_auc": last_known(metrics["weights_auc"]),
        "data_utilisation": last_known(metrics["data_utilisation"]),
    }


def _over_time(name: str, step: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """Last, best and mean of the last ten of a figure."""
    known = np.isfinite(values)
    values, step = values[known], step[known]
    return {
        f"{name}_last": float(values[-1]) if values.size else None,
        f"{name}_best": float(values.max()) if values.size else None,
        f"{name}_best_step": int(step[values.argmax()]) if values.size else None,
        f"{name}_mean_last_10": float(values[-10:].mean()) if values.size else None,
    }


def last_known(values: np.ndarray) -> float | None:
    """The last finite value of an array, or None."""
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if finite.size else None


def format_row(cells: Sequence[Any]) -> str:
    """One CSV line of any cells (text is quoted where needed), numbers exact, None and NaN empty."""
    stream = io.StringIO()
    # With "\n" for its line end the writer would leave "\r" in a text without quotes.
    csv.writer(stream, lineterminator="\r\n").writerow(c if isinstance(c, str) else _cell(c) for c in cells)
    return stream.getvalue()[:-2] + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    number = float(value)
    return "" if math.isnan(number) else repr(number)
