"""From flags to curricula: when a MentorNet that is learned on the way decides first."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from flags import configuration
from flags.build import curricula as built
from mentornet import methods
from tests.spade_oracles import linear_student

SIZE = 50


def spade(*flags: str):
    """SPADE as a command line has it, over 100 steps, without example dropout."""
    config = configuration.parse(["train_cifar.py", "--train_log_dir=t", "--example_dropout_rates=0", *flags]).method
    curriculum = built.curriculum(config, 10, seed=0)
    return methods.Spade(linear_student(), curriculum, max_steps=100, **config.options), config


@pytest.mark.parametrize("preset", ["paper", "release"])
@pytest.mark.parametrize("updates", [(21, 75), (30,)])
def test_a_mentornet_that_has_learned_nothing_weights_no_step(preset, updates):
    listed = ",".join(map(str, updates))
    method, config = spade("--curriculum=mentornet_dd", f"--preset={preset}", f"--curriculum_update_epochs={listed}")
    assert config.update_epochs == updates
    losses = tf.constant(np.linspace(0.1, 4.0, SIZE), tf.float32)
    for step in (0, updates[0] - 2, updates[0] - 1, updates[0]):
        method.step.assign(step)
        found = method.weigh(losses, tf.zeros([SIZE], tf.int32), tf.range(SIZE))
        untouched = np.unique(found.weights.numpy()).tolist() == [1.0]
        assert untouched == (step < updates[0]), step


def test_one_that_was_learned_before_decides_as_early_as_in_the_release():
    method, _ = spade("--curriculum=pretrained:mentornet_dd_0.4", "--preset=release", "--burn_in_epoch=18")
    losses = tf.constant(np.linspace(0.1, 4.0, SIZE), tf.float32)
    for step, ones in ((16, True), (17, False)):  # raised to 1 while e < burn_in_epoch - 1
        method.step.assign(step)
        found = method.weigh(losses, tf.zeros([SIZE], tf.int32), tf.range(SIZE))
        assert (np.unique(found.weights.numpy()).tolist() == [1.0]) == ones
