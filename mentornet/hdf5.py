"""Checking files of weights before Keras reads them: it allocates whatever shape a file claims.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os

import h5py

from mentornet.files import RunFolderError, explained
from mentornet.reading import refuse_special


class _Refused(ValueError):
    """A file that holds something else than arrays of its own."""


def check(path: str | os.PathLike[str]) -> None:
    """Makes sure that an HDF5 file of weights holds what it says, before Keras allocates it, and all in itself.

    Raises:
      RunFolderError: the file is missing, no such file, claims arrays larger than itself, or refers to other files.
    """
    refuse_special(path)
    with explained(path, "read"):
        open(path, "rb").close()
    try:
        with h5py.File(path, "r") as file:
            claimed = _claimed_bytes(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error) if isinstance(error, _Refused) else "it is damaged or no HDF5 file"
        raise RunFolderError(f"Cannot read {os.fspath(path)}: {reason}.") from error
    if claimed > os.path.getsize(path):
        raise RunFolderError(f"Cannot read {os.fspath(path)}: its arrays claim {claimed:,} bytes, more than it has.")


def _claimed_bytes(group: h5py.Group) -> int:
    total = 0
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _Refused("it refers to another file or to a place in itself, not to an array")
        item = group[name]
        if isinstance(item, h5py.Group):
            total += _claimed_bytes(item)
        elif item.external or item.is_virtual:
            raise _Refused("it refers to other files")
        else:
            total += item.size * item.dtype.itemsize
    return total
