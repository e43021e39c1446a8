"""Encoded images fetched and decoded inside TensorFlow's graph, in parallel, in order, and whatever some of them hold.

Images are decoded in chunks, each chunk one element of a parallel interleave: a small data set of its images that
leaves out those that fail and then offers others in their place. That is the only way in tf.data to survive a damaged
image without losing count; a plain map would stop at the first one, and dropping it would shift everything behind it.
Of the operations in it, none makes TensorFlow's deterministic mode give up parallelism.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from data.imagenet.index import ImageIndex
from data.imagenet.unreadable import UnreadableLog

Place = Callable[[tf.Tensor], tf.Tensor]
Decode = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Reader:
    """Fetches the images of an index.

    Args:
      index: where they are.
      image_size: side in pixels of what they are decoded to.
      unreadable: where those that cannot be read are noted.
    """

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

    def images(
        self,
        chunks: tf.data.Dataset,
        chunk: int,
        first: tf.Tensor,
        position: Place,
        decode: Decode,
        spare: Place | None = None,
    ) -> tf.data.Dataset:
        """Images in the order of their numbers, which count up from `first` without gaps.

        Args:
          chunks: the first number of every chunk, int64.
          chunk: how many numbers a chunk has.
          first: int64 scalar.
          position: number -> position in the index, int64.
          decode: encoded image and number -> float32 [size, size, 3].
          spare: first number of a chunk -> positions int64 [k] that are tried in place of images that fail, which
            then come last in their chunk. None: a grey image takes that place.

        Returns:
          Pairs of an image and its position in the index; -1 is a grey image.
        """
        nothing = tf.zeros([self._size, self._size, 3])

        def one(start: tf.Tensor) -> tf.data.Dataset:
            numbers = tf.data.Dataset.range(start, start + chunk)
            found = self._read(numbers.map(lambda number: (number, number + 1, position(number))), decode)
            if spare is not None:
                others = tf.data.Dataset.from_tensor_slices(spare(start))
                # They stand behind the last of the chunk and take no number of their own.
                numbered = others.map(lambda other: (start + chunk, start + chunk, other))
                found = found.concatenate(self._read(numbered, decode))
            grey = numbers.map(lambda _: (nothing, start + chunk, start + chunk, tf.constant(-1, tf.int64)))
            return found.concatenate(grey).take(chunk)

        parallel = max(2, os.cpu_count() or 1)
        found = chunks.interleave(
            one, cycle_length=parallel, block_length=chunk, num_parallel_calls=parallel, deterministic=True
        )
        return found.scan(first, lambda expected, element: self._noted(expected, element, position))

    def _read(self, wanted: tf.data.Dataset, decode: Decode) -> tf.data.Dataset:
        """(number, next number, position) -> (image, the same three), without those that cannot be decoded."""
        if not self._places:
            return wanted.map(
                lambda n, following, i: (decode(tf.io.read_file(self._path(i)), n), n, following, i)
            ).ignore_errors()
        # The zip ends with `wanted`; a record file that is gone alone would fail for ever.
        parts = tf.data.Dataset.zip((wanted, wanted.flat_map(lambda _, __, i: self._part(i))))
        return parts.map(lambda element, data: (decode(data, element[0]), *element)).ignore_errors()

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

    def _noted(
        self,
        expected: tf.Tensor,
        element: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor],
        place: Place,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Writes down the images between the number expected and the one found: they could not be decoded."""
        image, number, following, position = element

        def name(number: tf.Tensor) -> tf.Tensor:
            lost = place(number)
            if not self._places:
                return self._path(lost)
            offset = tf.strings.as_string(tf.gather(self._places["offset"], lost))
            return tf.strings.join([self._path(lost), " at byte ", offset])

        def note() -> tf.Tensor:
            names = tf.map_fn(name, tf.range(expected, number), fn_output_signature=tf.string)
            with tf.control_dependencies([self._unreadable.note(tf.strings.reduce_join(names, separator="\n"))]):
                return tf.identity(following)

        following = tf.cond(expected < number, note, lambda: tf.identity(following))
        return following, (tf.ensure_shape(image, (self._size, self._size, 3)), position)
