"""L2B against look-ahead steps that are really taken, NumPy and the identities of its paper (its spec's claims)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.methods import l2b
from mentornet.training.optimizers import MomentumSGD
from tests.meta_oracles import (
    CLASSES,
    conv_logits,
    conv_student,
    fit,
    lookahead_products,
    meta_batch,
    onehot,
    values,
)


def pseudo_labels(weights: list[np.ndarray], image: np.ndarray) -> np.ndarray:
    return np.argmax(conv_logits([tf.constant(w) for w in weights], tf.constant(image)), axis=1)


def products(method: methods.L2B, batch: dict) -> np.ndarray:
    """The two rows of products of one batch, float32 [2, n]."""

    @tf.function
    def find() -> tf.Tensor:
        tensors = {name: tf.constant(value) for name, value in batch.items()}
        meta = method._meta
        direction = meta.direction(tensors)
        return meta.logits_and_products(tensors["image"], lambda z: l2b.label_pair(tensors["label"], z), direction)[1]

    return find().numpy()


@pytest.mark.parametrize("how", ["forward", "double_backprop"])
def test_products_agree_with_the_derivative_of_a_momentum_step(how):
    """Claim 2: clean gradient at w - rate (momentum v + decay w), decay on all weights, as the released code."""
    student, batch = conv_student(), meta_batch()
    method = methods.L2B(student, max_steps=10, weight_decay=0.05, meta_gradient=how)
    optimizer = MomentumSGD(0.3, 0.9)
    method.compile(optimizer=optimizer)
    rng = np.random.default_rng(4)
    for velocity in optimizer.velocities:
        velocity.assign(0.3 * rng.normal(size=velocity.shape))
    weights = values(student.trainable_variables)
    targets = np.stack([onehot(batch["label"]), onehot(pseudo_labels(weights, batch["image"]))])
    reference = {
        name: lookahead_products(weights, batch["image"], targets, batch["clean_image"], batch["clean_label"], **step)
        for name, step in {
            "momentum": {"rate": 0.3, "velocities": values(optimizer.velocities), "momentum": 0.9, "decay": 0.05},
            "none": {"rate": 0.3},
        }.items()
    }
    expected = reference["momentum"]
    size = np.abs(expected).max()
    np.testing.assert_allclose(0.3 * products(method, batch), expected, atol=1e-5 * size)
    # The point matters: the paper's own equation gives other numbers.
    assert np.abs(reference["none"] - expected).max() > 0.01 * size
    plain = methods.L2B(student, max_steps=10, weight_decay=0.05, meta_gradient=how, lookahead="none")
    np.testing.assert_allclose(0.3 * products(plain, batch), reference["none"], atol=1e-5 * size)


def linear_student() -> keras.Model:
    inputs = keras.Input((3, 3, 1))
    dense = keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=1))
    return keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))


class NumpyL2B:
    """The released loop for a linear student in float64: look-ahead, joint weights, clipping, decay, momentum."""

    def __init__(self, student, *, rate, momentum, decay, clip, clean_decay=False, decayed="all"):
        kernel, bias = (v.numpy().astype(np.float64) for v in student.trainable_variables)
        self.theta = np.concatenate([kernel, bias[None]])
        self.velocity = np.zeros_like(self.theta)
        self.rate, self.momentum, self.clip = rate, momentum, clip
        self.decay = np.full_like(self.theta, decay)
        self.decay[-1] *= decayed == "all"  # the last row holds the biases
        self.clean_decay = clean_decay * self.decay

    @staticmethod
    def slopes(theta, image, label):
        x = np.concatenate([image.reshape(len(image), -1).astype(np.float64), np.ones((len(image), 1))], axis=1)
        z = x @ theta
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        return x, p, p - onehot(label)

    def step(self, batch, warm):
        ahead = self.theta - self.rate * (self.momentum * self.velocity + self.decay * self.theta)
        x, _, clean_slope = self.slopes(ahead, batch["clean_image"], batch["clean_label"])
        clean = x.T @ clean_slope / len(x) + self.clean_decay * ahead
        x, p, slope = self.slopes(self.theta, batch["image"], batch["label"])
        pseudo_slope = p - onehot(p.argmax(axis=1))
        u = np.stack([np.einsum("ni,nc,ic->n", x, s, clean) for s in (slope, pseudo_slope)])
        v = np.maximum(u, 0) / np.maximum(u, 0).sum()
        if warm:
            v = np.stack([np.ones(len(x)), np.zeros(len(x))]) / len(x)
        gradient = x.T @ (v[0, :, None] * slope + v[1, :, None] * pseudo_slope)
        norm = np.sqrt((gradient**2).sum())
        gradient = gradient * min(1.0, self.clip / norm) + self.decay * self.theta
        self.velocity = self.momentum * self.velocity + gradient
        self.theta = self.theta - self.rate * self.velocity
        return v, norm


@pytest.mark.parametrize(
    ("jit_compile", "options"),
    [
        (False, {}),
        (True, {}),
        (False, {"decayed": "kernels"}),
        (False, {"clean_decay": True}),
        (False, {"clean_decay": True, "decayed": "kernels"}),
    ],
)
def test_whole_steps_agree_with_numpy(jit_compile, options):
    """Claims 2, 3, 10 and the settings of table 8: warm-up, joint weights, clipping before the decay of all weights.

    The decay of the clean loss is that of the same variables, taken where the clean gradient is.
    """
    student, settings = linear_student(), {"rate": 0.3, "momentum": 0.9}
    student.trainable_variables[1].assign([0.5, -1.0, 2.0, 0.3])
    oracle = NumpyL2B(student, **settings, decay=0.05, clip=0.4, **options)
    method = methods.L2B(student, max_steps=10, weight_decay=0.05, clip_norm=0.4, warmup_steps=1, **options)
    batches = [meta_batch(seed, shape=(3, 3, 1)) for seed in range(4)]
    logs = fit(method, *batches, optimizer=MomentumSGD(0.3, 0.9), jit_compile=jit_compile)
    norms = []
    for k, (batch, log) in enumerate(zip(batches, logs, strict=True)):
        v, norm = oracle.step(batch, warm=k == 0)
        norms.append(norm)
        assert log["weight_sum"] == pytest.approx(16 * v[0].sum(), rel=1e-4)
        assert log["data_utilisation"] == pytest.approx((16 * v[0] > 0.001).mean(), abs=1e-6)
    assert max(norms) > 0.4
    clean, (alpha, beta) = batches[-1]["is_clean"], 16 * v
    found = method.report()
    assert tuple(found) == method.report_columns
    assert found["pseudo_weight_sum"] == pytest.approx(beta.sum(), rel=1e-4)
    assert found["pseudo_weight_mean_clean"] == pytest.approx(beta[clean].mean(), rel=1e-4)
    assert found["pseudo_weight_mean_wrong"] == pytest.approx(beta[~clean].mean(), rel=1e-4)
    assert alpha.sum() + beta.sum() == pytest.approx(16)
    np.testing.assert_allclose(student.trainable_variables[0].numpy(), oracle.theta[:-1], atol=1e-5)
    np.testing.assert_allclose(student.trainable_variables[1].numpy(), oracle.theta[-1], atol=1e-5)


def test_a_pseudo_label_equal_to_the_given_one_gets_the_same_weight():
    """Claim 3 (figure 2)."""
    student, batch = conv_student(), meta_batch(n=32)
    pseudo = pseudo_labels(values(student.trainable_variables), batch["image"])
    batch["label"][::2] = pseudo[::2]
    found = products(methods.L2B(student, max_steps=1, lookahead="none"), batch)
    same = batch["label"] == pseudo
    assert 0 < same.sum() < 32
    np.testing.assert_array_equal(found[0, same], found[1, same])
    assert np.all(found[0, ~same] != found[1, ~same])


def test_without_the_pseudo_row_the_weights_are_those_of_l2rw():
    """Claim 3, and claim 13 of L2RW: beta = 0 trains exactly like L2RW."""
    batches = [meta_batch(seed) for seed in range(2)]
    trained = []
    for kind, options in ((methods.L2B, {"ablation": "beta_zero", "lookahead": "none"}), (methods.L2RW, {})):
        student = conv_student()
        fit(kind(student, max_steps=5, **options), *batches, optimizer=MomentumSGD(0.2, 0.9))
        trained.append(values(student.variables))
    for a, b in zip(*trained, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_alpha_plus_beta_one_is_reeds_bootstrap_with_a_weight_of_its_own():
    """Claim 1: CE(p, alpha y + beta pseudo) = alpha CE(p, y) + beta CE(p, pseudo), gradients too."""
    method = methods.L2B(linear_student(), max_steps=1, ablation="alpha_plus_beta_one")
    scores = np.array([[3.0, -1.0, -1.0, 0.5], [1.0, 2.0, -2.0, -0.5]], np.float32)
    found = method.weights(tf.constant(scores))
    np.testing.assert_allclose(4 * found.numpy(), [[0.75, 0, 0.5, 1], [0.25, 1, 0.5, 0]], rtol=1e-6)
    rng = np.random.default_rng(0)
    z, label = rng.normal(size=(4, CLASSES)), rng.integers(0, CLASSES, 4)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows = np.stack([onehot(label), onehot(p.argmax(axis=1))])
    alpha_beta = 4 * found.numpy().astype(np.float64)
    mixed = np.einsum("kn,knc->nc", alpha_beta, rows)
    logits = tf.constant(z, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        pair = l2b.label_pair(tf.constant(label), logits)
        losses = -tf.reduce_sum(pair * tf.nn.log_softmax(logits), axis=-1)
        total = tf.reduce_sum(found * losses)
    np.testing.assert_allclose(total, -(mixed * np.log(p)).sum() / 4, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(total, logits), (p - mixed) / 4, atol=1e-6)


def test_a_small_enough_step_never_raises_the_clean_loss():
    """Claim 6, the bound put right for 2n summands: rate^2 < 1 / (n eta sigma^2 L), with unnormalised weights."""
    lowered = 0
    for seed in range(25):
        batch = meta_batch(seed, shape=(3, 3, 1), n=12, m=5)
        student = linear_student()
        rng = np.random.default_rng(seed)
        for variable in student.trainable_variables:
            variable.assign(rng.normal(size=variable.shape))
        u = products(methods.L2B(student, max_steps=1, lookahead="none"), batch).astype(np.float64)
        theta = np.concatenate([v.numpy().astype(np.float64).reshape(-1, CLASSES) for v in student.trainable_variables])
        x, p, slope = NumpyL2B.slopes(theta, batch["image"], batch["label"])
        clean_x, _, _ = NumpyL2B.slopes(theta, batch["clean_image"], batch["clean_label"])
        rows = np.stack([slope, p - onehot(p.argmax(axis=1))])
        curvature, square = (clean_x**2).sum(axis=1).max() / 2, 2 * (x**2).sum(axis=1).max()
        rate_squared = 0.99 / (
            len(x) * square * curvature
        )  # eta = 1: weights are rate * max(u, 0), the step rate again
        step = rate_squared * np.einsum("kn,ni,knc->ic", np.maximum(u, 0), x, rows)

        def clean_loss(at, clean_x=clean_x, label=batch["clean_label"]):
            z = clean_x @ at
            return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), label])

        assert clean_loss(theta - step) <= clean_loss(theta) + 1e-9
        lowered += clean_loss(theta - step) < clean_loss(theta) - 1e-4
    assert lowered > 20


@pytest.mark.parametrize("how", ["forward", "double_backprop"])
def test_soft_targets_reproduce_the_hard_ones(how):
    """Claim 7: products against any distributions agree with a real look-ahead step; one-hot rows are the hard case."""
    student, batch = conv_student(), meta_batch()
    soft = np.random.default_rng(1).dirichlet(np.ones(CLASSES), 16)
    hard = onehot(batch["label"])
    method = methods.L2B(student, max_steps=10, lookahead="none", meta_gradient=how)

    @tf.function
    def find() -> tf.Tensor:
        tensors = {name: tf.constant(value) for name, value in batch.items()}
        targets = tf.constant(np.stack([soft, hard]), tf.float32)
        meta = method._meta
        return meta.logits_and_products(tensors["image"], lambda _: targets, meta.direction(tensors))[1]

    found = find().numpy()
    weights = values(student.trainable_variables)
    expected = lookahead_products(
        weights, batch["image"], np.stack([soft, hard]), batch["clean_image"], batch["clean_label"]
    )
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(found[1], products(method, batch)[0], atol=1e-6 * np.abs(expected).max())


def test_only_decay_moves_a_student_without_loss_gradient():
    """Claim 5: clean samples that oppose both labels leave all weights at 0."""
    student = linear_student()
    student.trainable_variables[0].assign(tf.zeros([9, CLASSES]))
    image = np.ones((4, 3, 3, 1), np.float32)
    batch = meta_batch(shape=(3, 3, 1), n=4, m=4) | {
        "image": image,
        "clean_image": image,
        "label": np.full(4, 1, np.int32),
        "clean_label": np.full(4, 2, np.int32),
    }
    student.trainable_variables[1].assign([1.0, 0.0, 0.0, 0.0])  # pseudo label 0
    before = student.trainable_variables[1].numpy()
    fit(methods.L2B(student, max_steps=5, weight_decay=0.1), batch, optimizer=MomentumSGD(0.5, 0.9))
    np.testing.assert_allclose(student.trainable_variables[1].numpy(), before * (1 - 0.05), rtol=1e-6)
    np.testing.assert_array_equal(student.trainable_variables[0].numpy(), 0)


def test_moving_averages_and_slots_change_once_a_step():
    """Claim 9: moving averages as after one forward pass of the noisy batch, at the weights before the step."""
    batch = meta_batch()
    moved, reference = conv_student(), conv_student()
    reference(batch["image"], training=True)
    method = methods.L2B(moved, max_steps=10, clip_norm=0.2)
    before = values(moved.trainable_variables)
    fit(method, batch, optimizer=MomentumSGD(0.5, 0.9))
    for a, b in zip(moved.non_trainable_variables, reference.non_trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)
    # From velocities of 0: w' = w - rate v exactly, and without decay the norm of v obeys the clip (claim 10).
    total = 0.0
    for old, new, velocity in zip(before, values(moved.trainable_variables), method.optimizer.velocities, strict=True):
        np.testing.assert_allclose(new, old - 0.5 * velocity.numpy(), atol=1e-6)
        total += float((velocity.numpy() ** 2).sum())
    assert np.sqrt(total) <= 0.2 * (1 + 1e-5)
