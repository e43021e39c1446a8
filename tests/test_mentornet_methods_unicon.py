"""UniCon: divergences, the uniform selection, what a network reads, and one whole step against NumPy."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import jensenshannon

from mentornet import methods
from mentornet.methods import mixing
from mentornet.methods.unicon import label_divergence, uniform_selection
from mentornet.stages import Stage
from mentornet.training.optimizers import MomentumSGD
from tests.test_mentornet_methods_contrastive import nt_xent_in_numpy
from tests.test_mentornet_methods_dividemix import at, slopes, softmax, student

CLASSES, N, LABELLED, UNLABELLED = 3, 12, 2, 4
WEIGHT, RATE, MOMENTUM, DECAY, STRENGTH, LAMBDA_C, TEMPERATURE = 0.7, 0.1, 0.9, 0.01, 5.0, 0.4, 0.3
ORDER = np.array([11, 0, 5, 2, 9, 1, 10, 3, 4, 8, 7, 6])


def unicon(**settings) -> methods.NoisyLabelMethod:
    own = {"num_epochs": 50, "batch_size": LABELLED, "warmup_epochs": 2, "lambda_u": STRENGTH, "weight_decay": DECAY}
    contrast = {"lambda_c": LAMBDA_C, "contrastive_temperature": TEMPERATURE, "projection_size": 3}
    method = methods.UniCon([student("a"), student("bb")], num_examples=N, **own | contrast | settings)
    method.compile(MomentumSGD(RATE, MOMENTUM))
    method.build_optimizers()
    return method


def test_divergences_are_scipys():
    rng = np.random.default_rng(0)
    predicted, labels = rng.dirichlet([0.5] * 4, 200), rng.integers(0, 4, 200)
    found = label_divergence(predicted[np.arange(200), labels])
    expected = [jensenshannon(p, np.eye(4)[y]) ** 2 for p, y in zip(predicted, labels, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(label_divergence([0.0, 1.0]), [math.log(2), 0], atol=1e-12)
    with pytest.raises(ValueError, match="not finite"):
        label_divergence([np.nan])


def test_as_many_of_every_class_are_kept():
    """Seven of twelve lie below the mean: 7/12 x 12/3 = 2 of every class, and the only one of the third."""
    divergence = np.array([0.1, 0.2, 0.3, 0.69, 0.6, 0.1, 0.15, 0.69, 0.65, 0.2, 0.25, 0.69])
    given = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2])
    assert (divergence < divergence.mean()).sum() == 7
    assert np.flatnonzero(uniform_selection(divergence, given, 3)).tolist() == [0, 1, 5, 6, 11]


@pytest.mark.parametrize("divergence", [np.full(6, 0.3), np.array([0.0, 0.6, 0.6, 0.6, 0.6, 0.6])])
@pytest.mark.parametrize("given", [[0, 1, 2, 0, 1, 2], [0, 0, 0, 0, 0, 1], [1] * 6, [0, 1, 2, 3, 4, 5]])
def test_no_class_goes_without_and_neither_side_is_empty(divergence, given):
    chosen = uniform_selection(divergence, np.array(given), 6)
    assert 0 < chosen.sum() < 6
    assert len(set(np.array(given)[chosen])) >= min(len(set(given)), 5)


def test_what_a_network_reads_follows_from_both_networks_as_they_are_now():
    rng = np.random.default_rng(1)
    losses = {name: rng.exponential(1.5, N).astype(np.float32) for name in ("a", "bb")}
    given = np.repeat([0, 1, 2], 4)
    training = SimpleNamespace(
        given=given, outputs=lambda n: SimpleNamespace(loss=losses[n.name]), tells_clean=lambda s: float(s.argmax())
    )
    method = unicon()
    assert method.look(Stage(("warm-up", 1), 3, epoch=1), None) is False
    for turn in (0, 1):
        losses["a"] = losses["a"][::-1].copy()  # as if it had learned
        stage = Stage(("mix", turn), 4 + turn, epoch=2)
        assert method.look(stage, training)
        d = label_divergence((np.exp(-losses["a"]) + np.exp(-losses["bb"])) / 2)
        chosen = uniform_selection(d, given, CLASSES)
        streams = method.streams(stage)
        np.testing.assert_array_equal(streams["labelled"].positions, chosen)
        np.testing.assert_array_equal(streams["unlabelled"].positions, ~chosen)
        np.testing.assert_allclose(streams["labelled"].values["clean"], np.where(d < 0.5, 1, 1 - d), rtol=1e-6)
        assert all(s.views == ("weak", "weak", "strong", "strong") for s in streams.values())
        assert streams["labelled"].size == LABELLED
        report = method.report()
        assert report[f"posterior_auc_peer_{turn + 1}"] == d.argmin()
        assert report[f"labelled_share_peer_{turn + 1}"] == pytest.approx(chosen.mean())


@pytest.mark.parametrize(
    ("factor", "share", "size"), [(0.5, 0.5, 64), (0.5, 0.4, 80), (1.0, 0.3, 208), (1.0, 0.01, 512)]
)
def test_unlabelled_samples_a_step(factor, share, size):
    """64 / (2 share), or 64 / share above half of noise, in eights; at most 512."""
    kept = np.arange(1000) < 1000 * share
    assert unicon(batch_size=64, unlabelled_factor=factor).unlabelled_size(kept) == size


def batch_of(seed: int) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    batch = {}
    for name, size in (("labelled", LABELLED), ("unlabelled", UNLABELLED)):
        batch |= {
            f"{name}_image": rng.normal(size=(size, 4, 2, 2, 1)).astype(np.float32),
            f"{name}_label": rng.integers(0, CLASSES, size).astype(np.int32),
            f"{name}_index": rng.permutation(N)[:size].astype(np.int32),
            f"{name}_clean": rng.random(size).astype(np.float32),
        }
    return {name: tf.constant(value) for name, value in batch.items()}


class InNumPy:
    """Two linear networks, their projection heads (dense, batch norm) and optimisers in float64."""

    def __init__(self, method: methods.NoisyLabelMethod):
        both = [
            [
                variable.numpy().astype(np.float64)
                for variable in (*network.trainable_variables, *head.trainable_variables)
            ]
            for network, head in zip(method.networks, method.projection_heads, strict=True)
        ]
        self.weights, self.velocities = both, [[np.zeros_like(w) for w in own] for own in both]

    @staticmethod
    def predict(weights: list[np.ndarray], images: np.ndarray) -> np.ndarray:
        return softmax(images.reshape(len(images), -1) @ weights[0] + weights[1])

    @staticmethod
    def project(weights: list[np.ndarray], images: np.ndarray) -> np.ndarray:
        z = images.reshape(len(images), -1) @ weights[2] + weights[3]
        return (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5) * weights[4] + weights[5]

    def step(self, batch: dict[str, tf.Tensor], turn: int, epoch: float) -> None:
        x, u = (batch[f"{part}_image"].numpy().astype(np.float64) for part in ("labelled", "unlabelled"))
        own, other = self.weights[turn], self.weights[1 - turn]
        q_u = sum(self.predict(w, u[:, view]) for w in (own, other) for view in (0, 1)) / 4
        w = batch["labelled_clean"].numpy().astype(np.float64)[:, None]
        q_x = w * np.eye(CLASSES)[batch["labelled_label"].numpy()]
        q_x += (1 - w) * (self.predict(own, x[:, 0]) + self.predict(own, x[:, 1])) / 2
        t_x, t_u = (q**2 / (q**2).sum(axis=1, keepdims=True) for q in (q_x, q_u))
        images = np.concatenate([views[:, 2:].reshape(2 * len(views), -1) for views in (x, u)])
        targets = np.repeat(np.concatenate([t_x, t_u]), 2, axis=0)
        images = WEIGHT * images + (1 - WEIGHT) * images[ORDER]
        targets = WEIGHT * targets + (1 - WEIGHT) * targets[ORDER]
        strength = STRENGTH * min(max((epoch - 2) / 16, 0), 1)

        def objective(weights: list[np.ndarray]) -> float:
            p = self.predict(weights, images)
            supervised = -(targets * np.log(p)).sum(axis=1)[: 2 * LABELLED].mean()
            guessed = ((p - targets) ** 2)[2 * LABELLED :].mean()
            penalty = -np.log(CLASSES * p.mean(axis=0)).mean()
            contrast = nt_xent_in_numpy(self.project(weights, u[:, 2]), self.project(weights, u[:, 3]), TEMPERATURE)
            decay = DECAY / 2 * sum((each**2).sum() for each in weights)
            return supervised + strength * guessed + penalty + LAMBDA_C * contrast + decay

        for weight, velocity, slope in zip(own, self.velocities[turn], slopes(objective, own), strict=True):
            velocity *= MOMENTUM
            velocity += slope
            weight -= RATE * velocity


def test_whole_steps_of_both_networks_against_numpy(monkeypatch):
    """Two labelled and four unlabelled samples, fixed views, lambda and permutation; the heads learn, too."""
    monkeypatch.setattr(mixing, "mixing_weight", lambda *_: tf.constant(WEIGHT))
    monkeypatch.setattr(mixing, "permutation", lambda *_: tf.constant(ORDER))
    method = unicon()
    expected = InNumPy(method)
    for seed, (turn, epoch, step) in enumerate([(0, 6, 101), (0, 6, 102), (1, 40, 100)]):
        batch = batch_of(seed)
        at(method, turn, epoch, first=100, step=step, length=4)
        method.train_step(batch)
        expected.step(batch, turn, epoch + (step - 100) / 4)
        for k, weights in enumerate(expected.weights):
            found = [*method.networks[k].trainable_variables, *method.projection_heads[k].trainable_variables]
            for variable, wanted in zip(found, weights, strict=True):
                np.testing.assert_allclose(variable, wanted, rtol=1e-5, atol=1e-5)


def test_l2bs_step_takes_the_strong_views_and_leaves_the_projection_alone(monkeypatch):
    monkeypatch.setattr(mixing, "permutation", lambda *_: tf.constant(ORDER))
    seen, heads = [], []
    batch = batch_of(3) | {"clean_image": tf.ones([5, 2, 2, 1]), "clean_label": tf.constant([0, 1, 2, 0, 1])}
    for meta in ("none", "l2b"):
        method = unicon(meta=meta)
        if meta == "l2b":
            step = method._bootstrap
            method._bootstrap = lambda own, images, targets, step=step: (
                seen.append(images) or step(own, images, targets)
            )
            stream = (
                method.divided(0)["clean"] if method.kept.assign(tf.eye(2, N, dtype=tf.int32) > 0) is not None else None
            )
            assert (stream.source, stream.views) == ("clean", ("strong",))
        at(method, 0, 6, first=0, step=0, length=1)
        method.train_step(batch)
        heads.append(method.projection_heads[0].get_weights())
    rows = [batch[f"{part}_image"].numpy()[:, 2:].reshape(-1, 2, 2, 1) for part in ("labelled", "unlabelled")]
    np.testing.assert_array_equal(seen[0], np.concatenate(rows))
    for one, other in zip(*heads, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("dataset", "meta", "clip"), [("cifar10", "l2b", 0.25), ("cifar100", "l2b", None), ("cifar10", "none", None)]
)
def test_l2bs_step_is_clipped_more_on_cifar10(dataset, meta, clip):
    data = {"dataset_name": dataset, "num_epochs": 20, "batch_size": 128, "noise_type": "uniform"}
    data |= {"clean_source": "set", "clean_batch_size": 64}
    assert methods.UniCon.prepared({"meta": meta}, SimpleNamespace(**data)).get("clip_norm") == clip


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="unlabelled_factor=0 must be above 0"):
        unicon(unlabelled_factor=0.0)
