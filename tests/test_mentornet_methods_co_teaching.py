"""Co-teaching against NumPy: each network is trained on what the other one finds easiest."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from mentornet import methods
from mentornet.training.optimizers import MomentumSGD
from tests.selection_oracles import (
    DECAY,
    MOMENTUM,
    RATE,
    NumpyPeers,
    Seen,
    assert_whole_steps_agree,
    peers,
    settings,
    smallest,
)
from tests.spade_oracles import BATCH, linear_student, make_batch, run


@pytest.mark.parametrize(
    ("rate", "count", "divide_twice", "jit_compile"),
    [(0.5, 6, False, False), (0.55, 6, True, False), (0.29, 3, False, True), (1.0, 12, False, False)],
)
def test_whole_steps_agree_with_numpy(rate, count, divide_twice, jit_compile):
    method = methods.get("co_teaching")(
        peers(), **settings(keep_schedule=f"constant:{rate}", divide_twice=divide_twice)
    )

    def choose(seen: Seen):
        divisor = count**2 if divide_twice else count
        return [(smallest(seen.losses[1], count), divisor), (smallest(seen.losses[0], count), divisor)]

    masks = assert_whole_steps_agree(method, lambda step: choose, jit_compile=jit_compile)
    assert all(mask.sum() == count for chosen in masks for mask in chosen)
    assert (count == BATCH) == all((first == second).all() for first, second in masks)  # they disagree


def test_both_look_at_the_batch_before_either_is_updated():
    """With the second network's choice made after the first one's update, the end would be another one."""
    batch, students = make_batch(), peers()
    oracle = NumpyPeers(students)
    seen = oracle.see(batch)
    oracle.step(batch, lambda seen: [(smallest(seen.losses[1], 3), 3), (smallest(seen.losses[0], 3), 3)])
    late = smallest(oracle.see(batch).losses[0], 3)
    assert (late != smallest(seen.losses[0], 3)).any()
    method = methods.get("co_teaching")(students, **settings(keep_schedule="constant:0.25"))
    run(method, batch, optimizer=MomentumSGD(RATE, MOMENTUM))
    np.testing.assert_allclose(method.networks[1].get_weights()[0], oracle.thetas[1][:-1], atol=1e-6)


def trained(name: str, students, batches, **own) -> list[list[np.ndarray]]:
    """The weights of every network at the end."""
    method = methods.get(name)(students, max_steps=9, weight_decay=DECAY, **own)
    run(method, *batches, optimizer=MomentumSGD(RATE, MOMENTUM))
    return [network.get_weights() for network in method.networks]


def assert_alike(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_identical_networks_select_for_themselves():
    """Co-teaching, self-selection and small_loss are one method then."""
    students = peers()
    students[1].set_weights(students[0].get_weights())
    alone = linear_student()
    alone.set_weights(students[0].get_weights())
    batches = [make_batch(seed) for seed in range(3)]
    first, second = trained("co_teaching", students, batches, keep_schedule="constant:0.5")
    (single,) = trained("small_loss", alone, batches, keep_schedule="constant:0.5")
    assert_alike(first, single)
    assert_alike(second, single)


def test_a_keep_rate_of_1_is_plain_training_of_both():
    students = peers()
    alone = [linear_student(), linear_student()]
    for one, student in zip(alone, students, strict=True):
        one.set_weights(student.get_weights())
    batches = [make_batch(seed) for seed in range(3)]
    together = trained("co_teaching", students, batches, keep_schedule="constant:1")
    for found, one in zip(together, alone, strict=True):
        assert_alike(found, trained("standard", one, batches)[0])


def test_each_network_has_an_optimiser_of_its_own():
    """The same settings, iterations and slots for itself; both count every step once."""
    method = methods.get("co_teaching")(peers(), max_steps=9, keep_schedule="constant:0.5")
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.1])
    run(method, *(make_batch(seed) for seed in range(3)), optimizer=MomentumSGD(rate, 0.7))
    one, two = (student.optimizer for student in method.students)
    assert one is not two
    assert (one.momentum, two.momentum) == (0.7, 0.7)
    assert int(one.iterations) == int(two.iterations) == int(method.step) == 3
    assert float(method.learning_rate(0)) == float(method.learning_rate(1)) == np.float32(0.1)
    slots = [student.optimizer.velocities[0].numpy() for student in method.students]
    assert np.abs(slots[0] - slots[1]).max() > 1e-3


def test_a_diverged_network_is_noticed_whichever_it_is():
    """NaN in the second network alone: its losses rank last, so nothing but its own objective shows it."""
    students = peers()
    students[1].set_weights([np.full((9, 4), np.nan), np.zeros(4)])
    method = methods.get("co_teaching")(students, max_steps=9, keep_schedule="constant:0.5")
    run(method, make_batch())
    assert int(method.first_bad_step) == 0
