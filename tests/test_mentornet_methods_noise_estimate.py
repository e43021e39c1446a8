"""The share of wrong labels from answers whose mixture, or whose transition matrix, is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from flags import configuration
from flags.commands import estimating
from mentornet import files
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
        ("standard", 49, 0.35, 0.5, "this run is 49 steps long, too few"),
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
    assert noise_estimate.is_rough(0.814, 0.79, 0.12)  # what 324 images and too large a learning rate gave
    assert not noise_estimate.is_rough(0.58, 0.606, 0.327)  # digits, 60% of the labels wrong


def test_a_student_that_guesses_estimates_nothing(tmp_path):
    """Cohen's kappa as scikit-learn has it; random answers give no figure, and the paper's percentile."""
    rng = np.random.default_rng(0)
    given, answers = rng.integers(0, 3, 300), rng.dirichlet(np.ones(3), 300)
    found = noise_estimate.estimate(rng.exponential(1.0, 300), answers, given, 10)
    assert found.kappa == pytest.approx(cohen_kappa_score(answers.argmax(axis=1), given))
    assert found.says_nothing
    assert found.percentile == 0.75
    told = estimating.report(found, "small_cnn", None, given)
    assert "hardly more of the given labels than guesses would" in told
    assert "try:" not in told
    workdir = Workdir(tmp_path / "run", METRIC_COLUMNS)
    workdir.claim("", {"method": "standard"})
    files.write_json(workdir.estimate_file, found.facts())
    assert "warning: no estimate" in estimating._stored(workdir)[1]
    right = np.where(np.arange(300) < 100, answers.argmax(axis=1), given)
    better = noise_estimate.estimate(rng.exponential(1.0, 300), np.eye(3)[right], given, 10)
    assert better.kappa == pytest.approx(cohen_kappa_score(right, given))
    assert not better.says_nothing
    assert noise_estimate.agreement_beyond_chance(np.zeros(5, int), np.zeros(5, int), 2) == 1.0


def test_few_images_need_more_epochs_to_make_as_many_steps(tmp_path):
    """320 images are two batches of 128 an epoch: 25 epochs make 50 steps, and 60 steps in thirty are too few."""
    config = configuration.parse(["train_cifar.py", f"--train_log_dir={tmp_path}", "--max_number_of_steps=9"])
    inputs, rng = SimpleNamespace(given=np.arange(320) % 3, clean=None), np.random.default_rng(0)
    answers = rng.dirichlet(np.ones(3), 320)
    found = noise_estimate.estimate(rng.exponential(1.0, 320), answers, inputs.given, 2)
    told = estimating.tell(found, config, Workdir(tmp_path / "run", METRIC_COLUMNS), 10, inputs)
    assert "this run is 10 steps long" in told
    assert "--num_epochs=25, the same data flags" in told
    assert 0.2 * found.steps > 59


def test_few_images_leave_the_share_open_by_chance():
    """Two standard deviations of how many of 324 labels are wrong, drawn with probability 0.28."""
    drawn = np.random.default_rng(0).binomial(324, 0.28, 100_000) / 324
    assert noise_estimate.by_chance(0.28, 324) == pytest.approx(2 * drawn.std(), rel=0.02)
    made = noise_estimate.NoiseEstimate(0.28, 0.28, 0.28, 0.28, 0.3, 0.72, 20, 3000, 0.6, 324)
    assert "324 images are few: chance alone moves such a share by 5 points" in estimating.report(
        made, "lenet", None, np.zeros(324, int)
    )


def test_dumps_taken_too_late_are_warned_about():
    labels = np.arange(20) % 2
    early = LossDump(np.arange(20), np.full(20, 18), labels, np.zeros(20, int), np.where(labels, 2.0, 0.1))
    assert early.memorised() is None
    late = LossDump(np.arange(20), np.full(20, 99), labels, np.zeros(20, int), np.full(20, 0.1))
    assert "memorised 100% of the wrong labels (epoch percent 99)" in late.memorised()
