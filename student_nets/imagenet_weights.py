"""ImageNet weights for `resnet50`, from a file in the HDF5 format of `keras.applications`. Nothing is downloaded.

Such a file is `resnet50_weights_tf_dim_ordering_tf_kernels.h5` (with or without `_notop`), which Keras offers, or what
`keras.applications.ResNet50(...).save_weights("name.h5")` writes. Its layers are found by their names; that
all are there and of the student's shapes is checked before any weight is changed.
"""

import os
from collections.abc import Iterator, Sequence

import h5py
import numpy as np
import tensorflow as tf
import tf_keras as keras

# How keras.applications has called the dense layer over the years.
_CLASSIFIERS = ("predictions", "probs", "fc1000")
_CLASSIFIER = _CLASSIFIERS[0]

# What keras.applications subtracts from the pixels in [0, 255] of ResNet50's images, by red, green, blue.
CAFFE_MEAN = (123.68, 116.779, 103.939)


def load(
    student: keras.Model,
    path: str | os.PathLike[str],
    *,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
) -> bool:
    """Sets the weights of a `resnet50` to those of a file; see `student_nets.load_imagenet_weights`."""
    places = dict(_places(student))
    values = _read(path)
    classifier = [key for key in places if key[0] == _CLASSIFIER]
    missing = sorted(set(places) - set(values) - set(classifier))
    unknown = sorted(set(values) - set(places))
    if unknown and {layer for layer, _ in unknown} <= {layer for layer, _ in places}:
        raise ValueError(
            f"{os.fspath(path)} has {_spelt(unknown)}, for which the student has no place; build resnet50 with "
            "the scale of its batch norm."
        )
    if missing or unknown:
        what = f"lacks {_spelt(missing)}" if missing else f"has {_spelt(unknown)} besides"
        raise ValueError(
            f"{os.fspath(path)} does not hold the weights of keras.applications' ResNet50: it {what}; name a file that "
            "keras.applications offers for that network or its save_weights('name.h5') wrote."
        )
    fits = all(key in values and values[key].shape == tuple(places[key].shape) for key in classifier)
    chosen = {key: value for key, value in values.items() if key not in classifier or fits}
    for key, value in chosen.items():
        if value.shape != tuple(places[key].shape):
            raise ValueError(
                f"{os.fspath(path)}: {'/'.join(key)} has shape {value.shape}, but the student needs "
                f"{tuple(places[key].shape)}; the weights are for images of three channels and the published widths."
            )
    if pixel_mean is not None or pixel_std is not None:
        _suit_pixels(chosen, pixel_mean, pixel_std)
    for key, value in chosen.items():
        places[key].assign(value)
    return fits


def _places(student: keras.Model) -> Iterator[tuple[tuple[str, str], tf.Variable]]:
    """(layer, variable) as keras.applications names them, and the student's variable that corresponds."""
    layers = {layer.name: layer for layer in student.layers}
    names = dict(_layer_names())
    if not set(names.values()) <= set(layers):
        raise ValueError(
            f"keras.applications has ImageNet weights for ResNet50 but none for {student.name!r}; choose resnet50, "
            "give torchvision's arrays of resnet18 (.npz or .safetensors), or train from scratch."
        )
    for theirs, ours in names.items():
        for variable in layers[ours].weights:
            yield (theirs, _variable_name(variable.name)), variable


def _layer_names() -> Iterator[tuple[str, str]]:
    """Names of the layers with weights, in keras.applications and in the student."""
    yield from (("conv1_conv", "stem"), ("conv1_bn", "stem_norm"), (_CLASSIFIER, "logits"))
    for stage, units in enumerate((3, 4, 6, 3), start=1):
        for unit in range(1, units + 1):
            theirs, ours = f"conv{stage + 1}_block{unit}", f"stage{stage}_unit{unit}"
            if unit == 1:
                yield from ((f"{theirs}_0_conv", f"{ours}_shortcut"), (f"{theirs}_0_bn", f"{ours}_shortcut_norm"))
            for number in (1, 2, 3):
                yield f"{theirs}_{number}_conv", f"{ours}_conv{number}"
                yield f"{theirs}_{number}_bn", f"{ours}_norm{number}"


def _read(path: str | os.PathLike[str]) -> dict[tuple[str, str], np.ndarray]:
    """All arrays of a weight file or of a whole saved model, by layer and variable."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file of ImageNet weights {os.fspath(path)!r}.")
    values: dict[tuple[str, str], np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            for layer, group in root.items():
                if layer == "top_level_model_weights" or not isinstance(group, h5py.Group):
                    continue
                name = _CLASSIFIER if layer in _CLASSIFIERS else layer
                for entry in _arrays(group):
                    values[name, _variable_name(entry.name)] = np.asarray(entry[()], np.float32)
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{os.fspath(path)} is no readable HDF5 file of weights: {reason}") from None
    return values


def _arrays(group: h5py.Group) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    group.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found


def _variable_name(path: str) -> str:
    """What follows the last slash, without Keras' number: kernel for conv1_conv/kernel:0."""
    return path.rsplit("/", 1)[-1].split(":")[0]


def _spelt(keys: Sequence[tuple[str, str]]) -> str:
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return "/".join(keys[0]) + more


def _suit_pixels(
    values: dict[tuple[str, str], np.ndarray], mean: Sequence[float] | None, std: Sequence[float] | None
) -> None:
    """Turns the stem for images y = 255 (std x + mean) - CAFFE_MEAN, blue first, into one for the standardised x."""
    problem = f"The pixel mean is {mean} and the pixel deviation {std}; give three numbers each, deviations above 0."
    if mean is None or std is None or len(mean) != 3 or len(std) != 3 or not min(std) > 0:
        raise ValueError(problem)
    kernel = values["conv1_conv", "kernel"][:, :, ::-1, :].astype(np.float64)
    shift = 255 * np.asarray(mean, np.float64) - CAFFE_MEAN
    values["conv1_conv", "bias"] = values["conv1_conv", "bias"] + np.einsum("hwco,c->o", kernel, shift)
    values["conv1_conv", "kernel"] = kernel * (255 * np.asarray(std, np.float64))[:, None]
