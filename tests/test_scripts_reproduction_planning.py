"""Steps of real cells, what they need first, and when a search is finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import tables
from scripts.reproduction import jobs, planning, results

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("stem", "table", "steps"),
    [
        ("resnet101_cifar100_0.8_mentornet_pd", "icml_table2", 39_000),
        ("cifar10_20_ce", "l2b_table1", 300 * 95),  # 49,000 images, whole batches of 512
        ("mnist_sym20_standard", "s2e_fig3", 200 * 401),
        ("mnist_sym20_paper", "s2e_table2", (36 + 5) * 200 * 401),  # trainings of the search, and the best anew
        ("cifar10_20_dividemix", "l2b_table2", 2 * 300 * 390),
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
