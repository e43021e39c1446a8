"""Batches of images that are read and decoded as they are needed, deterministic and resumable at any step.

The same contract as `data.streams`: batch t is a function of (seed, stage, t) alone, with images float32
[b, size, size, 3] (in [-1, 1] after slim's preprocessing) and "index" as the position in the index passed here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import batching, seeding
from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Preprocessing
from data.imagenet.reader import Reader
from data.imagenet.unreadable import UnreadableLog
from data.order import GENERATOR, EpochOrder, step_numbers
from data.streams import GIVEN, Orders, Source, Stream, chosen, named, stacked

_CHUNK = 32  # at most so many images are decoded as one element; larger batches are put together from several
_SPARE = 16  # images that are tried in place of one that fails; if they all fail too, the data is gone
GONE = f"{_SPARE} images in a row cannot be read: is the folder with the images still there, and are they images?"


class DiskStreams:
    """Streams of images on the disk, with the orders of `data.streams`; an image is read once for each of its views."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        seed: int,
        preprocessing: Preprocessing,
        unreadable: UnreadableLog,
        shard: tuple[int, int] = (0, 1),
        balanced: bool = False,
        balanced_epochs: bool = False,
        most_steps: int | None = None,
        undistorted: Collection[str] = (),
    ) -> None:
        """Keeps names, places and labels as tensors on the host.

        Args:
          sources: by name, with an `ImageIndex` as their images; "training" is one of them.
          seed: 0 or more; of order, distortions and replacements.
          preprocessing: what happens to the images of the view "weak".
          unreadable: where images that cannot be read are noted.
          shard: (i, k), i < k: this is worker i of k and gets rows i b/k to (i+1) b/k of every global batch.
          balanced: see `data.streams.MemoryStreams`.
          balanced_epochs: likewise.
          most_steps: likewise.
          undistorted: sources whose images are always treated as in evaluation.

        Raises:
          ValueError: arrays of another length, more images in a batch than there are, or a batch that k workers
            cannot share equally.
        """
        self._orders = Orders(
            sources, seed=seed, shard=shard, balanced=balanced, balanced_epochs=balanced_epochs, most_steps=most_steps
        )
        self._preprocessing, self._unreadable, self._undistorted = preprocessing, unreadable, frozenset(undistorted)
        self._arrays = {
            name: batching.on_host(
                len(source.images),
                label=np.asarray(source.labels, np.int32),
                **({} if source.is_clean is None else {"is_clean": np.asarray(source.is_clean, np.bool_)}),
            )
            for name, source in sources.items()
        }

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
        """Returns the batches of steps start_step, start_step + 1, ...; see `data.streams.MemoryStreams.dataset`.

        Raises:
          ValueError: a negative number, or streams that cannot be made.
        """
        parts = [self._batches(name, stream, start_step, num_steps, stage) for name, stream in streams.items()]
        if len(parts) == 1:
            return batching.in_order(parts[0], ahead=2)
        together = tf.data.Dataset.zip(tuple(parts)).map(
            lambda *batches: {name: value for batch in batches for name, value in batch.items()}
        )
        return batching.in_order(together, ahead=2)

    def _batches(
        self, name: str, stream: Stream, start_step: int | tf.Tensor, num_steps: int | None, stage: int | None
    ) -> tf.data.Dataset:
        """A stream's part of the batches."""
        order, seed = self._orders.order(name, stream, stage), self._orders.seed(name, stage)
        arrays = self._arrays[stream.source]
        with tf.device("CPU:0"):
            values = {key: tf.constant(array) for key, array in stream.values.items()}
        views = []
        for number, kind in enumerate(stream.views):
            if kind in ("strong", "simclr"):
                raise ValueError(f"Views of kind {kind} exist for images in memory, not for those read from the disk.")
            distort = self._preprocessing.distort and kind == "weak" and stream.source not in self._undistorted
            how = replace(self._preprocessing, distort=distort)
            reader = Reader(self._orders.sources[stream.source].images, how, self._unreadable)
            views.append(_View(reader, order, chosen(stream), seed, number).batches(start_step, num_steps))

        def completed(*found: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
            index = found[0][1]
            with tf.control_dependencies([tf.debugging.assert_non_negative(index, GONE)]):
                index = tf.identity(index)
            batch = {key: tf.gather(array, index) for key, array in (arrays | values).items()}
            image = stacked([images for images, _ in found])
            return named(name, {"image": image, "index": tf.cast(index, tf.int32), **batch})

        return tf.data.Dataset.zip(tuple(views)).map(completed)


class _View:
    """One view of a stream's images, batch by batch."""

    def __init__(
        self, reader: Reader, order: EpochOrder, positions: npt.NDArray[np.int64] | None, seed: int, number: int
    ) -> None:
        self._reader, self._order = reader, order
        with tf.device("CPU:0"):
            self._where = None if positions is None else tf.constant(positions)
        distort = f"imagenet/view {number}/distort" if number else "imagenet/distort"
        # All views of an image that cannot be read show the same other image.
        self._keys = {"distort": seeding.key(seed, distort), "replace": seeding.key(seed, "imagenet/replace")}
        self._rows = order.rows.stop - order.rows.start

    def batches(self, start_step: int | tf.Tensor, num_steps: int | None) -> tf.data.Dataset:
        """Pairs of images [rows, size, size, 3] and their positions in the source, int64 [rows]."""
        rows = self._rows
        chunk = _largest_divisor(rows)
        starts = step_numbers(start_step, num_steps).flat_map(
            lambda step: tf.data.Dataset.range(step * rows, (step + 1) * rows, chunk)
        )
        chunks = self._reader.images(starts, chunk, self._positions, self._seeds, self._spare)
        return _joined(chunks, rows // chunk, whole=True)

    def _row(self, numbers: tf.Tensor) -> tf.Tensor:
        """Numbers among this worker's images -> those among all workers'."""
        return numbers // self._rows * self._order.batch_size + self._order.rows.start + numbers % self._rows

    def _chosen(self, index: tf.Tensor) -> tf.Tensor:
        return index if self._where is None else tf.gather(self._where, index)

    def _positions(self, numbers: tf.Tensor) -> tf.Tensor:
        """The numbers of images of one batch -> their positions in the source."""
        return self._chosen(self._order.index(numbers[0] // self._rows, numbers % self._rows))

    def _seeds(self, numbers: tf.Tensor) -> tf.Tensor:
        rows = self._row(numbers)
        return tf.stack([tf.fill(tf.shape(rows), tf.constant(self._keys["distort"], tf.int64)), rows], axis=1)

    def _spare(self, number: tf.Tensor) -> tf.Tensor:
        """int64 [_SPARE]: positions to try if the image of this number fails."""
        seed, count = [self._keys["replace"], self._row(number)], self._order.num_examples
        return self._chosen(tf.random.stateless_uniform([_SPARE], seed, 0, count, tf.int64, alg=GENERATOR))


def evaluation_batches(
    index: ImageIndex,
    labels: npt.ArrayLike,
    batch_size: int,
    image_size: int,
    unreadable: UnreadableLog,
    *,
    marked: bool = False,
    preprocessing: Preprocessing | None = None,
) -> tf.data.Dataset:
    """Returns all images once, in order, not augmented; the last batch may be smaller.

    Args:
      index: n images; one that cannot be read is shown as a grey picture.
      labels: integers [n].
      batch_size: at least 1.
      image_size: side in pixels.
      unreadable: where images that cannot be read are noted.
      marked: say of each image whether it could be read, too.
      preprocessing: of which what it does in evaluation is done; None: slim's.

    Returns:
      Batches of "image", "label" and "index", and "readable", bool [b], if they are marked.

    Raises:
      ValueError: arrays of another length, or a batch size below 1.
    """
    batching.refuse_empty_batches(batch_size)
    given = batching.on_host(len(index), label=np.asarray(labels, np.int32))["label"]
    n, chunk = len(index), _largest_divisor(batch_size)

    def positions(numbers: tf.Tensor) -> tf.Tensor:
        # The last chunk is filled up with copies of the last image, which are cut off below.
        return tf.minimum(numbers, n - 1)

    def completed(number: tf.Tensor, images: tf.Tensor, found: tf.Tensor) -> dict[str, tf.Tensor]:
        first = number * batch_size
        stop = tf.minimum(first + batch_size, n)
        places = tf.range(first, stop)
        batch = {"image": images[: stop - first], "label": tf.gather(given, places), "index": tf.cast(places, tf.int32)}
        return batch | ({"readable": found[: stop - first] >= 0} if marked else {})

    how = replace(preprocessing or Preprocessing(), image_size=image_size, distort=False)
    reader = Reader(index, how, unreadable)
    unseeded = tf.zeros([chunk, 2], tf.int64)
    chunks = reader.images(tf.data.Dataset.range(0, n, chunk), chunk, positions, lambda _: unseeded)
    batches = (
        _joined(chunks, batch_size // chunk, whole=False)
        .enumerate()
        .map(lambda number, found: completed(number, *found))
    )
    # An interleave does not know how many elements it has, but Keras wants to know.
    return batching.in_order(batches.apply(tf.data.experimental.assert_cardinality(-(-n // batch_size))), ahead=2)


def _largest_divisor(rows: int) -> int:
    """The largest number up to _CHUNK that divides the rows."""
    return next(size for size in range(min(_CHUNK, rows), 0, -1) if rows % size == 0)


def _joined(chunks: tf.data.Dataset, count: int, whole: bool) -> tf.data.Dataset:
    """Puts so many chunks one behind the other; unless ``whole``, what is left at the end comes too."""
    if count == 1:
        return chunks

    def flat(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, [count * values.shape[1] if whole else -1, *values.shape[2:]])

    return chunks.batch(count, drop_remainder=whole).map(lambda images, positions: (flat(images), flat(positions)))
