"""Peak resident memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Largest resident size so far, in bytes.

    TensorFlow keeps what it has freed, so a peak says something about one computation only in a process of its own.
    """
    if _STATUS.exists():
        # Not ru_maxrss: on Linux a child process starts with its parent's.
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
