"""Every MentorNet that comes with the library against the closed form it was learned from, written here in NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula
from mentornet.curricula import pretraining

FOLDER = Path(curricula.__file__).parent / "pretrained"


def _self_paced(loss, difference, epoch):
    return (difference <= 0) * 1.0


def _linear(loss, difference, epoch):
    return np.clip(1 - difference, 0, 1)


def _hard(loss, difference, epoch):
    return (difference >= 0) * 1.0


FORMULAS = {
    "baseline": lambda loss, difference, epoch: np.ones(len(loss)),
    "self_paced": _self_paced,
    "spcl_linear": _linear,
    "hard_example_mining": _hard,
    "focal_loss": lambda loss, difference, epoch: (1 - np.exp(-loss)) ** 2,
    "mentornet_pd": lambda *z: np.where(z[2] <= 18, 1, np.where(z[2] >= 90, _linear(*z), _self_paced(*z))),
    "temporal_mixture": lambda *z: np.where(z[2] < 50, _self_paced(*z), _hard(*z)),
    "huber": lambda loss, difference, epoch: np.where(loss <= 1, 0.5, 0.5 / np.sqrt(np.maximum(loss, 1))),
    "log_sum": lambda loss, difference, epoch: 1 / (1 + loss),
}
# No bound may be looser than this, whatever the cards say: in the quadratic mean a weight is off by 0.01 at most.
LOOSEST = 1e-4


def test_all_are_there():
    assert set(FORMULAS) == set(pretraining.CURRICULA)
    assert set(FORMULAS) <= set(curricula.pretrained_names())


@pytest.mark.parametrize("name", FORMULAS)
def test_weights_are_close_to_the_closed_form(name):
    rng = np.random.default_rng(99)
    rows = 60_000  # random points of the input grid: losses to 10 by 0.1, then to 29 by 1; differences by 0.1
    loss = rng.choice(np.concatenate([np.arange(100) / 10, np.arange(10, 30)]), rows)
    difference, epoch = rng.integers(-50, 50, rows) / 10, rng.integers(0, 100, rows)
    label = rng.integers(0, 10, rows)  # not looked at
    curriculum = curricula.get(f"pretrained:{name}")
    weight = curriculum(
        tf.constant(loss, tf.float32),
        tf.constant(difference, tf.float32),
        tf.constant(label, tf.int32),
        tf.constant(epoch, tf.int32),
    ).numpy()
    error = np.mean((weight - FORMULAS[name](loss, difference, epoch)) ** 2)
    assert error <= curriculum.card["mse_bound"] <= LOOSEST


@pytest.mark.parametrize("name", FORMULAS)
def test_cards_say_where_they_come_from(name):
    card = json.loads((FOLDER / name / "card.json").read_text())
    assert card["name"] == name
    assert card["source"]["curriculum"] == pretraining.CURRICULA[name]
    assert card["settings"]["steps"] == 30_000
    assert card["command"].startswith(
        f"python -m mentornet.curricula.learning --vstar_fn={pretraining.CURRICULA[name]} "
    )
    assert card["mse_bound"] == pretraining.mse_bound(card["held_out"]["mse"])
    assert (FOLDER / name / "mentornet.weights.h5").stat().st_size < 50_000


@pytest.mark.parametrize(
    ("error", "bound"), [(0.0, 1e-6), (4.9e-7, 1e-6), (1.36e-3, 3e-3), (4.5e-5, 9e-5), (1.5e-6, 3e-6), (5.1e-4, 2e-3)]
)
def test_bounds_are_twice_the_error_rounded_up(error, bound):
    assert pretraining.mse_bound(error) == pytest.approx(bound)


def test_learning_one_anew_replaces_it(tmp_path, monkeypatch):
    few = ["--max_step_train=20", "--sample_size=200", "--no_jit_compile"]
    real = pretraining.learning.main
    monkeypatch.setattr(pretraining.learning, "main", lambda arguments: real([*arguments, *few]))
    for _ in range(2):
        assert pretraining.main(["focal_loss", f"--output={tmp_path}", "--starts=1"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["focal_loss"]
    card = json.loads((tmp_path / "focal_loss" / "card.json").read_text())
    assert card["command"].endswith("--vstar_fn=focal_loss --learning_rate=0.01 --starts=1 --train_dir=focal_loss")
    with pytest.raises(SystemExit):
        pretraining.main(["magic"])
