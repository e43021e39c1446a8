"""L2B's weights from given scores: normalisations, scopes and ablations against NumPy, scales, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import methods
from mentornet.training.optimizers import MomentumSGD
from tests.meta_oracles import fit, meta_batch, values
from tests.test_mentornet_methods_l2b import linear_student

SCORES = np.array([[0.02, -0.01, 0.0], [0.01, 0.03, -0.04]], np.float32)
POSITIVE = np.maximum(SCORES.astype(np.float64), 0)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-scores))


def halves(raw: np.ndarray) -> np.ndarray:
    """Each row normalised to 1/2."""
    return raw / raw.sum(axis=1, keepdims=True) / 2


def only(raw: np.ndarray, row: int) -> np.ndarray:
    """One row normalised to 1, the other 0."""
    kept = np.zeros_like(raw)
    kept[row] = raw[row] / raw[row].sum()
    return kept


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, POSITIVE / POSITIVE.sum()),
        ({"scope": "separate"}, POSITIVE / POSITIVE.sum(axis=1, keepdims=True) / 2),
        ({"ablation": "alpha_zero"}, POSITIVE * [[0], [1]] / POSITIVE[1].sum()),
        ({"ablation": "beta_zero"}, POSITIVE * [[1], [0]] / POSITIVE[0].sum()),
        ({"normalisation": "sigmoid"}, sigmoid(POSITIVE) / sigmoid(POSITIVE).sum()),
        ({"normalisation": "softmax"}, np.exp(SCORES) / np.exp(SCORES).sum()),
        ({"normalisation": "softmax", "temperature": 10.0}, np.exp(SCORES / 10) / np.exp(SCORES / 10).sum()),
        ({"normalisation": "sigmoid", "ablation": "alpha_zero"}, only(sigmoid(POSITIVE), 1)),
        ({"normalisation": "sigmoid", "ablation": "beta_zero", "scope": "separate"}, only(sigmoid(POSITIVE), 0)),
        ({"normalisation": "sigmoid", "scope": "separate"}, halves(sigmoid(POSITIVE))),
        ({"normalisation": "softmax", "ablation": "alpha_zero"}, only(np.exp(SCORES), 1)),
        ({"normalisation": "softmax", "ablation": "beta_zero", "scope": "separate"}, only(np.exp(SCORES), 0)),
        ({"normalisation": "softmax", "scope": "separate"}, halves(np.exp(SCORES))),
        ({"scope": "separate", "ablation": "alpha_zero"}, only(POSITIVE, 1)),
        ({"scope": "separate", "ablation": "beta_zero"}, only(POSITIVE, 0)),
    ],
)
def test_normalisations_and_ablations(options, expected):
    """Claims 3 and 8; weights of all rules sum to 1."""
    method = methods.L2B(linear_student(), max_steps=1, **options)
    found = method.weights(tf.constant(SCORES))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert float(tf.reduce_sum(found)) == pytest.approx(1)


def test_all_scores_negative_gives_no_weights_and_no_nan():
    method = methods.L2B(linear_student(), max_steps=1)
    found = method.weights(-tf.ones([2, 5]))
    assert np.all(found.numpy() == 0)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    ("ablation", "scope", "expected"),
    [
        ("beta_zero", "joint", [[1 / (1 + np.e), np.e / (1 + np.e)], [0, 0]]),
        ("alpha_zero", "separate", [[0, 0], [1 / (1 + np.e**2), np.e**2 / (1 + np.e**2)]]),
        ("none", "joint", [[0, 0], [1 / (1 + np.e**2), np.e**2 / (1 + np.e**2)]]),
        (
            "none",
            "separate",
            [[0.5 / (1 + np.e), 0.5 * np.e / (1 + np.e)], [0.5 / (1 + np.e**2), 0.5 * np.e**2 / (1 + np.e**2)]],
        ),
    ],
)
def test_a_small_temperature_leaves_weights_to_the_rows_that_count(ablation, scope, expected, jit_compile):
    """Rows 1,000 temperatures apart: against the other row's maximum all exponentials of the smaller would be 0."""
    method = methods.L2B(
        linear_student(), max_steps=1, normalisation="softmax", temperature=0.01, ablation=ablation, scope=scope
    )
    scores = tf.constant([[0.0, 0.01], [10.0, 10.02]])
    found = tf.function(method.weights, jit_compile=jit_compile)(scores)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    # The other way round the masked scores are the small ones.
    found = tf.function(method.weights, jit_compile=jit_compile)(-scores)
    assert np.all(np.isfinite(found.numpy()))
    assert float(tf.reduce_sum(found)) == pytest.approx(1)


@pytest.mark.parametrize("scope", ["joint", "separate"])
def test_rectified_weights_do_not_depend_on_the_scale_of_scores(scope):
    """Claim 4: the step sizes and the scale of the clean loss are a factor of all scores."""
    method = methods.L2B(linear_student(), max_steps=1, scope=scope)
    scores = np.random.default_rng(0).normal(size=(2, 20)).astype(np.float32)
    first = method.weights(tf.constant(scores))
    rectified = np.maximum(scores, 0)
    expected = rectified / rectified.sum() if scope == "joint" else halves(rectified)
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    for scale in (1e-4, 1e3):
        np.testing.assert_allclose(method.weights(tf.constant(scale * scores)), first, rtol=1e-5)


def test_without_look_ahead_the_learning_rate_only_scales_the_step():
    """Claim 4 through whole first steps; with the look-ahead, which moves the clean gradient by it, it does not."""
    moved = {}
    for lookahead in ("none", "momentum"):
        for rate in (0.1, 0.4):
            student = linear_student()
            before = values(student.trainable_variables)
            method = methods.L2B(student, max_steps=5, lookahead=lookahead, weight_decay=1.0)
            method.compile(optimizer=MomentumSGD(rate, 0.9))
            rng = np.random.default_rng(1)
            optimizer = method.optimizer
            optimizer.build(method.trained_variables())
            for velocity in optimizer.velocities:
                velocity.assign(rng.normal(size=velocity.shape))
            start = values(optimizer.velocities)
            fit(method, meta_batch(shape=(3, 3, 1)), optimizer=optimizer)
            moved[lookahead, rate] = np.concatenate(
                [
                    ((old - new) / rate - 0.9 * v).ravel()
                    for old, new, v in zip(before, values(student.trainable_variables), start, strict=True)
                ]
            )
    np.testing.assert_allclose(moved["none", 0.1], moved["none", 0.4], atol=1e-5)
    assert np.abs(moved["momentum", 0.1] - moved["momentum", 0.4]).max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"ablation": "gamma"}, "ablation"),
        ({"normalisation": "l1"}, "normalisation"),
        ({"scope": "both"}, "scope"),
        ({"decayed": "biases"}, "decayed"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"warmup_steps": 1}, "leave none of the 1 steps"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"temperature": 0.0}, "temperature"),
        ({"ablation": "alpha_plus_beta_one", "normalisation": "softmax"}, "fixes the normalisation"),
    ],
)
def test_wrong_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        methods.L2B(linear_student(), max_steps=1, **settings)
