"""Running a command as a step of a longer script: a stop of the script stops the step."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType


def run(command: Sequence[str], cwd: Path) -> int:
    """Runs a command and returns its exit status.

    SIGTERM is passed on, and the script ends as the step does; Ctrl-C reaches the step by itself.
    """
    child = subprocess.Popen(command, cwd=cwd)
    stopped_by = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped_by.append(number)
        child.terminate()  # the wait below goes on until it has ended

    before = signal.signal(signal.SIGTERM, stop)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        child.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if stopped_by:
        sys.exit(128 + stopped_by[0])
    return code
