"""What holds for every student: the registry, its errors, seeds, precision, saving and compiling."""

import functools
import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from flags import configuration
from flags.build import in_memory as build
from student_nets import resnet101, resnet_basic, resnet_cifar, wrn
from student_nets.layers import SeededDropout

# One student of each construction; the deeper ones of a family only repeat it. Inception-ResNet-v2, which needs larger
# pictures, has its own file, and so have the students that classify pixels.
REPEATED = ("resnet20", "resnet32", "preact_resnet18_dividemix")
ALL = tuple(name for name in student_nets.names() if name not in REPEATED and "inception_resnet" not in name)
COMMON = {"input_shape": (8, 8, 3), "dropout_keep_probability": 0.7, "seed": 4, "batch_norm": {}}
BASIC = functools.partial(resnet_basic.build, 5, **COMMON, widths=(8, 12), units=(1, 2))
SHORTENED = {
    "resnet18": functools.partial(BASIC, bottleneck=False, large_images=True),
    "resnet18_cifar": functools.partial(BASIC, bottleneck=False, large_images=False),
    "resnet50": functools.partial(BASIC, bottleneck=True, large_images=True),
    "resnet101": functools.partial(resnet101.build, 5, **COMMON, widths=(20, 24), units=1),
    "resnet32_l2rw": functools.partial(resnet_cifar.build, 5, **COMMON, units=1, variant="l2rw"),
    "wrn28_10": functools.partial(wrn.build, 5, **COMMON, width=1, units=1),
    "wrn28_10_l2rw": functools.partial(wrn.build, 5, **COMMON, width=1, units=1, variant="l2rw"),
}
SMALL = tuple(name for name in ALL if name not in ("preact_resnet18", *SHORTENED))


def small_student(name: str, **options) -> keras.Model:
    """The student for 28x28 images, or, of the giants, the same construction with few and narrow units."""
    if name in SHORTENED:
        return SHORTENED[name](name=name, **options)
    side = 8 if name == "preact_resnet18" else 28
    shape = (side, side, 1)
    return student_nets.get(name, 5, input_shape=shape, dropout_keep_probability=0.7, seed=4, **options)


def images_for(model: keras.Model, count: int = 4) -> tf.Tensor:
    return tf.random.stateless_normal((count, *model.input_shape[1:]), seed=(5, 6))


def test_names_are_the_promised_ones():
    assert student_nets.names() == (
        "cifarnet", "inception", "inception_resnet_v2", "inception_resnet_v2_tiny", "lenet", "preact_resnet18",
        "preact_resnet18_dividemix", "resnet101", "resnet18", "resnet18_cifar", "resnet20", "resnet32",
        "resnet32_l2rw", "resnet50", "resnet8", "s2e_mlp", "s2e_model1", "s2e_model2", "s2e_model3", "small_cnn",
        "wrn28_10", "wrn28_10_l2rw",
    )  # fmt: skip
    assert student_nets.names("segmentation") == ("unet", "unet_plus_plus", "unet_small")
    for kind in student_nets.KINDS:
        assert {student_nets.kind(name) for name in student_nets.names(kind)} == {kind}
    with pytest.raises(ValueError, match="no students of kind 'detection'; choose one of classification, segmentation"):
        student_nets.names("detection")
    with pytest.raises(ValueError, match="no student network 'vgg16'"):
        student_nets.kind("vgg16")


def test_a_training_run_takes_no_student_that_classifies_pixels():
    with pytest.raises(ValueError, match="--studentnet='unet': use one of cifarnet"):
        configuration.parse(["train_cifar.py", "--studentnet=unet", "--train_log_dir=t"])


def test_a_new_process_lists_without_tensorflow_and_loads_a_saved_student(tmp_path):
    model = small_student("cifarnet")
    model.save(tmp_path / "student.keras")
    program = f"""
import sys, student_nets
assert student_nets.names() and "tensorflow" not in sys.modules
model = student_nets.load({str(tmp_path / "student.keras")!r})
import numpy as np
print(model(np.ones((1, 28, 28, 1), np.float32)).numpy().tolist())
"""
    root = pathlib.Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    logits = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(logits, model(np.ones((1, 28, 28, 1), np.float32)), rtol=1e-6)


