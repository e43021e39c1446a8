"""Each family against its paper: parameter counts, shapes stage by stage, and units recomputed with NumPy."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from student_nets import resnet101, resnet_cifar, wrn
from student_nets.layers import SeededDropout


@functools.cache
def published(name: str, num_classes: int, input_shape: tuple[int, ...], **options: object) -> keras.Model:
    """The student as `get` makes it, made once for all the tests that only look at it."""
    return student_nets.get(name, num_classes, input_shape=input_shape, **options)


def parameters(model: keras.Model) -> int:
    """Trained parameters: papers count neither moving averages nor counters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


# Published counts; where there are none, the sum over the layers of the paper's description.
@pytest.mark.parametrize(
    ("name", "num_classes", "input_shape", "options", "count"),
    [
        ("inception", 10, (32, 32, 3), {}, 1_649_402),
        ("inception", 10, (32, 32, 3), {"conv_bias": True}, 1_649_402),
        ("inception", 100, (32, 32, 3), {}, 1_679_732),
        ("cifarnet", 10, (32, 32, 3), {}, 1_756_426),
        ("resnet32", 10, (32, 32, 3), {}, 466_906),
        ("resnet32", 10, (32, 32, 3), {"variant": "option_a"}, 464_154),
        ("resnet32", 10, (32, 32, 3), {"variant": "preactivation"}, 464_154),
        # The 461,232 of the convolutions, 650 of the dense layer, and shifts of 1,072 channels: 16 behind the
        # stem, 5 x 16 in stage 1, 16 + 9 x 32 in stage 2, 32 + 9 x 64 in stage 3, 64 at the end.
        ("resnet32", 10, (32, 32, 3), {"variant": "l2rw"}, 461_232 + 650 + 16 + 80 + 304 + 608 + 64),
        ("resnet8", 10, (32, 32, 3), {}, 78_042),
        ("resnet20", 10, (32, 32, 3), {"variant": "option_a"}, 269_722),
        ("preact_resnet18", 10, (32, 32, 3), {}, 11_171_146),
        ("preact_resnet18", 10, (32, 32, 3), {"variant": "dividemix"}, 11_171_146 + 2 * 64),
        ("lenet", 10, (28, 28, 1), {}, 416 + 12_832 + 51_264 + 1_025 * 100 + 101 * 10),
        ("s2e_mlp", 10, (28, 28, 1), {}, 785 * 256 + 257 * 10),
        ("s2e_model1", 10, (32, 32, 3), {}, 76 * 6 + 151 * 16 + 401 * 120 + 121 * 84 + 85 * 10),
        (
            "s2e_model2", 100, (32, 32, 3), {},
            30 * 64 + 579 * 64 + 579 * 128 + 1_155 * 128 + 1_155 * 196 + 1_767 * 16 + 257 * 100,
        ),
        ("small_cnn", 10, (8, 8, 1), {}, 11 * 32 + 290 * 64 + 578 * 128 + 513 * 10),
    ],
)  # fmt: skip
def test_parameter_counts(name, num_classes, input_shape, options, count):
    assert parameters(published(name, num_classes, input_shape, **options)) == count


def test_resnet101_is_the_84_million_network():
    model = student_nets.get("resnet101")
    assert parameters(model) == 84_627_034
    # A class more is a column of 640 weights and a bias more.
    assert model.get_layer("logits").kernel.shape == (640, 10)
    assert 84_627_034 + 90 * 641 == 84_684_724
    assert unit_shapes(model) == [(32, 32, 160)] * 9 + [(16, 16, 320)] * 9 + [(8, 8, 640)] * 9
    assert not any(isinstance(layer, SeededDropout) for layer in model.layers)
    kernel = model.get_layer("stage2_unit3_conv1").kernel.numpy()
    assert kernel.std() == pytest.approx(math.sqrt(2 / (9 * 320)), rel=0.01)
    assert np.abs(kernel).max() > 4 * kernel.std()


