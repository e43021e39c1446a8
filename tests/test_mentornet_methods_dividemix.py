"""DivideMix: its stages, divisions and streams, and one whole step against NumPy."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.methods import mixing
from mentornet.methods.bootstrap_step import BootstrapStep
from mentornet.stages import Stage
from mentornet.training.optimizers import MomentumSGD
from tests.processes import PATIENCE, ROOT

SIZE, CLASSES, N = 3, 3, 8
WEIGHT, ORDER = 0.7, np.array([5, 0, 11, 2, 9, 1, 10, 3, 4, 8, 7, 6])
RATE, MOMENTUM, DECAY, STRENGTH = 0.1, 0.9, 0.01, 5.0


def student(name: str = "a", batch_norm: bool = False) -> keras.Model:
    image = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(image)
    x = keras.layers.BatchNormalization(momentum=0.9)(x) if batch_norm else x
    start = keras.initializers.RandomNormal(stddev=0.7, seed=len(name))
    return keras.Model(image, keras.layers.Dense(CLASSES, kernel_initializer=start)(x), name=name)


def divide_mix(batch_norm: bool = False, **settings) -> methods.NoisyLabelMethod:
    own = {"num_epochs": 30, "batch_size": SIZE, "warmup_epochs": 2, "lambda_u": STRENGTH, "weight_decay": DECAY}
    both = [student("a", batch_norm), student("bb", batch_norm)]
    method = methods.DivideMix(both, num_examples=N, **own | settings)
    method.compile(MomentumSGD(RATE, MOMENTUM))
    method.build_optimizers()
    return method


def mix_batch(seed: int = 0) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    batch = {}
    for name in ("labelled", "unlabelled"):
        batch |= {
            f"{name}_image": rng.normal(size=(SIZE, 2, 2, 2, 1)).astype(np.float32),
            f"{name}_label": rng.integers(0, CLASSES, SIZE).astype(np.int32),
            f"{name}_index": rng.permutation(N)[:SIZE].astype(np.int32),
            f"{name}_is_clean": rng.random(SIZE) < 0.5,
            f"{name}_clean": rng.random(SIZE).astype(np.float32),
        }
    return {name: tf.constant(value) for name, value in batch.items()}


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def slopes(objective: Callable[[list[np.ndarray]], float], at: list[np.ndarray]) -> list[np.ndarray]:
    """Central differences of a function of arrays."""
    found = [np.zeros_like(array) for array in at]
    for array, slope in zip(at, found, strict=True):
        for place in np.ndindex(array.shape):
            values, middle = [], array[place]
            for step in (1e-5, -1e-5):
                array[place] = middle + step
                values.append(objective(at))
            array[place] = middle
            slope[place] = (values[0] - values[1]) / 2e-5
    return found


class InNumPy:
    """Two linear networks and their optimisers in float64, straight from the paper's text."""

    def __init__(self, method: methods.NoisyLabelMethod):
        self.weights = [[w.astype(np.float64) for w in network.get_weights()] for network in method.networks]
        self.velocities = [[np.zeros_like(w) for w in own] for own in self.weights]

    @staticmethod
    def predict(weights: list[np.ndarray], images: np.ndarray) -> np.ndarray:
        return softmax(images.reshape(len(images), -1) @ weights[0] + weights[1])

    def step(self, batch: dict[str, tf.Tensor], turn: int, epoch: float) -> None:
        x1, x2 = (batch["labelled_image"].numpy()[:, view].astype(np.float64) for view in (0, 1))
        u1, u2 = (batch["unlabelled_image"].numpy()[:, view].astype(np.float64) for view in (0, 1))
        own, other = self.weights[turn], self.weights[1 - turn]
        q_u = sum(self.predict(w, u) for w in (own, other) for u in (u1, u2)) / 4
        w = batch["labelled_clean"].numpy().astype(np.float64)[:, None]
        q_x = w * np.eye(CLASSES)[batch["labelled_label"].numpy()]
        q_x += (1 - w) * (self.predict(own, x1) + self.predict(own, x2)) / 2
        t_x, t_u = (q**2 / (q**2).sum(axis=1, keepdims=True) for q in (q_x, q_u))
        images = np.concatenate([np.stack(views, 1).reshape(2 * SIZE, -1) for views in ((x1, x2), (u1, u2))])
        targets = np.repeat(np.concatenate([t_x, t_u]), 2, axis=0)
        images = WEIGHT * images + (1 - WEIGHT) * images[ORDER]
        targets = WEIGHT * targets + (1 - WEIGHT) * targets[ORDER]
        of_labelled = np.arange(4 * SIZE) < 2 * SIZE
        strength = STRENGTH * min(max((epoch - 2) / 16, 0), 1)

        def objective(weights: list[np.ndarray]) -> float:
            p = self.predict(weights, images)
            supervised = -(targets * np.log(p)).sum(axis=1)[of_labelled].mean()
            guessed = ((p - targets) ** 2)[~of_labelled].mean()
            penalty = -np.log(CLASSES * p.mean(axis=0)).mean()
            decay = DECAY / 2 * sum((each**2).sum() for each in weights)
            return supervised + strength * guessed + penalty + decay

        for weight, velocity, slope in zip(own, self.velocities[turn], slopes(objective, own), strict=True):
            velocity *= MOMENTUM
            velocity += slope
            weight -= RATE * velocity


