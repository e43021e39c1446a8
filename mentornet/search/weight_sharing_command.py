"""The search with shared weights from beginning to end: one training, its schedule trained anew, the report.

Below the search folder are ``shared/run``, the run folder of the training; ``R.csv`` and ``card.json``, the schedule
at the mean of the p_theta that it ended with; ``progress.csv``, a row a sample; ``result.json``, ``report.md`` and
pictures. What moved is not read from checkpoints but follows from the accuracies in metrics.csv
(``weight_sharing.replay``).
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np

from mentornet import files
from mentornet.runs.metrics_table import MetricsTable
from mentornet.search import command, objective, plots, proposals, summary, weight_sharing
from mentornet.search.locks import Lock
from mentornet.search.plan import Plan

FOLDER = "shared"
POLL, EVERY = 0.3, 30.0  # seconds


def settings(plan: Plan) -> weight_sharing.Settings:
    """Those of the training."""
    return weight_sharing.Settings(plan.space, plan.samples, plan.rate, plan.seed)


def run(plan: Plan, workers: int = 1, seeds: Sequence[int] = (), stream: TextIO | None = None) -> dict[str, Any]:
    """Trains, or continues, trains the schedule that was found anew, and writes the search folder.

    Args:
        plan: of the search.
        workers: trainings at a time when it is trained anew; 0 reports what there is.
        seeds: of those trainings.
        stream: where progress is printed; default: standard output.

    Returns:
        The content of result.json.

    Raises:
        ValueError: nothing was evaluated yet, or another search is in the folder.
        TrialFailed: a training failed.
    """
    out = stream or sys.stdout
    with files.explained(plan.folder, "create the search folder"):
        plan.folder.mkdir(parents=True, exist_ok=True)
    if (plan.folder / "trials").exists():
        raise ValueError(f"{plan.folder} has a search of another sampler: give another --output")
    if workers:
        with command.stopped_by_sigterm():
            _train(plan, out)
    result = write(plan, seeds)
    if workers and seeds:
        folders = {seed: plan.folder / "retrained" / f"seed{seed}" for seed in seeds}
        flags = {}
        for seed, folder in folders.items():
            proposals.write_schedule(folder / proposals.SCHEDULE_FILE, np.array(result["schedule"]))
            flags[seed] = [f"--keep_schedule=file:{folder / proposals.SCHEDULE_FILE}"]
        with command.stopped_by_sigterm():
            command.retrain(plan, "the schedule", folders, flags, workers, out)
        result = write(plan, seeds)
    return result


def _train(plan: Plan, out: TextIO) -> None:
    folder = plan.folder / FOLDER
    done, lock = folder / objective.RUN / "result.json", Lock(folder / ".running")
    if not lock.acquire(wait=False):
        print("the training of an earlier command goes on, and is waited for", file=out, flush=True)
        while not lock.acquire(wait=False):
            time.sleep(POLL)
    try:
        # The training itself says whether it was made with these flags, so it is started even if it is finished.
        child = objective.start(plan, [f"--keep_schedule={settings(plan).text}"], done.parent, lock.inherited)
        try:
            code = _watch(plan, child, out)
        except BaseException:
            child.terminate()
            child.wait()
            raise
        if code:
            reason = objective.last_line(folder / objective.LOG) or f"exit code {code}"
            raise objective.TrialFailed(f"the training failed: {reason}")
    finally:
        lock.release()


def _watch(plan: Plan, child: subprocess.Popen[bytes], out: TextIO) -> int:
    printed, shown = time.monotonic(), 0
    while True:
        try:
            return child.wait(POLL)
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() - printed >= EVERY:
            printed = time.monotonic()
            scores = objective.accuracies(plan.folder / FOLDER / objective.RUN, plan.column)
            if len(scores) > shown:
                shown = len(scores)
                print(f"samples {shown} | validation accuracy {scores[-1]:.4f}", file=out, flush=True)


def write(plan: Plan, seeds: Sequence[int] = ()) -> dict[str, Any]:
    """Writes all files of the search folder from what the training has reached.

    Args:
        plan: of the search.
        seeds: of the schedule's own trainings; those that are finished are reported.

    Raises:
        ValueError: it has not been evaluated yet.
    """
    training = plan.folder / FOLDER / objective.RUN
    scores = objective.accuracies(training, plan.column)
    if not len(scores) or plan.epochs is None:
        raise ValueError(f"{training} has no evaluation yet, so there is nothing to report")
    search, xs, deltas = weight_sharing.replay(settings(plan), plan.epochs, scores.tolist())
    space, x = search.space, search.space.mean(search.theta)
    rates = space.schedule(x, plan.epochs)
    runs = {seed: plan.folder / "retrained" / f"seed{seed}" / objective.RUN for seed in seeds}
    runs = {seed: run for seed, run in runs.items() if (run / "result.json").is_file()}
    metrics = MetricsTable(training / "metrics.csv").read()
    result: dict[str, Any] = {
        "study": plan.study,
        "space": space.title,
        "sampler": plan.sampler,
        "search_seed": plan.seed,
        "trials": len(scores),
        "score": plan.score,
        "validation": plan.training.get("validation"),
        "best_trial": None,
        "best_score": None,
        "best": space.describe(x),
        "epochs": plan.epochs,
        "trial_epochs": plan.epochs,
        "hours": float(metrics["seconds"][-1]) / 3600,
        "theta": search.theta,
        "schedule": rates.tolist(),
        "shared": summary.figures(plan, training),
        "retrained": [{"seed": seed, **summary.figures(plan, run)} for seed, run in runs.items()],
    }
    result["test"] = summary.statistics_of(result["retrained"])
    proposals.write_schedule(plan.folder / proposals.SCHEDULE_FILE, rates)
    files.write_json(plan.folder / summary.CARD, summary.card(plan, result))
    files.write_text(plan.folder / summary.PROGRESS, _progress(metrics["step"], scores, deltas, xs, space.names()))
    shown = list(runs.values()) or [training]
    plots.plot_schedule(
        plan.folder / "schedule.png",
        rates,
        [space.schedule(other, plan.epochs) for other in xs],
        [plots.curves(plan, run) for run in shown],
        f"{plan.study}: R(t) at the mean of p_theta, {space.title}",
    )
    chosen = proposals.Schedules(space, plan.epochs)
    plots.plot_distribution(plan.folder / "distribution.png", chosen, search.theta, f"{plan.study}: p_theta")
    files.write_text(plan.folder / summary.REPORT, _report(plan, result))
    files.write_json(plan.folder / summary.RESULT, result)
    return result


def _progress(
    steps: np.ndarray, scores: np.ndarray, deltas: np.ndarray, xs: Sequence[np.ndarray], names: Sequence[str]
) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["sample", "step", "score", "delta", *names])
    for row, (step, score, delta, x) in enumerate(zip(steps, scores, deltas, xs, strict=True)):
        writer.writerow([row, int(step), float(score), float(delta), *x.tolist()])
    return stream.getvalue()


def _report(plan: Plan, result: dict[str, Any]) -> str:
    shared = result["shared"]["accuracy_last"]
    return "\n".join(
        [
            f"# Search {plan.study}",
            "",
            f"Space {result['space']}, sampler {plan.sampler}: one training of {plan.epochs} epochs with "
            f"{result['trials']} samples, {result['hours']:.2f} hours. It ended with {summary.percent(shared)} % on "
            "the test images. The schedule is that of the mean of p_theta.",
            "",
            "| | |",
            "| --- | ---: |",
            *(f"| {name} | {summary.shown(value)} |" for name, value in result["best"].items()),
            "",
            *summary.retrained_lines(result),
            "![schedule.png](schedule.png)",
            "![distribution.png](distribution.png)",
            "",
        ]
    )
