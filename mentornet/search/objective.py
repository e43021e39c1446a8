"""A trial of a search: one training in a process and a run folder of its own, and the score that it reaches.

Below the trial's folder are ``R.csv`` (of a schedule), ``parameters.json``, ``log.txt`` (what the training printed) and
``run``, the run folder. A trial that is repeated has the same folder, so its training goes on from its last checkpoint,
and one that had come to its end is only read.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import numpy as np

from mentornet import files, reading
from mentornet.files import RunFolderError
from mentornet.runs.metrics_table import MetricsTable
from mentornet.runs.workdir import Workdir
from mentornet.search import study as studies
from mentornet.search.locks import Lock
from mentornet.search.plan import Plan
from mentornet.search.sampler import optuna

RUN, LOG, PARAMETERS = "run", "log.txt", "parameters.json"
POLL = 0.3  # seconds
SIGN_OF_LIFE = 20.0  # seconds
MOST_KILLED = 3  # a training that ends by a signal this often has failed
LAST = 10


class TrialFailed(Exception):
    """A training failed; the text says why."""


class Stop(SystemExit):
    """The worker was told to end. Optuna does not catch it, so the trial stays one that runs, and is repeated."""


def stop_on_signals() -> None:
    """Makes SIGTERM end the worker and its training; Ctrl-C is left to the command that started the worker."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stop(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Objective:
    """What Optuna calls with a trial: trains and returns the score.

    Args:
        plan: of the search.
        study: of it.
        taken: called once the trial is marked as running here, before the training.
        alive: asked now and then while training; false ends the worker.
    """

    def __init__(self, plan: Plan, study: optuna.Study, taken: Callable[[], None], alive: Callable[[], bool]):
        self._plan, self._study, self._taken, self._alive = plan, study, taken, alive

    def __call__(self, trial: optuna.Trial) -> float:
        """The score of a trial, larger is better.

        Raises:
            TrialFailed: the training ended with an error, or left no score.
            optuna.TrialPruned: it was stopped because others are better.
        """
        plan, first = self._plan, studies.first_number(studies.frozen(self._study, trial.number))
        folder = plan.trial_folder(first)
        lock = Lock(folder / ".running")
        while not lock.acquire(wait=False):  # a training whose worker died goes on, and is waited for
            self._check_alive(None)
            time.sleep(POLL)
        try:
            trial.set_user_attr(studies.LOCK, str(lock.path.resolve()))
            trial.set_user_attr(studies.HOST, socket.gethostname())
            self._taken()
            if studies.is_superfluous(self._study, trial.number, plan.trials):
                trial.set_user_attr(studies.SURPLUS, True)
                raise TrialFailed("the search is full")
            if not isinstance(self._study.sampler, optuna.samplers.GridSampler):
                self._study.sampler = plan.make_sampler(first)
            proposals = plan.proposals()
            proposals.propose(trial)
            self._claim(trial, folder)
            flags = [*plan.trial_flags, *proposals.flags(trial.params, folder, plan.trial_epochs)]
            self._train(trial, folder, flags, lock)
            return self._score(trial, folder)
        finally:
            lock.release()

    def _claim(self, trial: optuna.Trial, folder: Path) -> None:
        """Writes the trial's numbers into its folder, or makes sure that they are the same."""
        mine = files.plain(dict(trial.params))
        if not (folder / PARAMETERS).is_file():
            files.write_json(folder / PARAMETERS, mine)
        elif reading.read_json(folder / PARAMETERS) != mine:
            self._fail(trial, f"{folder} has a trial of another search: give another --output")

    def _train(self, trial: optuna.Trial, folder: Path, flags: Sequence[str], lock: Lock) -> None:
        run = folder / RUN
        if not (run / "result.json").is_file():
            child = start(self._plan, flags, run, lock.inherited)
            try:
                code = self._watch(trial, run, child, lock)
            except BaseException:
                child.terminate()
                child.wait()
                raise
            if code < 0 or code == 128 + signal.SIGINT:
                killed = studies.repetitions(studies.frozen(self._study, trial.number)) + 1
                if killed >= MOST_KILLED:
                    self._fail(trial, f"its training was ended by signal {abs(code)} {killed} times")
                raise TrialFailed("ended by a signal, to be repeated")
            if code:
                self._fail(trial, last_line(folder / LOG) or f"exit code {code}")
        if self._plan.sampler == "hyperband":
            self._report(trial, run)

    def _watch(self, trial: optuna.Trial, run: Path, child: subprocess.Popen[bytes], lock: Lock) -> int:
        renewed = 0.0
        while True:
            try:
                return child.wait(POLL)
            except subprocess.TimeoutExpired:
                self._check_alive(child)
            if time.monotonic() - renewed > SIGN_OF_LIFE:
                lock.sign_of_life()
                renewed = time.monotonic()
            if self._plan.sampler == "hyperband":
                self._report(trial, run)

    def _report(self, trial: optuna.Trial, run: Path) -> None:
        """Tells the pruner of the evaluations so far.

        Raises:
            optuna.TrialPruned: the trial shall end.
        """
        known = studies.frozen(self._study, trial.number).intermediate_values
        full = self._plan.trial_epochs or 0
        for epoch, value in zip(epochs(run, full), accuracies(run, self._plan.column), strict=False):
            if epoch in known or not np.isfinite(value):
                continue
            trial.report(float(value), epoch)
            trial.set_user_attr("epochs", epoch)
            if epoch < full and trial.should_prune():
                self._note_seconds(trial, run)
                raise optuna.TrialPruned(f"after epoch {epoch}")

    def _check_alive(self, child: subprocess.Popen[bytes] | None) -> None:
        if not self._alive():
            raise Stop(1)

    def _score(self, trial: optuna.Trial, folder: Path) -> float:
        try:
            found = score(accuracies(folder / RUN, self._plan.column), self._plan.score)
        except RunFolderError as error:
            self._fail(trial, str(error))
        if found is None:
            self._fail(trial, f"its metrics.csv ends without a number in {self._plan.column}")
        self._note_seconds(trial, folder / RUN)
        return found

    def _note_seconds(self, trial: optuna.Trial, run: Path) -> None:
        seconds = MetricsTable(run / "metrics.csv").read()["seconds"]
        if seconds.size:
            trial.set_user_attr("seconds", float(seconds[-1]))

    def _fail(self, trial: optuna.Trial, reason: str) -> NoReturn:
        trial.set_user_attr(studies.ERROR, reason)
        raise TrialFailed(reason)


