"""What a method needs beyond numbers: matrices from files, data or a first run, class weights, first weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

import student_nets
from data.labels import NoisyLabels
from mentornet.methods import class_weights, transition
from mentornet.training.evaluation import sample_outputs
from mentornet.training.workdir import Workdir

_STUDENTS = ("student_early_stopped.keras", "student.keras")


def arguments(
    method: str,
    sources: dict[str, Any],
    labels: NoisyLabels,
    num_classes: int,
    batches: tf.data.Dataset,
) -> dict[str, Any]:
    """The constructor's arguments that are made from data.

    Args:
        method: its name.
        sources: the second result of ``flags.method_flags.options``.
        labels: of the noisy training images.
        num_classes: C.
        batches: the training images in order, not augmented.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable or unfitting sources.
    """
    if method == "class_weights":
        rule = sources.get("class_weights_rule", "balanced")
        is_clean = labels.is_clean if labels.clean_known else None
        found = class_weights.class_weights(rule, labels.given, num_classes, is_clean)
        return {"class_weights": found, "normalise_batch": rule == "precision"}
    if method in ("forward_correction", "backward_correction"):
        return {"transition_matrix": _matrix(sources, labels, num_classes, batches, estimate=True)}
    if method == "s_model" and sources:
        return {"initial_transition": _matrix(sources, labels, num_classes, batches, estimate=False)}
    return {}


def start_from(network: keras.Model, baseline_run: str) -> None:
    """Copies the weights of a finished run's student.

    Raises:
        FileNotFoundError: the run has no student yet.
        ValueError: it is another network.
    """
    # Counters of dropout calls are no weights: the two may differ in dropout.
    own, first = (
        [variable for variable in model.variables if variable.dtype.is_floating]
        for model in (network, baseline_student(baseline_run))
    )
    if [variable.shape for variable in own] != [variable.shape for variable in first]:
        raise ValueError(f"the student of --baseline_run={baseline_run} is another network than --studentnet")
    for variable, start in zip(own, first, strict=True):
        variable.assign(start)


def baseline_student(baseline_run: str) -> keras.Model:
    """The student of a finished run: the one its hold-out chose, if it had one, else the last.

    Raises:
        FileNotFoundError: there is none.
    """
    for name in _STUDENTS:
        path = Workdir(baseline_run).path / name
        if path.is_file():
            return student_nets.load(path)
    raise FileNotFoundError(f"--baseline_run={baseline_run} has no {_STUDENTS[-1]}: finish that training first")


def probabilities(student: keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Predicted distributions in inference mode, float32 [n, C], in the order of the batches."""
    predict = tf.function(lambda image: tf.nn.softmax(student(image, training=False)), reduce_retracing=True)
    return np.concatenate([predict(batch["image"]).numpy() for batch in batches])


def read_matrix(path: str) -> np.ndarray:
    """A matrix of numbers from a .csv (no heading) or .npy file.

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
        values = (
            np.load(file, allow_pickle=False) if file.suffix == ".npy" else np.loadtxt(file, delimiter=",", ndmin=2)
        )
        return np.asarray(values, np.float64)
    except (ValueError, OSError, EOFError):
        raise ValueError(f"--transition_matrix={path} is no matrix of numbers") from None


def _matrix(
    sources: dict[str, Any], labels: NoisyLabels, num_classes: int, batches: tf.data.Dataset, *, estimate: bool
) -> np.ndarray:
    """From a file, from the true labels, or from a first run: estimated (corrections) or its confusion (S-model)."""
    given = sources.get("transition_matrix")
    if given == "true":
        if labels.clean is None:
            raise ValueError("--transition_matrix=true needs the true labels, which this data set does not have")
        return transition.confusion(labels.clean.reveal(), labels.given, num_classes)
    if given is not None:
        return read_matrix(given)
    student = baseline_student(sources["baseline_run"])
    if student.output_shape[-1] != num_classes:
        raise ValueError(f"--baseline_run={sources['baseline_run']} was trained on another number of classes")
    if not estimate:
        return transition.confusion(sample_outputs(student, batches).predicted, labels.given, num_classes)
    return transition.estimated(probabilities(student, batches), sources.get("transition_outlier_share", 0.03))
