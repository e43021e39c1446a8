"""Noise generators against exact counts, literal transition matrices and binomial bounds."""

import numpy as np
import pytest

from data import noise

N = 20_000
# A count of Binomial(N, q) leaves +-5 standard deviations with probability below 1e-6; seeds are fixed anyway.
SIGMAS = 5.0


def balanced(num_classes, n=N):
    return np.arange(n, dtype=np.int32) % num_classes


def transitions(clean, given, num_classes):
    """Row-normalised count matrix [clean, given], counted one by one."""
    counts = np.zeros((num_classes, num_classes))
    for c, g in zip(clean, given, strict=True):
        counts[c, g] += 1
    return counts / counts.sum(1, keepdims=True)


def assert_matrix(actual, expected, rows):
    """Every entry within SIGMAS binomial standard deviations; entries expected to be 0 or 1 exactly so."""
    expected = np.asarray(expected)
    bound = SIGMAS * np.sqrt(expected * (1 - expected) / rows)
    assert (np.abs(actual - expected) <= bound + 1e-12).all(), np.abs(actual - expected).max()


def test_uniform_replaces_independently_by_any_class():
    clean = balanced(5)
    given = noise.uniform(clean, 0.4, 5, seed=3)
    assert given.dtype == np.int32
    expected = np.full((5, 5), 0.08) + 0.6 * np.eye(5)  # 0.4 / 5 everywhere, 0.6 more for the own class
    assert_matrix(transitions(clean, given, 5), expected, N / 5)
    assert noise.actual_rate(given, clean) == pytest.approx(0.32, abs=SIGMAS * np.sqrt(0.32 * 0.68 / N))


def test_uniform_count_is_random_and_symmetric_count_is_not():
    clean = balanced(10, 1001)
    uniform = {int((noise.uniform(clean, 0.4, 10, seed=s) != clean).sum()) for s in range(20)}
    symmetric = {int((noise.symmetric(clean, 0.4, 10, seed=s) != clean).sum()) for s in range(20)}
    assert len(uniform) > 5
    assert symmetric == {400}  # round(0.4 * 1001)


def test_uniform_at_a_larger_fraction_contains_the_smaller_one():
    clean = balanced(10)
    small, large = (noise.uniform(clean, p, 10, seed=1) for p in (0.2, 0.8))
    changed = small != clean
    np.testing.assert_array_equal(small[changed], large[changed])


def test_uniform_author_never_targets_the_last_class():
    clean = balanced(10)
    given = noise.uniform(clean, 0.4, 10, seed=0, variant="author")
    assert not ((given == 9) & (clean != 9)).any()
    # The effective rate that l2rw's released generator has at 40%: 0.4 * (1 - 0.9 * 1/9) = 0.36.
    assert noise.actual_rate(given, clean) == pytest.approx(0.36, abs=0.015)
    # Every chosen image of the last class really changes; exactly int(p n) images are chosen.
    only_last = np.full(1003, 9)
    assert (noise.uniform(only_last, 0.4, 10, seed=0, variant="author") != 9).sum() == 401  # int(401.2)


def test_symmetric_is_exact_and_never_draws_the_own_class():
    clean = balanced(5)
    given = noise.symmetric(clean, 0.4, 5, seed=8)
    assert (given != clean).sum() == 8000
    matrix = transitions(clean, given, 5)
    assert_matrix(matrix, np.full((5, 5), 0.1) + 0.5 * np.eye(5), N / 5)
    assert (noise.symmetric(clean, 1.0, 5, seed=8) != clean).all()


def test_pair_has_the_co_teaching_matrix():
    clean = balanced(4)
    given = noise.pair(clean, 0.45, 4, seed=2)
    expected = [[0.55, 0.45, 0, 0], [0, 0.55, 0.45, 0], [0, 0, 0.55, 0.45], [0.45, 0, 0, 0.55]]
    assert_matrix(transitions(clean, given, 4), expected, N / 4)


def test_background_gives_an_exact_share_one_class():
    clean = balanced(10)
    given = noise.background(clean, 0.4, 10, seed=5, background_class=7)
    assert set(given[given != clean]) == {7}
    # Share of the background class: 0.4 + 0.6 / 10.
    assert (given == 7).mean() == pytest.approx(0.46, abs=0.01)
    none_of_it = np.zeros(999, np.int32)
    assert (noise.background(none_of_it, 0.4, 10, seed=5, background_class=7) == 7).sum() == 399  # int(399.6)


