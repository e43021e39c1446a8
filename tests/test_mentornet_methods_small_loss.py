"""Training on one's own small losses, against NumPy: how many count, which, and what is left of the student."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import methods
from mentornet.training.optimizers import MomentumSGD
from tests.selection_oracles import DECAY, assert_whole_steps_agree, settings, smallest
from tests.spade_oracles import BATCH, linear_student, make_batch, run

RATES = (1.0, 0.55, 0.29)
"""Of 12 samples: 12, 6 (of 6.6) and 3 (of 3.48)."""


@pytest.fixture
def schedule(tmp_path) -> str:
    (tmp_path / "R.csv").write_text("\n".join(map(str, RATES)))
    return f"file:{tmp_path / 'R.csv'}"


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("divide_twice", [False, True])
def test_whole_steps_agree_with_numpy(schedule, divide_twice, jit_compile):
    student = linear_student()
    method = methods.get("small_loss")(
        student, **settings(max_steps=3, keep_schedule=schedule, divide_twice=divide_twice)
    )

    def choose(step):
        count = int(RATES[step] * BATCH)
        return lambda seen: [(smallest(seen.losses[0], count), count**2 if divide_twice else count)]

    masks = assert_whole_steps_agree(method, choose, jit_compile=jit_compile)
    assert [int(mask.sum()) for (mask,) in masks] == [12, 6, 3]


def test_a_keep_rate_of_1_is_plain_training():
    ends = []
    for name, own in (("standard", {}), ("small_loss", {"keep_schedule": "constant:1", "steps_per_epoch": 1})):
        student = linear_student()
        method = methods.get(name)(student, max_steps=5, weight_decay=DECAY, **own)
        logs = run(method, *(make_batch(seed) for seed in range(3)), optimizer=MomentumSGD(0.3, 0.9))
        ends.append((student.get_weights(), [log["weighted_loss"] for log in logs]))
    for a, b in zip(*(weights for weights, _ in ends), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(ends[0][1], ends[1][1], rtol=1e-6)


def test_without_a_schedule_all_samples_count():
    log = run(methods.get("small_loss")(linear_student(), max_steps=5), make_batch())[0]
    assert log["weight_sum"] == BATCH


@pytest.mark.parametrize(
    ("rate", "of", "count"),
    [("0.8", 128, 102), ("0.55", 128, 70), ("0.5", 128, 64), ("0.29", 100, 28), ("0.57", 100, 56), ("0.01", 50, 1)],
)
def test_samples_are_counted_as_python_truncates(rate, of, count):
    """0.29 of 100 is 28.999999999999996; at least one sample stays."""
    assert max(1, int(float(rate) * of)) == count
    method = methods.get("small_loss")(linear_student(), max_steps=1, keep_schedule=f"constant:{rate}")
    assert int(method.kept(tf.constant(of))) == count


def test_epochs_are_counted_in_steps(schedule):
    """Four steps an epoch, the last one cut short; its rate holds behind the end of the training."""
    method = methods.get("small_loss")(linear_student(), max_steps=11, steps_per_epoch=4, keep_schedule=schedule)
    found = []
    for step in range(18):
        method.step.assign(step)
        found.append(int(method.kept(tf.constant(BATCH))))
    assert found == [12] * 4 + [6] * 4 + [3] * 10


def test_recorded_weights_say_what_was_chosen():
    """In the last epoch: 1 for the samples that counted, 0 for the others."""
    method = methods.get("small_loss")(
        linear_student(), max_steps=1, num_examples=BATCH, keep_schedule="constant:0.5", steps_per_epoch=1
    )
    batch = make_batch()
    x = batch["image"].reshape(BATCH, -1)
    kernel, bias = method.student.get_weights()
    z = x @ kernel + bias
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(BATCH), batch["label"]]
    run(method, batch)
    expected = np.zeros(BATCH)
    expected[batch["index"]] = smallest(losses, 6)
    np.testing.assert_array_equal(method.weight_totals.numpy(), expected)
    np.testing.assert_array_equal(method.weight_visits.numpy(), 1)
