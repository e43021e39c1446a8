"""Figures 3, 5 and 10 from run folders, and the schedules that come with the package."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from mentornet.methods import keep_schedule
from mentornet.methods.keep_schedule import KeepSchedule
from scripts import search_figures, search_ship


def made_run(folder, columns, steps, **result):
    folder.mkdir()
    rows = zip(*columns.values(), strict=True)
    text = [
        ",".join(["step", *columns]),
        *(f"{s},{','.join(map(str, row))}" for s, row in zip(steps, rows, strict=True)),
    ]
    (folder / "metrics.csv").write_text("\n".join(text) + "\n")
    (folder / "result.json").write_text(json.dumps({"seed": 3, "train_examples": 80, "steps": steps[-1], **result}))
    return folder


def table(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_curves_of_two_networks_are_their_mean(tmp_path):
    accuracy = np.linspace(0.5, 0.9, 40)
    two = {
        "eval_accuracy": accuracy + 0.05,
        "eval_accuracy_peer_mean": accuracy,
        "label_precision_peer_1": np.full(40, 0.8),
        "label_precision_peer_2": np.full(40, 0.9),
    }
    steps = list(range(10, 410, 10))
    pair = made_run(tmp_path / "pair", two, steps)
    plain = made_run(tmp_path / "plain", {"eval_accuracy": accuracy[::-1]}, steps)
    output = tmp_path / "figures" / "made_up"
    assert search_figures.main(["curves", "--runs", f"pair={pair}", f"plain={plain}", "--output", str(output)]) == 0
    first, second = table(output.with_suffix(".csv"))
    assert (first["accuracy_last"], first["accuracy_best"], first["label_precision_last"]) == ("0.9", "0.9", "0.85")
    assert float(first["accuracy_mean_last_5_percent"]) == pytest.approx(accuracy[-2:].mean(), abs=1e-5)
    assert (second["accuracy_last"], second["accuracy_best"], second["label_precision_last"]) == ("0.5", "0.9", "")
    assert len(table(tmp_path / "figures" / "made_up_curves.csv")) == 80
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def made_search(folder, scores, **result):
    folder.mkdir()
    best = np.maximum.accumulate(scores)
    rows = [f"{k},complete,{a},{b},5,{k + 1}.0" for k, (a, b) in enumerate(zip(scores, best, strict=True))]
    (folder / "progress.csv").write_text("trial,state,score,best,epochs,trainings\n" + "\n".join(rows) + "\n")
    said = {"space": "paper()", "sampler": "newton", "search_seed": 0, "test": None, **result}
    (folder / "result.json").write_text(json.dumps(said))
    return folder


def test_searches_are_compared_by_their_best_scores_and_their_means(tmp_path):
    rising = made_search(tmp_path / "rising", [0.1, 0.4, 0.3, 0.5, 0.2, 0.7, 0.6, 0.8])
    flat = made_search(
        tmp_path / "flat", [0.6, 0.2, 0.4, 0.4], sampler="random", test={"accuracy_mean_last_10": 0.75}
    )  # fmt: skip
    output = tmp_path / "figure6"
    arguments = ["searches", "--runs", f"newton={rising}", f"random={flat}", "--output", str(output)]
    assert search_figures.main(arguments) == 0
    first, second = table(output.with_suffix(".csv"))
    found = [float(first[f"best_{k}"]) for k in (1, 2, 3, 4)]
    assert found == [0.4, 0.5, 0.7, 0.8]
    assert (float(first["mean"]), float(first["mean_last_quarter"]), first["test_retrained"]) == (0.45, 0.7, "")
    assert (second["sampler"], second["best_1"], second["mean"], second["test_retrained"]) == (
        "random", "0.6", "0.4", "0.75"
    )  # fmt: skip
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_the_fit_of_figure_10_is_as_close_as_the_space_allows(tmp_path):
    """(rmse, largest difference), computed apart from this project."""
    assert search_figures.main(["fit", "--output", str(tmp_path / "fit")]) == 0
    found = [(float(row["rmse"]), float(row["largest_difference"])) for row in table(tmp_path / "fit.csv")]
    np.testing.assert_allclose(found, [(0.009, 0.06), (0.021, 0.05), (0.007, 0.02), (0.067, 0.16)], atol=0.005)


def test_a_command_that_cannot_be_followed_is_one_sentence(tmp_path, capsys):
    for arguments in (["curves"], ["fit", "--runs", "a=b"], ["curves", "--runs", f"a={tmp_path}"]):
        with pytest.raises(SystemExit) as ended:
            search_figures.main([*arguments, "--output", str(tmp_path / "x")])
        assert ended.value.code == 2
        assert capsys.readouterr().err.count("error: ") == 1


def test_a_search_folder_becomes_a_schedule_with_a_name(tmp_path, monkeypatch, capsys):
    search, shelf = tmp_path / "search", tmp_path / "shelf"
    search.mkdir()
    (search / "R.csv").write_text("1.0\n0.5\n")
    (search / "card.json").write_text(json.dumps({"epochs": 2, "retrained": []}))
    accuracies = {"accuracy_last": 0.75, "accuracy_mean_last_10": 0.5, "accuracy_best": 1.0}
    runs = [made_run(tmp_path / f"run{k}", {"a": [0.0]}, [9], **accuracies) for k in range(2)]
    asked = [str(search), "mine", "--output", str(shelf), "--runs", *map(str, runs)]
    assert search_ship.main(asked) == 0
    monkeypatch.setattr(keep_schedule, "SHIPPED", shelf)
    np.testing.assert_array_equal(KeepSchedule("searched:mine").rates(2), [1.0, 0.5])
    np.testing.assert_array_equal(KeepSchedule("searched:mine,hold").rates(3), [1.0, 0.5, 0.5])
    card = json.loads((shelf / "mine" / "card.json").read_text())
    assert card["test"] == {"seeds": 2, **accuracies}
    with pytest.raises(FileNotFoundError, match=r"there is no such folder: .*, or one of mine"):
        KeepSchedule("searched:yours")
    for wrong in ([str(search), "../mine"], [str(tmp_path), "mine"]):
        with pytest.raises(SystemExit):
            search_ship.main([*wrong, "--output", str(shelf)])
        assert capsys.readouterr().err.count("error: ") == 1


def test_schedules_of_the_package_are_as_long_as_their_cards_say():
    assert "mnist_sym50" in keep_schedule.shipped()
    for name in keep_schedule.shipped():
        card = json.loads((keep_schedule.SHIPPED / name / "card.json").read_text())
        rates = KeepSchedule(f"searched:{name}").rates(card["epochs"])
        assert rates[0] > 0.9  # in the beginning nothing is memorised yet
        assert {"dataset_name", "noise_type", "noise_fraction", "method"} <= set(card["found_for"])
