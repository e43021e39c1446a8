"""What a search found: result.json, report.md, progress.csv, the best trial's schedule with its card, pictures.

Chosen is the trial with the best score on the validation data. Its schedule is trained anew at full length over
several seeds, and reported on test images that chose nothing.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mentornet import files, reading
from mentornet.runs.run_record import run_record
from mentornet.search import objective, plots, proposals
from mentornet.search.plan import Plan
from mentornet.search.sampler import StochasticRelaxationSampler, optuna
from mentornet.search.study import Tries, grouped

RESULT, REPORT, CARD, PROGRESS, BEST_FLAGS = "result.json", "report.md", "card.json", "progress.csv", "best.flags"
_COLUMNS = ("trial", "state", "score", "best", "epochs", "trainings", "seconds", "hours", "repeated")
# Of a training's settings, those that say what a schedule was found for.
_CARD = ("dataset_name", "train_examples", "noise_type", "noise_fraction", "studentnet", "method", "batch_size",
         "validation")  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The trials of a study, as far as they are done.

    Attributes:
        plan: of the search.
        study: its trials.
        groups: every trial with its repetitions.
    """

    plan: Plan
    study: optuna.Study
    groups: Sequence[Tries]

    @classmethod
    def of(cls, plan: Plan, study: optuna.Study) -> Found:
        """The present state of a study."""
        return cls(plan, study, grouped(study.get_trials(deepcopy=False)))

    @property
    def complete(self) -> list[tuple[int, optuna.trial.FrozenTrial]]:
        """(number of the first try, trial) of those that were trained to the end."""
        done = [(tries.number, tries.done) for tries in self.groups]
        return [(n, t) for n, t in done if t is not None and t.state == optuna.trial.TrialState.COMPLETE]

    @property
    def best(self) -> tuple[int, optuna.trial.FrozenTrial]:
        """The first of those with the highest score.

        Raises:
            ValueError: there is none.
        """
        if not self.complete:
            raise ValueError(self.failure())
        return max(self.complete, key=lambda entry: (entry[1].value, -entry[0]))

    def failure(self) -> str:
        """One sentence on why nothing was found."""
        failed = [tries for tries in self.groups if tries.error]
        if not failed:
            return f"study {self.plan.study!r} has no finished trial yet"
        log = self.plan.trial_folder(failed[-1].number) / objective.LOG
        return (
            f"all {len(failed)} trials so far have failed, the last one with: {failed[-1].error} (see {log}); the same "
            "command tries them again"
        )

    def theta(self) -> np.ndarray | None:
        """theta of the next generation; None if the sampler has none."""
        sampler = self.plan.make_sampler()
        return sampler.theta(self.study) if isinstance(sampler, StochasticRelaxationSampler) else None

    def rows(self) -> list[dict[str, Any]]:
        """A row a trial in the order in which they ended; "trainings" and "hours" are sums so far."""
        ended = [tries for tries in self.groups if tries.done or tries.error]
        ended.sort(key=lambda tries: (str(_last(tries).datetime_complete), tries.number))
        rows: list[dict[str, Any]] = []
        best, trainings, seconds = None, 0.0, 0.0
        for tries in ended:
            trial = _last(tries)
            full = self.plan.trial_epochs
            epochs = trial.user_attrs.get("epochs", full) if tries.done else None
            if tries.done is not None and tries.done.state == optuna.trial.TrialState.COMPLETE:
                best, epochs = max(best if best is not None else -np.inf, float(tries.done.value)), full
            trainings += epochs / full if epochs and full else float(tries.done is not None)
            seconds += trial.user_attrs.get("seconds", 0.0)
            value = None if tries.done is None else tries.done.value
            values = (tries.number, trial.state.name.lower(), value, best, epochs, round(trainings, 4))
            timing = (trial.user_attrs.get("seconds"), round(seconds / 3600, 4), tries.repeated)
            rows.append(dict(zip(_COLUMNS, (*values, *timing), strict=True)))
        return rows


def _last(tries: Tries) -> optuna.trial.FrozenTrial:
    return tries.done or tries.trials[-1]


def retrained_folder(plan: Plan, number: int, seed: int) -> Path:
    """Where the best trial is trained anew; named after it, because a longer search may find a better one."""
    return plan.folder / "retrained" / f"trial{number:04d}_seed{seed}"


def figures(plan: Plan, run: Path) -> dict[str, Any]:
    """Accuracy on the test images of a finished training: last, mean of the last ten evaluations, best.

    And "judged_by", if that is agreement with given labels, as there are no images with right ones.
    """
    values = objective.accuracies(run, plan.test_column)
    found = {f"accuracy_{kind}": objective.score(values, kind) for kind in ("last", "mean_last_10", "best")}
    judge = reading.read_json(run / "result.json").get("judged_by")
    return found | ({"judged_by": judge} if judge else {})


