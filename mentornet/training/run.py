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

from mentornet import files, students, transition
from mentornet.methods.base import NoisyLabelMethod
from mentornet.reports import plots, review_page
from mentornet.reports.suspects import suspect_sheet
from mentornet.runs import samples, suspect_pictures
from mentornet.runs.metrics_table import METRIC_COLUMNS, last_known, summarise
from mentornet.runs.run_data import RunData
from mentornet.runs.run_record import package_versions
from mentornet.runs.workdir import Workdir
from mentornet.training.callbacks import IntervalRecorder
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.early_stopping import HoldoutSelector, early_stopped_figures
from mentornet.training.evaluation import sample_outputs, save_student
from mentornet.training.inputs import RunSettings, TrainingInputs
from mentornet.training.loop import check_asynchronous, run_stages

SHOWN_SUSPECTS = 48


def train(
    method: NoisyLabelMethod,
    optimizer: keras.optimizers.Optimizer,
    inputs: TrainingInputs,
    workdir: Workdir,
    settings: RunSettings,
    facts: dict[str, Any],
    distribution: Distribution | None = None,
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

    Returns:
        The content of result.json; of the chief only, {} in a process that cooperates with it.

    Raises:
        TrainingDiverged: the loss is not finite.
        RunFolderError: the folder can't be written.
        ValueError: several students or stages, asynchronously.
    """
    distribution = distribution or Distribution()
    if distribution.asynchronous:
        check_asynchronous(method)
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
            print(f"continuing from step {start:,}{_of(settings.max_steps)}", flush=True)
    if settings.max_steps is None or start < settings.max_steps:
        selector = None if inputs.holdout is None else HoldoutSelector(workdir, inputs, start, distribution)
        recorder = IntervalRecorder(workdir, inputs, settings, checkpoints, start, distribution, selector)
        folder = workdir.path if distribution.is_chief else None
        try:
            run_stages(
                method,
                inputs,
                checkpoints,
                recorder,
                settings.eval_every_steps,
                distribution,
                folder,
                settings.rates,
            )
        finally:
            recorder.close()
    student = method.student if distribution.kind == "one_device" else students.plain_copy(method.student)
    mean_weight = mean_weights(method, len(inputs.given))
    mean_probability = mean_probabilities(method, len(inputs.given))
    weights = with_all_met(mean_weight, method)  # outside the chief's part: all processes read what they share
    matrix = method.transition_matrix()
    result: dict[str, Any] = {}
    if distribution.is_chief:
        by_weight = method.weights_rank_suspects
        met = np.isfinite(mean_weight)
        result = finish(student, weights, inputs, workdir, facts, matrix, mean_probability, by_weight, met)
    distribution.from_chief(0)  # the others stay until the chief has written everything
    return result


def finish(
    student: keras.Model,
    mean_weight: np.ndarray,
    inputs: TrainingInputs,
    workdir: Workdir,
    facts: dict[str, Any],
    matrix: np.ndarray | None = None,
    mean_probability: np.ndarray | None = None,
    by_weight: bool = False,
    met_at_end: np.ndarray | None = None,
) -> dict[str, Any]:
    """Writes samples.csv, the sheet of suspects, the transition matrix, plots and, last of all, result.json.

    Args:
        student: the trained student, outside any strategy.
        mean_weight: float64 [n], see ``with_all_met``.
        inputs: the data.
        workdir: the run folder.
        facts: see ``train``.
        matrix: float [C, C], the method's transition matrix, if it has one.
        mean_probability: float64 [n], see ``mean_probabilities``; suspects are ranked by it, if it is known,
        by_weight: unless the method's weights say more.
        met_at_end: bool [n], whose weights are those of the end, over which weights_auc goes; default: all known ones.
    """
    outputs = sample_outputs(student, inputs.ordered(None))
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
        mean_probability=mean_probability,
        by_weight=by_weight,
    )
    ranked_by = None if by_weight else mean_probability
    top = samples.top_suspects(mean_weight, outputs.loss, suspect_pictures.KEPT, ranked_by)
    suspect_pictures.save(
        workdir.path / suspect_pictures.NAME,
        inputs.original_index[top],
        [review_page.thumbnail(picture) for picture in inputs.pictures(top)],
        names,
    )
    top = top[:SHOWN_SUSPECTS]
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
    for name in sorted(
        set(metrics) - set(METRIC_COLUMNS)
    ):  # of methods, and further evaluations: eval_top5 is top5_last
        figures[f"{name.removeprefix('eval_')}_last"] = last_known(metrics[name])
    if clean is not None:
        visited = np.isfinite(mean_weight) if met_at_end is None else met_at_end
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
        "evaluation_examples": inputs.evaluated_examples() or inputs.evaluation_examples,
        **facts,
        "versions": package_versions(),
        "command": workdir.read_run().get("command"),
    }
    save_student(student, workdir.student_file)
    plots.draw_run(dataclasses.replace(RunData.load(workdir.path), finished=True, result=result))
    workdir.write_result(result)
    return result


def mean_weights(method: NoisyLabelMethod, num_examples: int) -> np.ndarray:
    """Mean weight of every sample at the end of training, float64 [n], see ``RECORDED_SHARE``; NaN: not met then."""
    if method.num_examples is None:
        return np.full(num_examples, np.nan)
    totals = tf.convert_to_tensor(method.weight_totals).numpy().astype(np.float64)
    visits = tf.convert_to_tensor(method.weight_visits).numpy()
    return np.divide(totals, visits, out=np.full(num_examples, np.nan), where=visits > 0)


def with_all_met(mean_weight: np.ndarray, method: NoisyLabelMethod) -> np.ndarray:
    """The same, where a sample not visited at the end has its mean over the whole training; NaN: never visited.

    An epoch leaves out what would not fill its last batch, so that there are such samples in most runs.
    """
    tables = method.sample_tables
    return mean_weight if tables is None else np.where(np.isfinite(mean_weight), mean_weight, tables.mean_weights())


def mean_probabilities(method: NoisyLabelMethod, num_examples: int) -> np.ndarray:
    """Mean probability of every sample's given label over the whole training, float64 [n]; NaN: never visited."""
    tables = method.sample_tables
    return np.full(num_examples, np.nan) if tables is None else tables.mean_probabilities()


def _of(max_steps: int | None) -> str:
    return "" if max_steps is None else f" of {max_steps:,}"


def checkpoint_folder(path: str | Path) -> Path:
    """The folder that holds checkpoints: a run folder's, or the path itself."""
    inside = Path(path) / "checkpoints"
    return inside if inside.is_dir() else Path(path)
