"""The share of wrong labels from answers whose mixture, or whose transition matrix, is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from flags import configuration
from flags.commands import estimating
from mentornet.learning.dump import LossDump
from mentornet.methods import noise_estimate
from mentornet.runs.metrics_table import METRIC_COLUMNS
from mentornet.runs.workdir import Workdir


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


@pytest.mark.parametrize(
    ("method", "step", "wrong", "disagreement", "says"),
    [
        ("standard", 50, 0.35, 0.5, "try:"),
        ("spade", 50, 0.35, 0.5, "this is a run of spade"),
        ("standard", 3000, 0.0, 0.02, "this run is 30 epochs long"),
    ],
)
def test_settings_follow_from_short_plain_runs_alone(tmp_path, method, step, wrong, disagreement, says):
    found = noise_estimate.NoiseEstimate(wrong, wrong, 0.9, 0.1, disagreement, 0.65, 20, 3000)
    config = configuration.parse(
        ["train_cifar.py", f"--train_log_dir={tmp_path}", "--dataset_name=digits", "--max_number_of_steps=9"]
    )
    workdir, inputs = (
        Workdir(tmp_path / "run", METRIC_COLUMNS),
        SimpleNamespace(given=np.zeros(12_800, int), clean=None),
    )
    workdir.claim("", {"method": method})
    told = estimating.tell(found, config, workdir, step, inputs)
    assert says in told
    assert ("try:" in told) == workdir.estimate_file.is_file() == (says == "try:")
    assert ("15 points off" in told) == (says == "try:")
    if says == "try:":
        assert estimating.as_estimated(config, workdir) is config  # it has a percentile of its own
        percentile, sentence = estimating._stored(workdir)
        assert percentile == 0.65
        assert "very roughly 35%" in sentence
        assert "estimates lie between 10% and 90%" in sentence


def test_confident_predictions_show_which_labels_are_wrong():
    """Class by class: of 200 predictions each the surest ten count; 3 and 6 of these have another label."""
    predicted, sureness = np.repeat([0, 1], 200), np.tile(np.linspace(0.51, 0.99, 200), 2)
    given = 1 - predicted  # all others are wrong, and must not matter
    given[190:197] = 0
    given[390:394] = 1
    answers = np.where(np.arange(2) == predicted[:, None], sureness[:, None], 1 - sureness[:, None])
    order = np.random.default_rng(0).permutation(400)
    assert noise_estimate.by_confident(answers[order], given[order]) == pytest.approx(0.5 * 0.3 + 0.5 * 0.6)


def test_the_median_is_what_counts():
    """A student that has memorised a part and not learned another: one estimate is too low, one too high."""
    rng = np.random.default_rng(0)
    answers = rng.dirichlet(np.ones(4), 500)
    losses, given = rng.exponential(1.0, 500), rng.integers(0, 4, 500)
    found = noise_estimate.estimate(losses, answers, given, 10)
    three = (found.wrong_by_losses, found.wrong_by_matrix, found.wrong_by_confident)
    assert len(set(three)) == 3
    assert found.wrong == sorted(three)[1]


def test_a_weak_student_gives_a_rough_estimate():
    assert noise_estimate.is_rough(0.35, 0.5)
    assert not noise_estimate.is_rough(0.382, 0.413)


def test_dumps_taken_too_late_are_warned_about():
    labels = np.arange(20) % 2
    early = LossDump(np.arange(20), np.full(20, 18), labels, np.zeros(20, int), np.where(labels, 2.0, 0.1))
    assert early.memorised() is None
    late = LossDump(np.arange(20), np.full(20, 99), labels, np.zeros(20, int), np.full(20, 0.1))
    assert "memorised 100% of the wrong labels (epoch percent 99)" in late.memorised()
