"""Forward-mode derivatives of whole networks against differences of their outputs and TensorFlow's own accumulator."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from mentornet.methods.forward_mode import outputs_and_derivative
from tests.meta_oracles import conv_logits, conv_student

STUDENTS = {
    "cifarnet": (8, 3),
    "resnet8": (8, 3),
    "s2e_mlp": (4, 3),
    "s2e_model1": (16, 3),
    "small_cnn": (8, 3),
}


def derivative(call, variables, direction, jit_compile=False):
    function = tf.function(
        lambda: outputs_and_derivative(call, variables, direction), jit_compile=jit_compile, autograph=False
    )
    return [tensor.numpy() for tensor in function()]


def accumulated(call, variables, direction):
    @tf.function(autograph=False)
    def run():
        with tf.autodiff.ForwardAccumulator(variables, direction) as accumulator:
            outputs = call()
        return outputs, accumulator.jvp(outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return [tensor.numpy() for tensor in run()]


def random_direction(variables, seed=1):
    rng = np.random.default_rng(seed)
    return [tf.constant(rng.normal(size=v.shape, scale=0.1), tf.float32) for v in variables]


@pytest.mark.parametrize("name", STUDENTS)
def test_students_agree_with_the_accumulator(name):
    side, channels = STUDENTS[name]
    student = student_nets.get(name, 5, input_shape=(side, side, channels), dropout_keep_probability=1.0, seed=0)
    image = tf.constant(np.random.default_rng(0).normal(size=(6, side, side, channels)), tf.float32)
    variables = student.trainable_variables
    direction = random_direction(variables)
    outputs, found = derivative(lambda: student(image, training=True), variables, direction)
    expected_outputs, expected = accumulated(lambda: student(image, training=True), variables, direction)
    np.testing.assert_allclose(outputs, expected_outputs, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_network_with_batch_norm_agrees_with_differences_in_float64(jit_compile):
    """Central differences of the network written by hand; batch statistics move with the weights."""
    student = conv_student()
    image = np.random.default_rng(0).normal(size=(9, 6, 6, 2))
    variables = student.trainable_variables
    direction = random_direction(variables)
    outputs, found = derivative(
        lambda: student(tf.constant(image, tf.float32), training=True), variables, direction, jit_compile
    )
    weights = [variable.numpy().astype(np.float64) for variable in variables]

    def at(h):
        moved = [tf.constant(w + h * d.numpy().astype(np.float64)) for w, d in zip(weights, direction, strict=True)]
        return conv_logits(moved, tf.constant(image, tf.float64)).numpy()

    expected = (at(1e-5) - at(-1e-5)) / 2e-5
    np.testing.assert_allclose(outputs, at(0), atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {"fused": False}])
def test_variants_of_batch_norm(options):
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(5, 3, kernel_initializer=keras.initializers.RandomNormal(seed=1))(inputs)
    student = keras.Model(inputs, keras.layers.BatchNormalization(**options)(x))
    image = tf.constant(np.random.default_rng(0).normal(size=(6, 4, 4, 3)), tf.float32)
    variables = student.trainable_variables
    direction = random_direction(variables)
    found = derivative(lambda: student(image, training=True), variables, direction)[1]
    expected = accumulated(lambda: student(image, training=True), variables, direction)[1]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_inputs_that_depend_on_each_other_are_counted_once():
    """y = a x + x with x = w^2: dy = (2 a w + 2 w) dw + w^2 da, by hand."""
    w, a = tf.Variable([2.0, -1.0]), tf.Variable([3.0, 0.5])

    def call():
        x = tf.square(w)
        return a * x + x

    found = derivative(call, [w, a], [tf.constant([1.0, 10.0]), tf.constant([0.1, 0.2])])[1]
    np.testing.assert_allclose(found, [16 * 1 + 4 * 0.1, (2 * 0.5 * -1 + 2 * -1) * 10 + 1 * 0.2], rtol=1e-6)


def test_operations_with_several_outputs_and_whole_numbers():
    """Splits, concatenation and gathering: y = (w2 + w0, w1 w1), by hand."""
    w = tf.Variable([1.0, 2.0, 5.0])

    def call():
        first, second, third = tf.split(w, 3)
        order = tf.argsort(tf.concat([third, first], 0))
        picked = tf.gather(tf.concat([third, first], 0), order)
        return tf.concat([tf.reduce_sum(picked, keepdims=True), second * second], 0)

    found = derivative(call, [w], [tf.constant([0.1, 0.2, 0.3])])[1]
    np.testing.assert_allclose(found, [0.4, 2 * 2 * 0.2], rtol=1e-6)


def test_outputs_that_do_not_depend_on_the_variables():
    w = tf.Variable([1.0])
    assert derivative(lambda: tf.constant([7.0]), [w], [tf.constant([1.0])])[1].tolist() == [0.0]


@pytest.mark.parametrize("kind", ["nested function", "single rows", "loop"])
def test_reads_out_of_view_are_refused(kind):
    w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    inner = tf.function(lambda: tf.reduce_sum(w * w, axis=1))
    calls = {
        "nested function": inner,
        "single rows": lambda: tf.reduce_sum(tf.gather(w, [0, 1]), axis=1),
        "loop": lambda: tf.while_loop(lambda k, _: k < 2, lambda k, t: (k + 1, t + w[:, 0]), (0, tf.zeros([2])))[1],
    }
    with pytest.raises(ValueError, match="double_backprop"):
        derivative(calls[kind], [w], [tf.ones([2, 2])])


def test_eager_execution_gives_the_same():
    w = tf.Variable([2.0])
    outputs, found = outputs_and_derivative(lambda: w**3, [w], [tf.constant([0.5])])
    assert (float(outputs[0]), float(found[0])) == (8.0, 6.0)


def test_the_outputs_can_be_differentiated():
    w = tf.Variable([2.0])

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            outputs, found = outputs_and_derivative(lambda: w**3, [w], [tf.constant([1.0])])
            total = tf.reduce_sum(outputs * tf.stop_gradient(found))
        return tape.gradient(total, w)

    assert run().numpy() == pytest.approx([12 * 12])


def test_autograph_has_nothing_to_say(capfd, caplog):
    """Inside a function that AutoGraph converts, whose own conditions it still converts."""
    w = tf.Variable([2.0])
    tf.get_logger().propagate, before = True, tf.get_logger().propagate

    @tf.function
    def run(double):
        def call():
            x = w**3
            if double:
                x = 2.0 * x
            return x

        return outputs_and_derivative(call, [w], [tf.constant([1.0])])[1]

    try:
        assert run(False).numpy() == pytest.approx([12.0])
    finally:
        tf.get_logger().propagate = before
    said = capfd.readouterr().err + caplog.text
    assert "AutoGraph" not in said
