"""What a method is made from beyond numbers, for ``prepared`` of its class: labels, matrices, a first run."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from data.labels import NoisyLabels
from flags.build import first_run
from flags.settings import Config
from mentornet import arrays, files, reading
from mentornet.methods.preparation import Preparation
from mentornet.runs.workdir import Workdir
from mentornet.training import checkpoints
from mentornet.training.evaluation import sample_outputs


class FirstRun:
    """A finished first training on this run's data; ``mentornet.methods.preparation.FirstRun``."""

    def __init__(self, folder: str, num_classes: int, batches: Callable[[], tf.data.Dataset]):
        self._folder, self._num_classes, self._batches = folder, num_classes, batches

    def probabilities(self) -> np.ndarray:
        """Its student's predicted distributions of the training samples, float32 [n, C]."""
        return probabilities(self._student(), self._batches())

    def predicted(self) -> np.ndarray:
        """The most probable class of each, int32 [n]."""
        return sample_outputs(self._student(), self._batches()).predicted

    def start(self, network: keras.Model) -> None:
        """Copies its student's weights; see ``first_run.start_from``."""
        first_run.start_from(network, self._folder)

    def _student(self) -> keras.Model:
        student = first_run.student_of(self._folder)
        if student.output_shape[-1] != self._num_classes:
            raise ValueError(f"--baseline_run={self._folder} was trained on another number of classes")
        return student


def preparation(
    config: Config, loaded: Any, batches: Callable[[], tf.data.Dataset], workdir: Workdir | None = None
) -> Preparation:
    """The data of a run, as far as a method may be made from it; a run that goes on takes what it began with.

    Args:
        config: the whole configuration, resolved.
        loaded: the data, with train, labels and dataset.
        batches: makes the training images in order, not augmented.
        workdir: the run folder. A matrix that it keeps is used, and nothing is started from where it has a checkpoint,
            whatever has become of the first run or the file.
    """
    labels: NoisyLabels = loaded.labels

    def true_labels(needed_for: str) -> np.ndarray:
        if labels.clean is None:
            raise ValueError(f"{needed_for} the true labels, which this data set does not have")
        return labels.clean.reveal()

    def first(folder: str) -> FirstRun:
        # Only of people's own images: elsewhere positions say the same, and paths depend on where the data lies.
        settings = config.identity()
        paths = loaded.train.paths_at(range(len(loaded.train))) if settings.get("data_dir") else None
        first_run.check_data(folder, settings, labels.given, loaded.train.ids, paths)
        return FirstRun(folder, loaded.dataset.num_classes, batches)

    source = {"corrections": "set", "validation": "none"}.get(config.clean.clean_source, config.clean.clean_source)
    kept = workdir.matrix_file if workdir is not None and workdir.is_run_folder() else None
    injected = labels.noise_type != "none" and labels.clean is not None
    return Preparation(
        dataset_name=config.data.dataset_name.removeprefix("tfds:"),
        given=labels.given,
        num_classes=loaded.dataset.num_classes,
        steps_per_epoch=config.steps_per_epoch(len(loaded.train)),
        clean_source=source,
        clean_batch_size=config.clean.clean_batch_size or config.data.batch_size,
        true_labels=true_labels,
        read_matrix=read_matrix,
        first_run=first,
        noise_fraction=float(labels.noise_fraction) if injected else None,
        noise_type=labels.noise_type,
        batch_size=config.data.batch_size,
        num_epochs=config.run.num_epochs,
        balanced_epochs=config.clean.balanced_epochs,
        most_batches=config.data.max_batches_per_epoch,
        kept_matrix=reading.read_matrix(kept) if kept is not None and kept.is_file() else None,
        continued=workdir is not None and bool(checkpoints.written(workdir.checkpoints)),
        read_student=first_run.pretrained,
    )


def keep(workdir: Workdir, arguments: Mapping[str, Any]) -> None:
    """Writes a method's matrix to a claimed run folder, unless it is there."""
    for value in arguments.values():
        if isinstance(value, np.ndarray) and value.ndim == 2 and not workdir.matrix_file.exists():
            files.write_matrix(workdir.matrix_file, value)


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
            values = np.asarray(arrays.read_array(file), np.float64)
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