def test_loading_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no saved student"):
        student_nets.load(tmp_path / "student.keras")


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "student.keras"
    small_student("cifarnet").save(file)
    for content in (file.read_bytes()[:3000], b"", b"text"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"student\.keras is no saved student, or a damaged one: ."):
            student_nets.load(file)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "vgg16"}, "no student network 'vgg16'; choose one of cifarnet, inception.*, unet, unet_plus_plus"),
        ({"name": "lenet", "num_classes": 1}, "lenet needs at least 2 classes, but num_classes is 1"),
        ({"name": "lenet", "dropout_keep_probability": 0.0}, r"keep probability is 0.0; it must be in \(0"),
        ({"name": "lenet", "dropout_keep_probability": 1.5}, "keep probability is 1.5"),
        ({"name": "lenet", "input_shape": (28, 28)}, r"input shape is \(28, 28\)"),
        ({"name": "lenet", "input_shape": 28}, "input shape is 28"),
        ({"name": "lenet", "input_shape": (28, None, 1)}, r"input shape is \(28, None, 1\)"),
        ({"name": "lenet", "input_shape": (28, 28, 0)}, "all above 0"),
        ({"name": "s2e_model1", "input_shape": (8, 8, 1)}, "at least 16x16 pixels, but these have 8x8"),
        ({"name": "s2e_model3", "input_shape": (27, 28, 1)}, "at least 28x28 pixels, but these have 27x28"),
        (
            {"name": "preact_resnet18_dividemix", "variant": "l2b"},
            "has no option variant; its options are: batch_norm_",
        ),
        ({"name": "resnet50", "units": (1, 1, 1, 1)}, "resnet50 has no option units; its options are: batch_norm_"),
        ({"name": "lenet", "variant": "l2b"}, "lenet has no option variant; its options are: none"),
        ({"name": "lenet", "synchronized": True}, "lenet has no option synchronized"),
        ({"name": "resnet32_l2rw", "variant": "option_a"}, "resnet32_l2rw has no option variant"),
        ({"name": "resnet32", "units": 2}, "has no option units; its options are: variant, batch_norm_"),
        ({"name": "resnet32", "variant": "option_c"}, "allowed are l2rw, option_a, option_b, preactivation"),
        ({"name": "resnet101", "variant": "x"}, "allowed are paper, release"),
        ({"name": "wrn28_10", "variant": "x"}, "allowed are l2rw, standard"),
        ({"name": "preact_resnet18", "variant": "x"}, "allowed are dividemix, l2b"),
        ({"name": "small_cnn", "batch_norm_momentum": 1.1}, "momentum is 1.1"),
        ({"name": "small_cnn", "batch_norm_epsilon": 0.0}, "epsilon is 0.0"),
        ({"name": "s2e_mlp", "batch_norm_scale": False}, "s2e_mlp has no option batch_norm_scale"),
        ({"name": "s2e_model1", "synchronized": True}, "s2e_model1 has no option synchronized"),
    ],
)
def test_mistakes_get_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        student_nets.get(**arguments)
    assert "\n" not in str(caught.value)


# Without the 45 MB of preact_resnet18, whose layers are all in the others too.
@pytest.mark.parametrize("name", [name for name in ALL if name != "preact_resnet18"])
def test_every_student_maps_grey_images_to_logits_and_is_saved_whole(name, tmp_path):
    model = small_student(name)
    images = images_for(model)
    # A training call, so that moving averages and the dropout counter differ from their starting values.
    model(images, training=True)
    logits = model(images, training=False)
    assert logits.shape == (4, 5)
    assert logits.dtype == tf.float32
    assert np.all(np.isfinite(logits))
    assert len(np.unique(logits.numpy())) > 5
    assert not model.losses
    for layer in model.layers:
        assert not any(value for key, value in layer.get_config().items() if key.endswith("regularizer"))

    path = tmp_path / "student.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded(images, training=False), logits)
    np.testing.assert_array_equal(loaded(images, training=True), model(images, training=True))


@pytest.mark.parametrize("name", ALL)
def test_kernels_are_the_weights_of_convolutions_and_dense_layers_and_nothing_else(name):
    model = small_student(name)
    linear = keras.layers.Conv2D, keras.layers.Dense
    by_type = {id(layer.kernel) for layer in model.layers if isinstance(layer, linear)}
    by_name = {id(weight) for weight in model.weights if weight.name.split(":")[0].endswith("kernel")}
    assert by_type == by_name
    assert len(by_name) >= 2


@pytest.mark.parametrize("name", SMALL)
def test_weights_are_a_function_of_the_seed(name):
    side = 28 if name == "s2e_model3" else 16

    def weights(seed: int) -> list[np.ndarray]:
        return student_nets.get(name, 5, input_shape=(side, side, 3), seed=seed).get_weights()

    first = weights(1)
    tf.random.set_seed(99)
    for one, other in zip(first, weights(1), strict=True):
        np.testing.assert_array_equal(one, other)
    kernels = [weight for weight in first if weight.ndim > 1]
    others = [weight for weight in weights(2) if weight.ndim > 1]
    for position, (kernel, other) in enumerate(zip(kernels, others, strict=True)):
        assert np.abs(kernel - other).max() > 0
        # No two layers start with the same numbers, whatever their shapes and scales.
        for earlier in kernels[:position]:
            size = min(20, kernel.size, earlier.size)
            assert abs(np.corrcoef(kernel.ravel()[:size], earlier.ravel()[:size])[0, 1]) < 0.95


