"""A few samples whose labels are known to be right, set apart from the noisy training data (L2RW sec. 3, L2B sec. 3).

A `CleanSet` is a type of its own: it is no `Split` and no `NoisyLabels`, no function for noisy data takes it, and none
of its images stays in the noisy data. This follows the released codes of both papers, which take the clean images out
of the training set; the L2RW paper itself assumes that they stay in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data import seeding
from data.image_dataset import Split
from data.labels import DiagnosticLabels, NoisyLabels


@dataclass(frozen=True, eq=False)
class CleanSet:
    """Images with right labels, for the methods that are defined with such a set.

    Attributes:
      images: uint8 [k, height, width, channels].
      true_labels: int32 [k].
      ids: int64 [k], position of each image in the source.
    """

    images: npt.NDArray[np.uint8]
    true_labels: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.true_labels)


def positions(
    true_labels: npt.ArrayLike,
    num_classes: int,
    *,
    seed: int,
    examples: int | None = None,
    per_class: int | None = None,
) -> npt.NDArray[np.int64]:
    """Draws which training images form the clean set.

    Args:
      true_labels: int [n].
      num_classes: the classes are 0 to num_classes - 1.
      seed: 0 or more.
      examples: how many in all, drawn at random whatever their class (L2RW); or
      per_class: how many of every class (L2B: 100 on CIFAR-10, 10 on CIFAR-100).

    Returns:
      int64 positions, ascending.

    Raises:
      ValueError: not exactly one of the two numbers, more than there are, or a class without any.
    """
    if (examples is None) == (per_class is None):
        raise ValueError("A clean set is drawn either as a number of examples or as a number per class.")
    labels = np.asarray(true_labels)
    shuffled = seeding.generator(seed, "clean_set").permutation(labels.size)
    if per_class is not None:
        if per_class < 1:
            raise ValueError(f"The clean set has {per_class} images of every class, but needs at least 1.")
        counts = np.bincount(labels, minlength=num_classes)
        if counts.min() < per_class:
            rare = int(np.argmin(counts))
            raise ValueError(
                f"A clean set with {per_class} images of every class was asked for, but class {rare} has only "
                f"{counts[rare]} training images."
            )
        by_class = [shuffled[labels[shuffled] == c][:per_class] for c in range(num_classes)]
        return np.sort(np.concatenate(by_class))
    assert examples is not None
    if not 1 <= examples < labels.size:
        raise ValueError(
            f"A clean set of {examples} images was asked for, but there are {labels.size} training images and at least "
            "one has to stay."
        )
    chosen = shuffled[:examples]
    missing = np.setdiff1d(np.arange(num_classes), labels[chosen])
    if missing.size:
        raise ValueError(
            f"The clean set of {examples} images drawn at random has none of class {missing[0]}: ask for more, or for "
            "a number per class."
        )
    return np.sort(chosen)


def set_apart(split: Split, noisy: NoisyLabels, chosen: npt.ArrayLike) -> tuple[CleanSet, Split, NoisyLabels]:
    """Divides a training set into a clean set and the noisy rest, without overlap.

    Args:
      split: the training images.
      noisy: their given and true labels.
      chosen: positions of the clean set.

    Returns:
      The clean set with its true labels, the other images, and the labels of the other images.

    Raises:
      ValueError: nobody knows the true labels.
    """
    if noisy.clean is None:
        raise ValueError(
            "A clean set needs samples whose labels are known to be right, and nobody knows the true labels of this "
            "data set."
        )
    clean = np.asarray(chosen, np.int64)
    rest = np.setdiff1d(np.arange(len(split)), clean)
    true_labels = noisy.clean.reveal()
    found = CleanSet(split.images[clean], true_labels[clean], split.ids[clean])
    return found, split.take(rest), taken(noisy, rest)


def holdout_positions(n: int, examples: int, *, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draws noisy samples to be kept back for choosing the best step.

    Args:
      n: noisy training images.
      examples: how many are kept back, 1 to n - 1.
      seed: 0 or more.

    Returns:
      int64 positions kept back and int64 positions that stay, both ascending.

    Raises:
      ValueError: as many as there are, or more.
    """
    if not 1 <= examples < n:
        raise ValueError(f"A hold-out of {examples} images was asked for, but it has to be 1 to {n - 1} of {n}.")
    shuffled = seeding.generator(seed, "holdout_of_noisy").permutation(n)
    return np.sort(shuffled[:examples]), np.sort(shuffled[examples:])


def taken(noisy: NoisyLabels, chosen: npt.ArrayLike) -> NoisyLabels:
    """Returns the labels at these positions, given and true ones."""
    rows = np.asarray(chosen, np.int64)
    clean = None if noisy.clean is None else DiagnosticLabels(noisy.clean.reveal()[rows])
    return NoisyLabels(noisy.given[rows], clean, noisy.noise_type, noisy.noise_fraction, noisy.seed)
