"""Batches of noisy samples with a batch of (supposedly) clean ones beside each: "clean_image" and "clean_label".

The two are shuffled and augmented in the same way but from random streams of their own, so the noisy part is what it is
without a clean set, and batch number t is a function of (seed, t) for both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import seeding
from data.augmentation import Augmentation
from data.pipeline import TrainingBatches


class PairedBatches:
    """Noisy and clean batches of one step together."""

    def __init__(
        self,
        noisy: TrainingBatches,
        clean_images: npt.NDArray[np.uint8],
        clean_labels: npt.ArrayLike,
        *,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """Keeps both sources.

        Args:
          noisy: of the noisy batches.
          clean_images: uint8 [k, h, w, c].
          clean_labels: integers [k].
          batch_size: clean images beside each noisy batch, 1 to k.
          seed: of the run; the clean batches derive their own from it.
          augmentation: of the clean images (both papers: the same as in training).
          shard: see `TrainingBatches`.

        Raises:
          ValueError: as `TrainingBatches`.
        """
        self._noisy = noisy
        if len(clean_images) < batch_size:
            raise ValueError(
                f"There are {len(clean_images)} clean images, fewer than the {batch_size} that were asked for beside "
                "each batch."
            )
        self._clean = TrainingBatches(
            clean_images,
            clean_labels,
            np.ones(len(clean_images), bool),
            batch_size=batch_size,
            seed=seeding.key(seed, "clean_batches"),
            augmentation=augmentation,
            shard=shard,
        )

    def dataset(self, start_step: int | tf.Tensor = 0, num_steps: int | None = None) -> tf.data.Dataset:
        """Returns the batches of steps start_step, start_step + 1, ...; see `TrainingBatches.dataset`."""
        pairs = tf.data.Dataset.zip(
            (self._noisy.dataset(start_step, num_steps), self._clean.dataset(start_step, num_steps))
        )
        return pairs.map(_together, num_parallel_calls=1, deterministic=True)


def _together(noisy: dict[str, tf.Tensor], clean: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**noisy, "clean_image": clean["image"], "clean_label": clean["label"]}
