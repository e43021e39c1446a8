"""Locks on files that the system drops with the process that holds them, SIGKILL included.

A training inherits the lock of its trial, so a trial counts as running for as long as its training does, even if the
worker that started it was killed.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

UNHEARD = 120.0
"""Seconds without a sign of life after which a trial of another machine counts as dead."""


class Lock:
    """An exclusive lock on a file, which is created.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Takes the lock; False if another process has it and ``wait`` is false."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:  # some network file systems have no locks; then only the signs of life count
                pass
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Gives the lock up, unless a child process still has it; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def inherited(self) -> tuple[int, ...]:
        """What a child process has to inherit to hold the lock, too; for ``pass_fds``."""
        return () if self._descriptor is None else (self._descriptor,)

    def sign_of_life(self) -> None:
        """Renews the file's time, which tells other machines that the lock is held."""
        with contextlib.suppress(OSError):
            os.utime(self.path)


def is_held(path: Path, elsewhere: bool) -> bool:
    """Whether a living process holds the lock on a file.

    Args:
        path: of the file.
        elsewhere: the process is on another machine, so only the signs of life in the shared folder tell.
    """
    if not path.exists():
        return False
    if elsewhere or fcntl is None:
        return time.time() - path.stat().st_mtime < UNHEARD
    probe = Lock(path)
    free = probe.acquire(wait=False)
    probe.release()
    return not free
