"""The progress line: steps, loss, accuracy, speed, time left; and a sign of life where no line is due for long."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TextIO


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Heartbeat:
    """Says what a run is doing, and says it again whenever nothing has been printed for a while.

    Args:
        stream: where to print; default: stdout.
        every_seconds: longest silence.
        shows: False prints nothing at all.
    """

    def __init__(self, stream: TextIO | None = None, every_seconds: float = 60.0, shows: bool = True):
        self._stream = sys.stdout if stream is None else stream
        self._every, self._shows = every_seconds, shows
        self._doing, self._since = "", time.monotonic()
        self._printed = self._since
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def doing(self, what: str, aloud: bool = True) -> None:
        """Notes what takes time from now on, and prints it unless that would be too much."""
        self._doing, self._since = what, time.monotonic()
        if aloud:
            self.say(what)
        if self._watch is None and self._shows:
            self._watch = threading.Thread(target=self._repeat, daemon=True, name="heartbeat")
            self._watch.start()

    def say(self, line: str) -> None:
        """Prints a line."""
        if self._shows:
            self._stream.write(line + "\n")
            self._stream.flush()
        self.noted()

    def noted(self) -> None:
        """Somebody else has printed something."""
        self._printed = time.monotonic()

    def stop(self) -> None:
        """Ends the signs of life."""
        self._over.set()
        if self._watch is not None:
            self._watch.join()

    def _repeat(self) -> None:
        while not self._over.wait(min(1.0, self._every / 4)):
            now = time.monotonic()
            if now - self._printed >= self._every:
                # A broken pipe is found, and told, by the thread that trains.
                with contextlib.suppress(OSError, ValueError):
                    self.say(f"{self._doing}: still at it, for {duration(now - self._since)}")


class ProgressLine:
    """Prints where a run stands: one line that renews itself on a terminal, a line now and then in a log.

    Args:
        max_steps: steps in all; None: not known.
        stream: where to print.
        every_seconds: least time between two lines; None: 0.5 s on a terminal, 10 s in a log.
        judged_by_given: the last figure is agreement with given labels, not accuracy.
        masks: it is the Dice of cases: most pixels are background, which any student gets right.
        heartbeat: is told of every line.
    """

    def __init__(
        self,
        max_steps: int | None,
        stream: TextIO | None = None,
        every_seconds: float | None = None,
        judged_by_given: bool = False,
        masks: bool = False,
        heartbeat: Heartbeat | None = None,
    ):
        self._max_steps, self._heartbeat = max_steps, heartbeat
        self._figure = "agreement with given labels" if judged_by_given else "accuracy"
        if masks:
            self._figure = "Dice of cases"
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
        loss_name: str = "loss",
    ) -> None:
        """Prints the line for ``step``; values not known yet are left out.

        Args:
            step: steps done.
            loss: on the given labels, or another one by its name.
            train_accuracy: likewise.
            accuracy: of the last evaluation, or its Dice.
            share: of the training that is done, in [0, 1], where the number of steps is not known.
            loss_name: what the loss is called.
        """
        now = time.monotonic()
        if self._max_steps is not None:
            share = step / self._max_steps
            parts = [f"step {step:,}/{self._max_steps:,} ({100 * step // self._max_steps}%)"]
        else:
            share = share or 0.0
            parts = [f"step {step:,} ({int(100 * share)}%)"]
        if loss is not None:
            parts.append(f"{loss_name} {loss:.3f}")
        if train_accuracy is not None:
            parts.append(f"on given labels {train_accuracy:.3f}")
        if accuracy is not None:
            parts.append(f"{self._figure} {accuracy:.3f}")
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
        if self._heartbeat is not None:
            self._heartbeat.noted()

    def close(self) -> None:
        """Ends the line."""
        if self._terminal:
            self._stream.write("\n")
            self._stream.flush()
