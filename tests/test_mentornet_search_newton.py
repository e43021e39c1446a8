"""Steps on theta against closed forms, a replay by hand and an analytic objective (S2E, section 3.4).

The analytic objective is f(x) = sum of (x_k - x*_k)^2 over four Betas, x* = (0.7, 0.2, 0.5, 0.9), 0.29 at the start.
Its numbers were found with another implementation, of the method and of the released code's arithmetic.
"""

import numpy as np
import pytest
from scipy import special

from mentornet.search import newton, spaces
from mentornet.search.distributions import ProductDistribution

GOAL = np.array([0.7, 0.2, 0.5, 0.9])
BETAS = ProductDistribution(simplex=0, betas=4)
ONE = ProductDistribution(simplex=0, betas=1)


def search(samples, iterations, settings, seed, scale=1.0):
    """f at the mean of p_theta after a search for GOAL."""
    theta, rng = BETAS.start(), np.random.default_rng(seed)
    for _ in range(iterations):
        xs = rng.beta(theta[::2], theta[1::2], size=(samples, 4))
        theta = newton.update(theta, xs, scale * ((xs - GOAL) ** 2).sum(1), BETAS, settings)
        assert theta.min() >= settings.least
    return ((theta[::2] / (theta[::2] + theta[1::2]) - GOAL) ** 2).sum()


def mean_of_seeds(samples, iterations, settings, scale=1.0):
    return np.mean([search(samples, iterations, settings, seed, scale) for seed in range(10)])


@pytest.mark.parametrize(
    ("settings", "of_60", "of_400"),
    [
        (newton.Settings(), 0.033, 0.006),
        (newton.Settings(utilities="ranks"), 0.032, 0.005),
        (newton.Settings(kind="gradient"), 0.098, 0.044),
        (newton.Settings(kind="reference"), 0.61, 1.02),  # away from the optimum
    ],
    ids=["newton", "newton on ranks", "gradient", "reference"],
)
def test_analytic_objective(settings, of_60, of_400):
    assert of_60 / 2 < mean_of_seeds(6, 10, settings) < 2 * of_60
    assert of_400 / 2 < mean_of_seeds(20, 20, settings) < 2 * of_400


def test_with_many_samples_newton_reaches_the_optimum_and_the_reference_leaves_it():
    kinds = [{}, {"utilities": "ranks"}, {"kind": "natural"}, {"kind": "gradient"}, {"kind": "reference"}]
    newton_, ranks, natural, gradient, reference = (
        np.mean([search(500, 30, newton.Settings(**kind), seed) for seed in range(5)]) for kind in kinds
    )
    assert newton_ < 2 * 0.002
    assert ranks < 2 * 0.0004
    assert natural < 2 * 0.002
    assert 0.027 / 2 < gradient < 2 * 0.027
    assert reference > 1.30 / 2


def test_only_values_themselves_depend_on_their_scale():
    """On the scale of error rates every eigenvalue is below eta, and Newton becomes gradient descent."""
    for utilities in ("ranks", "standard"):
        settings = newton.Settings(utilities=utilities)
        assert search(20, 20, settings, 0, scale=0.05) == pytest.approx(search(20, 20, settings, 0), rel=1e-6)
    slow = mean_of_seeds(20, 20, newton.Settings(), scale=0.05)
    assert slow > 3 * mean_of_seeds(20, 20, newton.Settings())
    same = newton.Settings(kind="gradient", rate=1 / newton.PAPER.lowest)
    assert slow == pytest.approx(mean_of_seeds(20, 20, same, scale=0.05), rel=0.05)


