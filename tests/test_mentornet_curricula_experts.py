"""The sparse mixture of MentorNets: gate, noise and top-k against NumPy, and what fine-tuning may look at."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula
from mentornet.curricula import learned
from mentornet.curricula.experts import SparseMixture
from mentornet.learning.dump import DumpError, LossDump
from mentornet.learning.experts import finetune
from mentornet.learning.trainer import LearningSettings
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
    with pytest.raises(ValueError, match="expert 1 reads 2 past losses, a dump has one a sample"):
        finetune([build(NetworkConfig(history=2))] * 2, dump)
    narrow = build(NetworkConfig(label_rows=9))
    with pytest.raises(ValueError, match="label 9 has no row in the label embedding of expert 2, which has 9"):
        finetune([experts[0], narrow], dump)


@pytest.fixture(scope="module")
def saved(experts, tmp_path_factory):
    """A mixture with a random gate, in a folder; (folder, kernel, bias)."""
    folder = tmp_path_factory.mktemp("mixture") / "mine"
    rng = np.random.default_rng(9)
    kernel, bias = rng.normal(size=(7, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    mixture = SparseMixture(experts, 2, activation_size=4)
    mixture.gate.set_weights([kernel, bias])
    learned.save(mixture, folder, {"percentile": 75})
    return folder, kernel, bias


def test_a_saved_mixture_answers_as_a_curriculum(experts, inputs, saved):
    folder, kernel, bias = saved
    curriculum = curricula.get(str(folder))
    found = curriculum(
        *(tf.constant(inputs[name][:, 0]) for name in ("loss", "difference")),
        *(tf.constant(inputs[name]) for name in ("label", "epoch", "activation")),
    )
    np.testing.assert_allclose(found, _expected(experts, inputs, kernel, bias, 2), atol=1e-5)
    assert (curriculum.name, curriculum.history, curriculum.activation_size) == ("mine", 1, 4)
    assert curriculum.card["percentile"] == 75
    assert not curriculum.network.trainable_variables
    assert len(curriculum.frozen_variables) == 3 * 12 + 4


def test_a_mixture_carried_to_other_classes_feeds_every_expert_the_fixed_label(tmp_path):
    networks = [build(NetworkConfig(label_rows=rows), seed) for seed, rows in enumerate((3, 2))]
    learned.save(SparseMixture(networks, 2), tmp_path, {})
    free, fixed = learned.load(tmp_path), learned.load(tmp_path, fixed_label=1)
    loss, epoch = tf.constant([0.1, 4.0]), tf.constant(30)
    expected = free(loss, loss, tf.constant([1, 1]), epoch)
    np.testing.assert_array_equal(fixed(loss, loss, tf.constant([0, 9]), epoch), expected)
    assert np.any(free(loss, loss, tf.constant([0, 0]), epoch).numpy() != expected.numpy())
    assert (free.network.label_rows, fixed.network.label_rows) == (2, None)


EXPERT = {"fixed_label": 0}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"experts": [EXPERT] * 2, "activation_size": 4}, "the weights in .* do not fit the network of its card"),
        ({"experts": [EXPERT] * 3, "activation_size": 5}, "the weights in .* do not fit the network of its card"),
        ({"experts": [EXPERT] * 3, "top": "2"}, "top=2: a mixture of 3 experts keeps 1 to 3 of them"),
        ({"experts": [EXPERT] * 3, "top": 4}, "top=4: a mixture of 3 experts"),
        ({"experts": [EXPERT] * 3, "activation_size": -1}, "activation_size=-1 must be a whole number"),
        ({"experts": []}, r"the same number of losses, got \[\]"),
        ({"experts": "three"}, "card lists its experts with the network settings of each"),
        ({"experts": [{"colour": 1}]}, "card lists its experts with the network settings of each"),
        ({"experts": [{"lstm_units": "many"}]}, "whole numbers of at least 1"),
        ({"top": 2}, "card lists its experts"),
        ({"experts": [EXPERT] * 3, "colour": 1}, "unknown network settings: colour"),
    ],
)
def test_a_mixtures_card_that_does_not_fit_is_explained(saved, tmp_path, network, message):
    card = json.loads((saved[0] / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps({**card, "network": network}))
    (tmp_path / "mentornet.weights.h5").write_bytes((saved[0] / "mentornet.weights.h5").read_bytes())
    with pytest.raises(ValueError, match=message) as error:
        learned.load(tmp_path)
    assert "\n" not in str(error.value)


def test_weights_of_one_mentornet_are_no_mixture(experts, saved, tmp_path):
    learned.save(experts[0], tmp_path, {})
    (tmp_path / "card.json").write_text((saved[0] / "card.json").read_text())
    with pytest.raises(ValueError, match="do not fit the network of its card"):
        learned.load(tmp_path)
