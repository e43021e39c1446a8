"""A clean set of images on the disk, set apart from the noisy data by the rules of `data.clean_set`.

A clean set here is an `ImageIndex` whose labels are the true ones.
"""

from __future__ import annotations

import os

import numpy as np

from data import checked_labels, clean_set
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex
from data.labels import NoisyLabels


def chosen(
    dataset: StreamedDataset,
    train: ImageIndex,
    noisy: NoisyLabels,
    *,
    seed: int,
    examples: int | None = None,
    per_class: int | None = None,
    checked_file: str | os.PathLike[str] | None = None,
) -> tuple[ImageIndex, ImageIndex, NoisyLabels]:
    """Makes the clean set, of checked images where there are any, else of training images with known true labels.

    Args:
      dataset: the source; its `clean` are checked images.
      train: the training images to be used, all of `dataset.train` or some.
      noisy: their labels.
      seed: 0 or more.
      examples: how many in all; or
      per_class: how many of every class. Neither: all checked images.
      checked_file: see `data.checked_labels`.

    Returns:
      The clean set, the training images without it, and their labels.

    Raises:
      FileNotFoundError, ValueError: see `data.clean_set.chosen`.
    """
    first = int(dataset.has_background)  # a class that no image has
    classes = dataset.num_classes - first

    def drawn(labels: np.ndarray, checked: bool) -> np.ndarray:
        return clean_set.positions(
            labels - first, classes, seed=seed, examples=examples, per_class=per_class, checked=checked
        )

    sized = examples is not None or per_class is not None
    checked, outside = dataset.clean, True
    if checked_file is not None:
        if checked is not None and dataset.name == "folder":
            raise clean_set.given_twice(checked_file)
        every = dataset.train
        places, labels = checked_labels.positions_and_labels(
            checked_file, every.ids, every.paths_at(range(len(every))), dataset.class_names
        )
        checked, outside = every.take(places).relabelled(labels), False
    if checked is None:
        if noisy.clean is None:
            raise ValueError(
                "A clean set needs samples whose labels are known to be right, and nobody knows the true labels of "
                f"this data set: {clean_set.WAYS}."
            )
        if not sized:
            raise ValueError("The size of the clean set is not given: give --clean_examples_per_class.")
        truth = noisy.clean.reveal()
        places = drawn(truth, checked=False)
        rest = np.setdiff1d(np.arange(len(train)), places)
        return train.take(places).relabelled(truth[places]), train.take(rest), clean_set.taken(noisy, rest)
    clean_set.check_classes(checked.labels, dataset.class_names, first)
    if sized:
        checked = checked.take(drawn(checked.labels, checked=True))
    if outside:
        return checked, train, noisy
    return checked, *clean_set.without(checked.ids, train, noisy, checked_file)