def test_estimates_are_unbiased_although_the_mean_comes_from_the_same_samples():
    """f(x) = x under Beta(a, b): gradient (b, -a) / (a + b)^2, Hessian as below, both in closed form."""
    a, b, samples, rounds = 2.3, 1.7, 3, 10_000
    xs = np.random.default_rng(0).beta(a, b, size=(rounds, samples, 1))
    weights = xs[..., 0] - xs[..., 0].mean(1, keepdims=True)
    gradients = [newton.gradient_estimate([a, b], x, w, ONE) for x, w in zip(xs, weights, strict=True)]
    hessians = [newton.hessian_estimate([a, b], x, w, ONE) for x, w in zip(xs, weights, strict=True)]
    expected = np.array([[-2 * b, a - b], [a - b, 2 * a]]) / (a + b) ** 3
    for found, closed_form in ((gradients, np.array([b, -a]) / (a + b) ** 2), (hessians, expected)):
        error = np.std(found, axis=0) / np.sqrt(rounds)
        assert (np.abs(np.mean(found, axis=0) - closed_form) < 5 * error).all()
        assert (error < 0.05 * np.abs(closed_form).max()).all()  # a factor (K - 1) / K would be seen


@pytest.mark.parametrize("eigenvalues", ["absolute", "clip"])
def test_the_matrix_in_the_hessians_place_is_positive_definite(eigenvalues):
    settings = newton.Settings(lowest=0.3, highest=2.0, eigenvalues=eigenvalues)
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    given = np.array([-4.0, -1.0, -0.1, 0.2, 1.5])
    found, vectors = newton.positive(basis @ np.diag(given) @ basis.T, settings)
    matrix = vectors @ np.diag(found) @ vectors.T
    expected = [2, 1, 0.3, 0.3, 1.5] if eigenvalues == "absolute" else [0.3, 0.3, 0.3, 0.3, 1.5]
    np.testing.assert_allclose(matrix, basis @ np.diag(expected) @ basis.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() >= 0.3 - 1e-12
    assert np.linalg.eigvalsh(matrix).max() <= 2 + 1e-12


def by_hand(a, b, xs, values):
    """(gradient, Hessian, Fisher matrix) for one Beta, written down from section 3.4."""
    psi, psi1 = special.digamma, lambda z: special.polygamma(1, z)
    shift = psi(a + b) - np.array([psi(a), psi(b)])
    second = psi1(a + b) - np.diag([psi1(a), psi1(b)])
    gradient, hessian = np.zeros(2), np.zeros((2, 2))
    for x, value in zip(xs, values, strict=True):
        score = np.log([x, 1 - x]) + shift
        gradient += (value - np.mean(values)) * score / (len(xs) - 1)
        hessian += (value - np.mean(values)) * (np.outer(score, score) + second) / (len(xs) - 1)
    return gradient, hessian, -second


def test_directions_are_those_of_the_definitions():
    a, b, xs, values = 1.4, 2.6, np.array([0.2, 0.5, 0.9, 0.35]), np.array([0.3, 0.1, 0.4, 0.2])
    gradient, hessian, fisher = by_hand(a, b, xs, values)
    found = {kind: newton.direction([a, b], xs[:, None], values, ONE, kind) for kind in newton.KINDS}
    np.testing.assert_allclose(found["gradient"], -gradient)
    np.testing.assert_allclose(found["natural"], -np.linalg.inv(fisher) @ gradient)
    e, v = np.linalg.eigh(hessian)
    assert e.min() < 0 < e.max()  # else nothing would be tested
    expected = -v @ np.diag(1 / np.clip(np.abs(e), 0.05, 1e3)) @ v.T @ gradient
    np.testing.assert_allclose(found["newton"], expected)
    np.testing.assert_allclose(
        newton.direction([a, b], xs[:, None], values, ONE, lowest=0.2, eigenvalues="clip"),
        -v @ np.diag(1 / np.clip(e, 0.2, 1e3)) @ v.T @ gradient,
    )


def test_reference_takes_the_best_sample_and_multiplies_elementwise():
    a, b, xs, values = 1.4, 2.6, [0.2, 0.5, 0.9, 0.35], [0.3, 0.1, 0.4, 0.2]
    score = np.log([0.5, 0.5]) + special.digamma(a + b) - special.digamma([a, b])
    trigamma = special.polygamma(1, [a, b, a + b])
    (p, q), r = score, trigamma[2]
    matrix = np.array([[p * p + r - trigamma[0], p * q + r], [p * q + r, q * q + r - trigamma[1]]]) / 4
    inverse = np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]]) / np.linalg.det(matrix)
    column = score[:, None] / 4
    expected = (inverse * column)[:, 0]  # the released code's product of a square matrix and a column
    np.testing.assert_allclose(newton.direction([a, b], np.array(xs)[:, None], values, ONE, "reference"), expected)
    worse = [value + 7 * (value != min(values)) for value in values]  # the other values do not matter
    np.testing.assert_allclose(newton.direction([a, b], np.array(xs)[:, None], worse, ONE, "reference"), expected)
    far = np.maximum([a, b] + 50 * expected, 1)  # no cap
    settings = newton.Settings(kind="reference", rate=50.0)
    np.testing.assert_allclose(newton.update([a, b], np.array(xs)[:, None], values, ONE, settings), far)


