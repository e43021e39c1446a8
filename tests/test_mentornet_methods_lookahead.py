"""The point at which the momentum look-ahead of L2B and L2RW takes the clean gradient, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import methods
from mentornet.methods import meta_gradient
from mentornet.training.optimizers import MomentumSGD, stepwise_rate
from tests.meta_oracles import conv_student


def test_the_lookahead_takes_the_rate_of_the_coming_step():
    """Behind a boundary of the schedule: w - new rate (momentum v + decay w)."""
    weight = tf.Variable([2.0, -1.0])
    optimizer = MomentumSGD(stepwise_rate(0.5, [1], 0.1), 0.9)
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant([1.0, 0.0]), weight)])
    start = weight.numpy()
    (point,) = meta_gradient.momentum_lookahead(optimizer, [weight], [weight], 0.2)
    np.testing.assert_allclose(point, start - 0.05 * (0.9 * np.array([1.9, 0.0]) + 0.2 * start), rtol=1e-6)


def test_workers_that_share_weights_refuse_the_momentum_lookahead(monkeypatch):
    """It moves the weights and puts them back, over what other workers did meanwhile."""
    strategy = object.__new__(tf.distribute.ParameterServerStrategy)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    with pytest.raises(ValueError, match="use --lookahead=none with parameter_server"):
        methods.L2B(conv_student(), max_steps=1).compile(optimizer=MomentumSGD(0.1, 0.9))
