"""A few samples whose labels are known to be right, set apart from the noisy training data (L2RW sec. 3, L2B sec. 3).

It is drawn from training images whose true labels are known, or made of images that people checked: those of a file,
or a part of the source of its own. None of its images stays in the noisy data. This follows the released codes of both
papers, which take the clean images out of the training set; the L2RW paper itself assumes that they stay in.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data import checked_labels, seeding
from data.image_dataset import CleanSet, ImageDataset, Split
from data.labels import DiagnosticLabels, NoisyLabels

WAYS = (
    "name checked training images with --clean_labels_file, put checked images of a folder data set into "
    "clean/<class>/ beside train/, or use a method that takes --clean_source=mixture, which needs none"
)


def chosen(
    dataset: ImageDataset,
    train: Split,
    noisy: NoisyLabels,
    *,
    seed: int,
    examples: int | None = None,
    per_class: int | None = None,
    checked_file: str | os.PathLike[str] | None = None,
) -> tuple[CleanSet, Split, NoisyLabels]:
    """Makes the clean set, of checked images where there are any, else of training images with known true labels.

    Args:
      dataset: the source; its `clean` are checked images.
      train: the training images to be used, all of `dataset.train` or some.
      noisy: their labels.
      seed: 0 or more.
      examples: how many in all; or
      per_class: how many of every class. Neither: all checked images.
      checked_file: see `data.checked_labels`; it may name images of `dataset.train` that are not in `train`.

    Returns:
      The clean set, the training images without it, and their labels.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: no known labels to make it of, checked images from both places, a file that does not fit, a class
        without any, more than there are, or all the training images.
    """
    checked = dataset.clean
    if checked_file is not None:
        if checked is not None:
            raise given_twice(checked_file)
        checked = checked_labels.read(checked_file, own_images(dataset), dataset.class_names)
    if checked is None:
        truth = _truth(noisy)
        if examples is None and per_class is None:
            raise ValueError(
                "The size of the clean set is not given and there is no folder clean/<class>/ beside train/: give "
                "--clean_examples or --clean_examples_per_class to draw from the training images, or "
                "--clean_labels_file."
            )
        drawn = positions(truth, dataset.num_classes, seed=seed, examples=examples, per_class=per_class)
        return set_apart(train, noisy, drawn)
    check_classes(checked.true_labels, dataset.class_names)
    clean = checked
    if examples is not None or per_class is not None:
        labels = checked.true_labels
        drawn = positions(labels, dataset.num_classes, seed=seed, examples=examples, per_class=per_class, checked=True)
        clean = checked.take(drawn)
    if checked_file is None:
        return clean, train, noisy
    return clean, *without(clean.ids, train, noisy, checked_file)


def given_twice(checked_file: str | os.PathLike[str]) -> ValueError:
    """The error of checked images from two places."""
    return ValueError(
        f"--clean_labels_file={checked_file} and the folder clean/ beside train/ both give the clean set: leave one of "
        "them out."
    )


def check_classes(checked: npt.ArrayLike, class_names: Sequence[str], first: int = 0) -> None:
    """Refuses checked images, of the true labels [k], that leave out a class from `first` on.

    Raises:
      ValueError: a class without any.
    """
    labels = np.asarray(checked)
    missing = np.setdiff1d(np.arange(first, len(class_names)), labels)
    if missing.size:
        raise ValueError(
            f"None of the checked images ({labels.size}) is of class {missing[0]} ({class_names[missing[0]]}), but a "
            "clean set needs every class."
        )


def without(ids: npt.ArrayLike, train: Any, noisy: NoisyLabels, what: object) -> tuple[Any, NoisyLabels]:
    """The training images (`Split` or `ImageIndex`) and labels without those of a clean set, by their ids.

    Raises:
      ValueError: none would be left; `what` names them all.
    """
    rest = np.flatnonzero(~np.isin(train.ids, ids))
    if not rest.size:
        raise ValueError(f"{what} names all the training images, but at least one has to stay noisy.")
    return train.take(rest), taken(noisy, rest)


def of_checked(
    train: Split, noisy: NoisyLabels, checked: npt.ArrayLike, class_names: Sequence[str]
) -> tuple[CleanSet, Split, NoisyLabels]:
    """Makes the clean set of training images that a person has checked, with the labels they have now.

    Args:
      train: the training images.
      noisy: their labels, corrected.
      checked: int [k], their positions.
      class_names: the name of every class.

    Returns:
      The clean set, the training images without it, and their labels.

    Raises:
      ValueError: a class without any, or all the training images.
    """
    chosen = np.asarray(checked, np.int64)
    check_classes(noisy.given[chosen], class_names)
    clean = CleanSet(train.images[chosen], noisy.given[chosen], train.ids[chosen])
    return clean, *without(clean.ids, train, noisy, "--corrections_file")


def own_images(dataset: ImageDataset) -> Split:
    """All images whose given labels are not known to be right: the training images, and those held out of them."""
    train, test = dataset.train, dataset.test
    if test.labels_are_true:
        return train
    order = np.argsort(np.concatenate([train.ids, test.ids]), kind="stable")
    paths = None if train.paths is None else (*train.paths, *(test.paths or ()))
    images, labels, ids = (
        np.concatenate([getattr(train, name), getattr(test, name)]) for name in ("images", "labels", "ids")
    )
    return Split(images, labels, ids, paths, labels_are_true=False).take(order)


def positions(
    true_labels: npt.ArrayLike,
    num_classes: int,
    *,
    seed: int,
    examples: int | None = None,
    per_class: int | None = None,
    checked: bool = False,
) -> npt.NDArray[np.int64]:
    """Draws which images form the clean set.

    Args:
      true_labels: int [n].
      num_classes: the classes are 0 to num_classes - 1.
      seed: 0 or more.
      examples: how many in all, drawn at random whatever their class (L2RW); or
      per_class: how many of every class (L2B: 100 on CIFAR-10, 10 on CIFAR-100).
      checked: the images are not the training images, of which one at least has to stay, but checked ones.

    Returns:
      int64 positions, ascending.

    Raises:
      ValueError: not exactly one of the two numbers, more than there are, or a class without any.
    """
    if (examples is None) == (per_class is None):
        raise ValueError("A clean set is drawn either as a number of examples or as a number per class.")
    labels = np.asarray(true_labels)
    pool = "checked images" if checked else "training images"
    shuffled = seeding.generator(seed, "clean_set").permutation(labels.size)
    if per_class is not None:
        if per_class < 1:
            raise ValueError(f"The clean set has {per_class} images of every class, but needs at least 1.")
        counts = np.bincount(labels, minlength=num_classes)
        if counts.min() < per_class:
            rare = int(np.argmin(counts))
            raise ValueError(
                f"A clean set with {per_class} images of every class was asked for, but class {rare} has only "
                f"{counts[rare]} {pool}."
            )
        by_class = [shuffled[labels[shuffled] == c][:per_class] for c in range(num_classes)]
        return np.sort(np.concatenate(by_class))
    assert examples is not None
    if not 1 <= examples <= labels.size - (not checked):
        raise ValueError(
            f"A clean set of {examples} images was asked for, but there are {labels.size} {pool}"
            + ("." if checked else " and at least one has to stay.")
        )
    drawn = shuffled[:examples]
    missing = np.setdiff1d(np.arange(num_classes), labels[drawn])
    if missing.size:
        raise ValueError(
            f"The clean set of {examples} images drawn at random has none of class {missing[0]}: ask for more, or for "
            "a number per class."
        )
    return np.sort(drawn)


def set_apart(split: Split, noisy: NoisyLabels, drawn: npt.ArrayLike) -> tuple[CleanSet, Split, NoisyLabels]:
    """Divides a training set into a clean set and the noisy rest, without overlap.

    Args:
      split: the training images.
      noisy: their given and true labels.
      drawn: positions of the clean set.

    Returns:
      The clean set with its true labels, the other images, and the labels of the other images.

    Raises:
      ValueError: nobody knows the true labels.
    """
    true_labels = _truth(noisy)
    clean = np.asarray(drawn, np.int64)
    rest = np.setdiff1d(np.arange(len(split)), clean)
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


def _truth(noisy: NoisyLabels) -> npt.NDArray[np.int32]:
    if noisy.clean is None:
        raise ValueError(
            "A clean set needs samples whose labels are known to be right, and nobody knows the true labels of this "
            f"data set: {WAYS}."
        )
    return noisy.clean.reveal()
