"""The clean gradient and what it must leave alone; students that can not be shared or passed twice; L2RW in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import inspection, methods
from mentornet.methods import meta_gradient
from mentornet.methods.forward_mode import outputs_and_derivative
from mentornet.training.optimizers import MomentumSGD
from student_nets.layers import SeededDropout
from tests.meta_oracles import CLASSES, conv_logits, conv_student, fit, lookahead_products, meta_batch, onehot, values

FLAT = (3, 3, 1)


class AnotherWorker(keras.layers.Layer):
    """Adds 1 to a moving average in the middle of every pass, as an asynchronous worker may do meanwhile."""

    def __init__(self, average: tf.Variable):
        super().__init__()
        self._averages = [average]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        self._averages[0].assign_add(tf.ones_like(self._averages[0]))
        return inputs


def interrupted_student() -> tuple[keras.Model, keras.layers.BatchNormalization]:
    """Convolution, batch norm, what another worker does, dropout with a counter, dense."""
    inputs = keras.Input((6, 6, 2))
    norm = keras.layers.BatchNormalization()
    x = norm(keras.layers.Conv2D(3, 3, kernel_initializer=keras.initializers.RandomNormal(seed=1))(inputs))
    x = SeededDropout(0.5, seed=3)(AnotherWorker(norm.moving_mean)(x))
    x = keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x))
    return keras.Model(inputs, x), norm


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("counters", [False, True])
def test_the_clean_pass_does_not_undo_what_other_workers_do_meanwhile(fused, counters):
    student, norm = interrupted_student()
    norm.fused = fused
    batch, before = meta_batch(), values(norm.non_trainable_variables)
    calls = student.layers[-3].calls
    targets = tf.one_hot(batch["label"], CLASSES)[tf.newaxis]
    direction = [tf.ones_like(variable) for variable in student.trainable_variables]

    @tf.function
    def find(shared: bool) -> list[tf.Tensor]:
        if counters:
            return [
                meta_gradient.contracted_products(student, batch["image"], lambda _: targets, direction, shared=shared)
            ]
        return meta_gradient.clean_gradient(student, batch["clean_image"], batch["clean_label"], shared=shared)

    expected = find(False)
    for variable, value in zip(norm.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)  # put back, the other worker's part too
    calls.assign(0)
    found = find(True)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), before[0] + 1)
    np.testing.assert_array_equal(norm.moving_variance.numpy(), before[1])
    assert int(calls) == (0 if counters else 1)
    assert norm.momentum == 0.99
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)
        assert np.abs(b.numpy()).max() > 0
    # An ordinary pass moves the averages again.
    student(batch["image"], training=True)
    assert np.abs(norm.moving_variance.numpy() - before[1]).max() > 0


class RunningMaximum(keras.layers.Layer):
    """Keeps state of its own in a way that nobody can hold back."""

    def build(self, shape: tf.TensorShape) -> None:
        self.maximum = self.add_weight(name="maximum", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        self.maximum.assign(tf.maximum(self.maximum, tf.reduce_max(inputs)))
        return inputs


@pytest.mark.parametrize("kind", [methods.L2RW, methods.L2B])
def test_students_that_asynchronous_workers_can_not_share_are_refused(kind, monkeypatch):
    inputs = keras.Input(FLAT)
    odd = keras.Model(inputs, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(RunningMaximum()(inputs))))
    asynchronous = tf.distribute.ParameterServerStrategy.__new__(tf.distribute.ParameterServerStrategy)
    for student, refused in ((odd, True), (conv_student(), False)):
        assert (inspection.unshareable(student) is not None) == refused
    method = kind(odd, max_steps=2, lookahead="none")
    with monkeypatch.context() as patch:
        patch.setattr(tf.distribute, "get_strategy", lambda: asynchronous)
        with pytest.raises(ValueError, match=r"no trace in '.*maximum:0'.*asynchronous workers share"):
            method.compile(optimizer=MomentumSGD(0.1))
    method.compile(optimizer=MomentumSGD(0.1))


def dropping_student(dropout: keras.layers.Layer) -> keras.Model:
    """Dropout inside a nested model."""
    inner_inputs = keras.Input((9,))
    inner = keras.Model(inner_inputs, dropout(inner_inputs))
    inputs = keras.Input(FLAT)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(inner(keras.layers.Flatten()(inputs))))


@pytest.mark.parametrize("dropout", [keras.layers.Dropout(0.5), keras.layers.GaussianNoise(1.0)])
def test_layers_that_draw_anew_in_each_pass_are_refused_where_there_are_two(dropout):
    assert not dropping_student(dropout).non_trainable_variables
    with pytest.raises(ValueError, match="passes the batch twice"):
        methods.L2RW(dropping_student(dropout), max_steps=2, meta_gradient="double_backprop")
    methods.L2RW(dropping_student(dropout), max_steps=2)  # one pass gives products and loss
    with pytest.raises(ValueError, match="choose_first runs chosen samples alone"):
        methods.HardMining(dropping_student(dropout), max_steps=2, choose_first=True)
    counted = dropping_student(SeededDropout(0.5, seed=1))
    methods.L2RW(counted, max_steps=2, meta_gradient="double_backprop")


def test_products_are_exact_in_float64():
    """Claim 1 to rounding: a network with batch norm, its derivative along the clean gradient, and a real step."""
    batch = meta_batch()
    weights = [tf.Variable(w.astype(np.float64)) for w in values(conv_student().trainable_variables)]

    @tf.function(autograph=False)
    def find() -> tf.Tensor:
        with tf.GradientTape() as tape:
            log_p = tf.nn.log_softmax(conv_logits(weights, tf.constant(batch["clean_image"], tf.float64)))
            loss = -tf.reduce_mean(tf.gather(log_p, batch["clean_label"], batch_dims=1))
        direction = tape.gradient(loss, weights)
        image = tf.constant(batch["image"], tf.float64)
        logits, derivative = outputs_and_derivative(lambda: conv_logits(weights, image), weights, direction)
        return meta_gradient.target_products(logits, derivative, tf.constant(onehot(batch["label"])))

    expected = lookahead_products(
        [w.numpy() for w in weights],
        batch["image"],
        onehot(batch["label"])[np.newaxis],
        batch["clean_image"],
        batch["clean_label"],
    )[0]
    np.testing.assert_allclose(find().numpy(), expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


def linear_student(start: np.ndarray) -> keras.Model:
    """One dense layer with these weights [10, C], the bias last."""
    inputs = keras.Input(FLAT)
    student = keras.Model(inputs, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(inputs)))
    student.set_weights([start[:-1], start[-1]])
    return student


def slopes(theta: np.ndarray, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs with a 1 for the bias [n, 10], and the losses' gradients with respect to the logits [n, C], float64."""
    x = np.concatenate([image.reshape(len(image), -1).astype(np.float64), np.ones((len(image), 1))], axis=1)
    p = np.exp(x @ theta)
    return x, p / p.sum(axis=1, keepdims=True) - onehot(label)


