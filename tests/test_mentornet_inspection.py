"""The activation before the logits: what the last dense layer reads, from the student's own pass."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from mentornet.inspection import StudentWithActivation


def functional():
    image = keras.Input((4, 4, 1))
    x = keras.layers.Dropout(0.5, seed=3)(keras.layers.Flatten()(image))
    x = keras.layers.Dense(7, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(image, keras.layers.Dense(3, name="logits")(x))


def followed_by_a_cast():
    dense = keras.layers.Dense(3, name="logits")
    cast = keras.layers.Activation("linear", dtype="float32")
    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(5), dense, cast])


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (functional, 7),
        (followed_by_a_cast, 5),
        (lambda: student_nets.get("small_cnn", 3, input_shape=(4, 4, 1)), 128),
        (lambda: student_nets.get("resnet8", 3, input_shape=(4, 4, 1)), 64),
        (lambda: student_nets.get("cifarnet", 3, input_shape=(4, 4, 1)), 192),
    ],
)
def test_the_logits_are_the_activation_times_the_kernel_plus_the_bias(make, size):
    student = make()
    kernel = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
    student.get_layer("logits").set_weights([kernel, np.array([0.5, -1.0, 2.0], np.float32)])
    images = np.random.default_rng(1).normal(size=(6, 4, 4, 1)).astype(np.float32)
    both = StudentWithActivation(student)
    for training in (False, True):
        logits, activation = both(images, training=training)
        assert both.size == size
        assert activation.shape == (6, size)
        np.testing.assert_allclose(logits, activation.numpy() @ kernel + [0.5, -1.0, 2.0], atol=1e-4)
    logits, _ = both(images, training=False)
    np.testing.assert_array_equal(logits, student(images, training=False))


def test_one_pass_moves_the_students_state_once():
    """Dropout draws and batch norm moves as in the student's own step: the layers are the same ones."""
    images = np.random.default_rng(1).normal(size=(6, 4, 4, 1)).astype(np.float32)
    alone, beside = functional(), functional()
    beside.set_weights(alone.get_weights())
    tf.random.set_seed(0)
    expected = alone(images, training=True)
    tf.random.set_seed(0)
    found, _ = StudentWithActivation(beside)(images, training=True)
    np.testing.assert_array_equal(found, expected)
    for a, b in zip(alone.get_weights(), beside.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_auxiliary_head_answers_as_the_student_does():
    student = student_nets.get("inception_resnet_v2_tiny", 3, input_shape=(75, 75, 1), auxiliary_head=True)
    images = np.random.default_rng(1).normal(size=(2, 75, 75, 1)).astype(np.float32)
    both = StudentWithActivation(student)
    logits, activation = both(images, training=False)
    np.testing.assert_array_equal(logits, student(images, training=False))
    kernel, bias = student.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits, activation.numpy() @ kernel + bias, atol=1e-5)
    (main, auxiliary), _ = both(images, training=True)
    assert main.shape == auxiliary.shape == (2, 3)


def test_half_precision_students_answer_in_single():
    policy = keras.mixed_precision.Policy("mixed_bfloat16")
    image = keras.Input((4, 4, 1))
    x = keras.layers.Dense(7, dtype=policy)(keras.layers.Flatten()(image))
    student = keras.Model(image, keras.layers.Dense(3, dtype="float32")(x))
    _, activation = StudentWithActivation(student)(tf.ones([2, 4, 4, 1]), training=False)
    assert activation.dtype == tf.float32


def _subclassed():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    return Own(name="own")


def _convolutional():
    image = keras.Input((4, 4, 1))
    x = keras.layers.Dense(7)(image)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 1)(x)), name="own")


def _sum_of_two():
    image = keras.Input((4,))
    logits = keras.layers.Add()([keras.layers.Dense(3)(image), keras.layers.Dense(3)(image)])
    return keras.Model(image, logits, name="own")


def _no_layers():
    image = keras.Input((4,))
    return keras.Model(image, keras.layers.Activation("relu")(image), name="own")


@pytest.mark.parametrize("make", [_subclassed, _convolutional, _sum_of_two, _no_layers])
def test_students_without_such_a_layer_are_refused(make):
    with pytest.raises(ValueError, match="logits of the student 'own' do not come from a dense layer") as error:
        StudentWithActivation(make())
    assert "\n" not in str(error.value)
