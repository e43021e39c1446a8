"""The share of wrong labels where nobody knows it: --mode=estimate, and --loss_p_percentile=auto.

Both look at the losses of a plain training. ``auto`` does a short one of its own before the run, in estimate/
of the run folder; it is continued after a kill like any other.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

import student_nets
from flags.build import preparation
from flags.commands import making
from flags.define.spade_flags import AUTO, MethodConfig
from flags.settings import Config
from mentornet import features, files, methods, reading
from mentornet.methods import noise_estimate
from mentornet.methods.noise_estimate import NoiseEstimate
from mentornet.runs.metrics_table import METRIC_COLUMNS
from mentornet.runs.workdir import Workdir
from mentornet.training import run
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.evaluation import sample_outputs
from mentornet.training.progress import Heartbeat

EPOCHS = 5
"""Length of the plain training: long enough to learn what most labels agree on, too short to memorise the others."""
LEAST_STEPS = 50
"""Its length where an epoch has few steps."""
GUESSED = "agrees with hardly more of the given labels than guesses would"
WAY_OUT = "Try a smaller --learning_rate (a tenth), or another --studentnet"
_STORED = {
    "percentile": reading.Value(float, 0, 1),
    "wrong": reading.Value(float, 0, 1),
    "kappa": reading.Value(float, -1, 1),
    "examples": reading.Value(int, 0, reading.LARGEST_WHOLE),
}
MEMORISED = 0.9
"""Training accuracy on given labels above which a student of unknown length may have little left to tell."""


def is_auto(config: Config) -> bool:
    """Whether the percentile is to be estimated."""
    return config.method.options.get("loss_percentile") == AUTO


def resolved(config: Config, build: Any, made: making.Data, workdir: Workdir, heartbeat: Heartbeat) -> Config:
    """The configuration with the percentile that the run's estimate.json says; made first if it is not there.

    Raises:
        RunFolderError: an estimate.json that is damaged.
        TrainingDiverged: of the plain training.
    """
    if not workdir.estimate_file.is_file():
        short = _plain(config, len(made.loaded.train), workdir.estimate_run)
        assert short.run.max_steps is not None
        heartbeat.say(f"estimate: a plain training of {short.run.max_steps:,} steps shows how many labels are wrong")
        estimate = of_student(_student(short, build, made, heartbeat), made.inputs, config, len(made.loaded.train))
        files.write_json(workdir.estimate_file, estimate.facts())
    percentile, told = _stored(workdir)
    if told:
        heartbeat.say(told)
    return _with_percentile(config, percentile)


def as_estimated(config: Config, workdir: Workdir) -> Config:
    """The configuration of a run that exists, with the percentile of its estimate.json if it has ``auto``.

    Raises:
        RunFolderError: the run has no such file, or a damaged one.
    """
    return _with_percentile(config, _stored(workdir)[0]) if is_auto(config) else config


def _with_percentile(config: Config, percentile: float) -> Config:
    options = config.method.options | {"loss_percentile": features.per_epoch_table(percentile, "--loss_p_percentile")}
    return dataclasses.replace(config, method=dataclasses.replace(config.method, options=options))


def _stored(workdir: Workdir) -> tuple[float, str]:
    """The percentile of estimate.json, and what is said about it."""
    stored = reading.read_json(workdir.estimate_file, _STORED)
    percentile, wrong = stored.get("percentile"), stored.get("wrong")
    if percentile is None:
        raise files.RunFolderError(f"{workdir.estimate_file} has no percentile: remove it to estimate anew")
    if not isinstance(wrong, float):
        return percentile, ""
    disagrees, kappa = stored.get("disagreement"), stored.get("kappa")
    kappa = 1.0 if kappa is None else kappa  # of an earlier version
    if kappa < noise_estimate.GUESSING:
        return percentile, (
            f"warning: no estimate, as the student of the short training {GUESSED}; --loss_p_percentile={percentile:g} "
            f"instead. {WAY_OUT}, or give the percentile yourself"
        )
    rough = isinstance(disagrees, float) and noise_estimate.is_rough(wrong, disagrees, kappa)
    about = "very roughly" if rough else "about"
    told = f"estimate: {about} {_percent(wrong)} of the labels are wrong, so --loss_p_percentile={percentile:g}"
    if rough:
        of = [stored.get(f"wrong_by_{name}") for name in ("losses", "matrix", "confident")]
        shares = [share for share in of if isinstance(share, float)]
        least, most = min([*shares, wrong]), max([*shares, wrong])
        told += (
            f"\n          (estimates lie between {_percent(least)} and {_percent(most)}, "
            "as the student has learned little yet: look at a hundred images, and give the percentile yourself if you "
            "know better)"
        )
    examples = stored.get("examples")
    if isinstance(examples, int) and 0 < examples < noise_estimate.FEW:
        told += f"\n          ({_few(examples, wrong)})"
    return percentile, told


def _few(examples: int, wrong: float) -> str:
    """How much the number of images alone leaves open."""
    by_chance = noise_estimate.by_chance(wrong, examples)
    return f"{examples:,} images are few: chance alone moves such a share by {100 * by_chance:.0f} points either way"


def of_student(student: keras.Model, inputs: Any, config: Config, examples: int) -> NoiseEstimate:
    """The estimate from a student's answers for all training samples."""
    losses = sample_outputs(student, inputs.ordered(None)).loss
    probabilities = preparation.probabilities(student, inputs.ordered(None))
    return noise_estimate.estimate(losses, probabilities, inputs.given, config.steps_per_epoch(examples))


