"""The comparison of architectures: its statistics, its files, and that a stopped one goes on where it was."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from PIL import Image

from mentornet.learning import architecture_comparison
from mentornet.learning import comparison_results as results_of
from mentornet.learning.comparison_results import Cell

BUDGET = architecture_comparison.Budget(rows=200, steps=4, runs=2)
CELLS = [Cell("self_paced", "logistic"), Cell("focal_loss", "logistic")]


def test_intervals_are_students():
    # 90% of Student's t with 4 degrees of freedom lie within 2.131847; scipy.stats.t.ppf(0.95, 4).
    values = [1.0, 2.0, 3.0, 4.0, 10.0]
    mean, interval = results_of.mean_and_interval(values)
    assert mean == 4.0
    assert interval == pytest.approx(2.131847 * np.std(values, ddof=1) / math.sqrt(5), rel=1e-4)
    mean, interval = results_of.mean_and_interval([0.5])
    assert mean == 0.5
    assert math.isnan(interval)


@pytest.mark.parametrize(
    ("mean", "interval", "text"),
    [
        (8.9e-3, 0.8e-3, "8.9±0.8E-3"),
        (1.2e-4, 1.1e-4, "1.2±1.1E-4"),
        (0.0, 0.0, "0.0±0.0E0"),
        (2e-6, math.nan, "2.0E-6"),
    ],
)
def test_notation_is_the_papers(mean, interval, text):
    assert results_of.scientific(mean, interval) == text


def test_the_papers_table():
    # The paper's MentorNet wins every row, and the logistic network's temporal mixture is its worst cell.
    assert all(min(row)[0] == row[-1][0] for row in results_of.PAPER.values())
    assert max(cell[0] for row in results_of.PAPER.values() for cell in row) == 1.8e-1
    assert list(results_of.PAPER) == list(results_of.SCHEMES)


def test_cells_are_the_table_and_the_explicit_figure():
    every = architecture_comparison.cells(list(results_of.SCHEMES), list(results_of.ARCHITECTURES))
    assert len(every) == len(set(every)) == 6 * 5 + 2
    assert [cell for cell in every if cell.objective == "explicit"] == [
        Cell("self_paced", "mentornet", "explicit"),
        Cell("spcl_linear", "mentornet", "explicit"),
    ]
    assert architecture_comparison.cells(["focal_loss"], ["mlp"]) == [Cell("focal_loss", "mlp")]


def test_a_stopped_comparison_goes_on_and_ends_the_same(tmp_path, capsys, monkeypatch):
    whole = architecture_comparison.compare(CELLS, BUDGET, tmp_path / "whole", jit_compile=False)
    architecture_comparison.compare(CELLS[:1], BUDGET, tmp_path / "parts", jit_compile=False)
    learned = []
    run = architecture_comparison.CellRunner.run
    monkeypatch.setattr(
        architecture_comparison.CellRunner, "run", lambda self, cell: learned.append(cell) or run(self, cell)
    )
    parts = architecture_comparison.compare(CELLS, BUDGET, tmp_path / "parts", jit_compile=False)
    assert learned == CELLS[1:]
    assert "1 of 2 cells are finished" in capsys.readouterr().out
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert files == [
        "appendix_d_convergence.png", "appendix_d_explicit.png", "appendix_d_runs.csv",
        "appendix_d_table1.csv", "appendix_d_table1.md",
    ]  # fmt: skip
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    assert list(whole) == list(parts) == CELLS
    # Two runs of a cell begin from different values and see different orders.
    first, second = results_of.final_errors(whole, CELLS[0])
    assert first != second
    with open(tmp_path / "whole" / "appendix_d_table1.csv") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["scheme", "architecture", "mse_mean", "mse_ci90", "runs"]
    assert rows[0]["scheme"], rows[0]["architecture"] == ("self_paced", "logistic")
    assert float(rows[0]["mse_mean"]) == pytest.approx((first + second) / 2, rel=1e-3)
    # Half the distance of two values, times 6.3138, the 95th percentile of t with one degree of freedom.
    assert float(rows[0]["mse_ci90"]) == pytest.approx(6.3138 * abs(first - second) / 2, rel=1e-3)
    assert rows[0]["runs"] == "2"


def _results(**errors):
    return {
        Cell("self_paced", name): [[(10, 0.5), (20, error)], [(10, 0.5), (20, error)]] for name, error in errors.items()
    }


def test_the_markdown_table_marks_the_best_and_shows_the_paper():
    lines = results_of.markdown(_results(logistic=2e-3, mlp=3e-5)).splitlines()
    assert lines[2] == "| Self-paced | ours | 2.0±0.0E-3 | **3.0±0.0E-5** | - | - | - |"
    assert lines[3] == "|  | paper | 8.9±0.8E-3 | 1.1±0.3E-5 | 4.9±1.0E-2 | 1.6±1.0E-2 | **1.6±0.5E-6** |"
    assert len(lines) == 2 + 2 * 6


def test_figures_show_the_curves(tmp_path):
    few, more = _results(mlp=1e-3), _results(mlp=1e-3, mentornet=1e-5)
    pictures = []
    for results in (few, more):
        results_of.draw_convergence(tmp_path, results)
        results_of.draw_explicit(tmp_path, results)
        pictures.append(
            [
                np.asarray(Image.open(tmp_path / name))
                for name in (results_of.CONVERGENCE_FILE, results_of.EXPLICIT_FILE)
            ]
        )
    for before, after in zip(*pictures, strict=True):
        assert np.any(before != after)


def test_other_budgets_and_damaged_files_are_refused(tmp_path):
    budget = BUDGET.values()
    results = _results(mlp=1e-3)
    results_of.write_runs(tmp_path, results, budget)
    assert results_of.read_runs(tmp_path, budget) == results
    with pytest.raises(
        ValueError, match=r"was made with 'rows=200 steps=4 runs=2 seed=0 learning_rate=.*', not 'rows=200 steps=5"
    ):
        results_of.read_runs(tmp_path, {**budget, "steps": 5})
    path = tmp_path / "appendix_d_runs.csv"
    path.write_text(path.read_text().replace("0.001", "much"))
    with pytest.raises(ValueError, match="is damaged"):
        results_of.read_runs(tmp_path, budget)
    assert results_of.read_runs(tmp_path / "absent", budget) == {}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--schemes=self_paced,magic", "'magic' is not one of self_paced, hard_example_mining"),
        ("--architectures=forest", "'forest' is not one of logistic, mlp"),
        ("--runs=11", "runs=11: use 1 to 10"),
    ],
)
def test_the_command_explains_bad_input(argument, message, tmp_path, capsys):
    assert architecture_comparison.main([f"--output={tmp_path / 'new'}", argument]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
