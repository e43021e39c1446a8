"""Decoupling against NumPy: each network by its own losses, on what the two disagree about."""

from __future__ import annotations

import numpy as np
import pytest

from mentornet import methods
from mentornet.training.optimizers import MomentumSGD
from tests.selection_oracles import MOMENTUM, RATE, NumpyPeers, Seen, assert_whole_steps_agree, peers, settings
from tests.spade_oracles import BATCH, make_batch, run


def disagreed(seen: Seen):
    """The sum over D is divided by |D|, or by a tenth of the batch if that is more."""
    one, two = seen.logits.argmax(axis=2)
    differ = one != two
    return [(differ, max(0.1 * BATCH, differ.sum()))] * 2


@pytest.mark.parametrize("jit_compile", [False, True])
def test_whole_steps_agree_with_numpy(jit_compile):
    method = methods.get("decoupling")(peers(), **settings())
    masks = assert_whole_steps_agree(method, lambda step: disagreed, jit_compile=jit_compile)
    assert all(0 < first.sum() < BATCH for first, _ in masks)


def test_a_single_disagreement_is_divided_by_a_tenth_of_the_batch():
    """1 of 12 samples: the loss counts 1 / 1.2."""
    batch = make_batch()
    for size in np.linspace(0.02, 1.0, 200):  # a second network that leaves the first one step by step
        students = peers()
        weights = [student.get_weights() for student in students]
        students[1].set_weights([a + size * (b - a) for a, b in zip(*weights, strict=True)])
        one, two = NumpyPeers(students).see(batch).logits.argmax(axis=2)
        if (one != two).sum() == 1:
            break
    assert (one != two).sum() == 1
    method = methods.get("decoupling")(students, **settings())
    ((mask, _),) = assert_whole_steps_agree(method, lambda step: disagreed, steps=1)
    assert mask.sum() == 1


def test_agreement_gives_no_gradient():
    """Without decay neither network moves by a bit."""
    students = peers(scale=0.5)
    students[1].set_weights([2 * w for w in students[0].get_weights()])
    before = [student.get_weights() for student in students]
    method = methods.get("decoupling")(students, max_steps=9)
    log = run(method, make_batch(), optimizer=MomentumSGD(RATE, MOMENTUM))[0]
    assert log["weight_sum"] == 0
    assert np.isfinite(log["raw_loss"])
    for student, weights in zip(students, before, strict=True):
        for a, b in zip(student.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_all_samples_count_at_first():
    def choose(step):
        return disagreed if step >= 2 else lambda seen: [(np.ones(BATCH, bool), BATCH)] * 2

    method = methods.get("decoupling")(peers(), **settings(agreement_steps=2))
    masks = assert_whole_steps_agree(method, choose)
    assert [bool(first.all()) for first, _ in masks] == [True, True, False]


def test_a_negative_number_of_steps_is_refused():
    with pytest.raises(ValueError, match="agreement_steps=-1 must not be negative"):
        methods.get("decoupling")(peers(), max_steps=9, agreement_steps=-1)
    with pytest.raises(ValueError, match="agreement_steps=9 leaves none of the 9 steps for disagreement"):
        methods.get("decoupling")(peers(), max_steps=9, agreement_steps=9)
