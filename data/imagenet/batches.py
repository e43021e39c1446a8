"""Batches of images that are read and decoded as they are needed, deterministic and resumable at any step.

The same contract as `data.pipeline`: batch t is a function of (seed, t) alone, "image" float32 [b, size, size, 3] in
[-1, 1], "label" int32 [b], "index" int32 [b] (position in the index passed here) and, in training, "is_clean" bool [b].
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import seeding
from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Preprocessing, evaluation_image, training_image
from data.imagenet.reader import Reader
from data.imagenet.unreadable import UnreadableLog
from data.order import GENERATOR, EpochOrder

_CHUNK = 8  # images decoded one after the other by one thread
_SPARE = 16  # images a chunk may try instead of those that fail; if they all fail too, the data is gone


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
        self._reader = Reader(index, preprocessing.image_size, unreadable)
        self._labels = _on_host(index, labels, np.int32)
        self._is_clean = _on_host(index, is_clean, np.bool_)
        self._preprocessing = preprocessing
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
        rows = self._order.rows.stop - self._order.rows.start
        first = tf.cast(start_step, tf.int64) * rows
        chunk = math.gcd(_CHUNK, rows)  # whole chunks in every batch, so that workers replace what one device would
        chunks = self._order.steps(start_step, num_steps).flat_map(
            lambda step: tf.data.Dataset.range(step * rows, (step + 1) * rows, chunk)
        )
        images = self._reader.images(chunks, chunk, first, self._position, self._decoded, self._spare)
        return _finished(images.batch(rows, drop_remainder=True).map(self._completed))

    def _row(self, number: tf.Tensor) -> tf.Tensor:
        """The number among this worker's images -> that among all workers'."""
        rows = self._order.rows
        count = rows.stop - rows.start
        return number // count * self._order.batch_size + rows.start + number % count

    def _position(self, number: tf.Tensor) -> tf.Tensor:
        """The number of an image in the run -> its position in the index."""
        count = self._order.rows.stop - self._order.rows.start
        return self._order.index(number // count, number % count)

    def _spare(self, number: tf.Tensor) -> tf.Tensor:
        """int64 [_SPARE]: positions to try where images of the chunk that starts with this one fail."""
        seed = [self._keys["replace"], self._row(number)]
        return tf.random.stateless_uniform([_SPARE], seed, 0, self.num_examples, tf.int64, alg=GENERATOR)

    def _decoded(self, data: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([tf.constant(self._keys["distort"], tf.int64), self._row(number)])
        return training_image(data, self._preprocessing, seed)

    def _completed(self, image: tf.Tensor, index: tf.Tensor) -> dict[str, tf.Tensor]:
        gone = f"{_SPARE} images in a row cannot be read: is the folder with the images still there?"
        with tf.control_dependencies([tf.debugging.assert_non_negative(index, gone)]):
            index = tf.identity(index)
        return {
            "image": image,
            "label": tf.gather(self._labels, index),
            "index": tf.cast(index, tf.int32),
            "is_clean": tf.gather(self._is_clean, index),
        }


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
    if batch_size < 1:
        raise ValueError(f"The batch size is {batch_size}, but it has to be at least 1.")
    reader, given = Reader(index, image_size, unreadable), _on_host(index, labels, np.int32)

    def completed(number: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image": image, "label": tf.gather(given, number), "index": tf.cast(number, tf.int32)}

    numbers = tf.data.Dataset.range(len(index))
    # Chunks of one, because here every image has to stay in its place.
    first = tf.constant(0, tf.int64)
    images = reader.images(numbers, 1, first, tf.identity, lambda data, _: evaluation_image(data, image_size))
    made = tf.data.Dataset.zip((numbers, images.map(lambda image, _: image))).batch(batch_size).map(completed)
    # An interleave does not know how many elements it has, but Keras wants to know.
    return _finished(made.apply(tf.data.experimental.assert_cardinality(-(-len(index) // batch_size))))


def _on_host(index: ImageIndex, values: npt.ArrayLike, dtype: type[np.generic]) -> tf.Tensor:
    array = np.asarray(values, dtype)
    if array.shape != (len(index),):
        raise ValueError(f"There are {len(index)} images, but labels of shape {array.shape}.")
    with tf.device("CPU:0"):
        return tf.constant(array)


def _finished(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Workers take their own part of each batch themselves; TensorFlow must not divide it again.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(2).with_options(options)
