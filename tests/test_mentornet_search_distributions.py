"""p_theta of the search against scipy.stats, finite differences, quadrature and closed forms (S2E, section 3.4)."""

import numpy as np
import pytest
from scipy import integrate, stats

from mentornet.search import newton
from mentornet.search.distributions import ProductDistribution

THETA = np.array([1.3, 2.1, 0.8, 3.0, 2.3, 1.7, 1.0, 4.2])  # Dirichlet of 4, then Beta(2.3, 1.7), Beta(1, 4.2)
X = np.array([0.1, 0.35, 0.05, 0.5, 0.62, 0.08])


def log_density(theta, x):
    """The density of 4 numbers that sum to one and 2 others, by scipy.stats alone."""
    of_simplex = stats.dirichlet.logpdf(x[:4], theta[:4])
    return of_simplex + stats.beta.logpdf(x[4], *theta[4:6]) + stats.beta.logpdf(x[5], *theta[6:8])


def numeric_gradient(function, theta, step=1e-5):
    shifts = step * np.eye(len(theta))
    return np.array([(function(theta + s) - function(theta - s)) / (2 * step) for s in shifts])


@pytest.fixture
def mixed():
    return ProductDistribution(simplex=4, betas=2)


def test_log_density_is_that_of_scipy(mixed):
    assert mixed.log_prob(THETA, X) == pytest.approx(log_density(THETA, X), rel=1e-12)
    assert mixed.log_prob(mixed.start(), X) == pytest.approx(np.log(6))  # the volume of the simplex is 1 / 3!
    np.testing.assert_allclose(mixed.log_prob(THETA, [X, X]), [log_density(THETA, X)] * 2)


