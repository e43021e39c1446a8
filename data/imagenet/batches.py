"""Batches of images that are read and decoded as they are needed, deterministic and resumable at any step.

The same contract as `data.pipeline`: batch t is a function of (seed, t) alone, "image" float32 [b, size, size, 3] in
[-1, 1], "label" int32 [b], "index" int32 [b] (position in the index passed here) and, in training, "is_clean" bool [b].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import batching, seeding
from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Preprocessing
from data.imagenet.reader import Reader
from data.imagenet.unreadable import UnreadableLog
from data.order import GENERATOR, EpochOrder

_CHUNK = 32  # at most so many images are decoded as one element; larger batches are put together from several
_SPARE = 16  # images that are tried in place of one that fails; if they all fail too, the data is gone


class StreamingBatches:
    """Shuffled, augmented batches of images on the disk, in the order of `order.EpochOrder`."""

    def __init__(
        self,
        index: ImageIndex,
        labels: npt.ArrayLike,
        is_clean: npt.ArrayLike,
        *,
        batch_size: int,
        seed: int,
        preprocessing: Preprocessing,
        unreadable: UnreadableLog,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """Keeps names, places and labels as tensors on the host.

        Args:
          index: n training images.
          labels: integers [n], the labels to train on.
          is_clean: bool [n], for diagnostics.
          batch_size: b, images in a global batch, 1 to n.
          seed: 0 or more; of order, distortions and replacements.
          preprocessing: what happens to the images.
          unreadable: where images that cannot be read are noted.
          shard: (i, k), i < k: this is worker i of k and gets rows i b/k to (i+1) b/k of every global batch.

        Raises:
          ValueError: arrays of another length, more images in a batch than there are, or a batch that k workers
            cannot share equally.
        """
        self._order = EpochOrder(len(index), batch_size, seed, shard)
        self._reader = Reader(index, preprocessing, unreadable)
        self._arrays = batching.on_host(
            len(index), label=np.asarray(labels, np.int32), is_clean=np.asarray(is_clean, np.bool_)
        )
        self._keys = {purpose: seeding.key(seed, f"imagenet/{purpose}") for purpose in ("distort", "replace")}

    @property
    def num_examples(self) -> int:
        return self._order.num_examples

    @property
    def steps_per_epoch(self) -> int:
        return self._order.steps_per_epoch

    def dataset(self, start_step: int = 0, num_steps: int | None = None) -> tf.data.Dataset:
        """Returns the batches of steps start_step, start_step + 1, ...

        Args:
          start_step: 0 or more; takes the same time whatever it is.
          num_steps: how many batches; None never ends.

        Raises:
          ValueError: a negative number.
        """
        rows = self._rows
        chunk = _largest_divisor(rows)
        starts = self._order.steps(start_step, num_steps).flat_map(
            lambda step: tf.data.Dataset.range(step * rows, (step + 1) * rows, chunk)
        )
        chunks = self._reader.images(starts, chunk, self._positions, self._seeds, self._spare)
        return batching.in_order(_joined(chunks, rows // chunk, whole=True).map(self._completed), ahead=2)

    @property
    def _rows(self) -> int:
        """How many images of every global batch are this worker's."""
        return self._order.rows.stop - self._order.rows.start

    def _row(self, numbers: tf.Tensor) -> tf.Tensor:
        """Numbers among this worker's images -> those among all workers'."""
        return numbers // self._rows * self._order.batch_size + self._order.rows.start + numbers % self._rows

    def _positions(self, numbers: tf.Tensor) -> tf.Tensor:
        """The numbers of images of one batch -> their positions in the index."""
        return self._order.index(numbers[0] // self._rows, numbers % self._rows)

    def _seeds(self, numbers: tf.Tensor) -> tf.Tensor:
        rows = self._row(numbers)
        return tf.stack([tf.fill(tf.shape(rows), tf.constant(self._keys["distort"], tf.int64)), rows], axis=1)

    def _spare(self, number: tf.Tensor) -> tf.Tensor:
        """int64 [_SPARE]: positions to try if the image of this number fails."""
        seed = [self._keys["replace"], self._row(number)]
        return tf.random.stateless_uniform([_SPARE], seed, 0, self.num_examples, tf.int64, alg=GENERATOR)

    def _completed(self, image: tf.Tensor, index: tf.Tensor) -> dict[str, tf.Tensor]:
        gone = f"{_SPARE} images in a row cannot be read: is the folder with the images still there?"
        with tf.control_dependencies([tf.debugging.assert_non_negative(index, gone)]):
            index = tf.identity(index)
        values = {name: tf.gather(array, index) for name, array in self._arrays.items()}
        return {"image": image, "index": tf.cast(index, tf.int32), **values}


def evaluation_batches(
    index: ImageIndex, labels: npt.ArrayLike, batch_size: int, image_size: int, unreadable: UnreadableLog
) -> tf.data.Dataset:
    """Returns all images once, in order, not augmented; the last batch may be smaller.

    Args:
      index: n images; one that cannot be read is shown as a grey picture.
      labels: integers [n].
      batch_size: at least 1.
      image_size: side in pixels.
      unreadable: where images that cannot be read are noted.

    Returns:
      Batches of "image", "label" and "index".

    Raises:
      ValueError: arrays of another length, or a batch size below 1.
    """
    batching.refuse_empty_batches(batch_size)
    given = batching.on_host(len(index), label=np.asarray(labels, np.int32))["label"]
    n, chunk = len(index), _largest_divisor(batch_size)

    def positions(numbers: tf.Tensor) -> tf.Tensor:
        # The last chunk is filled up with copies of the last image, which are cut off below.
        return tf.minimum(numbers, n - 1)

    def completed(number: tf.Tensor, images: tf.Tensor) -> dict[str, tf.Tensor]:
        first = number * batch_size
        stop = tf.minimum(first + batch_size, n)
        places = tf.range(first, stop)
        return {"image": images[: stop - first], "label": tf.gather(given, places), "index": tf.cast(places, tf.int32)}

    reader = Reader(index, Preprocessing(image_size, distort=False), unreadable)
    unseeded = tf.zeros([chunk, 2], tf.int64)
    chunks = reader.images(tf.data.Dataset.range(0, n, chunk), chunk, positions, lambda _: unseeded)
    batches = (
        _joined(chunks, batch_size // chunk, whole=False)
        .enumerate()
        .map(lambda number, found: completed(number, found[0]))
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