def test_wrn28_10_has_36_million_parameters():
    model = student_nets.get("wrn28_10")
    assert parameters(model) == 36_479_194
    assert unit_shapes(model) == [(32, 32, 160)] * 4 + [(16, 16, 320)] * 4 + [(8, 8, 640)] * 4
    dropouts = [layer for layer in model.layers if isinstance(layer, SeededDropout)]
    assert [layer.rate for layer in dropouts] == [pytest.approx(0.3)] * 12
    for layer in dropouts:
        unit = layer.name.removesuffix("_dropout2")
        assert layer.input is model.get_layer(f"{unit}_relu2").output
        assert model.get_layer(f"{unit}_conv2").input is layer.output
    assert len({layer.seed for layer in dropouts}) == 12


def unit_shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [layer.output_shape[1:] for layer in model.layers if isinstance(layer, keras.layers.Add)]


def test_stages_have_the_published_shapes():
    resnet20 = published("resnet20", 10, (32, 32, 3), variant="option_a")
    assert unit_shapes(resnet20) == [(32, 32, 16)] * 3 + [(16, 16, 32)] * 3 + [(8, 8, 64)] * 3
    resnet8 = student_nets.get("resnet8", input_shape=(28, 28, 1))
    assert unit_shapes(resnet8) == [(28, 28, 16), (14, 14, 32), (7, 7, 64)]
    preact = published("preact_resnet18", 10, (32, 32, 3))
    assert unit_shapes(preact) == [
        (32, 32, 64), (32, 32, 64), (16, 16, 128), (16, 16, 128),
        (8, 8, 256), (8, 8, 256), (4, 4, 512), (4, 4, 512),
    ]  # fmt: skip

    inception = published("inception", 10, (32, 32, 3))
    assert [inception.get_layer(f"module{number}").output_shape[1:] for number in range(1, 11)] == [
        (32, 32, 64), (32, 32, 80), (16, 16, 160), (16, 16, 160), (16, 16, 160), (16, 16, 160), (16, 16, 144),
        (8, 8, 240), (8, 8, 336), (8, 8, 336),
    ]  # fmt: skip
    cifarnet = published("cifarnet", 10, (32, 32, 3))
    order = [type(layer).__name__ for layer in cifarnet.layers[1:9]]
    assert order == [
        "Conv2D", "ReLU", "MaxPooling2D", "LocalResponseNormalization",
        "Conv2D", "ReLU", "LocalResponseNormalization", "MaxPooling2D",
    ]  # fmt: skip
    assert [cifarnet.get_layer(layer).output_shape[1:] for layer in ("pool1", "pool2", "fc3", "fc4")] == [
        (16, 16, 64), (8, 8, 64), (384,), (192,),
    ]  # fmt: skip
    lenet = published("lenet", 10, (28, 28, 1))
    assert [lenet.get_layer(f"pool{number}").output_shape[1:] for number in (1, 2, 3)] == [
        (14, 14, 16), (7, 7, 32), (4, 4, 64),
    ]  # fmt: skip


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

    def check(self, name: str, expected: np.ndarray) -> None:
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
    oracle.check("stage1_unit1_add", pooled(x, 20, 1) + oracle.conv("stage1_unit1_conv2", inner))

    for name, before, filters, strides in [
        ("stage1_unit2", "stage1_unit1", 20, 1),
        ("stage2_unit1", "stage1_unit2", 24, 2),
    ]:
        x = oracle.activations[f"{before}_add"]
        inner = oracle.conv(f"{name}_conv1", relu(oracle.norm(f"{name}_norm1", x, 1e-3), 0.1), strides)
        inner = oracle.conv(f"{name}_conv2", relu(oracle.norm(f"{name}_norm2", inner, 1e-3), 0.1))
        oracle.check(f"{name}_add", pooled(x, filters, strides) + inner)

    x = oracle.norm("final_norm", oracle.activations["stage2_unit2_add"], 1e-3)
    x = relu(x, 0.0 if variant == "paper" else 0.1).mean(axis=(1, 2))
    kernel, bias = oracle.layer("logits").get_weights()
    oracle.check("logits", x @ kernel + bias)


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
    oracle.check("stem_relu", relu(oracle.norm("stem_norm", oracle.activations["stem"], 1e-3)))
    # No unit of the first stage has the first BN-ReLU.
    x = oracle.activations["stem_relu"]
    for name in ("stage1_unit1", "stage1_unit2"):
        inner = relu(oracle.norm(f"{name}_norm2", oracle.conv(f"{name}_conv1", x), 1e-3))
        expected = pooled(x, 16 * width, 1) + oracle.conv(f"{name}_conv2", inner)
        oracle.check(f"{name}_add", expected)
        x = oracle.activations[f"{name}_add"]
    inner = oracle.conv("stage2_unit1_conv1", relu(oracle.norm("stage2_unit1_norm1", x, 1e-3)), 2)
    inner = oracle.conv("stage2_unit1_conv2", relu(oracle.norm("stage2_unit1_norm2", inner, 1e-3)))
    oracle.check("stage2_unit1_add", pooled(x, 32 * width, 2) + inner)
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
        oracle.check(f"{name}_add", expected)
    x = oracle.activations["stage1_unit1_add"]
    inner = oracle.conv("stage1_unit2_conv1", relu(oracle.norm("stage1_unit2_norm1", x, 1e-5)))
    inner = oracle.conv("stage1_unit2_conv2", relu(oracle.norm("stage1_unit2_norm2", inner, 1e-5)))
    oracle.check("stage1_unit2_add", x + inner)


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
        oracle.check(f"{name}_relu2", relu(shortcut + inner))


