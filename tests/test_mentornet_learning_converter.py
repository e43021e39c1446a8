"""The converter of the release's checkpoints, on checkpoints written here in its layout by TensorFlow's v1 saver."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula
from mentornet.learning import converter

# Names and shapes of the variables of the release's mentornet_nn, in TensorFlow 1.
SHAPES = {
    "mentornet/label_embedding": (2, 2),
    "mentornet/epoch_embedding": (100, 5),
    "mentornet/bidirectional_rnn/fw/basic_lstm_cell/kernel": (3, 4),
    "mentornet/bidirectional_rnn/fw/basic_lstm_cell/bias": (4,),
    "mentornet/bidirectional_rnn/bw/basic_lstm_cell/kernel": (3, 4),
    "mentornet/bidirectional_rnn/bw/basic_lstm_cell/bias": (4,),
    "mentornet/Variable": (9, 20),
    "mentornet/Variable_1": (20,),
    "mentornet/Variable_2": (20, 1),
    "mentornet/Variable_3": (1,),
}


def _values(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def _write(folder, values, step=29999):
    """Saves as the release does: the network's variables, their Adam slots and the global step."""
    folder.mkdir(parents=True, exist_ok=True)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [v1.Variable(value, name=name) for name, value in values.items()]
        variables += [v1.Variable(np.zeros_like(value), name=f"{name}/Adam") for name, value in values.items()]
        variables.append(v1.Variable(step, name="global_step"))
        session.run(v1.global_variables_initializer())
        return v1.train.Saver(variables).save(session, str(folder / "mentornet.model"), global_step=step)


def _release(values, loss, difference, epoch):
    """The release's weights, from its formulas."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    values = {name.removeprefix("mentornet/"): value.astype(np.float64) for name, value in values.items()}
    states = []
    for direction in ("fw", "bw"):
        cell = f"bidirectional_rnn/{direction}/basic_lstm_cell/"
        before = np.column_stack([loss, difference, np.zeros(len(loss))])
        i, j, _, _ = np.split(before @ values[cell + "kernel"] + values[cell + "bias"], 4, axis=1)
        states.append(sigmoid(i) * np.tanh(j))  # the cell state after one step from zero
    label = np.repeat(values["label_embedding"][:1], len(loss), axis=0)
    features = np.concatenate([label, values["epoch_embedding"][epoch], *states], axis=1)
    hidden = np.tanh(features @ values["Variable"] + values["Variable_1"])
    return sigmoid(hidden @ (values["Variable_2"] + values["Variable_3"]))[:, 0]


def test_converted_networks_give_the_releases_numbers(tmp_path, capsys):
    values = _values()
    _write(tmp_path / "tf1", values)
    assert converter.main([f"--checkpoint={tmp_path / 'tf1'}", f"--output={tmp_path / 'ours'}"]) == 0
    assert "converted" in capsys.readouterr().out
    curriculum = curricula.get(str(tmp_path / "ours"))
    rng = np.random.default_rng(1)
    loss, difference = rng.exponential(2, 64).astype(np.float32), rng.uniform(-5, 5, 64).astype(np.float32)
    label, epoch = rng.integers(0, 10, 64).astype(np.int32), rng.integers(0, 100, 64).astype(np.int32)
    found = curriculum(tf.constant(loss), tf.constant(difference), tf.constant(label), tf.constant(epoch)).numpy()
    np.testing.assert_allclose(found, _release(values, loss, difference, epoch), atol=1e-5)
    assert found.std() > 0.05
    assert curriculum.card["source"] == {"kind": "converted", "checkpoint": "mentornet.model-29999"}


def test_the_newest_checkpoint_of_a_folder_is_taken(tmp_path):
    for step in (5000, 30000, 9):
        _write(tmp_path, _values(step), step)
    newest = str(tmp_path / "mentornet.model-30000")
    assert converter.find_checkpoint(tmp_path) == newest
    for name in ("", ".index", ".meta", ".data-00000-of-00001"):
        assert converter.find_checkpoint(newest + name) == newest
    found = converter.read_variables(newest)
    np.testing.assert_array_equal(found["Variable"], _values(30000)["mentornet/Variable"])


def test_what_is_no_checkpoint_is_one_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    prefix = _write(tmp_path / "student", {"resnet/kernel": np.zeros([2, 2], np.float32)})
    whole = _write(tmp_path / "damaged", _values())
    for file in (tmp_path / "damaged").glob("*.data*"):
        file.write_bytes(file.read_bytes()[:100])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "card.json").write_text("{}")
    for checkpoint, output, message in (
        (tmp_path / "absent", "x", "no TensorFlow checkpoint at"),
        (tmp_path / "empty", "x", "it has no *.index file"),
        (prefix, "x", "is not a MentorNet of the release: it has no variable mentornet/label_embedding"),
        (whole, "x", "cannot be read"),
        (whole, "taken", "already holds a card.json"),
    ):
        assert converter.main([f"--checkpoint={checkpoint}", f"--output={tmp_path / output}"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mentornet/Variable", (8, 20)), ("mentornet/epoch_embedding", (50, 5)), ("mentornet/label_embedding", (4,))],
)
def test_other_shapes_are_refused(name, shape):
    values = {key.removeprefix("mentornet/"): value for key, value in _values().items()}
    values[name.removeprefix("mentornet/")] = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=f"do not have the shapes of a release's MentorNet: .*{name}"):
        converter.convert(values)
