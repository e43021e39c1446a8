"""A source of streams whose batches are written down beforehand, for tests that need no data set."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mentornet.stages import Stream, Streams


class FixedStreams:
    """The same batches whatever streams are asked for; a ``mentornet.training.inputs.StreamSource``.

    Args:
        batches: of the steps 0, 1, ...
    """

    def __init__(self, batches: tf.data.Dataset):
        self._batches = batches

    def steps(self, stream: Stream) -> int:
        return int(self._batches.cardinality())

    def dataset(
        self, streams: Streams, start_step: Any, num_steps: int | None, stage: int | None = None
    ) -> tf.data.Dataset:
        return self._batches.skip(start_step).take(-1 if num_steps is None else num_steps)
