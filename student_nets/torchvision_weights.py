"""ImageNet weights for `resnet18`, from a file of arrays under torchvision's names. Nothing is downloaded.

keras.applications has no ResNet-18. torchvision's (He et al. 2016, table 1) is the student's network; its weights are a
pickle, which is not read here, because pickles may run code. Two safe forms of the same arrays are:

  .npz          what whoever has PyTorch writes with numpy.savez("resnet18.npz", **{name: array.numpy() for
                name, array in torchvision.models.resnet18(weights="IMAGENET1K_V1").state_dict().items()})
  .safetensors  the format of that name (a JSON head and plain numbers), in which libraries of models offer them

Names and shapes of all arrays are checked before any weight is changed.
"""

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

SUFFIXES = (".npz", ".safetensors")
_LARGEST_HEAD = 2**24  # bytes; that of a ResNet-18 has some 12,000
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
_VARIABLES = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
              "moving_variance": "running_var"}  # fmt: skip
_COUNTER = "num_batches_tracked"  # of every batch norm; nothing here needs it

# Mean and deviation of the pixels in [0, 1] that the weights are for, by red, green, blue.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load(
    student: keras.Model,
    path: str | os.PathLike[str],
    *,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
) -> bool:
    """Sets the weights of a `resnet18` to those of a file; see `student_nets.load_imagenet_weights`."""
    places = dict(_places(student, path))
    values = {name: value for name, value in _read(path).items() if not name.endswith(_COUNTER)}
    head = ("fc.weight", "fc.bias")
    missing = sorted(set(places) - set(values) - set(head))
    unknown = sorted(set(values) - set(places) - set(head))
    if missing or unknown:
        what = f"lacks {_spelt(missing)}" if missing else f"has {_spelt(unknown)} besides"
        raise ValueError(
            f"{os.fspath(path)} does not hold the weights of torchvision's ResNet-18: it {what}; the arrays need the "
            "names of its state_dict, such as layer1.0.conv1.weight."
        )
    fits = all(name in values and values[name].T.shape == tuple(places[name].shape) for name in head)
    chosen = {}
    for name in places:
        if name in head and not fits:
            continue
        value = _turned(values[name])
        if value.shape != tuple(places[name].shape):
            raise ValueError(
                f"{os.fspath(path)}: {name} has shape {values[name].shape}, which does not fit the student's "
                f"{tuple(places[name].shape)}; the weights are for images of three channels and the published widths."
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{os.fspath(path)}: {name} has values that are not finite.")
        chosen[name] = value
    if pixel_mean is not None or pixel_std is not None:
        _suit_pixels(chosen, pixel_mean, pixel_std)
    for name, value in chosen.items():
        places[name].assign(value)
    return fits


def _places(student: keras.Model, path: str | os.PathLike[str]) -> Iterator[tuple[str, tf.Variable]]:
    """torchvision's name and the student's variable that corresponds."""
    layers = {layer.name: layer for layer in student.layers}
    names = dict(_layer_names())
    weighted = {name for name, layer in layers.items() if layer.weights}
    if set(names.values()) != weighted:
        raise ValueError(
            f"{os.fspath(path)} is for ResNet-18, not for {student.name!r}: choose resnet18, or for resnet50 the .h5 "
            "of keras.applications."
        )
    for theirs, ours in names.items():
        for variable in layers[ours].weights:
            kind = variable.name.rsplit("/", 1)[-1].split(":")[0]
            yield f"{theirs}.{_VARIABLES[kind]}", variable


def _layer_names() -> Iterator[tuple[str, str]]:
    """Names of the layers with weights, in torchvision and in the student."""
    yield from (("conv1", "stem"), ("bn1", "stem_norm"), ("fc", "logits"))
    for stage in range(1, 5):
        for unit in range(2):
            theirs, ours = f"layer{stage}.{unit}", f"stage{stage}_unit{unit + 1}"
            if stage > 1 and unit == 0:
                yield f"{theirs}.downsample.0", f"{ours}_shortcut"
                yield f"{theirs}.downsample.1", f"{ours}_shortcut_norm"
            for number in (1, 2):
                yield f"{theirs}.conv{number}", f"{ours}_conv{number}"
                yield f"{theirs}.bn{number}", f"{ours}_norm{number}"


def _turned(value: np.ndarray) -> np.ndarray:
    """From [out, in, height, width] to [height, width, in, out], and a matrix to its transpose."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def _read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of a file by name, float32."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file of ImageNet weights {os.fspath(path)!r}.")
    try:
        read = _of_npz if os.fspath(path).endswith(".npz") else _of_safetensors
        return {name: np.asarray(value, np.float32) for name, value in read(path).items()}
    # A damaged archive makes NumPy and zipfile raise a dozen types.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{os.fspath(path)} is no readable file of weights: {reason[:200]}") from None


def _of_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > 8 * os.path.getsize(path) + _LARGEST_HEAD:
            raise ValueError("its arrays claim more than it can hold")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _of_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Eight bytes n, a JSON object of n bytes (name -> dtype, shape, begin and end), and the numbers."""
    with open(path, "rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if not 2 <= size <= min(_LARGEST_HEAD, os.path.getsize(path)):
            raise ValueError("it does not begin as a safetensors file")
        head: dict[str, Any] = json.loads(stream.read(size))
        data = stream.read()
    found = {}
    for name, entry in head.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        kind, shape = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"])
        if not 0 <= begin <= end <= len(data):
            raise ValueError(f"{name} lies outside of it")
        found[name] = np.frombuffer(data[begin:end], kind).reshape(shape)
    return found


def _spelt(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _suit_pixels(values: dict[str, np.ndarray], mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
    """Turns the stem for images (p - MEAN) / DEVIATION of pixels p = std x + mean into one for x.

    The stem has no bias; what would be one moves into the average that the batch norm behind it subtracts.
    """
    if mean is None or std is None or len(mean) != 3 or len(std) != 3 or not min(std) > 0:
        raise ValueError(
            f"The pixel mean is {mean} and the pixel deviation {std}; give three numbers each, deviations above 0."
        )
    kernel = values["conv1.weight"].astype(np.float64)  # [h, w, c, out]
    factor = np.asarray(std, np.float64) / DEVIATION
    shift = (np.asarray(mean, np.float64) - MEAN) / DEVIATION
    values["bn1.running_mean"] = values["bn1.running_mean"] - np.einsum("hwco,c->o", kernel, shift)
    values["conv1.weight"] = kernel * factor[:, None]
