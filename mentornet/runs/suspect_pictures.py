"""suspects.npz: small pictures of the most suspect samples, for who looks at them after the training.

Reports read no data sets, and those of images on the disk may be gone by then. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from mentornet import arrays, files

NAME = "suspects.npz"
KEPT = 1000
"""So many are kept of a run."""


def save(
    path: str | os.PathLike[str], index: np.ndarray, pictures: Sequence[bytes], class_names: Sequence[str]
) -> None:
    """Writes pictures, each a PNG or JPEG file.

    Args:
      path: the npz; replaced all at once.
      index: int [k], position of each in the data set.
      pictures: k files.
      class_names: of all classes, also those of no sample.

    Raises:
      RunFolderError: the file cannot be written.
    """
    ends = np.cumsum([len(picture) for picture in pictures], dtype=np.int64)
    content = np.frombuffer(b"".join(pictures), np.uint8)
    names = np.array(list(class_names), np.str_)
    arrays_by_name: dict[str, np.ndarray] = {
        "index": np.asarray(index, np.int64),
        "ends": ends,
        "bytes": content,
        "class_names": names,
    }
    files.write_npz(path, arrays_by_name)


def load(path: str | os.PathLike[str]) -> tuple[dict[int, bytes], list[str] | None]:
    """The pictures by position in the data set, and the names of all classes; nothing where there is no such file.

    Raises:
      RunFolderError: the file is not what `save` writes.
    """
    if not os.path.exists(path):
        return {}, None
    found = arrays.read_arrays(path)
    index, ends, content = (found.get(name, np.empty(0)) for name in ("index", "ends", "bytes"))
    names = found.get("class_names", np.empty(0, np.str_))
    plain = (
        names.dtype.kind == "U"
        and names.ndim == 1
        and index.dtype == ends.dtype == np.int64
        and content.dtype == np.uint8
        and index.ndim == content.ndim == 1
    )
    if not plain or index.shape != ends.shape or np.any(np.diff(ends, prepend=0) < 0):
        raise files.RunFolderError(f"Cannot read {os.fspath(path)}: it holds no pictures of suspects.")
    if (int(ends[-1]) if len(ends) else 0) != len(content):
        raise files.RunFolderError(f"Cannot read {os.fspath(path)}: its pictures are cut off.")
    parts = np.split(content, ends[:-1]) if len(ends) else []
    return {int(place): part.tobytes() for place, part in zip(index, parts, strict=True)}, names.tolist() or None
