"""Co-teaching+ against NumPy: small losses among the samples that the networks disagree about, exchanged."""

from __future__ import annotations

import numpy as np
import pytest

from mentornet import methods
from mentornet.methods.co_teaching_plus import WARM
from mentornet.training.optimizers import MomentumSGD
from tests.selection_oracles import (
    DECAY,
    MOMENTUM,
    RATE,
    Seen,
    assert_whole_steps_agree,
    cross_entropy,
    peers,
    settings,
    smallest,
    softmax,
)
from tests.spade_oracles import BATCH, make_batch, run


def entered(students, **own) -> methods.NoisyLabelMethod:
    """The method in its first stage, as the engine has it before training."""
    method = methods.get("co_teaching_plus")(students, **settings(**own))
    method.enter(method.next_stage(0))
    return method


def choose_among_disagreed(rate: float, divide_twice: bool = False, label: np.ndarray | None = None):
    """What NumPy trains on; ``label`` if the ranking is that of the double softmax."""

    def choose(seen: Seen):
        one, two = seen.logits.argmax(axis=2)
        differ = one != two
        assert differ.any()
        count = int(rate * differ.sum()) or int(differ.sum())
        losses = seen.losses if label is None else [cross_entropy(softmax(z), label) for z in seen.logits]
        masks = [smallest(np.where(differ, loss, np.inf), count) for loss in losses]
        divisor = count**2 if divide_twice else count
        return [(masks[1], divisor), (masks[0], divisor)]

    return choose


@pytest.mark.parametrize(
    ("own", "jit_compile"),
    [({}, False), ({"divide_twice": True}, False), ({"double_softmax": True}, False), ({"double_softmax": True}, True)],
)
def test_whole_steps_agree_with_numpy(own, jit_compile):
    method = entered(peers(), keep_schedule="constant:0.6", **own)
    double = own.get("double_softmax", False)
    masks = assert_whole_steps_agree(
        method,
        lambda step: choose_among_disagreed(
            0.6, own.get("divide_twice", False), make_batch(step)["label"] if double else None
        ),
        double=double,
        jit_compile=jit_compile,
    )
    counts = [mask.sum() for chosen in masks for mask in chosen]
    assert 0 < min(counts) <= max(counts) < BATCH
    assert any((first != second).any() for first, second in masks)


def test_the_double_softmax_ranks_otherwise():
    """Of two wrong samples alike far off, softmax flattens the losses: what is chosen is not what plain losses say."""
    differences = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        logits, label = rng.normal(0, 3, (12, 4)), rng.integers(0, 4, 12)
        plain, double = cross_entropy(logits, label), cross_entropy(softmax(logits), label)
        differences += (smallest(plain, 6) != smallest(double, 6)).any()
    assert differences > 0


def test_a_selection_of_nothing_takes_all_of_the_disagreement():
    """0.05 of at most 12 samples are none."""
    method = entered(peers(), keep_schedule="constant:0.05")
    masks = assert_whole_steps_agree(method, lambda step: choose_among_disagreed(0.05))
    assert all((first == second).all() for first, second in masks)


@pytest.mark.parametrize("own", [{}, {"divide_twice": True}])
def test_full_disagreement_is_co_teaching(own):
    """Biases that no image outweighs: the first network always says class 0, the second class 1."""
    ends = []
    for name in ("co_teaching", "co_teaching_plus"):
        students = peers(scale=0.01)
        for k, student in enumerate(students):
            kernel, bias = student.get_weights()
            bias[k] += 5.0
            student.set_weights([kernel, bias])
        method = methods.get(name)(students, **settings(keep_schedule="constant:0.4", **own))
        method.enter(method.next_stage(0))
        run(method, make_batch(), optimizer=MomentumSGD(RATE, MOMENTUM))
        ends.append([network.get_weights() for network in method.networks])
    for one, two in zip(*ends, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


def agreeing():
    """Two networks of different weights that say the same of every image: the second is twice the first."""
    students = peers(scale=0.5)
    students[1].set_weights([2 * w for w in students[0].get_weights()])
    return students


@pytest.mark.parametrize("own", [{}, {"divide_twice": True}, {"double_softmax": True}])
def test_full_agreement_trains_on_the_whole_batch_at_first(own):
    """The mean over the batch, which the released code does not divide a second time; then nothing but decay."""
    method = entered(agreeing(), keep_schedule="constant:0.5", agreed_steps=1, **own)

    def choose(seen: Seen):
        one, two = seen.logits.argmax(axis=2)
        np.testing.assert_array_equal(one, two)
        return [(np.ones(BATCH, bool), BATCH)] * 2

    assert_whole_steps_agree(method, lambda step: choose, steps=1, double=own.get("double_softmax", False))


def test_full_agreement_trains_on_nothing_later():
    method = entered(agreeing(), keep_schedule="constant:0.5", agreed_steps=0)
    before = [network.get_weights() for network in method.networks]
    log = run(method, make_batch(), optimizer=MomentumSGD(RATE, MOMENTUM))[0]
    assert log["weight_sum"] == log["weighted_loss"] == 0
    assert np.isfinite(log["raw_loss"])
    assert all(np.isnan(value) for value in method.report().values())
    for (kernel, bias), network in zip(before, method.networks, strict=True):
        np.testing.assert_allclose(network.get_weights()[0], kernel * (1 - RATE * DECAY), rtol=1e-6)
        np.testing.assert_array_equal(network.get_weights()[1], bias)


def test_the_warm_up_is_co_teaching():
    """As long as it lasts also with the double softmax, which the released code does not have there."""
    batches = [make_batch(seed) for seed in range(2)]
    ends = []
    for name, own in (
        ("co_teaching", {}),
        ("co_teaching_plus", {"warmup_epochs": 2, "double_softmax": True}),
        ("co_teaching_plus", {}),
    ):
        method = methods.get(name)(peers(), **settings(keep_schedule="constant:0.5", **own))
        method.enter(method.next_stage(0))
        run(method, *batches, optimizer=MomentumSGD(RATE, MOMENTUM))
        ends.append(method.networks[0].get_weights()[0])
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 1e-3


def test_stages_are_the_warm_up_and_the_rest():
    method = methods.get("co_teaching_plus")(peers(), max_steps=30, steps_per_epoch=4, warmup_epochs=3)
    first, second = method.next_stage(0), method.next_stage(1)
    assert (first.kind, first.number, first.steps) == (WARM, 0, 12)
    assert (second.number, second.steps) == (1, 18)
    assert second.kind != WARM
    assert method.next_stage(2) is None
    assert list(method.streams(second)) == ["given"]
    short = methods.get("co_teaching_plus")(peers(), max_steps=30)
    assert (short.next_stage(0).kind, short.next_stage(0).steps, short.next_stage(1)) == (second.kind, 30, None)


@pytest.mark.parametrize("warmup", [-1, 8, 9])
def test_a_warm_up_that_leaves_nothing_is_refused(warmup):
    with pytest.raises(ValueError, match=rf"warmup_epochs={warmup} must be at least 0 and leave some of the 8 epochs"):
        methods.get("co_teaching_plus")(peers(), max_steps=30, steps_per_epoch=4, warmup_epochs=warmup)
