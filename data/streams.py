"""Batches of any set of streams over images held in memory, deterministic and resumable at any step.

Batch t is a function of (seed, stage, t) alone: t decides the epoch and the place in it, a keyed permutation gives the
images at that place, stateless random numbers their crops and flips. So a run that starts at step t sees what an
uninterrupted one sees, without going through the steps before. Every stream has random numbers of its own, and so has
every further view of an image; a stream is what it is whatever others stand beside it.

A batch is one flat dict. The stream "given" brings "image" float32 [b, h, w, c] (or [b, k, h, w, c] for k views),
"label" int32 [b], "index" int32 [b] (position in its source), for diagnostics "is_clean" bool [b], and its own values;
every other stream brings the same with its name in front, as in "clean_image".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import auto_augment, batching, seeding, simclr_augment
from data.augmentation import Augmentation, crop_and_flip, standardised
from data.order import GENERATOR, BalancedEpochs, BalancedOrder, EpochOrder, RepeatedOrder, step_numbers

GIVEN = "given"
TRAINING = "training"


class Stream(Protocol):
    """What a stream asks for; ``mentornet.stages.Stream`` says what each part means, and is one."""

    @property
    def positions(self) -> np.ndarray | None: ...

    @property
    def size(self) -> int | None: ...

    @property
    def views(self) -> tuple[str, ...]: ...

    @property
    def values(self) -> Mapping[str, np.ndarray]: ...

    @property
    def source(self) -> str: ...

    @property
    def balanced(self) -> bool | None: ...


@dataclass(frozen=True, eq=False)
class _Whole:
    """The stream of a whole source."""

    source: str
    positions: np.ndarray | None = None
    size: int | None = None
    views: tuple[str, ...] = ("weak",)
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    balanced: bool | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """Where streams take their samples from.

    Attributes:
      images: uint8 [n, h, w, c], or an index of images on the disk (`data.imagenet`).
      labels: integers [n].
      batch_size: samples a step where a stream does not say.
      is_clean: bool [n], for diagnostics; None if the batches shall not say it.
      what: what its samples are called in messages.
    """

    images: Any
    labels: npt.ArrayLike
    batch_size: int
    is_clean: npt.ArrayLike | None = None
    what: str = "training images"


class Orders:
    """Which samples of which source every batch of a stream holds; what all kinds of streams have in common."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        seed: int,
        shard: tuple[int, int] = (0, 1),
        balanced: bool = False,
        balanced_epochs: bool = False,
        most_steps: int | None = None,
    ) -> None:
        """Keeps the settings; see `MemoryStreams`."""
        self.sources, self._seed, self._shard = sources, seed, shard
        self._labels = {name: np.asarray(source.labels, np.int32) for name, source in sources.items()}
        self._balanced, self._balanced_epochs, self._most_steps = balanced, balanced_epochs, most_steps
        for name in sources:  # refuses impossible batches before any work
            self.order(GIVEN, _Whole(name), None)

    def seed(self, name: str, stage: int | None) -> int:
        """The seed of a stream's random numbers; the stream "given" of the run itself has the run's."""
        own = self._seed if stage is None else seeding.key(self._seed, f"stage {stage}")
        return own if name == GIVEN else seeding.key(own, f"{name}_batches")

    def order(self, name: str, stream: Stream, stage: int | None) -> EpochOrder:
        """The order of a stream's samples, counted among those it chooses.

        Raises:
          ValueError: a source there is none of, or batches that are not possible.
        """
        if stream.source not in self.sources:
            raise ValueError(
                f"The method reads a stream of {stream.source!r}, but this data has only {', '.join(self.sources)}."
            )
        source, positions = self.sources[stream.source], chosen(stream)
        labels = self._labels[stream.source]
        count, size = len(labels) if positions is None else len(positions), stream.size or source.batch_size
        seed, most = self.seed(name, stage), self._most_steps
        balanced = self._balanced and stream.source == TRAINING if stream.balanced is None else stream.balanced
        epochs = self._balanced_epochs and stream.source == TRAINING and stream.balanced is None
        if balanced or epochs:
            given = labels if positions is None else labels[positions]
            few, drawn = positions is not None, BalancedEpochs if epochs else BalancedOrder
            return drawn(given, size, seed, self._shard, what=source.what, most_steps=most, may_repeat=few)
        kind = RepeatedOrder if positions is not None and count < size else EpochOrder
        return kind(count, size, seed, self._shard, what=source.what, most_steps=most)


