"""Predefined curricula and robust weightings: formulas, G and rho, each against NumPy on its own terms.

v* is compared with formulas written anew, G with a brute-force search for argmin_v v l + G(v), rho with the numerical
integral of v*, and dG/dv with finite differences.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula

ROWS = 400
EPOCHS = (0, 1, 18, 19, 20, 49, 50, 89, 90, 99)


@pytest.fixture(scope="module")
def samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    loss = rng.exponential(1.5, ROWS).astype(np.float32)
    difference = (loss - rng.uniform(0, 4, ROWS)).astype(np.float32)
    loss[:4], difference[:4] = (0.0, 1.0, 1.0, 30.0), (0.0, 0.0, 1.0, 28.0)
    return {"loss": loss, "difference": difference, "label": rng.integers(0, 3, ROWS).astype(np.int32)}


def self_paced(loss, difference, label, epoch):
    return np.where(difference > 0, 0.0, 1.0)


def hard_example_mining(loss, difference, label, epoch):
    weight = np.where(difference < 0, 0.0, 1.0)
    weight[label > 0] = 1.0
    return weight


def linear(gamma):
    return lambda loss, difference, label, epoch: np.minimum(1, np.maximum(0, 1 - difference / gamma))


def mentornet_pd(first_selective, gamma=1.0):
    def weight(loss, difference, label, epoch):
        if epoch < first_selective:
            return np.ones_like(loss)
        return (linear(gamma) if epoch >= 90 else self_paced)(loss, difference, label, epoch)

    return weight


def temporal_mixture(switch):
    return lambda *z: self_paced(*z) if z[3] < switch else hard_example_mining(*z)


FORMULAS = {
    "none": lambda loss, difference, label, epoch: np.ones_like(loss),
    "self_paced": self_paced,
    "self_paced:threshold=1.5": lambda loss, *_: (loss <= 1.5) * 1.0,
    "self_paced:growth=0.2": lambda loss, difference, label, epoch: (
        1.0 * (loss <= (loss - difference) * (1 + 0.2 * epoch / 99))
    ),
    "hard_example_mining": hard_example_mining,
    "hard_example_mining:positive_label_kept=0": lambda loss, difference, *_: np.where(difference < 0, 0.0, 1.0),
    "focal_loss": lambda loss, *_: (1 - np.exp(-loss.astype(np.float64))) ** 2,
    "focal_loss:gamma=3": lambda loss, *_: (1 - np.exp(-loss.astype(np.float64))) ** 3,
    "spcl_linear": linear(1.0),
    "spcl_linear:gamma=2.5": linear(2.5),
    "spcl:lambda1=0.5,lambda2=2": lambda loss, *_: np.clip(1 - (loss - 0.5) / 2, 0, 1),
    "spcl:lambda1=0.5,lambda2=0": lambda loss, *_: (loss <= 0.5) * 1.0,
    "mentornet_pd": mentornet_pd(19),
    "mentornet_pd:gamma=2": mentornet_pd(19, 2.0),
    "mentornet_pd_v1": mentornet_pd(20),
    "temporal_mixture": temporal_mixture(50),
    "temporal_mixture:switch=5": temporal_mixture(5),
    "huber": lambda loss, *_: np.where(loss <= 1, 0.5, 1 / (2 * np.sqrt(np.maximum(loss, 1e-9)))),
    "huber:scale=1.3": lambda loss, *_: np.where(loss <= 1.69, 0.5, 1.3 / (2 * np.sqrt(np.maximum(loss, 1e-9)))),
    "log_sum": lambda loss, *_: 1 / (loss + 1),
    "log_sum:scale=0.5,epsilon=2": lambda loss, *_: 0.5 / (loss + 2),
    "lorentzian": lambda loss, *_: 2 * loss / (2 + loss**2),
    "lorentzian:delta=0.4": lambda loss, *_: np.clip(2 * loss / (0.32 + loss**2), 0, 1),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_weights_are_the_formula(name, samples):
    curriculum = curricula.get(name)
    assert curriculum.name == name
    for epoch in EPOCHS:
        weight = curriculum(*(tf.constant(samples[key]) for key in samples), tf.constant(epoch)).numpy()
        expected = FORMULAS[name](*samples.values(), epoch)
        # Where rounding decides a jump's side the values may differ: there are no such rows but with growth.
        wrong = ~np.isclose(weight, expected, rtol=1e-5, atol=1e-6)
        assert wrong.sum() <= (2 if "growth" in name else 0), (epoch, np.flatnonzero(wrong))
        assert weight.dtype == np.float32
        assert weight.min() >= 0
        assert weight.max() <= 1


@pytest.mark.parametrize("name", ["mentornet_pd", "temporal_mixture", "self_paced:growth=0.2"])
def test_every_sample_may_have_its_own_epoch(name, samples):
    epoch = np.arange(ROWS) % 100
    curriculum = curricula.get(name)
    together = curriculum(*(tf.constant(array) for array in samples.values()), tf.constant(epoch, tf.int32)).numpy()
    for row in range(0, ROWS, 7):
        one = [tf.constant(array[row : row + 1]) for array in samples.values()]
        assert curriculum(*one, tf.constant(epoch[row], tf.int32)).numpy()[0] == together[row]


def test_prediction_variance():
    rng = np.random.default_rng(1)
    loss = rng.exponential(1.0, (50, 10)).astype(np.float32)
    loss[0] = 0.7  # a settled sample
    loss[1] = [0, 50] * 5  # as unsettled as can be: variance 1/4
    probability = np.exp(-loss.astype(np.float64))
    variance = np.mean((probability - probability.mean(1, keepdims=True)) ** 2, axis=1)
    expected = np.clip(2 * np.sqrt(variance + variance**2 / 9), 0, 1)
    curriculum = curricula.get("prediction_variance")
    assert curriculum.history == 10
    weight = curriculum(loss, loss, tf.zeros([50], tf.int32), tf.constant(3)).numpy()
    np.testing.assert_allclose(weight, expected, atol=1e-5)
    assert weight[0] < 1e-3
    assert weight[1] == 1


THRESHOLD = 1.2
WITH_REGULARISER = [
    "self_paced",
    "self_paced:threshold=0.8",
    "spcl_linear",
    "spcl_linear:gamma=2.5",
    "spcl:lambda1=0.5,lambda2=2",
    "spcl:lambda1=0.5,lambda2=0",
    "huber",
    "huber:scale=0.7",
    "log_sum",
    "log_sum:scale=0.5,epsilon=2",
]
LOSSES = np.linspace(0.0, 6.0, 61, dtype=np.float32) + np.float32(0.013)


def _weights(curriculum, loss: np.ndarray) -> np.ndarray:
    label = tf.zeros([len(loss)], tf.int32)
    return curriculum(tf.constant(loss), tf.constant(loss - THRESHOLD), label, tf.constant(95)).numpy()


@pytest.mark.parametrize("name", WITH_REGULARISER)
def test_weights_minimise_the_loss_with_the_regulariser(name):
    curriculum = curricula.get(name)
    candidates = np.linspace(1e-4, curriculum.weight_limit, 5001).astype(np.float32)
    penalty = curriculum.regulariser(tf.constant(candidates), THRESHOLD).numpy().astype(np.float64)
    best = candidates[np.argmin(candidates * LOSSES[:, np.newaxis] + penalty, axis=1)]
    np.testing.assert_allclose(_weights(curriculum, LOSSES), best, atol=3e-4)


@pytest.mark.parametrize("name", WITH_REGULARISER)
def test_regulariser_gradient_is_its_derivative(name):
    curriculum = curricula.get(name)
    weight, step = np.linspace(0.05, 0.45, 9), 1e-3
    above, below = (
        curriculum.regulariser(tf.constant(weight + sign * step, tf.float64), tf.constant(THRESHOLD, tf.float64))
        for sign in (1, -1)
    )
    slope = (above - below).numpy() / (2 * step)
    gradient = curriculum.regulariser_gradient(
        tf.constant(weight, tf.float64), tf.constant(THRESHOLD, tf.float64)
    ).numpy()
    np.testing.assert_allclose(gradient, slope, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["huber", "log_sum"])
def test_an_unbounded_regulariser_has_a_bounded_gradient(name):
    gradient = curricula.get(name).regulariser_gradient(tf.constant([0.0, 1e-6]), 1.0).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient < 0).all()


@pytest.mark.parametrize("name", ["none", *WITH_REGULARISER, "lorentzian", "lorentzian:delta=2"])
def test_objective_is_the_integral_of_the_weights(name):
    curriculum = curricula.get(name)
    fine = np.linspace(0.0, 6.0, 60_001)
    weight = _weights(curriculum, fine.astype(np.float32)).astype(np.float64)
    integral = np.concatenate([[0.0], np.cumsum((weight[1:] + weight[:-1]) / 2) * (fine[1] - fine[0])])
    every = slice(0, None, 1000)
    rho = curriculum.objective(tf.constant(fine[every], tf.float32), THRESHOLD).numpy()
    np.testing.assert_allclose(rho, integral[every], atol=3e-4)


@pytest.mark.parametrize("name", ["focal_loss", "hard_example_mining", "mentornet_pd", "temporal_mixture"])
def test_what_is_not_known_is_none(name):
    curriculum = curricula.get(name)
    assert curriculum.regulariser(tf.ones([1]), 1.0) is None
    assert curriculum.regulariser_gradient(tf.ones([1]), 1.0) is None
    assert curriculum.objective(tf.ones([1]), 1.0) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("selfpaced", r"unknown curriculum 'selfpaced' \(did you mean self_paced\?\): use one of none, self_paced"),
        ("focal_loss:gamma=0", "must be greater than 0"),
        ("focal_loss:gamma=two", "gamma='two' is not a number"),
        ("focal_loss:scale=1", r"'scale=1' is not one of its parameters \(gamma\)"),
        ("focal_loss:", "is not one of its parameters"),
        ("self_paced:growth=-1", "must not be negative"),
        ("spcl_linear:gamma=-1", "must not be negative"),
        ("temporal_mixture:switch=101", r"must lie in 0\.\.100"),
        ("huber:scale=0", "must be greater than 0"),
        ("log_sum:scale=2,epsilon=1", "0 < scale <= epsilon"),
        ("lorentzian:delta=0", "must be greater than 0"),
        ("pretrained:nothing", "no MentorNet 'pretrained:nothing': use one of"),
    ],
)
def test_wrong_names_and_parameters_are_explained(name, message):
    with pytest.raises(ValueError, match=message):
        curricula.get(name)
