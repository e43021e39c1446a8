"""Writing files so that a reader never meets half of one.

A file is written under a hidden temporary name next to its place, flushed to the disk and then renamed over
it. A process killed at any moment leaves either the old file or the new one, which is what resuming a run
relies on. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PARTIAL = ".partial"  # in the temporary name: ".<name>.partial", or with the ending last where writers go by it


class RunFolderError(ValueError):
    """A run folder, or a file in it, that cannot be used as asked; the text is one sentence for the user."""


@contextlib.contextmanager
def explained(path: str | os.PathLike[str], doing: str = "write") -> Iterator[None]:
    """Turns the operating system's errors about `path` into a `RunFolderError` of one clear sentence."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOENT: "the folder does not exist",
            errno.ENOSPC: "the disk is full; free some space and start again",
            errno.EDQUOT: "the disk quota is used up; free some space and start again",
            errno.EACCES: "permission is denied; choose a folder you may write to",
            errno.EPERM: "permission is denied; choose a folder you may write to",
            errno.EROFS: "the file system is read-only; choose another folder",
            errno.EEXIST: "a file of that name is in the way; choose another folder or move the file",
            errno.ENOTDIR: "a part of that path is a file, not a folder; choose another folder",
            errno.EISDIR: "a folder of that name is in the way; move it or choose another folder",
            errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
        }
        if doing == "read":
            reasons |= {errno.EACCES: "permission is denied", errno.EPERM: "permission is denied"}
            reasons |= {errno.ENOENT: "there is no such file", errno.EISDIR: "it is a folder, not a file"}
        reason = reasons.get(error.errno or 0, error.strerror or type(error).__name__)
        raise RunFolderError(f"Cannot {doing} {os.fspath(path)}: {reason}.") from error


def check_place(folder: Path, doing: str) -> None:
    """Makes sure that a folder is there, or can be made, and can be written into; leaves nothing behind.

    Args:
      folder: the folder.
      doing: what for, as in "Cannot <doing> <folder>".

    Raises:
      RunFolderError: with the reason.
    """
    with explained(folder, doing):
        if folder.exists() and not folder.is_dir():
            raise FileExistsError(errno.EEXIST, "")
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        os.rmdir(tempfile.mkdtemp(prefix=".", dir=nearest))


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Opens a binary file that takes the place of `path` if the block ends well, and vanishes if not.

    Raises:
      RunFolderError: the file cannot be written (full disk, no permission, a folder in the way, ...).
    """
    path = Path(path)
    with _taking_the_place(path, path.with_name(f".{path.name}{PARTIAL}")) as partial, open(partial, "wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def replacing_by_name(path: str | os.PathLike[str]) -> Iterator[str]:
    """As `replacing`, for writers that open the file themselves: gives a name of the same ending beside `path`.

    Raises:
      RunFolderError: see `replacing`.
    """
    path = Path(path)
    with _taking_the_place(path, path.with_name(f".{path.stem}{PARTIAL}{path.suffix}")) as partial:
        yield os.fspath(partial)
        _sync(partial, os.O_RDWR)


@contextlib.contextmanager
def _taking_the_place(path: Path, partial: Path) -> Iterator[Path]:
    with explained(path):
        try:
            yield partial
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
    with contextlib.suppress(OSError):  # so that the rename survives a power cut; not every system can open a folder
        _sync(path.parent, os.O_RDONLY)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` to `path`, all or nothing."""
    with replacing(path) as stream:
        stream.write(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes `text` in UTF-8 with the line ends it has, all or nothing."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Writes a mapping as indented JSON, all or nothing. NaN and infinity, which JSON lacks, become null."""
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as a compressed npz, all or nothing.

    Raises:
      ValueError: an array of Python objects, which could only be stored as a pickle.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"Array {name!r} holds Python objects; store numbers or strings only.")
    with replacing(path) as stream:
        np.savez_compressed(stream, **dict(arrays))  # type: ignore[arg-type]


def write_matrix(path: str | os.PathLike[str], matrix: npt.ArrayLike) -> None:
    """Writes a matrix of numbers as CSV without a heading, all or nothing and with all its digits."""
    rows = (",".join(f"{value:.17g}" for value in row) for row in np.asarray(matrix, np.float64))
    write_text(path, "\n".join([*rows, ""]))


def plain(value: Any) -> Any:
    """The same value in terms of JSON: NumPy scalars and arrays, tuples and paths unwrapped, NaN as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _sync(path: Path, access: int) -> None:
    descriptor = os.open(path, access)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def in_use(folder: Path) -> bool:
    """Whether another process holds the folder's lock; False where nothing can be locked."""
    try:
        import fcntl

        with open(folder / ".lock", "rb+") as stream:
            try:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                return error.errno in (errno.EACCES, errno.EAGAIN)
    except (ImportError, OSError):
        pass
    return False


def lock(folder: Path) -> None:
    """Keeps a second process off a folder until this one ends, however it ends.

    Raises:
      RunFolderError: another process has it.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return
    # The descriptor stays open on purpose: the system drops the lock with the process, SIGKILL included.
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise RunFolderError(
                f"Another process is writing to {folder} right now; wait for it or choose another folder."
            ) from error
        # Some network file systems have no locks; then the user must take care.
