"""ResNet-50 with weights in the format of keras.applications: the same features, and nothing but its own files."""

import pathlib
import shutil

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from student_nets import resnet_basic

SIDE = 48
SHAPE = (SIDE, SIDE, 3)
CAFFE_MEAN = np.array([123.68, 116.779, 103.939])


@pytest.fixture(scope="module")
def reference() -> keras.Model:
    """The network of keras.applications with seven classes, random weights in every place and moderate activations."""
    model = keras.applications.ResNet50(weights=None, input_shape=SHAPE, classes=7, classifier_activation=None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            low, high = (0.5, 1.5) if weight.name.split("/")[-1] in ("gamma:0", "moving_variance:0") else (-0.3, 0.3)
            scale = 1.0 if len(weight.shape) == 1 else np.sqrt(16 / np.prod(weight.shape[:-1]))
            values.append(rng.uniform(low, high, weight.shape) * scale)
        layer.set_weights(values)
    return model


@pytest.fixture(scope="module")
def file(reference: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("weights") / "resnet50.h5"
    reference.save_weights(path)
    return path


@pytest.fixture(scope="module")
def student() -> keras.Model:
    return student_nets.get("resnet50", 7, input_shape=SHAPE)


def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)


def part(model: keras.Model, layer: str) -> keras.Model:
    return keras.Model(model.input, model.get_layer(layer).output)


def assert_equal(ours: tf.Tensor, theirs: tf.Tensor) -> None:
    scale = np.abs(theirs).max()
    assert scale > 1e-3
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * scale)


def test_the_same_features_and_logits_as_keras_applications(reference, file, student):
    assert student.count_params() == reference.count_params()
    assert student_nets.load_imagenet_weights(student, file)
    norms = keras.layers.BatchNormalization
    for model in (student, reference):
        assert {layer.epsilon for layer in model.layers if isinstance(layer, norms)} == {1.001e-5}
    assert_equal(student(images()), reference(images()))
    for ours, theirs in (("stem_pool", "pool1_pool"), ("stage3_unit6_relu3", "conv4_block6_out"), ("pool", "avg_pool")):
        assert_equal(part(student, ours)(images()), part(reference, theirs)(images()))
    # In training mode too, which uses the statistics of the batch (and writes averages, so the copy is put back).
    before = reference.get_weights()
    theirs = part(reference, "avg_pool")(images(), training=True)
    reference.set_weights(before)
    assert_equal(part(student, "pool")(images(), training=True), theirs)


