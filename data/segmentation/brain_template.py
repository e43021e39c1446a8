"""Slices of a real brain: the MNI152 template with its grey and white matter, which nilearn brings along.

Subjects are simulated: the template is scaled, turned and bent by a smooth random warp, and its contrast, the coil's
sensitivity and the noise are drawn. A case has slices of one direction; directions take turns from case to case:
axial, coronal, sagittal. Everything follows from (seed, case), and nothing is downloaded.

The template: Fonov et al., "Unbiased nonlinear average age-appropriate brain templates from birth to adulthood"
(NeuroImage 47, 2009), ICBM 152 nonlinear symmetric 2009a.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data import seeding
from data.segmentation import scanner
from data.segmentation.dataset import MaskSet, Volume, joined

NUM_SLICES = 16
FIELD_OF_VIEW = 200.0  # mm
COVERED = 0.70  # of the brain's extent across the slices
STRUCTURES: dict[str, tuple[str, ...]] = {
    "grey_matter": ("background", "grey matter"),
    "grey_and_white_matter": ("background", "grey matter", "white matter"),
}
DIRECTIONS = ("axial", "coronal", "sagittal")
# Axes of the template (x to the right, y to the front, z to the top) that run across, down and along a slice's rows.
_AXES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
_GRID = 7  # points of the warp along each axis
Array = npt.NDArray[np.float32]


def cases(names: list[str], *, size: int, num_slices: int, seed: int, structures: str = "grey_matter") -> MaskSet:
    """Returns the slices of simulated subjects.

    Args:
      names: a subject follows from the seed and its name; "-axial" and so on is added to it.
      size: side of the slices in pixels, at least 16.
      num_slices: slices of a case, at least 2.
      seed: 0 or more.
      structures: a key of `STRUCTURES`, what the classes are.

    Raises:
      ValueError: a size or number of slices that is too small, or unknown structures.
      ModuleNotFoundError: nilearn is not installed.
    """
    if size < 16 or num_slices < 2:
        raise ValueError(
            f"brain_template needs at least 2 slices of at least 16 x 16 pixels, not {num_slices} of {size} x {size}."
        )
    if structures not in STRUCTURES:
        raise ValueError(f"There are no structures {structures!r}; possible are {', '.join(STRUCTURES)}.")
    template()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        made = pool.map(
            lambda position, name: _case(position, name, size, num_slices, seed, structures), range(len(names)), names
        )
        return joined(list(made))


@cache
def template() -> tuple[Array, Array, Array]:
    """Returns the T1 image, grey matter and white matter, each float32 [197, 233, 189] of 1 mm from 0 to 1.

    Raises:
      ModuleNotFoundError: nilearn is not installed.
    """
    try:
        from nilearn import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "brain_template comes with the package nilearn; install it with: pip install nilearn"
        ) from error
    images: list[Any] = [
        datasets.load_mni152_template(resolution=1),
        datasets.load_mni152_gm_template(resolution=1),
        datasets.load_mni152_wm_template(resolution=1),
    ]
    head, grey, white = (np.ascontiguousarray(image.get_fdata(dtype=np.float32)) for image in images)
    return head, grey, white


def _case(position: int, name: str, size: int, num_slices: int, seed: int, structures: str) -> MaskSet:
    head, grey, white = template()
    direction = DIRECTIONS[position % len(DIRECTIONS)]
    random = seeding.generator(seed, f"brain {name}")
    inside = [np.flatnonzero((head > 0.2).any(tuple(b for b in range(3) if b != a)))[[0, -1]] for a in range(3)]
    middle = np.array([(low + high) / 2 for low, high in inside], np.float32)
    across, down, right = _AXES[direction]
    extent = float(inside[across][1] - inside[across][0]) * COVERED
    spacing = (extent / (num_slices - 1), FIELD_OF_VIEW / size, FIELD_OF_VIEW / size)
    signs = (1, -1, 1)  # rows run from the top or front
    grids = [
        sign * (np.arange(n, dtype=np.float32) - (n - 1) / 2) * step
        for sign, n, step in zip(signs, (num_slices, size, size), spacing, strict=True)
    ]
    points: list[Any] = [0, 0, 0]
    points[across], points[down], points[right] = np.meshgrid(*grids, indexing="ij")
    places = _bent(random, np.stack(points).astype(np.float32)) + middle.reshape(3, 1, 1, 1)

    def at(volume: Array, order: int = 1) -> Array:
        return np.asarray(ndimage.map_coordinates(volume, places, np.float32, order=order, mode="constant"))

    g = at(grey)
    if structures == "grey_matter":
        masks = (g > 0.5).astype(np.uint8)
    else:
        w = at(white)
        masks = np.argmax(np.stack([1 - g - w, g, w]), axis=0).astype(np.uint8)
    signal = np.maximum(at(head), 0) ** np.float32(random.uniform(0.8, 1.3))
    z, y, x = (axis / np.abs(axis).max() for axis in np.meshgrid(*grids, indexing="ij", sparse=True))
    image = scanner.magnitude(random, signal * scanner.sensitivity(random, z, y, x, 0.12), random.uniform(0.02, 0.05))
    case = f"{name}-{direction}"
    return MaskSet(
        scanner.to_bytes(image)[..., np.newaxis],
        masks,
        masks,
        (case,) * num_slices,
        np.arange(num_slices, dtype=np.int64),
        tuple(f"{case}/{number:03d}" for number in range(num_slices)),
        {case: Volume((num_slices, size, size), spacing, masks)},
    )


def _bent(random: np.random.Generator, points: Array) -> Array:
    """Where points [3, ...] in mm from the middle of a subject's brain lie in the template."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(random.normal(0, 4, 3))):
        a, b = (other for other in range(3) if other != axis)
        one = np.eye(3)
        one[[a, b], [a, b]] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        turn = turn @ one
    linear = (turn @ np.diag(1 + random.normal(0, 0.05, 3))).astype(np.float32)
    moved = np.tensordot(linear, points, 1) + random.normal(0, 4, (3, *[1] * (points.ndim - 1))).astype(np.float32)
    # Cubic splines through 4 mm of random displacement every 30 mm; so smooth that every fourth pixel is enough.
    thinned = points[..., ::4, ::4] / np.float32(30) + np.float32((_GRID - 1) / 2)
    for axis in range(3):
        coarse = random.normal(0, 4, (_GRID,) * 3).astype(np.float32)
        bend = ndimage.map_coordinates(coarse, thinned, np.float32, order=3, mode="nearest")
        moved[axis] += ndimage.zoom(bend, [b / a for a, b in zip(bend.shape, moved[axis].shape, strict=True)], order=1)
    return moved
