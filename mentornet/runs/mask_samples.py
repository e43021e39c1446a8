"""samples.csv of a segmentation: a row a training slice, the one whose mask the student contradicts most first.

A slice is the more suspect the higher its mean loss against the given mask is: that is how many pixels the student
takes for another class, and how sure it is. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mentornet import files
from mentornet.runs.metrics_table import format_row
from mentornet.runs.samples import as_text

MASKS_FILE = "masks.npz"
"""The given masks in a run folder, from the start of the run; see ``mentornet.training.segmentation``."""
COLUMNS = (
    "suspect_rank",
    "case",
    "slice",
    "name",
    "loss",
    "mean_weight",
    "dice_given",
    "dice_true",
    "region_pixels",
    "region_box",
)


def is_table_of_slices(path: str | os.PathLike[str]) -> bool:
    """Whether a samples.csv is of slices, not of images with one label each."""
    if not os.path.isfile(path):  # a pipe would never answer
        return False
    with open(path, "rb") as stream:
        return stream.read(200).startswith(",".join(COLUMNS[:3]).encode())


def largest_regions(predicted: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected region of each slice in which the student contradicts the given mask.

    Args:
      predicted: int [n, h, w].
      given: int [n, h, w].

    Returns:
      Its pixels int64 [n], and its box (top, left, bottom, right) int64 [n, 4], the last two behind its end; zeros
      where there is none.
    """
    sizes, boxes = np.zeros(len(given), np.int64), np.zeros((len(given), 4), np.int64)
    for number, disputed in enumerate(predicted != given):
        labels, count = ndimage.label(disputed)
        if count:
            pixels = np.bincount(labels.ravel())[1:]
            largest = int(pixels.argmax())
            rows, columns = ndimage.find_objects(labels)[largest]
            sizes[number] = pixels[largest]
            boxes[number] = rows.start, columns.start, rows.stop, columns.stop
    return sizes, boxes


def write(
    path: str | os.PathLike[str],
    *,
    order: np.ndarray,
    cases: Sequence[str],
    slices: np.ndarray,
    names: Sequence[str],
    loss: np.ndarray,
    mean_weight: np.ndarray,
    dice_given: np.ndarray,
    dice_true: np.ndarray | None,
    regions: tuple[np.ndarray, np.ndarray],
) -> None:
    """Writes the table; ``COLUMNS`` in their order, all values one a slice but ``order``, the positions as ranked.

    Args:
      path: the csv; replaced all at once.
      order: int [n], positions of the slices, the most suspect first.
      cases: of each slice.
      slices: int [n], places in their cases.
      names: of each slice, such as its file.
      loss: float [n], mean over the pixels, against the given mask.
      mean_weight: float [n], mean over the pixels at the end of training; NaN where it says nothing.
      dice_given: float [n], the student's mask against the given one.
      dice_true: float [n], against the true one; None if unknown.
      regions: see `largest_regions`.
    """
    sizes, boxes = regions
    with files.replacing(path) as stream:
        stream.write(format_row(COLUMNS).encode())
        for rank, position in enumerate(order, 1):
            box = " ".join(str(side) for side in boxes[position]) if sizes[position] else ""
            row = [
                rank,
                as_text(cases[position]),
                int(slices[position]),
                as_text(names[position]),
                round(float(loss[position]), 6),
                mean_weight[position],
                round(float(dice_given[position]), 4),
                None if dice_true is None else round(float(dice_true[position]), 4),
                int(sizes[position]),
                box,
            ]
            stream.write(format_row(row).encode())