def test_the_dense_layer_stays_fresh_where_it_does_not_fit(reference, file, tmp_path):
    student = student_nets.get("resnet50", 5, input_shape=SHAPE)
    fresh = student.get_layer("logits").get_weights()
    assert not student_nets.load_imagenet_weights(student, file)
    for before, after in zip(fresh, student.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    features = part(reference, "avg_pool")(images())
    assert_equal(part(student, "pool")(images()), features)
    # The same from a file without the dense layer, which Keras calls "notop".
    headless = keras.Model(reference.input, reference.get_layer("avg_pool").output)
    headless.save_weights(tmp_path / "notop.h5")
    student.set_weights([np.zeros_like(weight) for weight in student.get_weights()])
    assert not student_nets.load_imagenet_weights(student, tmp_path / "notop.h5")
    assert_equal(part(student, "pool")(images()), features)


def test_other_spellings_of_the_format(reference, file, student, tmp_path):
    """The dense layer under the name it has in Keras' own file, and a whole saved model."""
    shutil.copy(file, tmp_path / "probs.h5")
    with h5py.File(tmp_path / "probs.h5", "a") as opened:
        opened.move("predictions/predictions", "predictions/probs")
        opened.move("predictions", "probs")
    reference.save(tmp_path / "whole.h5", include_optimizer=False)
    for name in ("probs.h5", "whole.h5"):
        student.set_weights([np.zeros_like(weight) for weight in student.get_weights()])
        assert student_nets.load_imagenet_weights(student, tmp_path / name)
        assert_equal(student(images()), reference(images()))


def test_the_stem_is_turned_to_the_pixels(reference, file, student):
    """Standardised RGB in, the features of BGR minus Caffe's means out."""
    pixels = np.random.default_rng(2).uniform(0, 1, (2, *SHAPE))
    theirs = (255 * pixels - CAFFE_MEAN)[..., ::-1]
    std = np.array([0.2, 0.3, 0.25])
    # With those means the padding is the same, and so is everything.
    mean = CAFFE_MEAN / 255
    assert student_nets.load_imagenet_weights(student, file, pixel_mean=mean, pixel_std=std)
    assert_equal(student(((pixels - mean) / std).astype(np.float32)), reference(theirs.astype(np.float32)))
    # With others the border differs, and it alone: 7x7 windows at every second pixel reach 3 beyond it.
    mean = np.array([0.7, 0.65, 0.6])
    student_nets.load_imagenet_weights(student, file, pixel_mean=mean, pixel_std=std)
    ours = part(student, "stem")(((pixels - mean) / std).astype(np.float32)).numpy()
    stem = part(reference, "conv1_conv")(theirs.astype(np.float32)).numpy()
    assert_equal(ours[:, 2:-1, 2:-1], stem[:, 2:-1, 2:-1])
    assert np.abs(ours - stem).max() > 0.01 * np.abs(stem).max()
    for wrong in ({"pixel_mean": (0.5, 0.5, 0.5)}, {"pixel_mean": (0.5,), "pixel_std": (1.0,)}):
        with pytest.raises(ValueError, match="give three numbers each, deviations above 0"):
            student_nets.load_imagenet_weights(student, file, **wrong)


def without(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    with h5py.File(shutil.copy(file, folder / "part.h5"), "a") as opened:
        del opened["conv4_block2_1_conv"]
    return folder / "part.h5"


def deeper(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    with h5py.File(shutil.copy(file, folder / "deep.h5"), "a") as opened:
        opened["conv4_block7_1_conv/conv4_block7_1_conv/kernel:0"] = np.zeros((1, 1, 1024, 256), np.float32)
    return folder / "deep.h5"


def misshapen(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    with h5py.File(shutil.copy(file, folder / "narrow.h5"), "a") as opened:
        name = "conv2_block1_1_bn/conv2_block1_1_bn/gamma:0"
        del opened[name]
        opened[name] = np.zeros(32, np.float32)
    return folder / "narrow.h5"


def text(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    (folder / "text.h5").write_text("no weights", encoding="utf-8")
    return folder / "text.h5"


def cut(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    (folder / "cut.h5").write_bytes(file.read_bytes()[:100_000])
    return folder / "cut.h5"


def newer_format(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    student_nets.get("s2e_mlp", input_shape=(8, 8, 1)).save_weights(folder / "new.weights.h5")
    return folder / "new.weights.h5"


def other_network(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    student_nets.get("small_cnn", input_shape=(8, 8, 1)).save_weights(folder / "small.h5")
    return folder / "small.h5"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without, r"part.h5 does not hold .*ResNet50: it lacks conv4_block2_1_conv/bias and 1 more; name a file"),
        (deeper, "deep.h5 does not hold .*: it has conv4_block7_1_conv/kernel besides"),
        (misshapen, r"conv2_block1_1_bn/gamma has shape \(32,\), but the student needs \(64,\)"),
        (text, "text.h5 is no readable HDF5 file of weights: "),
        (cut, "cut.h5 is no readable HDF5 file of weights: "),
        (
            newer_format,
            r"new.weights.h5 does not hold .*: it lacks .*; name a file that .* save_weights\('name.h5'\) wrote",
        ),
        (other_network, r"small.h5 does not hold .*: it lacks conv1_bn/beta and \d+ more"),
    ],
)
def test_a_wrong_file_is_refused_and_changes_nothing(spoil, sentence, file, student, tmp_path):
    before = student.get_weights()
    with pytest.raises(ValueError, match=sentence) as caught:
        student_nets.load_imagenet_weights(student, spoil(file, tmp_path))
    assert "\n" not in str(caught.value)
    for old, new in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_wrong_student_or_no_file_is_refused(file, student, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file of ImageNet weights"):
        student_nets.load_imagenet_weights(student, tmp_path / "none.h5")
    for name in ("resnet18", "small_cnn"):
        other = student_nets.get(name, input_shape=(32, 32, 3))
        with pytest.raises(ValueError, match=f"ImageNet weights for ResNet50 but none for '{name}'"):
            student_nets.load_imagenet_weights(other, file)
    grey = resnet_basic.build(
        7, input_shape=(32, 32, 1), dropout_keep_probability=1.0, seed=0, name="grey", batch_norm={},
        units=(3, 4, 6, 3), bottleneck=True, large_images=True,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"conv1_conv/kernel has shape \(7, 7, 3, 64\), .* images of three channels"):
        student_nets.load_imagenet_weights(grey, file)
    unscaled = student_nets.get("resnet50", 7, input_shape=SHAPE, batch_norm_scale=False)
    with pytest.raises(ValueError, match=r"has conv1_bn/gamma and 52 more, for which the student has no place; build"):
        student_nets.load_imagenet_weights(unscaled, file)
