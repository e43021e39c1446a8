"""Starts the training scripts as a user does, and reads what they leave, for the tests of both."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mentornet.training.checkpoints import Checkpoints
from tests import processes


class Stopped(Exception):
    """A run that is interrupted."""


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch, kind: type = Checkpoints, name: str = "save") -> None:
    """Lets the next training end with ``Stopped`` once its checkpoint of a step is written.

    Or after another method that gets the step as its last argument.
    """
    real = getattr(kind, name)

    def stopping(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        if step == (arguments[-1] if arguments else int(self.method.step.numpy())):
            raise Stopped

    monkeypatch.setattr(kind, name, stopping)


def command(script: str, *flags: str) -> list[str]:
    return [sys.executable, script, *flags]


def run(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return processes.run(command(script, *flags))


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
    assert (folder / "samples.csv").read_bytes() == (whole / "samples.csv").read_bytes()
