"""Where the curriculum is shown a fixed epoch, drop rate and percentile go on by the epoch that it really is."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula, methods
from tests.spade_oracles import linear_student

SIZE = 100
TABLES = {"example_dropout_rates": "0.5,18,0.25,52,0.1,30", "loss_percentile": "0.9,18,0.5,52,0.1,30"}
EXPECTED = {10: (0.5, 0.9), 18: (0.25, 0.5), 69: (0.25, 0.5), 70: (0.1, 0.1), 99: (0.1, 0.1)}


class _Recorder(curricula.Curriculum):
    """Weights that tell the epoch they were asked for."""

    name = "recorder"

    def __call__(self, loss, difference, label, epoch):
        return tf.zeros_like(loss) + (tf.cast(epoch, tf.float32) + 1.0) / 100.0


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("step", EXPECTED)
def test_tables_follow_the_real_epoch_and_the_curriculum_the_fixed_one(step, fixed):
    spade = methods.Spade(
        linear_student(),
        _Recorder(),
        max_steps=100,
        burn_in_epoch=18,
        burn_in_mode="ones",
        fixed_epoch_after_burn_in=fixed,
        loss_moving_average_decay=0.0,
        **TABLES,
    )
    spade.step.assign(step)
    losses = np.random.default_rng(step).gamma(2.0, size=SIZE).astype(np.float32)
    found = spade.weigh(tf.constant(losses), tf.zeros([SIZE], tf.int32), tf.range(SIZE))
    rate, percentile = EXPECTED[step]
    assert float(found.drop_rate) == pytest.approx(rate)
    assert np.count_nonzero(found.weights) == SIZE * (1 - rate)
    assert float(spade.loss_percentile) == pytest.approx(np.percentile(losses, 100 * percentile), rel=1e-5)
    shown = min(step, 18) if fixed else step
    in_force = 1.0 if step < 17 else (shown + 1) / 100  # "ones" raises weights to 1 until burn-in ends
    assert np.unique(found.curriculum_weights) == pytest.approx([in_force])
