"""Using a run's checkpoint without training: evaluation, and the loss dump that data-driven learning starts from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import files
from mentornet.features import epoch_percent
from mentornet.learning.dump import write_activations
from mentornet.runs.metrics_table import format_row
from mentornet.runs.samples import as_text
from mentornet.training.checkpoints import restore_student
from mentornet.training.evaluation import SampleOutputs, sample_outputs

DUMP_COLUMNS = ("id", "epoch_percent", "noisy_label", "clean_label", "loss")


def evaluate_checkpoint(
    student: keras.Model,
    checkpoints: Path,
    batches: tf.data.Dataset,
    ids: np.ndarray,
    output: Path,
    csv_file: str | None = None,
    facts: dict[str, Any] | None = None,
    paths: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Evaluates the newest checkpoint of a run.

    Args:
        student: the network the run trained.
        checkpoints: the folder with the checkpoints.
        batches: samples in order.
        ids: int64 [n], original index of each.
        output: where evaluation.json goes.
        csv_file: also write id, label, predicted, loss of every sample.
        facts: added to evaluation.json.
        paths: names of the files of the samples, added to the csv.

    Returns:
        The content of evaluation.json: step, accuracy, top5, loss, examples (that could be read), unreadable, seconds.
    """
    started = time.monotonic()
    step = restore_student(student, checkpoints)
    found = sample_outputs(student, batches)
    result = {
        **(facts or {}),
        "step": step,
        "accuracy": found.accuracy,
        "top5": found.top5,
        "loss": float(found.loss.mean(dtype=np.float64)),
        "examples": len(found.label) - found.unreadable,
        "unreadable": found.unreadable,
        "seconds": time.monotonic() - started,
    }
    output.mkdir(parents=True, exist_ok=True)
    files.write_json(output / "evaluation.json", result)
    if csv_file:
        columns: dict[str, Any] = {"id": ids, "label": found.label, "predicted": found.predicted, "loss": found.loss}
        if paths is not None:
            columns["path"] = [as_text(path) for path in paths]
        write_csv(csv_file, tuple(columns), tuple(columns.values()))
    return result


def follow(
    evaluate: Any, interval: float, run_folder: Path, told: Callable[[dict[str, Any]], str] | None = None
) -> dict[str, Any]:
    """Calls ``evaluate()`` every ``interval`` seconds until the run is finished, and once more then (0: just once).

    ``told`` says the figures in words; None: those of one label an image.
    """
    while True:
        finished = interval <= 0 or (run_folder / "result.json").is_file()
        result: dict[str, Any] = evaluate()
        print(f"step {result['step']:,} | {(told or _of_labels)(result)}", flush=True)
        if finished:
            return result
        time.sleep(interval)


def _of_labels(result: dict[str, Any]) -> str:
    figure = "agreement with given labels" if result.get("judged_by") == "given labels" else "accuracy"
    unreadable = f" ({result['unreadable']} unreadable)" if result["unreadable"] else ""
    return f"{figure} {result['accuracy']:.4f} | loss {result['loss']:.4f} | {result['examples']:,} images{unreadable}"


def dump_losses(
    student: keras.Model,
    checkpoints: Path,
    batches: tf.data.Dataset,
    ids: np.ndarray,
    clean: np.ndarray,
    max_steps: int | None,
    csv_file: str,
    epoch: int | None = None,
    activations_file: str | None = None,
) -> SampleOutputs:
    """Writes id, epoch percent, noisy label, clean label, loss of every sample (the release's column order).

    The loss is against the noisy label, of the student in inference mode at its newest checkpoint.

    Args:
        student: the network the run trained.
        checkpoints: the folder with the checkpoints.
        batches: samples in order, with their noisy labels.
        ids: int64 [n], original index of each.
        clean: int32 [n], true labels.
        max_steps: length of the run, for the epoch percent; None: that is given.
        csv_file: the csv; replaced all at once.
        epoch: epoch percent to write instead of the checkpoint's.
        activations_file: also write the student's activation before its logits, see ``dump.write_activations``.

    Raises:
        ValueError: the student has no such activation.
    """
    step = restore_student(student, checkpoints)
    found = sample_outputs(student, batches, with_activation=activations_file is not None)
    if epoch is None:
        assert max_steps is not None
        epoch = int(epoch_percent(step, max_steps))
    if activations_file is not None and found.activation is not None:
        write_activations(activations_file, ids, found.activation)
    write_csv(csv_file, DUMP_COLUMNS, (ids, np.full(len(ids), epoch), found.label, clean, found.loss))
    return found


def write_csv(path: str | Path, header: Sequence[str], columns: Sequence[Sequence[Any] | np.ndarray]) -> None:
    """A csv of equally long columns, replaced all at once."""
    lines = [format_row(list(header)), *(format_row(row) for row in zip(*columns, strict=True))]
    files.write_text(path, "".join(lines))
