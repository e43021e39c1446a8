"""Baselines that only weigh samples by simple rules, and training on the clean set alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.methods.class_weights import class_weights
from mentornet.training.optimizers import MomentumSGD
from tests.meta_oracles import fit
from tests.spade_oracles import BATCH, CLASSES, linear_student, make_batch


def make(name: str, **options) -> methods.NoisyLabelMethod:
    return methods.get(name)(linear_student(), max_steps=10, **options)


def weights(method: methods.Standard, losses, label=None) -> np.ndarray:
    label = np.zeros(len(losses), np.int32) if label is None else np.asarray(label, np.int32)
    return method.weigh(tf.constant(losses, tf.float32), tf.constant(label)).weights.numpy()


def test_random_weights_are_rectified_gaussians_of_sum_one():
    """Claim 9 of L2RW: not negative, and divided by the batch size they sum to 1; new in every step."""
    method, again = make("random_weights", seed=3), make("random_weights", seed=3)
    first = weights(method, np.zeros(4000))
    assert first.min() == 0
    assert first.sum() / 4000 == pytest.approx(1, rel=1e-5)
    # Half are 0, and E max(z, 0) = 1/sqrt(2 pi), E max(z, 0)^2 = 1/2: the normalised second moment is pi.
    assert (first == 0).mean() == pytest.approx(0.5, abs=0.04)
    assert (first**2).mean() == pytest.approx(np.pi, rel=0.1)
    np.testing.assert_array_equal(first, weights(again, np.zeros(4000)))
    method.step.assign(1)
    assert np.corrcoef(first, weights(method, np.zeros(4000)))[0, 1] < 0.1


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_hard_mining_keeps_exactly_the_largest_losses(share):
    losses = np.random.default_rng(1).gamma(1.0, size=20)
    count = max(1, round(share * 20))
    kept = np.zeros(20)
    kept[np.argsort(-losses)[:count]] = 20 / count
    np.testing.assert_allclose(weights(make("hard_mining", kept_share=share), losses), kept, rtol=1e-6)


def test_hard_mining_keeps_the_same_number_among_equal_losses():
    assert np.count_nonzero(weights(make("hard_mining", kept_share=0.3), np.ones(10))) == 3


def test_hard_mining_that_chooses_first_trains_alike():
    """Steps of a small LeNet: the chosen samples alone give the update of the whole batch with weights of 0."""
    from student_nets import get

    rng = np.random.default_rng(5)
    batches = [
        {
            "image": rng.random((20, 8, 8, 1)).astype(np.float32),
            "label": (rng.random(20) > 0.2).astype(np.int32),
            "index": np.arange(20, dtype=np.int32),
            "is_clean": np.ones(20, bool),
        }
        for _ in range(3)
    ]
    trained, logs = [], []
    for choose_first in (False, True):
        student = get("lenet", 2, input_shape=(8, 8, 1), seed=1)
        method = methods.HardMining(
            student, positive_label=0, choose_first=choose_first, max_steps=5, weight_decay=0.01, num_examples=20
        )
        logs.append(fit(method, *batches, optimizer=MomentumSGD(0.1, 0.9)))
        trained.append([variable.numpy() for variable in student.variables])
    for first, second in zip(*trained, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    assert logs[0][-1]["weighted_loss"] == pytest.approx(logs[1][-1]["weighted_loss"], rel=1e-4)
    assert 0 < logs[1][-1]["data_utilisation"] < 1
    with pytest.raises(ValueError, match="choose_first runs chosen samples alone"):
        methods.HardMining(get("small_cnn", 2, input_shape=(8, 8, 1)), choose_first=True, max_steps=5)


def test_hard_mining_with_a_positive_class():
    """All positives, and as many of the hardest others; one if there is no positive."""
    losses = [0.1, 5.0, 0.2, 3.0, 4.0, 1.0]
    method = make("hard_mining", positive_label=2)
    found = weights(method, losses, [2, 2, 0, 1, 0, 1])
    np.testing.assert_allclose(found, np.array([1, 1, 0, 1, 1, 0]) * 6 / 4)
    np.testing.assert_allclose(weights(method, losses, [0, 0, 0, 1, 0, 1]), [0, 6, 0, 0, 0, 0])


def test_class_weights_by_hand():
    given = np.array([0] * 8 + [1] * 2)
    np.testing.assert_allclose(class_weights("balanced", given, 2), [10 / 16, 10 / 4])
    # The released L2RW code: a sample of class 0 counts as much as class 1 is frequent, and the other way round.
    np.testing.assert_allclose(class_weights("share", given, 2), [0.2, 0.8])
    clean = np.array([True] * 4 + [False] * 4 + [True] * 2)
    np.testing.assert_allclose(class_weights("precision", given, 2, clean), [0.5, 1.0])
    np.testing.assert_allclose(class_weights("balanced", given, 3), [10 / 16, 10 / 4, 0])


def test_the_oracle_of_background_noise_has_the_share_of_the_released_code():
    """0.1 / (0.4 + 0.6 / C) with 0.1 = 1 - 0.4 + ... only for C = 10: the clean share of the background label."""
    clean = np.repeat(np.arange(10), 1000)
    given = clean.copy()
    flipped = np.random.default_rng(0).permutation(10000)[:4000]
    given[flipped] = 3
    found = class_weights("precision", given, 10, given == clean)
    assert found[3] == pytest.approx(0.1 / (0.4 + 0.06), rel=0.02)
    assert found[0] == 1


def test_class_weights_scale_losses_and_can_be_normalised_over_the_batch():
    method = make("class_weights", class_weights=[0.5, 1.0, 2.0, 4.0])
    np.testing.assert_allclose(weights(method, [1.0, 1.0, 1.0], [3, 0, 2]), [4, 0.5, 2])
    method = make("class_weights", class_weights=[0.5, 1.0, 2.0, 4.0], normalise_batch=True)
    np.testing.assert_allclose(weights(method, [1.0, 1.0, 1.0], [3, 0, 2]), 3 * np.array([4, 0.5, 2]) / 6.5, rtol=1e-6)


def test_clean_only_is_plain_training_on_the_clean_batches():
    noisy, clean = make_batch(0), make_batch(1)
    batch = noisy | {"clean_image": clean["image"], "clean_label": clean["label"]}
    on_clean, plain = make("clean_only", num_examples=BATCH), make("standard")
    fit(on_clean, batch, optimizer=MomentumSGD(0.3, 0.9))
    fit(plain, clean, optimizer=MomentumSGD(0.3, 0.9))
    for a, b in zip(on_clean.student.variables, plain.student.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_clean_only_refuses_batches_without_clean_samples():
    with pytest.raises(ValueError, match="clean_image"):
        make("clean_only").train_step(make_batch())


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("hard_mining", {"kept_share": 0.0}, "kept_share"),
        ("class_weights", {"class_weights": [0.0] * CLASSES}, "not all 0"),
        ("class_weights", {"class_weights": [-1.0, *[1.0] * (CLASSES - 1)]}, "negative"),
        ("class_weights", {"class_weights": [np.inf, *[1.0] * (CLASSES - 1)]}, "finite"),
        ("class_weights", {"class_weights": [1.0, 1.0]}, f"one for each of the {CLASSES} classes"),
        ("standard", {"weight_decay": np.nan}, "weight_decay=nan must be finite"),
    ],
)
def test_wrong_settings_are_refused(name, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(name, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("s_model", {}),
        ("hard_mining", {"positive_label": 0}),
        ("class_weights", {"class_weights": [1.0] * CLASSES}),
        ("forward_correction", {"transition_matrix": np.eye(CLASSES)}),
        ("hard_mining", None),
        ("standard", None),
    ],
)
def test_a_student_of_unknown_shape_gets_a_sentence_only_where_the_classes_are_needed(name, options):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = linear_student()

        def call(self, inputs, training=None):
            return self.inner(inputs, training=training)

    student = Subclassed()
    student(make_batch()["image"])
    if options is None:
        method = methods.get(name)(student, max_steps=10)
        assert np.isfinite(fit(method, make_batch(), optimizer=MomentumSGD(0.1, 0.9))[0]["weighted_loss"])
        return
    with pytest.raises(ValueError, match="does not tell its output shape: build it from"):
        methods.get(name)(student, max_steps=10, **options)


def test_unknown_rules_and_unknown_truth_are_refused():
    with pytest.raises(ValueError, match="rule='size'"):
        class_weights("size", np.zeros(3, np.int32), 2)
    with pytest.raises(ValueError, match="true labels"):
        class_weights("precision", np.zeros(3, np.int32), 2)
