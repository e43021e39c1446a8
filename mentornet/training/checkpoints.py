"""Checkpoints of a run: everything that moves, so that a killed run ends like an uninterrupted one."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from mentornet.files import RunFolderError
from mentornet.methods.base import NoisyLabelMethod
from mentornet.training.distribution.serving import is_peer_lost
from mentornet.training.distribution.strategy import Distribution


class Checkpoints:
    """The checkpoints of one run folder.

    Students, optimisers (velocities and iteration), moving percentile, per-sample tables, step, stage and training
    seconds are in one file set; TensorFlow renames it into place when complete, so a kill in the middle leaves the one
    before.

    Cooperating processes restore and save together, because reading what replicas share takes all of them; the chief
    keeps the files, the others write theirs to a temporary folder.
    """

    def __init__(self, folder: Path, method: NoisyLabelMethod, keep: int = 2, distribution: Distribution | None = None):
        self.method = method
        self._folder, self._distribution = folder, distribution or Distribution()
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="seconds")
        self._loop = _LoopState()
        with self._distribution.scope():
            method.build_optimizers()
        parts = {"method": method, "seconds": self.seconds, "loop": self._loop}
        tables = method.sample_tables
        self._without_tables = tf.train.Checkpoint(**parts)
        self._checkpoint = self._without_tables if tables is None else tf.train.Checkpoint(**parts, samples=tables)
        # Made by the first save, inside a strategy, its counter would be broadcast to processes that don't expect it.
        self._checkpoint.save_counter.assign(0)
        if self._distribution.is_chief:
            _remove_partial(folder)
            _mend_list(folder)
            self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=keep)
        # Variables on parameter servers come to this process to be written; else each server wrote on its own disk.
        device = "/job:chief" if self._distribution.asynchronous else None
        self._options = tf.train.CheckpointOptions(experimental_io_device=device)

    def restore(self) -> int:
        """Continues from the newest checkpoint that is whole. Returns the step reached, 0 for a new run.

        Raises:
            RunFolderError: the checkpoint does not fit this student or method, or all of them are damaged.
            ClusterError: processes found different checkpoints.
        """
        damaged: list[str] = []
        for path in written(self._folder):
            try:
                self._read(path)
            except (tf.errors.OpError, IndexError, AssertionError, ValueError) as error:
                if is_peer_lost(error):
                    raise
                if not _is_damage(error):
                    raise RunFolderError(f"the checkpoint {path} can't be restored: {_first_line(error)}") from None
                damaged.append(f"the checkpoint {path} is damaged: {_first_line(error)}")
                continue
            if damaged and self._distribution.is_chief:
                print(f"{'; '.join(damaged)}; the one before is whole", flush=True)
            break
        else:
            if damaged:
                raise RunFolderError(f"{damaged[0]}; there is no older one that is whole, so start in another folder")
        step = int(self.method.step.numpy())
        self._distribution.agree(step, "a checkpoint of step")
        return step

    def _read(self, path: str) -> None:
        """Restores everything, also from a checkpoint made before there were stages, or sums by sample."""
        stored = tf.train.load_checkpoint(path)
        if stored.has_tensor(_LOOP_KEY):
            whole = self._checkpoint if stored.has_tensor(_TABLES_KEY) else self._without_tables
            whole.restore(path, self._options).assert_existing_objects_matched()
            return
        older = tf.train.Checkpoint(method=self.method, seconds=self.seconds)
        older.restore(path, self._options).assert_existing_objects_matched()
        self.method.end_interval()
        step = int(self.method.step.numpy())
        while (stage := self.method.next_stage(self.stages_done)) is not None:
            assert stage.steps is not None
            if self.stage_start + stage.steps > step:
                break
            self._loop.enter(self.stages_done + 1, self.stage_start + stage.steps)
        if step > self.stage_start:
            self._loop.looked.assign(True)

    @property
    def stages_done(self) -> int:
        """How many stages are finished."""
        return int(self._loop.stages_done.numpy())

    @property
    def stage_start(self) -> int:
        """The step with which the present stage began."""
        return int(self._loop.stage_start.numpy())

    @property
    def looked(self) -> bool:
        """Whether the present stage has had its look."""
        return bool(self._loop.looked.numpy())

    def mark_looked(self) -> None:
        """The present stage has had its look."""
        self._loop.looked.assign(True)

    def mark_done(self) -> None:
        """The present stage is finished."""
        self._loop.enter(self.stages_done + 1, int(self.method.step.numpy()))

    def save(self) -> None:
        """Writes a checkpoint of this step.

        Raises:
            RunFolderError: the disk is full or the folder can't be written; earlier checkpoints stay.
        """
        try:
            if self._distribution.is_chief:
                self._manager.save(checkpoint_number=int(self.method.step.numpy()), options=self._options)
            else:
                with tempfile.TemporaryDirectory() as discarded:
                    self._checkpoint.write(f"{discarded}/checkpoint", options=self._options)
        except (tf.errors.OpError, OSError) as error:
            if is_peer_lost(error):
                raise
            raise RunFolderError(f"no checkpoint could be written to {self._folder}: {_first_line(error)}") from None


class _LoopState(tf.Module):
    """Where the loop over stages stands."""

    def __init__(self) -> None:
        super().__init__(name="loop")
        self.stages_done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.stage_start = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.looked = tf.Variable(False, trainable=False)

    def enter(self, number: int, start: int) -> None:
        self.stages_done.assign(number)
        self.stage_start.assign(start)
        self.looked.assign(False)


_TABLES_KEY = "samples/visits/.ATTRIBUTES/VARIABLE_VALUE"
_LOOP_KEY = "loop/stages_done/.ATTRIBUTES/VARIABLE_VALUE"


def written(folder: Path) -> list[str]:
    """The checkpoints in a folder, newest first: as TensorFlow's list there says, or without it by their files."""
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except ValueError:
        state = None
    if state is not None:
        return list(reversed(state.all_model_checkpoint_paths))
    steps = [file.stem.removeprefix("ckpt-") for file in folder.glob("ckpt-*.index")]
    return [str(folder / f"ckpt-{step}") for step in sorted(map(int, filter(str.isdecimal, steps)), reverse=True)]


