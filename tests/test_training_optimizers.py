"""Momentum SGD and the step-wise rate against closed forms, Adam and the linear decay against the released codes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import students
from mentornet.training.optimizers import Adam, LinearDecay, MomentumSGD, RMSProp, stepwise_rate


def test_the_rate_stays_outside_the_velocity():
    """After the rate drops, a velocity gathered at the old rate moves the weight at the new one (TF 1, PyTorch)."""
    weight = tf.Variable([1.0, -2.0])
    optimizer = MomentumSGD(stepwise_rate(0.5, [1], 0.1), momentum=0.9)
    expected, velocity = np.array([1.0, -2.0]), np.zeros(2)
    for step, gradient in enumerate(([1.0, 2.0], [0.5, -1.0], [0.0, 3.0])):
        optimizer.apply_gradients([(tf.constant(gradient), weight)])
        velocity = 0.9 * velocity + gradient
        expected = expected - (0.5 if step <= 1 else 0.05) * velocity
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)


def test_steps_at_a_boundary():
    rate = stepwise_rate(0.1, [10, 20], 0.1)
    found = [float(rate(step)) for step in (0, 10, 11, 20, 21, 1000)]
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_the_coming_rate_is_known_before_the_step():
    """Keras tells the rate of the step before; the look-ahead and weight steps need that of the coming one."""
    weight = tf.Variable([1.0])
    optimizer = MomentumSGD(stepwise_rate(0.5, [1], 0.1), momentum=0.9)
    found = []
    for _ in range(4):
        found.append(float(optimizer.present_rate()))
        optimizer.apply_gradients([(tf.constant([1.0]), weight)])
    assert found == pytest.approx([0.5, 0.5, 0.05, 0.05])
    assert float(MomentumSGD(0.3).present_rate()) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("rate", "boundaries", "factor"), [(0.0, [], 0.1), (0.1, [5, 5], 0.1), (0.1, [0], 0.1), (0.1, [3], 0.0)]
)
def test_wrong_schedules_are_refused(rate, boundaries, factor):
    with pytest.raises(ValueError, match=r"greater than 0|positive and increase"):
        stepwise_rate(rate, boundaries, factor)


def test_it_survives_its_config():
    copy = keras.optimizers.get(keras.optimizers.serialize(MomentumSGD(0.3, 0.7)))
    assert (float(copy.learning_rate), copy.momentum) == (pytest.approx(0.3), 0.7)


def torch_adam(start: np.ndarray, gradients: list, rates: list, betas: list, epsilon: float = 1e-8) -> np.ndarray:
    """torch.optim.Adam without weight decay or amsgrad, in float64: step size and denominator as it forms them."""
    weight, mean, square = start.astype(float), np.zeros_like(start, float), np.zeros_like(start, float)
    for step, (gradient, rate, (beta1, beta2)) in enumerate(zip(gradients, rates, betas, strict=True), start=1):
        gradient = np.asarray(gradient, float)
        mean = mean + (gradient - mean) * (1 - beta1)  # exp_avg.lerp_(grad, 1 - beta1)
        square = beta2 * square + (1 - beta2) * gradient * gradient
        step_size = rate / (1 - beta1**step)
        denominator = np.sqrt(square) / np.sqrt(1 - beta2**step) + epsilon
        weight = weight - step_size * mean / denominator
    return weight


GRADIENTS = [[1.0, -2.0, 1e-7], [0.5, 1.0, 0.0], [0.0, 3.0, -1e-7], [-1.0, 0.2, 1e-8], [0.3, -0.3, 2e-7]]


@pytest.mark.parametrize(
    ("rate", "rates"),
    [(0.01, [0.01] * 5), (LinearDecay(0.01, 1, 5, start=2), [0.01, 0.01, 0.01, 0.01 * 2 / 3, 0.01 / 3])],
)
def test_adam_is_pytorchs(rate, rates):
    """With gradients as small as epsilon, where it matters how that is added."""
    start = np.array([1.0, -2.0, 0.5])
    weight, optimizer = tf.Variable(start, dtype=tf.float32), Adam(rate)
    for gradient, expected_rate in zip(GRADIENTS, rates, strict=True):
        assert float(optimizer.present_rate()) == pytest.approx(expected_rate)
        optimizer.apply_gradients([(tf.constant(gradient), weight)])
    expected = torch_adam(start, GRADIENTS, rates, [(0.9, 0.999)] * 5)
    np.testing.assert_allclose(weight.numpy(), expected, atol=1e-6)
    kerases = tf.Variable(start, dtype=tf.float32)
    other = keras.optimizers.Adam(rate)
    for gradient in GRADIENTS:
        other.apply_gradients([(tf.constant(gradient), kerases)])
    assert np.abs(kerases.numpy() - expected).max() > 1e-3


def test_adams_first_beta_is_switched_under_way():
    """Co-teaching's code sets betas to (0.1, 0.999) in running optimisers: moments stay, corrections use 0.1^t."""
    rate = LinearDecay(0.01, 2, 4, start=1)  # from step 2 on
    weight, optimizer = tf.Variable([1.0, -2.0, 0.5]), Adam(rate, rate.switched(0.9, 0.1))
    for gradient in GRADIENTS:
        optimizer.apply_gradients([(tf.constant(gradient), weight)])
    rates = [0.01, 0.01, 0.01, 0.01, 0.01 * 2 / 3]
    start = np.array([1.0, -2.0, 0.5])
    switched = torch_adam(start, GRADIENTS, rates, [(0.9, 0.999)] * 2 + [(0.1, 0.999)] * 3)
    np.testing.assert_allclose(weight.numpy(), switched, atol=1e-6)
    assert np.abs(switched - torch_adam(start, GRADIENTS, rates, [(0.9, 0.999)] * 5)).max() > 1e-3


