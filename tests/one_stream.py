"""The batches of one stream of all samples, for tests that need batches and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data.augmentation import Augmentation
from data.streams import GIVEN, TRAINING, MemoryStreams, Source
from mentornet.stages import Stream

UNTOUCHED = Augmentation(standardise="none")


class OneStream:
    """The stream "given" over images in memory.

    Args:
      images: uint8 [n, h, w, c].
      labels: integers [n].
      is_clean: bool [n], or None for batches that don't say it.
      batch_size: samples a step.
      seed: of order, crops and flips.
      augmentation: of the images.
      **options: shard, balanced, most_steps; see `data.streams.MemoryStreams`.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.ArrayLike,
        is_clean: npt.ArrayLike | None = None,
        *,
        batch_size: int,
        seed: int = 0,
        augmentation: Augmentation = UNTOUCHED,
        **options: Any,
    ) -> None:
        source = Source(images, labels, batch_size, is_clean)
        self.source = MemoryStreams({TRAINING: source}, seed=seed, augmentation=augmentation, **options)
        self.streams = {GIVEN: Stream()}

    @property
    def steps_per_epoch(self) -> int:
        return self.source.steps(self.streams[GIVEN])

    def dataset(self, start_step: int | tf.Tensor = 0, num_steps: int | None = None) -> tf.data.Dataset:
        """The batches of steps start_step, start_step + 1, ...; None never ends."""
        return self.source.dataset(self.streams, start_step, num_steps)


def collected(dataset: tf.data.Dataset) -> list[dict[str, np.ndarray]]:
    """All batches as arrays."""
    return list(dataset.as_numpy_iterator())


def assert_equal_batches(first: list[dict[str, np.ndarray]], second: list[dict[str, np.ndarray]]) -> None:
    """As many batches with the same names and values."""
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
