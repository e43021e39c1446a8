"""scripts/local_cluster.py as a supervisor: what it restarts, what it gives up on, and that nothing outlives it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mentornet.training.distribution import cluster, serving
from scripts import local_cluster
from scripts.local_cluster import LocalCluster
from tests.processes import PATIENCE

# Plays a process of a job: TF_CONFIG tells which one. Files in the working folder count its starts.
ACTOR = """
import json, os, pathlib, sys, time
task = json.loads(os.environ["TF_CONFIG"])["task"]
name = f"{task['type']}{task['index']}"
starts = pathlib.Path(sys.argv[1]) / name
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
count = len(starts.read_text())
"""


def actor(folder: Path, play: str) -> list[str]:
    return [sys.executable, "-c", ACTOR + play, str(folder)]


def supervised(running: LocalCluster, **settings: int) -> int:
    until = time.monotonic() + PATIENCE
    while (code := running.supervise(**settings)) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return code


def test_every_process_gets_its_own_task_of_one_cluster(tmp_path):
    play = "print(os.environ['TF_CONFIG'])"
    with LocalCluster(actor(tmp_path, play), {"chief": 1, "worker": 2, "ps": 1}, tmp_path / "logs", False) as running:
        assert supervised(running) == 0
    configs = [running.log(name).read_text() for name in ("chief:0", "worker:0", "worker:1", "ps:0")]
    roles = [cluster.parse(text, "parameter_server") for text in configs]
    assert [role.name for role in roles] == ["chief 0", "worker 0", "worker 1", "ps 0"]
    assert len({role.address for role in roles}) == 4
    assert len({json.dumps(json.loads(text)["cluster"]) for text in configs}) == 1


def test_killed_processes_and_lost_peers_are_started_again(tmp_path):
    play = f"""
if name == "worker0" and count < 3:
    sys.exit({serving.PEER_LOST}) if count == 1 else os.kill(os.getpid(), 9)
worker = starts.with_name("worker0")
while name == "chief0" and not (worker.exists() and worker.read_text() == "xxx"):
    time.sleep(0.05)
"""
    with LocalCluster(actor(tmp_path, play), {"chief": 1, "worker": 1}, tmp_path / "logs", False) as running:
        assert supervised(running) == 0
    assert running.restarts == {"chief:0": 0, "worker:0": 2}


def test_a_mistake_ends_the_job_with_its_exit_code(tmp_path):
    play = "sys.exit(3) if name == 'worker0' else time.sleep(6000)"
    with LocalCluster(actor(tmp_path, play), {"chief": 1, "worker": 1}, tmp_path / "logs", False) as running:
        assert supervised(running) == 3
        running.stop(grace=0)
    assert running.restarts == {"chief:0": 0, "worker:0": 0}


def test_a_process_that_keeps_dying_ends_the_job(tmp_path):
    play = f"sys.exit({serving.PEER_LOST})"
    with LocalCluster(actor(tmp_path, play), {"worker": 1}, tmp_path / "logs", False) as running:
        assert supervised(running, most_restarts=2) == serving.PEER_LOST
    assert running.restarts == {"worker:0": 2}


def test_nothing_outlives_the_cluster(tmp_path):
    play = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(6000)"])
starts.with_name("child").write_text(str(child.pid))
time.sleep(6000)
"""
    with LocalCluster(actor(tmp_path, play), {"worker": 1}, tmp_path / "logs", False) as running:
        until = time.monotonic() + PATIENCE
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        running.stop(grace=0)
    child = Path("/proc") / (tmp_path / "child").read_text()
    until = time.monotonic() + 10
    while child.exists() and "\nState:\tZ" not in (child / "status").read_text():  # gone, or only waiting to be buried
        assert time.monotonic() < until
        time.sleep(0.05)


def test_progress_is_read_from_the_run_folder(tmp_path):
    assert local_cluster.reached(tmp_path) == 0
    (tmp_path / "metrics.csv").write_text("step,seconds\n")
    assert local_cluster.reached(tmp_path) == 0
    (tmp_path / "metrics.csv").write_text("step,seconds\n20,1.5\n40,2.5\n")
    assert local_cluster.reached(tmp_path) == 40


@pytest.mark.parametrize("flags", [["--kill=worker:7@10"], ["--kill=worker:0"], ["--workers=0"]])
def test_wrong_arguments_name_what_there_is(flags):
    command = [sys.executable, "scripts/local_cluster.py", *flags]
    done = subprocess.run(command, cwd=local_cluster.ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert "chief:0" in done.stderr


def test_the_exit_code_it_restarts_is_the_one_a_lost_peer_gives():
    assert local_cluster.RESTART == serving.PEER_LOST