def test_adam_compiles_and_takes_sparse_gradients():
    start = np.array([[1.0, 2.0], [3.0, 4.0]])
    weight, optimizer = tf.Variable(start, dtype=tf.float32), Adam(0.1)
    optimizer.build([weight])

    @tf.function(jit_compile=True)
    def step(gradient: tf.Tensor) -> None:
        optimizer.apply_gradients([(gradient, weight)])

    dense = [[[1.0, -1.0], [0.5, 2.0]], [[0.0, 1.0], [0.0, 0.0]]]
    for gradient in dense:
        step(tf.constant(gradient))
    np.testing.assert_allclose(weight, torch_adam(start, dense, [0.1] * 2, [(0.9, 0.999)] * 2), atol=1e-6)
    sparse, optimizer = tf.Variable(start, dtype=tf.float32), Adam(0.1)
    optimizer.apply_gradients([(tf.IndexedSlices(tf.constant([[1.0, -1.0]]), tf.constant([1]), (2, 2)), sparse)])
    expected = torch_adam(start, [[[0.0, 0.0], [1.0, -1.0]]], [0.1], [(0.9, 0.999)])
    np.testing.assert_allclose(sparse, expected, atol=1e-6)


def test_rmsprop_is_pytorchs():
    """torch.optim.RMSprop without momentum or centring: the root first, then epsilon; v from 0."""
    start, rates = np.array([1.0, -2.0, 0.5]), [0.01, 0.01, 0.01, 0.01 * 2 / 3, 0.01 / 3]
    weight, optimizer = tf.Variable(start, dtype=tf.float32), RMSProp(LinearDecay(0.01, 1, 5, start=2))
    expected, square = start.copy(), np.zeros(3)
    for gradient, rate in zip(np.array(GRADIENTS), rates, strict=True):
        assert float(optimizer.present_rate()) == pytest.approx(rate)
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), weight)])
        square = 0.99 * square + 0.01 * gradient**2
        expected = expected - rate * gradient / (np.sqrt(square) + 1e-8)
    np.testing.assert_allclose(weight.numpy(), expected, atol=1e-6)
    kerases, other = tf.Variable(start, dtype=tf.float32), keras.optimizers.RMSprop(0.01, rho=0.99)
    for gradient in GRADIENTS:
        other.apply_gradients([(tf.constant(gradient), kerases)])
    assert np.abs(kerases.numpy() - expected).max() > 1e-3
    copy = students.copied_optimizer(optimizer)  # what a second network gets
    assert (type(copy), copy.rho, copy.epsilon, float(copy.present_rate())) == (
        RMSProp,
        0.99,
        1e-8,
        pytest.approx(0.01),
    )
    with pytest.raises(ValueError, match="rho=1 must lie in"):
        RMSProp(rho=1.0)


def test_the_linear_decay_of_co_teaching_and_s2e():
    """lr (200 - e) / 120 from epoch 80 of 200, the same for all 390 steps of an epoch."""
    rate = LinearDecay(1e-3, 390, 200, start=80)
    found = {epoch: [float(rate(390 * epoch)), float(rate(390 * epoch + 389))] for epoch in (0, 79, 80, 81, 140, 199)}
    for epoch, values in found.items():
        expected = 1e-3 if epoch < 80 else 1e-3 * (200 - epoch) / 120
        assert values == pytest.approx([expected] * 2, rel=1e-6), epoch
    assert found[80] == pytest.approx([1e-3] * 2)  # the first that falls is epoch 81
    assert found[199] == pytest.approx([1e-3 / 120] * 2)
    assert float(rate(390 * 200)) == float(rate(390 * 300)) == 0.0
    assert float(LinearDecay(1e-3, 1, 200)(140)) == pytest.approx(5e-4)  # 40% of 200 by default
    assert float(LinearDecay(1.0, 1, 4, start=0)(tf.constant(1, tf.int64))) == 0.75


@pytest.mark.parametrize("start", [-1, 5, 6.0])
def test_a_decay_behind_the_end_is_refused(start):
    with pytest.raises(ValueError, match=f"the linear decay starts in epoch {start:g}, but there are only 5"):
        LinearDecay(1e-3, 10, 5, start=start)


@pytest.mark.parametrize(("start", "first"), [(2, 20), (1.5, 20), (0, 0)])
def test_what_is_switched_with_the_decay(start, first):
    """The new value from the first step of the first whole epoch at or behind the start."""
    switched = LinearDecay(1e-3, 10, 5, start=start).switched(0.9, 0.1)
    found = [round(float(switched(step)), 6) for step in range(50)]
    assert found == [0.9] * first + [0.1] * (50 - first)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MomentumSGD(stepwise_rate(0.5, [1], 0.1), 0.7),
        lambda: Adam(0.01, 0.5, 0.99, 1e-5),
        lambda: Adam(LinearDecay(0.01, 2, 4, start=1), LinearDecay(0.01, 2, 4, start=1).switched(0.9, 0.1)),
    ],
)
def test_a_copy_does_the_same_from_the_beginning(make):
    """By way of the configuration, as a peer's is made, and of Keras' own serialisation, also once it has trained."""
    used, weight = make(), tf.Variable([1.0, -2.0, 0.5])
    for gradient in GRADIENTS:
        used.apply_gradients([(tf.constant(gradient), weight)])
    for copy in (students.copied_optimizer(used), keras.optimizers.deserialize(keras.optimizers.serialize(used))):
        assert type(copy) is type(used)
        assert int(copy.iterations) == 0
        again = tf.Variable([1.0, -2.0, 0.5])
        for gradient in GRADIENTS:
            copy.apply_gradients([(tf.constant(gradient), again)])
        np.testing.assert_array_equal(again.numpy(), weight.numpy())
