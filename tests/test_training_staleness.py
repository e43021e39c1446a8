"""Planning formulas against arithmetic by hand, ages of gradients against their definition, training against NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet.training.distribution import staleness
from mentornet.training.optimizers import MomentumSGD

DOCUMENT = (Path(__file__).resolve().parents[1] / "docs" / "clusters" / "README.md").read_text("utf-8")


def plan(**changes) -> staleness.ClusterPlan:
    values = {"step_seconds": 0.5, "weight_bytes": 100.0, "worker_bandwidth": 400.0, "server_bandwidth": 1000.0}
    return staleness.ClusterPlan(**(values | changes))


def test_throughput_grows_with_workers_up_to_the_servers_limit():
    assert plan().cycle_seconds == 1.0  # 0.25 s to fetch, 0.5 s to compute, 0.25 s to send
    assert [plan().steps_per_second(workers) for workers in (1, 4, 10, 11, 50)] == [1, 4, 10, 10, 10]
    assert plan(servers=3).steps_per_second(50) == 30
    assert plan().useful_workers == 10
    assert plan(server_bandwidth=10.0).useful_workers == 1


def test_synchronous_throughput():
    assert plan().synchronous_steps_per_second(1) == 2.0
    assert plan().synchronous_steps_per_second(2) == pytest.approx(1 / 0.75)  # a ring of 2: half the weights, twice
    assert plan().synchronous_steps_per_second(2, slowdown=1.5) == 1.0


@pytest.mark.parametrize("name", ["step_seconds", "weight_bytes", "worker_bandwidth", "server_bandwidth", "servers"])
def test_nothing_is_free(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be greater than 0"):
        plan(**{name: 0})


def test_the_documents_example():
    paper = staleness.ClusterPlan(0.7, 237e6, 1.25e9, 1.25e9, servers=10)
    one = staleness.ClusterPlan(0.7, 237e6, 1.25e9, 1.25e9)
    synchronous = paper.synchronous_steps_per_second(50)
    for shown in (
        f"{paper.steps_per_second(50):.1f} steps/s",
        f"enough for {paper.useful_workers} workers",
        f"{one.steps_per_second(50):.1f} steps/s, enough for {one.useful_workers}.",
        f"makes {synchronous:.2f} steps/s",
        f"{50 * synchronous:.1f} batches/s",
    ):
        assert shown in " ".join(DOCUMENT.split()), shown


def test_ages_by_definition():
    order = [0, 1, 0, 0, 2, 1]
    # Worker 1: fetches at the start, updates second (age 1), then fifth from there: four updates of others before.
    assert staleness.ages(order, 3).tolist() == [0, 1, 1, 0, 4, 3]


@pytest.mark.parametrize("workers", [1, 4, 16, 50])
@pytest.mark.parametrize("spread", [0.0, 0.3, 2.0])
def test_mean_age_is_the_number_of_workers_less_one(workers, spread):
    steps = 4000
    order = staleness.completion_order(workers, steps, spread=spread, seed=3)
    ages = staleness.ages(order, workers)
    assert set(order) <= set(range(workers))
    # Exactly: what is under way at the end has its age too.
    last = [np.flatnonzero(order == worker) for worker in range(workers)]
    under_way = sum(steps - (own[-1] + 1 if own.size else 0) for own in last)
    assert ages.sum() + under_way == steps * staleness.mean_age(workers)
    assert ages.mean() == pytest.approx(workers - 1, abs=workers * ages.max() / steps)


def test_equally_fast_workers_take_turns():
    assert staleness.completion_order(3, 7, spread=0.0).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_the_order_follows_from_the_seed():
    first, again, other = (staleness.completion_order(8, 100, seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


@pytest.mark.parametrize(("workers", "spread"), [(0, 0.3), (2, -1.0)])
def test_impossible_workers_are_refused(workers, spread):
    with pytest.raises(ValueError, match="must be at least 1"):
        staleness.completion_order(workers, 10, spread=spread)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_old_gradients_are_those_of_the_weights_the_worker_fetched():
    generator = np.random.default_rng(0)
    images = generator.normal(size=(6, 8, 4)).astype(np.float32)
    labels = generator.integers(0, 3, (6, 8)).astype(np.int32)
    order = [0, 1, 1, 0, 2, 0]
    start = generator.normal(size=(4, 3)).astype(np.float32)
    student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, use_bias=False)])
    student.set_weights([start])
    method = staleness.StaleSpade(student, "none", workers=3, max_steps=6, burn_in_epoch=0, example_dropout_rates=0.0)
    method.compile(MomentumSGD(0.5, 0.9))
    batches = [
        {
            "image": images[step],
            "label": labels[step],
            "index": np.arange(8, dtype=np.int32),
            "worker": np.full(8, worker, np.int32),
        }
        for step, worker in enumerate(order)
    ]
    stacked = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
    method.fit(tf.data.Dataset.from_tensor_slices(stacked), epochs=1, verbose=0)
    weights, velocity = start.astype(np.float64), np.zeros((4, 3))
    fetched = dict.fromkeys(range(3), weights)
    for step, worker in enumerate(order):
        wrong = softmax(images[step] @ fetched[worker]) - np.eye(3)[labels[step]]
        velocity = 0.9 * velocity + images[step].T @ wrong / 8
        weights = weights - 0.5 * velocity
        fetched[worker] = weights
    np.testing.assert_allclose(student.get_weights()[0], weights, rtol=1e-4, atol=1e-5)
    assert int(method.step.numpy()) == 6
