"""mentornet/features.py against NumPy and hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import features


@pytest.mark.parametrize(
    ("step", "max_steps", "percent"),
    [(0, 39000, 0), (389, 39000, 0), (390, 39000, 1), (38999, 39000, 99), (39000, 39000, 99), (2, 3, 66)],
)
def test_epoch_percent(step, max_steps, percent):
    assert int(features.epoch_percent(tf.constant(step, tf.int64), max_steps)) == percent


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5, 0.75, 0.9, 1.0])
@pytest.mark.parametrize("size", [1, 2, 7, 128])
def test_linear_percentile_is_numpys(fraction, size):
    losses = np.random.default_rng(size).gamma(2.0, size=size).astype(np.float32)
    expected = np.percentile(losses.astype(np.float64), 100 * fraction)
    assert float(features.percentile(tf.constant(losses), fraction)) == pytest.approx(expected, rel=1e-5)


def test_nearest_percentile_takes_a_sample_counted_from_the_top():
    # (b - 1)(1 - p) = 3 * 0.25 = 0.75 -> rank 1 from the top; 3 * 0.5 = 1.5 -> 2 (halves to even); 3 * 0.3 -> 1.
    losses = tf.constant([4.0, 1.0, 8.0, 2.0])
    found = [float(features.percentile(losses, p, "nearest")) for p in (0.75, 0.5, 0.7, 0.0, 1.0)]
    assert found == [4.0, 2.0, 4.0, 1.0, 8.0]


def test_unknown_percentile_method_is_refused():
    with pytest.raises(ValueError, match="linear, nearest"):
        features.percentile(tf.constant([1.0]), 0.5, "lower")


def test_moving_percentile_starts_at_zero_and_decays():
    losses = tf.constant([1.0, 2.0, 3.0])
    first = features.moving_percentile(tf.constant(0.0), losses, 0.5, 0.95)
    second = features.moving_percentile(first, losses, 0.5, 0.95)
    assert float(first) == pytest.approx(0.1)
    assert float(second) == pytest.approx(0.95 * 0.1 + 0.05 * 2.0)


def test_per_epoch_table_reads_the_release_format():
    table = features.per_epoch_table("0.5,17,0.05,78,1.0,5", "rates")
    assert len(table) == 100
    assert (table[16], table[17], table[94], table[95], table[99]) == (0.5, 0.05, 0.05, 1.0, 1.0)
    assert features.per_epoch_table("0.7", "p") == (0.7,) * 100
    assert features.per_epoch_table(0.25, "p") == (0.25,) * 100


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("0.5,17,0.05,82", "sum to 99, they must sum to 100"),
        ("0.5,a", "numbers separated by commas"),
        ("0.5,17.5,0.1,82.5", "whole numbers"),
        ("1.5,50,0.5,50", r"lie in \[0, 1\]"),
        ("0.5,50,0.5", "pairs"),
    ],
)
def test_per_epoch_table_refuses(spec, complaint):
    with pytest.raises(ValueError, match=complaint):
        features.per_epoch_table(spec, "rates")


@pytest.mark.parametrize("mode", features.DROPOUT_MODES)
@pytest.mark.parametrize(("size", "rate", "kept"), [(128, 0.05, 121), (100, 0.9, 10), (10, 0.0, 10), (7, 1.0, 0)])
def test_example_dropout_keeps_exactly_the_floor(mode, size, rate, kept):
    weights = tf.random.stateless_uniform([size], [1, 2], minval=0.1)
    for step in range(20):
        seed = features.random_seed(3, "example_dropout", tf.constant(step))
        dropped = features.example_dropout(weights, rate, seed, mode).numpy()
        assert np.count_nonzero(dropped) == kept
        assert set(dropped[dropped > 0]) <= set(weights.numpy())


def test_uniform_dropout_keeps_every_position_equally_often():
    draws = 4000
    seeds = [features.random_seed(0, "example_dropout", tf.constant(step)) for step in range(draws)]
    drop = tf.function(lambda seed: features.example_dropout(tf.ones([8]), 0.5, seed))
    counts = np.sum([drop(seed).numpy() for seed in seeds], axis=0)
    # Binomial(4000, 1/2): standard deviation 31.6; five of them.
    assert np.all(np.abs(counts - draws / 2) < 5 * np.sqrt(draws / 4))


def test_proportional_dropout_favours_large_weights_as_successive_sampling_does():
    # Two of three kept without replacement, weights 1, 2, 5: the chance that sample 0 is kept, by enumeration.
    weights = np.array([0.125, 0.25, 0.625], np.float32)
    w = weights.astype(float)
    first = w / w.sum()
    chance = first[0] + sum(first[k] * w[0] / (w.sum() - w[k]) for k in (1, 2))
    draws = 4000
    drop = tf.function(lambda seed: features.example_dropout(tf.constant(weights), 1 / 3, seed, "proportional"))
    kept = sum(
        float(drop(features.random_seed(0, "example_dropout", tf.constant(step)))[0] > 0) for step in range(draws)
    )
    assert kept / draws == pytest.approx(chance, abs=5 * np.sqrt(chance * (1 - chance) / draws))


def test_bernoulli_weights_keep_with_one_minus_the_rate():
    seed = features.random_seed(1, "burn_in", tf.constant(7))
    weights = features.bernoulli_weights(20_000, tf.constant(0.3), seed).numpy()
    assert set(weights) == {0.0, 1.0}
    assert weights.mean() == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / 20_000))


def test_random_seeds_differ_by_seed_purpose_and_step():
    seeds = {
        tuple(features.random_seed(seed, purpose, tf.constant(step)).numpy())
        for seed in (0, 1)
        for purpose in ("burn_in", "example_dropout")
        for step in range(5)
    }
    assert len(seeds) == 20
