"""Flags of scripts/search_schedule.py: those of train_cifar.py, and what is searched, how, where."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags

from flags import configuration
from flags.settings import Config
from mentornet import curricula, files, methods
from mentornet.methods.selection import KEEP_SCHEDULE
from mentornet.search import proposals, spaces
from mentornet.search.newton import UTILITIES
from mentornet.search.plan import RELAXATIONS, SAMPLERS, SCORES, SHARING, Plan
from mentornet.search.study import JOURNAL, is_database

_SPACE = flags.DEFINE_string(
    "space",
    "paper",
    f"{', '.join(spaces.names())}: spaces of schedules R(t), options as in rbf:variant=code. "
    "grid:NAME=1,2,3 or range:NAME=0.5..0.9 (:log behind it for a logarithmic scale): any flag, or a parameter of the "
    "curriculum; several with ; between them.",
)
_SAMPLER = flags.DEFINE_enum(
    "sampler",
    None,
    [*SAMPLERS, SHARING],
    "newton (S2E), gradient, natural, reference (what S2E's code does): of schedules. random, tpe, hyperband: "
    "Optuna's. grid: every point of a grid. asng: one training whose weights all samples "
    "share. Default: newton, of a grid grid, of a range tpe.",
)
_OUTER = flags.DEFINE_integer("outer", 7, "M, steps on theta; M x K trials in all.", lower_bound=1)
_SAMPLES = flags.DEFINE_integer("samples", 6, "K, trials between two steps (asng: 2).", lower_bound=1)
_TRIALS = flags.DEFINE_integer("trials", None, "How many trials in all, instead of M x K.", lower_bound=1)
_UTILITIES = flags.DEFINE_enum(
    "utilities", "ranks", UTILITIES, "What counts of a score in a step on theta; see docs/search.md."
)
_STEP = flags.DEFINE_float("step_size", 1.0, "rho, the step size of theta.", lower_bound=1e-6)
_SEARCH_SEED = flags.DEFINE_integer("search_seed", 0, "Of the sampler; that of the trainings is --seed.", lower_bound=0)
_SCORE = flags.DEFINE_enum(
    "score", "last", SCORES, "What counts of a trial: its last validation accuracy, the mean of the last ten, the best."
)
_TRIAL_EPOCHS = flags.DEFINE_integer(
    "trial_epochs", None, "Shorten the trials to so many epochs; R(t) is squeezed, t is rescaled.", lower_bound=1
)
_TRIAL_STEPS = flags.DEFINE_integer(
    "trial_steps",
    None,
    "Shorten the trials to so many steps, where the training's length is in steps; its warm-up shrinks likewise.",
    lower_bound=1,
)
_RETRAIN_SEEDS = flags.DEFINE_list(
    "retrain_seeds", ["0", "1", "2"], "Seeds with which the best is trained anew at full length; none: not at all."
)
_OUTPUT = flags.DEFINE_string("output", "runs/search", "The search folder.")
_STORAGE = flags.DEFINE_string(
    "storage",
    None,
    "Where the study is: a journal file (default: study.journal in --output), sqlite:///FILE, or a database server, "
    "postgresql://USER@HOST/DATABASE or mysql://....",
)
_STUDY = flags.DEFINE_string("study_name", None, "The study's name in the storage; default: the name of --output.")
_WORKERS = flags.DEFINE_integer(
    "workers", 1, "Trainings at a time, a process each; 0: only report what there is.", lower_bound=0
)
_THREADS = flags.DEFINE_integer(
    "threads", None, "CPU threads of a training; default: the machine's, divided by --workers.", lower_bound=1
)

MODULES: tuple[ModuleType, ...] = (sys.modules[__name__], *configuration.MODULES)
_OF_THE_SEARCH = ("train_log_dir", "keep_schedule")
_NOT_OF_SHARING = ("outer", "trials", "trial_epochs", "trial_steps", "utilities", "score", "storage", "study_name")
_IN_EPOCHS: tuple[str, ...] = ("linear_decay_epoch", "num_epochs_per_decay", "warmup_epochs")
_IN_STEPS: tuple[str, ...] = (*_IN_EPOCHS, "warmup_steps", "agreement_steps", "agreed_steps")
"""Flags that a shortened trial shortens likewise, by --trial_epochs and --trial_steps."""


def config() -> Config:
    """The configuration of a training, checked as by train_cifar.py; the search gives it a run folder.

    Raises:
        ValueError: the same as there, or a run folder is given.
    """
    if configuration.is_given("train_log_dir"):
        raise ValueError("--train_log_dir is given, but every trial has its own run folder: give --output")
    flags.FLAGS["train_log_dir"].value = str(_OUTPUT.value)
    checked = configuration.config()
    if checked.run.mode != "train_and_evaluate":
        raise ValueError(f"--mode={checked.run.mode}: a search trains and evaluates, leave it out")
    return checked


def parse(argv: Sequence[str]) -> Plan:
    """The search of a command line (program name first), leaving the process' own flags as they are.

    Raises:
        ValueError, absl.flags.Error: the same as on the command line.
    """
    return configuration.made_of(argv, lambda: plan("train_cifar.py"), MODULES)


def workers() -> int:
    """--workers."""
    return int(_WORKERS.value)


def check_command_line(arguments: Sequence[str]) -> str | None:
    """What is to be said of a --keep_schedule beside a space of schedules; None if nothing.

    Args:
        arguments: of the command line, without the program's name. A recipe's own schedule, which comes by
            --flagfile, is what the search replaces.

    Raises:
        ValueError: the command line itself has one.
    """
    if proposals.names(_SPACE.value) or not configuration.is_given(KEEP_SCHEDULE.name):
        return None
    if any(re.match(rf"--?{KEEP_SCHEDULE.name}(=|$)", given) for given in arguments):
        raise ValueError(f"--{KEEP_SCHEDULE.name} is what --space={_SPACE.value} searches: leave one of the two out")
    return (
        f"the recipe's --{KEEP_SCHEDULE.name}={flags.FLAGS[KEEP_SCHEDULE.name].value} is replaced by what is searched"
    )


def retrain_seeds() -> list[int]:
    """--retrain_seeds.

    Raises:
        ValueError: something else than whole numbers of 0 or more.
    """
    given = [seed.strip() for seed in _RETRAIN_SEEDS.value]
    if given in ([], [""], ["none"]):
        return []
    if not all(re.fullmatch(r"\d+", seed) for seed in given) or len(set(given)) < len(given):
        raise ValueError(f"--retrain_seeds={','.join(given)}: give different whole numbers such as 0,1,2, or none")
    return [int(seed) for seed in given]


def plan(script: str) -> Plan:
    """The search that the parsed flags ask for, checked as far as no data is needed.

    Args:
        script: path of train_cifar.py.

    Raises:
        ValueError: flags that contradict each other, or that a training refuses.
    """
    full = config()
    retrain_seeds()
    names = proposals.names(_SPACE.value)
    epochs, method = full.run.num_epochs, full.method.name
    _check_sampler(names, epochs, full.run.max_steps or 0)
    if not names and KEEP_SCHEDULE not in methods.get(method).OPTIONS:
        able = [name for name in methods.names() if KEEP_SCHEDULE in methods.get(name).OPTIONS]
        raise ValueError(
            f"--space={_SPACE.value} searches R(t), which --method={method} does not have: {_one_of(able)}"
        )
    given = _training_flags(full, without=(*_OF_THE_SEARCH[:1], *(names or _OF_THE_SEARCH[1:])))
    shorter = _shorter(full)
    curriculum, parameters, integers = _kinds(full, names)
    asked = proposals.settings(_SPACE.value, curriculum, parameters, integers) if names else None
    if asked is None:
        assert epochs is not None
        proposals.schedules(_SPACE.value, epochs)
    variants = asked.corners() if asked else [{}]
    for values in variants:  # both ends and every choice, before any work
        own = asked.flags(values, Path(), epochs) if asked else ["--keep_schedule=constant:1"]
        trial = configuration.parse([script, *given, *shorter, *own, f"--train_log_dir={_OUTPUT.value}"])
    searched = {*names, "keep_schedule", *(["curriculum"] if parameters else [])}
    peers = "_peer_mean" if f"eval_accuracy{'_peer_mean'}" in trial.metric_columns() else ""
    points = asked.points if asked else None
    return Plan(
        output=_OUTPUT.value,
        storage=_storage(),
        study=_STUDY.value or Path(_OUTPUT.value).resolve().name,
        command=(sys.executable, script, *given),
        training={name: value for name, value in files.plain(trial.identity()).items() if name not in searched},
        space=_SPACE.value,
        sampler=_sampler(names),
        samples=2 if _sampler(names) == SHARING and not configuration.is_given("samples") else _SAMPLES.value,
        trials=points if points and _sampler(names) == "grid" else _TRIALS.value or _OUTER.value * _SAMPLES.value,
        trial_flags=tuple(shorter),
        utilities=_UTILITIES.value,
        rate=_STEP.value,
        seed=_SEARCH_SEED.value,
        epochs=epochs,
        trial_epochs=_TRIAL_EPOCHS.value or epochs,
        score=_SCORE.value,
        column=f"eval_validation_accuracy{peers}",
        test_column=f"eval_accuracy{peers}",
        curriculum=curriculum,
        parameters=tuple(parameters),
        integers=tuple(integers),
        threads=_THREADS.value or max(1, (os.cpu_count() or 1) // max(1, _WORKERS.value)),
    )


def _sampler(names: Sequence[str]) -> str:
    default = "newton" if not names else "grid" if _SPACE.value.startswith("grid") else "tpe"
    return str(_SAMPLER.value or default)


def _check_sampler(names: Sequence[str], epochs: int | None, steps: int) -> None:
    chosen, space = _sampler(names), _SPACE.value
    if chosen == SHARING:
        for name in _NOT_OF_SHARING:
            if configuration.is_given(name):
                raise ValueError(
                    f"--sampler={SHARING} is one training of --num_epochs, scored at every evaluation: leave --{name} "
                    "out"
                )
    if not names and epochs is None:
        raise ValueError(f"--space={space} makes R(t) for every epoch: give the length of training by --num_epochs")
    if names and chosen in (*RELAXATIONS, SHARING):
        raise ValueError(
            f"--sampler={chosen} searches schedules only, not --space={space}: use random, tpe or hyperband"
        )
    if chosen == "grid" and not space.startswith("grid:"):
        raise ValueError(f"--sampler=grid goes through a grid, and --space={space} is none: use another sampler")
    if chosen in (*RELAXATIONS, SHARING) and chosen != "reference" and _SAMPLES.value < 2:
        raise ValueError(f"--samples=1: a step of --sampler={chosen} compares 2 or more trials")
    if _TRIAL_EPOCHS.value and (epochs is None or _TRIAL_EPOCHS.value > epochs):
        raise ValueError(
            f"--trial_epochs={_TRIAL_EPOCHS.value} shortens trials: give --num_epochs, and no fewer than that"
        )
    if _TRIAL_STEPS.value and (epochs is not None or _TRIAL_STEPS.value > steps):
        raise ValueError(
            f"--trial_steps={_TRIAL_STEPS.value} shortens trainings that count in steps: give "
            "--max_number_of_steps, no fewer than that, and no --num_epochs"
        )
    if chosen == "hyperband" and epochs is None:
        raise ValueError("--sampler=hyperband counts in epochs: give the length of training by --num_epochs")


def _storage() -> str:
    given = _STORAGE.value or str(Path(_OUTPUT.value) / JOURNAL)
    if is_database(given) and not re.match(r"(sqlite|postgresql|mysql|mariadb|oracle|mssql)(\+\w+)?://", given):
        raise ValueError(f"--storage={given.split('://')[0]}://...: use sqlite, postgresql or mysql, or a file's path")
    return str(given)


def _training_flags(full: Config, without: Sequence[str]) -> list[str]:
    """The flags of the training that were given, and those that make all trainings see the same data."""
    found = []
    for module in configuration.MODULES:
        for flag in flags.FLAGS.get_flags_for_module(module):
            if flag.present and flag.name not in without:
                found += [line for line in flag.serialize().splitlines() if line]
    if full.data.validation == "none":
        found = [flag for flag in found if not flag.startswith("--validation=")] + ["--validation=test_half"]
    if not configuration.is_given("noise_seed") and "noise_seed" not in without:
        found.append(f"--noise_seed={full.data.noise_seed}")  # not another noise for every seed
    if not configuration.is_given("show_progress"):
        found.append("--noshow_progress")
    return sorted(found)


def _shorter(full: Config) -> list[str]:
    """Flags that make a trial shorter than the full training."""
    if _TRIAL_STEPS.value and full.run.max_steps:
        flag, share, scaled = (
            f"--max_number_of_steps={_TRIAL_STEPS.value}",
            _TRIAL_STEPS.value / full.run.max_steps,
            _IN_STEPS,
        )
    elif _TRIAL_EPOCHS.value and full.run.num_epochs is not None:
        flag, share, scaled = (
            f"--num_epochs={_TRIAL_EPOCHS.value}",
            _TRIAL_EPOCHS.value / full.run.num_epochs,
            _IN_EPOCHS,
        )
    else:
        return []
    if configuration.is_given("learning_rate_boundaries") and full.student.learning_rate_boundaries:
        raise ValueError(
            f"--trial_{'steps' if _TRIAL_STEPS.value else 'epochs'} shortens trials, but --learning_rate_boundaries "
            "are steps of the full training"
        )
    own = {name: getattr(full.student, name) for name in ("linear_decay_epoch", "num_epochs_per_decay")}
    known = {**own, **full.method.options}
    lengths = {name: known[name] for name in scaled if known.get(name)}
    return [flag, *(f"--{name}={max(1, round(value * share))}" for name, value in lengths.items())]


def _kinds(full: Config, names: Sequence[str]) -> tuple[str | None, list[str], list[str]]:
    """The recipe's curriculum, which names are its parameters, and which are whole numbers.

    Raises:
        ValueError: a name is neither a flag nor a parameter, or one that a search decides itself.
    """
    curriculum = full.method.curriculum
    kind = (curriculum or "").partition(":")[0]
    own = curricula.parameters(kind) if kind in curricula.names() else ()
    known: dict[str, Any] = {
        flag.name: flag for module in configuration.MODULES for flag in flags.FLAGS.get_flags_for_module(module)
    }
    decided = {*_OF_THE_SEARCH[:1], "num_epochs", "max_number_of_steps", "validation", "mode"}
    for name in names:
        if name in decided or (name not in known and name not in own):
            more = f", or a parameter of the curriculum ({', '.join(own)})" if own else ""
            raise ValueError(f"--space={_SPACE.value}: {name!r} can't be searched: name a flag of the training{more}")
    parameters = [name for name in names if name not in known]
    integers = [n for n in names if n in known and isinstance(known[n].parser, flags.IntegerParser)]
    return curriculum, parameters, integers


def _one_of(able: Sequence[str]) -> str:
    return f"use --method={' or '.join(able)}, or search another setting"
