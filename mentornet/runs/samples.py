"""samples.csv: which training labels are most likely wrong.

The samples whose given label had the lowest probability, averaged over the whole training, are the ones worth a
person's look: wrong labels are learned last. Where no such mean is known (runs of earlier versions), or a method's
weights say more, those of the lowest mean weight at the end of training (its last tenth, but a whole epoch at least)
come first; a curriculum that works gives wrong labels low weights. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mentornet import files, reading
from mentornet.ranking import rank_suspects
from mentornet.runs import schemas
from mentornet.runs.metrics_table import format_row

__all__ = [
    "SAMPLE_COLUMNS",
    "as_text",
    "check_names",
    "from_text",
    "rank_suspects",
    "read_samples_csv",
    "telling",
    "top_suspects",
    "weights_auc",
    "write_samples_csv",
]

SAMPLE_COLUMNS = ("index", "given_label", "predicted_label", "mean_weight", "loss", "suspect_rank")


# What a spreadsheet takes for a formula, behind quotes that were there already.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def as_text(cell: str) -> str:
    """A text for a csv, with a quote before what a spreadsheet would run as a formula; `from_text` takes it off."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def from_text(cell: str) -> str:
    """The text that `as_text` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def top_suspects(
    mean_weight: np.ndarray, loss: np.ndarray, count: int = 48, mean_probability: np.ndarray | None = None
) -> np.ndarray:
    """Positions int64 [<= count] of the most suspect samples, the most suspect first."""
    return np.argsort(rank_suspects(mean_weight, loss, mean_probability))[:count]


def telling(mean_weight: np.ndarray) -> np.ndarray:
    """The weights float [n] if they differ, else NaN [n]: equal ones, of plain training, say nothing of a sample."""
    visited = mean_weight[np.isfinite(mean_weight)]
    return mean_weight if visited.size and np.ptp(visited) > 0 else np.full(len(mean_weight), np.nan)


def weights_auc(mean_weight: np.ndarray, is_clean: np.ndarray) -> float:
    """How well weights separate clean from wrong labels: the area under the ROC curve.

    That is the probability that a random clean sample has a higher weight than a random wrong one, ties counting
    half: 0.5 for constant weights, 1 for perfect ones (the Mann-Whitney statistic, by mean ranks).

    Args:
      mean_weight: float [n]; samples with NaN are left out.
      is_clean: bool [n].

    Returns:
      The area in [0, 1], NaN when all the samples left are clean or all are wrong.
    """
    weight, is_clean = np.asarray(mean_weight, np.float64), np.asarray(is_clean, bool)
    if weight.ndim != 1 or weight.shape != is_clean.shape:
        raise ValueError(f"Weights {weight.shape} and clean marks {is_clean.shape} must be one value a sample.")
    known = ~np.isnan(weight)
    weight, is_clean = weight[known], is_clean[known]
    clean, wrong = int(is_clean.sum()), int((~is_clean).sum())
    if not clean or not wrong:
        return float("nan")
    _, position, counts = np.unique(weight, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_rank[position][is_clean].sum())
    return (rank_sum - clean * (clean + 1) / 2) / (clean * wrong)


def write_samples_csv(
    path: str | os.PathLike[str],
    *,
    index: np.ndarray,
    given: np.ndarray,
    predicted: np.ndarray,
    mean_weight: np.ndarray,
    loss: np.ndarray,
    class_names: Sequence[str] | None = None,
    clean: np.ndarray | None = None,
    paths: Sequence[str] | None = None,
    mean_probability: np.ndarray | None = None,
    by_weight: bool = False,
) -> None:
    """Writes one line a training sample, the most suspect first.

    Columns: index, given_label, predicted_label, mean_weight, loss, suspect_rank, then mean_probability if it is
    given, given_name and predicted_name if `class_names` are, clean_label if `clean` is, path if `paths` are. Texts
    that a spreadsheet would take for formulas have a quote before them.

    Args:
      path: the CSV file; replaced all at once.
      index: int [n], position in the data set.
      given: int [n], the labels trained on.
      predicted: int [n], the student's answer at the end.
      mean_weight: float [n], mean weight at the end of training; NaN (an empty cell) if not visited then.
      loss: float [n], at the end, against the given label.
      class_names: name of every label.
      clean: int [n], true labels.
      paths: n names of files.
      mean_probability: float [n], of the given label over the training; NaN (an empty cell) if never visited.
      by_weight: rank by the weights though mean probabilities are known, for methods whose weights say more.

    Raises:
      ValueError: arrays of different lengths, or a label without a name.
      RunFolderError: the file cannot be written.
    """
    columns: dict[str, Any] = {
        "index": index,
        "given_label": given,
        "predicted_label": predicted,
        "mean_weight": mean_weight,
        "loss": np.asarray(loss) + 0.0,  # -0.0, the rounded loss of a certain answer, reads as a mistake
        "suspect_rank": rank_suspects(mean_weight, loss, None if by_weight else mean_probability),
    }
    if mean_probability is not None:
        columns["mean_probability"] = mean_probability
    if class_names is not None:
        for name, labels in (("given_name", given), ("predicted_name", predicted)):
            check_names(labels, class_names)
            columns[name] = [as_text(class_names[label]) for label in labels]
    if clean is not None:
        columns["clean_label"] = clean
    if paths is not None:
        columns["path"] = [as_text(path) for path in paths]
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"All columns need one value a sample; the lengths are {lengths}.")
    order = np.argsort(columns["suspect_rank"])
    with files.replacing(path) as stream:
        stream.write(format_row(list(columns)).encode())
        for position in order:
            stream.write(format_row([values[position] for values in columns.values()]).encode())


def read_samples_csv(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads samples.csv into arrays [n] by column name: float64 weights and losses, str names, int64 the rest.

    Raises:
      RunFolderError: the file is missing or is not such a table.
    """
    table = reading.read_table(path, schemas.sample, SAMPLE_COLUMNS, "a table of samples")
    texts = {name: column for name, column in table.items() if column.dtype.kind == "U"}
    return table | {name: np.array(list(map(from_text, column)), np.str_) for name, column in texts.items()}


def check_names(labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Raises a ValueError when a label has no name."""
    labels = np.asarray(labels)
    if labels.size and not 0 <= labels.min() <= labels.max() < len(class_names):
        raise ValueError(
            f"Labels run from {labels.min()} to {labels.max()}, but {len(class_names)} class names are given."
        )
