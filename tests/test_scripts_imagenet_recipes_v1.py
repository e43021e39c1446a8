"""The preprint's MentorNet in the recipes of its table 6, against the numbers of its section 5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from flags.define import imagenet_flags
from mentornet import methods
from tests.spade_oracles import linear_student

RECIPES = Path(__file__).resolve().parents[1] / "flags" / "recipes"
BOTH = ["v1_table6/mentornet.flags", "cpu_imagenet/list_mentornet.flags"]
SIZE = 200


def parsed(recipe: str):
    command = ["train_imagenet.py", f"--flagfile={RECIPES / recipe}", "--data_dir=d", "--train_log_dir=t"]
    return imagenet_flags.parse(command).method


@pytest.mark.parametrize("recipe", BOTH)
def test_percentiles_and_sampling_are_the_preprints(recipe):
    method = parsed(recipe)
    assert method.curriculum == "mentornet_pd_v1"
    assert method.options["loss_percentile"] == (0.75,) * 90 + (0.8,) * 10
    sampled = 1 - np.array(method.options["example_dropout_rates"])
    assert sampled[:20] == pytest.approx(0.5)
    assert sampled[20:90] == pytest.approx(0.95)
    assert np.all(np.diff(sampled[89:]) > 0)
    assert sampled[99] == 1
    assert method.options["example_dropout_mode"] == "proportional"
    assert method.options["loss_moving_average_decay"] == 0.95


@pytest.mark.parametrize("step", [0, 19, 20, 89, 90, 99])
def test_a_batch_is_weighted_as_the_preprint_says(step):
    """The numbers of samples that count, and for how much, from losses whose percentiles are known."""
    method = parsed(BOTH[0])
    settings = method.options | {"loss_moving_average_decay": 0.0}
    spade = methods.Spade(linear_student(), method.curriculum, max_steps=100, **settings)
    spade.step.assign(step)
    losses = np.random.default_rng(0).permutation(np.linspace(0.0, 4.0, SIZE)).astype(np.float32)
    found = spade.weigh(tf.constant(losses), tf.zeros([SIZE], tf.int32), tf.range(SIZE)).weights.numpy()
    if step < 20:
        assert (np.count_nonzero(found), set(found)) == (SIZE // 2, {0.0, 1.0})
    elif step < 90:  # 150 samples have weight 1, and as many as 190 may be drawn: those without weight never are
        np.testing.assert_array_equal(found, losses <= np.percentile(losses, 75))
    else:
        linear = np.clip(1 - (losses - np.percentile(losses, 80)), 0, 1)
        assert np.all((found == 0) | np.isclose(found, linear, atol=1e-5))
        missing = np.count_nonzero(linear > 1e-6) - np.count_nonzero(found > 1e-6)
        assert missing == max(0, np.count_nonzero(linear > 1e-6) - int(SIZE * (0.955 if step == 90 else 1)))


def test_the_head_says_what_it_is():
    head = (RECIPES / BOTH[0]).read_text()
    assert "does not say which MentorNet" not in head
    assert "in proportion to their weights" in head
