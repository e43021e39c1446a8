"""Batches for training and evaluation as tf.data, deterministic and resumable at any step.

Batch number t of a run is a function of (seed, t) alone: t decides the epoch and the place in it, a keyed
permutation gives the images at that place, stateless random numbers their crops and flips. So a run that starts
at step t sees what an uninterrupted one sees, without going through the steps before.

A batch is a dict: "image" float32 [b, h, w, c], "label" int32 [b] (the given one), "index" int32 [b] (position in
the arrays passed here) and, in training, "is_clean" bool [b] for diagnostics.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import seeding
from data.augmentation import AUGMENTATIONS, Augmentation, crop_and_flip, standardised

__all__ = ["AUGMENTATIONS", "Augmentation", "TrainingBatches", "evaluation_batches"]

# tf.random.experimental.index_shuffle runs 4 rounds of its cipher. Then permutations of different epochs are
# visibly correlated (0.08 at 50,000 images); from 12 rounds on, with mixed keys, they are not.
_SHUFFLE_ROUNDS = 16
_GENERATOR = "philox"  # the default would depend on the device


class TrainingBatches:
    """Shuffled, augmented batches of a training set that is held in memory once, as uint8.

    Every epoch visits the images in a new order; the n mod batch_size images left over at its end are skipped, so
    that no image occurs twice in a batch.
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
        worker, workers = shard
        if not 0 <= worker < workers:
            raise ValueError(f"The shard is worker {worker} of {workers}, but workers are counted from 0.")
        if batch_size < 1 or batch_size % workers:
            raise ValueError(f"A batch of {batch_size} images cannot be shared equally by {workers} worker(s).")
        if len(images) < batch_size:
            raise ValueError(
                f"There are {len(images)} training images, fewer than the {batch_size} of one batch; choose a smaller "
                "batch size or more images."
            )
        self._arrays = _on_host(images, label=np.asarray(labels, np.int32), is_clean=np.asarray(is_clean, bool))
        self._batch_size = batch_size
        self._rows = slice(worker * batch_size // workers, (worker + 1) * batch_size // workers)
        self._augmentation = augmentation
        self._keys = {purpose: seeding.key(seed, f"pipeline/{purpose}") for purpose in ("order", "crop", "flip")}

    @property
    def num_examples(self) -> int:
        return int(self._arrays["image"].shape[0])

    @property
    def steps_per_epoch(self) -> int:
        return self.num_examples // self._batch_size

    def dataset(self, start_step: int = 0, num_steps: int | None = None) -> tf.data.Dataset:
        """Returns the batches of steps start_step, start_step + 1, ...

        Args:
          start_step: 0 or more; takes the same time whatever it is.
          num_steps: how many batches; None never ends.

        Raises:
          ValueError: a negative number.
        """
        if start_step < 0 or (num_steps is not None and num_steps < 0):
            raise ValueError(f"Batches from step {start_step}, {num_steps} of them, do not exist.")
        if num_steps is None:
            steps = tf.data.Dataset.counter(start_step)
        else:
            steps = tf.data.Dataset.range(start_step, start_step + num_steps)
        return _parallel(steps, self._batch)

    def _batch(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        index = self._indices(step)
        batch = {name: tf.gather(values, index) for name, values in self._arrays.items()}
        images = self._augmented(batch["image"], step)
        image = standardised(images, self._augmentation.standardise)
        return {**batch, "image": image, "index": tf.cast(index, tf.int32)}

    def _indices(self, step: tf.Tensor) -> tf.Tensor:
        """Returns int64 [rows]: which images this worker's part of batch `step` holds."""
        epoch, step_of_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
        # Keys of the cipher that differ by one give similar permutations, so the epoch is hashed first.
        keys = tf.random.stateless_uniform(
            [3], [self._keys["order"], epoch], minval=None, maxval=None, dtype=tf.int64, alg=_GENERATOR
        )
        places = step_of_epoch * self._batch_size + tf.range(self._rows.start, self._rows.stop, dtype=tf.int64)
        return tf.raw_ops.RandomIndexShuffle(
            index=places, seed=keys, max_index=tf.constant(self.num_examples - 1, tf.int64), rounds=_SHUFFLE_ROUNDS
        )

    def _augmented(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        pad, flip = self._augmentation.pad, self._augmentation.flip
        if not pad and not flip:
            return images
        # Drawn for the global batch, so that an image is treated alike however many workers share it.
        b = self._batch_size
        offsets = tf.random.stateless_uniform(
            [b, 2], [self._keys["crop"], step], minval=0, maxval=2 * pad + 1, dtype=tf.int32, alg=_GENERATOR
        )
        coins = tf.random.stateless_uniform([b], [self._keys["flip"], step], alg=_GENERATOR)
        flipped = tf.logical_and(coins < 0.5, flip)
        return crop_and_flip(images, offsets[self._rows], flipped[self._rows], pad)


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
    if batch_size < 1:
        raise ValueError(f"The batch size is {batch_size}, but it has to be at least 1.")
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
    for name, values in others.items():
        if values.shape != (len(images),):
            raise ValueError(f"There are {len(images)} images, but {name} has the shape {values.shape}.")
    with tf.device("CPU:0"):
        return {name: tf.constant(values) for name, values in {"image": images, **others}.items()}


def _parallel(starts: tf.data.Dataset, make: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> tf.data.Dataset:
    """Makes batches ahead of their use on several threads, in order."""
    options = tf.data.Options()
    options.deterministic = True
    # Workers take their own part of each batch themselves; TensorFlow must not divide it again.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    made = starts.map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return made.prefetch(tf.data.AUTOTUNE).with_options(options)
