"""One training run from the first step to the last, and the folder it leaves behind.

The engine is Keras' ``fit`` with the method's own ``train_step``; one of its "epochs" is one evaluation interval here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import files, transition
from mentornet.methods.base import NoisyLabelMethod
from mentornet.reports import plots
from mentornet.reports.suspects import suspect_sheet
from mentornet.runs import samples
from mentornet.runs.metrics_table import METRIC_COLUMNS, last_known, summarise
from mentornet.runs.run_data import RunData
from mentornet.runs.run_record import package_versions
from mentornet.runs.workdir import Workdir
from mentornet.training.callbacks import IntervalRecorder, NanGuard
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.curriculum_update import CurriculumUpdates
from mentornet.training.distribution.inputs import training_batches
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.early_stopping import HoldoutSelector, early_stopped_figures
from mentornet.training.evaluation import plain_copy, sample_outputs, save_student
from mentornet.training.inputs import RunSettings, TrainingInputs

SHOWN_SUSPECTS = 48


def train(
    method: NoisyLabelMethod,
    optimizer: keras.optimizers.Optimizer,
    inputs: TrainingInputs,
    workdir: Workdir,
    settings: RunSettings,
    facts: dict[str, Any],
    distribution: Distribution | None = None,
    updates: CurriculumUpdates | None = None,
) -> dict[str, Any]:
    """Trains, or continues a killed training, and writes the whole run folder.

    Args:
        method: the student's trainer, not compiled yet, created in the distribution's scope.
        optimizer: of the student; likewise.
        inputs: the data.
        workdir: a run folder, claimed by the chief.
        settings: intervals and speed.
        facts: what result.json says about the run besides its figures (method, curriculum, dataset, seed, ...).
        distribution: where the steps are computed; default: in this process, on one device.
        updates: when and from what the curriculum is learned anew (MentorNet DD).

    Returns:
        The content of result.json; of the chief only, {} in a process that cooperates with it.

    Raises:
        TrainingDiverged: the loss is not finite.
        RunFolderError: the folder can't be written.
    """
    distribution = distribution or Distribution()
    if distribution.is_chief:
        workdir.save_labels(inputs.given, inputs.clean, inputs.original_index, inputs.clean_set, **inputs.label_facts)
    # Asynchronous steps are handed out one by one, so that a worker that dies takes no more than one with it.
    most = 1 if distribution.asynchronous else settings.eval_every_steps
    with distribution.scope():
        method.compile(
            optimizer=optimizer,
            jit_compile=settings.jit_compile,
            steps_per_execution=max(1, min(settings.steps_per_execution, most)),
        )
    checkpoints = Checkpoints(workdir.checkpoints, method, settings.keep_checkpoints, distribution)
    start = checkpoints.restore()
    if distribution.is_chief:
        workdir.metrics.truncate_after(start)
        if start:
            print(f"continuing from step {start:,} of {settings.max_steps:,}", flush=True)
    if start < settings.max_steps:
        _fit(method, inputs, workdir, settings, checkpoints, start, distribution, updates)
    student = method.student if distribution.kind == "one_device" else plain_copy(method.student)
    mean_weight = mean_weights(method, len(inputs.given))
    matrix = method.transition_matrix()
    result = finish(student, mean_weight, inputs, workdir, facts, matrix) if distribution.is_chief else {}
    distribution.from_chief(0)  # the others stay until the chief has written everything
    return result


def _fit(
    method: NoisyLabelMethod,
    inputs: TrainingInputs,
    workdir: Workdir,
    settings: RunSettings,
    checkpoints: Checkpoints,
    start: int,
    distribution: Distribution,
    updates: CurriculumUpdates | None,
) -> None:
    update_steps = [] if updates is None else updates.steps(settings.max_steps)
    selector = None if inputs.holdout is None else HoldoutSelector(workdir, inputs, start, distribution)
    recorder = IntervalRecorder(
        workdir, inputs, settings, checkpoints, start, distribution, set(update_steps), selector
    )
    callbacks = [NanGuard(), recorder]
    try:
        # Whole intervals in one call, then the remainder up to the next update of the curriculum or the end.
        while start < settings.max_steps:
            until = min(step for step in (*update_steps, settings.max_steps) if step > start)
            every = min(settings.eval_every_steps, until - start)
            if method.chooses_clean_samples:
                _fit_interval(method, inputs, start, start + every, recorder, distribution)
                start += every
                continue
            intervals = (until - start) // every
            method.fit(
                training_batches(distribution, inputs, start, intervals * every),
                epochs=intervals,
                steps_per_epoch=every,
                verbose=0,
                callbacks=callbacks,
            )
            start += intervals * every
            if updates is not None and start in update_steps:
                student = method.student if distribution.kind == "one_device" else plain_copy(method.student)
                updates.update(method, student, workdir if distribution.is_chief else None)
                checkpoints.save()
    finally:
        recorder.close()


def _fit_interval(
    method: NoisyLabelMethod,
    inputs: TrainingInputs,
    start: int,
    end: int,
    recorder: IntervalRecorder,
    distribution: Distribution,
) -> None:
    """One interval in parts, between which the method chooses its clean samples anew; a row only at its end."""
    reached = start
    while reached < end:
        stop = min(end, method.next_choice(reached) or end)
        method.within_interval, recorder.interval_goes_on = reached > start, stop < end
        present = _with_chosen_clean_samples(method, inputs, distribution)
        method.fit(
            training_batches(distribution, present, reached, stop - reached),
            steps_per_epoch=stop - reached,
            verbose=0,
            callbacks=[NanGuard(), recorder],
        )
        reached = stop


def _with_chosen_clean_samples(
    method: NoisyLabelMethod, inputs: TrainingInputs, distribution: Distribution
) -> TrainingInputs:
    """The inputs with the clean samples that the method chooses among the training samples."""
    if inputs.batches_beside is None:
        raise ValueError("this data can't put chosen samples beside its batches: give a clean set")
    student = method.student if distribution.kind == "one_device" else plain_copy(method.student)
    chosen = method.chosen_clean_samples(student, inputs.training_in_order)
    return dataclasses.replace(inputs, batches=inputs.batches_beside(chosen), worker_stream=None)


def finish(
    student: keras.Model,
    mean_weight: np.ndarray,
    inputs: TrainingInputs,
    workdir: Workdir,
    facts: dict[str, Any],
    matrix: np.ndarray | None = None,
) -> dict[str, Any]:
    """Writes samples.csv, the sheet of suspects, the transition matrix, plots and, last of all, result.json.

    Args:
        student: the trained student, outside any strategy.
        mean_weight: float64 [n], see ``mean_weights``.
        inputs: the data.
        workdir: the run folder.
        facts: see ``train``.
        matrix: float [C, C], the method's transition matrix, if it has one.
    """
    outputs = sample_outputs(student, inputs.training_in_order)
    clean = inputs.clean
    names = list(inputs.class_names)
    samples.write_samples_csv(
        workdir.samples_file,
        index=inputs.original_index,
        given=inputs.given,
        predicted=outputs.predicted,
        mean_weight=mean_weight,
        loss=outputs.loss,
        class_names=names,
        clean=clean,
        paths=inputs.paths(np.arange(len(inputs.given))),
    )
    top = samples.top_suspects(mean_weight, outputs.loss, SHOWN_SUSPECTS)
    suspect_sheet(
        workdir.suspects_file,
        inputs.pictures(top),
        given=inputs.given[top],
        predicted=outputs.predicted[top],
        mean_weight=samples.telling(mean_weight)[top],
        index=inputs.original_index[top],
        clean=None if clean is None else clean[top],
        class_names=names,
        paths=inputs.paths(top),
        title=f"{' '.join(filter(None, (facts.get('method'), facts.get('curriculum'))))} on {facts.get('dataset', '')}",
    )
    inputs.check()
    metrics = workdir.metrics.read()
    figures = summarise(metrics)
    for name in set(metrics) - set(METRIC_COLUMNS):  # of methods, and further evaluations: eval_top5 is top5_last
        figures[f"{name.removeprefix('eval_')}_last"] = last_known(metrics[name])
    if clean is not None:
        visited = np.isfinite(mean_weight)
        figures["weights_auc"] = samples.weights_auc(mean_weight[visited], (inputs.given == clean)[visited])
        figures["noise_rate_actual"] = float(np.mean(inputs.given != clean))
    if matrix is not None:
        files.write_matrix(workdir.final_matrix_file, matrix)
        if clean is not None:
            figures |= transition.errors(matrix, clean, inputs.given)
    figures |= early_stopped_figures(workdir, inputs.holdout_criterion)
    result = {
        "noise_rate_actual": None,
        **figures,
        "parameters": sum(int(np.prod(weight.shape)) for weight in student.trainable_weights),
        "train_examples": len(inputs.given),
        **facts,
        "versions": package_versions(),
        "command": workdir.read_run().get("command"),
    }
    save_student(student, workdir.student_file)
    plots.draw_run(dataclasses.replace(RunData.load(workdir.path), finished=True, result=result))
    workdir.write_result(result)
    return result


def mean_weights(method: NoisyLabelMethod, num_examples: int) -> np.ndarray:
    """Mean weight of every sample at the end of training, float64 [n], see ``RECORDED_SHARE``; NaN: not visited."""
    if method.num_examples is None:
        return np.full(num_examples, np.nan)
    totals = tf.convert_to_tensor(method.weight_totals).numpy().astype(np.float64)
    visits = tf.convert_to_tensor(method.weight_visits).numpy()
    return np.divide(totals, visits, out=np.full(num_examples, np.nan), where=visits > 0)


def checkpoint_folder(path: str | Path) -> Path:
    """The folder that holds checkpoints: a run folder's, or the path itself."""
    inside = Path(path) / "checkpoints"
    return inside if inside.is_dir() else Path(path)
