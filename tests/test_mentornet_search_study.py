"""The study of a search and what its trials choose from: storages, refusals, grids and ranges."""

from __future__ import annotations

import csv
import importlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from mentornet.methods.keep_schedule import KeepSchedule  # noqa: E402
from mentornet.search import command, plots, proposals, spaces, summary, worker  # noqa: E402
from mentornet.search import study as studies  # noqa: E402
from tests.search_plans import plan  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)


def params_of(made):
    return [trial.params for trial in studies.open_study(made).get_trials()]


def test_a_grid_is_tried_point_by_point_and_the_best_is_written_down(tmp_path):
    made = plan(tmp_path, space="grid:x=0.1,0.25,0.9;label=a,b", sampler="grid", trials=6)
    worker.work(made)
    assert sorted((p["x"], p["label"]) for p in params_of(made)) == [
        (x, label) for x in ("0.1", "0.25", "0.9") for label in "ab"
    ]
    result = command.run(made, workers=0)
    assert result["best"]["x"] == "0.25"
    assert result["best_score"] == pytest.approx(1 - 0.05**2)
    assert "--x=0.25" in (tmp_path / "best.flags").read_text().splitlines()
    assert not (tmp_path / "R.csv").exists()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_ranges_are_searched_and_no_number_comes_twice(tmp_path, sampler):
    space = "range:x=0.2..0.8;rate=0.001..0.1:log;count=1..4"
    made = plan(tmp_path, space=space, sampler=sampler, trials=6, integers=("count",))
    worker.work(plan(tmp_path, space=space, sampler=sampler, trials=2, integers=("count",)))
    worker.work(made)
    found = params_of(made)
    assert all(0.2 <= p["x"] <= 0.8 and 0.001 <= p["rate"] <= 0.1 for p in found)
    assert all(p["count"] in (1, 2, 3, 4) and isinstance(p["count"], int) for p in found)
    assert len({p["x"] for p in found}) == 6  # a worker that starts anew must not draw the same again
    again = plan(tmp_path / "again", space=space, sampler=sampler, trials=6, integers=("count",))
    worker.work(again)
    assert params_of(again) == found


def test_tpe_searches_the_best_and_not_the_worst(tmp_path):
    made = plan(tmp_path, space="range:x=0.0..1.0", sampler="tpe", trials=25)
    worker.work(made)
    later = [abs(p["x"] - 0.3) for p in params_of(made)[15:]]
    assert np.median(later) < 0.2


def test_parameters_of_a_curriculum_are_set_within_it():
    found = proposals.settings("grid:gamma=1,2;seed=3", "focal_loss:gamma=9,other=4", ["gamma"])
    assert found.points == 2
    assert found.flags({"gamma": "2", "seed": "3"}, Path(), None) == [
        "--seed=3",
        "--curriculum=focal_loss:gamma=2,other=4",
    ]
    assert found.corners() == [{"gamma": "1", "seed": "3"}, {"gamma": "2", "seed": "3"}]
    plain = proposals.settings("range:gamma=0.5..2", "focal_loss", ["gamma"])
    assert plain.flags({"gamma": 1.5}, Path(), None) == ["--curriculum=focal_loss:gamma=1.5"]


def test_a_shortened_trial_gets_the_squeezed_schedule(tmp_path):
    made = proposals.schedules("co_teaching:variant=code", 200)
    params = dict(zip(made.space.unit_names(), [0.5, 0.25, 0.5], strict=True))  # tau .5, t_k 50 of 200, c 1
    (flag,) = made.flags(params, tmp_path, 50)
    short = KeepSchedule(flag.removeprefix("--keep_schedule=")).rates(50)
    np.testing.assert_allclose(short, 1 - 0.5 * np.minimum(np.arange(50) * 4 / 50, 1))
    np.testing.assert_array_equal(short, made.schedule(params)[::4])
    rescaled = made.schedule(params)
    proposals.write_schedule(tmp_path / "R.csv", rescaled)
    np.testing.assert_allclose(KeepSchedule(f"searched:{tmp_path},rescale").rates(50), short, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere", "use one of paper, code, co_teaching"),
        ("rbf:variant=release", "unknown variant 'release'"),
        ("single:base=2", "has no option base"),
        ("rbf:variant", "expected NAME=VALUES,"),
        ("grid:gamma", "expected NAME=VALUES;"),
        ("grid:gamma=1,1", "a value is empty or is there twice"),
        ("grid:gamma=1;gamma=2", "each name once"),
        ("range:gamma=1", "expected two numbers, the smaller first"),
        ("range:gamma=2..1", "expected two numbers, the smaller first"),
        ("range:gamma=1..2:lin", "expected two numbers"),
        ("range:gamma=0..inf", "expected two numbers"),
        ("range:count=0.5..2", "expected two whole numbers"),
        ("range:gamma=0..2:log", "a logarithmic scale begins above 0"),
    ],
)
def test_spaces_that_cannot_be_read_are_refused(text, message):
    def read():
        return proposals.settings(text, integers=["count"]) if proposals.names(text) else proposals.schedules(text, 4)

    with pytest.raises(ValueError, match=message):
        read()


