"""The in-memory form that every data source is turned into: two splits of uint8 images with integer labels.

Images stay uint8 from here to the input pipeline, which converts one batch at a time. A `CleanSet` is a type of its
own: it is no `Split`, so no function for noisy data takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from data import seeding


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split with their labels; the arrays are read-only.

    Attributes:
      images: uint8 [n, height, width, channels].
      labels: int32 [n], the class numbers the source gives.
      ids: int64 [n], the position of each image in the source, without repetition. CIFAR: the original index.
      paths: n paths relative to the data folder, for sources made of image files; else None.
      labels_are_true: whether the source's labels count as the truth. False for people's own folders, whose
        labels may be the very ones that are suspected.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int64]
    paths: tuple[str, ...] | None = None
    labels_are_true: bool = True

    def __post_init__(self) -> None:
        sizes = {len(self.images), len(self.labels), len(self.ids)}
        if self.paths is not None:
            sizes.add(len(self.paths))
        if len(sizes) != 1:
            raise ValueError(f"Images, labels, ids and paths of one split have different lengths: {sorted(sizes)}.")
        for name, dtype, rank in (("images", np.uint8, 4), ("labels", np.int32, 1), ("ids", np.int64, 1)):
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != rank:
                raise ValueError(
                    f"{name} must be {np.dtype(dtype)} of rank {rank}, not {array.dtype} of shape {array.shape}."
                )
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: npt.ArrayLike) -> Split:
        """Returns the split made of the images at these positions (integers in [0, n)), in the order given."""
        chosen = np.asarray(positions, np.int64)
        paths = None if self.paths is None else tuple(self.paths[i] for i in chosen)
        return Split(self.images[chosen], self.labels[chosen], self.ids[chosen], paths, self.labels_are_true)

    def paths_at(self, positions: npt.ArrayLike) -> list[str] | None:
        """Returns the paths of the images at these positions, as in `paths`; None if they have none."""
        return None if self.paths is None else [self.paths[i] for i in np.asarray(positions, np.int64)]


@dataclass(frozen=True, eq=False)
class CleanSet:
    """Images with right labels, for the methods that are defined with such a set (L2RW sec. 3, L2B sec. 3).

    Attributes:
      images: uint8 [k, height, width, channels].
      true_labels: int32 [k].
      ids: int64 [k], position of each image among the training images of the source, or, of a part of the source that
        was checked as a whole, in that part.
    """

    images: npt.NDArray[np.uint8]
    true_labels: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.true_labels)

    def take(self, positions: npt.ArrayLike) -> CleanSet:
        """Returns the clean set made of the images at these positions (integers in [0, k)), in the order given."""
        chosen = np.asarray(positions, np.int64)
        return CleanSet(self.images[chosen], self.true_labels[chosen], self.ids[chosen])


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A training and a test split over the same classes.

    Attributes:
      name: under which `data.datasets.load` finds it.
      train: images to learn from.
      test: images to evaluate on; their labels are taken as correct unless its `labels_are_true` is False.
      class_names: the name of class c at position c.
      clean: images apart from both whose labels people checked; None if the source has none.
      notes: what a person should know of how it was read, a sentence each.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    clean: CleanSet | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for which, split in (("training", self.train), ("test", self.test)):
            if not len(split):
                raise ValueError(f"The data set {self.name} has no {which} images.")
            if split.labels.min() < 0 or split.labels.max() >= self.num_classes:
                raise ValueError(
                    f"The data set {self.name} has {self.num_classes} classes, but its {which} labels are "
                    f"{split.labels.min()} to {split.labels.max()}."
                )
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise ValueError(
                f"The data set {self.name} has training images of shape {self.train.images.shape[1:]} but test images "
                f"of shape {self.test.images.shape[1:]}."
            )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def stratified_holdout(
    labels: npt.ArrayLike, every: int, *, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Divides positions in two so that every class gives the second part 1/every of its images.

    The images, sorted by class and in random order within a class, are counted off: one in `every` is held out,
    so each class contributes its exact share rounded up or down.

    Args:
      labels: [n] integers.
      every: at least 2.
      seed: 0 or more.

    Returns:
      int64 positions kept and int64 positions held out (ceil(n / every) of them), both ascending.
    """
    classes = np.asarray(labels)
    shuffled = seeding.generator(seed, "holdout").permutation(classes.size)
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    held_out = np.zeros(classes.size, bool)
    held_out[by_class[::every]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def resized(image: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """Returns the image as uint8 [size, size, channels], squeezed to a square by anti-aliased bilinear filtering.

    Args:
      image: in mode L (one channel) or RGB (three).
      size: the side in pixels, at least 1.
    """
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.uint8)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def resized_all(images: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Returns uint8 [n, size, size, c] from n images [height, width, c] with c = 1 or 3; see `resized`."""
    return np.stack(
        [resized(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), size) for image in images]
    )
