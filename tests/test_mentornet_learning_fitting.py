"""Learning MentorNets: the fit itself, from formulas and from dumps, and the command with its sentences."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mentornet import curricula
from mentornet.learning import architectures, fitting, grid
from mentornet.learning.dump import DumpError
from mentornet.learning.trainer import Learner, LearningSettings, _blocks, evaluate_network, predict
from mentornet.network import NetworkConfig, build
from tests.loss_dumps import make_dump

# XLA takes longer to compile than these few steps to run.
FEW = LearningSettings(steps=60, block_steps=25, jit_compile=False)
CONFIG = NetworkConfig(fixed_label=0)


@pytest.fixture(scope="module")
def samples():
    return grid.learning_set(curricula.get("spcl_linear"), rows=400, seed=0)


def _adam(settings, start, gradients):
    """Adam with a staircase rate and a clipped norm (Kingma and Ba 2015, end of section 2): the last value."""
    value, first, second = start, 0.0, 0.0
    for step, gradient_at in enumerate(gradients):
        rate = settings.learning_rate * settings.decay_factor ** (step // settings.decay_steps)
        gradient = gradient_at(value)
        gradient = gradient * min(1.0, settings.clip_norm / np.linalg.norm(gradient))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate *= np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        value = value - rate * first / (np.sqrt(second) + 1e-8)
    return value


@pytest.mark.parametrize("objective", ["mse", "cross_entropy", "explicit"])
def test_the_fit_is_adam_on_the_objective(samples, objective):
    # A logistic network, whose gradient NumPy can write down: features loss, difference, label, epoch / 99, bias.
    settings = replace(FEW, steps=7, block_steps=3, decay_steps=2, objective=objective, clip_norm=0.05)
    network = architectures.build("logistic", history=1, seed=1)
    start = np.concatenate([weights.ravel() for weights in network.get_weights()]).astype(np.float64)
    learned = np.flatnonzero(~samples.held_out)
    orders, counts = _blocks(learned, settings, seed=3)
    steps = [rows for order, count in zip(orders, counts, strict=True) for rows in order[:count]]

    def gradient_on(rows):
        loss, difference = samples.loss[rows, 0].astype(np.float64), samples.difference[rows, 0].astype(np.float64)
        target = samples.target[rows].astype(np.float64)
        features = np.column_stack([loss, difference, samples.label[rows], samples.epoch[rows] / 99, np.ones(32)])

        def gradient(value):
            weight = 1 / (1 + np.exp(-features @ value))
            if objective == "mse":
                slope = 2 * (weight - target) * weight * (1 - weight)
            elif objective == "cross_entropy":
                slope = weight - target
            else:  # of g l + G(g), G = g^2 / 2 - (l_pt + 1) g
                slope = (loss + weight - (loss - difference + 1)) * weight * (1 - weight)
            return features.T @ slope / 32

        return gradient

    expected = _adam(settings, start, map(gradient_on, steps))
    Learner(network, settings, curricula.get("spcl_linear")).learn(samples, seed=3)
    found = np.concatenate([weights.ravel() for weights in network.get_weights()])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected - start).max() > 0.1


def test_an_embeddings_slices_are_clipped_as_one_gradient(samples):
    # All rows share one row of the epoch embedding: the norm of its slices is not that of their sum.
    same = replace(samples, epoch=np.zeros_like(samples.epoch))
    network = build(CONFIG)
    learner = Learner(network, replace(FEW, steps=1, clip_norm=1e-6), None)
    learner.learn(same, seed=0)
    moments = {variable.name: variable.numpy() for variable in learner.optimizer.variables}
    norm = np.sqrt(sum(np.sum(np.square(value)) for name, value in moments.items() if name.startswith("m/")))
    assert norm == pytest.approx(0.1 * 1e-6, rel=1e-4)


def test_every_pass_reads_every_row_once(samples):
    learned = np.flatnonzero(~samples.held_out)
    orders, counts = _blocks(learned, replace(FEW, steps=25, block_steps=10), seed=1)
    assert counts.tolist() == [10, 10, 5]
    assert orders.shape == (3, 10, 32)
    steps = orders.reshape(-1, 32)[:25]
    # 320 rows are ten batches: two whole passes, each in an order of its own.
    for start in (0, 10):
        assert sorted(steps[start : start + 10].ravel()) == sorted(learned)
    assert np.any(steps[:10] != steps[10:20])


def test_equal_seeds_learn_equal_networks_even_on_a_used_learner(samples):
    networks, curves = [], []
    learner = Learner(architectures.build("mlp", 1), FEW)
    for seed in (5, 6, 5):
        learner.network.set_weights(architectures.build("mlp", 1, seed).get_weights())
        curves.append(learner.learn(samples, seed))
        networks.append(np.concatenate([w.ravel() for w in learner.network.get_weights()]))
    np.testing.assert_array_equal(networks[0], networks[2])
    assert curves[0] == curves[2]
    assert np.any(networks[0] != networks[1])
    assert [step for step, _ in curves[0]] == [25, 50, 60]


def test_compiled_steps_agree_with_plain_ones(samples):
    found = []
    for jit_compile in (False, True):
        learner = Learner(architectures.build("mlp", 1), replace(FEW, jit_compile=jit_compile, learning_rate=0.01))
        learner.learn(samples)
        found.append(predict(learner.network, samples.inputs()))
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_reports_come_after_every_block(samples):
    reports = []
    Learner(architectures.build("mlp", 1), FEW).learn(samples, report=lambda *values: reports.append(values))
    assert [step for step, _, _ in reports] == [25, 50, 60]
    assert all(
        np.isfinite(objective) and set(found) == {"mse", "cross_entropy", "accuracy"} for _, objective, found in reports
    )


def test_evaluation_is_the_numpy_one():
    rows = 5000  # more than are evaluated at once
    samples = grid.learning_set(curricula.get("self_paced"), rows=rows, seed=2)
    network = build(CONFIG, seed=9)
    weight = network(samples.inputs()).numpy().astype(np.float64)
    chosen = np.arange(rows) % 10 != 0
    v, t = weight[chosen], samples.target[chosen]
    found = evaluate_network(network, samples, chosen)
    assert found["mse"] == pytest.approx(np.mean((v - t) ** 2), rel=1e-5)
    assert found["cross_entropy"] == pytest.approx(-np.mean(np.log(np.where(t == 1, v, 1 - v))), rel=1e-5)
    assert found["accuracy"] == np.mean((v > 0.5) == (t == 1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("focal_loss", "no G is known for 'focal_loss'"),
        ("huber", "'huber' has it up to 0.5 only"),
        (None, "no G is known for None"),
    ],
)
def test_explicit_learning_needs_a_known_regulariser(name, message):
    with pytest.raises(ValueError, match=message):
        Learner(build(CONFIG), replace(FEW, objective="explicit"), name and curricula.get(name))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"steps": 0}, "steps=0"), ({"learning_rate": 0.0}, "learning_rate"), ({"objective": "mae"}, "use one of mse")],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        LearningSettings(**wrong)


def test_defaults_are_the_specs():
    settings = LearningSettings()
    assert (settings.steps, settings.batch_size, settings.clip_norm) == (30_000, 32, 5.0)
    assert (settings.learning_rate, settings.decay_factor, settings.decay_steps) == (0.1, 0.9, 1000)
    assert fitting.PERCENTILES == (40, 50, 60, 75, 80, 90)


def test_dump_sets_are_made_as_the_release_does():
    dump = make_dump()
    samples = fitting.dump_set(dump, 75, seed=1)
    np.testing.assert_allclose(samples.loss[:, 0], dump.loss, rtol=1e-6)
    np.testing.assert_allclose(samples.difference[:, 0], dump.loss - np.percentile(dump.loss, 75), atol=1e-5)
    np.testing.assert_array_equal(samples.target, dump.noisy == dump.clean)
    np.testing.assert_array_equal(samples.label, dump.noisy)
    assert samples.held_out.sum() == 40
    np.testing.assert_array_equal(samples.held_out, fitting.dump_set(dump, 40, seed=1).held_out)
    with pytest.raises(ValueError, match=r"percentile 101 must lie in 0\.\.100"):
        fitting.dump_set(dump, 101)


def test_learning_from_a_dump_tells_right_from_wrong_and_keeps_the_best_percentile():
    settings = replace(FEW, steps=300, block_steps=300, objective="cross_entropy", learning_rate=0.02)
    dump = make_dump(400)
    network, card = fitting.learn_from_dump(dump, (40, 90), settings=settings, seed=2)
    tried = {candidate["percentile"]: candidate["cross_entropy"] for candidate in card["candidates"]}
    assert card["percentile"] == min(tried, key=tried.__getitem__)
    assert card["held_out"]["cross_entropy"] == min(tried.values())
    # The network that is returned is the one the card describes.
    samples = fitting.dump_set(dump, card["percentile"], seed=2)
    assert evaluate_network(network, samples, samples.held_out) == card["held_out"]
    # The best that any threshold on the loss does there, found by trying them all.
    loss, right = samples.loss[samples.held_out, 0], samples.target[samples.held_out] == 1
    best = max(np.mean((loss <= threshold) == right) for threshold in loss)
    assert card["held_out"]["accuracy"] >= best - 0.05
    assert best > 0.8
    assert network.config.label_rows == 3
    again, _ = fitting.learn_from_dump(dump, (40, 90), settings=settings, seed=2)
    assert all((a == b).all() for a, b in zip(network.get_weights(), again.get_weights(), strict=True))


def test_times_that_no_sample_had_are_answered_like_the_nearest():
    network = build(NetworkConfig(label_rows=3), seed=4)
    before = network.epoch_embedding.embeddings.numpy()
    fitting.spread_epochs(network, np.array([18, 75, 18, 30]))
    after = network.epoch_embedding.embeddings.numpy()
    np.testing.assert_array_equal(after[:25], np.tile(before[18], (25, 1)))  # 24 is as near to 18 as to 30
    np.testing.assert_array_equal(after[25:53], np.tile(before[30], (28, 1)))
    np.testing.assert_array_equal(after[53:], np.tile(before[75], (47, 1)))
    settings = replace(FEW, steps=40, block_steps=40, objective="cross_entropy")
    network, _ = fitting.learn_from_dump(make_dump(400), (40,), settings=settings)
    rows = network.epoch_embedding.embeddings.numpy()
    assert (rows == rows[0]).all(), "all rows of the dump are of one time"


def test_dumps_that_teach_nothing_are_refused():
    with pytest.raises(DumpError, match="has 39 rows, learning needs at least 40"):
        fitting.learn_from_dump(make_dump(39))
    with pytest.raises(DumpError, match=r"no class in 0\.\.1"):
        fitting.learn_from_dump(make_dump(), num_classes=2)
    with pytest.raises(ValueError, match="label 2 has no row in a label embedding of 2"):
        fitting.learn_from_dump(make_dump(), config=NetworkConfig(label_rows=2))


def test_the_best_of_several_starts_is_kept(samples):
    network, card = fitting.learn_from_set(samples, settings=FEW, seed=4, starts=3)
    errors = [candidate["mse"] for candidate in card["candidates"]]
    assert len(set(errors)) == 3
    assert card["held_out"]["mse"] == min(errors)
    assert evaluate_network(network, samples, samples.held_out)["mse"] == min(errors)
    assert json.loads(json.dumps(card)) == card