def tell(found: NoiseEstimate, config: Config, workdir: Workdir, step: int, inputs: Any) -> str:
    """What a person is told of a run's estimate, which is kept in its folder unless it says nothing.

    Args:
        found: the estimate.
        config: of the run.
        workdir: its folder, or a folder that has checkpoints alone.
        step: of the checkpoint.
        inputs: the training data.
    """
    of_run = workdir.read_run()["identity"] if workdir.is_run_folder() else {}
    epoch = config.steps_per_epoch(len(inputs.given))
    epochs, enough = step / epoch if step > 2 * LEAST_STEPS else 0.0, max(EPOCHS, math.ceil(LEAST_STEPS / epoch))
    if of_run.get("method", methods.PLAIN) != methods.PLAIN:
        why = f"this is a run of {of_run['method']}, which treats wrong labels differently, and not a plain one"
    elif step < LEAST_STEPS:
        why = f"this run is {step} steps long, too few to learn what most labels agree on"
    elif epochs > 2 * EPOCHS:
        why = f"this run is {epochs:.0f} epochs long, and may have learned wrong labels, too"
    elif not of_run and 1 - found.disagreement > MEMORISED:
        why = f"this student fits {_percent(1 - found.disagreement)} of the given labels, perhaps wrong ones, too"
    else:
        why = ""
    if of_run and not why:
        files.write_json(workdir.estimate_file, found.facts())
    return report(found, config.student.name, inputs.clean, inputs.given, why, enough)


def report(
    estimate: NoiseEstimate,
    student: str,
    clean: np.ndarray | None,
    given: np.ndarray,
    why: str = "",
    epochs: int = EPOCHS,
) -> str:
    """The estimate, and what follows; ``why`` says why nothing does, and ``epochs`` how many would be right."""
    of = {"losses": estimate.wrong_by_losses, "transition matrix": estimate.wrong_by_matrix}
    of["surest predictions"] = estimate.wrong_by_confident
    lines = [
        f"wrong labels: about {_percent(estimate.wrong)}, the median of "
        + ", ".join(f"{_percent(share)} by the {name}" for name, share in of.items())
        + f"; the student disagrees with {_percent(estimate.disagreement)}"
    ]
    if clean is not None:
        lines.append(f"known here:   {_percent(float(np.mean(clean != given)))}")
    if why:
        lines.append(
            f"warning: {why}: the figures above may be far off, and no settings follow from them. The estimate needs a "
            f"short plain run: train with --method={methods.PLAIN} --num_epochs={epochs}, the same data flags and "
            "another --train_log_dir, and give that folder to --mode=estimate --checkpoint_dir; "
            "--loss_p_percentile=auto does both by itself"
        )
        return "\n".join(lines)
    if estimate.says_nothing:
        lines.append(
            f"warning: the student {GUESSED}: it has learned next to nothing, or nearly all labels are wrong, and the "
            f"figures above say nothing. {WAY_OUT}"
        )
        return "\n".join(lines)
    if estimate.examples < noise_estimate.FEW:
        lines.append(f"note: {_few(estimate.examples, estimate.wrong)}")
    if estimate.rough:
        lines.append(
            "warning: the student disagrees with many more labels than that, or nearly as often as guesses do, so it "
            "has learned little yet, and the estimate may be 15 points off or more; a review of a hundred images drawn "
            "at random tells more"
        )
    lines.append(
        f"try:          --curriculum=mentornet_pd --loss_p_percentile={estimate.percentile:g} "
        f"--burn_in_epoch={estimate.burn_in_epoch} --max_number_of_steps={estimate.steps} --studentnet={student}"
    )
    return "\n".join(lines)


def _plain(config: Config, examples: int, folder: Path) -> Config:
    """A short plain training on the same data with the same student."""
    epoch = config.steps_per_epoch(examples)
    steps = max(LEAST_STEPS, EPOCHS * epoch)
    run_config = dataclasses.replace(
        config.run,
        train_log_dir=str(folder),
        max_steps=steps,
        num_epochs=None,
        eval_every_steps=epoch,
        keep_dumps_at=(),
    )
    student = dataclasses.replace(
        config.student,
        learning_rate_schedule="steps",
        num_epochs_per_decay=None,
        learning_rate_boundaries=(max(1, round(0.65 * steps)), max(2, round(0.85 * steps))),
    )
    method = MethodConfig(methods.PLAIN, None, None, {})
    return dataclasses.replace(config, run=run_config, student=student, method=method)


def _student(short: Config, build: Any, made: making.Data, heartbeat: Heartbeat) -> keras.Model:
    """The student of the plain training, which is done or continued if it has to be."""
    workdir, here = Workdir(str(short.run.train_log_dir), METRIC_COLUMNS), Distribution()
    if not workdir.finished():
        trainer = making.trainer(short, build, made.loaded, here, build.arguments(short, made.loaded, workdir))
        workdir.claim("", short.identity())
        settings = dataclasses.replace(build.run_settings(short), heartbeat=heartbeat)
        inputs = build.training_inputs(made.loaded, short, here)
        facts = making.facts(short, made.loaded, here)
        run.train(trainer.method, trainer.optimizer, inputs, workdir, settings, facts, here)
    return student_nets.load(workdir.student_file)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
