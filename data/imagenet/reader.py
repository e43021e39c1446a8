"""Encoded images fetched and decoded inside TensorFlow's graph, in parallel, in order, and whatever some of them hold.

Images are decoded in chunks, each chunk one element of a parallel interleave. A chunk is first tried as a whole, which
is fast; where an image in it fails, so does the whole, and a data set of its single images takes its place, which
leaves out what fails and goes on with a substitute. That is the only way in tf.data to survive a damaged image without
losing count; a plain map would stop at the first one, and dropping it would shift everything behind it. Of the
operations in it, none makes TensorFlow's deterministic mode give up parallelism.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Preprocessing
from data.imagenet.unreadable import UnreadableLog

OfNumbers = Callable[[tf.Tensor], tf.Tensor]


class Reader:
    """Fetches the images of an index.

    Args:
      index: where they are.
      how: what they are turned into.
      unreadable: where those that cannot be read are noted.
    """

    def __init__(self, index: ImageIndex, how: Preprocessing, unreadable: UnreadableLog) -> None:
        self._root, self._how, self._unreadable = str(index.root), how, unreadable
        with tf.device("CPU:0"):
            self._files = tf.constant(index.files)
            self._places: dict[str, tf.Tensor] = {}
            if index.file is not None and index.offset is not None and index.length is not None:
                sizes = [os.path.getsize(os.path.join(index.root, os.fsdecode(bytes(name)))) for name in index.files]
                behind = np.array(sizes, np.int64)[index.file] - index.offset - index.length
                arrays = {"file": index.file, "offset": index.offset, "length": index.length, "behind": behind}
                self._places = {name: tf.constant(values) for name, values in arrays.items()}

    def images(
        self,
        starts: tf.data.Dataset,
        chunk: int,
        positions: OfNumbers,
        seeds: OfNumbers,
        spare: OfNumbers | None = None,
    ) -> tf.data.Dataset:
        """Images in the order of their numbers, in chunks of consecutive ones.

        Args:
          starts: the first number of every chunk, int64.
          chunk: c, how many numbers a chunk has.
          positions: numbers of a chunk, int64 [c] -> positions in the index, int64 [c].
          seeds: likewise -> int64 [c, 2], what the distortions of each follow from.
          spare: a number -> positions int64 [k] that are tried instead, should its image fail. None: a grey image
            takes its place.

        Returns:
          Pairs of images, float32 [c, size, size, 3], and their positions in the index, int64 [c]; -1 is a grey image.
        """

        def of_chunk(start: tf.Tensor) -> tf.data.Dataset:
            numbers = tf.range(start, start + chunk)
            wanted = tf.ensure_shape(positions(numbers), [chunk])
            whole = self._whole(wanted, seeds(numbers)).ignore_errors()
            rows = tf.data.Dataset.from_tensor_slices((numbers, wanted, seeds(numbers)))
            one_by_one = rows.flat_map(lambda number, i, seed: self._substituted(i, seed, spare and spare(number)))
            found = whole.concatenate(one_by_one.batch(chunk, drop_remainder=True)).take(1)
            return found.map(lambda images, found: (images, wanted, found))

        parallel = max(2, os.cpu_count() or 1)
        found = starts.interleave(of_chunk, cycle_length=parallel, num_parallel_calls=parallel, deterministic=True)
        # Names are written here, one chunk after the other: printing inside would make deterministic runs sequential.
        return found.map(lambda images, wanted, found: (images, self._noted(wanted, found)))

    def _whole(self, positions: tf.Tensor, seeds: tf.Tensor) -> tf.data.Dataset:
        """All images of a chunk as one element, or an error."""
        once = _only(positions)
        if self._places:
            each = tf.data.Dataset.from_tensor_slices(positions)
            encoded = each.flat_map(self._part).batch(positions.shape[0], drop_remainder=True)
        else:
            encoded = once.map(
                lambda each: tf.map_fn(lambda i: tf.io.read_file(self._path(i)), each, fn_output_signature=tf.string)
            )
        # The zip ends with `once`; a record file that is gone alone would fail for ever.
        return tf.data.Dataset.zip((once, encoded)).map(lambda i, data: (self._how(data, seeds), i))

    def _substituted(self, wanted: tf.Tensor, seed: tf.Tensor, spare: tf.Tensor | None) -> tf.data.Dataset:
        """One element: the image wanted, or the first spare one that can be decoded, or a grey one."""
        tried = _only(wanted)
        if spare is not None:
            tried = tried.concatenate(tf.data.Dataset.from_tensor_slices(spare))
        found = self._decodable(tried, seed)
        grey = tf.zeros([self._how.image_size, self._how.image_size, 3]), tf.constant(-1, tf.int64)
        return found.concatenate(_only(grey)).take(1)

    def _decodable(self, tried: tf.data.Dataset, seed: tf.Tensor) -> tf.data.Dataset:
        """(image, position) of those of the positions that can be decoded."""

        def decoded(position: tf.Tensor, data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return self._how(data[tf.newaxis], seed[tf.newaxis])[0], position

        if not self._places:
            return tried.map(lambda i: decoded(i, tf.io.read_file(self._path(i)))).ignore_errors()
        # The zip ends with `tried`; a record file that is gone alone would fail for ever.
        return tf.data.Dataset.zip((tried, tried.flat_map(self._part))).map(decoded).ignore_errors()

    def _path(self, position: tf.Tensor) -> tf.Tensor:
        file = tf.gather(self._places["file"], position) if self._places else position
        return tf.strings.join([self._root, tf.gather(self._files, file)], "/")

    def _part(self, position: tf.Tensor) -> tf.data.Dataset:
        """The bytes of an image: a data set of fixed-length records is the one operation that reads part of a file."""
        place = {name: tf.gather(values, position) for name, values in self._places.items()}
        return tf.data.FixedLengthRecordDataset(
            self._path(position),
            record_bytes=place["length"],
            header_bytes=place["offset"],
            footer_bytes=place["behind"],
            buffer_size=place["length"],
        )

    def _noted(self, wanted: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        """The positions found; the names of images that were wanted but not found are written down."""
        lost = tf.boolean_mask(wanted, wanted != found)

        def name(position: tf.Tensor) -> tf.Tensor:
            if not self._places:
                return self._path(position)
            offset = tf.strings.as_string(tf.gather(self._places["offset"], position))
            return tf.strings.join([self._path(position), " at byte ", offset])

        def note() -> tf.Tensor:
            names = tf.map_fn(name, lost, fn_output_signature=tf.string)
            with tf.control_dependencies([self._unreadable.note(tf.strings.reduce_join(names, separator="\n"))]):
                return tf.identity(found)

        return tf.cond(tf.size(lost) > 0, note, lambda: tf.identity(found))


def _only(element: Any) -> tf.data.Dataset:
    """A data set of one element; `from_tensors` makes what is parallel sequential in deterministic runs."""
    return tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(lambda value: value[tf.newaxis], element))
