"""Deterministic kernels: compiled students with max pooling train, and repeat bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop

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


def test_gradients_from_many_sides_are_added_in_order_and_not_by_whose_memory_is_free():
    """No AddN of more than two operands, whose order TensorFlow leaves to chance; the sum is the derivative."""

    @tf.function
    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.sin(x) + 2.0 * x + x**3 + tf.exp(x))
        return tape.gradient(y, x)

    x = np.linspace(-1.0, 1.0, 7, dtype=np.float32)
    try:
        determinism.add_gradients_in_order()
        np.testing.assert_allclose(slope(x), np.cos(x) + 2.0 + 3.0 * x**2 + np.exp(x), rtol=1e-6)
        operations = slope.get_concrete_function(x).graph.get_operations()
        assert all(len(operation.inputs) < 3 for operation in operations if operation.type == "AddN")
        assert any(operation.type == "Pack" for operation in operations)
    finally:
        pywrap_tfe.TFE_Py_RegisterVSpace(backprop._default_vspace)


def test_xlas_refusal_names_the_flag():
    refusal = tf.errors.UnimplementedError(
        None, None, "GPU MaxPool gradient ops do not yet have a deterministic XLA implementation."
    )
    assert "--nodeterministic" in str(determinism.explained(refusal))
    other = ValueError("another matter")
    assert determinism.explained(other) is other
