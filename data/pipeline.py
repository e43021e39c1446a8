"""Batches for training and evaluation as tf.data, deterministic and resumable at any step.

Batch number t of a run is a function of (seed, t) alone: t decides the epoch and the place in it, a keyed
permutation gives the images at that place, stateless random numbers their crops and flips. So a run that starts
at step t sees what an uninterrupted one sees, without going through the steps before.

A batch is a dict: "image" float32 [b, h, w, c], "label" int32 [b] (the given one), "index" int32 [b] (position in
the arrays passed here) and, in training, "is_clean" bool [b] for diagnostics.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import batching, seeding
from data.augmentation import AUGMENTATIONS, Augmentation, crop_and_flip, standardised
from data.order import GENERATOR, EpochOrder

__all__ = ["AUGMENTATIONS", "Augmentation", "TrainingBatches", "evaluation_batches"]


class TrainingBatches:
    """Shuffled, augmented batches of a training set that is held in memory once, as uint8.

    Every epoch visits the images in a new order, see `order.EpochOrder`.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.ArrayLike,
        is_clean: npt.ArrayLike,
        *,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """Keeps the training set as tensors on the host.

        Args:
          images: uint8 [n, h, w, c].
          labels: integers [n], the labels to train on.
          is_clean: bool [n], for diagnostics.
          batch_size: b, images in a global batch, 1 to n.
          seed: 0 or more; of order, crops and flips.
          augmentation: what happens to the images.
          shard: (i, k), i < k: this is worker i of k and gets rows i b/k to (i+1) b/k of every global batch.

        Raises:
          ValueError: arrays of different lengths, more images in a batch than there are, or a batch that k workers
            cannot share equally.
        """
        self._order = EpochOrder(len(images), batch_size, seed, shard)
        self._arrays = _on_host(images, label=np.asarray(labels, np.int32), is_clean=np.asarray(is_clean, bool))
        self._augmentation = augmentation
        self._keys = {purpose: seeding.key(seed, f"pipeline/{purpose}") for purpose in ("crop", "flip")}

    @property
    def num_examples(self) -> int:
        return self._order.num_examples

    @property
    def steps_per_epoch(self) -> int:
        return self._order.steps_per_epoch

    def dataset(self, start_step: int | tf.Tensor = 0, num_steps: int | None = None) -> tf.data.Dataset:
        """Returns the batches of steps start_step, start_step + 1, ...

        Args:
          start_step: 0 or more; takes the same time whatever it is. An int64 tensor if the batches never end.
          num_steps: how many batches; None never ends.

        Raises:
          ValueError: a negative number.
        """
        return _parallel(self._order.steps(start_step, num_steps), self._batch)

    def _batch(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        index = self._order.indices(step)
        batch = {name: tf.gather(values, index) for name, values in self._arrays.items()}
        images = self._augmented(batch["image"], step)
        image = standardised(images, self._augmentation.standardise)
        return {**batch, "image": image, "index": tf.cast(index, tf.int32)}

    def _augmented(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        pad, flip = self._augmentation.pad, self._augmentation.flip
        if not pad and not flip:
            return images
        # Drawn for the global batch, so that an image is treated alike however many workers share it.
        b, rows = self._order.batch_size, self._order.rows
        offsets = tf.random.stateless_uniform(
            [b, 2], [self._keys["crop"], step], minval=0, maxval=2 * pad + 1, dtype=tf.int32, alg=GENERATOR
        )
        coins = tf.random.stateless_uniform([b], [self._keys["flip"], step], alg=GENERATOR)
        flipped = tf.logical_and(coins < 0.5, flip)
        return crop_and_flip(images, offsets[rows], flipped[rows], pad)


def evaluation_batches(
    images: npt.NDArray[np.uint8], labels: npt.ArrayLike, batch_size: int, augmentation: Augmentation
) -> tf.data.Dataset:
    """Returns all images once, in order, standardised but not augmented; the last batch may be smaller.

    Args:
      images: uint8 [n, h, w, c].
      labels: integers [n].
      batch_size: at least 1.
      augmentation: whose standardisation is applied.

    Returns:
      Batches of "image", "label" and "index".

    Raises:
      ValueError: arrays of different lengths, or a batch size below 1.
    """
    batching.refuse_empty_batches(batch_size)
    arrays = _on_host(images, label=np.asarray(labels, np.int32))
    n = len(images)

    def batch(start: tf.Tensor) -> dict[str, tf.Tensor]:
        stop = tf.minimum(start + batch_size, n)
        image = standardised(arrays["image"][start:stop], augmentation.standardise)
        return {
            "image": image,
            "label": arrays["label"][start:stop],
            "index": tf.range(tf.cast(start, tf.int32), tf.cast(stop, tf.int32)),
        }

    return _parallel(tf.data.Dataset.range(0, n, batch_size), batch)


def _on_host(images: npt.NDArray[np.uint8], **others: npt.NDArray[np.generic]) -> dict[str, tf.Tensor]:
    """Returns the arrays as tensors in main memory, after checking that they belong together."""
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"Images are uint8 [n, h, w, c], but these are {images.dtype} of shape {images.shape}.")
    with tf.device("CPU:0"):
        return {"image": tf.constant(images), **batching.on_host(len(images), **others)}


def _parallel(starts: tf.data.Dataset, make: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> tf.data.Dataset:
    """Makes batches ahead of their use on several threads, in order."""
    made = starts.map(make, num_parallel_calls=min(16, os.cpu_count() or 1), deterministic=True)
    return batching.in_order(made, ahead=2)
