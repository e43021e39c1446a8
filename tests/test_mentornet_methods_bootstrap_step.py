"""L2B's step with soft targets and the momentum look-ahead, against double backpropagation through the step itself."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet.methods.bootstrap_step import BootstrapStep
from mentornet.students import Student
from mentornet.training.optimizers import MomentumSGD

RATE, MOMENTUM, DECAY, CLASSES = 0.1, 0.9, 0.02, 4


def student(seed: int = 0) -> keras.Model:
    image = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(image)
    start = [keras.initializers.RandomNormal(stddev=0.8, seed=seed + k) for k in (1, 2)]
    x = keras.layers.Dense(5, activation="tanh", kernel_initializer=start[0])(x)
    return keras.Model(image, keras.layers.Dense(CLASSES, kernel_initializer=start[1])(x))


def logits(weights: list[tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    hidden = tf.tanh(tf.reshape(images, [tf.shape(images)[0], -1]) @ weights[0] + weights[1])
    return hidden @ weights[2] + weights[3]


def arrays(seed: int, targets: str) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
    rng = np.random.default_rng(seed)
    soft = rng.dirichlet([0.5] * CLASSES, 9).astype(np.float32)
    if targets == "one-hot":
        soft = np.eye(CLASSES, dtype=np.float32)[soft.argmax(axis=1)]
    clean = {
        "clean_image": rng.normal(size=(6, 2, 2, 1)).astype(np.float32),
        "clean_label": rng.integers(0, CLASSES, 6).astype(np.int32),
    }
    images = rng.normal(size=(9, 2, 2, 1)).astype(np.float32)
    return tf.constant(images), tf.constant(soft), {name: tf.constant(value) for name, value in clean.items()}


def double_backpropagation(
    weights: list[np.ndarray], velocities: list[np.ndarray], images: tf.Tensor, targets: tf.Tensor, clean: dict
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Weights [2, n] from the derivative of the clean loss behind a step, and the gradient of the weighted loss."""
    theta = [tf.constant(w) for w in weights]
    epsilon = tf.zeros([2, len(images)])
    with tf.GradientTape() as outer:
        outer.watch(epsilon)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            z = logits(theta, images)
            both = tf.stack([targets, tf.one_hot(tf.argmax(z, axis=-1), CLASSES)])
            losses = -tf.reduce_sum(both * tf.nn.log_softmax(z), axis=-1)
            weighted = tf.reduce_sum(epsilon * losses)
        slopes = inner.gradient(weighted, theta)
        moved = [
            w - RATE * (MOMENTUM * v + slope + DECAY * w) for w, v, slope in zip(theta, velocities, slopes, strict=True)
        ]
        after = tf.nn.sparse_softmax_cross_entropy_with_logits(
            clean["clean_label"], logits(moved, clean["clean_image"])
        )
        loss = tf.reduce_mean(after)
    raw = np.maximum(-outer.gradient(loss, epsilon).numpy(), 0)
    found = raw / (raw.sum() or 1.0)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        losses = -tf.reduce_sum(both * tf.nn.log_softmax(logits(theta, images)), axis=-1)
        objective = tf.reduce_sum(found * losses)
    return found, [slope.numpy() for slope in tape.gradient(objective, theta)]


@pytest.mark.parametrize("settings", [{}, {"meta_gradient": "double_backprop"}])
@pytest.mark.parametrize("targets", ["soft", "one-hot"])
@pytest.mark.parametrize("clip_norm", [0.05, 50.0])
def test_three_steps_against_double_backpropagation(targets, clip_norm, settings):
    """The velocities of each step are those of the step before; decay is added behind the clipping."""
    network = student()
    optimizer = MomentumSGD(RATE, MOMENTUM)
    step = BootstrapStep(
        lambda: Student(network, optimizer),
        network,
        clip_norm=clip_norm,
        weight_decay=DECAY,
        decayed=lambda: network.trainable_variables,
        **settings,
    )
    step.compiled(network.trainable_variables)
    compiled = tf.function(step.__call__)
    velocities = [np.zeros_like(w) for w in network.get_weights()]
    some_weighted = False
    for seed in range(3):
        images, soft, clean = arrays(seed, targets)
        weights = network.get_weights()
        found, slopes = double_backpropagation(weights, velocities, images, soft, clean)
        some_weighted = some_weighted or 0.2 < found[0].sum() < 0.8
        norm = np.sqrt(sum((slope**2).sum() for slope in slopes))
        slopes = [slope * min(1.0, clip_norm / norm) + DECAY * w for slope, w in zip(slopes, weights, strict=True)]
        velocities = [MOMENTUM * v + slope for v, slope in zip(velocities, slopes, strict=True)]
        compiled(clean, images, soft)
        for now, before, velocity in zip(network.get_weights(), weights, velocities, strict=True):
            np.testing.assert_allclose(now, before - RATE * velocity, rtol=1e-5, atol=1e-5)
    assert some_weighted or targets == "one-hot"


def test_targets_that_are_the_predictions_count_alike():
    """f = g then, so that both halves of the weights are equal: the objective is the mean of both."""
    network, optimizer = student(3), MomentumSGD(RATE, MOMENTUM)
    images, _, clean = arrays(5, "soft")
    predicted = tf.one_hot(tf.argmax(network(images), axis=-1), CLASSES)
    weights = network.get_weights()
    zeros = [np.zeros_like(w) for w in weights]
    found, _ = double_backpropagation(weights, zeros, images, predicted, clean)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    step = BootstrapStep(
        lambda: Student(network, optimizer),
        network,
        clip_norm=None,
        weight_decay=DECAY,
        decayed=lambda: network.trainable_variables,
    )
    step.compiled(network.trainable_variables)
    losses = -np.log(tf.nn.softmax(network(images)).numpy().max(axis=1))
    objective = tf.function(step.__call__)(clean, images, predicted)
    assert objective.numpy() == pytest.approx((found.sum(axis=0) * losses).sum(), rel=1e-4)
