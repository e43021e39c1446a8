"""Segmentation data by name: slices with a class a pixel, and what is wrong with the masks that were given."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

from data.segmentation import brain_template, mask_folder, noise, phantoms, promise12
from data.segmentation.dataset import MaskSet, SegmentationData, Volume

__all__ = ["NAMES", "OPTIONS", "MaskSet", "SegmentationData", "Volume", "load"]

NAMES = ("promise12", "mask_folder", "phantoms", "brain_template")
GENERATED = ("phantoms", "brain_template")
IMAGE_SIZE = 144
NUM_CASES = (37, 3, 10)
LARGEST_SIZE = 2048

# Which data sets an option of `load` is of, besides those of all.
OPTIONS: dict[str, tuple[str, ...]] = {
    "data_dir": ("promise12", "mask_folder"),
    "num_cases": GENERATED,
    "num_slices": GENERATED,
    "structures": ("brain_template",),
    "mask_values": ("mask_folder",),
    "spacing": ("mask_folder",),
    "cases_from": ("mask_folder",),
}


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    mask_noise: str = "none",
    image_size: int | None = None,
    num_cases: Sequence[int] | None = None,
    num_slices: int | None = None,
    structures: str | None = None,
    mask_values: Sequence[int] | None = None,
    spacing: Sequence[float] | None = None,
    cases_from: str | None = None,
) -> SegmentationData:
    """Loads a segmentation data set.

    Args:
      name: one of `NAMES`.
      data_dir: where the data are; what is generated ignores it.
      seed: of what is generated, held out, and of the noise; 0 or more.
      mask_noise: what is done to the training masks, see `noise.KINDS`. Then the masks without it count as right ones.
      image_size: side of the slices in pixels; None for 144, or for that of a prepared folder.
      num_cases: training, clean and test cases that are generated, None for (37, 3, 10); clean may be 0.
      num_slices: slices of a generated case (a phantom: at most); None for the data set's own.
      structures: of brain_template, what the classes are: grey_matter, or grey_and_white_matter; None for the first.
      mask_values: of mask_folder, the value of class 0, 1, ... in the files; None to see it from them.
      spacing: of mask_folder, (depth, height, width) of a voxel in mm; None for 1.
      cases_from: of mask_folder, what a case is: name, file, or auto; None for auto.

    Raises:
      FileNotFoundError: data that are not there.
      ModuleNotFoundError: a package for reading them that is not installed.
      ValueError: an unknown name, an option of another data set, or data that cannot be used.
    """
    given = locals()
    if name not in NAMES:
        raise ValueError(f"{name!r} is no segmentation data set; there are {', '.join(NAMES)}.")
    for option, sets in OPTIONS.items():
        if option != "data_dir" and given[option] is not None and name not in sets:
            raise ValueError(f"{option} is for {' and '.join(sets)}, not for {name}.")
    kind = noise.parse(mask_noise)
    if image_size is not None and not 1 <= image_size <= LARGEST_SIZE:
        raise ValueError(f"The size of slices must be 1 to {LARGEST_SIZE} pixels, not {image_size}.")
    size = IMAGE_SIZE if image_size is None else image_size
    if name == "phantoms":
        most = phantoms.NUM_SLICES if num_slices is None else num_slices
        data = _generated(
            lambda names: phantoms.cases(names, size=size, num_slices=most, seed=seed),
            num_cases,
            ("background", "organ"),
        )
    elif name == "brain_template":
        number = brain_template.NUM_SLICES if num_slices is None else num_slices
        wanted = structures or "grey_matter"
        data = _generated(
            lambda names: brain_template.cases(names, size=size, num_slices=number, seed=seed, structures=wanted),
            num_cases,
            brain_template.STRUCTURES.get(wanted, ()),
        )
    elif name == "promise12":
        data = promise12.load(data_dir, image_size=image_size)
    else:
        data = mask_folder.load(
            data_dir,
            image_size=size,
            seed=seed,
            mask_values=mask_values,
            spacing=spacing,
            cases_from=cases_from or "auto",
        )
    return _with_noise(data, kind, seed)


def _generated(
    make: Callable[[list[str]], MaskSet], num_cases: Sequence[int] | None, class_names: tuple[str, ...]
) -> SegmentationData:
    counts = tuple(NUM_CASES if num_cases is None else num_cases)
    if len(counts) != 3 or counts[0] < 1 or counts[1] < 0 or counts[2] < 1:
        raise ValueError(
            "The cases to generate are three numbers, training, clean (may be 0) and test cases, such as 37,3,10, not "
            f"{','.join(map(str, counts))}."
        )
    train, clean, test = (
        [f"{part}{number:02d}" for number in range(count)]
        for part, count in zip(("train", "clean", "test"), counts, strict=True)
    )
    return SegmentationData(make(train), make(clean) if clean else None, make(test), class_names)


def _with_noise(data: SegmentationData, kind: noise.MaskNoise, seed: int) -> SegmentationData:
    train, notes = data.train, list(data.notes)
    if kind.kind != "none":
        right = train.masks if train.true_masks is None else train.true_masks
        train = dataclasses.replace(train, masks=noise.corrupted(train, kind, seed=seed), true_masks=right)
    dice = noise.dice_of_given(train)
    if dice is not None:
        notes.append(f"The given masks of the training cases have a Dice of {dice:.4f} with the right ones.")
    return dataclasses.replace(data, train=train, notes=tuple(notes))
