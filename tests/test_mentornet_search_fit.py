"""The paper's space fitted to Co-teaching's schedules (S2E, figure 10), with the numbers of another fit."""

import numpy as np
import pytest

from mentornet.search import fit, spaces


def co_teaching(tau, c, t_k, epochs=200):
    return np.array([1 - tau * min((t / t_k) ** c, 1) for t in range(epochs)])


@pytest.mark.parametrize(
    ("tau", "c", "t_k", "rmse", "largest"),
    [(0.5, 1, 10, 0.009, 0.06), (0.5, 1, 100, 0.021, 0.05), (0.5, 0.5, 100, 0.007, 0.02), (0.7, 2, 60, 0.067, 0.16)],
)
def test_eq_4_comes_close_to_co_teaching(tau, c, t_k, rmse, largest):
    target = co_teaching(tau, c, t_k)
    space = spaces.get("paper")
    found = fit.least_squares(space, target, starts=1)
    difference = space.curve(found.x, np.arange(200.0), 200) - target
    np.testing.assert_allclose(found.curve - target, difference, atol=1e-12)
    assert found.rmse == pytest.approx(np.sqrt(np.mean(difference**2)))
    assert found.largest == pytest.approx(np.abs(difference).max())
    assert found.rmse == pytest.approx(rmse, abs=0.001)
    assert found.largest == pytest.approx(largest, abs=0.01)
    assert found.x[:4].sum() == pytest.approx(1)
    assert found.x.min() >= 0
    assert found.x.max() <= 1


def test_recovers_a_schedule_of_the_space_itself():
    space = spaces.get("co_teaching", variant="code")
    found = fit.least_squares(space, co_teaching(0.45, 1.3, 37, epochs=80), horizon=80, starts=6)
    assert found.rmse < 1e-4
    assert space.describe(found.x) == pytest.approx({"tau": 0.45, "t_k/T": 37 / 80, "c": 1.3}, abs=0.01)


def test_bad_input_is_refused():
    space = spaces.get("paper")
    with pytest.raises(ValueError, match="one row of fractions"):
        fit.least_squares(space, [0.5, 1.2])
    with pytest.raises(ValueError, match="at least one local search"):
        fit.least_squares(space, [0.5, 0.2], starts=0)