def at(method: methods.NoisyLabelMethod, turn: int, epoch: int, first: int, step: int, length: int) -> None:
    method.enter(Stage(("mix", turn), 2 * epoch + turn, record=turn == 1, epoch=epoch))
    method.begin(first, length)
    method.step.assign(step)


def test_whole_steps_of_both_networks_against_numpy(monkeypatch):
    """Fixed views, lambda and permutation; momentum and the ramp, at epochs 6.25, 6.5 and 40, are in it."""
    monkeypatch.setattr(mixing, "mixing_weight", lambda *_: tf.constant(WEIGHT))
    monkeypatch.setattr(mixing, "permutation", lambda *_: tf.constant(ORDER))
    method = divide_mix(num_epochs=50)
    expected = InNumPy(method)
    for seed, (turn, epoch, step) in enumerate([(0, 6, 101), (0, 6, 102), (1, 6, 102), (0, 40, 100)]):
        batch = mix_batch(seed)
        at(method, turn, epoch, first=100, step=step, length=4)
        method.train_step(batch)
        expected.step(batch, turn, epoch + (step - 100) / 4)
        for network, weights in zip(method.networks, expected.weights, strict=True):
            for found, wanted in zip(network.get_weights(), weights, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_learner_moves_its_averages_five_times_and_the_other_network_nothing(monkeypatch):
    monkeypatch.setattr(mixing, "mixing_weight", lambda *_: tf.constant(WEIGHT))
    monkeypatch.setattr(mixing, "permutation", lambda *_: tf.constant(ORDER))
    method, batch = divide_mix(batch_norm=True), mix_batch(1)
    before = [network.get_weights() for network in method.networks]
    at(method, 1, 5, first=0, step=0, length=1)
    method.train_step(batch)
    for found, wanted in zip(method.networks[0].get_weights(), before[0], strict=True):
        np.testing.assert_array_equal(found, wanted)
    x, u = batch["labelled_image"].numpy(), batch["unlabelled_image"].numpy()
    rows = np.concatenate([x, u]).reshape(4 * SIZE, -1)
    mixed = WEIGHT * rows + (1 - WEIGHT) * rows[ORDER]
    mean = np.zeros(4)
    for images in (u[:, 0], u[:, 1], x[:, 0], x[:, 1], mixed):
        mean = 0.9 * mean + 0.1 * images.reshape(len(images), -1).mean(axis=0)
    averages = [layer for layer in method.networks[1].layers if isinstance(layer, keras.layers.BatchNormalization)]
    np.testing.assert_allclose(averages[0].moving_mean, mean, rtol=1e-5, atol=1e-6)


def test_what_a_network_is_sure_of_stays_and_what_it_is_not_is_its_own_guess(monkeypatch):
    """Targets of the mixed pass: the label where w = 1; where w = 0 they don't depend on the label."""
    seen = []
    monkeypatch.setattr(mixing, "permutation", lambda count, *_: tf.range(count))
    plain = mixing.semi_supervised
    monkeypatch.setattr(
        mixing, "semi_supervised", lambda targets, *rest: (seen.append(targets.numpy()), plain(targets, *rest))[1]
    )
    for label in ([0, 1, 2], [2, 2, 0]):
        batch = mix_batch(2) | {"labelled_clean": tf.constant([1.0, 0.0, 0.0]), "labelled_label": tf.constant(label)}
        method = divide_mix()
        at(method, 0, 5, first=0, step=0, length=1)
        method.train_step(batch)
    first, second = seen
    np.testing.assert_allclose(first[:2], np.eye(CLASSES)[[0, 0]], atol=1e-6)
    np.testing.assert_allclose(second[:2], np.eye(CLASSES)[[2, 2]], atol=1e-6)
    np.testing.assert_allclose(first[2:], second[2:], atol=1e-6)
    assert (first[2:].max(axis=-1) < 0.999).all()


@pytest.mark.parametrize("penalised", [False, True])
def test_a_warm_step_against_numpy(penalised):
    method = divide_mix(entropy_penalty=penalised)
    method.enter(Stage(("warm-up", 1), 1, epoch=0))
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(6, 2, 2, 1)).astype(np.float32), np.array([0, 1, 2, 0, 1, 1], np.int32)
    before, own = InNumPy(method).weights
    still = [w.copy() for w in before]

    def objective(weights: list[np.ndarray]) -> float:
        p = InNumPy.predict(weights, images.astype(np.float64))
        found = -np.log(p[np.arange(6), labels]).mean() + DECAY / 2 * sum((w**2).sum() for w in weights)
        return found + (penalised * (p * np.log(p)).sum(axis=1).mean())

    expected = [w - RATE * slope for w, slope in zip(own, slopes(objective, own), strict=True)]
    method.train_step({"image": tf.constant(images), "label": tf.constant(labels), "index": tf.range(6)})
    for network, weights in zip(method.networks, (still, expected), strict=True):
        for found, wanted in zip(network.get_weights(), weights, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_l2bs_step_follows_on_unmixed_samples_with_sharpened_targets(monkeypatch):
    """Its weights and targets come from the network behind the first step; the second network is as without it.

    The first one is updated twice a step, and its averages move once more than without, on the unmixed samples: the
    passes that the weights come from leave them alone.
    """
    monkeypatch.setattr(mixing, "mixing_weight", lambda *_: tf.constant(WEIGHT))
    monkeypatch.setattr(mixing, "permutation", lambda *_: tf.constant(ORDER))
    rng = np.random.default_rng(8)
    clean = {
        "clean_image": tf.constant(rng.normal(size=(5, 2, 2, 1)).astype(np.float32)),
        "clean_label": tf.constant(rng.integers(0, CLASSES, 5).astype(np.int32)),
    }
    batch, held, seen, updates, means = mix_batch(3) | clean, {}, [], {}, {}

    def watched(step: BootstrapStep) -> Callable:
        return lambda own, images, targets: seen.append((images, targets)) or step(own, images, targets)

    for meta, turn in itertools.product(("none", "l2b"), (0, 1)):
        method = divide_mix(batch_norm=True, meta=meta)
        if meta == "l2b":
            method._bootstrap = watched(method._bootstrap)
        at(method, turn, 6, first=0, step=0, length=1)
        method.train_step(batch)
        held[meta, turn] = method.networks[turn].get_weights()
        updates[meta, turn] = [int(own.optimizer.iterations) for own in method.students]
        means[meta, turn] = method.networks[turn].layers[2].moving_mean.numpy()
    assert len(seen) == 1
    assert updates == {("none", 0): [1, 0], ("none", 1): [0, 1], ("l2b", 0): [2, 0], ("l2b", 1): [0, 1]}
    rows = np.concatenate([batch["labelled_image"], batch["unlabelled_image"]]).reshape(4 * SIZE, 2, 2, 1)
    np.testing.assert_array_equal(seen[0][0], rows)
    once_more = 0.9 * means["none", 0] + 0.1 * rows.reshape(4 * SIZE, -1).mean(axis=0)
    np.testing.assert_allclose(means["l2b", 0], once_more, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen[0][1].numpy().sum(axis=1), 1, rtol=1e-5)
    for one, other in zip(held["none", 1], held["l2b", 1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(held["none", 0], held["l2b", 0], strict=True))


@pytest.mark.slow
def test_two_devices_do_what_one_does(tmp_path):
    """UniCon and SimCLR as well: permutations and contrasts are those of the global batch.

    UniCon at ten times its temperature, see ``equal_dividemix.method_of`` for why.
    """
    output = tmp_path / "held.npz"
    command = [sys.executable, "tests/equal_dividemix.py", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(output, allow_pickle=False) as held:
        names = [name.removeprefix("one/") for name in held if name.startswith("one/")]
        assert len(names) > 60
        for name in names:
            np.testing.assert_allclose(held[f"two/{name}"], held[f"one/{name}"], rtol=1e-4, atol=1e-5, err_msg=name)
