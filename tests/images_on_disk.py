"""Generated images on the disk and streams over them, for the tests of data.imagenet.batches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.imagenet import sources
from data.imagenet.batches import DiskStreams
from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Preprocessing, preprocessed
from data.imagenet.unreadable import UnreadableLog
from data.streams import GIVEN, TRAINING, Source
from mentornet.stages import Stream
from scripts import make_fake_imagenet as fake

MADE = fake.Made(classes=4, train=20, test=7, width=24, height=20)
SIZE = 12


def train_set(layout: str, folder: Path) -> ImageIndex:
    """The 20 training images of a generated set."""
    fake.WRITERS[layout](folder / "set", MADE)
    name = "imagenet" if layout == "slim" else layout
    return sources.load(name, folder / "set", index_dir=folder).train


def shown(index: ImageIndex, position: int) -> np.ndarray:
    """An image as an evaluation shows it."""
    how = Preprocessing(SIZE, distort=False)
    return preprocessed(tf.constant([index.read(position)]), how, tf.zeros([1, 2], tf.int64))[0].numpy()


def streams_of(images: Mapping[str, ImageIndex], log: UnreadableLog, **options: Any) -> DiskStreams:
    """Streams over sources by name, 4 images a step; every third training label is wrong."""
    size = options.pop("batch_size", 4)
    made = {
        name: Source(index, index.labels, size, np.arange(len(index)) % 3 > 0 if name == TRAINING else None)
        for name, index in images.items()
    }
    return DiskStreams(made, **{"seed": 5, "preprocessing": Preprocessing(SIZE), "unreadable": log, **options})


class _OneStream:
    """The stream "given" over all images."""

    def __init__(self, index: ImageIndex, log: UnreadableLog, **options: Any) -> None:
        self._source = streams_of({TRAINING: index}, log, **options)

    def dataset(self, start_step: int | tf.Tensor = 0, num_steps: int | None = None) -> tf.data.Dataset:
        return self._source.dataset({GIVEN: Stream()}, start_step, num_steps)


def streamed(index: ImageIndex, log: UnreadableLog, **options: Any) -> _OneStream:
    return _OneStream(index, log, **options)


def arrays(dataset: tf.data.Dataset) -> list[dict[str, np.ndarray]]:
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset]


def same(first: list[dict[str, np.ndarray]], second: list[dict[str, np.ndarray]]) -> bool:
    return len(first) == len(second) and all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
        for a, b in zip(first, second, strict=True)
    )


def damage(index: ImageIndex) -> dict[str, Path]:
    """A truncated, a foreign, an empty and a missing file."""
    paths = {kind: index.path(n) for n, kind in ((3, "truncated"), (5, "foreign"), (9, "empty"), (12, "missing"))}
    paths["truncated"].write_bytes(paths["truncated"].read_bytes()[:500])
    paths["foreign"].write_text("no image")
    paths["empty"].write_bytes(b"")
    paths["missing"].unlink()
    return paths