def test_hessian_of_a_single_sample_is_mostly_negative():
    """At theta = 1 in the released code's space: 23 negative eigenvalues and 1 positive, which its floor keeps."""
    space = spaces.get("code")
    rng = np.random.default_rng(0)
    for _ in range(20):
        score = space.score(space.start(), rng.uniform(size=12))
        e = np.linalg.eigvalsh(np.outer(score, score) + space.hessian_log_prob(space.start()))
        assert ((e < 0).sum(), (e > 0).sum()) == (23, 1)
        assert np.abs(e).min() == pytest.approx(0.355, abs=0.01)  # 1 - (pi^2 / 6 - 1)


def test_step_is_capped_and_theta_stays_above_its_bound():
    xs, values = np.array([[0.01], [0.99]]), [0.0, 100.0]
    start = np.array([3.0, 3.0])
    free = newton.update(start, xs, values, ONE, newton.Settings(kind="gradient", cap=None, least=1e-3))
    capped = newton.update(start, xs, values, ONE, newton.Settings(kind="gradient", cap=0.5))
    assert np.linalg.norm(free - start) > 100 or free.min() == 1e-3
    assert np.linalg.norm(capped - start) == pytest.approx(0.5)
    assert newton.update(start, xs, values, ONE, newton.Settings(kind="gradient", cap=None)).min() == 1
    half = newton.update(start, xs, values, ONE, newton.Settings(kind="gradient", rate=1e-3))
    direction = newton.direction(start, xs, values, ONE, "gradient")
    np.testing.assert_allclose(half, start + 1e-3 * direction)


def test_utilities():
    values = [0.3, 0.1, 0.1, 0.9]
    np.testing.assert_allclose(newton.centred(values, "ranks"), [0.125, -0.25, -0.25, 0.375])  # ranks 3, 1.5, 1.5, 4
    np.testing.assert_allclose(newton.centred(values), np.array(values) - 0.35)
    assert newton.centred(values, "standard").std() == pytest.approx(1)
    for kind in newton.UTILITIES:
        assert not newton.centred([0.1] * 3, kind).any()
        theta = np.array([1.5, 2.5])
        same = newton.update(theta, [[0.1], [0.5], [0.7]], [0.1] * 3, ONE, newton.Settings(utilities=kind))
        np.testing.assert_array_equal(same, theta)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: newton.Settings(kind="quasi"), "kind='quasi': use one of newton"),
        (lambda: newton.Settings(utilities="rank"), "use one of values, standard, ranks"),
        (lambda: newton.Settings(lowest=0.0), "0 < lowest"),
        (lambda: newton.Settings(lowest=3.0, highest=2.0), "0 < lowest"),
        (lambda: newton.Settings(rate=0.0), "rate=0.0"),
        (lambda: newton.update([1, 1], [[0.5]], [1.0], ONE), "needs 2 or more"),
        (lambda: newton.update([1, 1], [[0.5]] * 2, [1.0] * 3, ONE), r"give \[K, dim\] and \[K\]"),
        (lambda: newton.update([1, 1], [[0.5]] * 2, [1.0, np.nan], ONE), "values holds nan"),
        (lambda: newton.update([1, 1, 1], [[0.5]] * 2, [1.0, 2.0], ONE), "theta has shape"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
