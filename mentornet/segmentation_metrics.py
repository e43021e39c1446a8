"""How well masks agree: Dice, and distances of surfaces in mm, at the original size of a case (L2B table 5).

Everything is of NumPy arrays. Where a mask is empty:
  - A class that neither mask has is left out of the mean over classes. If no class is left, Dice is 1 and distances
    are 0: to find nothing was right.
  - A class that one mask alone has gets Dice 0, and the diagonal of the volume for each distance: the largest that
    could be, so that finding nothing is never better than finding something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]

CASE_METRICS = ("dice", "hausdorff", "hausdorff_95", "average_surface_distance")


class Volume(Protocol):
    """A case at its original size: (depth, height, width), mm between voxels along them, right classes."""

    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def spacing(self) -> tuple[float, float, float]: ...
    @property
    def mask(self) -> npt.NDArray[np.uint8] | None: ...


@dataclass(frozen=True)
class CaseMetrics:
    """What a case came out as.

    Attributes:
      of_classes: for every class but the background its figures by the names of `CASE_METRICS`; NaN where neither mask
        has the class.
      mean: the figures' means over the classes that one of the masks has.
      missed: number of classes that one mask has and the other has not.
    """

    of_classes: tuple[dict[str, float], ...]
    mean: dict[str, float]
    missed: int


def dice(predicted: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """2 |A and B| / (|A| + |B|) of two masks of one shape (anything but 0 is inside); 1 if both are empty."""
    a, b = np.asarray(predicted) != 0, np.asarray(right) != 0
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else 1.0


def dice_of_slices(predicted: npt.ArrayLike, right: npt.ArrayLike, num_classes: int) -> npt.NDArray[np.float64]:
    """Returns the Dice of each slice, its mean over the classes from 1 that either mask has, 1 if there are none.

    Args:
      predicted: integers [n, height, width], classes 0 to num_classes - 1.
      right: likewise.
      num_classes: at least 2.
    """
    a, b = np.asarray(predicted), np.asarray(right)
    found = np.full((num_classes - 1, len(a)), np.nan)
    for c in range(1, num_classes):
        ours, theirs = a == c, b == c
        total = np.count_nonzero(ours, (1, 2)) + np.count_nonzero(theirs, (1, 2))
        both = np.count_nonzero(ours & theirs, (1, 2))
        np.divide(2.0 * both, total, out=found[c - 1], where=total > 0)
    present = ~np.isnan(found)
    return np.where(present.any(0), np.where(present, found, 0).sum(0) / np.maximum(present.sum(0), 1), 1.0)


def surface(mask: Mask) -> Mask:
    """The voxels of a mask with a neighbour (6 in three dimensions) that is outside, or at the edge of the volume."""
    return mask & ~ndimage.binary_erosion(mask)


def surface_distances(
    predicted: npt.ArrayLike, right: npt.ArrayLike, spacing: Sequence[float]
) -> tuple[Distances, Distances]:
    """From every voxel of each surface to the nearest one of the other.

    Args:
      predicted: a mask of any rank (anything but 0 is inside), not empty.
      right: likewise, of the same shape.
      spacing: mm between voxels along each axis.

    Returns:
      Two lists of mm: from the surface of `predicted` to that of `right`, and back.

    Raises:
      ValueError: shapes differ, an empty mask, or a spacing that is not of their rank and positive.
    """
    a, b = np.asarray(predicted) != 0, np.asarray(right) != 0
    steps = _checked_spacing(spacing, a.ndim)
    if a.shape != b.shape:
        raise ValueError(f"Masks of different shapes cannot be compared: {a.shape} and {b.shape}.")
    if not (a.any() and b.any()):
        raise ValueError("An empty mask has no surface.")
    # All of both surfaces lies in the box around both masks, so distances in there are the same, and found sooner.
    box = tuple(
        slice(inside[0], inside[-1] + 1)
        for axis in range(a.ndim)
        for inside in [np.flatnonzero((a | b).any(tuple(other for other in range(a.ndim) if other != axis)))]
    )
    a, b = surface(a[box]), surface(b[box])
    to_a, to_b = (ndimage.distance_transform_edt(~border, sampling=steps) for border in (a, b))
    return to_b[a], to_a[b]


def hausdorff(there: Distances, back: Distances, percentile: float = 100.0) -> float:
    """The larger of both directions' percentile of `surface_distances`; 100 is the Hausdorff distance."""
    return float(max(np.percentile(there, percentile), np.percentile(back, percentile)))


def average_surface_distance(there: Distances, back: Distances) -> float:
    """The mean of `surface_distances` over the voxels of both surfaces."""
    return float((there.sum() + back.sum()) / (there.size + back.size))


