"""What a task folds: classification of images, and of pixels with the same method, statistics and tables."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.task import Classification, folded, per_sample

B, H, W, C = 4, 3, 2, 3


def pixel_student() -> keras.Model:
    """A linear map of each pixel's two channels to three logits."""
    image = keras.Input((H, W, 2))
    return keras.Model(image, keras.layers.Conv2D(C, 1, use_bias=False, kernel_initializer="ones")(image))


def softmax_loss(logits: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    chosen = np.take_along_axis(p, label[..., None], -1)[..., 0]
    return -np.log(chosen), p


def test_values_fold_over_sites():
    values = np.arange(B * H * W, dtype=np.float32).reshape(B, H, W)
    np.testing.assert_array_equal(folded(tf.constant(values)), values.ravel())
    np.testing.assert_allclose(per_sample(tf.constant(values)), values.mean(axis=(1, 2)))
    np.testing.assert_array_equal(per_sample(tf.constant([1.0, 2.0])), [1.0, 2.0])


def test_a_method_trains_pixels_like_samples():
    """One plain step with a class a pixel: the mean over all pixels, its gradient, and what is booked, by NumPy."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(B, H, W, 2)).astype(np.float32)
    label = rng.integers(0, C, (B, H, W)).astype(np.int32)
    is_clean = rng.random((B, H, W)) < 0.6
    kernel = rng.normal(size=(2, C)).astype(np.float32)
    student = pixel_student()
    student.set_weights([kernel[None, None]])
    method = methods.Standard(student, max_steps=1, num_examples=B)
    method.compile(keras.optimizers.SGD(0.5))
    batch = {"image": image, "label": label, "index": np.arange(B, dtype=np.int32), "is_clean": is_clean}
    method.train_step({name: tf.constant(value) for name, value in batch.items()})

    losses, p = softmax_loss(image @ kernel, label)
    gradient = np.einsum("bhwi,bhwc->ic", image, p - np.eye(C)[label]) / (B * H * W)
    np.testing.assert_allclose(student.get_weights()[0][0, 0], kernel - 0.5 * gradient, atol=1e-6)
    booked = {name: float(value) for name, value in method.statistics.result().items()}
    assert booked["raw_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert booked["kept_precision"] == pytest.approx(is_clean.mean(), rel=1e-6)
    assert booked["train_accuracy"] == pytest.approx(np.mean(np.argmax(image @ kernel, -1) == label), rel=1e-6)
    np.testing.assert_allclose(tf.convert_to_tensor(method.weight_visits), np.ones(B))


def test_an_evaluation_reports_peers_and_leaves_out_padding():
    task = Classification(peers=2)
    label = tf.constant([0, 1, 1, -1])
    right, half = tf.one_hot([0, 1, 1, 0], 2), tf.one_hot([0, 1, 0, 1], 2)
    task.evaluate(label, right + 0.5 * half, [right, half])
    found = task.results()
    assert found["accuracy"] == 1.0
    assert (found["accuracy_peer_1"], found["accuracy_peer_2"]) == (1.0, pytest.approx(2 / 3))
    assert found["accuracy_peer_mean"] == pytest.approx(5 / 6)
    losses, _ = softmax_loss(np.array([[1.5, 0], [0, 1.5], [0.5, 1.0]]), np.array([0, 1, 1]))
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-5)
