"""Two commands on one study in a real PostgreSQL database, where its programs and a driver are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna")

from mentornet.search import study as studies  # noqa: E402
from tests.search_plans import plan  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def postgresql():
    """The address of a PostgreSQL server of its own; it refuses to run as root, so root becomes somebody else."""
    if not (shutil.which("initdb") and shutil.which("postgres")):
        pytest.skip("PostgreSQL's programs initdb and postgres are not installed")
    if not any(importlib.util.find_spec(name) for name in ("psycopg2", "psycopg")):
        pytest.skip("no driver of PostgreSQL is installed (psycopg2 or psycopg)")
    driver = "psycopg2" if importlib.util.find_spec("psycopg2") else "psycopg"
    folder = Path(tempfile.mkdtemp())  # pytest's own are closed to others
    become = []
    if os.geteuid() == 0:
        if not shutil.which("runuser"):
            pytest.skip("PostgreSQL does not run as root, and there is no runuser to become somebody else")
        shutil.chown(folder, "nobody")
        become = ["runuser", "-u", "nobody", "--"]
    data, port = folder / "data", free_port()
    subprocess.run(
        [*become, "initdb", "-D", data, "-A", "trust", "-U", "me"], check=True, capture_output=True, cwd=folder
    )
    arguments = ["-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F"]
    log = folder / "log.txt"
    with open(log, "wb") as stream:
        server = subprocess.Popen([*become, "postgres", *map(str, arguments)], stderr=stream, cwd=folder)
    until = time.monotonic() + 60
    while "ready to accept connections" not in log.read_text():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    yield f"postgresql+{driver}://me@127.0.0.1:{port}/postgres"
    server.terminate()
    server.wait()
    shutil.rmtree(folder)


@pytest.mark.slow
def test_two_commands_share_a_study_on_a_postgresql_server(postgresql, tmp_path):
    """As on two machines: nothing but the server in common, and one of them is killed in its first training."""
    made = [plan(tmp_path / name, "--pause=0.1", storage=postgresql, trials=6) for name in ("one", "two")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = []
    for each in made:
        studies.open_study(each)
        process = subprocess.Popen(
            [sys.executable, "-m", "mentornet.search.worker"], stdin=subprocess.PIPE, text=True, env=environment
        )
        process.stdin.write(each.to_json())
        process.stdin.close()
        processes.append(process)
    until = time.monotonic() + 60
    while not list((tmp_path / "one").rglob("starts.txt")) and time.monotonic() < until:
        time.sleep(0.02)
    processes[0].kill()
    assert processes[1].wait(120) == 0
    groups = studies.grouped(studies.open_study(made[1]).get_trials())
    assert len(groups) == 6
    assert all(tries.done for tries in groups)
    assert sum(tries.repeated for tries in groups) == 1
    with pytest.raises(ValueError, match="made with samples 3 and not 5"):
        studies.open_study(plan(tmp_path / "three", storage=postgresql, samples=5))
