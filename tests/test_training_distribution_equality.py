"""Replicas with a part of the batch each do what one device does with all of it: two devices, two real processes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.local_cluster import free_ports
from tests import processes

SAME = ("percentile", "explicit", "history", "activation")
Held = dict[str, np.ndarray]


def command(strategy: str, output: Path, *variants: str) -> list[str]:
    return [sys.executable, "tests/equal_training.py", strategy, str(output), *variants]


def held_in(output: Path) -> Held:
    with np.load(output, allow_pickle=False) as stored:
        return dict(stored)


def forked(strategy: str, output: Path, *variants: str) -> Held:
    ended = processes.run(command(strategy, output, *variants))
    assert ended.returncode == 0, ended.stderr[-3000:]
    return held_in(output)


@pytest.fixture(scope="module")
def one_device(tmp_path_factory) -> Held:
    return forked("one_device", tmp_path_factory.mktemp("one") / "one.npz", *SAME)


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory) -> Held:
    return forked("mirrored", tmp_path_factory.mktemp("two") / "two.npz", *SAME, "separate_norm")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> list[Held]:
    folder = tmp_path_factory.mktemp("processes")
    workers = [f"localhost:{port}" for port in free_ports(2)]
    started = {}
    for index in range(2):
        config = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        output, log = folder / f"{index}.npz", str(folder / f"{index}.log")
        started[output] = processes.started(
            command("multi_worker", output, "percentile"), log, log, environment=os.environ | {"TF_CONFIG": config}
        )
    try:
        for output, process in started.items():
            assert processes.exit_code(process) == 0, output.with_suffix(".log").read_text()[-3000:]
    finally:
        for process in started.values():
            process.kill()
    return [held_in(output) for output in started]


def of(held: Held, variant: str, replica: int = 0) -> Held:
    """What one replica holds in one variant, by name."""
    prefix = f"{variant}/{replica}/"
    return {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}


def assert_equal_training(found: Held, expected: Held) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # Rounding differs with the order of sums, by up to 1e-5 after 20 steps; a wrong update shows at 1e-2.
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=5e-5, err_msg=name, equal_nan=True)


@pytest.mark.parametrize("variant", SAME)
def test_two_devices_train_like_one(one_device, two_devices, variant):
    assert_equal_training(of(two_devices, variant), of(one_device, variant))


@pytest.mark.parametrize("variant", [*SAME, "separate_norm"])
def test_two_devices_do_not_drift_apart(two_devices, variant):
    first, second = of(two_devices, variant), of(two_devices, variant, replica=1)
    states = {name for name in first if "/" not in name} | {name for name in first if name.startswith("velocity/")}
    separate = variant == "separate_norm"
    states |= {name for name in first if name.startswith("student/") and not (separate and "moving" in name)}
    compared = states & set(second)
    assert {"loss_percentile", "step", "student/logits/kernel:0", "velocity/iteration:0"} <= compared
    for name in compared:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_two_processes_train_like_one_device_and_do_not_drift_apart(one_device, two_processes):
    expected = of(one_device, "percentile")
    assert_equal_training(of(two_processes[0], "percentile"), expected)
    assert two_processes[0].keys() == two_processes[1].keys()
    for name, value in two_processes[0].items():
        np.testing.assert_array_equal(two_processes[1][name], value, err_msg=name)


def test_the_comparison_would_notice_statistics_of_half_a_batch(one_device, two_devices):
    whole, halves = of(one_device, "percentile"), of(two_devices, "separate_norm")
    assert np.max(np.abs(whole["student/logits/kernel:0"] - halves["student/logits/kernel:0"])) > 5e-3


def test_the_compared_training_uses_what_it_claims(one_device):
    held = of(one_device, "percentile")
    assert held["step"] == 20
    assert held["loss_percentile"] > 0.1
    assert 0 < held["statistics/data_utilisation"] < 0.8  # dropped samples, and weights of 0
    assert held["weight_visits"].sum() == 4 * 24  # the last of five epochs
    assert np.ptp(of(one_device, "explicit")["sample_weights"]) > 0.1
    assert np.isfinite(of(one_device, "history")["loss_history"]).any()
