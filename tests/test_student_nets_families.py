"""Each family against its paper: parameter counts, shapes stage by stage, starting values."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
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
        ("preact_resnet18_dividemix", 10, (32, 32, 3), {}, 11_171_146 + 2 * 64),
        # The stem's 27 x 64; units of 2 x 9 x 64^2, then thrice 9 w (w / 2) + 3 x 9 w^2 + (w / 2) w for the projection;
        # scale and shift of 5 x 64 channels and thrice 5 w; the dense layer.
        (
            "resnet18_cifar", 10, (32, 32, 3), {},
            27 * 64 + 36 * 64**2 + sum(32 * w * w for w in (128, 256, 512)) + 2 * 5 * (64 + 128 + 256 + 512) + 513 * 10,
        ),
        # A stem of 147 x 64 and 1,000 classes: torchvision's 11,689,512.
        ("resnet18", 1000, (64, 64, 3), {}, 11_689_512),
        ("resnet18", 1000, (224, 224, 3), {}, 11_173_962 + (147 - 27) * 64 + 513 * 990),
        # torchvision's 25,557,032, and a bias for each of the 26,560 channels of convolutions.
        ("resnet50", 1000, (64, 64, 3), {}, 25_557_032 + 26_560),
        ("lenet", 10, (28, 28, 1), {}, 416 + 12_832 + 51_264 + 1_025 * 100 + 101 * 10),
        ("s2e_mlp", 10, (28, 28, 1), {}, 785 * 256 + 257 * 10),
        ("s2e_model1", 10, (32, 32, 3), {}, 76 * 6 + 151 * 16 + 401 * 120 + 121 * 84 + 85 * 10),
        (
            "s2e_model2", 100, (32, 32, 3), {},
            30 * 64 + 579 * 64 + 579 * 128 + 1_155 * 128 + 1_155 * 196 + 1_767 * 16 + 257 * 100,
        ),
        # Kernels with bias, then scale and shift: 2 a channel.
        (
            "s2e_model3", 10, (32, 32, 3), {},
            30 * 128 + 2 * 1_155 * 128 + 1_155 * 256 + 2 * 2_307 * 256 + 2_307 * 512 + 4_611 * 256 + 2_307 * 128
            + 129 * 10,
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


def test_the_students_of_large_images_quarter_them_first():
    for name, expansion in (("resnet18", 1), ("resnet50", 4)):
        model = published(name, 1000, (64, 64, 3))
        units = (2, 2, 2, 2) if expansion == 1 else (3, 4, 6, 3)
        expected = [(16 >> k, 16 >> k, 64 * expansion << k) for k, count in enumerate(units) for _ in range(count)]
        assert unit_shapes(model) == expected
        assert model.get_layer("stem_relu").output_shape[1:] == (32, 32, 64)
    assert unit_shapes(published("resnet18_cifar", 10, (32, 32, 3))) == [
        (32 >> k, 32 >> k, 64 << k) for k in range(4) for _ in range(2)
    ]  # fmt: skip
    assert "stem_relu" in {layer.name for layer in published("preact_resnet18_dividemix", 10, (32, 32, 3)).layers}


def test_s2e_model3_pools_drops_and_pads_as_in_coteaching():
    model = published("s2e_model3", 10, (32, 32, 3))
    sides = [layer.output_shape[1] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert sides == [32] * 3 + [16] * 3 + [6, 4, 2]
    slopes = [float(layer.negative_slope) for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    assert slopes == [pytest.approx(0.01)] * 9
    for whole in (False, True):
        model = student_nets.get("s2e_model3", input_shape=(28, 28, 1), whole_channels=whole)
        dropouts = [layer for layer in model.layers if isinstance(layer, SeededDropout)]
        assert [(layer.rate, layer.whole_channels) for layer in dropouts] == [(0.25, whole)] * 2
        assert [layer.input.name.split("/")[0] for layer in dropouts] == ["stage1_pool", "stage2_pool"]
        images = tf.random.stateless_uniform((2, 28, 28, 1), seed=(1, 2))
        np.testing.assert_array_equal(model(images), model(images, training=False))


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
