"""NT-Xent against loops in NumPy, the features that C2D starts from, and SimCLR's linear probe."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from mentornet import inspection, methods
from mentornet.methods.contrastive import copy_features, nt_xent
from mentornet.training.optimizers import MomentumSGD


def nt_xent_in_numpy(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Equation 1 of SimCLR, view by view."""
    views = [*first, *second]
    n = len(first)
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in views] for a in views]
    losses = []
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = sum(np.exp(cosine[i][k] / temperature) for k in range(2 * n) if k != i)
        losses.append(-np.log(np.exp(cosine[i][j] / temperature) / others))
    return float(np.mean(losses))


@pytest.mark.parametrize("temperature", [0.5, 0.05])
def test_nt_xent_and_its_gradient_against_numpy(temperature):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 3))
    z = [tf.constant(view, tf.float32) for view in (first, second)]
    with tf.GradientTape() as tape:
        tape.watch(z)
        found = nt_xent(*z, temperature)
    assert found.numpy() == pytest.approx(nt_xent_in_numpy(first, second, temperature), rel=1e-5)
    slopes = np.zeros_like(first)
    for place in np.ndindex(first.shape):
        moved = [first.copy(), first.copy()]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        up, down = (nt_xent_in_numpy(each, second, temperature) for each in moved)
        slopes[place] = (up - down) / 2e-6
    np.testing.assert_allclose(tape.gradient(found, z)[0], slopes, rtol=1e-4, atol=1e-5)


def test_features_are_copied_and_the_dense_layer_is_not():
    pretrained, student = (
        student_nets.get("resnet8", classes, input_shape=(8, 8, 1), seed=s) for s, classes in ((1, 3), (2, 5))
    )
    for variable in pretrained.non_trainable_variables:
        variable.assign(variable + 1)  # averages belong to the features
    head = [w.copy() for w in inspection.logits_layer(student).get_weights()]
    copy_features(student, pretrained)
    for kept, now in zip(head, inspection.logits_layer(student).get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)
    rest = len(student.variables) - 2
    same = [np.array_equal(a, b) for a, b in zip(student.get_weights(), pretrained.get_weights(), strict=True)]
    assert sum(same) == rest
    with pytest.raises(ValueError, match="another network than --studentnet"):
        copy_features(student_nets.get("small_cnn", 3, input_shape=(8, 8, 1)), pretrained)


def test_simclr_learns_features_from_the_views_alone_and_its_probe_from_labels():
    """Other labels move the dense layer otherwise, and nothing else."""
    rng = np.random.default_rng(0)
    image = tf.constant(rng.normal(size=(6, 2, 4, 4, 1)).astype(np.float32))
    held = []
    for label in ([0, 1, 2, 0, 1, 2], [2, 2, 1, 1, 0, 0]):
        start = [keras.initializers.GlorotUniform(seed) for seed in (1, 2)]
        inputs = keras.Input((4, 4, 1))
        x = keras.layers.Dense(5, activation="relu", kernel_initializer=start[0])(keras.layers.Flatten()(inputs))
        student = keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=start[1], name="logits")(x))
        method = methods.SimCLR(student, max_steps=5, num_examples=6)
        method.compile(MomentumSGD(0.1, 0.9))
        method.build_optimizers()
        before = student.get_weights()
        method.train_step({"image": image, "label": tf.constant(label), "index": tf.range(6)})
        held.append(student.get_weights())
        assert all((a != b).any() for a, b in zip(before, held[-1], strict=True))
        assert np.isfinite(method.report()["contrastive_loss"])
    same = [np.array_equal(a, b) for a, b in zip(*held, strict=True)]
    assert same == [True, True, False, False]
