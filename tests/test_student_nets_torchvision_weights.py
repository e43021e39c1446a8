"""ResNet-18 with torchvision's arrays: the logits of its graph spelt out from the names, and only its own files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import student_nets

SIDE = 64
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """A state_dict of torchvision.models.resnet18(num_classes=7), random everywhere."""
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}

    def conv(name: str, out: int, into: int, size: int) -> None:
        found[f"{name}.weight"] = rng.normal(0, (into * size * size) ** -0.5, (out, into, size, size))

    def norm(name: str, size: int) -> None:
        for part, low, high in (("weight", 0.5, 1.5), ("bias", -0.3, 0.3), ("running_mean", -0.3, 0.3),
                                ("running_var", 0.5, 1.5)):  # fmt: skip
            found[f"{name}.{part}"] = rng.uniform(low, high, size)
        found[f"{name}.num_batches_tracked"] = np.array(3, np.int64)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for unit in (0, 1):
            name, into = f"layer{stage}.{unit}", width if unit or stage == 1 else width // 2
            conv(f"{name}.conv1", width, into, 3)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if into != width:
                conv(f"{name}.downsample.0", width, into, 1)
                norm(f"{name}.downsample.1", width)
    found["fc.weight"], found["fc.bias"] = rng.normal(0, 0.05, (7, 512)), rng.normal(size=7)
    return {name: value if value.dtype == np.int64 else value.astype(np.float32) for name, value in found.items()}


def torchvision(arrays: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """He et al. 2016, table 1, with PyTorch's borders, in float64, from the names alone."""

    def conv(x, name, stride=1, border=1):
        kernel = arrays[f"{name}.weight"].astype(np.float64).transpose(2, 3, 1, 0)
        x = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
        return tf.nn.conv2d(x, kernel, stride, "VALID").numpy()

    def norm(x, name):
        mean, var, weight, bias = (
            arrays[f"{name}.{part}"].astype(np.float64) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * weight + bias

    x = np.maximum(norm(conv(images, "conv1", 2, 3), "bn1"), 0)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    half = x.shape[1] // 2
    windows = [padded[:, r : r + 2 * half : 2, c : c + 2 * half : 2] for r in range(3) for c in range(3)]
    x = np.max(windows, axis=0)
    for stage in range(1, 5):
        for unit in (0, 1):
            name, stride = f"layer{stage}.{unit}", 2 if stage > 1 and unit == 0 else 1
            inner = np.maximum(norm(conv(x, f"{name}.conv1", stride), f"{name}.bn1"), 0)
            inner = norm(conv(inner, f"{name}.conv2"), f"{name}.bn2")
            if stride == 2:
                x = norm(conv(x, f"{name}.downsample.0", 2, 0), f"{name}.downsample.1")
            x = np.maximum(x + inner, 0)
    return x.mean((1, 2)) @ arrays["fc.weight"].astype(np.float64).T + arrays["fc.bias"]


def safetensors(arrays: dict[str, np.ndarray], path: Path, **changes) -> Path:
    """The format as its specification has it."""
    head, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in arrays.items():
        kind = {"float32": "F32", "int64": "I64"}[str(value.dtype)]
        end = len(data) + value.nbytes
        head[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [len(data), end]}
        data += value.tobytes()
    head.update(changes)
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture(scope="module")
def student():
    return student_nets.get("resnet18", 7, input_shape=(SIDE, SIDE, 3))


def test_the_same_logits_from_both_formats_and_for_other_pixels(arrays, student, tmp_path):
    pixels = np.random.default_rng(1).uniform(0, 1, (2, SIDE, SIDE, 3))
    expected = torchvision(arrays, (pixels - MEAN) / STD)
    np.savez(tmp_path / "a.npz", **arrays)
    for path in (tmp_path / "a.npz", safetensors(arrays, tmp_path / "a.safetensors")):
        student.set_weights([np.zeros_like(weight) for weight in student.get_weights()])
        assert student_nets.load_imagenet_weights(student, path)
        found = student(((pixels - MEAN) / STD).astype(np.float32)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    # Other pixels: the same but for the border, where the padding is another colour; of the same mean it is nothing.
    scaled = np.array([0.3, 0.2, 0.25])
    student_nets.load_imagenet_weights(student, path, pixel_mean=MEAN, pixel_std=scaled)
    found = student(((pixels - MEAN) / scaled).astype(np.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    student_nets.load_imagenet_weights(student, path, pixel_mean=(0.7, 0.65, 0.6), pixel_std=scaled)
    stem = tf.function(
        lambda x: student.get_layer("stem_norm")(student.get_layer("stem")(student.get_layer("stem_pad")(x)))
    )
    ours = stem(((pixels - (0.7, 0.65, 0.6)) / scaled).astype(np.float32)).numpy()
    student_nets.load_imagenet_weights(student, path)
    theirs = stem(((pixels - MEAN) / STD).astype(np.float32)).numpy()
    np.testing.assert_allclose(ours[:, 2:-2, 2:-2], theirs[:, 2:-2, 2:-2], atol=1e-4)


def test_the_dense_layer_stays_fresh_where_it_does_not_fit(arrays, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    other = student_nets.get("resnet18", 5, input_shape=(SIDE, SIDE, 3))
    fresh = other.get_layer("logits").get_weights()
    assert not student_nets.load_imagenet_weights(other, tmp_path / "a.npz")
    for before, after in zip(fresh, other.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(
        other.get_layer("stem").get_weights()[0][1, 2, 0, 5], arrays["conv1.weight"][5, 0, 1, 2]
    )


def test_other_files_are_refused_and_change_nothing(arrays, student, tmp_path):
    def stored(name: str, **changed) -> Path:
        left = {key: value for key, value in {**arrays, **changed}.items() if value is not None}
        np.savez(tmp_path / name, **left)
        return tmp_path / name

    infinite = arrays["bn1.bias"].copy()
    infinite[0] = np.inf
    (tmp_path / "text.npz").write_text("no weights")
    (tmp_path / "huge.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    outside = {"dtype": "F32", "shape": [64], "data_offsets": [0, 10**12]}
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, **{"conv1.weight": np.array([{}], object)})
    cases = [
        (stored("lacks.npz", **{"layer2.0.bn1.bias": None}), "it lacks layer2.0.bn1.bias; the arrays need the names"),
        (stored("more.npz", **{"layer1.2.bn1.bias": infinite}), "it has layer1.2.bn1.bias besides"),
        (stored("shape.npz", **{"bn1.bias": infinite[:5]}), r"bn1.bias has shape \(5,\), which does not fit .*\(64,\)"),
        (stored("inf.npz", **{"bn1.bias": infinite}), "bn1.bias has values that are not finite"),
        (tmp_path / "text.npz", "text.npz is no readable file of weights"),
        (pickled, "pickled.npz is no readable file of weights: Object arrays cannot be loaded"),
        (tmp_path / "huge.safetensors", "does not begin as a safetensors file"),
        (safetensors(arrays, tmp_path / "outside.safetensors", **{"bn1.bias": outside}), "bn1.bias lies outside of it"),
    ]
    before = student.get_weights()
    for path, sentence in cases:
        with pytest.raises(ValueError, match=sentence) as caught:
            student_nets.load_imagenet_weights(student, path)
        assert "\n" not in str(caught.value)
    for old, new in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(FileNotFoundError, match="There is no file of ImageNet weights"):
        student_nets.load_imagenet_weights(student, tmp_path / "none.npz")
    with pytest.raises(
        ValueError, match=r"is for ResNet-18, not for 'resnet50': choose resnet18, or for resnet50 the .h5"
    ):
        student_nets.load_imagenet_weights(
            student_nets.get("resnet50", 7, input_shape=(SIDE, SIDE, 3)), tmp_path / "lacks.npz"
        )