@pytest.mark.parametrize("variant", ["l2b", "dividemix"])
def test_preact_resnet18_units_equal_numpy(variant):
    oracle = Oracle(student_nets.get("preact_resnet18", input_shape=(8, 8, 3), variant=variant))
    x = oracle.activations["stem"]
    if variant == "dividemix":
        x = relu(oracle.norm("stem_norm", x, 1e-5))
        oracle.check("stem_relu", x)
    activated = relu(oracle.norm("stage1_unit1_norm1", x, 1e-5))
    inner = relu(oracle.norm("stage1_unit1_norm2", oracle.conv("stage1_unit1_conv1", activated), 1e-5))
    # The identity shortcut carries the input in one paper's network, the activated input in the other's.
    carried = activated if variant == "dividemix" else x
    oracle.check("stage1_unit1_add", carried + oracle.conv("stage1_unit1_conv2", inner))

    activated = relu(oracle.norm("stage2_unit1_norm1", oracle.activations["stage1_unit2_add"], 1e-5))
    inner = oracle.conv("stage2_unit1_conv1", activated, 2)
    inner = oracle.conv("stage2_unit1_conv2", relu(oracle.norm("stage2_unit1_norm2", inner, 1e-5)))
    oracle.check("stage2_unit1_add", oracle.conv("stage2_unit1_shortcut", activated, 2) + inner)
    # Nothing but the mean stands between the last unit and the dense layer.
    kernel, bias = oracle.layer("logits").get_weights()
    oracle.check("logits", oracle.activations["stage4_unit2_add"].mean(axis=(1, 2)) @ kernel + bias)


def test_cifarnet_and_pytorch_like_starting_values():
    cifarnet = published("cifarnet", 10, (32, 32, 3))
    deviations = {"conv2": 0.05, "fc3": 0.04, "logits": 1 / 192}
    for layer, deviation in deviations.items():
        kernel = cifarnet.get_layer(layer).kernel.numpy()
        # 0.88 is what is left of the deviation of a normal variable redrawn beyond two of them.
        assert kernel.std() == pytest.approx(0.8796 * deviation, rel=0.06)
    biases = {"conv1": 0.0, "fc3": 0.1, "fc4": 0.1, "logits": 0.0}
    for layer, bias in biases.items():
        np.testing.assert_allclose(cifarnet.get_layer(layer).bias, bias)
    dense = published("s2e_mlp", 10, (28, 28, 1)).get_layer("fc1")
    for weight in (dense.kernel.numpy(), dense.bias.numpy()):
        assert 0.95 / 28 < np.abs(weight).max() <= 1 / 28


def test_small_cnn_memorises_random_labels():
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(size=(256, 8, 8, 1)), tf.float32)
    labels = tf.constant(rng.integers(0, 10, 256))
    model = student_nets.get("small_cnn", input_shape=(8, 8, 1))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=True))
            loss = tf.reduce_mean(losses)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True)
        )

    for _ in range(100):
        step()
    predictions = tf.argmax(model(images, training=False), axis=1)
    assert np.mean(predictions == labels) > 0.95
