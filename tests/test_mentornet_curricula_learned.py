"""Saving and loading learned MentorNets, and the sentences for folders that are none."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula
from mentornet.curricula import learned
from mentornet.network import NetworkConfig, build

h5py = pytest.importorskip("h5py")  # comes with tf_keras

CONFIG = NetworkConfig(label_rows=3, lstm_units=4)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned") / "mine"
    learned.save(build(CONFIG, seed=7), folder, {"name": "mine", "seed": 7})
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


SAMPLES = (
    tf.constant([0.1, 2.0, 5.0, 9.0]),
    tf.constant([-1.0, 0.5, 0.0, 4.0]),
    tf.constant([0, 1, 2, 1]),
    tf.constant(30),
)


def test_round_trip(saved):
    network, curriculum = build(CONFIG, seed=7), curricula.get(str(saved))
    inputs = {
        "loss": SAMPLES[0][:, tf.newaxis],
        "difference": SAMPLES[1][:, tf.newaxis],
        "label": SAMPLES[2],
        "epoch": tf.fill([4], 30),
    }
    np.testing.assert_array_equal(curriculum(*SAMPLES).numpy(), network(inputs).numpy())
    assert curriculum.name == "mine"
    assert curriculum.history == 1
    assert curriculum.card["seed"] == 7
    assert len(curriculum.frozen_variables) == 12
    assert not curriculum.network.trainable_variables


def test_no_gradient_passes(saved):
    curriculum = learned.load(saved)
    loss = tf.Variable(SAMPLES[0])
    with tf.GradientTape() as tape:
        weight = tf.reduce_sum(curriculum(loss, loss - 1.0, SAMPLES[2], SAMPLES[3]))
    assert tape.gradient(weight, loss) is None


def test_a_fixed_label_hides_the_samples_own(saved):
    free, fixed = learned.load(saved), learned.load(saved, fixed_label=1)
    ones = (SAMPLES[0], SAMPLES[1], tf.ones([4], tf.int32), SAMPLES[3])
    assert np.any(free(*SAMPLES).numpy() != free(*ones).numpy())
    np.testing.assert_array_equal(fixed(*SAMPLES).numpy(), free(*ones).numpy())
    with pytest.raises(ValueError, match="fixed_label=3 has no row"):
        learned.load(saved, fixed_label=3)


def test_histories_are_read_as_they_are(tmp_path):
    learned.save(build(NetworkConfig(history=3)), tmp_path, {})
    curriculum = learned.load(tmp_path)
    assert curriculum.history == 3
    loss = tf.reshape(tf.range(6, dtype=tf.float32), [2, 3])
    assert curriculum(loss, loss, tf.zeros([2], tf.int32), tf.constant(0)).shape == [2]


def _edit(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    card["network"].update(changes)
    (folder / "card.json").write_text(json.dumps(card))


def test_a_folder_that_is_none_is_explained(tmp_path, copied):
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        curricula.get(str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match=r"it has no card\.json"):
        curricula.get(str(tmp_path))
    (copied / "mentornet.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"it has no mentornet\.weights\.h5"):
        curricula.get(str(copied))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is not valid JSON"),
        ("[1]", "it holds a list, not an object"),
        ('{"architecture": "logistic", "network": {}}', "holds architecture 'logistic'"),
        ('{"architecture": "mentornet", "network": 3}', "'network' is 3 where an object is expected"),
    ],
)
def test_a_card_of_something_else_is_explained(copied, text, message):
    (copied / "card.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        learned.load(copied)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lstm_units": 5}, "do not fit the network of its card"),
        ({"label_rows": 10}, "do not fit the network of its card"),
        ({"hidden_units": "many"}, "whole numbers of at least 1"),
        ({"colour": 1}, "unknown network settings: colour"),
    ],
)
def test_weights_of_another_shape_are_refused(copied, changes, message):
    _edit(copied, **changes)
    with pytest.raises(ValueError, match=message):
        learned.load(copied)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


def _overwrite(path):
    content = bytearray(path.read_bytes())
    content[3000:9000] = b"\xff" * 6000
    path.write_bytes(bytes(content))


def _other_h5(path):
    with h5py.File(path, "w") as file:
        file["x"] = 1.0


def _not_a_number(path):
    with h5py.File(path, "a") as file:
        file["layers/dense/vars/0"][0, 0] = np.nan


@pytest.mark.parametrize(
    "damage", [_truncate, _overwrite, _other_h5, _not_a_number, lambda path: path.write_bytes(b"")]
)
def test_damaged_weights_are_refused(copied, damage):
    damage(copied / "mentornet.weights.h5")
    with pytest.raises(ValueError, match=r"the weights in .* (are not all finite|do not fit)") as error:
        learned.load(copied)
    assert "\n" not in str(error.value)


def test_an_unwritable_folder_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="a part of that path is a file"):
        learned.save(build(), tmp_path / "file" / "inside", {})
