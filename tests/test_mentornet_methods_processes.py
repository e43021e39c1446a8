"""Methods that choose samples, on two worker processes: each holds what one device holds, as the choice is global."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest

from scripts.local_cluster import free_ports
from tests import processes

SELECTING = ("small_loss", "decoupling", "co_teaching", "co_teaching_plus")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """What is left in one process alone, and in each of two together."""
    folder = tmp_path_factory.mktemp("processes")
    workers = [f"localhost:{port}" for port in free_ports(2)]
    cluster = {"cluster": {"worker": workers}}
    environments = {"alone": {}} | {
        f"worker{index}": {"TF_CONFIG": json.dumps(cluster | {"task": {"type": "worker", "index": index}})}
        for index in range(2)
    }
    started = {}
    for name, environment in environments.items():
        alone = ["--one_device"] if name == "alone" else []
        command = [sys.executable, "tests/equal_methods.py", *alone, str(folder / f"{name}.npz"), *SELECTING]
        log = str(folder / f"{name}.log")
        started[name] = processes.started(command, log, log, environment=os.environ | environment)
    try:
        for name, process in started.items():
            assert processes.exit_code(process) == 0, (folder / f"{name}.log").read_text()[-3000:]
    finally:
        for process in started.values():
            process.kill()
    found = {}
    for name in started:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
            found[name] = dict(stored)
    return found


@pytest.mark.parametrize("case", SELECTING)
def test_two_processes_train_like_one_device(held, case):
    prefix = f"{case}/one/"
    expected = {name.removeprefix(prefix): value for name, value in held["alone"].items() if name.startswith(prefix)}
    assert expected["step"] > 0
    for worker in ("worker0", "worker1"):
        for name, value in expected.items():
            found = held[worker][f"{case}/process/{name}"]
            np.testing.assert_allclose(found, value, rtol=1e-4, atol=2e-5, err_msg=f"{worker}: {name}", equal_nan=True)
