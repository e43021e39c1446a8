"""The library without the scripts: somebody's own Keras model, a plain Keras optimiser, ``fit``."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import mentornet

ROOT = Path(__file__).resolve().parents[1]


def test_five_lines_on_ones_own_model(tmp_path):
    """Two blobs, 30% of the labels flipped: the student learns the true classes and predicts alone after loading."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 512).astype(np.int32)
    image = (rng.normal(size=(512, 2)) + 4.0 * label[:, None] - 2.0).astype(np.float32)
    given = np.where(rng.random(512) < 0.3, 1 - label, label).astype(np.int32)
    samples = {"image": image, "label": given, "index": np.arange(512, dtype=np.int32)}
    dataset = tf.data.Dataset.from_tensor_slices(samples).repeat().batch(64)
    inputs = keras.Input((2,))
    my_student = keras.Model(inputs, keras.layers.Dense(2)(inputs))

    model = mentornet.methods.Spade(my_student, mentornet.curricula.get("mentornet_pd"), max_steps=80)
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(dataset, steps_per_epoch=80, verbose=0)
    my_student.save(tmp_path / "student.keras")

    alone = keras.models.load_model(tmp_path / "student.keras")
    assert np.mean(np.argmax(alone(image), axis=1) == label) > 0.97


def test_importing_the_package_does_not_start_tensorflow():
    code = "import sys, mentornet; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_ctrl_c_while_tensorflow_is_imported_ends_without_a_traceback(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    code = (
        f"import signal, sys; sys.path[:0] = [{str(tmp_path)!r}]; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from mentornet import quiet; quiet.start_tensorflow()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


def test_unknown_names_list_the_known_ones():
    for get, name in ((mentornet.methods.get, "spade"), (mentornet.curricula.get, "self_paced")):
        with pytest.raises(ValueError, match=name):
            get("no_such_thing")
