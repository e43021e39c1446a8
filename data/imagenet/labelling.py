"""The labels a run on a streamed data set trains on; slim's background class is no class to be drawn."""

from __future__ import annotations

import os

from data import labels
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex
from data.labels import DiagnosticLabels, NoisyLabels
from data.noise import Variant


def noisy_labels(
    dataset: StreamedDataset,
    train: ImageIndex,
    noise_type: str,
    noise_fraction: float,
    seed: int,
    *,
    variant: Variant = "paper",
    noise_class: int | None = None,
) -> NoisyLabels:
    """Decides the labels, as `labels.corrupt`, of the images to train on.

    Args:
      dataset: says whether there is a background class, which noise neither takes nor gives.
      train: its training images, or some of them.
      noise_type: one of `noise.NOISE_TYPES`.
      noise_fraction: in [0, 1].
      seed: 0 or more.
      variant: see `noise.uniform` and `noise.background`.
      noise_class: what `noise.background` gives, counted as the labels here are.

    Raises:
      ValueError: an argument out of range, or human labels, which do not exist for these data sets.
    """
    first = int(dataset.has_background)
    shifted = train.relabelled(train.labels - first)
    noisy = labels.corrupt(
        shifted,
        noise_type,
        noise_fraction,
        dataset.num_classes - first,
        seed=seed,
        dataset_name=dataset.name,
        variant=variant,
        background_class=None if noise_class is None else noise_class - first,
    )
    if not first:
        return noisy
    clean = None if noisy.clean is None else DiagnosticLabels(noisy.clean.reveal() + first)
    return NoisyLabels(noisy.given + first, clean, noisy.noise_type, noisy.noise_fraction, noisy.seed)


def labels_from_file(dataset: StreamedDataset, train: ImageIndex, path: str | os.PathLike[str]) -> NoisyLabels:
    """Reads the labels, as `labels.from_file`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a file that cannot be read or does not fit the images, or that uses the background class.
    """
    found = labels.from_file(path, train, dataset.num_classes)
    if dataset.has_background and not found.given.all():
        raise ValueError(f"The labels file {path} has the label 0, which is the background class.")
    return found
