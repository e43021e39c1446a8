"""Which step a hold-out chooses, from tables written by hand, and what an interrupted run leaves of its student."""

from __future__ import annotations

import math

import numpy as np
import pytest

import student_nets
from mentornet.files import RunFolderError
from mentornet.runs.metrics_table import MetricsTable
from mentornet.training import evaluation
from mentornet.training.early_stopping import COLUMNS, HoldoutSelector, best_step, early_stopped_figures
from tests.run_folders import make_run
from tests.script_runs import Stopped, assert_same_training, stop_after
from tests.test_train_cifar_methods import train

# Step, accuracy, loss: a student that grows sure of its mistakes gets better by accuracy and worse by loss.
TABLE = [(100, 0.50, math.nan), (200, 0.62, 1.1), (300, 0.65, 1.3), (400, 0.65, 1.1), (500, 0.64, 2.0)]
FLAGS = [
    *("--dataset_name=digits", "--studentnet=s2e_mlp", "--noise_type=uniform", "--noise_fraction=0.4"),
    *("--max_number_of_steps=60", "--eval_every_steps=20", "--batch_size=32", "--learning_rate=0.02"),
    *("--method=standard", "--holdout_examples=200", "--noshow_progress"),
]


@pytest.mark.parametrize(("criterion", "step", "accuracy"), [("loss", 200, 0.6), ("accuracy", 300, 0.7)])
def test_the_first_of_the_best_rows_is_chosen(criterion, step, accuracy, tmp_path):
    workdir = make_run(tmp_path / "run", accuracy=[0.3, 0.6, 0.7, 0.8, 0.75])
    assert early_stopped_figures(workdir, criterion) == {}
    table = MetricsTable(workdir.path / "holdout.csv", COLUMNS)
    for row in TABLE:
        table.append_row(dict(zip(COLUMNS, row, strict=True)))
    assert best_step(table, criterion) == step
    assert early_stopped_figures(workdir, criterion) == {"early_stopped_step": step, "accuracy_early_stopped": accuracy}


def test_a_run_stopped_between_hold_out_and_checkpoint_ends_like_an_uninterrupted_one(tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    result = train(*FLAGS, f"--train_log_dir={whole}")
    for step in (20, 60):  # before there is any checkpoint, and at the last step
        with monkeypatch.context() as patch:
            stop_after(step, patch, HoldoutSelector, "record")
            with pytest.raises(Stopped):
                train(*FLAGS, f"--train_log_dir={stopped}")
    again = train(*FLAGS, f"--train_log_dir={stopped}")
    assert_same_training(stopped, whole)
    assert (stopped / "holdout.csv").read_bytes() == (whole / "holdout.csv").read_bytes()
    assert again["early_stopped_step"] == result["early_stopped_step"] == 60  # it still learns: the last row counts
    students = [student_nets.load(folder / "student_early_stopped.keras") for folder in (stopped, whole)]
    for found, expected in zip(*(student.get_weights() for student in students), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_student_that_can_not_be_written_whole_leaves_the_one_before(tmp_path, monkeypatch):
    student = student_nets.get("s2e_mlp", 10, input_shape=(8, 8, 1), seed=0)
    path = tmp_path / "student.keras"
    evaluation.save_student(student, path)
    before = path.read_bytes()

    def full(partial: str) -> None:
        with open(partial, "wb") as stream:
            stream.write(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(student, "save", full)
    with pytest.raises(RunFolderError, match="the disk is full"):
        evaluation.save_student(student, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["student.keras"]
