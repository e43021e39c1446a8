"""The students' own layers and starting values, against NumPy and closed forms."""

import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from student_nets import initialisation
from student_nets.layers import BilinearUpsampling, LocalResponseNormalization, ParameterFreeShortcut, SeededDropout


def built_dropout(rate: float = 0.4, seed: int = 11, shape: tuple[int, ...] = (500, 400)) -> SeededDropout:
    layer = SeededDropout(rate, seed)
    layer.build(tf.TensorShape(shape))
    return layer


def masks(layer: SeededDropout, calls: int, shape: tuple[int, ...] = (500, 400)) -> list[np.ndarray]:
    return [layer(tf.ones(shape), training=True).numpy() > 0 for _ in range(calls)]


def test_dropout_keeps_the_stated_share_and_the_mean():
    outputs = built_dropout()(tf.ones((500, 400)), training=True).numpy()
    kept = outputs > 0
    # 5 standard deviations of a binomial share of 200,000 draws.
    assert abs(kept.mean() - 0.6) < 5 * math.sqrt(0.6 * 0.4 / 200_000)
    np.testing.assert_allclose(outputs[kept], 1 / 0.6, rtol=1e-6)
    assert np.all(outputs[~kept] == 0)
    # Rows and columns alike: no part of the picture is spared.
    assert np.all(np.abs(kept.mean(0) - 0.6) < 0.15)
    assert np.all(np.abs(kept.mean(1) - 0.6) < 0.15)


def test_dropout_masks_repeat_with_seed_and_call_and_differ_otherwise():
    first, second = masks(built_dropout(), 2)
    again = masks(built_dropout(), 2)
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    # Independent masks agree on 0.6^2 + 0.4^2 = 0.52 of the elements.
    assert abs((first == second).mean() - 0.52) < 0.01
    assert abs((first == masks(built_dropout(seed=12), 1)[0]).mean() - 0.52) < 0.01


def test_dropout_does_nothing_outside_training_and_counts_training_calls_only():
    layer = built_dropout()
    inputs = tf.random.stateless_normal((500, 400), seed=(1, 2))
    np.testing.assert_array_equal(layer(inputs, training=False), inputs)
    np.testing.assert_array_equal(layer(inputs), inputs)
    assert int(layer.calls) == 0
    layer(inputs, training=True)
    layer(inputs, training=True)
    assert int(layer.calls) == 2
    assert layer.calls.dtype == tf.int64
    assert not layer.trainable_weights


def test_dropout_of_a_restored_checkpoint_goes_on_where_it_stopped(tmp_path):
    layer = built_dropout()
    masks(layer, 3)
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "checkpoint"))
    expected = masks(layer, 2)
    resumed = built_dropout()
    tf.train.Checkpoint(layer=resumed).restore(path).assert_consumed()
    for mask, resumed_mask in zip(expected, masks(resumed, 2), strict=True):
        np.testing.assert_array_equal(mask, resumed_mask)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_dropout_compiles_and_is_reproducible(jit_compile):
    def two_masks() -> list[np.ndarray]:
        layer = built_dropout()

        @tf.function(jit_compile=jit_compile)
        def step(inputs: tf.Tensor) -> tf.Tensor:
            return layer(inputs, training=True)

        return [step(tf.ones((500, 400))).numpy() > 0 for _ in range(2)]

    first, second = two_masks()
    again = two_masks()
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    assert abs(first.mean() - 0.6) < 0.01
    assert abs((first == second).mean() - 0.52) < 0.01


def test_dropout_gradient_is_the_mask_over_the_keep_probability():
    layer = built_dropout(shape=(20, 30))
    inputs = tf.random.stateless_normal((20, 30), seed=(3, 4))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
    expected = np.where(outputs.numpy() != 0, 1 / 0.6, 0.0)
    np.testing.assert_allclose(tape.gradient(outputs, inputs), expected, rtol=1e-6)


def test_dropout_of_two_replicas_differs_and_counts_once_a_step():
    """In a process of its own: logical devices have to be set before TensorFlow starts."""
    program = """
import json, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from student_nets.layers import SeededDropout
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    layer = SeededDropout(0.4, 11)
    layer.build(tf.TensorShape((50, 40)))
@tf.function
def step():
    return strategy.run(lambda: layer(tf.ones((50, 40)), training=True))
steps = [strategy.experimental_local_results(step()) for _ in range(2)]
counts = [int(copy) for copy in strategy.experimental_local_results(layer.calls)]
print(json.dumps([counts, [[(part.numpy() > 0).astype(int).tolist() for part in parts] for parts in steps]]))
"""
    root = pathlib.Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts, steps = json.loads(done.stdout.splitlines()[-1])
    assert counts == [2, 2]
    # The first replica draws what a single device draws: the strategy alone changes nothing.
    for parts, single in zip(np.array(steps), masks(built_dropout(shape=(50, 40)), 2, (50, 40)), strict=True):
        np.testing.assert_array_equal(parts[0], single)
        assert abs((parts[0] == parts[1]).mean() - 0.52) < 0.06


