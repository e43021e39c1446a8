"""SPADE against an independent NumPy computation of whole steps of a linear student (spec sec. 3)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import curricula, methods
from tests.spade_oracles import BATCH, CLASSES, assert_whole_steps_agree, linear_student, make_batch, run


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    ("curriculum", "weigh"),
    [
        ("self_paced", lambda loss, d, x: (d <= 0).astype(float)),
        ("focal_loss:gamma=2", lambda loss, d, x: (1 - np.exp(-loss)) ** 2),
        ("spcl_linear:gamma=0.5", lambda loss, d, x: np.clip(1 - d / 0.5, 0, 1)),
        ("none", lambda loss, d, x: np.ones_like(d)),
    ],
)
def test_three_whole_steps_agree_with_numpy(curriculum, weigh, jit_compile):
    assert_whole_steps_agree(curriculum, weigh, jit_compile=jit_compile)


def test_weights_carry_no_gradient():
    """Focal weights depend on the loss; if they were differentiated, the kernel would move differently."""
    student = linear_student()
    before = student.trainable_variables[0].numpy().astype(np.float64)
    spade = methods.Spade(student, "focal_loss:gamma=1", max_steps=10, burn_in_epoch=0, example_dropout_rates=0.0)
    batch = make_batch()
    x = batch["image"].reshape(BATCH, -1)
    logits = x @ before
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    onehot = np.eye(CLASSES)[batch["label"]]
    v = 1 - (p * onehot).sum(axis=1)
    expected = before - 0.1 * x.T @ (v[:, None] * (p - onehot)) / BATCH
    run(spade, batch)
    np.testing.assert_allclose(student.trainable_variables[0].numpy(), expected, atol=1e-6)


def test_explicit_mode_takes_one_projected_gradient_step_on_the_samples_own_v():
    spade = methods.Spade(
        linear_student(),
        "spcl_linear:gamma=0.5",
        max_steps=10,
        num_examples=BATCH,
        burn_in_epoch=0,
        example_dropout_rates=0.0,
        loss_percentile=0.5,
        loss_moving_average_decay=0.0,
        explicit=True,
        weight_step_size=0.4,
    )
    losses, index = np.array([0.1, 2.0, 0.9], np.float32), np.array([5, 0, 7], np.int32)
    weights = np.ones(BATCH)
    for _ in range(2):
        found = spade.weigh(tf.constant(losses), tf.zeros([3], tf.int32), tf.constant(index))
        # dF/dv = l + gamma v - (l_pt + gamma), l_pt the batch's median as decay is 0.
        weights[index] = np.clip(weights[index] - 0.4 * (losses + 0.5 * weights[index] - (0.9 + 0.5)), 0, 1)
        np.testing.assert_allclose(found.weights.numpy(), weights[index], atol=1e-6)
        np.testing.assert_allclose(spade.sample_weights.numpy(), weights, atol=1e-6)


def test_explicit_mode_needs_a_known_g():
    with pytest.raises(ValueError, match="no known G"):
        methods.Spade(linear_student(), "focal_loss", max_steps=10, num_examples=4, explicit=True)


class _RecordEpoch(curricula.Curriculum):
    name = "epoch"

    def __call__(self, loss, difference, label, epoch):
        return tf.zeros_like(loss) + tf.cast(epoch, tf.float32) / 100.0


@pytest.mark.parametrize(
    ("step", "fixed", "mode", "expected"),
    [
        (10, False, "bernoulli", {0.0, 1.0}),  # burning in: drawn with the drop rate 1/2
        (50, False, "bernoulli", {0.5}),
        (50, True, "bernoulli", {0.2}),  # min(50, 20)
        (18, False, "ones", {1.0}),  # 18 < 20 - 1: raised to 1
        (19, False, "ones", {0.19}),
    ],
)
def test_burn_in_and_fixed_epoch(step, fixed, mode, expected):
    rates = "0.5,20,0,80" if mode == "bernoulli" else 0.0
    spade = methods.Spade(
        linear_student(),
        _RecordEpoch(),
        max_steps=100,
        burn_in_epoch=20,
        burn_in_mode=mode,
        fixed_epoch_after_burn_in=fixed,
        example_dropout_rates=rates,
    )
    spade.step.assign(step)
    weights = spade.weigh(tf.ones([64]), tf.zeros([64], tf.int32), tf.range(64)).weights.numpy()
    assert {round(float(v), 5) for v in np.unique(weights)} == expected


def test_example_dropout_follows_its_table():
    spade = methods.Spade(
        linear_student(), "none", max_steps=100, burn_in_epoch=0, example_dropout_rates="0.5,17,0.05,83"
    )
    kept = []
    for step in (16, 17):
        spade.step.assign(step)
        kept.append(np.count_nonzero(spade.weigh(tf.ones([128]), tf.zeros([128], tf.int32), tf.range(128)).weights))
    assert kept == [64, 121]


def test_history_curriculum_sees_the_past_losses_of_each_sample():
    curriculum = curricula.get("prediction_variance")
    spade = methods.Spade(
        linear_student(), curriculum, max_steps=100, num_examples=3, burn_in_epoch=0, example_dropout_rates=0.0
    )
    series = np.random.default_rng(0).gamma(1.0, size=(12, 2)).astype(np.float32)
    for losses in series:
        found = spade.weigh(tf.constant(losses), tf.zeros([2], tf.int32), tf.constant([2, 0])).weights.numpy()
    p = np.exp(-series[-10:].astype(np.float64))
    variance = p.var(axis=0)
    np.testing.assert_allclose(found, np.clip(2 * np.sqrt(variance + variance**2 / 9), 0, 1), atol=1e-5)


def test_mean_weights_are_recorded_in_the_last_tenth_only():
    batch = make_batch()
    spade = methods.Spade(linear_student(), "none", max_steps=10, num_examples=BATCH, burn_in_epoch=0)
    run(spade, *[batch] * 9)
    assert np.count_nonzero(spade.weight_visits) == 0
    run(spade, batch)
    assert np.all(spade.weight_visits.numpy() == 1)


@pytest.mark.parametrize(
    ("epochs", "steps", "first"), [(5, 50, 40), (5.4, 54, 40), (30, 300, 270), (0.5, 5, 0), (1.9, 19, 0)]
)
def test_short_trainings_record_weights_from_their_last_whole_epoch_on(epochs, steps, first):
    """n is ten batches: 5 epochs are 50 steps, of which the last tenth would be 5."""
    spade = methods.Spade(linear_student(), "none", max_steps=steps, num_examples=10 * BATCH, burn_in_epoch=0)
    batch = make_batch()
    for step in range(steps):
        spade.step.assign(step)
        before = np.sum(spade.weight_visits)
        if step in (0, first - 1, first, steps - 1):
            run(spade, batch)
            assert np.sum(spade.weight_visits) - before == (BATCH if step >= first else 0), step
    assert epochs == steps / 10


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"loss_moving_average_decay": 1.0}, "loss_moving_average_decay"),
        ({"burn_in_epoch": 101}, "burn_in_epoch"),
        ({"percentile_method": "upper"}, "percentile_method"),
        ({"example_dropout_rates": "0.5,50"}, "sum to 50"),
        ({"curriculum": "nonsense"}, "unknown curriculum"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"max_steps": 0}, "at least one step"),
    ],
)
def test_wrong_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        methods.Spade(linear_student(), **{"max_steps": 10, **settings})


def test_a_student_that_ends_in_a_softmax_is_refused():
    inputs = keras.Input((2,))
    student = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    with pytest.raises(ValueError, match="softmax"):
        methods.Standard(student, max_steps=1)


def test_plain_training_is_spade_with_all_weights_one():
    batches = [make_batch(seed) for seed in range(3)]
    plain, weighted = linear_student(), linear_student()
    run(methods.Standard(plain, max_steps=3, weight_decay=0.1), *batches)
    run(
        methods.Spade(weighted, "none", max_steps=3, weight_decay=0.1, burn_in_epoch=0, example_dropout_rates=0.0),
        *batches,
    )
    for a, b in zip(plain.variables, weighted.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


def test_the_first_step_with_a_bad_loss_is_remembered():
    good, bad = make_batch(), make_batch()
    bad["image"] = np.full_like(bad["image"], np.nan)
    spade = methods.Spade(linear_student(), "none", max_steps=10)
    run(spade, good, good, bad, good)
    assert int(spade.first_bad_step) == 2
