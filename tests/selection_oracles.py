"""Methods that select samples, written out in NumPy for linear students, and what their tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tf_keras as keras

from mentornet import methods
from mentornet.training.optimizers import MomentumSGD
from tests.spade_oracles import BATCH, CLASSES, linear_student, make_batch, run

RATE, MOMENTUM, DECAY = 0.3, 0.9, 0.02
PIXELS = 9


class Seen(NamedTuple):
    """What the networks make of a batch, before any of them is updated.

    Attributes:
        logits: float64 [peers, n, C].
        losses: cross-entropy, [peers, n].
    """

    logits: np.ndarray
    losses: np.ndarray


Choose = Callable[[Seen], Sequence[tuple[np.ndarray, float]]]
"""For each network: bool [n], which samples it is trained on, and what the sum of their losses is divided by."""


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    """[n] of logits [n, C]."""
    return -np.log(softmax(logits)[np.arange(len(label)), label])


def smallest(losses: np.ndarray, count: int) -> np.ndarray:
    """Bool [n]: the ``count`` smallest."""
    mask = np.zeros(len(losses), bool)
    mask[np.argsort(losses)[:count]] = True
    return mask


class NumpyPeers:
    """Linear networks with momentum and coupled decay of the kernels, in float64.

    Args:
        networks: the students, as they start.
        double: cross-entropy takes the softmax for logits.
    """

    def __init__(self, networks: Sequence[keras.Model], double: bool = False) -> None:
        self.thetas = [
            np.concatenate([w.reshape(-1, CLASSES) for w in n.get_weights()]).astype(float) for n in networks
        ]
        self.velocities = [np.zeros_like(theta) for theta in self.thetas]
        self.double = double

    def see(self, batch: dict[str, np.ndarray]) -> Seen:
        x = self._inputs(batch)
        logits = np.stack([x @ theta for theta in self.thetas])
        return Seen(logits, np.stack([cross_entropy(z, batch["label"]) for z in logits]))

    def step(self, batch: dict[str, np.ndarray], choose: Choose) -> tuple[Seen, list[np.ndarray]]:
        """One step of all; what they had seen and what each was trained on."""
        seen, x, label = self.see(batch), self._inputs(batch), batch["label"]
        chosen = choose(seen)
        for k, (mask, divisor) in enumerate(chosen):
            p = softmax(seen.logits[k])
            slope = p - np.eye(CLASSES)[label]
            if self.double:  # through the softmax that is taken for logits
                outer = softmax(p) - np.eye(CLASSES)[label]
                slope = p * (outer - (p * outer).sum(axis=1, keepdims=True))
            gradient = x.T @ (mask[:, None] * slope) / divisor
            gradient[:-1] += DECAY * self.thetas[k][:-1]
            self.velocities[k] = MOMENTUM * self.velocities[k] + gradient
            self.thetas[k] = self.thetas[k] - RATE * self.velocities[k]
        return seen, [mask for mask, _ in chosen]

    @staticmethod
    def _inputs(batch: dict[str, np.ndarray]) -> np.ndarray:
        flat = batch["image"].reshape(len(batch["label"]), -1).astype(float)
        return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def peers(seed: int = 3, scale: float = 0.3) -> list[keras.Model]:
    """Two linear students of different names and weights."""
    rng, made = np.random.default_rng(seed), []
    for k in range(2):
        made.append(keras.Model(*ends(linear_student()), name=f"peer_{k}"))
        made[-1].set_weights([rng.normal(0, scale, (PIXELS, CLASSES)), rng.normal(0, scale, CLASSES)])
    return made


def ends(student: keras.Model):
    return student.input, student.output


def assert_whole_steps_agree(
    method: methods.NoisyLabelMethod,
    choose: Callable[[int], Choose],
    *,
    double: bool = False,
    jit_compile: bool = False,
    steps: int = 3,
    tolerance: float = 1e-6,
) -> list[list[np.ndarray]]:
    """Trains linear students with momentum, compares what is reported and left with ``NumpyPeers``.

    Args:
        method: of linear students, with weight decay ``DECAY``.
        choose: step -> what is chosen in it.
        double: see ``NumpyPeers``.
        jit_compile: whether the steps are compiled with XLA.
        steps: how many.
        tolerance: absolute.

    Returns:
        What each network was trained on in each step, bool [n].
    """
    oracle = NumpyPeers(method.networks, double)
    batches = [make_batch(seed) for seed in range(steps)]
    logs = run(method, *batches, optimizer=MomentumSGD(RATE, MOMENTUM), jit_compile=jit_compile)
    masks = []
    for number, (log, batch) in enumerate(zip(logs, batches, strict=True)):
        seen, chosen = oracle.step(batch, choose(number))
        weights = np.mean(chosen, axis=0)
        np.testing.assert_allclose(log["raw_loss"], seen.losses.mean(), atol=tolerance)
        np.testing.assert_allclose(log["weight_sum"], weights.sum(), atol=tolerance)
        np.testing.assert_allclose(log["data_utilisation"], (weights > 0).mean(), atol=tolerance)
        accuracy = (seen.logits.mean(axis=0).argmax(axis=1) == batch["label"]).mean()
        np.testing.assert_allclose(log["train_accuracy"], accuracy, atol=tolerance)
        masks.append(chosen)
    for network, theta in zip(method.networks, oracle.thetas, strict=True):
        kernel, bias = network.get_weights()
        np.testing.assert_allclose(kernel, theta[:-1], atol=tolerance)
        np.testing.assert_allclose(bias, theta[-1], atol=tolerance)
    # Of the last step alone, since every batch here ends an interval of its own.
    found, last = method.report(), batches[-1]["is_clean"]
    for name, mask in zip(method.label_precision.columns(len(method.networks)), masks[-1], strict=True):
        expected = last[mask].mean() if mask.any() else np.nan
        np.testing.assert_allclose(found[name], expected, atol=tolerance)
    return masks


def settings(**own) -> dict:
    """What all methods here are made with."""
    return {"max_steps": 100, "num_examples": BATCH, "weight_decay": DECAY, "steps_per_epoch": 1, **own}
