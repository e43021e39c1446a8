"""Phantoms: cases that are drawn, so that segmentation experiments need no patient's data.

A case is a stack of slices through an organ, a dented ellipsoid with a darker core, among other ellipsoids of similar
grey. Voxels at borders are mixtures (partial volume), tissues have texture, coil sensitivity varies smoothly over the
field of view (bias field), and the noise is that of magnitude images. Everything follows from (seed, case).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data import seeding
from data.segmentation import scanner
from data.segmentation.dataset import MaskSet, Volume, joined

FIELD_OF_VIEW = 72.0  # mm, both directions of a slice
THICKNESS = 3.0  # mm between slices where a case has `NUM_SLICES`
NUM_SLICES = 20
Array = npt.NDArray[np.float32]
Point = npt.NDArray[np.float64]


def cases(names: list[str], *, size: int, num_slices: int, seed: int) -> MaskSet:
    """Returns the slices of the phantoms of these names.

    Args:
      names: a phantom follows from the seed and its name.
      size: side of the slices in pixels, at least 16.
      num_slices: most slices of a case, at least 4; a case has three quarters of them or more.
      seed: 0 or more.

    Raises:
      ValueError: a size or number of slices that is too small.
    """
    if size < 16:
        raise ValueError(f"Phantoms need slices of at least 16 x 16 pixels, not {size}.")
    if num_slices < 4:
        raise ValueError(f"Phantoms need at least 4 slices a case, not {num_slices}.")
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return joined(list(pool.map(lambda name: _case(name, size, num_slices, seed), names)))


def _case(name: str, size: int, num_slices: int, seed: int) -> MaskSet:
    random = seeding.generator(seed, f"phantom {name}")
    depth = int(random.integers(-(-3 * num_slices // 4), num_slices + 1))
    spacing = (THICKNESS * NUM_SLICES / num_slices, FIELD_OF_VIEW / size, FIELD_OF_VIEW / size)
    z, y, x = (
        ((np.arange(n, dtype=np.float32) - (n - 1) / 2) * step).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, step) in enumerate(zip((depth, size, size), spacing, strict=True))
    )
    extent = depth * spacing[0]

    def ellipsoid(centre: npt.ArrayLike, radii: npt.ArrayLike, dents: float = 0.0) -> Array:
        """Share of each voxel that an ellipsoid turned about z fills, float32 [depth, size, size]."""
        turn = random.uniform(-0.4, 0.4)
        (cz, cy, cx), (rz, ry, rx) = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
        u = (np.cos(turn) * (x - cx) + np.sin(turn) * (y - cy)) / rx
        v = (np.cos(turn) * (y - cy) - np.sin(turn) * (x - cx)) / ry
        radius = np.sqrt(u**2 + v**2 + ((z - cz) / rz) ** 2)
        if dents:
            angle = np.arctan2(v, u)
            waves = [random.normal() * np.cos(k * angle + random.uniform(0, 2 * np.pi)) / k for k in (2, 3, 4, 5)]
            # Dents vanish towards the poles, where a slice would fall to pieces otherwise.
            radius = radius * (1 + np.float32(dents) * np.hypot(u, v) / (radius + 1e-6) * np.sum(waves, axis=0))
        border = (radius - 1) * (rx + ry) / 2 / spacing[1]  # about the distance from the border in pixels
        return np.clip(0.5 - border / 2, 0, 1).astype(np.float32)

    def beside(down: float, right: float) -> Point:
        return middle + np.array([0.0, down, right])

    middle = np.array([random.uniform(-0.08, 0.08) * extent, *random.uniform(-8, 8, 2)])
    radii = np.array([random.uniform(0.36, 0.46) * extent, random.uniform(14, 19), random.uniform(17, 24)])
    organ = ellipsoid(middle, radii, dents=0.06)
    core = ellipsoid(beside(-2, 0), radii * random.uniform(0.45, 0.65)) * organ
    grey = np.broadcast_to(np.float32(0.40), organ.shape).copy()
    others = [
        (beside(-radii[1] - 13, random.uniform(-5, 5)), (0.6 * extent, 11, 17), random.uniform(0.60, 0.80)),
        (beside(radii[1] + 11, random.uniform(-5, 5)), (2 * extent, 10, 12), random.uniform(0.15, 0.30)),
        *(
            (beside(random.uniform(-10, 10), side * (radii[2] + random.uniform(10, 16))),
             (extent, random.uniform(7, 13), random.uniform(7, 10)), random.uniform(0.40, 0.60))
            for side in (-1, 1)
        ),
    ]  # fmt: skip
    for centre, other_radii, brightness in others:
        share = ellipsoid(centre, other_radii, dents=0.05)
        grey += share * (np.float32(brightness) - grey)
    for share, brightness in ((organ, random.uniform(0.54, 0.64)), (core, random.uniform(0.44, 0.52))):
        grey += share * (np.float32(brightness) - grey)

    smooth = 1.5 * size / 144
    texture = ndimage.gaussian_filter(random.standard_normal(organ.shape, np.float32), (0, smooth, smooth))
    grey *= 1 + np.float32(0.10) / max(float(texture.std()), 1e-6) * texture
    grey *= scanner.sensitivity(random, z / (extent / 2), y / (FIELD_OF_VIEW / 2), x / (FIELD_OF_VIEW / 2))
    masks = (organ > 0.5).astype(np.uint8)
    return MaskSet(
        scanner.to_bytes(scanner.magnitude(random, grey, 0.035))[..., np.newaxis],
        masks,
        masks,
        (name,) * depth,
        np.arange(depth, dtype=np.int64),
        tuple(f"{name}/{number:03d}" for number in range(depth)),
        {name: Volume((depth, size, size), spacing, masks)},
    )
