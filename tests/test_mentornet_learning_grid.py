"""The enumerated input space: its numbers are the release's, its targets the curriculum's."""

from __future__ import annotations

import numpy as np
import pytest

from mentornet import curricula
from mentornet.learning import grid, learning_set


def test_the_grid_is_the_releases():
    # Losses 0 to 10 by 0.1 and 10 to 30 by 1; differences -5 to 5 by 0.1; label 0; percents 0 to 99.
    assert len(grid.LOSSES) == 100 + 20
    assert len(grid.DIFFERENCES) == 100
    assert (grid.LABELS.tolist(), grid.EPOCHS.tolist()) == ([0], list(range(100)))
    assert grid.POINTS == 120 * 100 * 1 * 100
    np.testing.assert_allclose(grid.LOSSES[[0, 1, 99, 100, 119]], [0, 0.1, 9.9, 10, 29], rtol=1e-6)
    np.testing.assert_allclose(grid.DIFFERENCES[[0, 1, 50, 99]], [-5, -4.9, 0, 4.9], rtol=1e-6)
    assert 0.0 in grid.DIFFERENCES  # exactly, because curricula jump there
    assert grid.SAMPLE_SIZE == 100_000


def test_samples_are_different_grid_points_with_the_curriculums_weights():
    samples = grid.learning_set(curricula.get("mentornet_pd"), rows=20_000, seed=3)
    loss, difference = samples.loss[:, 0], samples.difference[:, 0]
    assert samples.loss.shape == samples.difference.shape == (20_000, 1)
    assert np.isin(loss, grid.LOSSES).all()
    assert np.isin(difference, grid.DIFFERENCES).all()
    points = np.stack([loss, difference, samples.epoch])
    assert len(np.unique(points, axis=1).T) == 20_000
    # Every value of every axis occurs about equally often.
    assert np.bincount(samples.epoch, minlength=100).min() > 120
    linear, easy = np.clip(1 - difference, 0, 1), difference <= 0
    expected = np.where(samples.epoch <= 18, 1, np.where(samples.epoch >= 90, linear, easy))
    np.testing.assert_allclose(samples.target, expected, atol=1e-6)
    assert samples.held_out.sum() == 4000
    assert not samples.label.any()


def test_the_seed_decides_points_and_split():
    first, again, other = (grid.learning_set(curricula.get("none"), 500, seed) for seed in (1, 1, 2))
    for name in ("loss", "difference", "epoch", "held_out"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert np.any(getattr(first, name) != getattr(other, name))


def test_histories_end_at_the_grid_point_and_keep_the_threshold():
    samples = grid.learning_set(curricula.get("prediction_variance"), rows=3000, seed=0, history=10)
    assert samples.loss.shape == (3000, 10)
    assert np.isin(samples.loss[:, -1], grid.LOSSES).all()
    assert np.isin(samples.difference[:, -1], grid.DIFFERENCES).all()
    assert samples.loss.min() >= 0
    threshold = samples.loss - samples.difference
    np.testing.assert_allclose(threshold, np.repeat(threshold[:, -1:], 10, axis=1), atol=1e-5)
    probability = np.exp(-samples.loss.astype(np.float64))
    variance = probability.var(axis=1)
    expected = np.clip(2 * np.sqrt(variance + variance**2 / 9), 0, 1)
    np.testing.assert_allclose(samples.target, expected, atol=1e-5)
    assert expected.max() > 0.5  # settled and unsettled samples both occur
    assert np.mean(expected < 0.01) > 0.1


def test_a_formula_without_history_sees_the_newest_loss_only():
    samples = grid.learning_set(curricula.get("self_paced"), rows=1000, seed=0, history=10)
    np.testing.assert_array_equal(samples.target, samples.difference[:, -1] <= 0)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("none", {"rows": 0}, "the grid has 1,200,000 points"),
        ("none", {"rows": 1_200_001}, "the grid has 1,200,000 points"),
        ("prediction_variance", {"rows": 10}, "reads 10 past losses, the samples have 1"),
    ],
)
def test_impossible_grids_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        grid.learning_set(curricula.get(name), **arguments)


def test_learning_sets_round_trip(tmp_path):
    samples = grid.learning_set(curricula.get("focal_loss"), rows=100, seed=1, history=2)
    samples.save(tmp_path / "new" / "folder")
    again = learning_set.load(tmp_path / "new" / "folder")
    for name in ("loss", "difference", "label", "epoch", "target", "held_out"):
        np.testing.assert_array_equal(getattr(samples, name), getattr(again, name))
        assert getattr(samples, name).dtype == getattr(again, name).dtype
    assert again.source == {"kind": "predefined", "curriculum": "focal_loss", "rows": 100, "seed": 1, "history": 2}


def test_files_that_are_no_learning_set_are_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"it has no learning_set\.npz"):
        learning_set.load(tmp_path)
    (tmp_path / "learning_set.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ValueError, match="is not a learning set"):
        learning_set.load(tmp_path)
    np.savez(tmp_path / "learning_set.npz", loss=np.zeros([2, 1]))
    with pytest.raises(ValueError, match="is not a learning set"):
        learning_set.load(tmp_path)


def test_rows_of_one_sample_are_held_out_together():
    keys = np.repeat(np.arange(50), 3)
    held_out = learning_set.hold_out(keys, np.random.default_rng(0))
    assert held_out.sum() == 30
    assert all(len(set(held_out[keys == key])) == 1 for key in range(50))
