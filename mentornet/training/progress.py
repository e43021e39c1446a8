"""The progress line: steps, loss, accuracy, speed, time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class ProgressLine:
    """Prints where a run stands: one line that renews itself on a terminal, a line now and then in a log.

    Args:
        max_steps: steps in all; None: not known.
        stream: where to print.
        every_seconds: least time between two lines; None: 0.5 s on a terminal, 10 s in a log.
    """

    def __init__(
        self,
        max_steps: int | None,
        stream: TextIO | None = None,
        every_seconds: float | None = None,
    ):
        self._max_steps = max_steps
        self._first: tuple[int, float, float] | None = None
        self._stream = sys.stdout if stream is None else stream
        self._terminal = self._stream.isatty()
        self._every = every_seconds if every_seconds is not None else (0.5 if self._terminal else 10.0)
        self._printed = 0.0 if self._terminal else time.monotonic()
        self._width = 0

    def due(self) -> bool:
        """Whether it is time for another line (asking is cheap, building the values may not be)."""
        return time.monotonic() - self._printed >= self._every

    def show(
        self,
        step: int,
        loss: float | None,
        train_accuracy: float | None,
        accuracy: float | None,
        share: float | None = None,
    ) -> None:
        """Prints the line for ``step``; values not known yet are left out.

        Args:
            step: steps done.
            loss: on the given labels.
            train_accuracy: likewise.
            accuracy: of the last evaluation.
            share: of the training that is done, in [0, 1], where the number of steps is not known.
        """
        now = time.monotonic()
        if self._max_steps is not None:
            share = step / self._max_steps
            parts = [f"step {step:,}/{self._max_steps:,} ({100 * step // self._max_steps}%)"]
        else:
            share = share or 0.0
            parts = [f"step {step:,} ({int(100 * share)}%)"]
        if loss is not None:
            parts.append(f"loss {loss:.3f}")
        if train_accuracy is not None:
            parts.append(f"on given labels {train_accuracy:.3f}")
        if accuracy is not None:
            parts.append(f"accuracy {accuracy:.3f}")
        if self._first is None:  # compiling is over by now; it would make the speed look far too low
            self._first = (step, share, now)
        done, gained, elapsed = step - self._first[0], share - self._first[1], now - self._first[2]
        if done > 0 and gained > 0 and elapsed > 0:
            parts.append(f"{done / elapsed:.3g} steps/s")
            parts.append(f"{duration((1.0 - share) * elapsed / gained)} left")
        line = " | ".join(parts)
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
        self._printed = now

    def close(self) -> None:
        """Ends the line."""
        if self._terminal:
            self._stream.write("\n")
            self._stream.flush()
