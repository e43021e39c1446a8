"""train_cifar.py on real clusters of processes on localhost, killed in the middle with SIGKILL."""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from scripts.local_cluster import LocalCluster, reached
from tests import processes
from tests.forked_cluster import ForkedCluster
from tests.processes import PATIENCE

DIGITS = [
    "--dataset_name=digits", "--noise_type=uniform", "--noise_fraction=0.4", "--studentnet=small_cnn",
    "--curriculum=mentornet_pd", "--weight_decay=1e-4", "--batch_size=32", "--learning_rate=0.002",
    "--noshow_progress",
]  # fmt: skip

pytestmark = pytest.mark.slow


def command(strategy: str, run: Path, *flags: str) -> list[str]:
    where = [f"--distribution_strategy={strategy}", f"--train_log_dir={run}"]
    return [sys.executable, "train_cifar.py", *DIGITS, *flags, *where]


def train(command: list[str], tasks: dict[str, int], run: Path, kills: dict[int, str], delay: float) -> LocalCluster:
    """Runs a job; ``kills`` says who is killed, ``delay`` seconds after the run has written the row of a step."""
    with ForkedCluster(command, tasks, run.with_name("logs"), show_chief=False) as running:
        until, due = time.monotonic() + PATIENCE, sorted(kills)
        while (code := running.supervise()) is None:
            assert time.monotonic() < until, running.log(running.chief).read_text()[-2000:]
            if due and reached(run) >= due[0]:
                time.sleep(delay)
                running.kill(kills[due.pop(0)])
            time.sleep(0.05)
        assert code == 0, running.log(running.chief).read_text()[-2000:]
        assert not due
        running.stop(grace=30)
    return running


def rows(run: Path) -> list[dict[str, float]]:
    with open(run / "metrics.csv", newline="") as stream:
        return [{name: float(cell or "nan") for name, cell in row.items()} for row in csv.DictReader(stream)]


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def student_weights(run: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(run / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("method/student/layer")]
    return {name: reader.get_tensor(name) for name in names}


def test_multi_worker_loses_a_worker_and_ends_like_one_device(tmp_path):
    short = ["--max_number_of_steps=45", "--eval_every_steps=15", "--synchronized_batch_norm"]
    alone, together = tmp_path / "alone", tmp_path / "together"
    done = processes.run(command("one_device", alone, *short))
    assert done.returncode == 0, done.stderr
    running = train(command("multi_worker", together, *short), {"worker": 2}, together, {30: "worker:1"}, delay=0.0)
    assert running.restarts == {"worker:0": 1, "worker:1": 1}  # the chief noticed, left, and came back too
    told = running.log("worker:0").read_text()
    assert "another process of the cluster is gone" in told
    assert "continuing from step 15 of 45" in told or "continuing from step 30 of 45" in told
    assert len(json.loads((together / "run.json").read_text())["resumed"]) == 1
    expected = student_weights(alone)
    assert expected
    for name, found in student_weights(together).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-3, atol=1e-3, err_msg=name)
    for found_row, row in zip(rows(together), rows(alone), strict=True):
        for column in set(row) - {"seconds"}:
            assert found_row[column] == pytest.approx(row[column], rel=1e-2, abs=1e-2, nan_ok=True), column
    assert result(together)["distribution"] == {"strategy": "multi_worker", "replicas": 2, "workers": 2}
    for file in ("samples.csv", "suspects.png", "student.keras", "labels.npz"):
        assert (together / file).is_file(), file


def test_asynchronous_training_loses_a_worker_but_no_step(tmp_path):
    run = tmp_path / "run"
    flags = ["--max_number_of_steps=400", "--eval_every_steps=200"]
    tasks = {"chief": 1, "worker": 2, "ps": 1}
    running = train(command("parameter_server", run, *flags), tasks, run, {200: "worker:1"}, delay=1.0)
    assert running.restarts == {"chief:0": 0, "worker:0": 0, "worker:1": 1, "ps:0": 0}
    steps = [row["step"] for row in rows(run)]
    assert steps[0] == 200  # nobody had died yet: what was scheduled is what was counted
    assert 400 <= steps[1] <= 401  # the worker may have died between its update and its answer
    assert result(run)["steps"] == steps[-1]
    assert result(run)["distribution"] == {"strategy": "parameter_server", "replicas": 1, "workers": 2}
    assert result(run)["accuracy_last"] > 0.5  # it learned: chance is 0.1
    for name in ("worker:0", "worker:1", "ps:0"):
        assert running.processes[name].returncode == 0  # serving ends with the run
    reader = tf.train.load_checkpoint(str(run / "checkpoints"))
    visits = reader.get_tensor("method/weight_visits/.ATTRIBUTES/VARIABLE_VALUE").sum() / 32
    # 400 steps of 32 are 8.9 epochs of 1,437: from the eighth on (step 314), give or take the steps under way then.
    assert visits == pytest.approx(steps[-1] - 314, abs=3)


def test_asynchronous_training_resumes_after_its_chief_and_its_server_died(tmp_path):
    run = tmp_path / "run"
    flags = ["--max_number_of_steps=240", "--eval_every_steps=80"]
    tasks = {"chief": 1, "worker": 2, "ps": 1}
    kills = {80: "chief:0", 160: "ps:0"}
    running = train(command("parameter_server", run, *flags), tasks, run, kills, delay=0.3)
    assert running.restarts == {"chief:0": 2, "worker:0": 0, "worker:1": 0, "ps:0": 1}
    assert len(json.loads((run / "run.json").read_text())["resumed"]) == 2
    steps = [row["step"] for row in rows(run)]
    assert steps == sorted(set(steps))
    assert 240 <= steps[-1] <= 243
    assert result(run)["accuracy_last"] > 0.5