def write(plan: Plan, study: optuna.Study, seeds: Sequence[int] = ()) -> dict[str, Any]:
    """Writes all files of the search folder; the retrained runs are those that are finished.

    Args:
        plan: of the search.
        study: with one finished trial or more.
        seeds: of the retrained runs.

    Returns:
        The content of result.json.

    Raises:
        ValueError: no trial is finished.
    """
    found = Found.of(plan, study)
    number, trial = found.best
    folder, chosen = plan.folder, plan.proposals()
    runs = {seed: retrained_folder(plan, number, seed) / objective.RUN for seed in seeds}
    runs = {seed: run for seed, run in runs.items() if (run / "result.json").is_file()}
    rows, theta = found.rows(), found.theta()
    states = [row["state"] for row in rows]
    result = {
        "study": plan.study,
        "space": chosen.title,
        "sampler": plan.sampler,
        "search_seed": plan.seed,
        "trials": plan.trials,
        **{name: states.count(state) for name, state in (("complete", "complete"), ("pruned", "pruned"))},
        "failed": states.count("fail"),
        "score": plan.score,
        "validation": plan.training.get("validation"),
        "best_trial": number,
        "best_score": trial.value,
        "best": chosen.describe(trial.params),
        "parameters": dict(trial.params),
        "epochs": plan.epochs,
        "trial_epochs": plan.trial_epochs,
        "hours": rows[-1]["hours"],
        "theta": None if theta is None else theta,
        "retrained": [{"seed": seed, **figures(plan, run)} for seed, run in runs.items()],
    }
    result["test"] = statistics_of(result["retrained"])
    if isinstance(chosen, proposals.Schedules):
        proposals.write_schedule(folder / proposals.SCHEDULE_FILE, chosen.schedule(trial.params))
        files.write_json(folder / CARD, card(plan, result))
    files.write_text(folder / BEST_FLAGS, best_flags(plan, trial.params))
    files.write_text(folder / PROGRESS, _table(rows))
    drawn = plots.draw(plan, found, rows, theta, list(runs.values()))
    files.write_text(folder / REPORT, report(plan, result, drawn))
    files.write_json(folder / RESULT, result)
    return result


def card(plan: Plan, result: Mapping[str, Any]) -> dict[str, Any]:
    """What a schedule was found for, how, and how well it did."""
    record = run_record()
    names = ("space", "sampler", "trials", "search_seed", "epochs", "trial_epochs", "score", "best_trial", "best_score")
    return {
        "kind": "keep schedule R(t), the share of small losses that counts, a number an epoch",
        "found_for": {name: plan.training[name] for name in _CARD if name in plan.training},
        **{name: result[name] for name in names},
        "best": result["best"],
        "test": result["test"],
        "retrained": result["retrained"],
        "made": {name: record[name] for name in ("started", "git_commit", "git_changed", "versions")},
    }


def best_flags(plan: Plan, params: Mapping[str, Any]) -> str:
    """A flagfile that trains with the best trial's numbers at full length."""
    flags = [flag for flag in plan.command if flag.startswith("--")]
    flags += plan.proposals().flags(params, plan.folder, plan.epochs)
    return "\n".join([f"# the best trial of {plan.study}: add --train_log_dir", *flags, ""])


def report(plan: Plan, result: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """report.md: what was searched, what was found, how it does on the test images."""
    counts = ", ".join(f"{result[name]} {name}" for name in ("complete", "pruned", "failed") if result[name])
    lines = [
        f"# Search {plan.study}",
        "",
        f"Space {result['space']}, sampler {plan.sampler}, {plan.trials} trials ({counts}), "
        f"{result['hours']:.2f} hours of training.",
        "",
        f"Best: trial {result['best_trial']} with {result['best_score']:.4f} on the validation data "
        f"({result['validation']}, {plan.score}).",
        "",
        "| | |",
        "| --- | ---: |",
        *(f"| {name} | {shown(value)} |" for name, value in result["best"].items()),
        "",
    ]
    return "\n".join([*lines, *retrained_lines(result), *(f"![{name}]({name})" for name in pictures), ""])


def retrained_lines(result: Mapping[str, Any]) -> list[str]:
    """What a report says of the trainings at full length."""
    lines: list[str] = []
    if result["retrained"]:
        lines += [
            f"Trained anew at full length, {judged(result['test'])} of the test images, which chose nothing:",
            "",
            "| seed | last | mean of last 10 | best |",
            "| --- | ---: | ---: | ---: |",
            *(f"| {run['seed']} | {' | '.join(percent(run[name]) for name in _TEST)} |" for run in result["retrained"]),
            f"| mean | {' | '.join(percent(result['test'][name]) for name in _TEST)} |",
            "",
            "The best of all epochs is itself a choice by the test images; it is there because the paper reports it.",
            "",
        ]
    else:
        lines += ["Not trained anew yet.", ""]
    return lines


_TEST = ("accuracy_last", "accuracy_mean_last_10", "accuracy_best")


def statistics_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds."""
    found: dict[str, Any] = {"seeds": len(runs)}
    for name in _TEST:
        values = [run[name] for run in runs if run[name] is not None]
        found[name] = statistics.fmean(values) if values else None
        found[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
    return found | ({"judged_by": runs[0]["judged_by"]} if runs and "judged_by" in runs[0] else {})


def judged(test: Mapping[str, Any]) -> str:
    """What the figures of retrained runs are, by ``statistics_of``."""
    return f"agreement with {test['judged_by']}" if "judged_by" in test else "accuracy"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def shown(value: Any) -> str:
    """A number with four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(value: float | None) -> str:
    """A share as a number of percent with two digits; nothing for None."""
    return "" if value is None else f"{100 * value:.2f}"
