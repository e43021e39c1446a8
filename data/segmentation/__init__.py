"""Segmentation data by name: slices with a class a pixel, and what is wrong with the masks that were given."""

from __future__ import annotations

import os
from collections.abc import Sequence

from data.segmentation import noise, phantoms
from data.segmentation.dataset import MaskSet, SegmentationData, Volume

__all__ = ["NAMES", "MaskSet", "SegmentationData", "Volume", "load"]

NAMES = ("promise12", "mask_folder", "phantoms", "brain_template")
IMAGE_SIZE = 144
NUM_CASES = (37, 3, 10)


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    mask_noise: str = "none",
    image_size: int | None = None,
    num_cases: Sequence[int] | None = None,
    num_slices: int | None = None,
) -> SegmentationData:
    """Loads a segmentation data set.

    Args:
      name: one of `NAMES`.
      data_dir: where the data are; None for what is generated.
      seed: of the phantoms and of the noise.
      mask_noise: what is done to the training masks, see `noise.parse`.
      image_size: side of the slices in pixels; None for 144.
      num_cases: training, clean and test cases that are generated; None for (37, 3, 10).
      num_slices: slices of a generated case; None for the data set's own.

    Raises:
      ValueError: an unknown name or option.
    """
    level = noise.parse(mask_noise)
    size = IMAGE_SIZE if image_size is None else image_size
    if name != "phantoms":
        raise ValueError(f"{name!r} is no segmentation data set; there are {', '.join(NAMES)}.")
    counts = tuple(NUM_CASES if num_cases is None else num_cases)
    parts = [
        phantoms.cases(
            [f"{part}{number:02d}" for number in range(count)],
            size=size,
            num_slices=phantoms.NUM_SLICES if num_slices is None else num_slices,
            seed=seed,
        )
        if count
        else None
        for part, count in zip(("train", "clean", "test"), counts, strict=True)
    ]
    train, clean, test = parts
    assert train is not None
    assert test is not None
    return SegmentationData(
        train.with_masks(noise.corrupted(train, level, seed=seed)), clean, test, ("background", "organ")
    )
