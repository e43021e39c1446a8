"""Runs a search from beginning to end: workers, progress, the best trial trained anew, the report."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from mentornet import files
from mentornet.search import objective, summary
from mentornet.search import study as studies
from mentornet.search.locks import Lock
from mentornet.search.plan import Plan
from mentornet.search.sampler import optuna
from mentornet.search.worker import is_over

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.3  # seconds
MOST_RESTARTS = 3


def run(plan: Plan, workers: int = 1, seeds: Sequence[int] = (), stream: TextIO | None = None) -> dict[str, Any]:
    """Searches, or continues, trains the best anew, and writes the search folder.

    Args:
        plan: of the search.
        workers: processes that train at a time, 0 or more; 0 reports what there is.
        seeds: of the best trial's trainings at full length.
        stream: where progress is printed; default: standard output.

    Returns:
        The content of result.json.

    Raises:
        ValueError: the storage cannot be reached, the study is another one, or nothing was found.
        TrialFailed: a training at full length failed.
    """
    out = stream or sys.stdout
    with files.explained(plan.folder, "create the search folder"):
        plan.folder.mkdir(parents=True, exist_ok=True)
    study = studies.open_study(plan)
    if workers:
        turn = studies.turn_lock(plan)
        turn.acquire()
        try:
            studies.repeat_failed(study)
        finally:
            turn.release()
        if not is_over(studies.grouped(study.get_trials(deepcopy=False)), plan):
            with stopped_by_sigterm():
                _search(plan, study, workers, out)
    result = summary.write(plan, study, seeds)
    if seeds and workers:
        lock = Lock(plan.folder / ".retraining")
        if not lock.acquire(wait=False):
            print("another command trains the best trial anew and will write the report", file=out, flush=True)
            return result
        with stopped_by_sigterm():
            _retrain_best(plan, study, seeds, workers, out)
        result = summary.write(plan, study, seeds)
        lock.release()
    return result


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the search as Ctrl-C does: in order."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _search(plan: Plan, study: optuna.Study, workers: int, out: TextIO) -> None:
    progress = Progress(plan, study, out)
    running = {number: _start_worker(plan, number) for number in range(workers)}
    restarts = 0
    try:
        while running:
            time.sleep(POLL)
            progress.show()
            for number, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[number]
                if code == 0:
                    continue
                reason = objective.last_line(_worker_log(plan, number))
                if code > 0:
                    raise ValueError(reason or f"worker {number} ended with exit code {code}")
                print(
                    f"worker {number} was ended by signal {-code}; what it had begun is repeated",
                    file=out,
                    flush=True,
                )
                restarts += 1
                if restarts <= MOST_RESTARTS:
                    running[number] = _start_worker(plan, number)
    finally:
        _end(list(running.values()))
        progress.show(last=True)
    if not is_over(studies.grouped(study.get_trials(deepcopy=False)), plan):
        raise ValueError("all workers were killed; the same command continues the search")


def _worker_log(plan: Plan, number: int) -> Path:
    return plan.folder / f"worker{number}.log"


def _start_worker(plan: Plan, number: int) -> subprocess.Popen[str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with open(_worker_log(plan, number), "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mentornet.search.worker"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(plan.to_json())
        process.stdin.close()
    return process


def _end(processes: Sequence[subprocess.Popen[Any]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def _retrain_best(plan: Plan, study: optuna.Study, seeds: Sequence[int], at_once: int, out: TextIO) -> None:
    number, trial = summary.Found.of(plan, study).best
    folders = {seed: summary.retrained_folder(plan, number, seed) for seed in seeds}
    flags = {seed: plan.proposals().flags(trial.params, folder, plan.epochs) for seed, folder in folders.items()}
    retrain(plan, f"trial {number}", folders, flags, at_once, out)


def retrain(
    plan: Plan,
    what: str,
    folders: Mapping[int, Path],
    flags: Mapping[int, Sequence[str]],
    at_once: int,
    out: TextIO,
) -> None:
    """Trains what was found at full length, several seeds at a time; finished ones stay as they are.

    Args:
        plan: of the search.
        what: is trained, in a few words.
        folders: of each seed, the run folder is below.
        flags: of each seed.
        at_once: how many.
        out: where to say so.

    Raises:
        TrialFailed: a training failed.
    """
    left = list(folders)
    running: dict[int, subprocess.Popen[bytes]] = {}
    locks = {seed: Lock(folder / ".running") for seed, folder in folders.items()}
    try:
        while left or running:
            while left and len(running) < at_once:
                seed = left.pop(0)
                run = folders[seed] / objective.RUN
                # A training whose command was killed goes on, and is waited for.
                if not locks[seed].acquire(wait=False):
                    left.append(seed)
                    break
                if (run / "result.json").is_file():
                    locks[seed].release()
                    continue
                print(f"training {what} anew, seed {seed}: {run}", file=out, flush=True)
                running[seed] = objective.start(plan, [*flags[seed], f"--seed={seed}"], run, locks[seed].inherited)
            for seed, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[seed]
                locks[seed].release()
                if code:
                    reason = objective.last_line(folders[seed] / objective.LOG) or f"exit code {code}"
                    raise objective.TrialFailed(f"training {what} anew with seed {seed} failed: {reason}")
            time.sleep(POLL)
    finally:
        _end(list(running.values()))
        for lock in locks.values():
            lock.release()


class Progress:
    """The line that says where a search stands: trials, the best score, the time left.

    Args:
        plan: of the search.
        study: its trials.
        stream: where to print.
    """

    def __init__(self, plan: Plan, study: optuna.Study, stream: TextIO):
        self._plan, self._study, self._stream = plan, study, stream
        self._terminal = stream.isatty()
        self._every = 2.0 if self._terminal else 30.0
        self._printed, self._shown, self._width = 0.0, "", 0

    def show(self, last: bool = False) -> None:
        """Prints the line if it is time for it, or something has happened; at the ``last`` in any case."""
        if time.monotonic() - self._printed < (self._every if not last else 0.0):
            return
        self._printed = time.monotonic()
        try:
            line = progress_line(self._plan, studies.grouped(self._study.get_trials(deepcopy=False)))
        except Exception:  # a database that does not answer for a moment ends no search
            if last:
                raise
            return
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._width) + ("\n" if last else ""))
            self._width = len(line)
        elif line != self._shown or last:
            self._stream.write(line + "\n")
        self._shown = line
        self._stream.flush()


def progress_line(plan: Plan, groups: Sequence[studies.Tries], now: datetime.datetime | None = None) -> str:
    """Trials done, running and failed, the best so far, and the time left as far as finished trials tell."""
    now = now or datetime.datetime.now()
    state = optuna.trial.TrialState
    done = [tries for tries in groups if tries.done or tries.error]
    running = [trial for tries in groups for trial in tries.open if trial.state == state.RUNNING]
    failed = sum(1 for tries in groups if tries.error)
    parts = [f"trials {len(done)}/{plan.trials}" + (f", {len(running)} running" if running else "")]
    if failed:
        parts[0] += f", {failed} failed"
    scores = [
        (tries.done.value, -tries.number) for tries in groups if tries.done and tries.done.state == state.COMPLETE
    ]
    if scores:
        best, number = max(scores)
        parts.append(f"best {best:.4f} (trial {-number})")
    ended = [tries.done for tries in groups if tries.done]
    spans = [(t.datetime_complete - t.datetime_start).total_seconds() for t in ended if t.datetime_complete]
    left = plan.trials - len(done)
    if spans and left and running:
        each = sum(spans) / len(spans)
        spent = sum(min(each, (now - trial.datetime_start).total_seconds()) for trial in running)
        seconds = round(max(0.0, left * each - spent) / len(running))
        parts.append(f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left")
    return " | ".join(parts)
