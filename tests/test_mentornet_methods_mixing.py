"""Guesses, sharpening, mixing and the semi-supervised losses, against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mentornet.methods import mixing


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logits_of(rows: int, classes: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, classes)).astype(np.float32)


def test_sharpening_squares_at_one_half_and_changes_nothing_at_one():
    p = np.array([[0.6, 0.4], [1.0, 0.0], [0.5, 0.5]], np.float32)
    np.testing.assert_allclose(mixing.sharpened(p, 0.5)[0], [0.36 / 0.52, 0.16 / 0.52], rtol=1e-6)
    np.testing.assert_allclose(mixing.sharpened(p, 1.0), p, rtol=1e-6)
    many = softmax(logits_of(50, 7, 0))
    for temperature in (0.01, 0.5, 3.0):
        sharp = mixing.sharpened(many, temperature).numpy()
        np.testing.assert_allclose(sharp.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(sharp.argmax(axis=1), many.argmax(axis=1))


def test_sharpening_survives_what_underflows():
    """At T = 0.01 each of 1,000 probabilities is raised to the 100th power, which float32 can't hold."""
    sharp = mixing.sharpened(np.full((1, 1000), 1e-3, np.float32), 0.01).numpy()
    np.testing.assert_allclose(sharp, 1e-3, rtol=1e-4)


def test_guesses_are_means_and_refined_labels_go_from_the_given_one_to_the_guess():
    z = [logits_of(3, 4, seed) for seed in (1, 2, 3)]
    guessed = mixing.guess(z)
    np.testing.assert_allclose(guessed, np.mean([softmax(each) for each in z], axis=0), rtol=1e-5)
    found = mixing.refined(tf.constant([2, 0, 1]), tf.constant([1.0, 0.0, 0.25]), guessed).numpy()
    np.testing.assert_array_equal(found[0], np.eye(4)[2])
    np.testing.assert_allclose(found[1], guessed[1])
    np.testing.assert_allclose(found[2], 0.25 * np.eye(4)[1] + 0.75 * guessed[2].numpy(), rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 4.0])
def test_mixing_weights_are_the_larger_part_of_a_beta_variable(alpha):
    drawn = np.array(tf.map_fn(lambda t: mixing.mixing_weight(alpha, 3, t), tf.range(3000), tf.float32))
    assert drawn.min() >= 0.5
    assert drawn.max() <= 1.0
    beta = stats.beta(alpha, alpha)
    folded = stats.kstest(drawn, lambda x: np.where(x < 0.5, 0.0, 2 * beta.cdf(x) - 1))
    assert folded.pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.1
    assert mixing.mixing_weight(alpha, 3, tf.constant(5)).numpy() == drawn[5]
    assert mixing.mixing_weight(alpha, 4, tf.constant(5)).numpy() != drawn[5]


def test_permutations_are_functions_of_seed_and_step():
    first, again, later = (mixing.permutation(20, 1, tf.constant(t)).numpy() for t in (7, 7, 8))
    np.testing.assert_array_equal(np.sort(first), np.arange(20))
    np.testing.assert_array_equal(first, again)
    assert (first != later).any()


def test_mixed_targets_are_distributions_and_the_identity_mixes_nothing():
    images, targets = logits_of(8, 5, 0), softmax(logits_of(8, 3, 1))
    order = np.array([3, 1, 0, 2, 7, 6, 5, 4])
    x, y = mixing.mixed_batch(tf.constant(images), tf.constant(targets), tf.constant(0.75), tf.constant(order), 2)
    np.testing.assert_allclose(x, 0.75 * images + 0.25 * images[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y.numpy().sum(axis=1), 1, rtol=1e-5)
    x, y = mixing.mixed_batch(tf.constant(images), tf.constant(targets), tf.constant(0.6), tf.range(8), 5)
    np.testing.assert_allclose(x, images, rtol=1e-6)
    np.testing.assert_allclose(y, targets, rtol=1e-6)


def test_rows_of_a_sample_stand_together():
    """Replicas' rows joined are those of the whole batch."""
    first, second = np.arange(3), np.arange(3) + 10
    whole = mixing.sample_rows([first, second]).numpy()
    np.testing.assert_array_equal(whole, [0, 10, 1, 11, 2, 12])
    halves = [mixing.sample_rows([first[part], second[part]]) for part in (slice(0, 1), slice(1, 3))]
    np.testing.assert_array_equal(np.concatenate(halves), whole)


def test_semi_supervised_loss_against_numpy():
    z, targets, strength = logits_of(12, 3, 0), softmax(logits_of(12, 3, 1)), 7.0
    p = softmax(z.astype(np.float64))
    of_labelled = np.arange(12) < 4
    supervised = -(targets * np.log(p)).sum(axis=1)[of_labelled].mean()
    guessed = ((p - targets) ** 2)[~of_labelled].sum() / (8 * 3)
    mean = p.mean(axis=0)
    penalty = (np.log(1 / 3 / mean) / 3).sum()
    found = mixing.semi_supervised(tf.constant(targets), tf.constant(z), strength, 4).numpy()
    assert found == pytest.approx(supervised + strength * guessed + penalty, rel=1e-5)
    labelled_alone = mixing.semi_supervised(tf.constant(targets), tf.constant(z), strength, 12).numpy()
    supervised = -(targets * np.log(p)).sum(axis=1).mean()
    assert labelled_alone == pytest.approx(supervised + penalty, rel=1e-5)


def test_the_penalty_is_zero_for_uniform_means_only():
    assert mixing.imbalance(tf.constant([0.25] * 4)).numpy() == pytest.approx(0, abs=1e-7)
    assert mixing.imbalance(tf.constant([0.3, 0.25, 0.25, 0.2])).numpy() > 0.005
    assert np.isfinite(mixing.imbalance(tf.constant([1.0, 0.0])).numpy())


def test_descending_on_negative_entropy_raises_the_entropy():
    z = tf.Variable(logits_of(1, 4, 2))
    with tf.GradientTape() as tape:
        before = mixing.negative_entropies(z)
    p = softmax(z.numpy().astype(np.float64))
    assert before.numpy() == pytest.approx((p * np.log(p)).sum(), rel=1e-5)
    z.assign_sub(0.1 * tape.gradient(before, z))
    assert mixing.negative_entropies(z).numpy() < before.numpy()


def test_ramp():
    assert [float(mixing.ramp(tf.constant(e), 10)) for e in (0.0, 10.0, 18.0, 26.0, 300.0)] == [0, 0, 0.5, 1, 1]