def of_case(predicted: npt.ArrayLike, right: npt.ArrayLike, spacing: Sequence[float], num_classes: int) -> CaseMetrics:
    """Compares the classes of two volumes.

    Args:
      predicted: integers [depth, height, width], classes 0 (background) to num_classes - 1.
      right: likewise.
      spacing: (depth, height, width) of a voxel in mm.
      num_classes: at least 2.

    Raises:
      ValueError: shapes differ, or the spacing is not three positive numbers.
    """
    a, b = np.asarray(predicted), np.asarray(right)
    if a.shape != b.shape:
        raise ValueError(f"The prediction is of shape {a.shape}, but the right mask of shape {b.shape}.")
    steps = _checked_spacing(spacing, a.ndim)
    largest = float(np.linalg.norm((np.array(a.shape) - 1) * steps))
    of_classes, missed = [], 0
    for c in range(1, num_classes):
        ours, theirs = a == c, b == c
        if not ours.any() and not theirs.any():
            figures = dict.fromkeys(CASE_METRICS, float("nan"))
        elif ours.any() and theirs.any():
            there, back = surface_distances(ours, theirs, spacing)
            average = average_surface_distance(there, back)
            values = (dice(ours, theirs), hausdorff(there, back), hausdorff(there, back, 95), average)
            figures = dict(zip(CASE_METRICS, values, strict=True))
        else:
            missed += 1
            figures = dict.fromkeys(CASE_METRICS, largest) | {"dice": 0.0}
        of_classes.append(figures)
    counted = [figures for figures in of_classes if not np.isnan(figures["dice"])]
    if counted:
        mean = {name: float(np.mean([figures[name] for figures in counted])) for name in CASE_METRICS}
    else:
        mean = dict.fromkeys(CASE_METRICS, 0.0) | {"dice": 1.0}
    return CaseMetrics(tuple(of_classes), mean, missed)


def of_cases(
    probabilities: npt.NDArray[np.floating],
    cases: Sequence[str],
    slices: npt.ArrayLike,
    volumes: Mapping[str, Any],
) -> dict[str, CaseMetrics]:
    """Puts predicted slices back together at the original size, and compares.

    Args:
      probabilities: float [n, height, width, C] of C classes, the predictions for slices of any size; the largest is
        the predicted class, which for two classes is a threshold of 0.5.
      cases: the case of each slice.
      slices: [n] position of each slice in its case.
      volumes: the `Volume` of every case; those whose right mask is unknown are left out.

    Returns:
      The metrics of each case that has a right mask, by name, in the order of the names.

    Raises:
      ValueError: a case lacks slices or has one twice.
    """
    names, positions = np.array(cases), np.asarray(slices)
    found = {}
    for case in sorted(set(cases)):
        volume: Volume = volumes[case]
        if volume.mask is None:
            continue
        own = np.flatnonzero(names == case)
        order = own[np.argsort(positions[own])]
        if not np.array_equal(positions[order], np.arange(volume.shape[0])):
            raise ValueError(f"Case {case} has {volume.shape[0]} slices, but {len(own)} predictions, or not of each.")
        predicted = classes_at_size(probabilities[order], volume.shape[1:])
        found[case] = of_case(predicted, volume.mask, volume.spacing, probabilities.shape[-1])
    return found


def classes_at_size(probabilities: npt.NDArray[np.floating], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Returns the likeliest class of every pixel, uint8 [n, *size], of probabilities [n, height, width, C].

    Probabilities are resized (bilinear, pixels are areas), not classes, so that borders stay smooth.
    """
    values = np.asarray(probabilities, np.float32)
    if values.shape[1:3] != tuple(size):
        factors = (1, size[0] / values.shape[1], size[1] / values.shape[2], 1)
        values = ndimage.zoom(values, factors, order=1, mode="nearest", grid_mode=True)
    return np.argmax(values, axis=-1).astype(np.uint8)


def mean_of_cases(found: Mapping[str, CaseMetrics]) -> dict[str, float]:
    """The means of the figures over cases, by the names of `CASE_METRICS`, and `missed`, classes missed in total.

    Raises:
      ValueError: there is no case.
    """
    if not found:
        raise ValueError("No case has a right mask, so there is nothing to compare with.")
    means = {name: float(np.mean([metrics.mean[name] for metrics in found.values()])) for name in CASE_METRICS}
    return means | {"missed": float(sum(metrics.missed for metrics in found.values()))}


def _checked_spacing(spacing: Sequence[float], rank: int) -> npt.NDArray[np.float64]:
    steps = np.asarray(spacing, np.float64)
    if steps.shape != (rank,) or not (np.isfinite(steps) & (steps > 0)).all():
        raise ValueError(f"The spacing must be {rank} positive numbers of mm, not {tuple(spacing)}.")
    return steps