def test_a_study_of_another_search_is_refused_and_stays_as_it_was(tmp_path):
    worker.work(plan(tmp_path, trials=2))
    before = (tmp_path / "study.journal").read_bytes()
    for changed, message in (
        ({"space": "paper"}, r"made with space co_teaching\(variant=code\) and not paper\(\)"),
        ({"samples": 4}, "made with samples 3 and not 4"),
        ({"trial_epochs": 2}, "made with trial_epochs 4 and not 2"),
        ({"training": {"dataset_name": "mnist", "validation": "test_half"}}, "dataset_name made_up and not mnist"),
    ):
        with pytest.raises(ValueError, match=message):
            command.run(plan(tmp_path, **changed))
    assert (tmp_path / "study.journal").read_bytes() == before
    foreign = plan(tmp_path, storage=f"sqlite:///{tmp_path}/s.db")
    optuna.create_study(storage=foreign.storage, study_name="search", direction="maximize").ask()
    with pytest.raises(ValueError, match="is not one of this command: give another --study_name"):
        studies.open_study(foreign)


def test_a_search_folder_that_was_renamed_goes_on_with_its_study(tmp_path):
    worker.work(plan(tmp_path / "old", study="old", trials=2))
    (tmp_path / "old").rename(tmp_path / "new")
    moved = plan(tmp_path / "new", study="new", trials=3)
    worker.work(moved)
    assert len(studies.open_study(moved).trials) == 3
    with pytest.raises(ValueError, match="study 'old' was made with samples 3 and not 4"):
        studies.open_study(plan(tmp_path / "new", study="new", samples=4))
    assert not studies.open_study(plan(tmp_path / "new", study="another")).trials  # a name that was asked for


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:////proc/nowhere/s.db", r"cannot be used \(.*unable to open database file"),
        ("postgresql+nodriver://me:secret@127.0.0.1:1/x", r"//me:\*\*\*@127.0.0.1:1/x cannot be used|needs a Python"),
        ("/proc/nowhere/study.journal", "Cannot write /proc/nowhere"),
        ("{tmp}/text", "is no journal of a search: name another file"),
        ("{tmp}/line", "is no journal of a search: name another file"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_sentence(tmp_path, storage, message):
    (tmp_path / "text").write_text("this is\nno journal\n")
    (tmp_path / "line").write_text("a single line\n")  # which Optuna would find out after it has written behind it
    with pytest.raises(ValueError, match=message) as refused:
        studies.open_storage(storage.format(tmp=tmp_path))
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "line").read_text() == "a single line\n"


def test_a_missing_driver_is_named():
    if importlib.util.find_spec("psycopg2") is not None:
        pytest.skip("the driver psycopg2 is installed")
    with pytest.raises(ValueError, match=r"//me:\*\*\*@there/x needs a Python package .*psycopg2: pip install it"):
        studies.open_storage("postgresql+psycopg2://me:secret@there/x")


