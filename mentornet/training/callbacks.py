"""What happens between two intervals of ``fit``: a metrics row, TensorBoard, a checkpoint; and the NaN guard."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import students
from mentornet.features import epoch_percent
from mentornet.methods.base import LARGEST_LOSS
from mentornet.runs.workdir import Workdir
from mentornet.stages import Stage
from mentornet.training import signs, tags
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.distribution.inputs import evaluation_batches
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.dumps import write_dumps
from mentornet.training.early_stopping import HoldoutSelector
from mentornet.training.evaluation import sample_outputs
from mentornet.training.inputs import RunSettings, TrainingInputs
from mentornet.training.progress import ProgressLine


class TrainingDiverged(ValueError):
    """The loss stopped being a number of any use."""


class NanGuard(keras.callbacks.Callback):
    """Stops at the first step whose loss is not finite, or huge; checkpoints from before stay the last good ones."""

    def __init__(self, every_seconds: float = 1.0):
        super().__init__()
        self._supports_tf_logs = True  # spares the copy of every step's logs to the host
        self._every, self._checked = every_seconds, 0.0

    def check(self) -> None:
        """Raises ``TrainingDiverged`` naming the step, if there was one."""
        step = int(self.model.first_bad_step.numpy())
        if step >= 0:
            raise TrainingDiverged(
                f"the loss is not finite, or beyond {LARGEST_LOSS:g}, at step {step}: training stopped, checkpoints "
                f"from before are kept; {self.model.divergence_advice}"
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.monotonic() - self._checked >= self._every:
            self.check()
            self._checked = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.check()


class IntervalRecorder(keras.callbacks.Callback):
    """Ends every interval with evaluation, a row of metrics.csv, TensorBoard scalars, the hold-out and a checkpoint.

    The rows come before the checkpoint: a kill between them leaves rows that the next start takes back.
    Cooperating processes all come here; they evaluate and save together, and the chief writes.
    """

    def __init__(
        self,
        workdir: Workdir,
        inputs: TrainingInputs,
        settings: RunSettings,
        checkpoints: Checkpoints,
        start: int,
        distribution: Distribution,
        selector: HoldoutSelector | None = None,
    ):
        super().__init__()
        self._supports_tf_logs = True
        self._selector = selector
        self._workdir, self._inputs, self._settings = workdir, inputs, settings
        self._checkpoints, self._step, self._distribution = checkpoints, start, distribution
        writes, shows = distribution.is_chief, distribution.is_chief and settings.progress
        self._writer = tf.summary.create_file_writer(str(workdir.events)) if writes else None
        self._heartbeat = settings.heartbeat
        self._progress = (
            ProgressLine(
                settings.max_steps,
                judged_by_given=inputs.judged_by_given,
                masks=inputs.masks is not None,
                heartbeat=settings.heartbeat,
            )
            if shows
            else None
        )
        evaluated = inputs.evaluations() if settings.evaluate else {}
        self._evaluations = {prefix: evaluation_batches(distribution, part) for prefix, part in evaluated.items()}
        self._accuracy: float | None = None
        self._saved = self._summarised = time.monotonic()
        self._resumed = 0.0
        self._compiling = True
        self._warned = False
        self.checkpoint_due = False
        self.enter(Stage(), 0, settings.max_steps or 1, last=True, saves_at_end=True)

    def enter(self, stage: Stage, start: int, length: int, last: bool, saves_at_end: bool) -> None:
        """Tells what the coming steps belong to.

        Args:
            stage: the stage.
            start: the step it began with.
            length: its steps.
            last: no other follows.
            saves_at_end: False: a checkpoint that is due at its end waits for the look that follows.
        """
        self._stage, self._start, self._length = stage, start, length
        self._last, self._saves_at_end = last, saves_at_end

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._resumed = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._heartbeat is not None and self._compiling:
            self._heartbeat.doing("training", aloud=False)
            self._compiling = False
        if self._progress is not None and self._progress.due():
            step = int(self.model.step.numpy())
            at_end = step >= self._start + self._length
            if self._is_row(at_end, step) or (self._last and at_end):
                return  # the row's own line follows
            self._inputs.check()
            # Statistics that several processes share can't be read by one of them alone.
            values = {} if self._distribution.cooperating else self.model.statistics.result()
            self._show(step, values)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._checkpoints.seconds.assign_add(time.monotonic() - self._resumed)
        self._step = int(self.model.step.numpy())
        at_end = self._step >= self._start + self._length
        last = self._last and at_end
        if not last and not self._is_row(at_end, self._step):
            if at_end and self._stage.record is False:
                self._note_checkpoint(at_end, last)
            return
        self._inputs.check()
        if self._heartbeat is not None:
            self._heartbeat.doing("evaluating", aloud=False)
        row = self._row()
        self._dump(int(100 * self._share(self._step)))
        if self._heartbeat is not None:
            self._heartbeat.doing("training", aloud=False)
        self._inputs.check()  # an evaluation of which nothing could be read is none
        self.model.evaluated(row)
        now = time.monotonic()
        if self._writer is not None:
            self._workdir.metrics.append_row(row)
            if last or now - self._summarised >= self._settings.save_summaries_secs:
                self._summarise(row)
                self._summarised = now
        if self._selector is not None:
            self._selector.record(self.model.student, self._step)
        self.model.end_interval()
        self._note_checkpoint(at_end, last)
        if self._progress is not None:
            self._show(self._step, row)
            self._warn_of_loss(row)

    def _warn_of_loss(self, row: dict[str, Any]) -> None:
        """Says once if the first losses are far too large."""
        of_labels = self.model.uses_labels and self._inputs.masks is None
        if self._warned or not of_labels or self._heartbeat is None or self._progress is None:
            return
        classes, loss = len(self._inputs.class_names), row.get("raw_loss", math.nan)
        sentence = signs.high_loss(loss, classes, self._step, self._settings.max_steps, row["learning_rate"])
        if sentence is not None:
            self._warned = True
            self._progress.close()
            self._heartbeat.say(f"warning: {sentence}")

    def _dump(self, percent: int) -> None:
        """Writes the losses that were asked for by now; before the checkpoint, so that a kill loses none."""
        due = [at for at in self._settings.dumps_at if at <= percent and not self._workdir.dump_file(at).exists()]
        if due:
            write_dumps(due, self._inputs, self.model, self._workdir, self._epoch_percent(), self._distribution)

    def _note_checkpoint(self, at_end: bool, last: bool) -> None:
        """Notes whether a checkpoint is due, and writes it unless a look follows that it must hold."""
        due = last or time.monotonic() - self._saved >= self._settings.save_interval_secs
        self.checkpoint_due = bool(self._distribution.from_chief(due))
        if self._saves_at_end or not at_end:
            self.save_if_due()

    def save_if_due(self, changed: bool = False) -> None:
        """Writes a checkpoint if one is due, or if something has changed that it must hold."""
        if self.checkpoint_due or changed:
            self._checkpoints.save()
            self._saved = time.monotonic()
        self.checkpoint_due = False

    def _is_row(self, at_end: bool, step: int) -> bool:
        """Whether an interval ends here."""
        if self._stage.record is None:
            return step % self._settings.eval_every_steps == 0
        return self._stage.record and at_end

    def _share(self, step: int) -> float:
        """How much of the training is done, in [0, 1]."""
        if self._settings.max_steps is not None:
            return step / self._settings.max_steps
        return (self._stage.number + (step - self._start) / self._length) / (self.model.total_stages or 1)

    def close(self) -> None:
        """Flushes what is open."""
        if self._writer is not None:
            self._writer.close()
        if self._progress is not None:
            self._progress.close()

    def _row(self) -> dict[str, Any]:
        statistics, columns = self.model.statistics.result(), self._workdir.metrics.columns
        row: dict[str, Any] = {
            "step": self._step,
            "epoch_percent": self._epoch_percent(),
            "seconds": float(self._checkpoints.seconds.numpy()),
            "learning_rate": _shortest(self.model.learning_rate()),
            **{name: _shortest(statistics[name]) for name in columns if name in statistics},
            **{name: _shortest(value) for name, value in self.model.report().items() if name in columns},
        }
        for prefix, batches in self._evaluations.items():
            found = {f"{prefix}_{name}": value for name, value in self._evaluate(*batches).items()}
            row |= {name: value for name, value in found.items() if name in columns}
        self._accuracy = row.get("eval_accuracy" if self._inputs.masks is None else "eval_dice_cases")
        return row

    def _epoch_percent(self) -> int:
        if self._settings.max_steps is not None:
            return int(epoch_percent(self._step - 1, self._settings.max_steps))
        return min(99, int(100 * self._share(self._step - 1)))

    def _evaluate(self, batches: Any, steps: int | None) -> dict[str, float]:
        """Loss, accuracy and top5 of the student."""
        if self._distribution.asynchronous:  # the weights are fetched once, not for every batch
            found = sample_outputs(students.plain_copy(self.model.student), batches)
            return {"loss": float(found.loss.mean(dtype="float64")), "accuracy": found.accuracy, "top5": found.top5}
        self.model.evaluate(batches, steps=steps, verbose=0)
        return {name: _shortest(value) for name, value in self.model.task.results().items()}

    def _summarise(self, row: dict[str, Any]) -> None:
        assert self._writer is not None
        with self._writer.as_default():
            for name, value in row.items():
                if name != "step" and value == value:
                    tag, about = tags.tag(name), tags.description(name)
                    tf.summary.scalar(tag, value, step=self._step, description=about)
        self._writer.flush()

    def _show(self, step: int, values: dict[str, Any]) -> None:
        assert self._progress is not None
        shown = (self.model.shown_loss, "train_accuracy")
        if shown[0] in self.model.report_columns:
            values = {**self.model.report(), **values}  # a row's own is of the whole interval
        known = {name: float(values[name]) for name in shown if name in values}
        loss, accuracy = (known[name] if math.isfinite(known.get(name, math.nan)) else None for name in shown)
        if self._inputs.masks is not None:
            accuracy = None  # of pixels, which says little
        name = shown[0].removeprefix("raw_").replace("_", " ")
        self._progress.show(step, loss, accuracy, self._accuracy, self._share(step), name)


def _shortest(value: Any) -> float:
    """A float32 as the shortest decimal number that stands for it (0.5738, not 0.5738000273704529)."""
    return float(str(np.float32(value)))
