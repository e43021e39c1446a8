"""The online clean set of L2B: a mixture of two components over the losses of the training samples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from mentornet import methods
from mentornet.methods import l2b, loss_split
from mentornet.stages import Stage
from mentornet.training.evaluation import sample_outputs
from tests.spade_oracles import CLASSES, linear_student, make_batch


def two_groups(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Losses of 300 samples around 0.2 and 200 around 3."""
    rng = np.random.default_rng(seed)
    clean = rng.permutation(500) < 300
    return np.where(clean, rng.normal(0.2, 0.05, 500), rng.normal(3, 0.4, 500)), clean


def test_well_separated_losses_are_told_apart():
    losses, clean = two_groups()
    np.testing.assert_array_equal(loss_split.clean_samples(losses, 1, seed=0), clean)
    # Affine losses are the same mixture, since they are scaled to [0, 1] first.
    np.testing.assert_array_equal(loss_split.clean_samples(100 * losses + 7, 1, seed=0), clean)


def test_posterior_is_bayes_rule_of_the_fitted_components():
    """With equal variances the boundary lies half-way, a little towards the rarer component."""
    losses = np.concatenate([np.random.default_rng(1).normal(m, 0.5, 4000) for m in (0.0, 3.0)])
    posterior = loss_split.clean_probability(losses, seed=0)
    order = np.argsort(losses)
    boundary = losses[order][np.searchsorted(-posterior[order], -0.5)]
    assert boundary == pytest.approx(1.5, abs=0.1)


def test_at_least_as_many_as_a_batch_and_equal_losses():
    losses, _ = two_groups()
    chosen = loss_split.clean_samples(losses, 400, seed=0)
    assert chosen.sum() == 400
    assert losses[chosen].max() < losses[~chosen].min()
    assert loss_split.clean_samples(np.ones(5), 1, seed=0).all()
    with pytest.raises(ValueError, match="not finite"):
        loss_split.clean_samples(np.array([1.0, np.nan]), 1, seed=0)


def test_l2b_fits_after_the_warm_up_and_then_once_an_epoch(monkeypatch):
    """What is fitted is the cross-entropy at the present weights by NumPy, with a seed of the run and the step."""
    size, asked = 12, []

    def recorded(losses: np.ndarray, at_least: int, seed: int) -> np.ndarray:
        asked.append((losses, at_least, seed))
        return losses <= np.sort(losses)[at_least]

    monkeypatch.setattr(l2b, "clean_samples", recorded)
    method = methods.L2B(
        linear_student(), max_steps=100, num_examples=size, warmup_steps=5, mixture_steps=10, clean_batch_size=2, seed=7
    )
    batch = make_batch(size=size)
    kernel = method.student.trainable_variables[0]
    kernel.assign(tf.zeros_like(kernel))
    data = tf.data.Dataset.from_tensors({"image": batch["image"], "label": batch["label"]})
    training = SimpleNamespace(outputs=lambda network: sample_outputs(network, data))

    def chosen(stage: Stage, start: int) -> list[int]:
        method.step.assign(start)
        changed = method.look(stage, training)
        assert changed == (stage.number > 0)  # otherwise no checkpoint is needed
        streams = method.streams(stage)
        assert list(streams) == ["given", "clean"]
        assert streams["given"].positions is None
        assert (streams["clean"].size, streams["clean"].source, streams["clean"].balanced) == (2, "training", False)
        return np.flatnonzero(streams["clean"].positions).tolist()

    def expected() -> list[int]:
        z = batch["image"].reshape(size, -1) @ kernel.numpy()
        loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(size), batch["label"]]
        np.testing.assert_allclose(asked[-1][0], loss, rtol=1e-4)
        return sorted(np.argsort(loss)[:3].tolist())

    first, second, third = (method.next_stage(done) for done in range(3))
    assert (first.steps, second.steps) == (5, 10)
    assert chosen(first, 0) == list(range(size))
    kernel.assign(np.random.default_rng(0).normal(size=(9, CLASSES), scale=2))
    found = chosen(second, 5)
    assert found == expected()
    kernel.assign(np.random.default_rng(5).normal(size=(9, CLASSES), scale=2))
    # A resumed stage reads the same streams without another look, whatever the student has become.
    assert np.flatnonzero(method.streams(second)["clean"].positions).tolist() == found
    assert chosen(third, 15) == expected() != found
    assert [(at_least, seed) for _, at_least, seed in asked] == [(2, 12), (2, 22)]


@pytest.mark.parametrize(
    ("warmup", "max_steps", "expected"),
    [(5, 31, [5, 15, 25]), (5, 25, [5, 15]), (10, 30, [10, 20]), (0, 31, [10, 20, 30]), (29, 30, [29])],
)
def test_the_steps_of_choices_do_not_depend_on_where_one_starts_asking(warmup, max_steps, expected):
    """At the end of the warm-up, without one after the first epoch (of 10 steps), and every epoch from there."""
    for order in (range(len(expected) + 1), reversed(range(len(expected) + 1))):
        method = methods.L2B(
            linear_student(), max_steps=max_steps, num_examples=12, warmup_steps=warmup, mixture_steps=10
        )
        stages = {done: method.next_stage(done) for done in order}
        assert all(stage.number == done for done, stage in stages.items())
        ends = np.cumsum([stages[done].steps for done in sorted(stages)]).tolist()
        assert ends == [*expected, max_steps]
        assert method.next_stage(len(stages)) is None
        assert len({stage.kind for stage in stages.values()}) == 1  # one compiled step


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"mixture_steps": 0}, "mixture_steps"), ({"mixture_steps": 5, "clean_batch_size": 13}, "a smaller clean batch")],
)
def test_impossible_mixtures_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        methods.L2B(linear_student(), max_steps=1, num_examples=12, **settings)
