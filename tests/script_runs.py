"""Starts the training scripts as a user does, and reads what they leave, for the tests of both."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from absl import flags as absl_flags
from absl.testing import flagsaver

from flags import configuration
from flags.build import imagenet
from flags.commands import tasks
from flags.define import imagenet_flags
from mentornet.training.checkpoints import Checkpoints
from tests import killed_training, processes


class Stopped(Exception):
    """A run that is interrupted."""


def stop() -> None:
    raise Stopped


def stop_after(
    step: int,
    monkeypatch: pytest.MonkeyPatch,
    kind: type = Checkpoints,
    name: str = "save",
    do: Callable[[], None] = stop,
) -> None:
    """Lets the next training end with ``Stopped``, or do something else, once its checkpoint of a step is written.

    Or after another method that gets the step as its last argument.
    """
    real = getattr(kind, name)

    def stopping(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        if step == (arguments[-1] if arguments else int(self.method.step.numpy())):
            do()

    monkeypatch.setattr(kind, name, stopping)


def command(script: str, *flags: str) -> list[str]:
    return [sys.executable, script, *flags]


def run(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return processes.run(command(script, *flags))


def here(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Like ``run``, but in this process: all that a training script does behind ``main``, in half of the time.

    For what needs no process of its own; one that is killed or divides the CPU does.
    """
    streams, code = (io.StringIO(), io.StringIO()), 0
    before = keras.mixed_precision.global_policy()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            _parse_and_run(script, flags)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        finally:
            keras.mixed_precision.set_global_policy(before)
    output, errors = (stream.getvalue() for stream in streams)
    return subprocess.CompletedProcess(command(script, *flags), code, output, errors)


# A loop over several steps in one call of the training function is traced twice, which short runs don't earn back.
ONE_STEP = "--steps_per_execution=1"


def train(*flags: str) -> dict[str, Any]:
    """Trains with train_cifar.py's flags in this process; the content of result.json. Errors are raised as they are.

    Unless a flag says otherwise, one step at a time; the golden runs and the tests of commands take the default.
    """
    config = configuration.parse(["train_cifar.py", ONE_STEP, *flags])
    tasks._prepare_tensorflow(config)
    return tasks.train(config)


def stopped_in(moment: str, monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    """Trains in this process and ends at a moment, see tests/killed_training.py."""
    what, stage, count = moment.split(":")
    with monkeypatch.context() as patch:
        killed_training.killing(what, int(stage), int(count), stop, patch.setattr)
        with pytest.raises(Stopped):
            train(*flags)


def copied_in(
    moment: str, target: Path, monkeypatch: pytest.MonkeyPatch, *flags: str, run: Callable[..., Any] = train
) -> Any:
    """Trains to the end in this process, and copies the run folder at a moment; what ``run`` returns.

    The copy is what SIGKILL leaves there: all that was written, nothing that was still to be, no cleaning up. A run
    that goes on in it can be compared with the one it was taken from, which saves the training of a third.

    Args:
        moment: see tests/killed_training.py, or "save:0:STEP": behind the checkpoint of a step.
        target: the copy; it must not exist.
        monkeypatch: of the test.
        *flags: the last one names the run folder.
        run: ``train``, or ``here`` with a script.
    """
    folder = flags[-1].removeprefix("--train_log_dir=")
    what, stage, count = moment.split(":")

    def copy() -> None:
        if not target.exists():
            shutil.copytree(folder, target)

    with monkeypatch.context() as patch:
        if what == "save":
            stop_after(int(count), patch, do=copy)
        else:
            killed_training.killing(what, int(stage), int(count), copy, patch.setattr)
        result = run(*flags)
    assert target.is_dir(), f"the training did not come to {moment}"
    assert not (target / "result.json").exists()
    return result


def killed_in(moment: str, *flags: str, script: str = "train_cifar.py") -> None:
    """Trains in a process that ends with SIGKILL at a moment, see tests/killed_training.py."""
    done = processes.run(command("tests/killed_training.py", script, moment, ONE_STEP, *flags))
    assert done.returncode == -signal.SIGKILL, done.stderr


def _parse_and_run(script: str, flags: tuple[str, ...]) -> None:
    """With the flags of the process set, as flags.txt is made of them."""
    argv = [script, *flags]
    try:
        if script != "train_imagenet.py":
            configuration.parse(argv, lambda: tasks.run_script(script, configuration.config()))
            return
        with flagsaver.flagsaver():
            imagenet_flags.use_defaults()
            configuration.parse(
                argv, lambda: tasks.run_script(script, imagenet_flags.config(), imagenet), imagenet_flags.MODULES
            )
    except (absl_flags.Error, ValueError, OSError) as error:  # of the flags: what comes later ends with SystemExit
        configuration.fail(script, error)


def row_count(folder: Path) -> int:
    """Rows of metrics.csv that are there so far; 0 without the file."""
    metrics = folder / "metrics.csv"
    return max(0, metrics.read_bytes().count(b"\n") - 1) if metrics.exists() else 0


def rows(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without the one column that may differ between equal runs."""
    with open(folder / "metrics.csv", newline="") as stream:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(stream)]


def student_weights(folder: Path) -> dict[str, np.ndarray]:
    """The variables of the student in the last checkpoint."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("method/student")]
    return {name: reader.get_tensor(name) for name in names if ".OPTIMIZER_SLOT" not in name}


def assert_same_training(folder: Path, whole: Path) -> None:
    """Both runs have the same rows, the same weights and the same figures of every sample, bit for bit."""
    assert rows(folder) == rows(whole)
    found, expected = student_weights(folder), student_weights(whole)
    assert expected
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    table, expected_table = folder / "samples.csv", whole / "samples.csv"
    assert table.exists() == expected_table.exists()  # none where nothing is learned of labels
    assert not table.exists() or table.read_bytes() == expected_table.read_bytes()