def start(plan: Plan, flags: Sequence[str], run: Path, inherited: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Starts a training with these flags in a run folder; what it prints goes to log.txt beside that.

    It gets a session of its own, so that Ctrl-C reaches the search only, which ends it in order.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    command = [*plan.command, *flags, f"--train_log_dir={run}"]
    with open(run.parent / LOG, "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=plan.environment(),
            pass_fds=tuple(inherited) if os.name == "posix" else (),
            start_new_session=True,
        )


def accuracies(run: Path, column: str) -> np.ndarray:
    """One column of a run's metrics.csv, float64 [rows]; no rows if there is no such file or column."""
    return MetricsTable(run / "metrics.csv").read().get(column, np.empty(0))


def epochs(run: Path, full: int) -> list[int]:
    """The epoch at which each row of a run's metrics.csv ends, from 1; an evaluation need not come after each.

    Args:
        run: the run folder; none while its run has not begun.
        full: the epochs of the whole training.
    """
    workdir = Workdir(run)
    if not workdir.is_run_folder():
        return []
    steps = workdir.read_run()["identity"]["max_steps"]
    return [max(1, round(step / steps * full)) for step in MetricsTable(run / "metrics.csv").read().get("step", ())]


def score(values: np.ndarray, kind: str) -> float | None:
    """What counts of the accuracies of a training; None if there is none, or the last one is unknown.

    Args:
        values: float64 [rows].
        kind: "last", "mean_last_10" or "best".
    """
    if not values.size or not np.isfinite(values[-1]):
        return None
    chosen = {"last": values[-1:], "mean_last_10": values[-LAST:], "best": values}[kind]
    chosen = chosen[np.isfinite(chosen)]
    return float(chosen.max() if kind == "best" else chosen.mean())


def last_line(log: Path) -> str:
    """The last line of what a training printed that is not empty."""
    if not log.is_file():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