def test_results_are_those_of_the_trials_and_of_the_retrained_runs(tmp_path):
    made = plan(tmp_path)
    worker.work(made)
    with open(os.devnull, "w") as out:
        result = command.run(made, workers=2, seeds=[3, 5], stream=out)
    trials = studies.open_study(made).get_trials()
    best = max(trials, key=lambda trial: trial.value)
    assert (result["best_trial"], result["best_score"]) == (best.number, best.value)
    rates = made.proposals().schedule(best.params)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "R.csv"), rates)
    np.testing.assert_allclose(KeepSchedule(f"searched:{tmp_path}").rates(4), np.clip(rates, 0.01, 1))
    assert result["test"]["accuracy_last"] == pytest.approx(best.value / 2)  # the made-up test accuracy
    assert result["test"]["accuracy_mean_last_10"] == pytest.approx(best.value / 2 * (1 + 2 + 3 + 4) / 16)
    assert [run["seed"] for run in result["retrained"]] == [3, 5]
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["found_for"] == {"dataset_name": "made_up", "validation": "test_half"}
    assert card["test"]["seeds"] == 2
    with open(tmp_path / "progress.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    best_so_far = np.maximum.accumulate([float(row["score"]) for row in rows])
    np.testing.assert_allclose([float(row["best"]) for row in rows], best_so_far)
    assert [float(row["trainings"]) for row in rows] == list(range(1, 10))
    assert float(rows[-1]["hours"]) == pytest.approx(9 * 2.0 / 3600, abs=1e-4)
    text = (tmp_path / "report.md").read_text()
    for name in ("progress.png", "schedule.png", "distribution.png"):
        assert (tmp_path / name).stat().st_size > 1000
        assert f"({name})" in text
    # Once more: nothing is trained again.
    with open(os.devnull, "w") as out:
        assert command.run(made, workers=1, seeds=[3, 5], stream=out)["retrained"] == result["retrained"]
    assert len((summary.retrained_folder(made, best.number, 3) / "run/starts.txt").read_text().splitlines()) == 1


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_trial_of_another_machine_is_repeated_when_its_heartbeat_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "HEARTBEAT", 1)
    monkeypatch.setattr(studies, "GRACE", 1)
    made = plan(tmp_path, storage=f"sqlite:///{tmp_path}/s.db")
    study = studies.open_study(made)
    trial = study.ask()
    trial.set_user_attr(studies.HOST, "another machine")
    trial.set_user_attr(studies.LOCK, "/of/another/machine")
    study._storage.record_heartbeat(trial._trial_id)
    studies.repair(study, made)
    assert [t.state.name for t in study.get_trials()] == ["RUNNING"]
    time.sleep(3)
    studies.repair(study, made)
    assert [t.state.name for t in study.get_trials()] == ["FAIL", "WAITING"]


def test_marginals_of_a_dirichlet_are_betas():
    space = spaces.get("paper")
    theta = np.concatenate([[2.0, 3.0, 1.0, 4.0], np.arange(1.0, 33.0)])
    found = plots.marginals(space, theta)
    drawn = np.stack([space.sample(theta, np.random.default_rng(seed)) for seed in range(4000)])
    for (name, (a, b)), column in zip(found.items(), drawn.T, strict=True):
        assert column.mean() == pytest.approx(a / (a + b), abs=0.02), name
    assert found["f4.a4"] == (31.0, 32.0)


def test_the_progress_line(tmp_path):
    made = plan(tmp_path, trials=4)
    study = studies.open_study(made)
    study.tell(study.ask(), 0.25)
    study.tell(study.ask(), 0.75)
    failed = study.ask()
    failed.set_user_attr(studies.ERROR, "it broke")
    study.tell(failed, state=optuna.trial.TrialState.FAIL)
    study.ask()
    line = command.progress_line(made, studies.grouped(study.get_trials()))
    assert line.startswith("trials 3/4, 1 running, 1 failed | best 0.7500 (trial 1) | 0:00:0")
    assert line.endswith(" left")


def test_agreement_with_given_labels_is_not_called_accuracy(tmp_path):
    made = plan(tmp_path, trials=1, samples=1)
    with open(os.devnull, "w") as out:
        result = command.run(made, workers=1, seeds=[0], stream=out)
    assert "Trained anew at full length, accuracy of the test images" in (tmp_path / "report.md").read_text()
    done = summary.retrained_folder(made, result["best_trial"], 0) / "run" / "result.json"
    done.write_text(json.dumps({"judged_by": "given labels"}))
    with open(os.devnull, "w") as out:
        assert command.run(made, workers=1, seeds=[0], stream=out)["test"]["judged_by"] == "given labels"
    assert "agreement with given labels of the test images" in (tmp_path / "report.md").read_text()