def test_score_is_the_gradient_of_the_log_density(mixed):
    expected = numeric_gradient(lambda theta: log_density(theta, X), THETA)
    np.testing.assert_allclose(mixed.score(THETA, X), expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(mixed.score(THETA, [X, X[::1]])[1], mixed.score(THETA, X))


def test_hessian_is_that_of_the_log_density(mixed):
    def gradient(theta):
        return numeric_gradient(lambda inner: log_density(inner, X), theta, 1e-4)

    expected = numeric_gradient(gradient, THETA, 1e-4)
    np.testing.assert_allclose(mixed.hessian_log_prob(THETA, X), expected, rtol=1e-5, atol=2e-6)
    np.testing.assert_array_equal(mixed.fisher(THETA), -mixed.hessian_log_prob(THETA, X))


def moments(f, a, b):
    """J and the estimates' expectations for f(x), x from Beta(a, b), by quadrature with SciPy's density."""
    beta = ProductDistribution(simplex=0, betas=1)

    def expectation(function):
        return integrate.quad(lambda x: function(x) * stats.beta.pdf(x, a, b), 0, 1, epsabs=1e-12, epsrel=1e-12)[0]

    def second(x, i, j):
        score = beta.score([a, b], [x])
        return f(x) * (beta.hessian_log_prob([a, b], [x])[i, j] + score[i] * score[j])

    gradient = [expectation(lambda x, i=i: f(x) * beta.score([a, b], [x])[i]) for i in (0, 1)]
    hessian = [[expectation(lambda x, i=i, j=j: second(x, i, j)) for j in (0, 1)] for i in (0, 1)]
    return np.array(gradient), np.array(hessian)


@pytest.mark.parametrize(("a", "b"), [(2.3, 1.7), (1.0, 1.0), (1.5, 6.0)])
def test_proposition_1_for_a_linear_objective(a, b):
    gradient, hessian = moments(lambda x: x, a, b)
    np.testing.assert_allclose(gradient, np.array([b, -a]) / (a + b) ** 2, atol=1e-6)
    expected = np.array([[-2 * b, a - b], [a - b, 2 * a]]) / (a + b) ** 3
    np.testing.assert_allclose(
        hessian, expected, atol=1e-5
    )  # the clipping of x shows where the density does not vanish


def test_proposition_1_for_a_quadratic_objective():
    def closed_form(theta):
        a, b = theta
        return a * (a + 1) / ((a + b) * (a + b + 1))

    gradient, hessian = moments(lambda x: x**2, 2.3, 1.7)
    np.testing.assert_allclose(gradient, numeric_gradient(closed_form, np.array([2.3, 1.7])), atol=1e-8)
    np.testing.assert_allclose(
        hessian, [[-0.0362525, -0.0102525], [-0.0102525, 0.1157475]], atol=1e-6
    )  # by finite differences of the closed form


def test_a_constant_objective_has_no_gradient_and_no_hessian_in_expectation(mixed):
    rng, count = np.random.default_rng(0), 100_000
    betas = [rng.beta(*THETA[i : i + 2], size=count)[:, None] for i in (4, 6)]
    xs = np.concatenate([rng.dirichlet(THETA[:4], count), *betas], axis=1)
    scores = mixed.score(THETA, xs)
    squares = scores[:, :, None] * scores[:, None, :]
    for samples, expected in ((scores, np.zeros(8)), (squares, -mixed.hessian_log_prob(THETA))):
        error = samples.std(0) / np.sqrt(count)
        assert (np.abs(samples.mean(0) - expected) <= 5 * error).all()
    centred = newton.centred(np.full(7, 0.3))
    assert not newton.gradient_estimate(THETA, xs[:7], centred, mixed).any()
    assert not newton.hessian_estimate(THETA, xs[:7], centred, mixed).any()


def test_samples_follow_the_distribution(mixed):
    rng = np.random.default_rng(1)
    xs = np.array([mixed.sample(THETA, rng) for _ in range(4000)])
    assert xs.shape == (4000, 6)
    np.testing.assert_allclose(xs[:, :4].sum(1), 1)
    total = THETA[:4].sum()
    marginals = [(c, total - c) for c in THETA[:4]] + [THETA[4:6], THETA[6:8]]
    for column, (a, b) in zip(xs.T, marginals, strict=True):
        assert stats.kstest(column, stats.beta(a, b).cdf).pvalue > 1e-3
    np.testing.assert_allclose(xs.mean(0), mixed.mean(THETA), atol=0.02)


def test_mode_has_the_highest_density(mixed):
    theta = np.maximum(THETA, 1.1)
    highest = mixed.mode(theta)
    assert highest[:4].sum() == pytest.approx(1)
    rng = np.random.default_rng(2)
    others = np.clip(highest + 0.02 * rng.uniform(-1, 1, (200, 6)), 1e-3, 1)
    others[:, :4] /= others[:, :4].sum(1, keepdims=True)
    best = log_density(theta, highest)
    assert all(log_density(theta, x) < best for x in others)
    np.testing.assert_allclose(mixed.mode(mixed.start()), [0.25] * 4 + [0.5] * 2)
    with pytest.raises(ValueError, match="nowhere below 1"):
        mixed.mode(THETA)


def test_bounds_keep_the_mean(mixed):
    theta = np.array([0.2, 3.0, 4.0, 5.0, 3e6, 1e6, 2.0, 0.5])
    expected = np.array([1.0, 3.0, 4.0, 5.0, 75_000, 25_000, 2.0, 1.0])
    np.testing.assert_allclose(mixed.bounded(theta, 1.0), expected)
    np.testing.assert_allclose(mixed.bounded(1e9 * theta, 1.0).reshape(4, 2).sum(1)[2:], 1e5)
    np.testing.assert_allclose(mixed.mean(mixed.bounded(1e9 * theta, 1.0)), mixed.mean(theta))
    assert np.linalg.eigvalsh(mixed.fisher(mixed.bounded(1e12 * theta, 1.0))).min() > 0


def test_uniform_free_numbers_give_the_uniform_distribution(mixed):
    rng = np.random.default_rng(3)
    u = rng.uniform(size=(4000, 5))
    xs = np.array([mixed.from_unit(row) for row in u])
    np.testing.assert_allclose(xs[:, :4].sum(1), 1)
    for column in xs.T[:4]:
        assert stats.kstest(column, stats.beta(1, 3).cdf).pvalue > 1e-3  # a marginal of Dirichlet(1, 1, 1, 1)
    np.testing.assert_allclose([mixed.to_unit(x) for x in xs], u, atol=1e-9)
    for corner in ([1, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 1], [0, 1, 0, 0, 0.5, 0.5]):
        np.testing.assert_allclose(mixed.from_unit(mixed.to_unit(corner)), corner, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.score(np.ones(7), X), r"theta has shape \[7\]"),
        (lambda d: d.score([0.0] + [1.0] * 7, X), "finite and above 0"),
        (lambda d: d.score(np.ones(8), X[:5]), r"x has shape \[5\]"),
        (lambda d: d.score(np.ones(8), X + 0.6), r"have to lie in \[0, 1\]"),
        (lambda d: d.score(np.ones(8), np.full(6, 0.5)), "have to sum to 1"),
        (lambda d: d.from_unit(np.full(6, 0.5)), r"u has shape \[6\]"),
        (lambda d: d.log_prob(np.ones(8), [np.nan] * 6), r"have to lie in \[0, 1\]"),
        (lambda d: ProductDistribution(1, 3), "2 and more numbers"),
    ],
)
def test_bad_input_is_refused(mixed, call, message):
    with pytest.raises(ValueError, match=message):
        call(mixed)