def test_dropout_of_whole_channels():
    layer = SeededDropout(0.4, 11, whole_channels=True)
    outputs = layer(tf.ones((40, 3, 5, 500)), training=True).numpy()
    assert np.all(outputs == outputs[:, :1, :1])
    kept = outputs[:, 0, 0] > 0
    assert abs(kept.mean() - 0.6) < 5 * math.sqrt(0.6 * 0.4 / kept.size)
    np.testing.assert_allclose(outputs[outputs > 0], 1 / 0.6, rtol=1e-6)
    assert len(np.unique(kept, axis=0)) == 40
    assert SeededDropout.from_config(layer.get_config()).whole_channels


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (1, 1, 6, 2), (1, 2, 1, 1)])
def test_upsampling_interpolates_between_corners(shape):
    expected = x = np.random.default_rng(0).normal(size=shape)
    for axis in (1, 2):
        old, new = np.arange(shape[axis]), np.linspace(0, shape[axis] - 1, 2 * shape[axis])
        expected = np.apply_along_axis(lambda line, new=new, old=old: np.interp(new, old, line), axis, expected)
    np.testing.assert_allclose(BilinearUpsampling(dtype="float64")(x), expected, atol=1e-12)


def test_upsampling_has_second_derivatives():
    """d/dx of half the squared norm of dy/dx for y = sum of cubes, against the same with the layer's own matrix."""
    layer = BilinearUpsampling(dtype="float64")
    x = tf.constant(np.random.default_rng(1).normal(size=(1, 3, 2, 1)))
    basis = np.reshape(layer(np.eye(6).reshape(6, 3, 2, 1)), (6, 24))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(layer(x) ** 3) / 6
        gradient = inner.gradient(y, x)
        half_norm = tf.reduce_sum(gradient**2) / 2
    flat = x.numpy().ravel()
    first = basis @ (flat @ basis) ** 2 / 2
    np.testing.assert_allclose(np.ravel(gradient), first, atol=1e-12)
    second = basis @ np.diag(flat @ basis) @ basis.T
    np.testing.assert_allclose(np.ravel(outer.gradient(half_norm, x)), second @ first, atol=1e-12)


@pytest.mark.parametrize(("rate", "seed"), [(1.0, 1), (-0.1, 1), (0.5, -1), (0.5, 2**31)])
def test_dropout_refuses_values_out_of_range(rate, seed):
    with pytest.raises(ValueError, match="must be"):
        SeededDropout(rate, seed)


@pytest.mark.parametrize(("side", "in_channels", "filters"), [(6, 4, 8), (6, 3, 8), (5, 4, 8)])
def test_average_shortcut_equals_numpy(side, in_channels, filters):
    images = np.random.default_rng(0).normal(size=(2, side, side, in_channels)).astype(np.float32)
    half = -(-side // 2)
    expected = np.zeros((2, half, half, filters), np.float32)
    before = (filters - in_channels) // 2
    for row in range(half):
        for column in range(half):
            # A window at the border is averaged over the pixels it has.
            window = images[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, row, column, before : before + in_channels] = window.mean(axis=(1, 2))
    np.testing.assert_allclose(ParameterFreeShortcut(filters, 2)(images), expected, atol=1e-6)


def test_subsampling_shortcut_equals_numpy():
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    expected = np.pad(images[:, [0, 2, 4]][:, :, [0, 2, 4]], [(0, 0), (0, 0), (0, 0), (2, 2)])
    np.testing.assert_array_equal(ParameterFreeShortcut(8, 2, "subsample")(images), expected)


def test_shortcut_without_strides_only_adds_channels():
    images = np.random.default_rng(0).normal(size=(2, 3, 3, 16)).astype(np.float32)
    outputs = ParameterFreeShortcut(160, 1)(images).numpy()
    np.testing.assert_array_equal(outputs[..., 72:88], images)
    assert np.all(outputs[..., :72] == 0)
    assert np.all(outputs[..., 88:] == 0)


def test_shortcut_refuses_to_lose_channels_and_unknown_reductions():
    with pytest.raises(ValueError, match="from 8 channels to 4"):
        ParameterFreeShortcut(4, 2)(tf.zeros((1, 4, 4, 8)))
    with pytest.raises(ValueError, match="'average' and 'subsample'"):
        ParameterFreeShortcut(8, 2, "max")


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_response_normalisation_equals_its_formula(dtype):
    inputs = np.random.default_rng(0).normal(scale=30, size=(2, 3, 3, 12)).astype(np.float32)
    expected = np.empty_like(inputs)
    for channel in range(12):
        neighbours = inputs[..., max(0, channel - 4) : channel + 5]
        scale = 1 + 0.001 / 9 * np.square(neighbours).sum(-1)
        expected[..., channel] = inputs[..., channel] / scale**0.75
    outputs = LocalResponseNormalization(dtype=dtype)(inputs)
    tolerance = 1e-5 if dtype == "float32" else 2e-3
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, rtol=tolerance, atol=tolerance)


