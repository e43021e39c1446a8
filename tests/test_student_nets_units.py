"""The residual units of every family and variant, recomputed with NumPy from random weights."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from student_nets import resnet101, resnet_cifar, wrn
from student_nets.layers import SeededDropout


def conv(x: np.ndarray, kernel: np.ndarray, strides: int = 1) -> np.ndarray:
    """Convolution with TensorFlow's "same" padding: an odd pixel of it goes below and to the right."""
    size, sides = kernel.shape[0], [-(-side // strides) for side in x.shape[1:3]]
    pads = [max((out - 1) * strides + size - side, 0) for out, side in zip(sides, x.shape[1:3], strict=True)]
    x = np.pad(x, [(0, 0)] + [(pad // 2, pad - pad // 2) for pad in pads] + [(0, 0)])
    out = np.zeros((len(x), *sides, kernel.shape[3]))
    for row in range(sides[0]):
        for column in range(sides[1]):
            patch = x[:, row * strides : row * strides + size, column * strides : column * strides + size]
            out[:, row, column] = np.tensordot(patch, kernel, 3)
    return out


def pooled(x: np.ndarray, filters: int, strides: int) -> np.ndarray:
    """Means of windows of even pictures, with zero channels on both sides."""
    if strides == 2:
        x = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    missing = filters - x.shape[-1]
    return np.pad(x, [(0, 0), (0, 0), (0, 0), (missing // 2, missing // 2)])


def relu(x: np.ndarray, slope: float = 0.0) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


class Oracle:
    """A student with random weights everywhere, its activations, and its simplest layers in NumPy."""

    def __init__(self, model: keras.Model) -> None:
        rng = np.random.default_rng(3)
        for weight in model.weights:
            if weight.dtype == tf.float32:
                low, high = (0.5, 2.0) if "variance" in weight.name else (-0.6, 0.6)
                weight.assign(rng.uniform(low, high, weight.shape))
        self.model = model
        names = [layer.name for layer in model.layers]
        images = rng.normal(size=(2, *model.input_shape[1:])).astype(np.float32)
        outputs = keras.Model(model.input, [layer.output for layer in model.layers])(images, training=False)
        self.activations = {name: output.numpy() for name, output in zip(names, outputs, strict=True)}

    def layer(self, name: str) -> keras.layers.Layer:
        return self.model.get_layer(name)

    def norm(self, name: str, x: np.ndarray, epsilon: float) -> np.ndarray:
        weights = {weight.name.split("/")[-1]: weight.numpy() for weight in self.layer(name).weights}
        normal = (x - weights["moving_mean:0"]) / np.sqrt(weights["moving_variance:0"] + epsilon)
        return normal * weights.get("gamma:0", 1.0) + weights["beta:0"]

    def conv(self, name: str, x: np.ndarray, strides: int = 1) -> np.ndarray:
        return conv(x, self.layer(name).kernel.numpy(), strides)

    def assert_layer(self, name: str, expected: np.ndarray) -> None:
        scale = np.abs(expected).max()
        np.testing.assert_allclose(self.activations[name], expected, atol=2e-6 * scale)


COMMON = {
    "input_shape": (8, 8, 3),
    "dropout_keep_probability": 1.0,
    "seed": 0,
    "name": "student",
    "batch_norm": {},
}


@pytest.mark.parametrize("variant", ["paper", "release"])
def test_resnet101_units_equal_numpy(variant):
    oracle = Oracle(resnet101.build(10, **COMMON, widths=(20, 24), units=2, variant=variant))
    x = oracle.activations["stem"]
    # The first unit activates before it branches.
    if variant == "paper":
        x = relu(oracle.norm("stage1_unit1_norm1", x, 1e-3), 0.1)
    else:
        x = oracle.norm("stage1_unit1_norm1", relu(x, 0.1), 1e-3)
    inner = relu(oracle.norm("stage1_unit1_norm2", oracle.conv("stage1_unit1_conv1", x), 1e-3), 0.1)
    oracle.assert_layer("stage1_unit1_add", pooled(x, 20, 1) + oracle.conv("stage1_unit1_conv2", inner))

    for name, before, filters, strides in [
        ("stage1_unit2", "stage1_unit1", 20, 1),
        ("stage2_unit1", "stage1_unit2", 24, 2),
    ]:
        x = oracle.activations[f"{before}_add"]
        inner = oracle.conv(f"{name}_conv1", relu(oracle.norm(f"{name}_norm1", x, 1e-3), 0.1), strides)
        inner = oracle.conv(f"{name}_conv2", relu(oracle.norm(f"{name}_norm2", inner, 1e-3), 0.1))
        oracle.assert_layer(f"{name}_add", pooled(x, filters, strides) + inner)

    x = oracle.norm("final_norm", oracle.activations["stage2_unit2_add"], 1e-3)
    x = relu(x, 0.0 if variant == "paper" else 0.1).mean(axis=(1, 2))
    kernel, bias = oracle.layer("logits").get_weights()
    oracle.assert_layer("logits", x @ kernel + bias)


def test_batch_norm_decay_of_resnet101_is_nine_tenths():
    model = resnet101.build(10, **COMMON, widths=(16,), units=1)
    images = tf.random.stateless_normal((4, 8, 8, 3), seed=(1, 2))
    stem = keras.Model(model.input, model.get_layer("stem").output)(images).numpy()
    model(images, training=True)
    moving_mean = model.get_layer("stage1_unit1_norm1").moving_mean
    np.testing.assert_allclose(moving_mean, 0.1 * stem.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6)


def l2rw_network(family: str) -> keras.Model:
    if family == "wrn":
        return wrn.build(10, **{**COMMON, "dropout_keep_probability": 0.7}, width=2, units=2, variant="l2rw")
    return resnet_cifar.build(10, **COMMON, units=2, variant="l2rw")


@pytest.mark.parametrize(("family", "width"), [("resnet_cifar", 1), ("wrn", 2)])
def test_l2rw_units_equal_numpy(family, width):
    oracle = Oracle(l2rw_network(family))
    oracle.assert_layer("stem_relu", relu(oracle.norm("stem_norm", oracle.activations["stem"], 1e-3)))
    # No unit of the first stage has the first BN-ReLU.
    x = oracle.activations["stem_relu"]
    for name in ("stage1_unit1", "stage1_unit2"):
        inner = relu(oracle.norm(f"{name}_norm2", oracle.conv(f"{name}_conv1", x), 1e-3))
        expected = pooled(x, 16 * width, 1) + oracle.conv(f"{name}_conv2", inner)
        oracle.assert_layer(f"{name}_add", expected)
        x = oracle.activations[f"{name}_add"]
    inner = oracle.conv("stage2_unit1_conv1", relu(oracle.norm("stage2_unit1_norm1", x, 1e-3)), 2)
    inner = oracle.conv("stage2_unit1_conv2", relu(oracle.norm("stage2_unit1_norm2", inner, 1e-3)))
    oracle.assert_layer("stage2_unit1_add", pooled(x, 32 * width, 2) + inner)
    norms = [layer for layer in oracle.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert all(not norm.scale and norm.momentum == 0.999 for norm in norms)


def test_l2rw_dropout_is_behind_the_first_activation_and_not_in_the_first_stage():
    model = l2rw_network("wrn")
    dropouts = [layer.name for layer in model.layers if isinstance(layer, SeededDropout)]
    assert dropouts == [f"stage{stage}_unit{unit}_dropout1" for stage in (2, 3) for unit in (1, 2)]
    for name in dropouts:
        unit = name.removesuffix("_dropout1")
        assert model.get_layer(name).input is model.get_layer(f"{unit}_relu1").output
        assert model.get_layer(f"{unit}_conv1").input is model.get_layer(name).output


def test_standard_wrn_units_equal_numpy():
    oracle = Oracle(wrn.build(10, **COMMON, width=2, units=2))
    for name, before, strides in [("stage1_unit1", "stem", 1), ("stage2_unit1", "stage1_unit2_add", 2)]:
        x = relu(oracle.norm(f"{name}_norm1", oracle.activations[before], 1e-5))
        inner = relu(oracle.norm(f"{name}_norm2", oracle.conv(f"{name}_conv1", x, strides), 1e-5))
        expected = oracle.conv(f"{name}_shortcut", x, strides) + oracle.conv(f"{name}_conv2", inner)
        oracle.assert_layer(f"{name}_add", expected)
    x = oracle.activations["stage1_unit1_add"]
    inner = oracle.conv("stage1_unit2_conv1", relu(oracle.norm("stage1_unit2_norm1", x, 1e-5)))
    inner = oracle.conv("stage1_unit2_conv2", relu(oracle.norm("stage1_unit2_norm2", inner, 1e-5)))
    oracle.assert_layer("stage1_unit2_add", x + inner)


@pytest.mark.parametrize("variant", ["option_a", "option_b"])
def test_post_activation_units_equal_numpy(variant):
    oracle = Oracle(resnet_cifar.build(10, **COMMON, units=1, variant=variant))
    for name, before, strides in (
        ("stage1_unit1", "stem_relu", 1),
        ("stage2_unit1", "stage1_unit1_relu2", 2),
    ):
        x = oracle.activations[before]
        inner = relu(oracle.norm(f"{name}_norm1", oracle.conv(f"{name}_conv1", x, strides), 1e-5))
        inner = oracle.norm(f"{name}_norm2", oracle.conv(f"{name}_conv2", inner), 1e-5)
        shortcut = x
        if strides == 2 and variant == "option_a":
            shortcut = np.pad(x[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (8, 8)])
        elif strides == 2:
            shortcut = oracle.norm(f"{name}_shortcut_norm", oracle.conv(f"{name}_shortcut", x, 2), 1e-5)
        oracle.assert_layer(f"{name}_relu2", relu(shortcut + inner))


@pytest.mark.parametrize("variant", ["l2b", "dividemix"])
def test_preact_resnet18_units_equal_numpy(variant):
    oracle = Oracle(student_nets.get("preact_resnet18", input_shape=(8, 8, 3), variant=variant))
    x = oracle.activations["stem"]
    if variant == "dividemix":
        x = relu(oracle.norm("stem_norm", x, 1e-5))
        oracle.assert_layer("stem_relu", x)
    activated = relu(oracle.norm("stage1_unit1_norm1", x, 1e-5))
    inner = relu(oracle.norm("stage1_unit1_norm2", oracle.conv("stage1_unit1_conv1", activated), 1e-5))
    # The identity shortcut carries the input in one paper's network, the activated input in the other's.
    carried = activated if variant == "dividemix" else x
    oracle.assert_layer("stage1_unit1_add", carried + oracle.conv("stage1_unit1_conv2", inner))

    activated = relu(oracle.norm("stage2_unit1_norm1", oracle.activations["stage1_unit2_add"], 1e-5))
    inner = oracle.conv("stage2_unit1_conv1", activated, 2)
    inner = oracle.conv("stage2_unit1_conv2", relu(oracle.norm("stage2_unit1_norm2", inner, 1e-5)))
    oracle.assert_layer("stage2_unit1_add", oracle.conv("stage2_unit1_shortcut", activated, 2) + inner)
    # Nothing but the mean stands between the last unit and the dense layer.
    kernel, bias = oracle.layer("logits").get_weights()
    oracle.assert_layer("logits", oracle.activations["stage4_unit2_add"].mean(axis=(1, 2)) @ kernel + bias)
