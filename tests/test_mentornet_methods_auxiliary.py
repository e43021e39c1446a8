"""The second classifier of a student: its loss times 0.4 and times v; who takes such students and who refuses them."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.inspection import AUXILIARY_WEIGHT
from mentornet.training.optimizers import MomentumSGD

CLASSES, FEATURES, RATE = 3, 4, 0.5


class TwoHeads(keras.Model):
    """Two linear classifiers side by side, so that the gradients of both have a closed form."""

    has_auxiliary_head = True

    def __init__(self) -> None:
        super().__init__(name="two_heads")
        rng = np.random.default_rng(0)
        start = rng.normal(0, 0.5, (2, FEATURES, CLASSES)).astype(np.float32)
        self.main, self.second = (tf.Variable(values, name=f"{n}_weight") for n, values in enumerate(start))

    def call(self, inputs, training=None):
        flat = tf.reshape(inputs, [-1, FEATURES])
        return (flat @ self.main, flat @ self.second) if training else flat @ self.main


def batch(size: int = 6) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(1)
    return {
        "image": tf.constant(rng.normal(size=(size, 2, 2, 1)), tf.float32),
        "label": tf.constant(rng.integers(0, CLASSES, size), tf.int32),
        "index": tf.range(size),
        "is_clean": tf.ones(size, tf.bool),
    }


def gradient(weights: np.ndarray, data: dict[str, tf.Tensor], v: np.ndarray) -> np.ndarray:
    """Of sum_i v_i cross-entropy_i / b for a linear classifier, in NumPy."""
    x = data["image"].numpy().reshape(-1, FEATURES).astype(np.float64)
    logits = x @ weights.astype(np.float64)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(x)), data["label"].numpy()] -= 1.0
    return x.T @ (p * v[:, None]) / len(x)


def losses(weights: np.ndarray, data: dict[str, tf.Tensor]) -> np.ndarray:
    logits = data["image"].numpy().reshape(-1, FEATURES) @ weights
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), data["label"].numpy()]


def trained(method) -> tuple[dict[str, np.ndarray], dict[str, tf.Tensor]]:
    """Weights before and after one step without momentum, and what the step reported."""
    before = [method.student.main.numpy(), method.student.second.numpy()]
    method.compile(optimizer=MomentumSGD(RATE, 0.0))
    report = method.train_step(batch())
    after = [method.student.main.numpy(), method.student.second.numpy()]
    return {"before": before, "after": after}, report


def test_plain_training_adds_four_tenths_of_the_second_loss():
    found, report = trained(methods.Standard(TwoHeads(), max_steps=10, num_examples=6))
    data, ones = batch(), np.ones(6)
    for weights, after, share in zip(found["before"], found["after"], (1.0, 0.4), strict=True):
        np.testing.assert_allclose(after, weights - RATE * share * gradient(weights, data, ones), rtol=1e-5, atol=1e-6)
    assert float(report["raw_loss"]) == pytest.approx(losses(found["before"][0], data).mean(), rel=1e-5)
    assert AUXILIARY_WEIGHT == 0.4  # slim's train_image_classifier


def test_spade_weighs_both_losses_alike_and_by_the_first_alone():
    method = methods.Spade(
        TwoHeads(), "self_paced", max_steps=10, num_examples=6, burn_in_epoch=0,
        loss_percentile=0.5, loss_moving_average_decay=0.0, example_dropout_rates=0.0,
    )  # fmt: skip
    found, _ = trained(method)
    data = batch()
    own = losses(found["before"][0], data)
    v = (own < np.quantile(own, 0.5)).astype(np.float64)
    assert v.sum() == 3
    for weights, after, share in zip(found["before"], found["after"], (1.0, 0.4), strict=True):
        np.testing.assert_allclose(after, weights - RATE * share * gradient(weights, data, v), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [methods.L2RW, methods.L2B])
def test_methods_that_know_one_classifier_refuse_two(kind):
    with pytest.raises(ValueError, match=r"has an auxiliary head: build it without"):
        kind(TwoHeads(), max_steps=10)


def test_evaluation_counts_the_first_five():
    logits = np.zeros((4, 7), np.float32)
    logits[:] = [6, 5, 4, 3, 2, 1, 0]  # ranks: class 0 first, class 6 last
    student = keras.Sequential([keras.layers.Lambda(lambda x: tf.constant(logits)[: tf.shape(x)[0]])])
    method = methods.Standard(student, max_steps=1)
    method.compile(optimizer=MomentumSGD(0.1, 0.9))
    data = {"image": tf.zeros([4, 1, 1, 1]), "label": tf.constant([0, 4, 5, -1])}  # -1 fills up and does not count
    found = method.test_step(data)
    assert float(found["accuracy"]) == pytest.approx(1 / 3)
    assert float(found["top5"]) == pytest.approx(2 / 3)
