"""What a method needs beyond numbers: matrices from files, data or a first run, class weights, first weights."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from data.labels import NoisyLabels
from flags.build import first_run
from mentornet import files, transition
from mentornet.methods import class_weights
from mentornet.runs.workdir import Workdir
from mentornet.training import checkpoints
from mentornet.training.evaluation import sample_outputs

_OUTLIER_SHARE = 0.03
_WITHOUT_OUTLIERS = ("cifar100",)
_MATRIX_ARGUMENTS = {
    "forward_correction": "transition_matrix",
    "backward_correction": "transition_matrix",
    "s_model": "initial_transition",
}


@dataclass(frozen=True)
class OwnData:
    """What a run trains on, as far as sources are made from it.

    Attributes:
        settings: the run's ``Config.identity()``.
        labels: of the noisy training images.
        ids: int64 [n], their positions in the data set.
        paths: gives their n files, or None.
        num_classes: C.
        batches: makes the training images in order, not augmented.
    """

    settings: Mapping[str, Any]
    labels: NoisyLabels
    ids: np.ndarray
    paths: Callable[[], Sequence[str] | None]
    num_classes: int
    batches: Callable[[], tf.data.Dataset]

    def check_first_run(self, baseline_run: str) -> None:
        """Makes sure that a first run was trained on the same data; see ``baseline_runs.check_data``."""
        # Only of people's own images: elsewhere positions say the same, and paths depend on where the data lies.
        paths = self.paths() if self.settings.get("data_dir") else None
        first_run.check_data(baseline_run, self.settings, self.labels.given, self.ids, paths)


@dataclass(frozen=True)
class Derived:
    """What a method is made from beyond its options.

    Attributes:
        arguments: of its constructor.
        start_from: the run whose student's weights the new student gets, or None.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    start_from: str | None = None


def derived(method: str, sources: dict[str, Any], own: OwnData, workdir: Workdir | None = None) -> Derived:
    """Reads, counts or estimates what a method needs; a run that goes on takes what it began with.

    Args:
        method: its name.
        sources: the second result of ``flags.method_flags.options``.
        own: the data of this run.
        workdir: the run folder. A matrix that it keeps is used, and nothing is started from where it has a checkpoint,
            whatever has become of the first run or the file.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable or unfitting sources.
    """
    if method == "class_weights":
        rule = sources.get("class_weights_rule", "balanced")
        is_clean = own.labels.is_clean if own.labels.clean_known else None
        found = class_weights.class_weights(rule, own.labels.given, own.num_classes, is_clean)
        return Derived({"class_weights": found, "normalise_batch": rule == "precision"})
    if not sources:
        return Derived()
    if method in _MATRIX_ARGUMENTS:
        kept = workdir.matrix_file if workdir is not None and workdir.is_run_folder() else None
        if kept is not None and kept.is_file():
            return Derived({_MATRIX_ARGUMENTS[method]: read_matrix(str(kept))})
        matrix = _matrix(sources, own, estimate=method != "s_model")
        if method == "forward_correction":
            transition.check_labels(transition.checked(matrix, own.num_classes), own.labels.given)
        return Derived({_MATRIX_ARGUMENTS[method]: matrix})
    if workdir is not None and checkpoints.written(workdir.checkpoints):
        return Derived()
    own.check_first_run(sources["baseline_run"])
    return Derived(start_from=sources["baseline_run"])


def keep(workdir: Workdir, found: Derived) -> None:
    """Writes a matrix to a claimed run folder, unless it is there."""
    for name in set(_MATRIX_ARGUMENTS.values()) & set(found.arguments):
        if not workdir.matrix_file.exists():
            files.write_matrix(workdir.matrix_file, found.arguments[name])


def probabilities(student: keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Predicted distributions in inference mode, float32 [n, C], in the order of the batches."""
    predict = tf.function(lambda image: tf.nn.softmax(student(image, training=False)), reduce_retracing=True)
    return np.concatenate([predict(batch["image"]).numpy() for batch in batches])


def read_matrix(path: str) -> np.ndarray:
    """A matrix of numbers from a .npy file, or a .csv without heading (lines that begin with # are passed over).

    Raises:
        FileNotFoundError: there is none.
        ValueError: another kind of file, or not a matrix of numbers.
    """
    file = Path(path).expanduser()
    if file.suffix not in (".csv", ".npy"):
        raise ValueError(f"--transition_matrix={path}: give a .csv or .npy file, or true")
    if not file.is_file():
        raise FileNotFoundError(f"--transition_matrix={path}: there is no such file")
    try:
        if file.suffix == ".npy":
            values = np.asarray(np.load(file, allow_pickle=False), np.float64)
        else:
            with file.open(newline="", encoding="utf-8-sig") as stream:
                rows = [row for row in csv.reader(stream) if any(row) and not row[0].startswith("#")]
            values = np.array([[float(cell) for cell in row] for row in rows])
    except (ValueError, OSError, EOFError, csv.Error):
        values = np.empty(0)
    if values.ndim != 2:
        raise ValueError(
            f"--transition_matrix={path} is no matrix of numbers: a .csv needs a line of comma-separated numbers for "
            "every class and no heading"
        )
    return values


def _matrix(sources: dict[str, Any], own: OwnData, *, estimate: bool) -> np.ndarray:
    """From a file, from the true labels, or from a first run: estimated (corrections) or its confusion (S-model)."""
    given = sources.get("transition_matrix")
    if given == "true":
        if own.labels.clean is None:
            raise ValueError("--transition_matrix=true needs the true labels, which this data set does not have")
        return transition.confusion(own.labels.clean.reveal(), own.labels.given, own.num_classes)
    if given is not None:
        return read_matrix(given)
    baseline_run = sources["baseline_run"]
    own.check_first_run(baseline_run)
    student = first_run.student_of(baseline_run)
    if student.output_shape[-1] != own.num_classes:
        raise ValueError(f"--baseline_run={baseline_run} was trained on another number of classes")
    if not estimate:
        predicted = sample_outputs(student, own.batches()).predicted
        return transition.confusion(predicted, own.labels.given, own.num_classes)
    # Patrini et al. pass over outliers except on CIFAR-100.
    data_set = str(own.settings["dataset_name"]).removeprefix("tfds:")
    share = sources.get("transition_outlier_share", 0.0 if data_set in _WITHOUT_OUTLIERS else _OUTLIER_SHARE)
    return transition.estimated(probabilities(student, own.batches()), share)
