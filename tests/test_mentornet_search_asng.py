"""Adaptive stochastic natural gradient (Akimoto et al. 2019) against its recurrences, written with SciPy's sqrtm."""

import numpy as np
import pytest
from scipy import linalg, special

from mentornet.search import asng
from mentornet.search.distributions import ProductDistribution

GOAL = np.array([0.7, 0.2, 0.5, 0.9])
BETAS = ProductDistribution(simplex=0, betas=4)
ONE = ProductDistribution(simplex=0, betas=1)


def test_utilities_are_the_quarter_ranks():
    np.testing.assert_allclose(asng.utilities([0.4, 0.3]), [-1, 1])
    np.testing.assert_allclose(asng.utilities([3, 1, 2, 2, 9, 0]), [-0.5, 0.5, 0, 0, -0.5, 0.5])
    np.testing.assert_allclose(asng.utilities([1, 1, 2, 3]), [0.5, 0.5, 0, -1])  # equal values share
    np.testing.assert_allclose(asng.utilities([5, 5, 5]), 0)


def test_steps_are_those_of_the_algorithm():
    search = asng.ASNG(ONE, samples=2, threshold=1.3, step=0.7, least=0.5)
    rng = np.random.default_rng(0)
    theta, s, gamma, slowdown = np.ones(2), np.zeros(2), 0.0, 1.0
    for _ in range(8):
        a, b = theta
        x = rng.beta(a, b, size=2)
        values = (x - 0.8) ** 2
        signs = np.where(values == values.min(), 1, -1)
        psi, psi1 = special.digamma, lambda z: special.polygamma(1, z)
        scores = np.log([x, 1 - x]).T - psi([a, b]) + psi(a + b)
        fisher = np.diag(psi1([a, b])) - psi1(a + b)
        natural = np.linalg.inv(fisher) @ (signs @ scores) / 2
        root = linalg.sqrtm(fisher).real
        norm = np.sqrt(natural @ fisher @ natural)
        delta = 0.7 / slowdown
        beta = delta / np.sqrt(2)
        assert search.step == pytest.approx(delta)
        theta = np.maximum(theta + delta * natural / norm, 0.5)
        s = (1 - beta) * s + np.sqrt(beta * (2 - beta)) * root @ natural / norm
        gamma = (1 - beta) ** 2 * gamma + beta * (2 - beta)
        slowdown *= np.exp(beta * (gamma - s @ s / 1.3))
        search.tell(x[:, None], values)
        np.testing.assert_allclose(search.theta, theta)


def test_finds_the_optimum_of_an_analytic_objective():
    errors = []
    for seed in range(5):
        search, rng = asng.ASNG(BETAS), np.random.default_rng(seed)
        for _ in range(200):
            xs = search.ask(rng)
            search.tell(xs, ((xs - GOAL) ** 2).sum(1))
        errors.append(((BETAS.mean(search.theta) - GOAL) ** 2).sum())
    assert np.mean(errors) < 0.003  # 0.29 at the start; 400 uniform draws come to 0.020
    assert np.isfinite(search.theta).all()


def test_the_step_grows_with_agreement_and_shrinks_with_noise():
    noise, signal = asng.ASNG(BETAS), asng.ASNG(BETAS)
    rng = np.random.default_rng(0)
    for _ in range(100):
        noise.tell(noise.ask(rng), rng.normal(size=2))
    for _ in range(5):
        xs = np.array([np.full(4, 0.9), np.full(4, 0.1)])
        signal.tell(xs, [0.0, 1.0])
    assert noise.step < 0.7
    assert signal.step > 1.1
    limited = asng.ASNG(BETAS, slowest=1.2)
    for _ in range(100):
        limited.tell(limited.ask(rng), rng.normal(size=2))
    assert limited.step >= 1 / 1.2


def test_long_searches_stay_finite():
    search, rng = asng.ASNG(BETAS, samples=6), np.random.default_rng(0)
    for _ in range(1500):
        xs = search.ask(rng)
        search.tell(xs, ((xs - GOAL) ** 2).sum(1))
    assert np.isfinite(search.theta).all()
    np.testing.assert_allclose(BETAS.mean(search.theta), GOAL, atol=0.05)


def test_continues_from_its_state():
    one, other = asng.ASNG(BETAS), asng.ASNG(BETAS)
    rng = np.random.default_rng(0)
    for _ in range(10):
        xs = one.ask(rng)
        one.tell(xs, ((xs - GOAL) ** 2).sum(1))
    other.restore(one.state())
    for search in (one, other):
        again = np.random.default_rng(1)
        for _ in range(5):
            xs = search.ask(again)
            search.tell(xs, ((xs - GOAL) ** 2).sum(1))
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, other.state()[name])
    before = one.theta.copy()
    one.tell(one.ask(rng), [0.5, 0.5])
    np.testing.assert_array_equal(one.theta, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: asng.ASNG(BETAS, samples=1), "2 or more samples"),
        (lambda: asng.ASNG(BETAS, threshold=1.0), "threshold has to be above 1"),
        (lambda: asng.ASNG(BETAS, step=3.0), r"step in \(0, 2.83\]"),
        (lambda: asng.ASNG(BETAS).tell([[0.5] * 4] * 2, [0.1]), r"give \[K, 4\]"),
        (lambda: asng.ASNG(BETAS).tell([[0.5] * 4] * 2, [0.1, np.inf]), "finite"),
        (lambda: asng.ASNG(BETAS).restore(asng.ASNG(ONE).state()), "for 8 numbers"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
