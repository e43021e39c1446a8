"""Steps of real cells, what they need first, and when a search is finished."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from scripts import tables
from scripts.reproduction import jobs, planning, results, showing

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("stem", "table", "steps"),
    [
        ("resnet101_cifar100_0.8_mentornet_pd", "icml_table2", 39_000),
        ("cifar10_20_ce", "l2b_table1", 300 * 95),  # 49,000 images, whole batches of 512
        ("mnist_sym20_standard", "s2e_fig3", 200 * 401),
        ("mnist_sym20_paper", "s2e_table2", (36 + 5) * 200 * 401),  # trainings of the search, and the best anew
        ("cifar10_20_dividemix", "l2b_table2", 2 * 300 * 390),
        ("uniform_plain", "cpu_tuned", 3 * 500),  # the trials; seeds come to it on the command line
    ],
)
def test_steps_of_real_cells(stem, table, steps):
    cell = next(cell for cell in tables.cells(table) if cell.stem == stem)
    assert planning.steps(cell) == steps


def test_a_cell_gets_what_it_needs_first_from_runs_of_the_same_seed(tmp_path):
    cells = {cell.stem: cell for name in ("l2rw_table2", "icml_table2") for cell in tables.cells(name, "paper")}
    tuned = jobs.Job(cells["cifar10_s_model_conf_ft"], 3, tmp_path)
    order = jobs.with_needs([tuned, jobs.Job(cells["cifar10_baseline"], 3, tmp_path)])
    assert [job.name for job in order] == [
        f"l2rw_table2_cifar10_{row}_seed3" for row in ("baseline", "s_model_conf", "s_model_conf_ft")
    ]
    assert f"--baseline_run={order[1].folder}" in order[2].arguments()
    learned = jobs.Job(cells["resnet101_cifar100_0.4_mentornet_dd"], 1, tmp_path, ("--data_dir=D",))
    (first,) = learned.needs()
    script, *flags = first.arguments()  # as the head of the recipe says it
    assert script == "scripts/mentornet_dd.py"
    assert set(flags) == {
        "--noise_fraction=0.4", "--train_examples=0", "--steps=39000", "--learn_only",
        "--flags=--studentnet=resnet101 --augmentation=cifar", "--seed=1", "--data_dir=D",
        f"--output={tmp_path / 'dd_resnet101_0.4_seed1'}",
    }  # fmt: skip
    assert not first.finished
    (first.folder / "mentornet").mkdir(parents=True)
    (first.folder / "mentornet" / "card.json").write_text("{}")
    assert first.finished
    assert f"--curriculum={first.folder}/mentornet" in learned.arguments()


def test_a_tuned_cell_is_searched_once_and_trained_with_every_seed(tmp_path):
    """Two of three seeds: shown with their mean, not finished; the csv has what was tried, and keeps other rows."""
    cell = next(cell for cell in tables.cells("cpu_tuned") if cell.stem == "uniform_focal_loss")
    assert planning.steps(cell, ("--retrain_seeds=0,1,2",)) == 3 * 500 + 3 * 1500
    job = jobs.Job(cell, 0, tmp_path, retrained=(0, 1, 2))
    assert job.folder == tmp_path / "cpu_tuned_uniform_focal_loss"
    assert {"--seed=0", "--retrain_seeds=0,1,2", f"--output={job.folder}"} <= set(job.arguments())
    later, more = (
        next(c for c in tables.cells("cpu_tuned") if c.stem == "human_fine_tuned"),
        ("--trial_steps=5", "--seed"),
    )
    (first,) = jobs.Job(later, 0, tmp_path, more=more).needs()
    assert (first.name, first.more) == ("cpu_tuned_human_first_seed0", ("--seed",))  # which is no search
    for number, gamma in enumerate("312"):
        (job.folder / "trials" / f"{number:04d}").mkdir(parents=True)
        (job.folder / "trials" / f"{number:04d}" / "parameters.json").write_text(json.dumps({"gamma": gamma}))
    (job.folder / "progress.csv").write_text("trial,score\n2,0.5\n0,0.25\n1,\n")
    (job.folder / "result.json").write_text(json.dumps({"best_trial": 2, "parameters": {"gamma": "2"}, "hours": 0.05}))
    for seed, accuracy in ((0, 0.4), (2, 0.5)):
        run = job.folder / "retrained" / f"trial0002_seed{seed}" / "run"
        run.mkdir(parents=True)
        (run / "result.json").write_text(json.dumps({"accuracy_last": accuracy, "seconds": 60}))
    assert not job.finished
    assert jobs.Job(cell, 0, tmp_path, retrained=(0, 2)).finished
    ours = results.of_runs(tables.tables()["cpu_tuned"], [job])
    assert (ours.mean, ours.seeds) == (pytest.approx(45.0), 2)
    target = tmp_path / "out.csv"
    target.write_text("recipe,seeds,accuracy_last\nother,1,0.1\nuniform_focal_loss,1,0.9\n")
    showing.record([job], target)
    other, row = csv.DictReader(target.open(newline=""))
    assert (other["recipe"], other["accuracy_last"]) == ("other", "0.1")
    assert row["tried"] == "gamma=1: nan; gamma=2: 0.500; gamma=3: 0.250"
    assert (row["chosen"], row["seeds"], row["accuracy_last"], row["minutes"]) == ("gamma=2", "2", "0.45", "1.0")
    assert (row["noise"], row["may_know"], row["tuning_minutes"]) == ("uniform", "noisy labels alone", "3.0")
    showing.record([jobs.Job(cell, 0, tmp_path, retrained=(0,))], target)  # fewer seeds replace nothing
    assert [one["seeds"] for one in csv.DictReader(target.open(newline=""))] == ["1", "2"]


def test_a_search_is_finished_when_its_best_is_trained_anew(tmp_path):
    cell = next(cell for cell in tables.cells("s2e_table2") if cell.stem == "mnist_sym50_paper")
    job = jobs.Job(cell, 0, tmp_path)
    job.folder.mkdir()
    for seeds, finished in ((0, False), (4, False), (5, True)):
        retrained = [{"seed": seed, "accuracy_best": 0.969} for seed in range(seeds)]
        test = {"accuracy_best": 0.969 if seeds else None}
        (job.folder / "result.json").write_text(json.dumps({"retrained": retrained, "test": test}))
        assert job.finished is finished
    table = tables.tables()["s2e_table2"]
    ours, paper = results.of_runs(table, [job]), results.of_paper(table, cell)
    assert ours is not None
    assert paper is not None
    assert (ours.mean, paper.value) == (pytest.approx(96.9), pytest.approx(96.9))
