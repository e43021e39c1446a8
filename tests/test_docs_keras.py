"""The examples of docs/keras.md run: suspects of one's own folder, weights from Keras 3, a curriculum in its step."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from PIL import Image

from mentornet import methods
from tests.processes import PATIENCE, ROOT

# The first block is a fragment: the student and the data in it are the reader's.
_, SUSPECTS, CONVERSION, STEP = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "keras.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.mark.slow
def test_suspects_of_a_folder_are_the_wrong_ones(tmp_path, monkeypatch):
    """Three colours, 40 images each, of which every eighth lies in the folder of the next colour."""
    rng, names = np.random.default_rng(0), ("blue", "green", "red")
    wrong = set()
    for number in range(120):
        truth = number % 3
        folder = (truth + 1) % 3 if number % 8 == 0 else truth
        pixels = rng.normal(110, 30, (64, 64, 3))
        pixels[..., 2 - truth] += 40
        path = tmp_path / "photos" / names[folder] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
        wrong |= {str(path)} if folder != truth else set()
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    (tmp_path / "example.py").write_text(SUSPECTS)
    places = runpy.run_path(str(tmp_path / "example.py"))
    suspects, paths = places["suspects"], places["photos"].file_paths
    first = [str(tmp_path / paths[k]) for k in suspects["index"][: len(wrong)]]
    assert len(wrong & set(first)) >= 0.8 * len(wrong)
    assert sorted(suspects["index"]) == list(range(120))
    assert suspects["rank"].tolist() == list(range(1, 121))
    assert np.isfinite(suspects["mean_probability"]).all()
    assert (tmp_path / "review.html").stat().st_size > 120 * 1000


@pytest.mark.slow
def test_weights_and_curricula_work_in_keras_3():
    code = (
        f"{CONVERSION}\n{STEP}\nassert accuracy > 0.95, accuracy\nassert 0.5 < history['weight'][-1] < 0.95, history\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_numbers_stay_with_their_images_and_sums_are_those_of_the_batches():
    """Image k has the value k; the mean probability of a student that never moves is the softmax of its logits."""
    x, y = np.arange(10, dtype=np.float32)[:, None] / 10, np.arange(10) % 2
    data = methods.numbered(tf.data.Dataset.from_tensor_slices((x, y)).batch(4))
    seen = [(batch["image"].numpy()[:, 0] * 10, batch["index"].numpy()) for batch in data]
    assert [len(index) for _, index in seen] == [4, 4, 2]
    for image, index in seen:
        np.testing.assert_allclose(image, index, atol=1e-5)
    assert np.concatenate([index for _, index in seen]).tolist() != list(range(10))

    student = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    student.set_weights([np.array([[1.0, -1.0]]), np.array([0.5, 0.0])])
    model = methods.Standard(student, max_steps=6, num_examples=10)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    model.fit(data, epochs=2, verbose=0)
    found = model.suspects(x, y)
    logits = x * np.array([[1.0, -1.0]]) + np.array([0.5, 0.0])
    probability = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[np.arange(10), y]
    np.testing.assert_array_equal(found["index"], np.argsort(probability))
    np.testing.assert_allclose(found["mean_probability"], np.sort(probability), rtol=1e-5)
    np.testing.assert_allclose(found["loss"], -np.log(np.sort(probability)), rtol=1e-5)
    np.testing.assert_array_equal(found["weight"], 1.0)
    with pytest.raises(ValueError, match="9 samples, but num_examples=10"):
        model.suspects(x[:9], y[:9])
