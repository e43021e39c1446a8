"""Every MentorNet that comes with the library against the closed form, or the dump, that it was learned from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula
from mentornet.learning import make_pretrained
from mentornet.learning.dump import LossDump

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
    assert set(FORMULAS) == set(make_pretrained.CURRICULA)
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
    assert card["source"]["curriculum"] == make_pretrained.CURRICULA[name]
    assert card["settings"]["steps"] == 30_000
    assert card["command"].startswith(f"python -m mentornet.learning --vstar_fn={make_pretrained.CURRICULA[name]} ")
    assert card["mse_bound"] == make_pretrained.mse_bound(card["held_out"]["mse"])
    assert (FOLDER / name / "mentornet.weights.h5").stat().st_size < 50_000


@pytest.mark.parametrize(
    ("error", "bound"), [(0.0, 1e-6), (4.9e-7, 1e-6), (1.36e-3, 3e-3), (4.5e-5, 9e-5), (1.5e-6, 3e-6), (5.1e-4, 2e-3)]
)
def test_bounds_are_twice_the_error_rounded_up(error, bound):
    assert make_pretrained.mse_bound(error) == pytest.approx(bound)


@pytest.mark.parametrize("fraction", [0.2, 0.4, 0.8])
def test_data_driven_ones_answer_with_the_share_of_right_labels(fraction):
    """What their dump showed, kept in the card: P(label is right | loss), in bins of equally many samples."""
    curriculum = curricula.get(f"pretrained:mentornet_dd_{fraction}")
    curve, source = curriculum.card["posterior"], curriculum.card["source"]
    loss, difference, right, rows = (
        np.array([part[key] for part in curve]) for key in ("loss", "difference", "right", "rows")
    )
    assert rows.sum() == source["rows"] == 5_000
    assert source["student"]["dataset"] == "cifar10"
    assert source["student"]["noise_fraction"] == fraction
    # A class drawn from all ten leaves a tenth of the drawn labels right.
    np.testing.assert_allclose(1 - np.average(right, weights=rows), 0.9 * fraction, atol=0.02)
    np.testing.assert_allclose(source["wrong_labels"], 1 - np.average(right, weights=rows), atol=1e-4)
    np.testing.assert_allclose(loss - difference, (loss - difference)[0], atol=1e-4)
    for epoch in (0, 18, 99):  # learned at one time of the training, and the same at all others
        inputs = (tf.constant(values, tf.float32) for values in (loss, difference))
        weight = curriculum(*inputs, tf.zeros(len(loss), tf.int32), tf.fill([len(loss)], epoch)).numpy()
        assert np.mean((weight - right) ** 2) <= curriculum.card["mse_bound"] <= 0.01
        assert weight[0] > weight[-1] + 0.2
    assert "/tmp" not in curriculum.card["command"]


def test_a_posterior_by_hand():
    loss, noisy = np.array([3.0, 0.0, 1.0, 2.0, 5.0, 4.0]), np.array([1, 1, 0, 1, 1, 0])
    dump = LossDump(np.arange(6), np.full(6, 18), noisy, np.array([1, 1, 0, 0, 0, 1]), loss)
    assert make_pretrained.posterior(dump, 2.0, bins=3) == [
        {"loss": 0.5, "difference": -1.5, "right": 1.0, "rows": 2},
        {"loss": 2.5, "difference": 0.5, "right": 0.5, "rows": 2},
        {"loss": 4.5, "difference": 2.5, "right": 0.0, "rows": 2},
    ]


def test_taking_over_one_that_was_learned_from_a_dump(tmp_path, capsys):
    rng = np.random.default_rng(0)
    wrong = rng.uniform(size=200) < 0.4
    run, library = tmp_path / "run", tmp_path / "library"
    (run / "student").mkdir(parents=True)
    library.mkdir()
    (run / "student" / "result.json").write_text('{"dataset": "digits", "studentnet": "lenet", "accuracy_last": 0.5}')
    lines = [f"{i},18,{int(w)},0,{rng.exponential(4 if w else 0.5):.4f}" for i, w in enumerate(wrong)]
    (run / "dump.csv").write_text("\n".join(lines))
    learn = [f"--input_csv_filename={run / 'dump.csv'}", "--max_step_train=200", "--no_jit_compile", "--no_pictures"]
    assert make_pretrained.learning.main([*learn, f"--train_dir={run / 'mentornet'}", "--percentiles=60"]) == 0
    assert make_pretrained.main(["mine", f"--from_run={run}", f"--output={library}"]) == 0
    assert [path.name for path in library.iterdir()] == ["mine"]
    card = json.loads((library / "mine" / "card.json").read_text())
    assert card["name"] == "mine"
    assert card["source"]["student"] == {"dataset": "digits", "studentnet": "lenet"}
    assert card["mse_bound"] == make_pretrained.mse_bound(card["posterior_mse"])
    assert np.isclose(np.mean([part["right"] for part in card["posterior"]]), 1 - wrong.mean())
    for refused, message in (
        (["mine", "yours"], "give one NAME"),
        (["mine", f"--output={library}"], "the folder does not exist"),
    ):
        folder = run if "yours" in refused else tmp_path / "none"
        with pytest.raises(SystemExit):
            make_pretrained.main([*refused, f"--from_run={folder}"])
        assert message in capsys.readouterr().err


def test_learning_one_anew_replaces_it(tmp_path, monkeypatch):
    few = ["--max_step_train=20", "--sample_size=200", "--no_jit_compile"]
    real = make_pretrained.learning.main
    monkeypatch.setattr(make_pretrained.learning, "main", lambda arguments: real([*arguments, *few]))
    for _ in range(2):
        assert make_pretrained.main(["focal_loss", f"--output={tmp_path}", "--starts=1"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["focal_loss"]
    card = json.loads((tmp_path / "focal_loss" / "card.json").read_text())
    assert card["command"].endswith("--vstar_fn=focal_loss --learning_rate=0.01 --starts=1 --train_dir=focal_loss")
    with pytest.raises(SystemExit):
        make_pretrained.main(["magic"])