def test_dropout_masks_of_a_student_are_a_function_of_its_seed():
    def logits(seed: int) -> np.ndarray:
        model = student_nets.get("small_cnn", input_shape=(8, 8, 1), dropout_keep_probability=0.5, seed=seed)
        model.set_weights([np.full_like(weight, 0.1) for weight in model.get_weights()])
        return model(images_for(model), training=True).numpy()

    np.testing.assert_array_equal(logits(1), logits(1))
    assert np.abs(logits(1) - logits(2)).max() > 0


@pytest.mark.parametrize(
    ("name", "keep_probability"),
    [("cifarnet", 0.8), ("inception", 0.5), ("lenet", None), ("resnet8", None), ("small_cnn", None)],
)
def test_dropout_follows_the_paper_unless_told_otherwise(name, keep_probability):
    def rates(**options) -> list[float]:
        model = student_nets.get(name, input_shape=(16, 16, 3), **options)
        return [layer.rate for layer in model.layers if isinstance(layer, SeededDropout)]

    assert rates() == ([] if keep_probability is None else [pytest.approx(1 - keep_probability)])
    assert rates(dropout_keep_probability=0.3) == [pytest.approx(0.7)]
    assert rates(dropout_keep_probability=1.0) == []


@pytest.mark.parametrize("name", ["inception", "preact_resnet18", "resnet8", "s2e_model2", "small_cnn"])
def test_batch_norm_options_reach_every_batch_norm(name):
    model = student_nets.get(
        name, input_shape=(8, 8, 1), batch_norm_momentum=0.5, batch_norm_epsilon=0.25, batch_norm_scale=False,
        synchronized=True,
    )  # fmt: skip
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) >= 3
    for norm in norms:
        assert (norm.momentum, norm.epsilon, norm.scale, norm.center, norm.synchronized) == (
            0.5, 0.25, False, True, True,
        )  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_exactly_the_students_with_batch_norm_take_its_options(name):
    has_some = any(isinstance(layer, keras.layers.BatchNormalization) for layer in small_student(name).layers)
    norm_options = {"batch_norm_momentum", "batch_norm_epsilon", "batch_norm_scale", "synchronized"}
    assert norm_options & set(student_nets.options(name)) == (norm_options if has_some else set())


@pytest.mark.parametrize(("name", "norms"), [("s2e_mlp", 0), ("s2e_model1", 0), ("s2e_model2", 6)])
def test_several_replicas_get_students_without_batch_norm_too(name, norms):
    """What a run on several replicas asks for: batch norm over all of them, where there is any."""
    config = configuration.parse(["train_cifar.py", f"--studentnet={name}", "--train_log_dir=t"]).student
    loaded = types.SimpleNamespace(dataset=types.SimpleNamespace(num_classes=10, image_shape=(16, 16, 1)))
    model = build.student(config, loaded, seed=0, synchronized_batch_norm=True)
    found = [layer.synchronized for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert found == [True] * norms


@pytest.mark.parametrize("name", ["cifarnet", "resnet8", "small_cnn"])
def test_logits_are_float32_under_mixed_precision(name):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small_student(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model(images_for(model), training=True).dtype == tf.float32
    assert model.layers[1].output.dtype == tf.bfloat16
    assert all(weight.dtype == tf.float32 for weight in model.trainable_weights)


@pytest.mark.parametrize("name", ["cifarnet", "lenet", "resnet8", "s2e_mlp", "s2e_model2", "small_cnn"])
def test_a_training_call_compiles_and_agrees_with_the_plain_one(name):
    # Without dropout, whose masks XLA draws in another order.
    model = student_nets.get(name, 5, input_shape=(8, 8, 1), dropout_keep_probability=1.0)

    @tf.function(jit_compile=True)
    def train_logits(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=True)

    images = images_for(model, 16)
    plain = model(images, training=True).numpy()
    np.testing.assert_allclose(train_logits(images), plain, atol=1e-4 * np.abs(plain).max())


def test_a_gradient_with_dropout_compiles():
    """CifarNet has both layers that are not Keras' own: dropout and response normalisation."""
    model = student_nets.get("cifarnet", 5, input_shape=(8, 8, 1), dropout_keep_probability=0.5)

    @tf.function(jit_compile=True)
    def gradient(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.log_softmax(model(images, training=True))[:, 0])
        return tape.gradient(loss, model.get_layer("conv1").kernel)

    images = images_for(model, 8)
    first, second = gradient(images).numpy(), gradient(images).numpy()
    assert np.all(np.isfinite(first))
    assert np.abs(first - second).max() > 0
    assert int(model.get_layer("dropout3").calls) == 2
