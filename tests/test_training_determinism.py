"""Deterministic kernels: compiled students with max pooling train, and repeat bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from mentornet.training import determinism
from tests.processes import PATIENCE, ROOT

UNTIMED = {"seconds", "steps_per_second"}


def metrics_of(folder: Path) -> list[list[str]]:
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    keep = [number for number, name in enumerate(rows[0]) if name not in UNTIMED]
    return [[row[number] for number in keep] for row in rows]


@pytest.mark.slow
def test_a_compiled_student_with_max_pooling_trains_and_repeats(tmp_path):
    """LeNet has max pooling, whose gradient TensorFlow's switch refuses to compile, even on a CPU."""
    for name in ("first", "second"):
        command = ["train_cifar.py", "--dataset_name=digits", "--studentnet=lenet", "--jit_compile", "--batch_size=32"]
        length = ["--max_number_of_steps=10", "--eval_every_steps=5", f"--train_log_dir={tmp_path / name}"]
        noise = ["--noise_type=uniform", "--noise_fraction=0.4", "--curriculum=mentornet_pd"]
        done = subprocess.run(
            [sys.executable, *command, *noise, *length], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "first" / "result.json").read_text())["steps"] == 10
    assert len(metrics_of(tmp_path / "first")) == 3
    assert metrics_of(tmp_path / "first") == metrics_of(tmp_path / "second")


def test_the_switch_and_its_refusal(monkeypatch):
    asked = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    determinism.make_deterministic(jit_compile=True)
    assert asked == []
    determinism.make_deterministic(jit_compile=False)
    assert asked == [True]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one"])
    determinism.make_deterministic(jit_compile=True)
    assert asked == [True, True]


def test_xlas_refusal_names_the_flag():
    refusal = tf.errors.UnimplementedError(
        None, None, "GPU MaxPool gradient ops do not yet have a deterministic XLA implementation."
    )
    assert "--nodeterministic" in str(determinism.explained(refusal))
    other = ValueError("another matter")
    assert determinism.explained(other) is other