def newest(folder: Path) -> str:
    """The newest checkpoint in a folder.

    Raises:
        RunFolderError: there is none.
    """
    found = written(folder)
    if not found:
        raise RunFolderError(f"there is no checkpoint in {str(folder)!r}: train first, or name another folder")
    return found[0]


def _remove_partial(folder: Path) -> None:
    """Removes what a process left that was killed while it wrote a checkpoint; this process has the run folder."""
    for left in folder.glob("ckpt-*_temp"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


def _mend_list(folder: Path) -> None:
    """Writes TensorFlow's list of the checkpoints anew if it is gone or can't be read."""
    try:
        known = tf.train.get_checkpoint_state(str(folder)) is not None
    except ValueError:
        (folder / "checkpoint").unlink()
        known = False
    if not known and (found := written(folder)):
        times = [os.path.getmtime(f"{path}.index") for path in found]
        tf.compat.v1.train.update_checkpoint_state(
            str(folder), found[0], found[::-1], None, times[::-1], min(times) - 1
        )


def restore_student(student: keras.Model, folder: Path) -> int:
    """Loads the student of a run's newest checkpoint, for evaluation. Returns its step.

    Raises:
        RunFolderError: there is no checkpoint, or it holds another student or is damaged.
    """
    latest = newest(folder)
    step = tf.Variable(0, dtype=tf.int64)
    root = tf.train.Checkpoint(method=tf.train.Checkpoint(student=student, step=step))
    try:
        status = root.restore(latest)
        status.assert_existing_objects_matched()
        status.expect_partial()
    except (tf.errors.OpError, IndexError, AssertionError, ValueError) as error:
        reason = "is damaged" if _is_damage(error) else "holds another student"
        raise RunFolderError(f"the checkpoint {latest} {reason}: {_first_line(error)}") from None
    return int(step.numpy())


def _is_damage(error: Exception) -> bool:
    """Whether TensorFlow says so that the files of a checkpoint are cut off, changed or gone."""
    tf_says = (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.NotFoundError)
    return isinstance(error, (IndexError, *tf_says)) or type(error) is tf.errors.OpError  # the last of a cut-off index


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return textwrap.shorten(text.splitlines()[0], 200, placeholder=" ...")
