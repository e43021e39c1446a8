"""What a training leaves behind at its end: samples.csv, the sheet of suspects, plots, the student, result.json."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import files, transition
from mentornet.methods.base import NoisyLabelMethod
from mentornet.reports import plots, review_page
from mentornet.reports.suspects import suspect_sheet
from mentornet.runs import samples, suspect_pictures
from mentornet.runs.metrics_table import METRIC_COLUMNS, last_known, summarise
from mentornet.runs.run_data import RunData
from mentornet.runs.run_record import package_versions
from mentornet.runs.workdir import Workdir
from mentornet.training import segmentation, tags
from mentornet.training.early_stopping import early_stopped_figures
from mentornet.training.evaluation import sample_outputs, save_student
from mentornet.training.inputs import TrainingInputs

SHOWN_SUSPECTS = 48


@dataclass(frozen=True, eq=False)
class SampleRecords:
    """What a method has recorded of every sample, and which of it tells suspects.

    Attributes:
        weight: float64 [n], see ``with_all_met``.
        met_at_end: bool [n], whose weights are those of the end, over which weights_auc goes.
        probability: float64 [n], see ``mean_probabilities``; suspects are ranked by it, if it is known,
        by_weight: unless the method's weights say more.
        maps: see ``MethodProtocol.weight_maps``.
        labels: see ``MethodProtocol.uses_labels``; False: there are no suspects.
    """

    weight: np.ndarray
    met_at_end: np.ndarray
    probability: np.ndarray
    by_weight: bool
    maps: str | None
    labels: bool


def sample_records(method: NoisyLabelMethod, num_examples: int) -> SampleRecords:
    """The records of a method, as they stand; all processes of a run have to ask at the same point."""
    at_end = mean_weights(method, num_examples)
    return SampleRecords(
        with_all_met(at_end, method),
        np.isfinite(at_end),
        mean_probabilities(method, num_examples),
        method.weights_rank_suspects,
        method.weight_maps,
        method.uses_labels,
    )


def finish(
    student: keras.Model,
    told: SampleRecords,
    inputs: TrainingInputs,
    workdir: Workdir,
    facts: dict[str, Any],
    matrix: np.ndarray | None = None,
    suspects_only: bool = False,
) -> dict[str, Any]:
    """Writes samples.csv, the sheet of suspects, the transition matrix, plots and, last of all, result.json.

    Without the first two where a method looks at no label.

    Args:
        student: the trained student, outside any strategy.
        told: what its method recorded of the samples.
        inputs: the data.
        workdir: the run folder.
        facts: see ``train``.
        matrix: float [C, C], the method's transition matrix, if it has one.
        suspects_only: of a run that was interrupted: samples.csv and the sheet, and returns {}.
    """
    title = f"{' '.join(filter(None, (facts.get('method'), facts.get('curriculum'))))} on {facts.get('dataset', '')}"
    if inputs.masks is not None:
        of_samples = segmentation.finish(student, told.weight, inputs.masks, workdir, title, told.maps)
    elif not told.labels:
        of_samples = {}
    else:
        of_samples = _finish_samples(student, told, inputs, workdir, title)
    inputs.check()
    if suspects_only:
        return {}
    metrics, clean = workdir.metrics.read(), inputs.clean
    if told.labels:
        tags.show_suspects(workdir.events, workdir.suspects_file, int(last_known(metrics["step"]) or 0))
    figures = summarise(metrics)
    for name in sorted(
        set(metrics) - set(METRIC_COLUMNS)
    ):  # of methods, and further evaluations: eval_top5 is top5_last
        figures[f"{name.removeprefix('eval_')}_last"] = last_known(metrics[name])
    if clean is not None:
        visited = told.met_at_end
        figures["weights_auc"] = samples.weights_auc(told.weight[visited], (inputs.given == clean)[visited])
        figures["noise_rate_actual"] = float(np.mean(inputs.given != clean))
    if matrix is not None:
        files.write_matrix(workdir.final_matrix_file, matrix)
        if clean is not None:
            figures |= transition.errors(matrix, clean, inputs.given)
    figures |= early_stopped_figures(workdir, inputs.holdout_criterion) | of_samples
    result = {
        "noise_rate_actual": None,
        **figures,
        "parameters": sum(int(np.prod(weight.shape)) for weight in student.trainable_weights),
        "train_examples": len(inputs.given),
        "evaluation_examples": inputs.evaluated_examples() or inputs.evaluation_examples,
        **({"judged_by": "given labels"} if inputs.judged_by_given else {}),
        **facts,
        "versions": package_versions(),
        "command": workdir.read_run().get("command"),
    }
    save_student(student, workdir.student_file)
    plots.draw_run(dataclasses.replace(RunData.load(workdir.path), finished=True, result=result))
    workdir.write_result(result)
    return result


def _finish_samples(
    student: keras.Model, told: SampleRecords, inputs: TrainingInputs, workdir: Workdir, title: str
) -> dict[str, Any]:
    """samples.csv and the sheet of suspects, of one label an image; how well their order tells wrong labels."""
    outputs = sample_outputs(student, inputs.ordered(None))
    clean = inputs.clean
    names = list(inputs.class_names)
    samples.write_samples_csv(
        workdir.samples_file,
        index=inputs.original_index,
        given=inputs.given,
        predicted=outputs.predicted,
        mean_weight=told.weight,
        loss=outputs.loss,
        class_names=names,
        clean=clean,
        paths=inputs.paths(np.arange(len(inputs.given))),
        mean_probability=told.probability,
        by_weight=told.by_weight,
    )
    ranked_by = None if told.by_weight else told.probability
    top = samples.top_suspects(told.weight, outputs.loss, suspect_pictures.KEPT, ranked_by)
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
        mean_weight=samples.telling(told.weight)[top],
        mean_probability=None if ranked_by is None else ranked_by[top],
        loss=outputs.loss[top],
        index=inputs.original_index[top],
        clean=None if clean is None else clean[top],
        class_names=names,
        paths=inputs.paths(top),
        title=title,
    )
    if clean is None:
        return {}
    rank = samples.rank_suspects(told.weight, outputs.loss, ranked_by)
    return {"suspects_auc": samples.weights_auc(rank, inputs.given == clean)}


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