def test_layers_have_forward_mode_derivatives():
    """L2RW and L2B take a Jacobian-vector product of the logits inside a gradient tape."""
    dropout = SeededDropout(0.4, 11)
    layers = [
        lambda x: dropout(x, training=True),
        ParameterFreeShortcut(8, 2),
        LocalResponseNormalization(alpha=0.5),
    ]
    inputs = tf.random.stateless_normal((2, 4, 4, 6), seed=(1, 2))
    tangent = tf.random.stateless_normal((2, 4, 4, 6), seed=(3, 4))
    for layer in layers:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            with tf.autodiff.ForwardAccumulator(inputs, tangent) as accumulator:
                outputs = tf.reduce_sum(layer(inputs) ** 2)
        product = accumulator.jvp(outputs)
        assert float(product) != 0
        gradient = tape.gradient(outputs, inputs)
        np.testing.assert_allclose(product, tf.reduce_sum(gradient * tangent), rtol=1e-4)


def test_layers_survive_their_configuration():
    layers = [
        SeededDropout(0.25, 3),
        ParameterFreeShortcut(8, 2, "subsample"),
        LocalResponseNormalization(radius=2, bias=2.0, alpha=0.1, beta=0.5),
    ]
    for layer in layers:
        copy = keras.layers.deserialize(keras.layers.serialize(layer))
        assert type(copy) is type(layer)
        assert copy.get_config() == layer.get_config()
        own = {key for key in vars(layer) if key in layer.get_config()}
        assert {key: vars(copy)[key] for key in own} == {key: vars(layer)[key] for key in own}


# One 3x3 convolution from 32 to 64 channels: fan-in 288, fan-out 576. A normal variable redrawn beyond two
# deviations keeps the share 0.87962566 of its deviation; a uniform one on (-a, a) has deviation a / sqrt(3).
@pytest.mark.parametrize(
    ("rule", "deviation", "bound"),
    [
        (initialisation.fan_out_normal, math.sqrt(2 / 576), math.inf),
        (initialisation.fan_out_truncated_normal, 0.87962566 * math.sqrt(2 / 576), 2 * math.sqrt(2 / 576)),
        (initialisation.truncated_normal(0.1), 0.087962566, 0.2),
        (initialisation.unit_scaling_uniform, math.sqrt(1 / 288), math.sqrt(3 / 288)),
        (initialisation.glorot_uniform, math.sqrt(2 / 864), math.sqrt(6 / 864)),
        (initialisation.inverse_root_uniform, math.sqrt(1 / 864), math.sqrt(1 / 288)),
    ],
)
def test_initial_weights_have_the_stated_spread(rule, deviation, bound):
    weights = rule(288, 576, 5)((3, 3, 32, 64)).numpy()
    assert abs(weights.std() / deviation - 1) < 0.02
    assert abs(weights.mean()) < 5 * deviation / math.sqrt(weights.size)
    assert np.abs(weights).max() <= bound * (1 + 1e-6)
    # A truncated or uniform variable comes close to its bound, an untruncated one goes beyond two deviations.
    assert np.abs(weights).max() > (0.99 * bound if bound < math.inf else 3 * deviation)
    np.testing.assert_array_equal(weights, rule(288, 576, 5)((3, 3, 32, 64)))
    assert np.abs(weights - rule(288, 576, 6)((3, 3, 32, 64))).max() > deviation


def test_derived_seeds_are_stable_and_distinct():
    seeds = {initialisation.derive_seed(seed, f"layer{layer}") for seed in range(20) for layer in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    # Saved runs depend on the rule: `printf 0/stem/kernel | b2sum -l 32` gives 71a56fb9, little end first.
    assert initialisation.derive_seed(0, "stem/kernel") == 0xB96FA571 % 2**31
