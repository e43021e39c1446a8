"""Makes the cells of a table, with progress for the whole; any number of runners may work on one folder.

A cell belongs to whoever holds its lock, which the training inherits: if a runner is killed its training goes on, and
nobody starts it a second time. A killed training is continued from its checkpoint by the next runner.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from mentornet.search.locks import Lock
from scripts.reproduction import machine
from scripts.reproduction.jobs import Job, OtherSettings
from scripts.tables.recipe_files import ROOT

POLL = 0.3  # seconds
NEWS = 30.0  # seconds between two lines of progress without an event


Running = dict[str, tuple["subprocess.Popen[bytes]", Job]]
"""By name: the process of a training, and what it trains."""


class Failed(Exception):
    """A training that ended with an error; the sentence says which and where its log is."""


@dataclass
class Progress:
    """What has been done of a table.

    Args:
        jobs: all of them.
        cost: of a job, in any unit.
    """

    jobs: Sequence[Job]
    cost: Callable[[Job], float]
    started: float = field(default_factory=time.monotonic)
    before: float = 0.0

    def __post_init__(self) -> None:
        self.before = self.done()

    def done(self) -> float:
        """Share of the table's cost that is done, from 0 to 1."""
        costs = [self.cost(job) for job in self.jobs]
        return sum(cost * share(job) for cost, job in zip(costs, self.jobs, strict=True)) / (sum(costs) or 1.0)

    def line(self, running: Sequence[Job], elsewhere: Sequence[Job] = ()) -> str:
        """One line for people: cells, what is under way, and the time left at the speed so far."""
        finished = sum(job.finished for job in self.jobs)
        done = self.done()
        text = f"{finished} of {len(self.jobs)} cells, {100 * done:.0f}%"
        if running:
            text += "; now " + ", ".join(f"{job.name} step {steps_done(job):,}" for job in running)
        if elsewhere:
            text += f"; {len(elsewhere)} with another runner"
        gained, seconds = done - self.before, time.monotonic() - self.started
        if gained > 0 and done < 1:
            text += f"; about {duration(seconds * (1 - done) / gained)} left"
        return text


def share(job: Job) -> float:
    """How much of a job is done, from 0 to 1."""
    from scripts.reproduction import planning

    if job.finished:
        return 1.0
    steps = planning.steps(job.cell, job.counted)
    return min(0.99, steps_done(job) / steps) if steps else 0.0


def steps_done(job: Job) -> int:
    """The last step in metrics.csv; 0 before there is one."""
    try:
        with open(job.metrics_file, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        return int(float(rows[-1]["step"])) if rows else 0
    except (OSError, KeyError, ValueError, TypeError):
        return 0


def duration(seconds: float) -> str:
    """As people say it: 40 s, 12 min, 3.5 h, 4 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


class Stopped(Exception):
    """SIGTERM."""


def run(
    jobs: Sequence[Job],
    processes: int = 1,
    cost: Callable[[Job], float] = lambda job: 1.0,
    say: Callable[[str], None] = print,
) -> None:
    """Makes all jobs, which are in an order in which they can be made.

    Args:
        jobs: see ``jobs.with_needs``.
        processes: trainings at a time.
        cost: for the time left.
        say: takes the lines of progress.

    Raises:
        OtherSettings: a folder holds a run with other settings; nothing has been started then.
        Failed: a training failed; those under way are finished first.
    """
    for job in jobs:
        job.check_settings()
    progress = Progress(jobs, cost)
    waiting = [job for job in jobs if not job.finished]
    running: Running = {}
    failed: list[str] = []
    before = signal.signal(signal.SIGTERM, _stop)
    told = 0.0
    try:
        while running or (waiting and not failed):
            news = _collect(running, failed)
            elsewhere: list[Job] = []
            if not failed:
                news |= _start(waiting, running, elsewhere, processes)
            if news or time.monotonic() - told > NEWS:
                say(progress.line([job for _, job in running.values()], elsewhere))
                told = time.monotonic()
            if running or waiting:
                time.sleep(POLL)
    except BaseException:  # Ctrl-C, SIGTERM, nobody reads what is printed: nothing goes on unseen
        for child, _ in running.values():
            child.terminate()
        for child, _ in running.values():
            child.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if failed:
        raise Failed("; ".join(failed))
    say(progress.line([]))


def _start(waiting: list[Job], running: Running, elsewhere: list[Job], processes: int) -> bool:
    """Starts what can be started; whether anything changed."""
    news = False
    for job in list(waiting):
        if job.finished and not _held(job):
            waiting.remove(job)
            news = True
            continue
        if job.name in running or any(not first.finished for first in job.needs()):
            continue
        if len(running) >= processes:
            continue
        lock = Lock(job.record("lock"))
        if not lock.acquire(wait=False):
            elsewhere.append(job)
            continue
        try:
            if not job.finished:  # another runner may have finished it since we looked
                job.write_settings()
                running[job.name] = (_child(job, lock, processes), job)
            waiting.remove(job)
            news = True
        finally:
            lock.release()  # the training holds it now
    return news


def _held(job: Job) -> bool:
    lock = Lock(job.record("lock"))
    free = lock.acquire(wait=False)
    lock.release()
    return not free


def _child(job: Job, lock: Lock, processes: int) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    if processes > 1:
        environment.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, machine.cores() // processes)))
    with open(job.record("log"), "ab") as log:
        return subprocess.Popen(
            job.command(), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment, pass_fds=lock.inherited
        )


def _collect(running: Running, failed: list[str]) -> bool:
    """Takes out the trainings that have ended; whether there were any."""
    ended = [name for name, (child, _) in running.items() if child.poll() is not None]
    for name in ended:
        child, job = running.pop(name)
        if child.returncode or not job.finished:
            failed.append(f"{name}: {_last_line(job)} (exit code {child.returncode}, log: {job.record('log')})")
    return bool(ended)


def _last_line(job: Job) -> str:
    lines = job.record("log").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


__all__ = ["Failed", "OtherSettings", "Progress", "Stopped", "duration", "run", "share", "steps_done"]
