"""The students that classify pixels: sizes by hand, graph against NumPy, outputs, saving, compiling, learning."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from student_nets import unet
from student_nets.layers import SeededDropout
from tests.test_student_nets_units import Oracle, relu

WIDTHS = (64, 128, 256, 512, 1024)
SMALL = {
    "input_shape": (8, 12, 2),
    "dropout_keep_probability": 1.0,
    "seed": 3,
    "name": "student",
    "batch_norm": {},
    "widths": (3, 4, 5),
}


def small(nested: bool, num_classes: int = 2, **options) -> keras.Model:
    return unet.build(num_classes, nested=nested, **{**SMALL, **options})


def pictures(count: int = 4, shape: tuple[int, ...] = (8, 12, 2)) -> tf.Tensor:
    return tf.random.stateless_normal((count, *shape), seed=(5, 6))


def node(channels: int, width: int) -> int:
    """Two 3x3 kernels with bias, and a scale and a shift behind each."""
    return (9 * channels + 3) * width + (9 * width + 3) * width


def trainable(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def test_sizes_of_the_published_widths():
    way_down = node(1, 64) + node(64, 128) + node(128, 256) + node(256, 512) + node(512, 1024)
    once = node(64 + 128, 64) + node(128 + 256, 128) + node(256 + 512, 256) + node(512 + 1024, 512)
    twice = node(2 * 64 + 128, 64) + node(2 * 128 + 256, 128) + node(2 * 256 + 512, 256)
    thrice = node(3 * 64 + 128, 64) + node(3 * 128 + 256, 128)
    nested = way_down + once + twice + thrice + node(4 * 64 + 128, 64) + 65
    model = student_nets.get("unet_plus_plus", 1, input_shape=(144, 144, 1))
    assert trainable(model) == nested == 36_628_481
    assert model.output_shape == (None, 144, 144, 1)
    assert [model.get_layer(f"node_{level}_0_conv2").output_shape[1:] for level in range(5)] == [
        (144 >> level, 144 >> level, width) for level, width in enumerate(WIDTHS)
    ]
    assert not any(isinstance(layer, SeededDropout) for layer in model.layers)
    assert trainable(student_nets.get("unet", 1, input_shape=(16, 16, 1))) == way_down + once + 65 == 31_389_569
    little = node(1, 16) + node(16, 32) + node(32, 64) + node(16 + 32, 16) + node(32 + 64, 32) + 17
    assert trainable(student_nets.get("unet_small", 1, input_shape=(16, 16, 1))) == little == 118_625
    # Every other output is a 1x1 convolution of 64 channels.
    deep = student_nets.get("unet_plus_plus", 3, input_shape=(16, 16, 1), deep_supervision=True)
    assert trainable(deep) == nested - 65 + 4 * 65 * 3


def doubled(x: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        old, new = np.arange(x.shape[axis]), np.linspace(0, x.shape[axis] - 1, 2 * x.shape[axis])
        x = np.apply_along_axis(lambda line, new=new, old=old: np.interp(new, old, line), axis, x)
    return x


def pooled(x: np.ndarray) -> np.ndarray:
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


@pytest.mark.parametrize("nested", [False, True])
def test_graph_equals_numpy(nested):
    model = small(nested)
    oracle = Oracle(model)

    def numpy_node(x: np.ndarray, level: int, column: int) -> np.ndarray:
        for number in (1, 2):
            name = f"node_{level}_{column}_conv{number}"
            x = oracle.conv(name, x) + oracle.layer(name).bias.numpy()
            x = relu(oracle.norm(f"{name}_norm", x, 1e-5))
        return x

    def joined(*nodes: np.ndarray) -> np.ndarray:
        return np.concatenate([*nodes[:-1], doubled(nodes[-1])], axis=-1)

    # What Oracle fed the network with.
    x00 = numpy_node(oracle.activations["image"], 0, 0)
    x10 = numpy_node(pooled(x00), 1, 0)
    x20 = numpy_node(pooled(x10), 2, 0)
    x11 = numpy_node(joined(x10, x20), 1, 1)
    if nested:
        x01 = numpy_node(joined(x00, x10), 0, 1)
        x02 = numpy_node(joined(x00, x01, x11), 0, 2)
    else:
        x02 = numpy_node(joined(x00, x11), 0, 2)
    logits = oracle.conv("logits", x02) + oracle.layer("logits").bias.numpy()
    np.testing.assert_allclose(oracle.activations["logits"], logits, atol=1e-5 * np.abs(logits).max())


@pytest.mark.parametrize("options", [{"nested": False}, {"nested": True}, {"nested": True, "deep_supervision": True}])
def test_saved_whole_and_a_function_of_the_seed(options, tmp_path):
    model = small(**options, dropout_keep_probability=0.7)
    again = small(**options, dropout_keep_probability=0.7)
    other = small(**options, dropout_keep_probability=0.7, seed=4)
    for one, two, three in zip(model.get_weights(), again.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.ndim < 2 or np.abs(one - three).max() > 0
    model(pictures(), training=True)
    logits = model(pictures())
    assert logits.dtype == tf.float32
    assert logits.shape == (4, 8, 12, 2)
    assert model.output_shape == (None, 8, 12, 2)
    assert not model.losses
    model.save(tmp_path / "student.keras")
    loaded = student_nets.load(tmp_path / "student.keras")
    np.testing.assert_array_equal(loaded(pictures()), logits)
    trained, expected = loaded(pictures(), training=True), model(pictures(), training=True)
    for one, two in zip(tf.nest.flatten(trained), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(one, two)
    kernels = {id(layer.kernel) for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}
    assert kernels == {id(weight) for weight in model.weights if weight.name.split(":")[0].endswith("kernel")}
    dropout = next(layer for layer in model.layers if isinstance(layer, SeededDropout))
    assert dropout.input.name.startswith("node_2_0_conv2_relu")


def test_deep_supervision_trains_every_top_node_and_predicts_with_the_last(tmp_path):
    model = small(True, deep_supervision=True)
    plain = small(True)
    shared = {weight.name: weight for weight in model.weights}
    for weight in plain.weights:
        np.testing.assert_array_equal(weight, shared[weight.name])
    with tf.GradientTape() as tape:
        outputs = model(pictures(), training=True)
        losses = [tf.reduce_mean(output**2) for output in outputs]
        loss = tf.add_n([weight * each for weight, each in zip(model.output_weights, losses, strict=True)])
    assert isinstance(outputs, tuple)
    assert model.output_weights == (0.5, 0.5)
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-6)
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_weights))
    np.testing.assert_array_equal(outputs[0], plain(pictures(), training=True))
    assert np.abs(outputs[0] - outputs[1]).max() > 0
    np.testing.assert_array_equal(model(pictures()), plain(pictures()))
    model.save(tmp_path / "student.keras")
    assert student_nets.load(tmp_path / "student.keras").output_weights == (0.5, 0.5)
    four = student_nets.get("unet_plus_plus", 1, input_shape=(16, 16, 1), deep_supervision=True)
    assert four.output_weights == (0.25,) * 4
    assert [output.name.split("/")[0] for output in four.outputs] == ["logits", *(f"logits_0_{k}" for k in (3, 2, 1))]
    assert [four.get_layer(f"logits_0_{k}").input.name.split("/")[0] for k in (1, 2, 3)] == [
        f"node_0_{k}_conv2_relu" for k in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"input_shape": (144, 150, 1)}, "unet must be multiples of 16, but these have 144x150; resize or pad them"),
        ({"input_shape": (8, 16, 1)}, "at least 16x16 pixels, but these have 8x16"),
        ({"num_classes": 0}, "unet needs at least 1 class, but num_classes is 0"),
        ({"deep_supervision": True}, "unet has no option deep_supervision; its options are: batch_norm_momentum"),
        ({"name": "unet_plus_plus", "nested": False}, "has no option nested; its options are: deep_supervision"),
        ({"name": "unet_small", "input_shape": (6, 8, 1)}, "multiples of 4, but these have 6x8"),
    ],
)
def test_mistakes_get_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        student_nets.get(**{"name": "unet", "num_classes": 1, "input_shape": (16, 16, 1), **arguments})
    assert "\n" not in str(caught.value)


def test_logits_are_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small(True, deep_supervision=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {output.dtype for output in model(pictures(), training=True)} == {tf.float32}
    assert model.get_layer("up_0_1").output.dtype == tf.bfloat16


def test_a_gradient_of_a_gradient_compiles_and_agrees_with_the_plain_one():
    model = small(True)

    def step(images: tf.Tensor) -> tf.Tensor:
        kernel = model.get_layer("node_2_0_conv1").kernel
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = tf.reduce_mean(tf.nn.softplus(model(images, training=True)))
            norm = tf.reduce_sum(inner.gradient(loss, kernel) ** 2)
        return outer.gradient(norm, kernel)

    plain = step(pictures()).numpy()
    assert np.abs(plain).max() > 0
    compiled = tf.function(step, jit_compile=True)(pictures())
    np.testing.assert_allclose(compiled, plain, atol=1e-3 * np.abs(plain).max())


def test_unet_small_learns_to_find_bright_discs():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:16, :16]
    centres = rng.uniform(4, 12, (16, 2, 1, 1))
    masks = (rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < 16
    images = tf.constant((masks + 0.7 * rng.normal(size=masks.shape))[..., None], tf.float32)
    labels = tf.constant(masks[..., None], tf.float32)
    model = student_nets.get("unet_small", 1, input_shape=(16, 16, 1))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, model(images, training=True)))
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))

    for _ in range(60):
        step()
    found = model(images).numpy()[..., 0] > 0
    dice = 2 * (found & masks).sum() / (found.sum() + masks.sum())
    thresholded = images.numpy()[..., 0] > 0.5
    assert 2 * (thresholded & masks).sum() / (thresholded.sum() + masks.sum()) < 0.75
    assert dice > 0.95
