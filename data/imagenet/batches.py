"""Batches of images that are read and decoded as they are needed, deterministic and resumable at any step.

The same contract as `data.pipeline`: batch t is a function of (seed, t) alone, "image" float32 [b, size, size, 3] in
[-1, 1], "label" int32 [b], "index" int32 [b] (position in the index passed here) and, in training, "is_clean" bool [b].

One image is one element of a parallel interleave: a small data set that tries candidates until one can be decoded.
That is the only way in tf.data to survive a damaged image without losing count; a plain map would stop at the first
one, and dropping it would shift everything behind it. Of the operations in it, none makes TensorFlow's deterministic
mode give up parallelism.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import seeding
from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Preprocessing, evaluation_image, training_image
from data.imagenet.unreadable import UnreadableLog
from data.order import GENERATOR, EpochOrder

_REPLACEMENTS = 7  # drawn for an image that cannot be read; all unreadable means that the data is gone

Decode = Callable[[tf.Tensor], tf.Tensor]


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
        self._reader = _Reader(index, preprocessing.image_size, unreadable)
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
        steps = self._order.steps(start_step, num_steps)
        wanted = steps.map(lambda step: (self._order.indices(step), self._rows(step))).unbatch()
        images = self._reader.interleaved(wanted, self._tried)
        return _finished(images.batch(rows, drop_remainder=True).map(self._completed))

    def _rows(self, step: tf.Tensor) -> tf.Tensor:
        """int64 [rows]: numbers no other image of the run has."""
        return step * self._order.batch_size + tf.range(self._order.rows.start, self._order.rows.stop, dtype=tf.int64)

    def _tried(self, wanted: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, Decode]:
        """The candidates for one row of a batch, int64 [1 + replacements], and how each is decoded."""
        others = tf.random.stateless_uniform(
            [_REPLACEMENTS], [self._keys["replace"], row], 0, self.num_examples, tf.int64, alg=GENERATOR
        )
        seed = tf.stack([tf.constant(self._keys["distort"], tf.int64), row])
        return tf.concat([[wanted], others], axis=0), lambda data: training_image(data, self._preprocessing, seed)

    def _completed(self, image: tf.Tensor, index: tf.Tensor) -> dict[str, tf.Tensor]:
        gone = f"{1 + _REPLACEMENTS} images in a row cannot be read: is the folder with the images still there?"
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
    reader, given = _Reader(index, image_size, unreadable), _on_host(index, labels, np.int32)

    def tried(wanted: tf.Tensor) -> tuple[tf.Tensor, Decode]:
        return wanted[tf.newaxis], lambda data: evaluation_image(data, image_size)

    def completed(number: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image": image, "label": tf.gather(given, number), "index": tf.cast(number, tf.int32)}

    numbers = tf.data.Dataset.range(len(index))
    images = reader.interleaved(numbers, tried).map(lambda image, _: image)
    made = tf.data.Dataset.zip((numbers, images)).batch(batch_size).map(completed)
    # An interleave does not know how many elements it has, but Keras wants to know.
    return _finished(made.apply(tf.data.experimental.assert_cardinality(-(-len(index) // batch_size))))


class _Reader:
    """Fetches encoded images by their position in an index, inside TensorFlow's graph."""

    def __init__(self, index: ImageIndex, image_size: int, unreadable: UnreadableLog) -> None:
        self._root, self._size, self._unreadable = str(index.root), image_size, unreadable
        with tf.device("CPU:0"):
            self._files = tf.constant(index.files)
            self._places: dict[str, tf.Tensor] = {}
            if index.file is not None and index.offset is not None and index.length is not None:
                sizes = [os.path.getsize(os.path.join(index.root, os.fsdecode(bytes(name)))) for name in index.files]
                behind = np.array(sizes, np.int64)[index.file] - index.offset - index.length
                arrays = {"file": index.file, "offset": index.offset, "length": index.length, "behind": behind}
                self._places = {name: tf.constant(values) for name, values in arrays.items()}

    def interleaved(self, wanted: tf.data.Dataset, tried: Callable[..., tuple[tf.Tensor, Decode]]) -> tf.data.Dataset:
        """One (image, position) for every element of `wanted`, in order.

        Args:
          wanted: elements whose first (or only) component is a position, int64.
          tried: element -> positions to try, int64 [k], the wanted one first, and the function that decodes.

        Returns:
          float32 [size, size, 3], and the position it is of: the first that could be decoded, or -1 with a grey image.
        """

        def one(*element: tf.Tensor) -> tf.data.Dataset:
            candidates, decode = tried(*element)
            found = tf.data.Dataset.from_tensor_slices(candidates).flat_map(lambda i: self._decoded(i, decode))
            # from_tensors would make TensorFlow's deterministic mode read one image at a time.
            grey = tf.data.Dataset.from_tensor_slices(
                (tf.zeros([1, self._size, self._size, 3]), tf.constant([-1], tf.int64))
            )
            first = found.concatenate(grey).take(1)
            return first.map(lambda image, position: self._noted(image, position, candidates[0]))

        parallel = max(2, os.cpu_count() or 1)
        return wanted.interleave(
            one, cycle_length=parallel, block_length=1, num_parallel_calls=parallel, deterministic=True
        )

    def _decoded(self, position: tf.Tensor, decode: Decode) -> tf.data.Dataset:
        """(image, position), or nothing if it cannot be decoded."""
        alone = position[tf.newaxis]
        if not self._places:
            path = tf.strings.join([self._root, tf.gather(self._files, position)], "/")
            read = tf.data.Dataset.from_tensor_slices(alone).map(lambda i: (decode(tf.io.read_file(path)), i))
            return read.ignore_errors()
        place = {name: tf.gather(values, position) for name, values in self._places.items()}
        # A data set of fixed-length records is the one operation that reads a given part of a file.
        part = tf.data.FixedLengthRecordDataset(
            tf.strings.join([self._root, tf.gather(self._files, place["file"])], "/"),
            record_bytes=place["length"],
            header_bytes=place["offset"],
            footer_bytes=place["behind"],
            buffer_size=place["length"],
        )
        # Only decoding may fail in silence: a record file that is gone would fail for ever.
        return part.flat_map(
            lambda data: tf.data.Dataset.from_tensor_slices(alone).map(lambda i: (decode(data), i)).ignore_errors()
        )

    def _noted(self, image: tf.Tensor, position: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Writes down the wanted image's name if another one, or none, was found."""

        def note() -> tf.Tensor:
            name = tf.gather(self._files, tf.gather(self._places["file"], wanted) if self._places else wanted)
            if self._places:
                name = tf.strings.join(
                    [name, " at byte ", tf.strings.as_string(tf.gather(self._places["offset"], wanted))]
                )
            with tf.control_dependencies([self._unreadable.note(tf.strings.join([self._root, name], "/"))]):
                return tf.identity(position)

        position = tf.cond(tf.equal(position, wanted), lambda: tf.identity(position), note)
        return tf.ensure_shape(image, (self._size, self._size, 3)), position


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
