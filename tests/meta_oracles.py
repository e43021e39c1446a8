"""Independent references for meta-gradients: a small network written out by hand, and look-ahead steps really taken."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tests.spade_oracles import as_dataset

SIDE, CHANNELS, CLASSES = 6, 2, 4
EPSILON = 1e-3


def conv_student(seed: int = 0) -> keras.Model:
    """Convolution, batch norm, ReLU, max pooling, convolution, batch norm, ReLU, mean, dense."""
    layers = keras.layers

    def kernel(k: int) -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=0.5, seed=seed + k)

    inputs = keras.Input((SIDE, SIDE, CHANNELS))
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, kernel_initializer=kernel(1))(inputs)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=EPSILON)(x))
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_initializer=kernel(2))(x)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=EPSILON)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, kernel_initializer=kernel(3))(x))


def conv_logits(weights: Sequence[tf.Tensor], image: tf.Tensor) -> tf.Tensor:
    """``conv_student`` in training mode, from its weights in order, without Keras."""
    k1, gamma1, beta1, k2, gamma2, beta2, dense, bias = weights

    def norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(x, [0, 1, 2])
        variance = tf.reduce_mean(tf.square(x - mean), [0, 1, 2])
        return gamma * (x - mean) / tf.sqrt(variance + tf.cast(EPSILON, x.dtype)) + beta

    x = tf.nn.relu(norm(tf.nn.conv2d(image, k1, 1, "SAME"), gamma1, beta1))
    x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.nn.relu(norm(tf.nn.conv2d(x, k2, 1, "SAME"), gamma2, beta2))
    return tf.matmul(tf.reduce_mean(x, [1, 2]), dense) + bias


def lookahead_products(
    weights: Sequence[np.ndarray],
    image: np.ndarray,
    targets: np.ndarray,
    clean_image: np.ndarray,
    clean_label: np.ndarray,
    *,
    rate: float = 1.0,
    velocities: Sequence[np.ndarray] | None = None,
    momentum: float = 0.0,
    decay: float = 0.0,
) -> np.ndarray:
    """-d(clean loss)/d(epsilon) in float64 through a look-ahead momentum step with decay, at epsilon = 0.

    Args:
        weights: of ``conv_logits``.
        image: [n, ...].
        targets: [k, n, C].
        clean_image: [m, ...].
        clean_label: [m].
        rate: of the look-ahead step.
        velocities: momentum buffers.
        momentum: factor of the buffers.
        decay: factor of every weight.

    Returns:
        float64 [k, n].
    """
    theta = [tf.constant(w, tf.float64) for w in weights]
    buffers = (
        [tf.zeros_like(w) for w in theta] if velocities is None else [tf.constant(v, tf.float64) for v in velocities]
    )
    epsilon = tf.zeros(targets.shape[:2], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(epsilon)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            log_p = tf.nn.log_softmax(conv_logits(theta, tf.constant(image, tf.float64)))
            loss = tf.reduce_sum(epsilon * -tf.reduce_sum(tf.constant(targets, tf.float64) * log_p, -1))
        gradients = inner.gradient(loss, theta)
        moved = [w - rate * (momentum * v + g + decay * w) for w, v, g in zip(theta, buffers, gradients, strict=True)]
        clean_log_p = tf.nn.log_softmax(conv_logits(moved, tf.constant(clean_image, tf.float64)))
        clean_loss = -tf.reduce_mean(tf.gather(clean_log_p, clean_label, batch_dims=1))
    return -outer.gradient(clean_loss, epsilon).numpy()


def meta_batch(seed: int = 0, n: int = 16, m: int = 10, shape: Sequence[int] = (SIDE, SIDE, CHANNELS)) -> dict:
    """A random noisy batch with its clean part."""
    rng = np.random.default_rng(seed)
    return {
        "image": rng.normal(size=(n, *shape)).astype(np.float32),
        "label": rng.integers(0, CLASSES, n).astype(np.int32),
        "index": rng.permutation(n).astype(np.int32),
        "is_clean": rng.random(n) < 0.6,
        "clean_image": rng.normal(size=(m, *shape)).astype(np.float32),
        "clean_label": rng.integers(0, CLASSES, m).astype(np.int32),
    }


def fit(method: keras.Model, *batches: dict, optimizer: keras.optimizers.Optimizer, jit_compile: bool = False) -> list:
    """Trains one step a batch; returns the logs of each."""
    method.compile(optimizer=optimizer, jit_compile=jit_compile)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fit is asked for")  # the start of a longer training
        history = method.fit(as_dataset(*batches), steps_per_epoch=1, epochs=len(batches), verbose=0)
    return [{name: values[step] for name, values in history.history.items()} for step in range(len(batches))]


def values(variables: Sequence[tf.Variable]) -> list[np.ndarray]:
    """Copies of variables."""
    return [variable.numpy().copy() for variable in variables]


def onehot(labels: np.ndarray) -> np.ndarray:
    """Float64 [..., C]."""
    return np.eye(CLASSES)[labels]
