"""Checkpoints of a run: everything that moves, so that a killed run ends like an uninterrupted one."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.base import NoisyLabelMethod
from mentornet.training.distribution import Distribution
from mentornet.training.files import RunFolderError
from mentornet.training.serving import is_peer_lost


class Checkpoints:
    """The checkpoints of one run folder.

    Student, optimiser (velocities and iteration), moving percentile, per-sample tables, step and training seconds are
    in one file set; TensorFlow renames it into place when complete, so a kill in the middle leaves the one before.

    Cooperating processes restore and save together, because reading what replicas share takes all of them; the chief
    keeps the files, the others write theirs to a temporary folder.
    """

    def __init__(self, folder: Path, method: NoisyLabelMethod, keep: int = 2, distribution: Distribution | None = None):
        self.method = method
        self._folder, self._distribution = folder, distribution or Distribution()
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="seconds")
        with self._distribution.scope():
            method.optimizer.build(method.trained_variables())
        self._checkpoint = tf.train.Checkpoint(method=method, seconds=self.seconds)
        # Made by the first save, inside a strategy, its counter would be broadcast to processes that don't expect it.
        self._checkpoint.save_counter.assign(0)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=keep)
        # Variables on parameter servers come to this process to be written; else each server wrote on its own disk.
        device = "/job:chief" if self._distribution.asynchronous else None
        self._options = tf.train.CheckpointOptions(experimental_io_device=device)

    def restore(self) -> int:
        """Continues from the newest checkpoint. Returns the step reached, 0 for a new run.

        Raises:
            RunFolderError: the checkpoint does not fit this student or method, or is damaged.
            ClusterError: processes found different checkpoints.
        """
        latest = tf.train.latest_checkpoint(str(self._folder))
        if latest is not None:
            try:
                self._checkpoint.restore(latest, self._options).assert_existing_objects_matched()
            except (tf.errors.OpError, AssertionError, ValueError) as error:
                if is_peer_lost(error):
                    raise
                raise RunFolderError(f"the checkpoint {latest} can't be restored: {_first_line(error)}") from None
        step = int(self.method.step.numpy())
        self._distribution.agree(step, "a checkpoint of step")
        return step

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


def restore_student(student: keras.Model, folder: Path) -> int:
    """Loads the student of a run's newest checkpoint, for evaluation. Returns its step.

    Raises:
        RunFolderError: there is no checkpoint, or it holds another student.
    """
    latest = tf.train.latest_checkpoint(str(folder))
    if latest is None:
        raise RunFolderError(f"there is no checkpoint in {str(folder)!r}: train first, or name another folder")
    step = tf.Variable(0, dtype=tf.int64)
    root = tf.train.Checkpoint(method=tf.train.Checkpoint(student=student, step=step))
    try:
        status = root.restore(latest)
        status.assert_existing_objects_matched()
        status.expect_partial()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        raise RunFolderError(f"the checkpoint {latest} holds another student: {_first_line(error)}") from None
    return int(step.numpy())


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return textwrap.shorten(text.splitlines()[0], 200, placeholder=" ...")