class HostStreams:
    """Streams over arrays that are kept as tensors on the host, once; a kind of them says what views are made of."""

    def __init__(self, orders: Orders, arrays: Mapping[str, Mapping[str, tf.Tensor]]) -> None:
        """Keeps what streams are made of.

        Args:
          orders: which samples a batch holds.
          arrays: by source, tensors [n, ...] by name, "image" among them.
        """
        self._orders, self._arrays = orders, arrays

    def steps(self, stream: Stream) -> int:
        """Returns how many batches one pass over a stream has."""
        return self._orders.order(GIVEN, stream, None).steps_per_epoch

    def dataset(
        self,
        streams: Mapping[str, Stream],
        start_step: int | tf.Tensor = 0,
        num_steps: int | None = None,
        stage: int | None = None,
    ) -> tf.data.Dataset:
        """Returns the batches of steps start_step, start_step + 1, ...

        Args:
          streams: by name.
          start_step: 0 or more; takes the same time whatever it is. An int64 tensor if the batches never end.
          num_steps: how many batches; None never ends.
          stage: gives all random numbers anew; None: those of the run.

        Raises:
          ValueError: a negative number, or streams that cannot be made.
        """
        makers = [self._maker(name, stream, stage) for name, stream in streams.items()]

        def batch(step: tf.Tensor) -> dict[str, tf.Tensor]:
            return {name: value for make in makers for name, value in make(step).items()}

        return batching.parallel(step_numbers(start_step, num_steps), batch)

    def _maker(self, name: str, stream: Stream, stage: int | None) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the function from a step to a stream's part of its batch."""
        order, seed = self._orders.order(name, stream, stage), self._orders.seed(name, stage)
        arrays, positions = self._arrays[stream.source], chosen(stream)
        with tf.device("CPU:0"):
            where = None if positions is None else tf.constant(positions)
            values = {key: tf.constant(array) for key, array in stream.values.items()}
        viewed = self._viewed(stream, order, seed)

        def make(step: tf.Tensor) -> dict[str, tf.Tensor]:
            index = order.indices(step)
            index = index if where is None else tf.gather(where, index)
            batch = {key: tf.gather(array, index) for key, array in {**arrays, **values}.items()}
            return named(name, {**viewed(batch, step), "index": tf.cast(index, tf.int32)})

        return make

    def _viewed(
        self, stream: Stream, order: EpochOrder, seed: int
    ) -> Callable[[dict[str, tf.Tensor], tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the function from the rows of a batch, as they are kept, and its step to what the batch holds."""
        raise NotImplementedError


class MemoryStreams(HostStreams):
    """Streams over images with one label each."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        seed: int,
        augmentation: Augmentation,
        shard: tuple[int, int] = (0, 1),
        balanced: bool = False,
        balanced_epochs: bool = False,
        most_steps: int | None = None,
    ) -> None:
        """Keeps the images.

        Args:
          sources: by name; "training" is one of them.
          seed: 0 or more; of order, crops and flips.
          augmentation: of the views "weak" and "strong"; "simclr" has its flip and standardisation.
          shard: (i, k), i < k: this is worker i of k and gets rows i b/k to (i+1) b/k of every global batch.
          balanced: whether streams of training images that do not say draw every class equally often.
          balanced_epochs: the same, but exactly so in every epoch and without repetition, as far as that goes.
          most_steps: an epoch, which visits no image twice, ends after so many batches; None: when no batch is left.

        Raises:
          ValueError: arrays that do not belong together, more images in a batch than there are, or a batch that k
            workers cannot share equally.
        """
        orders = Orders(
            sources, seed=seed, shard=shard, balanced=balanced, balanced_epochs=balanced_epochs, most_steps=most_steps
        )
        arrays = {
            name: batching.images_on_host(
                source.images,
                label=np.asarray(source.labels, np.int32),
                **({} if source.is_clean is None else {"is_clean": np.asarray(source.is_clean, bool)}),
            )
            for name, source in sources.items()
        }
        super().__init__(orders, arrays)
        self._augmentation = augmentation

    def _viewed(
        self, stream: Stream, order: EpochOrder, seed: int
    ) -> Callable[[dict[str, tf.Tensor], tf.Tensor], dict[str, tf.Tensor]]:
        views = [View(kind, self._augmentation, seed, number, order) for number, kind in enumerate(stream.views)]

        def viewed(batch: dict[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
            return {**batch, "image": stacked([view(batch["image"], step) for view in views])}

        return viewed


class View:
    """One augmented and standardised view of the images of a stream's batches."""

    def __init__(self, kind: str, augmentation: Augmentation, seed: int, number: int, order: EpochOrder) -> None:
        """Derives the view's own random numbers.

        Args:
          kind: "weak", "strong", "simclr" or "none".
          augmentation: what "weak" is.
          seed: of the stream.
          number: which of the stream's views it is.
          order: of the stream's images.
        """
        self._kind, self._augmentation, self._order = kind, augmentation, order
        own = f"pipeline/view {number}" if number else "pipeline"
        self._keys = {purpose: seeding.key(seed, f"{own}/{purpose}") for purpose in ("crop", "flip", kind)}

    def __call__(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns float32 images [b, h, w, c] of uint8 ones, this worker's part of the batch of a step."""
        if self._kind == "simclr":
            images = simclr_augment.distorted(
                images, self._keys[self._kind], step, self._order.rows, flip=self._augmentation.flip
            )
        elif self._kind != "none":
            images = self._cropped_and_flipped(images, step)
        if self._kind == "strong":
            images = auto_augment.strong(images, self._keys[self._kind], step, self._order.rows)
        return standardised(images, self._augmentation.standardise)

    def _cropped_and_flipped(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
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


def chosen(stream: Stream) -> npt.NDArray[np.int64] | None:
    """Returns the positions a stream chooses among its source's, int64 [k]; None for all."""
    if stream.positions is None:
        return None
    positions = np.asarray(stream.positions)
    return np.flatnonzero(positions) if positions.dtype == bool else positions.astype(np.int64)


def stacked(views: list[tf.Tensor]) -> tf.Tensor:
    """Returns the only view [b, h, w, c], or k views as [b, k, h, w, c]."""
    return views[0] if len(views) == 1 else tf.stack(views, axis=1)


def named(stream: str, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns a stream's part of a batch by the names it has there."""
    return dict(batch) if stream == GIVEN else {f"{stream}_{name}": value for name, value in batch.items()}
