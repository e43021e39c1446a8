"""What happens between two intervals of ``fit``: a metrics row, TensorBoard, a checkpoint; and the NaN guard."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.features import epoch_percent
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.inputs import RunSettings, TrainingInputs
from mentornet.training.progress import ProgressLine
from mentornet.training.workdir import Workdir


class TrainingDiverged(ValueError):
    """The loss stopped being a finite number."""


class NanGuard(keras.callbacks.Callback):
    """Stops at the first step whose loss is not finite; checkpoints written before it stay the last good ones."""

    _supports_tf_logs = True  # spares the copy of every step's logs to the host

    def __init__(self, every_seconds: float = 1.0):
        super().__init__()
        self._every, self._checked = every_seconds, 0.0

    def check(self) -> None:
        """Raises ``TrainingDiverged`` naming the step, if there was one."""
        step = int(self.model.first_bad_step.numpy())
        if step >= 0:
            raise TrainingDiverged(
                f"the loss is not finite at step {step}: training stopped, the last good checkpoint is kept; "
                "a lower --learning_rate usually helps"
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.monotonic() - self._checked >= self._every:
            self.check()
            self._checked = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.check()


class IntervalRecorder(keras.callbacks.Callback):
    """Ends every interval with evaluation, a row of metrics.csv, TensorBoard scalars and a checkpoint.

    The row comes before the checkpoint: a kill between the two leaves a row that the next start takes back.
    """

    _supports_tf_logs = True

    def __init__(
        self, workdir: Workdir, inputs: TrainingInputs, settings: RunSettings, checkpoints: Checkpoints, start: int
    ):
        super().__init__()
        self._workdir, self._inputs, self._settings = workdir, inputs, settings
        self._checkpoints, self._step = checkpoints, start
        self._writer = tf.summary.create_file_writer(str(workdir.events))
        self._progress = ProgressLine(settings.max_steps, start) if settings.progress else None
        self._accuracy: float | None = None
        self._saved = self._summarised = time.monotonic()
        self._resumed = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._resumed = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._progress is not None and self._progress.due():
            values = self.model.statistics.result()
            self._show(int(self.model.step.numpy()), values)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._checkpoints.seconds.assign_add(time.monotonic() - self._resumed)
        self._step = int(self.model.step.numpy())
        last = self._step >= self._settings.max_steps
        row = self._row({name: _shortest(value) for name, value in (logs or {}).items()})
        self._workdir.metrics.append_row(row)
        now = time.monotonic()
        if last or now - self._summarised >= self._settings.save_summaries_secs:
            self._summarise(row)
            self._summarised = now
        if last or now - self._saved >= self._settings.save_interval_secs:
            self._checkpoints.save()
            self._saved = time.monotonic()
        if self._progress is not None:
            self._show(self._step, row)

    def close(self) -> None:
        """Flushes what is open."""
        self._writer.close()
        if self._progress is not None:
            self._progress.close()

    def _row(self, logs: dict[str, float]) -> dict[str, Any]:
        row: dict[str, Any] = {
            "step": self._step,
            "epoch_percent": int(epoch_percent(self._step - 1, self._settings.max_steps)),
            "seconds": float(self._checkpoints.seconds.numpy()),
            "learning_rate": _shortest(self.model.learning_rate()),
            **{name: logs[name] for name in self._workdir.metrics.columns if name in logs},
            **{name: _shortest(value) for name, value in self.model.report().items()},
        }
        if self._settings.evaluate:
            found = self.model.evaluate(self._inputs.evaluation, verbose=0, return_dict=True)
            row |= {"eval_loss": _shortest(found["loss"]), "eval_accuracy": _shortest(found["accuracy"])}
            self._accuracy = row["eval_accuracy"]
        return row

    def _summarise(self, row: dict[str, Any]) -> None:
        with self._writer.as_default():
            for name, value in row.items():
                if name != "step" and value == value:
                    tf.summary.scalar(name, value, step=self._step)
        self._writer.flush()

    def _show(self, step: int, values: dict[str, Any]) -> None:
        assert self._progress is not None
        self._progress.show(step, float(values["raw_loss"]), float(values["train_accuracy"]), self._accuracy)


def _shortest(value: Any) -> float:
    """A float32 as the shortest decimal number that stands for it (0.5738, not 0.5738000273704529)."""
    return float(str(np.float32(value)))
