"""Planning asynchronous training: throughput, the age of gradients, and a simulation of both on one machine.

A worker fetches the weights, computes a gradient, and sends it; meanwhile others have updated the weights. The age of a
gradient is the number of updates between its fetch and its own update. While W workers are busy, each update makes the
W - 1 gradients under way older by one, so the mean age is W - 1, however fast the workers are and whatever limits them
(see `ages`). Nothing of this needs a cluster.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods.base import Batch
from mentornet.methods.spade import Spade


@dataclass(frozen=True)
class ClusterPlan:
    """What limits an asynchronous cluster.

    Attributes:
        step_seconds: time a worker computes for one batch, weights at hand.
        weight_bytes: size of the weights, which a step fetches once and sends back once as gradients.
        worker_bandwidth: bytes a second between a worker and the servers, each way.
        server_bandwidth: bytes a second of one parameter server, each way.
        servers: parameter servers, sharing the weights evenly.

    Raises:
        ValueError: a value that is not positive.
    """

    step_seconds: float
    weight_bytes: float
    worker_bandwidth: float
    server_bandwidth: float
    servers: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"{name}={value:g} must be greater than 0")

    @property
    def cycle_seconds(self) -> float:
        """Time from one fetch of an undisturbed worker to its next: fetch, compute, send."""
        return self.step_seconds + 2 * self.weight_bytes / self.worker_bandwidth

    @property
    def most_steps_per_second(self) -> float:
        """Updates a second at which the servers' network is full."""
        return self.servers * self.server_bandwidth / self.weight_bytes

    def steps_per_second(self, workers: int) -> float:
        """Updates a second of W asynchronous workers: min(W / cycle, the servers' limit)."""
        return min(workers / self.cycle_seconds, self.most_steps_per_second)

    @property
    def useful_workers(self) -> int:
        """Workers beyond which the servers' network is the limit and more workers only add age."""
        return max(1, int(self.most_steps_per_second * self.cycle_seconds))

    def synchronous_steps_per_second(self, workers: int, slowdown: float = 1.0) -> float:
        """Steps a second of W workers with ring all-reduce, each step one batch from every worker.

        Args:
            workers: W.
            slowdown: time of the slowest of W workers over the mean one's, at least 1.
        """
        reduction = 2 * self.weight_bytes * (workers - 1) / workers / self.worker_bandwidth
        return 1 / (self.step_seconds * slowdown + reduction)


def mean_age(workers: int) -> int:
    """Mean age of a gradient in updates: W - 1."""
    return workers - 1


def completion_order(workers: int, steps: int, *, spread: float = 0.3, seed: int = 0) -> np.ndarray:
    """Which worker makes each update.

    Args:
        workers: W >= 1.
        steps: updates in all.
        spread: standard deviation of the time of a step over its mean (gamma distributed); 0: equal times.
        seed: of the times.

    Returns:
        int32 [steps], worker of each update; all workers fetch before the first one.

    Raises:
        ValueError: no worker, or a negative spread.
    """
    if workers < 1 or spread < 0:
        raise ValueError(f"workers={workers} must be at least 1 and spread={spread:g} not negative")
    generator = np.random.default_rng(seed)

    def duration() -> float:
        return float(generator.gamma(1 / spread**2, spread**2)) if spread else 1.0

    under_way = [(duration(), worker) for worker in range(workers)]
    heapq.heapify(under_way)
    order = np.empty(steps, np.int32)
    for step in range(steps):
        now, order[step] = under_way[0]
        heapq.heapreplace(under_way, (now + duration(), int(order[step])))
    return order


def ages(order: Sequence[int] | np.ndarray, workers: int) -> np.ndarray:
    """The age of every gradient: int64 [steps], updates since its worker's previous one (or the start).

    Every update ages the W - 1 other gradients under way by one, so the ages of the first n updates and of what is
    under way then add up to n (W - 1).
    """
    fetched = np.zeros(workers, np.int64)
    found = np.empty(len(order), np.int64)
    for step, worker in enumerate(order):
        found[step] = step - fetched[worker]
        fetched[worker] = step + 1
    return found


class StaleSpade(Spade):
    """SPADE as W asynchronous workers with one parameter server do it, one update after the other in one process.

    Each virtual worker has the weights it fetched after its last update; its batch, weights v and l_pt update come from
    those, its gradient goes to the present weights, velocity and all. l_pt, batch norm's moving averages and the step
    are shared, as on a server.

    Batches carry an additional "worker", int32 [b], the same number in every row.

    Args:
        student: any Keras model, images -> logits.
        workers: W.
        **settings: see ``Spade``.
    """

    def __init__(self, student: keras.Model, *args: Any, workers: int, **settings: Any):
        super().__init__(student, *args, **settings)
        weights = [tf.convert_to_tensor(variable) for variable in student.trainable_variables]
        self._server = [tf.Variable(value, trainable=False) for value in weights]
        self._fetched = [tf.Variable(tf.stack([value] * workers), trainable=False) for value in weights]
        self._worker = tf.Variable(0, trainable=False)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        self._worker.assign(batch["worker"][0])
        for variable, fetched in zip(self.student.trainable_variables, self._fetched, strict=True):
            variable.assign(fetched[self._worker])
        return super().train_step(batch)

    def descend(self, tape: tf.GradientTape, objective: tf.Tensor, peer: int = 0) -> None:
        self.note_objective(objective)
        variables = self.student.trainable_variables
        gradients = tape.gradient(objective, variables)
        for variable, server in zip(variables, self._server, strict=True):
            variable.assign(server)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for variable, server, fetched in zip(variables, self._server, self._fetched, strict=True):
            server.assign(variable)
            fetched[self._worker].assign(variable)
