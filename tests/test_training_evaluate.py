"""Evaluating and dumping a checkpoint, with a student whose answers are known in closed form."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.files import RunFolderError
from mentornet.training import evaluate
from mentornet.training.checkpoints import Checkpoints, restore_student
from mentornet.training.optimizers import MomentumSGD

IMAGES = np.array([[2.0], [-1.0], [0.5], [-3.0], [1.0]], np.float32)
LABELS = np.array([1, 0, 0, 0, 1], np.int32)
IDS = np.array([7, 3, 11, 2, 5])


def student(slope: float) -> keras.Model:
    """Logits (0, slope x): predicts 1 where x > 0; the loss is log(1 + exp(-+slope x))."""
    inputs = keras.Input((1,))
    dense = keras.layers.Dense(2, use_bias=False, kernel_initializer=keras.initializers.Constant([[0.0, slope]]))
    return keras.Model(inputs, dense(inputs))


def batches() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices({"image": IMAGES, "label": LABELS}).batch(2)


@pytest.fixture
def checkpoints(tmp_path):
    method = methods.Standard(student(2.0), max_steps=200)
    method.compile(optimizer=MomentumSGD(0.1))
    method.step.assign(50)
    Checkpoints(tmp_path / "checkpoints", method).save()
    return tmp_path / "checkpoints"


def expected_losses() -> np.ndarray:
    sign = np.where(LABELS == 1, 1.0, -1.0)
    return np.log1p(np.exp(-sign * 2.0 * IMAGES[:, 0].astype(float)))


def read(path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_evaluation_of_known_answers(checkpoints, tmp_path):
    output = tmp_path / "eval"
    found = evaluate.evaluate_checkpoint(
        student(0.0), checkpoints, batches(), IDS, output, str(tmp_path / "e.csv"), {"split": "test"}
    )
    assert json.loads((output / "evaluation.json").read_text()) == found
    assert (found["step"], found["examples"], found["split"]) == (50, 5, "test")
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["loss"] == pytest.approx(expected_losses().mean(), rel=1e-6)
    rows = read(tmp_path / "e.csv")
    assert [(row["id"], row["label"], row["predicted"]) for row in rows] == [
        ("7", "1", "1"),
        ("3", "0", "0"),
        ("11", "0", "1"),
        ("2", "0", "0"),
        ("5", "1", "1"),
    ]
    assert "path" not in rows[0]
    paths = [f"train/{k}.jpg" for k in range(5)]
    evaluate.evaluate_checkpoint(
        student(0.0), checkpoints, batches(), IDS, output, str(tmp_path / "p.csv"), paths=paths
    )
    assert [(row.pop("path"), row) for row in read(tmp_path / "p.csv")] == list(zip(paths, rows, strict=True))


@pytest.mark.parametrize(("given", "percent"), [(None, 25), (18, 18)])
def test_a_dump_has_the_releases_columns(checkpoints, tmp_path, given, percent):
    clean = np.array([1, 0, 1, 0, 0], np.int32)
    evaluate.dump_losses(student(0.0), checkpoints, batches(), IDS, clean, 200, str(tmp_path / "d.csv"), given)
    rows = read(tmp_path / "d.csv")
    assert list(rows[0]) == ["id", "epoch_percent", "noisy_label", "clean_label", "loss"]
    assert {int(row["epoch_percent"]) for row in rows} == {percent}
    assert [int(row["noisy_label"]) for row in rows] == LABELS.tolist()
    assert [int(row["clean_label"]) for row in rows] == clean.tolist()
    np.testing.assert_allclose([float(row["loss"]) for row in rows], expected_losses(), atol=1e-6)


def test_a_dump_of_activations_lies_beside_the_csv(checkpoints, tmp_path):
    """The student's only layer reads the images themselves."""
    csv_file, npz = str(tmp_path / "d.csv"), str(tmp_path / "d.npz")
    evaluate.dump_losses(student(0.0), checkpoints, batches(), IDS, LABELS, 200, csv_file, activations_file=npz)
    with np.load(npz, allow_pickle=False) as stored:
        assert {name: stored[name].dtype for name in stored} == {"index": np.int64, "activation": np.float32}
        np.testing.assert_array_equal(stored["index"], IDS)
        np.testing.assert_array_equal(stored["activation"], IMAGES)
    np.testing.assert_allclose([float(row["loss"]) for row in read(csv_file)], expected_losses(), atol=1e-6)


def test_a_student_without_activations_writes_no_dump(checkpoints, tmp_path):
    inputs = keras.Input((1,))
    dense = keras.layers.Dense(2, use_bias=False)
    product = keras.layers.Multiply()([dense(inputs), inputs])
    where = [str(tmp_path / name) for name in ("d.csv", "d.npz")]
    arguments = (checkpoints, batches(), IDS, LABELS, 200, where[0], None, where[1])
    with pytest.raises(ValueError, match="do not come from a dense layer"):
        evaluate.dump_losses(keras.Model(inputs, product), *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_following_a_run_stops_when_it_is_finished(tmp_path, capsys):
    calls = []

    def once() -> dict:
        calls.append(len(calls))
        if len(calls) == 3:
            (tmp_path / "result.json").write_text("{}")
        return {"step": len(calls), "accuracy": 0.5, "loss": 1.0, "examples": 1999, "unreadable": 1}

    # The third call finds the run unfinished when it starts; the fourth is the last look at the finished one.
    assert evaluate.follow(once, 0.01, tmp_path)["step"] == 4
    assert capsys.readouterr().out.count("accuracy 0.5000 | loss 1.0000 | 1,999 images (1 unreadable)") == 4


def test_another_student_is_refused_in_one_sentence(checkpoints):
    inputs = keras.Input((1,))
    other = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    with pytest.raises(RunFolderError, match="another student"):
        restore_student(other, checkpoints)


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="there is no checkpoint"):
        restore_student(student(1.0), tmp_path)