def test_background_class_is_drawn_from_the_seed():
    clean = np.zeros(10, np.int32)

    def drawn(variant):
        return {int(noise.background(clean, 1.0, 3, seed=s, variant=variant)[0]) for s in range(40)}

    assert drawn("paper") == {0, 1, 2}
    assert drawn("author") == {0, 1}


@pytest.mark.parametrize(
    ("name", "confusions"),
    [("cifar10", [(9, 1), (2, 0), (4, 7), (3, 5), (5, 3)]), ("mnist", [(7, 1), (2, 7), (5, 6), (6, 5), (3, 8)])],
)
def test_asymmetric_noise_confuses_look_alikes(name, confusions):
    clean = balanced(10)
    given = noise.asymmetric(clean, 0.4, 10, seed=4, dataset_name=name)
    expected = np.eye(10)
    for source, target in confusions:
        expected[source, source], expected[source, target] = 0.6, 0.4
    assert_matrix(transitions(clean, given, 10), expected, N / 10)


def test_asymmetric_cifar100_stays_in_the_superclass():
    clean = np.arange(100)
    given = noise.asymmetric(clean, 1.0, 100, seed=0, dataset_name="cifar100")
    # aquatic mammals are beaver 4, dolphin 30, otter 55, seal 72, whale 95; the last goes back to the first.
    assert [int(given[c]) for c in (4, 30, 55, 72, 95)] == [30, 55, 72, 95, 4]
    assert sorted(given) == list(range(100))
    assert (given != clean).all()


def test_asymmetric_elsewhere_takes_the_next_class():
    assert list(noise.asymmetric([0, 1, 2], 1.0, 3, seed=0, dataset_name="digits")) == [1, 2, 0]


@pytest.mark.parametrize("noise_type", noise.NOISE_TYPES)
def test_every_type_is_seeded_and_leaves_its_input_alone(noise_type):
    clean = balanced(10, 2000)
    before = clean.copy()
    first, again, other = (noise.inject(noise_type, clean, 0.4, 10, seed=s) for s in (7, 7, 8))
    np.testing.assert_array_equal(clean, before)
    np.testing.assert_array_equal(first, again)
    assert not np.shares_memory(first, clean)
    assert first.dtype == np.int32
    assert first.shape == clean.shape
    if noise_type == "none":
        np.testing.assert_array_equal(first, clean)
    else:
        assert (first != other).any()
        assert (first != clean).any()
    np.testing.assert_array_equal(noise.inject(noise_type, clean, 0.0, 10, seed=7), clean)


@pytest.mark.parametrize("fraction", [-0.1, 1.5, float("nan")])
def test_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match=r"noise fraction is .*\[0, 1\]"):
        noise.uniform([0, 1], fraction, 2, seed=0)


@pytest.mark.parametrize(
    ("labels", "num_classes", "message"),
    [
        ([0, 3], 3, "have to be 0 to 2, but these are 0 to 3"),
        ([-1, 0], 3, "have to be 0 to 2, but these are -1 to 0"),
        ([0.5, 1.0], 3, "vector of integers"),
        ([[0], [1]], 3, "vector of integers"),
        ([0, 0], 1, "at least 2 classes"),
    ],
)
def test_bad_labels_are_refused(labels, num_classes, message):
    with pytest.raises(ValueError, match=message):
        noise.symmetric(labels, 0.5, num_classes, seed=0)


def test_options_that_do_not_belong_are_refused():
    with pytest.raises(ValueError, match="'unifrom', but may be none, uniform"):
        noise.inject("unifrom", [0, 1], 0.4, 2, seed=0)
    with pytest.raises(ValueError, match="not for pair"):
        noise.inject("pair", [0, 1], 0.4, 2, seed=0, variant="author")
    with pytest.raises(ValueError, match="not to uniform"):
        noise.inject("uniform", [0, 1], 0.4, 2, seed=0, background_class=1)
    with pytest.raises(ValueError, match="paper or author"):
        noise.uniform([0, 1], 0.4, 2, seed=0, variant="code")
    with pytest.raises(ValueError, match="classes are 0 to 1"):
        noise.background([0, 1], 0.4, 2, seed=0, background_class=2)
    with pytest.raises(ValueError, match="cifar100 has 100 classes"):
        noise.asymmetric([0, 1], 0.4, 10, seed=0, dataset_name="cifar100")
    with pytest.raises(ValueError, match="seed is -1"):
        noise.pair([0, 1], 0.4, 2, seed=-1)


def test_actual_rate_counts_differences():
    assert noise.actual_rate([1, 2, 3, 4], [1, 2, 0, 4]) == 0.25
    with pytest.raises(ValueError, match="clean ones"):
        noise.actual_rate([1, 2], [1])
