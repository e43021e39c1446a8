"""Reading arrays from npz and npy files that may be damaged or made to do harm.

What an array claims to need is compared with what its file can hold before anything is allocated: NumPy would take the
memory first. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO

import numpy as np

from mentornet.files import RunFolderError, explained
from mentornet.reading import LARGEST_TEXT, LARGEST_WHOLE, refuse_special, shown

_MOST_PACKED = 1100  # what deflate can make of a byte is 1,032 bytes


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads all arrays of an npz file, none of Python objects.

    What an array claims to need is compared with what the file can hold before anything is allocated.

    Raises:
      RunFolderError: the file is missing or no npz of plain arrays.
    """
    refuse_special(path)
    with explained(path, "read"):
        open(path, "rb").close()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(archive, member, os.path.getsize(path))
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:  # NumPy and zipfile raise a dozen types for a damaged archive
        claim = f" ({error})" if isinstance(error, _FalseClaim) else ""
        raise RunFolderError(f"Cannot read {os.fspath(path)}: it is not a valid npz file{claim}.") from error


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads the array of an npy file, which is no array of Python objects; see ``read_arrays``.

    Raises:
      RunFolderError: the file is missing or no such file.
    """
    refuse_special(path)
    try:
        with explained(path, "read"), open(path, "rb") as stream:
            _check_header(stream, os.path.getsize(path), os.path.basename(path))
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, KeyError, EOFError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        if isinstance(error, RunFolderError):
            raise
        claim = f" ({error})" if isinstance(error, _FalseClaim) else ""
        raise RunFolderError(f"Cannot read {os.fspath(path)}: it is not a valid npy file{claim}.") from error


class _FalseClaim(ValueError):
    """An array says that it is larger than its file can be."""


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file_size: int) -> None:
    name = member.filename.removesuffix(".npy")
    if member.compress_size > file_size or member.file_size > _MOST_PACKED * (member.compress_size + 1):
        raise _FalseClaim(f"array {name!r} claims to unpack to {member.file_size:,} bytes")
    with archive.open(member) as stream:
        _check_header(stream, member.file_size, name)


def _check_header(stream: IO[bytes], size: int, name: str) -> None:
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = read_header[np.lib.format.read_magic(stream)](stream)
    if math.prod(shape) * dtype.itemsize > size:
        raise _FalseClaim(f"array {name!r} claims the shape {shown(shape)}, which its file cannot hold")


def vectors(
    arrays: Mapping[str, np.ndarray], lengths: Mapping[str, str], needed: Sequence[str], what: str
) -> dict[str, np.ndarray]:
    """Checks the arrays of a file: whole numbers [n] of these names, and facts (one number or text) of any other.

    Args:
      arrays: as ``read_arrays`` gives them.
      lengths: for each vector the name of the one it must be as long as.
      needed: vectors that must be there.
      what: begins the message.

    Returns:
      The arrays; vectors keep their integer type.

    Raises:
      RunFolderError: a vector is missing or is none, a fact is not finite, or lengths differ.
    """
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise RunFolderError(f"{what}: arrays {missing} are missing.")
    for name, array in arrays.items():
        if name not in lengths:
            fact = array.ndim == 0 and (array.dtype.kind in "biuU" or (array.dtype.kind == "f" and np.isfinite(array)))
            if not fact or array.dtype.itemsize > 4 * LARGEST_TEXT:
                raise RunFolderError(f"{what}: {name!r} is no finite number and no text.")
            continue
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise RunFolderError(f"{what}: {name!r} is {array.dtype} of shape {array.shape}, not whole numbers [n].")
        if array.size and int(array.max()) > LARGEST_WHOLE:
            raise RunFolderError(f"{what}: {name!r} has a number of more than 64 bits.")
        other = arrays.get(lengths[name])
        if other is None or other.shape != array.shape:
            raise RunFolderError(f"{what}: {name!r} has {len(array):,} entries, {lengths[name]!r} another number.")
    return dict(arrays)
