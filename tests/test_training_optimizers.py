"""The momentum optimiser and schedule against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet.training.optimizers import MomentumSGD, stepwise_rate


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
