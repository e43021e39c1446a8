"""SPADE written out in NumPy for a linear student, and what its tests share: student, batches, a short training."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.curricula import Curriculum
from mentornet.training.optimizers import MomentumSGD

BATCH, SIDE, CLASSES = 12, 3, 4
Weigh = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def linear_student(seed: int = 0) -> keras.Model:
    inputs = keras.Input((SIDE, SIDE, 1))
    dense = keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.RandomNormal(seed=seed), name="logits")
    return keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))


def make_batch(seed: int = 0, size: int = BATCH) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.normal(size=(size, SIDE, SIDE, 1)).astype(np.float32),
        "label": rng.integers(0, CLASSES, size).astype(np.int32),
        "index": rng.permutation(size).astype(np.int32),
        "is_clean": rng.random(size) < 0.6,
    }


def as_dataset(*batches: dict[str, np.ndarray]) -> tf.data.Dataset:
    stacked = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
    return tf.data.Dataset.from_tensor_slices(stacked)


def run(method: methods.NoisyLabelMethod, *batches, optimizer=None, jit_compile=False) -> list[dict[str, float]]:
    method.compile(optimizer=optimizer or MomentumSGD(0.1, 0.9), jit_compile=jit_compile)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fit is asked for")  # the start of a longer training
        history = method.fit(as_dataset(*batches), steps_per_epoch=1, epochs=len(batches), verbose=0)
    return [{name: values[step] for name, values in history.history.items()} for step in range(len(batches))]


class NumpySpade:
    """The specification in float64 NumPy, for a linear student, no code of the project used.

    Args:
        kernel, bias: of the student, when it starts.
        percentile, decay: of the moving percentile l_pt.
        weight_decay, rate, momentum: of the optimiser.
        weigh: losses [b], differences to l_pt [b], flat images [b, pixels] -> weights [b].
    """

    def __init__(
        self,
        kernel: np.ndarray,
        bias: np.ndarray,
        *,
        percentile: float,
        decay: float,
        weight_decay: float,
        rate: float,
        momentum: float,
        weigh: Weigh,
    ) -> None:
        self.kernel, self.bias = kernel.astype(np.float64), bias.astype(np.float64)
        self.velocity = [np.zeros_like(self.kernel), np.zeros_like(self.bias)]
        self.l_pt = 0.0
        self.percentile, self.decay, self.weight_decay = percentile, decay, weight_decay
        self.rate, self.momentum, self.weigh = rate, momentum, weigh

    def step(self, batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """One step: the losses [b] and the weights [b] it went by."""
        x = batch["image"].reshape(len(batch["label"]), -1).astype(np.float64)
        logits = x @ self.kernel + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        onehot = np.eye(CLASSES)[batch["label"]]
        loss = -np.log((p * onehot).sum(axis=1))
        self.l_pt = self.decay * self.l_pt + (1 - self.decay) * np.percentile(loss, 100 * self.percentile)
        v = self.weigh(loss, loss - self.l_pt, x)
        b = len(loss)
        gradient = x.T @ (v[:, None] * (p - onehot)) / b + self.weight_decay * v.mean() * self.kernel
        bias_gradient = (v[:, None] * (p - onehot)).sum(axis=0) / b
        for k, (value, g) in enumerate(((self.kernel, gradient), (self.bias, bias_gradient))):
            self.velocity[k] = self.momentum * self.velocity[k] + g
            value -= self.rate * self.velocity[k]
        return loss, v


def assert_whole_steps_agree(
    curriculum: str | Curriculum, weigh: Weigh, *, jit_compile: bool, max_steps: int = 10, tolerance: float = 1e-5
) -> list[np.ndarray]:
    """Trains a linear student for three steps and compares logs, moving percentile and weights with ``NumpySpade``.

    Args:
        curriculum: as SPADE takes it.
        weigh: what it does, see ``NumpySpade``.
        jit_compile: whether the steps are compiled with XLA.
        max_steps: length of the training that the three steps are the start of.
        tolerance: absolute, of everything but sums over the batch, which get ten times as much.

    Returns:
        The weights [b] of each step.
    """
    student = linear_student()
    start = [variable.numpy() for variable in student.trainable_variables]
    oracle = NumpySpade(*start, percentile=0.6, decay=0.5, weight_decay=0.02, rate=0.3, momentum=0.9, weigh=weigh)
    spade = methods.Spade(
        student,
        curriculum,
        max_steps=max_steps,
        num_examples=BATCH,
        weight_decay=0.02,
        loss_percentile=0.6,
        loss_moving_average_decay=0.5,
        burn_in_epoch=0,
        example_dropout_rates=0.0,
    )
    batches = [make_batch(seed) for seed in range(3)]
    logs = run(spade, *batches, optimizer=MomentumSGD(0.3, 0.9), jit_compile=jit_compile)
    weights = []
    for log, batch in zip(logs, batches, strict=True):
        loss, v = oracle.step(batch)
        assert log["raw_loss"] == pytest.approx(loss.mean(), abs=tolerance)
        assert log["weighted_loss"] == pytest.approx((v * loss).mean(), abs=tolerance)
        assert log["weight_sum"] == pytest.approx(v.sum(), abs=10 * tolerance)
        assert log["data_utilisation"] == pytest.approx((v > 0.001).mean(), abs=1e-6)
        weights.append(v)
    assert float(spade.loss_percentile) == pytest.approx(oracle.l_pt, abs=tolerance)
    for variable, value in zip(student.trainable_variables, (oracle.kernel, oracle.bias), strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=tolerance)
    return weights
