"""The sparse mixture of MentorNets: gate, noise and top-k against NumPy, and what fine-tuning may look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mentornet.curricula.dump import DumpError, LossDump
from mentornet.curricula.learner import LearningSettings
from mentornet.curricula.mixture import SparseMixture, finetune
from mentornet.network import NetworkConfig, build

CONFIG = NetworkConfig(fixed_label=0)
SETTINGS = LearningSettings(steps=150, block_steps=150, objective="cross_entropy", learning_rate=0.1, jit_compile=False)


@pytest.fixture(scope="module")
def experts():
    networks = []
    for seed, slope in ((1, 3.0), (2, -3.0), (3, 0.0)):
        network = build(CONFIG, seed)
        network.fc2.bias.assign([slope])  # weights near 0.95, 0.05 and 0.5
        networks.append(network)
    return networks


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return {
        "loss": rng.uniform(0, 3, (50, 1)).astype(np.float32),
        "difference": rng.uniform(-2, 2, (50, 1)).astype(np.float32),
        "label": np.zeros(50, np.int32),
        "epoch": rng.integers(0, 100, 50).astype(np.int32),
        "activation": rng.normal(size=(50, 4)).astype(np.float32),
    }


def _expected(experts, inputs, kernel, bias, top, noise=0.0):
    weights = np.stack([expert(inputs).numpy() for expert in experts], axis=1).astype(np.float64)
    scores = np.concatenate([weights, inputs["activation"]], axis=1) @ kernel + bias + noise
    mixed = np.zeros(len(scores))
    for row, (score, weight) in enumerate(zip(scores, weights, strict=True)):
        kept = np.argsort(score)[::-1][:top]
        share = np.exp(score[kept] - score[kept].max())
        mixed[row] = np.sum(share / share.sum() * weight[kept])
    return mixed


@pytest.mark.parametrize("top", [1, 2, 3])
def test_the_mixture_is_the_softmax_of_the_top_scores(experts, inputs, top):
    mixture = SparseMixture(experts, top, activation_size=4)
    rng = np.random.default_rng(top)
    kernel, bias = rng.normal(size=(7, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    mixture.gate.set_weights([kernel, bias])
    np.testing.assert_allclose(mixture(inputs).numpy(), _expected(experts, inputs, kernel, bias, top), atol=1e-5)


def test_noise_is_gaussian_scaled_by_its_gate_and_only_there_while_learning(experts, inputs):
    mixture = SparseMixture(experts, 2, activation_size=4, seed=5)
    kernel, bias = np.full((7, 3), 0.1, np.float32), np.array([-1.0, 0.5, 2.0], np.float32)
    mixture.noise_gate.set_weights([kernel, bias])
    weights = np.stack([expert(inputs).numpy() for expert in experts], axis=1)
    features = np.concatenate([weights, inputs["activation"]], axis=1)
    normal = tf.random.stateless_normal([50, 3], [5, 7]).numpy()
    noise = normal * np.log1p(np.exp(features @ kernel + bias))
    found = tf.sigmoid(mixture.learning_logits(inputs, tf.constant(7))).numpy()
    expected = _expected(experts, inputs, np.zeros((7, 3)), np.zeros(3), 2, noise)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    other = tf.sigmoid(mixture.learning_logits(inputs, tf.constant(8))).numpy()
    assert np.abs(other - found).max() > 0.01
    np.testing.assert_array_equal(mixture(inputs).numpy(), mixture(inputs).numpy())


def test_exactly_the_top_experts_count_even_where_scores_are_equal(experts):
    shares = SparseMixture(experts, 2).shares(tf.constant([[1.0, 1.0, 1.0], [0.0, 5.0, 5.0]])).numpy()
    assert (shares > 0).sum(axis=1).tolist() == [2, 2]
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[1], [0, 0.5, 0.5])


def test_the_mixture_compiles_with_xla(experts, inputs):
    mixture = SparseMixture(experts, 2, activation_size=4)
    compiled = tf.function(lambda x: (mixture.logits(x), mixture.learning_logits(x, tf.constant(3))), jit_compile=True)
    plain, noisy = compiled(inputs)
    np.testing.assert_allclose(plain, mixture.logits(inputs), atol=1e-4)
    # XLA draws other numbers, so only the mixture of the experts' weights can be checked.
    weights = np.stack([expert(inputs).numpy() for expert in experts], axis=1)
    mixed = tf.sigmoid(noisy).numpy()
    assert ((weights.min(axis=1) - 1e-5 <= mixed) & (mixed <= weights.max(axis=1) + 1e-5)).all()
    assert np.abs(mixed - tf.sigmoid(plain)).max() > 0.01


def _problem(rows=600, seed=0):
    """Samples whose activation says whether the label is right; the loss says nothing."""
    rng = np.random.default_rng(seed)
    right = rng.uniform(size=rows) < 0.5
    noisy = rng.integers(0, 10, rows)
    clean = np.where(right, noisy, (noisy + 1) % 10)
    activation = rng.normal(size=(rows, 4)) + np.where(right, 2.0, -2.0)[:, np.newaxis] * [1, 0, 0, 0]
    dump = LossDump(np.arange(rows), np.full(rows, 20), noisy, clean, rng.exponential(1.0, rows))
    return dump, activation


def test_finetuning_learns_which_expert_is_right_from_the_activation(experts):
    dump, activation = _problem()
    mixture, card = finetune(experts, dump, activation, share=0.5, tune_experts=False, settings=SETTINGS, seed=1)
    # The experts know nothing: none is better than a coin. The sign of one activation is right in 97.7% of the cases.
    assert min(card["held_out_experts"]) > 0.6
    assert card["held_out"]["cross_entropy"] < 0.3
    assert card["held_out"]["accuracy"] > 0.9
    assert card["source"]["known_share"] == 0.5
    for expert, copy in zip(experts, mixture.experts, strict=True):
        assert all((a == b).all() for a, b in zip(expert.get_weights(), copy.get_weights(), strict=True))


def test_finetuning_sees_the_clean_labels_of_its_share_only(experts):
    dump, _ = _problem(300)
    few = replace(SETTINGS, steps=5, block_steps=5)
    mixture, card = finetune(experts[:2], dump, share=0.4, settings=few, seed=3)
    assert card["source"]["rows"] == 120
    tuned = [a for expert in mixture.experts for a in expert.get_weights()]
    assert any((a != b).any() for a, b in zip(tuned, [w for e in experts[:2] for w in e.get_weights()], strict=True))
    # Turn right into wrong and wrong into right: what is not in the share changes nothing.
    rng = np.random.default_rng([3, 24])
    known = np.zeros(300, bool)
    known[rng.permutation(300)[:120]] = True
    for rows, same in ((~known, True), (known, False)):
        opposite = np.where(dump.is_clean, (dump.noisy + 1) % 10, dump.noisy)
        clean = np.where(rows, opposite, dump.clean)
        other, _ = finetune(experts[:2], replace(dump, clean=clean), share=0.4, settings=few, seed=3)
        equal = all((a == b).all() for a, b in zip(mixture.get_weights(), other.get_weights(), strict=True))
        assert equal == same


def test_impossible_mixtures_are_explained(experts, inputs):
    with pytest.raises(ValueError, match="top=4: a mixture of 3 experts keeps 1 to 3"):
        SparseMixture(experts, 4)
    with pytest.raises(ValueError, match=r"read the same number of losses, got \[1, 2\]"):
        SparseMixture([experts[0], build(NetworkConfig(history=2))])
    with pytest.raises(ValueError, match="the same number of losses"):
        SparseMixture([])
    with pytest.raises(ValueError, match=r"reads an activation of shape \[b, 3\], got \(50, 4\)"):
        SparseMixture(experts, activation_size=3)(inputs)
    dump, activation = _problem(100)
    with pytest.raises(ValueError, match=r"share=0 of the samples must lie in \(0, 1\]"):
        finetune(experts, dump, share=0.0)
    with pytest.raises(ValueError, match=r"the activation has the shape \(99, 4\), the dump 100 rows"):
        finetune(experts, dump, activation[1:])
    with pytest.raises(DumpError, match="all 20 labels are right"):
        finetune(experts, replace(dump, clean=dump.noisy))
