"""SPADE's defaults in the library are the paper's and the command line's: five lines of Python do as a command does."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import tensorflow as tf

from flags import configuration
from mentornet import methods
from mentornet.features import per_epoch_table
from tests.spade_oracles import linear_student

SIZE = 400


@pytest.mark.parametrize(("step", "expected"), [(0, 0.5), (19, 0.5), (20, 0.95), (99, 0.95)])
def test_half_of_the_samples_train_during_burn_in_and_nineteen_twentieths_later(step, expected):
    """ICML section 5.1: burn-in in the first 20%, which is random dropout of samples."""
    spade = methods.Spade(linear_student(), "none", max_steps=100)
    spade.step.assign(step)
    weights = spade.weigh(tf.ones([SIZE]), tf.zeros([SIZE], tf.int32), tf.range(SIZE)).weights.numpy()
    share = np.count_nonzero(weights) / SIZE
    assert share == pytest.approx(expected, abs=0.1 if step < 20 else 1e-6)  # Bernoulli during burn-in: 4 deviations


def test_they_are_the_command_lines():
    options = configuration.parse(["train_cifar.py", "--train_log_dir=t", "--curriculum=self_paced"]).method.options
    signature = inspect.signature(methods.Spade.__init__).parameters
    for name, value in options.items():
        default = signature[name].default
        assert (per_epoch_table(default, name) if isinstance(value, tuple) else default) == value, name