def test_l2rw_with_the_momentum_look_ahead_agrees_with_numpy():
    """Three steps: clean gradient at w - rate (momentum v + decay w) with decay on the kernel only, alone."""
    rate, momentum, decay = 0.3, 0.9, 0.2
    theta = np.random.default_rng(0).normal(size=(10, CLASSES))
    student = linear_student(theta)
    factors = np.full_like(theta, decay)
    factors[-1] = 0
    velocity = np.zeros_like(theta)
    batches = [meta_batch(seed, shape=FLAT) for seed in range(3)]
    method = methods.L2RW(student, max_steps=9, weight_decay=decay, lookahead="momentum")
    fit(method, *batches, optimizer=MomentumSGD(rate, momentum))
    for batch in batches:
        gradients = []
        for point in (theta - rate * (momentum * velocity + factors * theta), theta):
            clean_x, clean_slope = slopes(point, batch["clean_image"], batch["clean_label"])
            x, slope = slopes(theta, batch["image"], batch["label"])
            u = np.maximum(np.einsum("ni,nc,ic->n", x, slope, clean_x.T @ clean_slope), 0)
            gradients.append(x.T @ (u[:, None] / u.sum() * slope) + factors * theta)
        velocity = momentum * velocity + gradients[0]
        theta = theta - rate * velocity
        assert np.abs(gradients[0] - gradients[1]).max() > 1e-3  # the point matters
    np.testing.assert_allclose(
        np.concatenate([w.reshape(-1, CLASSES) for w in student.get_weights()]), theta, atol=2e-5
    )


def test_a_clean_gradient_orthogonal_to_all_samples_gives_no_weight():
    """Claim 5 through a step: without a bias, clean images that share no pixel with the noisy ones."""
    inputs = keras.Input(FLAT)
    dense = keras.layers.Dense(CLASSES, use_bias=False, kernel_initializer=keras.initializers.RandomNormal(seed=2))
    student = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    batch = meta_batch(shape=FLAT)
    batch["image"][:, 0], batch["clean_image"][:, 1:] = 0, 0
    before = student.get_weights()[0]
    log = fit(methods.L2RW(student, max_steps=5, weight_decay=0.1), batch, optimizer=MomentumSGD(0.5, 0.9))[0]
    assert log["weight_sum"] == 0
    assert np.isfinite(log["raw_loss"])
    np.testing.assert_allclose(student.get_weights()[0], before * (1 - 0.5 * 0.1), rtol=1e-6)
