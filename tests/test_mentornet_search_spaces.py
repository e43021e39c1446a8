"""Search spaces for R(t) against scalar formulas of S2E's table 1 and eq. 1, and against statistics of their draws."""

import math

import numpy as np
import pytest
from scipy import stats

from mentornet.search import spaces

T = 200
TIMES = np.arange(float(T))


def draws(space, count, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(space.start(), rng) for _ in range(count)]


def table_1(number, t, a1, a2, a3, a4):
    """f_number(t), written down once more for one number t > 0."""
    decay = math.exp(-a2 * t**a1) if number < 3 else 1 / (1 + a2 * t) ** a1
    growth = (t / T) ** a4 if number % 2 else math.log(1 + t**a4) / math.log(1 + T**a4)
    return decay + a3 * growth


def test_paper_space_is_the_mixture_of_table_1():
    space = spaces.get("paper")
    assert (space.dim, space.theta_size, space.unit_dim) == (20, 36, 19)
    for x in draws(space, 20):
        curve = space.curve(x, TIMES, T)
        for t in (1, 7, 50, 199):
            expected = sum(x[i] * table_1(i + 1, t, *x[4 + 4 * i : 8 + 4 * i]) for i in range(4))
            assert curve[t] == pytest.approx(expected, rel=1e-12)


def test_code_space_is_the_released_drop_rate():
    space = spaces.get("code")
    assert (space.dim, space.theta_size) == (12, 24)
    for x in draws(space, 20):
        x = np.array(x)
        v = x * [1, 1, 0.5, 1, 0.5, 2, 0.5, 1, 1, 0.5, 0.5, 2]
        curve = space.curve(x, TIMES, T)
        for t in (1, 7, 50, 199):
            rest = 1 - v[0]
            dropped = v[0] * (1 - math.exp(-v[2] * t ** v[1]))
            dropped += rest * v[7] * (1 - (1 + v[4] * t) ** -v[3])
            dropped += rest * (1 - v[7]) * (1 - math.log(1 + v[8]) / math.log(1 + v[8] + v[9] * t))
            dropped -= v[6] * (t / T) ** v[5] + v[10] * math.log(1 + t ** v[11]) / math.log(1 + T ** v[11])
            assert curve[t] == pytest.approx(1 - dropped, abs=1e-12)
        assert curve[0] == pytest.approx(1)


def test_statistics_of_uniform_draws():
    """Shares of 20,000 draws found with another implementation: 23%, 0.87, 0.70, 22%; 26%, 17%, 0.27."""
    curves = np.array([spaces.get("paper").curve(x, TIMES, T) for x in draws(spaces.get("paper"), 4000)])
    assert (curves.max(1) > 1 + 1e-9).mean() == pytest.approx(0.23, abs=0.03)
    assert curves[:, 1].mean() == pytest.approx(0.87, abs=0.01)
    assert curves[:, -1].mean() == pytest.approx(0.70, abs=0.02)
    assert (curves[:, -1] < 0.5).mean() == pytest.approx(0.22, abs=0.03)
    dropped = 1 - np.array([spaces.get("code").curve(x, TIMES, T) for x in draws(spaces.get("code"), 4000)])
    assert (dropped.min(1) < -1e-9).mean() == pytest.approx(0.26, abs=0.03)
    assert (dropped[:, -1] < 0).mean() == pytest.approx(0.17, abs=0.03)
    assert dropped[:, -1].mean() == pytest.approx(0.27, abs=0.02)


@pytest.mark.parametrize("basis", [1, 2, 3, 4])
def test_each_basis_is_a_decay_from_1_plus_a_growth_from_0(basis):
    space = spaces.get("single", basis=basis)
    for a in draws(space, 50):
        decay = space.curve([a[0], a[1], 0, a[3]], TIMES, T)  # a3 = 0
        growth = space.curve([a[0], 0, a[2], a[3]], TIMES, T) - 1  # a2 = 0
        assert decay[0] == 1
        assert growth[0] == 0
        assert (np.diff(decay) < 0).all()
        assert (np.diff(growth) > 0).all()
        assert space.curve([a[0], 0, a[2], a[3]], [T], T)[0] == pytest.approx(1 + a[2])  # the growth ends at a3
        np.testing.assert_allclose(space.curve(a, TIMES, T), decay + growth)


@pytest.mark.parametrize("name", spaces.names())
def test_schedules_are_clipped_fractions(name):
    space = spaces.get(name)
    assert len(space.names()) == len(set(space.names())) == space.dim
    assert len(space.unit_names()) == len(set(space.unit_names())) == space.unit_dim
    for x in draws(space, 200):
        kept = space.schedule(x, 60)
        assert kept.shape == (60,)
        assert kept.dtype == np.float64
        assert kept.min() >= 0.01
        assert kept.max() <= 1
        np.testing.assert_array_equal(kept, np.minimum(np.maximum(space.curve(x, np.arange(60), 60), 0.01), 1))
        assert list(space.describe(x)) == list(space.names())


