"""Damaged checkpoints: training goes on from the one before, and what cannot be used gets one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.files import RunFolderError
from mentornet.training.checkpoints import Checkpoints, restore_student, written
from mentornet.training.optimizers import MomentumSGD


def method() -> methods.Standard:
    inputs = keras.Input((40,))
    made = methods.Standard(keras.Model(inputs, keras.layers.Dense(10)(inputs)), max_steps=200)
    made.compile(optimizer=MomentumSGD(0.1))
    return made


@pytest.fixture
def folder(tmp_path) -> Path:
    """Checkpoints of the steps 30 and 60, in which all weights are the step."""
    trained = method()
    checkpoints = Checkpoints(tmp_path, trained)
    for step in (30, 60):
        trained.step.assign(step)
        for variable in trained.student.variables:
            variable.assign(tf.fill(variable.shape, float(step)))
        checkpoints.save()
    return tmp_path


def restored(folder: Path) -> tuple[int, float]:
    """The step restored, and the student's weights if they are all alike."""
    found = method()
    step = Checkpoints(folder, found).restore()
    (value,) = np.unique(np.concatenate([variable.numpy().ravel() for variable in found.student.variables]))
    return step, float(value)


def cut(file: Path, size: int) -> None:
    assert file.stat().st_size > size
    os.truncate(file, size)


def test_the_newest_is_restored(folder, capsys):
    assert [Path(path).name for path in written(folder)] == ["ckpt-60", "ckpt-30"]
    assert restored(folder) == (60, 60.0)
    assert "damaged" not in capsys.readouterr().out


@pytest.mark.parametrize(("name", "size"), [("data-00000-of-00001", 500), ("index", 10), ("index", 0)])
def test_a_damaged_one_is_passed_over(folder, capsys, name, size):
    cut(folder / f"ckpt-60.{name}", size)
    assert restored(folder) == (30, 30.0)
    printed = capsys.readouterr().out
    assert "ckpt-60 is damaged" in printed
    assert "the one before is whole" in printed
    with pytest.raises(RunFolderError, match="ckpt-60 is damaged: "):
        restore_student(method().student, folder)


@pytest.mark.parametrize("step", [60, 45])
def test_training_saves_on_from_the_one_before(folder, step):
    """Over the damaged one, or beside it."""
    cut(folder / "ckpt-60.data-00000-of-00001", 500)
    found = method()
    checkpoints = Checkpoints(folder, found)
    assert checkpoints.restore() == 30
    for at in (step, 75):
        found.step.assign(at)
        checkpoints.save()
    assert restored(folder)[0] == 75
    assert Path(written(folder)[1]).name == f"ckpt-{step}"


def test_what_is_no_damage_passes_over_nothing(folder):
    """Another student's shapes, for one: going on from an older checkpoint would not help."""
    inputs = keras.Input((40,))
    other = methods.Standard(keras.Model(inputs, keras.layers.Dense(11)(inputs)), max_steps=200)
    other.compile(optimizer=MomentumSGD(0.1))
    with pytest.raises(RunFolderError, match="ckpt-60 can't be restored: "):
        Checkpoints(folder, other).restore()


def test_an_unreadable_list_without_checkpoints_is_no_hindrance(tmp_path):
    (tmp_path / "checkpoint").write_text("")
    assert Checkpoints(tmp_path, method()).restore() == 0


def test_if_all_are_damaged_one_sentence_says_so(folder):
    for step in (30, 60):
        cut(folder / f"ckpt-{step}.data-00000-of-00001", 500)
    with pytest.raises(RunFolderError, match=r"ckpt-60 is damaged: .* no older one that is whole"):
        restored(folder)


@pytest.mark.parametrize("content", ["", "nonsense", None])
def test_checkpoints_are_found_without_tensorflows_list(folder, content):
    """And both are kept count of again: the next save drops the older one."""
    (folder / "checkpoint").unlink() if content is None else (folder / "checkpoint").write_text(content)
    assert restored(folder) == (60, 60.0)
    found = method()
    checkpoints = Checkpoints(folder, found)
    assert checkpoints.restore() == 60
    found.step.assign(90)
    checkpoints.save()
    assert sorted(file.stem for file in folder.glob("*.index")) == ["ckpt-60", "ckpt-90"]
    assert restored(folder)[0] == 90
