"""Wrong masks, made of right ones (L2B, segmentation experiments; the numbers are those of the authors' code).

A level of L2B turns a slice's mask by up to 20 degrees, erodes or dilates it with a square whose side is drawn, and
half of the time puts the ellipse of its bounding box in its place. A mask of 300 pixels or fewer is given as empty, as
the authors' code does. Sides and the 300 pixels are for slices of 144 x 144 and grow with the size of the slices.
The simple kinds move every border by some pixels, or the whole mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from data import seeding
from data.segmentation.dataset import MaskSet

Mask = npt.NDArray[np.uint8]

# Sides of the square, and the probability of a side up to this one.
LEVELS: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "l1": ((7, 14, 21, 49, 63), (0.05, 0.1, 0.2, 0.6, 1.0)),
    "l2": ((7, 14, 21, 28, 35), (0.1, 0.2, 0.5, 0.7, 1.0)),
    "l3": ((7, 11, 13, 17, 21), (0.4, 0.6, 0.8, 0.9, 1.0)),
}
PAPER_DICE = {"l1": 0.4148, "l2": 0.6206, "l3": 0.8031}  # of the masks against the right ones (tables 5 and 6)
SIMPLE = ("dilate", "erode", "shift")
MOST_TURN = 20  # degrees
FEWEST_PIXELS = 300
SIZE = 144  # of the slices for which sides and pixels are meant
KINDS = "none, l1, l2, l3, l1:SCALE (sides of the squares times SCALE), dilate:PIXELS, erode:PIXELS, shift:PIXELS"


@dataclass(frozen=True)
class MaskNoise:
    """What is done to masks.

    Attributes:
      kind: none, a level, or a simple kind.
      amount: pixels of a simple kind, or what the sides of a level are multiplied with.
    """

    kind: str
    amount: float = 1.0


def parse(text: str) -> MaskNoise:
    """Reads a kind of noise: none, l1, l2:0.5, dilate:3, ...

    Raises:
      ValueError: anything else.
    """
    kind, colon, number = text.strip().lower().partition(":")
    try:
        amount = float(number) if colon else 1.0
    except ValueError:
        amount = math.nan
    known = kind in LEVELS or (kind in SIMPLE and colon) or (kind == "none" and not colon)
    if not known or not 0 < amount < 1000:
        raise ValueError(f"There is no noise of masks {text!r}; possible are {KINDS}.")
    return MaskNoise(kind, amount)


def corrupted(slices: MaskSet, noise: MaskNoise, *, seed: int) -> Mask:
    """Returns the masks of the slices with noise, uint8 [n, height, width]; each follows from (seed, name of slice).

    Where right masks are known, they are what is corrupted.
    """
    right = slices.masks if slices.true_masks is None else slices.true_masks
    if noise.kind == "none":
        return right
    return np.stack([corrupted_mask(mask, noise, seed, name) for mask, name in zip(right, slices.names, strict=True)])


def corrupted_mask(mask: Mask, noise: MaskNoise, seed: int, name: str) -> Mask:
    """Returns one mask of classes, uint8 [height, width], with noise.

    Of several classes each gets its own shape; where they meet, the higher class wins.
    """
    random = seeding.generator(seed, f"mask noise {noise.kind} {name}")
    if noise.kind == "shift":
        angle = random.uniform(0, 2 * np.pi)
        return _shifted(mask, round(noise.amount * np.sin(angle)), round(noise.amount * np.cos(angle)))
    scale = mask.shape[0] / SIZE
    result = np.zeros_like(mask)
    if noise.kind in LEVELS:
        if np.count_nonzero(mask) <= FEWEST_PIXELS * scale**2:
            return result
        turn = int(random.integers(-MOST_TURN, MOST_TURN + 1))
        mask = np.asarray(Image.fromarray(mask).rotate(turn, Image.Resampling.NEAREST))
    for c in range(1, int(mask.max()) + 1):
        own = mask == c
        if noise.kind in SIMPLE:
            own = _moved_border(own, noise.amount if noise.kind == "dilate" else -noise.amount)
        else:
            own = _of_level(own, noise, random, scale)
        result[own] = c
    return result


def _of_level(mask: npt.NDArray[np.bool_], noise: MaskNoise, random: np.random.Generator, scale: float) -> npt.NDArray:
    sides, up_to = LEVELS[noise.kind]
    erode, side_drawn, ellipse = random.random(3)
    side = max(1, round(sides[int(np.searchsorted(up_to, side_drawn, side="right"))] * scale * noise.amount))
    # Beyond the edge of the slice nothing erodes or dilates.
    shape = ndimage.minimum_filter if erode < 0.5 else ndimage.maximum_filter
    changed = shape(mask.astype(np.uint8), side, mode="constant", cval=1 if erode < 0.5 else 0) > 0
    if ellipse < 0.5 and np.count_nonzero(changed) > FEWEST_PIXELS * scale**2:
        return _ellipse_of_box(changed)
    return changed


def _ellipse_of_box(mask: npt.NDArray[np.bool_]) -> npt.NDArray:
    (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0))
    y = (np.arange(mask.shape[0]) - (top + bottom) // 2) / max(1, (bottom - top) // 2)
    x = (np.arange(mask.shape[1]) - (left + right) // 2) / max(1, (right - left) // 2)
    return y[:, np.newaxis] ** 2 + x**2 <= 1


def _moved_border(mask: npt.NDArray[np.bool_], pixels: float) -> npt.NDArray:
    """The mask with its border `pixels` further outside, or inside if negative."""
    if pixels > 0:
        return ndimage.distance_transform_edt(~mask) <= pixels if mask.any() else mask
    inside = np.pad(mask, 1)  # the edge of the slice is a border, too
    return ndimage.distance_transform_edt(inside)[1:-1, 1:-1] > -pixels


def _shifted(mask: Mask, down: int, right: int) -> Mask:
    result = np.zeros_like(mask)
    height, width = mask.shape
    if abs(down) < height and abs(right) < width:
        result[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = mask[
            max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
        ]
    return result


def dice_of_given(slices: MaskSet) -> float | None:
    """Returns the mean over cases of the Dice of given foreground against right, in three dimensions, at slice size.

    None if the right masks are unknown or empty.
    """
    if slices.true_masks is None:
        return None
    given, right = slices.masks > 0, slices.true_masks > 0
    cases = np.array(slices.cases)
    found = []
    for case in sorted(set(slices.cases)):
        own = cases == case
        total = np.count_nonzero(given[own]) + np.count_nonzero(right[own])
        if total:
            found.append(2 * np.count_nonzero(given[own] & right[own]) / total)
    return float(np.mean(found)) if found else None
