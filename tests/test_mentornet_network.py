"""g_m against a NumPy re-computation of ICML fig. 1."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import network as networks
from mentornet.network import RELEASE_CONFIG, NetworkConfig, build


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _lstm(steps: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, ...]:
    """The final (h, c) of an LSTM; steps [b, T, features]; gates in the order input, forget, candidate, output."""
    state = output = np.zeros((len(steps), recurrent.shape[0]))
    for t in range(steps.shape[1]):
        i, f, g, o = np.split(steps[:, t] @ kernel + output @ recurrent + bias, 4, axis=1)
        state = _sigmoid(f) * state + _sigmoid(i) * np.tanh(g)
        output = _sigmoid(o) * np.tanh(state)
    return output, state


def _expected(net: networks.MentorNetwork, inputs: dict[str, np.ndarray]) -> np.ndarray:
    shape = net.config
    steps = np.stack([inputs["loss"], inputs["difference"]], axis=-1)
    forward = _lstm(steps, *(v.numpy() for v in net.lstm.forward_layer.weights))
    backward = _lstm(steps[:, ::-1], *(v.numpy() for v in net.lstm.backward_layer.weights))
    label = inputs["label"] if shape.fixed_label is None else np.full(len(steps), shape.fixed_label)
    features = np.concatenate(
        [
            forward[int(shape.cell_state)],
            backward[int(shape.cell_state)],
            net.label_embedding.embeddings.numpy()[label],
            net.epoch_embedding.embeddings.numpy()[inputs["epoch"]],
        ],
        axis=1,
    )
    hidden = np.tanh(features @ net.fc1.kernel.numpy() + net.fc1.bias.numpy())
    return _sigmoid(hidden @ net.fc2.kernel.numpy() + net.fc2.bias.numpy())[:, 0]


def _inputs(history: int, rows: int = 7, labels: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "loss": rng.uniform(0, 5, (rows, history)).astype(np.float32),
        "difference": rng.uniform(-3, 3, (rows, history)).astype(np.float32),
        "label": rng.integers(0, labels, rows).astype(np.int32),
        "epoch": rng.integers(0, 100, rows).astype(np.int32),
    }


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(),
        NetworkConfig(history=10, label_rows=10),
        NetworkConfig(lstm_units=3, fixed_label=1),
        RELEASE_CONFIG,
    ],
    ids=["paper", "ten_steps", "fixed_label", "release"],
)
def test_weights_equal_the_numpy_computation(config):
    net = build(config, seed=5)
    for variable in net.variables:  # the biases start at 0 and would hide a wrong use
        variable.assign_add(0.3 * tf.random.stateless_normal(variable.shape, [1, len(variable.shape)]))
    inputs = _inputs(config.history, labels=config.label_rows)
    np.testing.assert_allclose(net(inputs).numpy(), _expected(net, inputs), rtol=1e-5, atol=1e-6)


def test_parameter_counts():
    # 2 directions * 4 gates * 10 units * (2 inputs + 10 recurrent + 1 bias) + 2*2 + 100*5 + (27+1)*20 + 21
    assert build().count_params() == 1040 + 4 + 500 + 560 + 21
    # The release: 2 * 4 * 1 * (2 + 1 + 1) + 4 + 500 + (9+1)*20 + 21, the epoch embedding not trained
    release = build(RELEASE_CONFIG)
    assert release.count_params() == 32 + 4 + 500 + 200 + 21
    assert sum(int(tf.size(v)) for v in release.trainable_variables) == 257


def test_forget_bias():
    assert build().lstm.forward_layer.weights[2].numpy()[10:20].tolist() == [1.0] * 10
    assert not build(RELEASE_CONFIG).lstm.forward_layer.weights[2].numpy().any()


def test_the_seed_decides_the_start():
    first, again, other = build(seed=1), build(seed=1), build(seed=2)
    for a, b in zip(first.variables, again.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert any(np.any(a.numpy() != b.numpy()) for a, b in zip(first.variables, other.variables, strict=True))


def test_a_wrong_history_length_is_refused():
    with pytest.raises(ValueError, match=r"reads losses of shape \[b, 3\]"):
        build(NetworkConfig(history=3))(_inputs(2))


def test_compiles_with_xla():
    net, inputs = build(seed=4), _inputs(1)
    compiled = tf.function(lambda x: net(x), jit_compile=True)
    np.testing.assert_allclose(compiled(inputs).numpy(), net(inputs).numpy(), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"history": 0}, {"lstm_units": 0}, {"fixed_label": 2}, {"fixed_label": -1}])
def test_impossible_shapes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"at least 1|fixed_label"):
        NetworkConfig(**wrong)
