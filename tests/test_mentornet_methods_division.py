"""Dividing samples by a mixture of their losses: the settings of DivideMix, and something on each side."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from mentornet.methods import loss_split


def bimodal(seed: int = 0, size: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < 0.6, rng.normal(0.5, 0.2, size), rng.normal(4.0, 0.8, size))


def test_posteriors_are_those_of_the_mixture_with_the_published_settings():
    losses = bimodal()
    scaled = ((losses - losses.min()) / (losses.max() - losses.min()))[:, None]
    expected = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=5).fit(scaled)
    found = loss_split.clean_probability(losses, seed=5)
    np.testing.assert_allclose(found, expected.predict_proba(scaled)[:, expected.means_[:, 0].argmin()], atol=1e-12)
    assert ((found > 0.5) == (losses < 2)).mean() > 0.99


def test_posteriors_are_near_those_of_an_em_written_here():
    """2-means from the extremes, then expectation and maximisation with 5e-4 added to the variance."""
    x = bimodal(1)
    x = (x - x.min()) / (x.max() - x.min())
    centres = np.array([0.0, 1.0])
    for _ in range(100):
        side = np.abs(x[:, None] - centres).argmin(axis=1)
        centres = np.array([x[side == k].mean() for k in (0, 1)])
    r, last = np.eye(2)[side], -np.inf
    for _ in range(11):
        weight, mean = r.mean(axis=0), (r * x[:, None]).sum(axis=0) / r.sum(axis=0)
        variance = (r * (x[:, None] - mean) ** 2).sum(axis=0) / r.sum(axis=0) + 5e-4
        joint = weight * np.exp(-((x[:, None] - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        r, likelihood = joint / joint.sum(axis=1, keepdims=True), np.log(joint.sum(axis=1)).mean()
        if abs(likelihood - last) < 1e-2:
            break
        last = likelihood
    found = loss_split.clean_probability(x, seed=0)
    np.testing.assert_allclose(found, r[:, mean.argmin()], atol=0.02)
    assert ((found > 0.5) != (r[:, mean.argmin()] > 0.5)).sum() <= 2


def test_equal_and_bad_losses():
    assert (loss_split.clean_probability(np.full(10, 2.3), seed=0) == 1).all()
    assert (loss_split.scaled(np.full(10, 2.3)) == 0).all()
    np.testing.assert_allclose(loss_split.scaled([1.0, 3.0, 2.0]), [0, 1, 0.5])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            loss_split.scaled([1.0, bad])


@pytest.mark.parametrize(
    ("clean", "expected"),
    [
        ([0.9, 0.2, 0.6], [True, False, True]),
        ([0.9, 0.8, 0.6], [True, True, False]),
        ([0.4, 0.2, 0.3], [True, False, False]),
        ([1.0, 1.0, 1.0], [True, True, False]),
        ([0.0, 0.0], [True, False]),
    ],
)
def test_there_is_something_on_each_side_of_the_threshold(clean, expected):
    assert loss_split.labelled(np.float32(clean), 0.5).tolist() == expected
