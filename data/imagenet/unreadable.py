"""What happens to images that cannot be read or decoded: replaced, named, counted, and too many of them end the run.

Training replaces such an image by another one, drawn from (seed, step, row), so that batches stay full and a resumed
run sees the same; evaluation shows a grey picture instead, which counts as one more wrong answer at worst. Either way
the input pipeline writes the image's name to a file (with tf.print, for there is no Python in it), and the training
process reads that file now and then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from absl import logging

DEFAULT_LIMIT = 1000
_SHOWN = 3


class TooManyUnreadable(ValueError):
    """More images than allowed cannot be read."""


class UnreadableLog:
    """The names of the images that could not be read, in a file that survives a restart.

    Args:
      path: the file, in a folder that exists once images are read. None: names go to stderr and are not counted.
      limit: how many different images may be unreadable.

    Raises:
      ValueError: a negative limit.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, limit: int = DEFAULT_LIMIT) -> None:
        if limit < 0:
            raise ValueError(f"The limit of unreadable images is {limit}, but it has to be at least 0.")
        self.path = None if path is None else Path(path).absolute()
        self.limit = limit
        self._names: dict[str, None] = {}
        self._read = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The different names met so far, as of the last `check`."""
        return tuple(self._names)

    def note(self, name: tf.Tensor) -> tf.Operation:
        """The operation that writes a name, a string scalar, for use inside a data set's functions."""
        stream = sys.stderr if self.path is None else f"file://{self.path}"
        return tf.print(name, output_stream=stream)

    def check(self) -> None:
        """Reads what has been written since, and names new images in the log.

        Raises:
          TooManyUnreadable: there are more than the limit.
        """
        if self.path is None or not self.path.is_file() or self.path.stat().st_size == self._read:
            return
        with self.path.open("rb") as stream:
            stream.seek(self._read)
            written = stream.read()
        whole = written[: written.rfind(b"\n") + 1]
        self._read += len(whole)
        for name in dict.fromkeys(whole.decode("utf-8", errors="replace").splitlines()):
            if name not in self._names:
                self._names[name] = None
                logging.warning("Unreadable image, replaced: %s", name)
        refuse_too_many(list(self._names), self.limit)


def refuse_too_many(names: Sequence[object], limit: int, what: str = "cannot be read") -> None:
    """Raises TooManyUnreadable, naming the first few, if there are more names than the limit."""
    if len(names) > limit:
        shown = ", ".join(map(str, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
        raise TooManyUnreadable(
            f"{len(names)} images {what}, more than the {limit} that --max_unreadable allows: {shown}."
        )
