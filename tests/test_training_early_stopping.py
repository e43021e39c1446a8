"""Which step a hold-out chooses: lowest loss or highest accuracy, from tables written by hand."""

from __future__ import annotations

import pytest

from mentornet.training.early_stopping import COLUMNS, best_step, early_stopped_figures
from mentornet.training.metrics_table import MetricsTable
from tests.run_folders import make_run

# Step, accuracy, loss: a student that grows sure of its mistakes gets better by accuracy and worse by loss.
TABLE = [(100, 0.50, 1.4), (200, 0.62, 1.1), (300, 0.65, 1.3), (400, 0.65, 1.1), (500, 0.64, 2.0)]


@pytest.mark.parametrize(("criterion", "step", "accuracy"), [("loss", 200, 0.6), ("accuracy", 300, 0.7)])
def test_the_first_of_the_best_rows_is_chosen(criterion, step, accuracy, tmp_path):
    workdir = make_run(tmp_path / "run", accuracy=[0.3, 0.6, 0.7, 0.8, 0.75])
    assert early_stopped_figures(workdir, criterion) == {}
    table = MetricsTable(workdir.path / "holdout.csv", COLUMNS)
    for row in TABLE:
        table.append_row(dict(zip(COLUMNS, row, strict=True)))
    assert best_step(table, criterion) == step
    assert early_stopped_figures(workdir, criterion) == {"early_stopped_step": step, "accuracy_early_stopped": accuracy}
