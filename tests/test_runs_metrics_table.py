"""metrics.csv: exact numbers, whole rows after a kill, and the figures that follow from it; literals are the oracle."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mentornet.files import RunFolderError
from mentornet.runs.metrics_table import METRIC_COLUMNS, MetricsTable, summarise
from tests.processes import PATIENCE


class TestMetrics:
    def test_values_come_back_exactly(self, tmp_path):
        rng = np.random.default_rng(0)
        table = MetricsTable(tmp_path / "metrics.csv")
        losses = [*rng.normal(size=50), 1 / 3, 5e-324, np.inf]
        for k, loss in enumerate(losses):
            table.append_row(
                {"step": np.int64(k), "raw_loss": loss, "eval_loss": np.float32(loss), "eval_accuracy": None}
            )
        with open(tmp_path / "metrics.csv", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert tuple(rows[0]) == METRIC_COLUMNS
        assert [float(row["raw_loss"]) for row in rows] == losses
        assert rows[0]["step"] == "0"
        assert rows[0]["eval_accuracy"] == rows[0]["weights_auc"] == ""
        read = table.read()
        np.testing.assert_array_equal(read["eval_loss"], np.asarray(losses, np.float32).astype(np.float64))
        assert np.isnan(read["eval_accuracy"]).all()

    def test_resumed_file_equals_the_uninterrupted_one(self, tmp_path):
        rows = [{"step": 10 * k, "raw_loss": 1 / k, "eval_accuracy": None if k == 2 else k / 7} for k in range(1, 6)]
        whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
        for row in rows:
            MetricsTable(whole).append_row(row)
        table = MetricsTable(resumed)
        for row in rows[:4]:
            table.append_row(row)
        with open(resumed, "a") as stream:
            stream.write("50,0.3")  # killed while writing
        table = MetricsTable(resumed)
        assert table.truncate_after(25) == 2
        for row in rows[2:]:
            table.append_row(row)
        assert resumed.read_bytes() == whole.read_bytes()

    @pytest.mark.parametrize("cut", [1, 5, 40])
    def test_unfinished_last_line_is_dropped(self, tmp_path, cut):
        path = tmp_path / "metrics.csv"
        for step in (1, 2, 3):
            MetricsTable(path).append_row({"step": step, "eval_accuracy": 0.123456789})
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines)[:-cut])  # also by the line end alone: the number may be cut too
        kept = 2 if cut < len(lines[-1]) else 1
        assert MetricsTable(path).read()["step"].tolist() == [1, 2][:kept]
        MetricsTable(path).append_row({"step": 9})
        assert MetricsTable(path).read()["step"].tolist() == [*[1, 2][:kept], 9]

    def test_row_of_the_checkpoint_itself_stays(self, tmp_path):
        for step in (10, 20, 30):
            MetricsTable(tmp_path / "m").append_row({"step": step})
        assert MetricsTable(tmp_path / "m").truncate_after(20) == 2
        assert MetricsTable(tmp_path / "m").read()["step"].tolist() == [10, 20]

    def test_truncating_to_nothing_and_without_a_file(self, tmp_path):
        table = MetricsTable(tmp_path / "metrics.csv")
        assert table.truncate_after(5) == 0
        assert table.read()["step"].shape == (0,)
        table.append_row({"step": 10})
        assert table.truncate_after(5) == 0
        assert (tmp_path / "metrics.csv").read_text() == ",".join(METRIC_COLUMNS) + "\n"
        table.append_row({"step": 3})
        assert table.read()["step"].tolist() == [3]

    def test_file_without_a_whole_header(self, tmp_path):
        (tmp_path / "metrics.csv").write_text("step,epo")
        table = MetricsTable(tmp_path / "metrics.csv")
        assert table.read()["raw_loss"].shape == (0,)
        table.append_row({"step": 1})
        assert table.read()["step"].tolist() == [1]

    def test_steps_must_increase(self, tmp_path):
        MetricsTable(tmp_path / "m").append_row({"step": 10})
        with pytest.raises(ValueError, match="already has step 10, so step 10 cannot follow"):
            MetricsTable(tmp_path / "m").append_row({"step": 10})

    def test_unknown_column(self, tmp_path):
        with pytest.raises(ValueError, match=r"Unknown metrics \['acuracy'\]"):
            MetricsTable(tmp_path / "m").append_row({"step": 10, "acuracy": 1})

    def test_damaged_line_is_named(self, tmp_path):
        (tmp_path / "m").write_text("step,a\n1,2\n2,x\n3,4\n")
        with pytest.raises(RunFolderError, match="damaged in line 3"):
            MetricsTable(tmp_path / "m", ["step", "a"]).read()
        (tmp_path / "m").write_text("step,a\n1,2\n2\n3,4\n")
        with pytest.raises(RunFolderError, match="damaged in line 3"):
            MetricsTable(tmp_path / "m", ["step", "a"]).read()

    def test_other_columns_are_refused(self, tmp_path):
        (tmp_path / "m").write_text("step,a\n1,2\n")
        with pytest.raises(RunFolderError, match="other columns"):
            MetricsTable(tmp_path / "m", ["step", "b"]).append_row({"step": 2})

    @pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
    def test_killed_writer_leaves_whole_rows(self, tmp_path):
        code = textwrap.dedent("""
            import os, signal, sys
            from mentornet.runs.metrics_table import MetricsTable
            table = MetricsTable(sys.argv[1])
            for step in range(1, 30):
                table.append_row({"step": step, "raw_loss": 1 / step})
            with open(sys.argv[1], "ab", buffering=0) as stream:
                stream.write(b"30,0.03")
            os.kill(os.getpid(), signal.SIGKILL)
        """)
        command = [sys.executable, "-c", code, str(tmp_path / "metrics.csv")]
        killed = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], timeout=PATIENCE)
        assert killed.returncode == -signal.SIGKILL
        read = MetricsTable(tmp_path / "metrics.csv").read()
        assert read["raw_loss"].tolist() == [1 / step for step in range(1, 30)]


class TestSummary:
    def test_by_hand(self):
        nan = np.nan
        metrics = {
            "step": np.arange(1, 14) * 100.0,
            "seconds": np.arange(1, 14) * 4.0,
            "eval_accuracy": np.array([0.9, nan, *[0.1 * k for k in range(10)], nan]),
            "weights_auc": np.array([*[0.5] * 11, 0.75, nan]),
            "data_utilisation": np.full(13, nan),
        }
        found = summarise(metrics)
        assert found.pop("accuracy_mean_last_10") == pytest.approx(0.45)
        assert found == {
            "accuracy_last": 0.9,
            "accuracy_best": 0.9,
            "accuracy_best_step": 100,
            "steps": 1300,
            "seconds": 52.0,
            "steps_per_second": 25.0,
            "weights_auc": 0.75,
            "data_utilisation": None,
        }

    def test_nothing_yet(self, tmp_path):
        found = summarise(MetricsTable(tmp_path / "m").read())
        assert found.pop("steps") == 0
        assert set(found.values()) == {None}
