"""Baselines with a loss of their own, against their equations in NumPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import methods, transition
from mentornet.training.optimizers import MomentumSGD
from tests.meta_oracles import fit
from tests.spade_oracles import BATCH, CLASSES, linear_student, make_batch

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, CLASSES), scale=2).astype(np.float32)
LABEL = RNG.integers(0, CLASSES, 6)
P = np.exp(LOGITS.astype(np.float64)) / np.exp(LOGITS.astype(np.float64)).sum(axis=1, keepdims=True)
ONEHOT = np.eye(CLASSES)[LABEL]
T = np.array([[0.7, 0.3, 0, 0], [0, 0.8, 0.1, 0.1], [0.2, 0, 0.8, 0], [0, 0, 0.4, 0.6]])


def make(name: str, **options) -> methods.NoisyLabelMethod:
    return methods.get(name)(linear_student(), max_steps=10, **options)


def losses_and_gradient(method: methods.Standard) -> tuple[np.ndarray, np.ndarray]:
    """The losses of LOGITS against LABEL, and the derivative of their sum."""
    z = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(z)
        losses = method.sample_losses(tf.constant(LABEL), z)
        total = tf.reduce_sum(losses)
    return losses.numpy(), tape.gradient(total, z).numpy()


@pytest.mark.parametrize("beta", [0.0, 0.8, 1.0])
def test_reed_hard_by_hand(beta):
    """ICML eq. 32: the target is beta y + (1 - beta) argmax p, a constant."""
    target = beta * ONEHOT + (1 - beta) * np.eye(CLASSES)[P.argmax(axis=1)]
    losses, gradient = losses_and_gradient(make("reed", kind="hard", beta=beta))
    np.testing.assert_allclose(losses, -(target * np.log(P)).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(gradient, P - target, atol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.95, 1.0])
def test_reed_soft_by_hand(beta):
    """ICML eq. 31 as the cross-entropy plus (1 - beta) times the entropy, whose gradient is -p (log p + H)."""
    entropy = -(P * np.log(P)).sum(axis=1)
    losses, gradient = losses_and_gradient(make("reed", kind="soft", beta=beta))
    np.testing.assert_allclose(losses, -beta * np.log((P * ONEHOT).sum(axis=1)) + (1 - beta) * entropy, rtol=1e-5)
    expected = beta * (P - ONEHOT) - (1 - beta) * P * (np.log(P) + entropy[:, None])
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_reeds_own_shares_of_the_given_label():
    """Hard 0.8 and soft 0.95 are the defaults, and hard is."""
    log_p = np.log(P)
    hard = 0.8 * ONEHOT + 0.2 * np.eye(CLASSES)[P.argmax(axis=1)]
    for options, target in (({}, hard), ({"kind": "hard"}, hard), ({"kind": "soft"}, 0.95 * ONEHOT + 0.05 * P)):
        losses, _ = losses_and_gradient(make("reed", **options))
        np.testing.assert_allclose(losses, -(target * log_p).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("q", [1e-3, 0.7, 1.0])
def test_generalised_cross_entropy_by_hand(q):
    p_y = (P * ONEHOT).sum(axis=1)
    losses, gradient = losses_and_gradient(make("generalised_cross_entropy", q=q))
    np.testing.assert_allclose(losses, (1 - p_y**q) / q, rtol=1e-4)
    np.testing.assert_allclose(gradient, p_y[:, None] ** q * (P - ONEHOT), atol=1e-5)


def test_generalised_cross_entropy_is_finite_for_a_hopeless_label():
    method = make("generalised_cross_entropy")
    loss = method.sample_losses(tf.constant([1]), tf.constant([[500.0, -500.0, 0.0, 0.0]]))
    assert loss.numpy() == pytest.approx([1 / 0.7])


def test_forward_correction_by_hand():
    """-log (p T)_y and its gradient p_k (1 - T_ky / (p T)_y), with zeros in T."""
    mixed = P @ T
    at_y = mixed[np.arange(6), LABEL]
    losses, gradient = losses_and_gradient(make("forward_correction", transition_matrix=T))
    np.testing.assert_allclose(losses, -np.log(at_y), rtol=1e-5)
    np.testing.assert_allclose(gradient, P * (1 - T[:, LABEL].T / at_y[:, None]), atol=1e-5)


def test_backward_correction_is_unbiased():
    """Its mean over the noise, given the true class, is the cross-entropy of the true class."""
    method = make("backward_correction", transition_matrix=T)
    every_label = np.stack(
        [method.sample_losses(tf.fill([6], j), tf.constant(LOGITS)).numpy() for j in range(CLASSES)], axis=1
    )
    np.testing.assert_allclose(every_label @ T.T, -np.log(P), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["forward_correction", "backward_correction"])
def test_corrections_with_the_identity_train_like_plain_training(name):
    batches = [make_batch(seed) for seed in range(3)]
    corrected = make(name, transition_matrix=np.eye(CLASSES), weight_decay=0.1)
    plain = make("standard", weight_decay=0.1)
    for method in (corrected, plain):
        fit(method, *batches, optimizer=MomentumSGD(0.3, 0.9))
    for a, b in zip(corrected.student.variables, plain.student.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


def test_forward_correction_is_finite_for_a_hopeless_label():
    method = make("forward_correction", transition_matrix=np.eye(CLASSES))
    assert method.sample_losses(tf.constant([1]), tf.constant([[60.0, -60.0, 0.0, 0.0]])).numpy() == pytest.approx(
        [120]
    )


def test_s_model_starts_as_smoothed_identity_and_learns_both_parts():
    """One plain step of both the kernel and the noise layer, by the chain rule in NumPy."""
    method, batch, rate, s = make("s_model", smoothing=0.2), make_batch(), 0.1, 0.2
    q = (1 - s) * np.eye(CLASSES) + s / CLASSES
    np.testing.assert_allclose(method.transition_matrix(), q, rtol=1e-5)
    kernel = method.student.trainable_variables[0].numpy().astype(np.float64)
    free = method.noise_logits.numpy().astype(np.float64)
    x = batch["image"].reshape(BATCH, -1).astype(np.float64)
    p = np.exp(x @ kernel) / np.exp(x @ kernel).sum(axis=1, keepdims=True)
    at_y = (p @ q)[np.arange(BATCH), batch["label"]]
    posterior = p * q[:, batch["label"]].T / at_y[:, None]  # P(true class | given label, x)
    onehot = np.eye(CLASSES)[batch["label"]]
    slope = -(posterior.T @ onehot - posterior.sum(axis=0)[:, None] * q) / BATCH
    fit(method, batch, optimizer=MomentumSGD(rate, 0.0))
    np.testing.assert_allclose(
        method.student.trainable_variables[0].numpy(), kernel - rate * x.T @ (p - posterior) / BATCH, atol=1e-5
    )
    np.testing.assert_allclose(method.noise_logits.numpy(), free - rate * slope, atol=1e-5)


def test_s_model_with_a_nearly_exact_identity_trains_like_plain_training():
    batches = [make_batch(seed) for seed in range(3)]
    adapted, plain = make("s_model", smoothing=1e-7), make("standard")
    for method in (adapted, plain):
        fit(method, *batches, optimizer=MomentumSGD(0.3, 0.9))
    for a, b in zip(adapted.student.variables, plain.student.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4)


def test_s_model_takes_a_confusion_matrix():
    method = make("s_model", initial_transition=T, smoothing=0.1)
    np.testing.assert_allclose(method.transition_matrix(), 0.9 * T + 0.1 / CLASSES, rtol=1e-5)


def test_the_estimate_of_a_perfect_posterior_is_the_true_matrix():
    """Inputs of every certainty, a pure one of each class among them: p(given | x) = p(true | x) T."""
    posterior = np.concatenate([RNG.dirichlet(np.full(CLASSES, 0.3), size=300), np.eye(CLASSES)])
    np.testing.assert_allclose(transition.estimated(posterior @ T, outlier_share=0.0), T, atol=1e-12)


def test_the_estimate_passes_over_outliers_and_leaves_its_input_alone():
    p = np.full((100, 2), 0.5)
    p[:, 0] = np.linspace(0.1, 0.8, 100)
    p[7] = [0.999, 0.001]  # an outlier that would be taken for class 0
    p[:, 1] = 1 - p[:, 0]
    before = p.copy()
    found = transition.estimated(p, outlier_share=0.03)
    np.testing.assert_array_equal(p, before)
    ordered = np.sort(p[:, 0])
    # 97% of 99 is 96.03: from the 97th smallest on, counting from 0, they are passed over.
    np.testing.assert_allclose(found[0], [ordered[96], 1 - ordered[96]])
    assert transition.estimated(p, outlier_share=0.0)[0, 0] == pytest.approx(0.999)


def test_probabilities_of_exactly_one_do_not_make_a_row_of_the_identity():
    p = np.array([[1.0, 0.0]] * 60 + [[0.8, 0.2]] * 5 + [[0.3, 0.7]] * 34 + [[0.1, 0.9]])
    # Class 0: the threshold is 1, which 60 inputs reach. Class 1: only the 100th input lies at 0.9; 97% of 99 is
    # 96.03, so the threshold is 0.7, which 35 reach.
    np.testing.assert_allclose(transition.estimated(p, outlier_share=0.03), [[0.8, 0.2], [0.8, 0.2]])
    np.testing.assert_allclose(transition.estimated(p, outlier_share=0.0), [[1.0, 0.0], [0.1, 0.9]])


def test_the_largest_probability_counts_where_all_inputs_are_alike():
    p = np.tile([[0.6, 0.4]], (50, 1))
    np.testing.assert_allclose(transition.estimated(p, outlier_share=0.03), [[0.6, 0.4], [0.6, 0.4]])
    np.testing.assert_allclose(transition.estimated([[1.0, 0.0]], outlier_share=0.5), [[1.0, 0.0], [1.0, 0.0]])


def test_labels_that_a_matrix_never_gives_are_refused():
    matrix = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.1, 0.9, 0.0]])
    transition.check_labels(matrix, [0, 1, 1])
    with pytest.raises(ValueError, match="column 2 of the transition matrix is 0"):
        transition.check_labels(matrix, [0, 2, 1])


def test_confusion_by_hand():
    found = transition.confusion([0, 0, 0, 2], [0, 1, 1, 2], 3)
    np.testing.assert_allclose(found, [[1 / 3, 2 / 3, 0], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        (np.eye(3), "3 x 3, but 4 classes need 4 x 4"),
        (np.ones(4), "is 4, but 4 classes need 4 x 4"),
        (np.full((4, 4), 0.3), r"row 0 of the transition matrix sums to 1.2"),
        (np.eye(4) * 2 - np.roll(np.eye(4), 1, axis=1), "negative or not finite"),
        (np.full((4, 4), np.nan), "negative or not finite"),
    ],
)
@pytest.mark.parametrize("name", ["forward_correction", "backward_correction"])
def test_wrong_matrices_are_refused(name, matrix, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(name, transition_matrix=matrix)


def test_backward_correction_refuses_a_singular_matrix():
    with pytest.raises(ValueError, match="can't be inverted"):
        make("backward_correction", transition_matrix=np.full((4, 4), 0.25))


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("reed", {"kind": "medium"}, "kind"),
        ("reed", {"beta": 1.1}, "beta"),
        ("generalised_cross_entropy", {"q": 0.0}, "q=0"),
        ("s_model", {"smoothing": 0.0}, "smoothing"),
        ("s_model", {"initial_transition": np.eye(2)}, "2 x 2"),
    ],
)
def test_wrong_settings_are_refused(name, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(name, **options)
