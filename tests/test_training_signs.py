"""What is said of a student that learns next to nothing; the binomial distribution is the oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from flags.commands import messages
from mentornet.training import signs


@pytest.mark.parametrize(("classes", "examples"), [(2, 36), (3, 60), (10, 36), (100, 400)])
def test_near_chance_is_what_guesses_reach(classes, examples):
    right = np.arange(examples + 1)
    told = np.array([signs.near_chance(k / examples, classes, examples) for k in right])
    assert told[: int(told.sum())].all()  # below a limit
    beyond = stats.binom.sf(told.sum() - 1, examples, 1 / classes)  # a guess is taken for more than that
    assert 0.005 < beyond < 0.05


@pytest.mark.parametrize(("classes", "limit"), [(2, 0.575), (3, 1 / 3 + 0.1), (10, 0.2), (100, 0.02)])
def test_near_chance_on_many_samples_is_next_to_nothing(classes, limit):
    chance = 1 / classes
    assert signs.near_chance(limit - 1e-9, classes, 10**6)
    assert not signs.near_chance(limit + 1e-9, classes, 10**6)
    assert signs.near_chance((chance + limit) / 2 - 1e-9, classes, 10**6, given=True)
    assert not signs.near_chance((chance + limit) / 2 + 1e-9, classes, 10**6, given=True)


def test_losses_far_above_those_of_guesses_are_told_early_and_only_then():
    guessing = -np.log(np.full(10, 0.1)).mean()
    told = signs.high_loss(12.14, 10, 20, 120, 0.1)
    assert f"after 20 steps the training loss is 12.1, while guessing among 10 classes has {guessing:.1f}" in told
    assert "try --learning_rate=0.01 instead of 0.1" in told
    assert signs.high_loss(2.01 * guessing, 10, 20, 120, 0.1)
    assert signs.high_loss(1.99 * guessing, 10, 20, 120, 0.1) is None
    assert signs.high_loss(12.14, 10, 9, 120, 0.1) is None  # it may still come down
    assert signs.high_loss(12.14, 10, 31, 120, 0.1) is None  # wrong labels, which it does not believe
    assert signs.high_loss(12.14, 10, 10, 20, 0.1)
    assert signs.high_loss(math.nan, 10, 20, 120, 0.1) is None
    assert signs.high_loss(12.14, 1, 20, 120, 0.1) is None


@pytest.mark.parametrize(
    ("accuracy", "examples", "given", "told"),
    [
        (0.115, 400, False, "accuracy 0.115 on 400 images, where guessing among 10 classes has 0.100"),
        (0.223, 400, False, None),
        (4 / 36, 36, True, "agreement 0.111 on 36 images"),
        (6 / 36, 36, True, None),  # with labels of which many are wrong little is much
        (None, 36, True, None),  # --mode=train
    ],
)
def test_the_end_of_a_run_says_that_it_has_learned_nothing(accuracy, examples, given, told):
    result = {"accuracy_last": accuracy, "evaluation_examples": examples} | (
        {"judged_by": "given labels"} if given else {}
    )
    found = messages.learned_little(result, 10, 0.1)
    assert (found is None) if told is None else (told in found and "--learning_rate=0.01 instead of 0.1" in found)
    assert told is None or "a rate larger than 0.0001, and more epochs" in messages.learned_little(result, 10, 1e-4)
    assert messages.learned_little(result, 0, 0.1) is None  # of masks, or without labels