@pytest.mark.parametrize("name", ["paper", "code", "co_teaching", "single"])
def test_all_begin_with_the_whole_batch_even_at_the_corners(name):
    """With a1 = 0 or a4 = 0 the formulas hold 0 ** 0, with t_k = 0 or x8 = x9 = 0 they hold 0 / 0."""
    space = spaces.get(name)
    rng = np.random.default_rng(0)
    corners = [space.from_unit(rng.integers(0, 2, space.unit_dim)) for _ in range(300)]
    with np.errstate(all="raise"):
        kept = np.array([space.schedule(x, T) for x in corners])
    assert np.isfinite(kept).all()
    np.testing.assert_allclose(kept[:, 0], 1, atol=1e-12)


@pytest.mark.parametrize("name", spaces.names())
def test_a_short_training_can_have_the_shape_of_a_long_one(name):
    space = spaces.get(name)
    for x in draws(space, 5):
        long = space.schedule(x, 200)
        np.testing.assert_allclose(space.schedule(x, 50, horizon=200), long[::4], atol=1e-12)
        np.testing.assert_array_equal(space.schedule(x, 200, horizon=200), long)


def test_co_teaching_is_eq_1():
    space = spaces.get("co_teaching")
    for third, c in ((0.1, 0.5), (0.5, 1.0), (0.9, 2.0), (1.0, 2.0)):
        expected = [1 - 0.45 * min((t / 10) ** c, 1) for t in range(T)]
        np.testing.assert_allclose(space.schedule([0.45, 0.05, third], T), expected)
    free = spaces.get("co_teaching", variant="code")
    np.testing.assert_allclose(free.schedule([0.45, 0.05, 0.65], T)[3], 1 - 0.45 * 0.3**1.3)
    assert free.describe([0.45, 0.05, 0.65]) == pytest.approx({"tau": 0.45, "t_k/T": 0.05, "c": 1.3})


def test_single_space_finds_its_basis_in_the_first_number():
    space = spaces.get("single")
    a = [0.3, 0.2, 0.6, 0.7]
    for first, number in ((0.0, 1), (0.24, 1), (0.26, 2), (0.5, 3), (0.99, 4), (1.0, 4)):
        assert space.curve([first, *a], [50], T)[0] == pytest.approx(table_1(number, 50, *a))


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize(("variant", "units", "dim"), [("paper", 4, 13), ("code", 6, 18)])
def test_rbf_is_a_network_of_gaussians(variant, units, dim):
    space = spaces.get("rbf", variant=variant)
    assert space.dim == dim
    for x in draws(space, 10):
        centres, widths, weights = x[:units], 0.5 * x[units : 2 * units], x[2 * units : 3 * units]
        if variant == "paper":
            weights, bias = 2.0 * stats.norm.ppf(weights), 2.0 * stats.norm.ppf(x[-1])
        for t in (0, 60, 199):
            gauss = [math.exp(-((t / T - c) ** 2) / (2 * h * h)) for c, h in zip(centres, widths, strict=True)]
            total = sum(w * g for w, g in zip(weights, gauss, strict=True))
            expected = sigmoid(total + bias) if variant == "paper" else 1 - min(total, 1)
            assert space.curve(x, [t], T)[0] == pytest.approx(expected, abs=1e-9)


def test_mlp_has_relu_units_in_the_paper_and_linear_ones_in_the_code():
    paper, code = spaces.get("mlp"), spaces.get("mlp", variant="code")
    assert (paper.dim, code.dim) == (13, 30)
    for x in draws(paper, 10):
        z = 1.5 * stats.norm.ppf(x)
        for t in (0, 60, 199):
            total = sum(z[8 + i] * max(z[i] * t / T + z[4 + i], 0) for i in range(4)) + z[12]
            assert paper.curve(x, [t], T)[0] == pytest.approx(sigmoid(total), abs=1e-9)
    for x in draws(code, 10):
        logits = np.log(1 / code.curve(x, TIMES, T) - 1)  # of the drop rate: a straight line
        z = stats.norm.ppf(x)
        np.testing.assert_allclose(logits, TIMES / T * (z[:10] @ z[20:]) + z[10:20] @ z[20:], atol=1e-7)


def test_titles_tell_spaces_apart():
    assert spaces.get("single", basis=1).title != spaces.get("single", basis=2).title
    assert spaces.get("rbf").title == spaces.get("rbf", variant="paper").title


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spaces.get("spline"), "unknown search space 'spline': use one of paper, code"),
        (lambda: spaces.get("paper", basis=1), "no option basis: it has no options"),
        (lambda: spaces.get("single", basis=5), "bases 1, 2, 3 and 4"),
        (lambda: spaces.get("rbf", variant="released"), "use one of paper, code"),
        (lambda: spaces.get("mlp", units=0), "1 or more"),
        (lambda: spaces.get("mlp", scale=0.0), "above 0"),
        (lambda: spaces.get("co_teaching").schedule([0.5] * 3, 0), "at least one epoch"),
        (lambda: spaces.get("co_teaching").schedule([0.5] * 3, 5, horizon=0), "horizon=0"),
        (lambda: spaces.get("co_teaching").schedule([0.5] * 3, 5, least=2), "least=2"),
        (lambda: spaces.get("co_teaching").schedule([0.5] * 4, 5), r"x has shape \[4\]"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
