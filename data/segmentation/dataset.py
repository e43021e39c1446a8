"""Slices with a class a pixel: what every source of segmentation data is turned into (L2B, segmentation experiments).

A data set has the slices to learn from with the masks that were given, which may be wrong, a few slices whose masks are
right (the meta set of L2RW and L2B), and test cases. Metrics in three dimensions are taken at the original size of a
case, which its `Volume` keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Volume:
    """A case as it was before its slices were resized.

    Attributes:
      shape: (depth, height, width) in voxels.
      spacing: distance of neighbouring voxels along these axes in mm; 1 where the source doesn't say.
      mask: the right classes, uint8 [depth, height, width]; None if unknown.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    mask: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class MaskSet:
    """Slices of some cases; the arrays are read-only.

    Attributes:
      images: uint8 [n, height, width, channels].
      masks: uint8 [n, height, width], the class of every pixel as given.
      true_masks: likewise, the right ones, for measuring alone; None if unknown.
      cases: the case of each slice, n names.
      slices: int64 [n], position of each slice along the depth of its volume, 0 to depth - 1.
      names: n names of slices that occur once, such as their files.
      volumes: the volume of every case.
    """

    images: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    true_masks: npt.NDArray[np.uint8] | None
    cases: tuple[str, ...]
    slices: npt.NDArray[np.int64]
    names: tuple[str, ...]
    volumes: Mapping[str, Volume]

    def __post_init__(self) -> None:
        lengths = {len(self.images), len(self.masks), len(self.cases), len(self.slices), len(self.names)}
        if len(lengths) != 1:
            raise ValueError(f"Images, masks, cases, slices and names have different lengths: {sorted(lengths)}.")
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(f"Images must be uint8 of rank 4, not {self.images.dtype} of shape {self.images.shape}.")
        for name in ("masks", "true_masks"):
            array = getattr(self, name)
            if array is not None and (array.dtype != np.uint8 or array.shape != self.images.shape[:3]):
                raise ValueError(
                    f"{name} must be uint8 of shape {self.images.shape[:3]}, not {array.dtype} of shape {array.shape}."
                )
        missing = sorted(set(self.cases) - set(self.volumes))
        if missing:
            raise ValueError(f"There is no volume of the case {missing[0]}.")
        for name in ("images", "masks", "true_masks", "slices"):
            if getattr(self, name) is not None:
                view = getattr(self, name).view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, positions: npt.ArrayLike) -> MaskSet:
        """Returns the set of the slices at these positions (integers in [0, n)), in the order given."""
        chosen = np.asarray(positions, np.int64)
        cases = tuple(self.cases[i] for i in chosen)
        return MaskSet(
            self.images[chosen],
            self.masks[chosen],
            None if self.true_masks is None else self.true_masks[chosen],
            cases,
            self.slices[chosen],
            tuple(self.names[i] for i in chosen),
            {case: self.volumes[case] for case in sorted(set(cases))},
        )

    def with_masks(self, masks: npt.NDArray[np.uint8]) -> MaskSet:
        """Returns the same slices with other given masks, uint8 [n, height, width]."""
        return MaskSet(self.images, masks, self.true_masks, self.cases, self.slices, self.names, self.volumes)


def joined(parts: list[MaskSet]) -> MaskSet:
    """Returns the slices of several sets of one image shape, in order."""
    known = all(part.true_masks is not None for part in parts)
    return MaskSet(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.masks for part in parts]),
        np.concatenate([part.true_masks for part in parts if part.true_masks is not None]) if known else None,
        tuple(case for part in parts for case in part.cases),
        np.concatenate([part.slices for part in parts]),
        tuple(name for part in parts for name in part.names),
        {case: volume for part in parts for case, volume in part.volumes.items()},
    )


@dataclass(frozen=True, eq=False)
class SegmentationData:
    """Training, clean and test slices over the same classes.

    Attributes:
      train: slices to learn from, with the given masks.
      clean: slices of other cases whose masks are right; None if the source has none.
      test: slices to evaluate on, with right masks.
      class_names: the name of class c at position c; class 0 is the background.
      notes: sentences about what was decided while reading, for the log of a run.
    """

    train: MaskSet
    clean: MaskSet | None
    test: MaskSet
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels
