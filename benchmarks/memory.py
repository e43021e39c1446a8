"""Peak resident memory of this process between two points (Linux)."""

from __future__ import annotations

from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Starts a new peak; without /proc the peak is that of the whole process."""
    if _RESET.exists():
        _RESET.write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Largest resident size since ``reset_peak``, in bytes."""
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
