"""The share of wrong labels from answers whose mixture, or whose transition matrix, is known."""

import numpy as np
import pytest

from mentornet.learning.dump import LossDump
from mentornet.methods import noise_estimate


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.6])
def test_two_bumps_are_told_apart(share):
    rng = np.random.default_rng(0)
    count = 4000
    wrong = rng.random(count) < share
    losses = np.abs(np.where(wrong, rng.normal(4, 0.5, count), rng.normal(0.5, 0.3, count)))
    assert noise_estimate.by_losses(losses) == pytest.approx(wrong.mean(), abs=0.01)


def test_a_student_that_knows_the_matrix_gives_it_away():
    """Predictions that are rows of T, one class rarer than another: 1 - sum pi_i T_ii by hand."""
    matrix = np.array([[0.8, 0.2, 0.0], [0.1, 0.7, 0.2], [0.3, 0.3, 0.4]])
    counts = np.array([1000, 3000, 2000])
    true = np.repeat(np.arange(3), counts)
    rng = np.random.default_rng(1)
    given = np.array([rng.choice(3, p=matrix[label]) for label in true])
    answers = 0.98 * matrix[true] + 0.02 * rng.dirichlet(np.ones(3), len(true))  # no two alike
    expected = 1 - (counts / counts.sum()) @ np.diag(matrix)
    assert noise_estimate.by_matrix(answers, given) == pytest.approx(expected, abs=0.03)


def test_percentiles_leave_something_to_learn_and_something_to_doubt():
    assert [noise_estimate.percentile(wrong) for wrong in (0.0, 0.1, 0.364, 0.6, 0.9)] == [0.95, 0.9, 0.64, 0.4, 0.3]


def test_dumps_taken_too_late_are_warned_about():
    labels = np.arange(20) % 2
    early = LossDump(np.arange(20), np.full(20, 18), labels, np.zeros(20, int), np.where(labels, 2.0, 0.1))
    assert early.memorised() is None
    late = LossDump(np.arange(20), np.full(20, 99), labels, np.zeros(20, int), np.full(20, 0.1))
    assert "memorised 100% of the wrong labels (epoch percent 99)" in late.memorised()
