"""L2RW against look-ahead steps that are really taken, closed forms and finite differences (its spec's claims)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.training.optimizers import MomentumSGD
from tests.meta_oracles import CLASSES, conv_student, fit, lookahead_products, meta_batch, onehot, values

FLAT = (3, 3, 1)


def linear_student(bias: bool = True, zero: bool = False) -> keras.Model:
    inputs = keras.Input(FLAT)
    start = "zeros" if zero else keras.initializers.RandomNormal(stddev=0.5, seed=1)
    dense = keras.layers.Dense(CLASSES, use_bias=bias, kernel_initializer=start)
    return keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))


def products(method: methods.L2RW, batch: dict) -> np.ndarray:
    """<g, grad f_i> of one batch, as the method finds them."""

    @tf.function
    def find() -> tf.Tensor:
        tensors = {name: tf.constant(value) for name, value in batch.items()}
        direction = method._meta.direction(tensors)
        targets = tf.one_hot(tensors["label"], CLASSES)[tf.newaxis]
        return method._meta.logits_and_products(tensors["image"], lambda _: targets, direction)[1][0]

    return find().numpy()


def linear_gradients(kernel: np.ndarray, bias: np.ndarray, image: np.ndarray, label: np.ndarray):
    """Per-sample (loss, gradient with respect to the logits, input with 1 appended) of the linear student, float64."""
    x = image.reshape(len(image), -1).astype(np.float64)
    z = x @ kernel + bias
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(label)), label])
    return loss, p - onehot(label), np.concatenate([x, np.ones((len(x), 1))], axis=1)


@pytest.mark.parametrize("how", ["forward", "double_backprop"])
def test_products_agree_with_the_derivative_of_a_real_lookahead_step(how):
    """Claims 1 and 2 (eq. 7 against eq. 12), with batch norm, in float64 by an independent network."""
    student, batch = conv_student(), meta_batch()
    method = methods.L2RW(student, max_steps=10, meta_gradient=how)
    expected = lookahead_products(
        values(student.trainable_variables),
        batch["image"],
        onehot(batch["label"])[np.newaxis],
        batch["clean_image"],
        batch["clean_label"],
    )[0]
    found = products(method, batch)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_products_agree_with_finite_differences_of_the_lookahead_weights():
    """Claim 2, as the authors test their own code: epsilon_i = +-h, one plain step, the clean loss."""
    student, batch = linear_student(), meta_batch(shape=FLAT, n=6, m=5)
    kernel, bias = (v.numpy().astype(np.float64) for v in student.trainable_variables)
    _, slope, x = linear_gradients(kernel, bias, batch["image"], batch["label"])
    h, expected = 1e-5, np.zeros(6)
    for i in range(6):
        change = h * np.outer(x[i], slope[i])
        loss = [
            linear_gradients(
                kernel - sign * change[:-1], bias - sign * change[-1], batch["clean_image"], batch["clean_label"]
            )[0].mean()
            for sign in (1, -1)
        ]
        expected[i] = -(loss[0] - loss[1]) / (2 * h)
    np.testing.assert_allclose(products(methods.L2RW(student, max_steps=10), batch), expected, atol=1e-5)


def test_products_agree_with_the_formula_for_multilayer_perceptrons():
    """Claim 3 (appendix A): the sum over layers of (inputs . inputs)(slopes . slopes), biases as inputs of 1."""
    inputs = keras.Input(FLAT)
    hidden = keras.layers.Dense(
        7, activation="tanh", kernel_initializer=keras.initializers.RandomNormal(seed=1, stddev=1)
    )
    top = keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.RandomNormal(seed=2, stddev=1))
    student = keras.Model(inputs, top(hidden(keras.layers.Flatten()(inputs))))
    w1, b1, w2, b2 = (v.numpy().astype(np.float64) for v in student.trainable_variables)
    batch = meta_batch(shape=FLAT, n=8, m=5)

    def passes(image, label):
        x = image.reshape(len(image), -1).astype(np.float64)
        a = np.tanh(x @ w1 + b1)
        z = a @ w2 + b2
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        g2 = p - onehot(label)
        g1 = (g2 @ w2.T) * (1 - a**2)
        return (x, g1), (a, g2)

    expected = np.zeros(8)
    noisy, clean = passes(batch["image"], batch["label"]), passes(batch["clean_image"], batch["clean_label"])
    for (inside, slope), (clean_inside, clean_slope) in zip(noisy, clean, strict=True):
        expected += ((inside @ clean_inside.T + 1) * (slope @ clean_slope.T)).mean(axis=1)
    np.testing.assert_allclose(products(methods.L2RW(student, max_steps=1), batch), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("jit_compile", "clean_decay"), [(False, False), (True, True)])
def test_whole_steps_agree_with_numpy(jit_compile, clean_decay):
    """Weights, weighted loss, momentum and decay of three steps, recomputed in float64."""
    student, rate, momentum, decay = linear_student(), 0.3, 0.9, 0.05
    kernel, bias = (v.numpy().astype(np.float64) for v in student.trainable_variables)
    velocity = np.zeros((10, CLASSES))
    batches = [meta_batch(seed, shape=FLAT) for seed in range(3)]
    method = methods.L2RW(student, max_steps=10, weight_decay=decay, clean_decay=clean_decay, num_examples=16)
    logs = fit(method, *batches, optimizer=MomentumSGD(rate, momentum), jit_compile=jit_compile)
    for batch, log in zip(batches, logs, strict=True):
        loss, slope, x = linear_gradients(kernel, bias, batch["image"], batch["label"])
        _, clean_slope, clean_x = linear_gradients(kernel, bias, batch["clean_image"], batch["clean_label"])
        clean = clean_x.T @ clean_slope / len(clean_x)
        if clean_decay:
            clean[:-1] += decay * kernel
        u = np.einsum("ni,nc,ic->n", x, slope, clean)
        w = np.maximum(u, 0) / np.maximum(u, 0).sum()
        assert log["weighted_loss"] == pytest.approx((w * loss).sum(), rel=1e-4)
        assert log["weight_sum"] == pytest.approx(len(loss), rel=1e-5)
        assert log["data_utilisation"] == pytest.approx((u > 0).mean(), abs=1e-6)
        gradient = x.T @ (w[:, None] * slope)
        gradient[:-1] += decay * kernel
        velocity = momentum * velocity + gradient
        kernel, bias = kernel - rate * velocity[:-1], bias - rate * velocity[-1]
    np.testing.assert_allclose(student.trainable_variables[0].numpy(), kernel, atol=1e-5)
    np.testing.assert_allclose(student.trainable_variables[1].numpy(), bias, atol=1e-5)


def test_forward_mode_and_double_backpropagation_train_alike():
    """Two steps of a network with batch norm and dropout: same masks, same weights, moving averages updated once."""
    from student_nets import layers

    def student() -> keras.Model:
        base = conv_student()
        dropped = layers.SeededDropout(0.3, seed=5)(base.layers[-2].output)
        dense = keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.RandomNormal(seed=9))
        return keras.Model(base.input, dense(dropped))

    batches = [meta_batch(seed) for seed in range(2)]
    trained = {}
    for how in ("forward", "double_backprop"):
        network = student()
        method = methods.L2RW(network, max_steps=10, weight_decay=0.01, meta_gradient=how)
        fit(method, *batches, optimizer=MomentumSGD(0.2, 0.9))
        trained[how] = values(network.variables)
    for a, b in zip(*trained.values(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_moving_averages_are_updated_exactly_once_a_step():
    """Claim 12: as one ordinary forward pass of the noisy batch does, whatever the clean batch holds."""
    batch = meta_batch()
    moved, reference = conv_student(), conv_student()
    reference(batch["image"], training=True)
    fit(methods.L2RW(moved, max_steps=10), batch, optimizer=MomentumSGD(0.1, 0.0))
    for a, b in zip(moved.non_trainable_variables, reference.non_trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)


def test_the_clean_pass_touches_neither_weights_nor_slots_nor_averages():
    batch, student = meta_batch(), conv_student()
    method = methods.L2RW(student, max_steps=10, lookahead="momentum")
    fit(method, batch, optimizer=MomentumSGD(0.2, 0.9))
    state = [*student.variables, *method.optimizer.variables]
    before = values(state)
    tf.function(method._meta.direction)({name: tf.constant(value) for name, value in batch.items()})
    for a, b in zip(values(state), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_do_not_depend_on_the_scale_of_the_clean_loss():
    """Claim 4."""
    method = methods.L2RW(linear_student(), max_steps=1)
    u = np.random.default_rng(0).normal(size=20).astype(np.float32)
    first = method.weights(tf.constant(u))
    second = method.weights(tf.constant(1e-3 * u))
    np.testing.assert_allclose(first, 20 * np.maximum(u, 0) / np.maximum(u, 0).sum(), rtol=1e-5)
    np.testing.assert_allclose(first, second, rtol=1e-5)


@pytest.mark.parametrize(("all_zero", "expected"), [("keep", 0.0), ("uniform", 1.0)])
def test_a_clean_batch_that_opposes_all_samples(all_zero, expected):
    """Claim 5: weights 0 (or, as an option, 1) and a finite loss; then only decay and momentum move the student."""
    student = linear_student()
    kernel = student.trainable_variables[0].numpy()
    image = np.ones((4, *FLAT), np.float32)
    batch = meta_batch(shape=FLAT, n=4, m=4) | {
        "image": image,
        "clean_image": image,
        "label": np.full(4, 1, np.int32),
        "clean_label": np.full(4, 2, np.int32),
    }
    method = methods.L2RW(student, max_steps=10, weight_decay=0.1, all_zero=all_zero)
    log = fit(method, batch, optimizer=MomentumSGD(0.5, 0.9))[0]
    assert log["weight_sum"] == pytest.approx(4 * expected)
    assert np.isfinite(log["weighted_loss"])
    if all_zero == "keep":
        np.testing.assert_allclose(student.trainable_variables[0].numpy(), kernel * (1 - 0.5 * 0.1), rtol=1e-5)


@pytest.mark.parametrize(("scale", "expected"), [(5.0, 4.0), (1e6, 0.0)])
def test_a_clean_batch_fitted_beyond_float32_gives_no_weight(scale, expected):
    """Claim 5: where softmax rounds to the label the clean gradient is exactly 0; a smaller one is scaled up."""
    student = linear_student(zero=True)
    kernel = np.zeros((int(np.prod(FLAT)), CLASSES), np.float32)
    kernel[0, 1] = scale
    student.trainable_variables[0].assign(kernel)
    image = np.random.default_rng(0).normal(size=(4, *FLAT)).astype(np.float32)
    image.reshape(4, -1)[:, 0] = 1
    label = np.full(4, 1, np.int32)
    batch = meta_batch(shape=FLAT, n=4, m=4) | {
        "image": image,
        "label": label,
        "clean_image": image,
        "clean_label": label,
    }
    log = fit(methods.L2RW(student, max_steps=10), batch, optimizer=MomentumSGD(0.1, 0.9))[0]
    assert log["weight_sum"] == pytest.approx(expected)
    assert np.isfinite(log["weighted_loss"])


@pytest.mark.parametrize("bias", [False, True])
def test_sign_test_of_the_linear_softmax(bias):
    """Claims 6 and 7: from weights of 0, the clean example scores ||x||^2 (1 - 1/C), relabelled -||x||^2 / C."""
    student = linear_student(bias=bias, zero=True)
    image = np.random.default_rng(2).normal(size=(1, *FLAT)).astype(np.float32)
    batch = {
        "image": np.repeat(image, 2, axis=0),
        "label": np.array([1, 3], np.int32),
        "clean_image": image,
        "clean_label": np.array([1], np.int32),
    }
    square = float((image.astype(np.float64) ** 2).sum()) + bias
    found = products(methods.L2RW(student, max_steps=1), batch)
    np.testing.assert_allclose(found, [square * (1 - 1 / CLASSES), -square / CLASSES], rtol=1e-5)


def test_a_small_enough_step_never_raises_the_clean_loss():
    """Claim 8, lemma 1 with the factor put right: w - (a/n) sum_i max(<G, grad f_i>, 0) grad f_i, a <= 2 / (L sigma^2).

    A softmax has curvature at most 1/2, so that L = max |x|^2 / 2 and sigma = sqrt(2) max |x| with a 1 for the bias.
    """
    lowered = 0
    for seed in range(25):
        batch = meta_batch(seed, shape=FLAT, n=12, m=5)
        student = linear_student()
        rng = np.random.default_rng(seed)
        for variable in student.trainable_variables:
            variable.assign(rng.normal(size=variable.shape))
        kernel, bias = (v.numpy().astype(np.float64) for v in student.trainable_variables)
        u = products(methods.L2RW(student, max_steps=1), batch).astype(np.float64)
        _, slope, x = linear_gradients(kernel, bias, batch["image"], batch["label"])
        clean = (batch["clean_image"], batch["clean_label"])
        before, _, clean_x = linear_gradients(kernel, bias, *clean)
        curvature = (clean_x**2).sum(axis=1).max() / 2
        sigma = np.sqrt(2 * (x**2).sum(axis=1).max())
        step = 2 / (curvature * sigma**2) / len(u) * (x.T @ (np.maximum(u, 0)[:, None] * slope))
        after = linear_gradients(kernel - step[:-1], bias - step[-1], *clean)[0]
        assert after.mean() <= before.mean() + 1e-9
        lowered += after.mean() < before.mean() - 1e-4
    assert lowered > 20


def test_reported_weights_are_relative_to_plain_training():
    batch = meta_batch()
    method = methods.L2RW(conv_student(), max_steps=10, num_examples=16)
    method.step.assign(9)  # weights are recorded in the last tenth
    log = fit(method, batch, optimizer=MomentumSGD(0.1, 0.9))[0]
    assert log["weight_sum"] == pytest.approx(16, rel=1e-5)
    recorded = method.weight_totals.numpy()
    clean = batch["is_clean"][np.argsort(batch["index"])]
    # The area under the ROC curve by its definition, over all pairs of a clean and a wrong sample.
    pairs = recorded[clean][:, None] - recorded[~clean][None]
    assert log["weights_auc"] == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean(), abs=0.05)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"meta_gradient": "reverse"}, "meta_gradient"),
        ({"lookahead": "far"}, "lookahead"),
        ({"all_zero": "no"}, "all_zero"),
    ],
)
def test_wrong_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        methods.L2RW(linear_student(), max_steps=1, **settings)


def test_batches_without_a_clean_part_are_refused():
    method = methods.L2RW(linear_student(), max_steps=1)
    with pytest.raises(ValueError, match="clean samples"):
        method._meta.direction({"image": tf.zeros([1, *FLAT]), "label": tf.zeros([1], tf.int32)})


def test_the_momentum_lookahead_needs_velocities():
    method = methods.L2RW(linear_student(), max_steps=1, lookahead="momentum")
    with pytest.raises(ValueError, match="which Adam does not have"):
        method.compile(optimizer=keras.optimizers.Adam())
