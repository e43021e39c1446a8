"""The networks g_m is compared with, each against a NumPy computation of its description."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet.learning import architectures

HISTORY, ROWS = 4, 64


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return {
        "loss": rng.uniform(0, 3, (ROWS, HISTORY)).astype(np.float32),
        "difference": rng.uniform(-2, 2, (ROWS, HISTORY)).astype(np.float32),
        "label": rng.integers(0, 4, ROWS).astype(np.int32),
        "epoch": rng.integers(0, 100, ROWS).astype(np.int32),
    }


def _features(inputs):
    by_turns = np.stack([inputs["loss"], inputs["difference"]], axis=2).reshape(ROWS, 2 * HISTORY)
    return np.column_stack([by_turns, inputs["label"], inputs["epoch"] / 99])


def logistic(weights, inputs):
    kernel, bias = weights
    return _features(inputs) @ kernel[:, 0] + bias


def mlp(weights, inputs):
    kernel, bias, output, output_bias = weights
    return np.tanh(_features(inputs) @ kernel + bias) @ output[:, 0] + output_bias


def cnn(weights, inputs):
    *layers, output, output_bias = weights
    label, epoch = (np.repeat(_features(inputs)[:, [column]], HISTORY, axis=1) for column in (-2, -1))
    hidden = np.stack([inputs["loss"], inputs["difference"], label, epoch], axis=2)
    for kernel, bias in ((layers[0], layers[1]), (layers[2], layers[3])):
        padded = np.pad(hidden, ((0, 0), (1, 1), (0, 0)))
        windows = [padded[:, offset : offset + HISTORY] @ kernel[offset] for offset in range(3)]
        hidden = np.tanh(sum(windows) + bias)
    return hidden.mean(axis=1) @ output[:, 0] + output_bias


def rnn(weights, inputs):
    kernel, recurrent, bias, output, output_bias = weights
    found = []
    for row, features in enumerate(_features(inputs)):
        if row % 32 == 0:  # every mini-batch is a sequence of its own
            state = hidden = np.zeros(10)
        i, f, g, o = np.split(features @ kernel + hidden @ recurrent + bias, 4)
        state = _sigmoid(f) * state + _sigmoid(i) * np.tanh(g)
        hidden = _sigmoid(o) * np.tanh(state)
        found.append(hidden @ output[:, 0] + output_bias[0])
    return np.array(found)


# Parameters with T = 4: 10 features; the CNN has 4 channels.
@pytest.mark.parametrize(
    ("formula", "parameters"),
    [
        (logistic, 10 + 1),
        (mlp, 10 * 10 + 10 + 10 + 1),
        (cnn, 3 * 4 * 10 + 10 + 3 * 10 * 10 + 10 + 10 + 1),
        (rnn, 4 * 10 * (10 + 10 + 1) + 10 + 1),
    ],
)
def test_networks_compute_what_they_say(formula, parameters, inputs):
    network = architectures.build(formula.__name__, HISTORY, seed=3)
    assert network.count_params() == parameters
    for variable in network.variables:
        variable.assign_add(0.2 * tf.random.stateless_normal(variable.shape, [1, len(variable.shape)]))
    expected = formula([variable.numpy().astype(np.float64) for variable in network.variables], inputs)
    np.testing.assert_allclose(network.logits(inputs).numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network(inputs).numpy(), _sigmoid(expected), atol=1e-5)


def test_names_are_the_columns_of_table_1():
    assert architectures.names() == ("logistic", "mlp", "cnn", "rnn", "mentornet")
    network = architectures.build("mentornet")
    assert network.config.history == 10
    assert network.config.lstm_units == 10


@pytest.mark.parametrize("name", architectures.names())
def test_the_seed_decides_the_start(name):
    first, again, other = (architectures.build(name, HISTORY, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first.get_weights(), again.get_weights(), strict=True))
    assert any((a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


def test_wrong_use_is_explained(inputs):
    with pytest.raises(ValueError, match="unknown architecture 'forest': use one of logistic, mlp"):
        architectures.build("forest")
    with pytest.raises(ValueError, match=r"reads losses of shape \[b, 3\]"):
        architectures.build("mlp", 3)(inputs)
