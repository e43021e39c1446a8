"""Student networks: `get(name)` returns a Keras model from images to logits, `names()` lists what there is.

Most classify images; `names("segmentation")` are those that classify pixels, and `kind(name)` tells which a student is.

A student knows nothing of noise, curricula or weight decay. Importing this package does not import
TensorFlow; getting a student does. Families, with the paper each comes from, are one file each. A name with the
suffix `_l2rw` is the network of that name as the released code of L2RW builds it.
"""

import dataclasses
import importlib
import inspect
import operator
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tf_keras as keras

__all__ = ["KINDS", "get", "kind", "load", "load_imagenet_weights", "names", "options"]

KINDS = ("classification", "segmentation")


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One student: the module whose `build` makes it, what is fixed for it, its paper's keep probability."""

    module: str
    minimum_side: int
    dropout_keep_probability: float = 1.0
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kind: str = "classification"


# Fixes the options of batch norm for a member of a family whose others have some.
_NO_BATCH_NORM: Mapping[str, Any] = {"batch_norm": {}}


def _basic_resnet(units: tuple[int, ...], *, bottleneck: bool = False, large_images: bool = True) -> _Entry:
    fixed = {"units": units, "bottleneck": bottleneck, "large_images": large_images, "widths": (64, 128, 256, 512)}
    return _Entry("resnet_basic", 32 if large_images else 8, preset=fixed)


def _unet(widths: tuple[int, ...], *, nested: bool) -> _Entry:
    fixed = {"widths": widths, "nested": nested, **({} if nested else {"deep_supervision": False})}
    return _Entry("unet", 2 ** (len(widths) - 1), preset=fixed, kind="segmentation")


_UNET_WIDTHS = (64, 128, 256, 512, 1024)

# Keep probabilities: MentorNet appendix E.3 (resnet101, inception), its release (cifarnet), L2RW (wrn28_10 and
# wrn28_10_l2rw), TF-Slim (inception_resnet_v2), Co-teaching (s2e_model3).
_STUDENTS = {
    "cifarnet": _Entry("cifarnet", 4, 0.8),
    "inception": _Entry("inception", 4, 0.5),
    "inception_resnet_v2": _Entry(
        "inception_resnet_v2", 75, 0.8, preset={"blocks": (10, 20, 10), "width": 1.0, "decay": 0.9997}
    ),
    "inception_resnet_v2_tiny": _Entry(
        "inception_resnet_v2", 75, 0.8, preset={"blocks": (1, 1, 1), "width": 0.125, "decay": 0.9}
    ),
    "lenet": _Entry("lenet", 4),
    "preact_resnet18": _Entry("preact_resnet18", 8),
    "preact_resnet18_dividemix": _Entry("preact_resnet18", 8, preset={"variant": "dividemix"}),
    "resnet101": _Entry("resnet101", 4, preset={"widths": (160, 320, 640), "units": 9}),
    "resnet18": _basic_resnet((2, 2, 2, 2)),
    "resnet18_cifar": _basic_resnet((2, 2, 2, 2), large_images=False),
    "resnet20": _Entry("resnet_cifar", 4, preset={"units": 3}),
    "resnet32": _Entry("resnet_cifar", 4, preset={"units": 5}),
    "resnet32_l2rw": _Entry("resnet_cifar", 4, preset={"units": 5, "variant": "l2rw"}),
    "resnet50": _basic_resnet((3, 4, 6, 3), bottleneck=True),
    "resnet8": _Entry("resnet_cifar", 4, preset={"units": 1}),
    "s2e_mlp": _Entry("s2e", 1, preset={"network": "mlp", **_NO_BATCH_NORM}),
    "s2e_model1": _Entry("s2e", 16, preset={"network": "model1", **_NO_BATCH_NORM}),
    "s2e_model2": _Entry("s2e", 8, preset={"network": "model2"}),
    "s2e_model3": _Entry("coteaching_cnn", 28, 0.75),
    "small_cnn": _Entry("small_cnn", 4),
    "unet": _unet(_UNET_WIDTHS, nested=False),
    "unet_plus_plus": _unet(_UNET_WIDTHS, nested=True),
    "unet_small": _unet((16, 32, 64), nested=False),
    "wrn28_10": _Entry("wrn", 4, 0.7, preset={"units": 4, "width": 10}),
    "wrn28_10_l2rw": _Entry("wrn", 4, 0.7, preset={"units": 4, "width": 10, "variant": "l2rw"}),
}

# Users' names of the batch norm options, and what building.BatchNormOptions calls them.
_BATCH_NORM_OPTIONS = {
    "batch_norm_momentum": "momentum",
    "batch_norm_epsilon": "epsilon",
    "batch_norm_scale": "scale",
    "synchronized": "synchronized",
}


def names(kind: str = "classification") -> tuple[str, ...]:
    """Returns the names of the students of a kind, sorted; `get` knows those of every kind.

    Raises:
        ValueError: unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"There are no students of kind {kind!r}; choose one of {', '.join(KINDS)}.")
    return tuple(sorted(name for name, entry in _STUDENTS.items() if entry.kind == kind))


def kind(name: str) -> str:
    """Returns what a student predicts: "classification" (a class an image) or "segmentation" (a class a pixel).

    Raises:
        ValueError: unknown name.
    """
    return _entry(name).kind


def options(name: str) -> tuple[str, ...]:
    """Returns what `get` takes for a student beyond the arguments all of them share, sorted by kind.

    Raises:
        ValueError: unknown name.
    """
    entry = _entry(name)
    return _options(importlib.import_module(f"{__name__}.{entry.module}").build, entry.preset)


def get(
    name: str,
    num_classes: int = 10,
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    dropout_keep_probability: float | None = None,
    seed: int = 0,
    **options: Any,
) -> "keras.Model":
    """Returns a new student, a functional model: images [b, h, w, c] -> logits [b, num_classes].

    The logits of a segmentation student are [b, h, w, num_classes].

    Images and logits are float32, under mixed precision too. Equal arguments give equal weights and equal
    dropout masks. The model holds no regulariser and is not compiled.

    Args:
        name: one of `names()`.
        num_classes: number of classes, at least 2; of a segmentation student also 1, foreground against background
            by a sigmoid.
        input_shape: (height, width, channels) of an image.
        dropout_keep_probability: in (0, 1]; 1 means no dropout, None the value the student was published
            with.
        seed: of the initial weights and of the dropout masks.
        **options: what the family offers beyond that. Families with batch normalisation take
            batch_norm_momentum, batch_norm_epsilon, batch_norm_scale and synchronized (statistics over all
            replicas); for the rest (such as variant) see the `build` function of the family's file.

    Raises:
        ValueError: unknown name or option, or an argument out of range.
    """
    entry = _entry(name)
    if num_classes < (least := 1 if entry.kind == "segmentation" else 2):
        noun = "class" if least == 1 else "classes"
        raise ValueError(f"{name} needs at least {least} {noun}, but num_classes is {num_classes}.")
    keep_probability = dropout_keep_probability
    if keep_probability is None:
        keep_probability = entry.dropout_keep_probability
    if not 0.0 < keep_probability <= 1.0:
        raise ValueError(f"The dropout keep probability is {keep_probability}; it must be in (0, 1].")
    build = importlib.import_module(f"{__name__}.{entry.module}").build
    return build(
        num_classes,
        input_shape=_checked_shape(name, input_shape, entry.minimum_side),
        dropout_keep_probability=keep_probability,
        seed=seed,
        name=name,
        **entry.preset,
        **_checked_options(name, options, build, entry.preset),
    )


def load(path: str | os.PathLike[str]) -> "keras.Model":
    """Returns the student that `model.save(path)` wrote, with its weights and the state of its dropout.

    `keras.models.load_model` does the same once `student_nets.layers` has been imported, which tells Keras
    of the layers it does not know.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no saved student, or a damaged one.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no saved student {os.fspath(path)!r}.")
    import tf_keras as keras

    importlib.import_module(f"{__name__}.layers")
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{os.fspath(path)} is no saved student, or a damaged one: {reason}") from None


def load_imagenet_weights(
    student: "keras.Model",
    path: str | os.PathLike[str],
    *,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
) -> bool:
    """Sets the weights of a `resnet50` or a `resnet18` to those of a file.

    Of `resnet50` it has the HDF5 format of `keras.applications.ResNet50`, of `resnet18` it is an .npz or .safetensors
    file with torchvision's arrays under torchvision's names (`student_nets.torchvision_weights`). Nothing is
    downloaded. The dense layer keeps its initial weights unless the file has one of the same shape. No other student
    here has such weights.

    Those of `resnet50` are for pixels in [0, 255], blue first, from which (103.939, 116.779, 123.68) has been
    subtracted, those of `resnet18` for pixels in [0, 1] standardised by ImageNet's mean (0.485, 0.456, 0.406) and
    deviation (0.229, 0.224, 0.225), red first. For images standardised otherwise give mean and deviation of red, green
    and blue of pixels in [0, 1]: the first layers then take (pixel - mean) / std, red first. That is exact except at
    the border, where the padding is the mean and not the grey it was.

    Returns:
        Whether the dense layer's weights came from the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another student, a file of another network, or arrays of another shape; the student is unchanged.
    """
    torchvision = os.fspath(path).endswith((".npz", ".safetensors"))
    module = importlib.import_module(f"{__name__}.{'torchvision_weights' if torchvision else 'imagenet_weights'}")
    return bool(module.load(student, path, pixel_mean=pixel_mean, pixel_std=pixel_std))


def _entry(name: str) -> _Entry:
    if name not in _STUDENTS:
        raise ValueError(f"There is no student network {name!r}; choose one of {', '.join(sorted(_STUDENTS))}.")
    return _STUDENTS[name]


def _checked_shape(name: str, input_shape: Sequence[int], minimum_side: int) -> tuple[int, int, int]:
    problem = f"The input shape is {input_shape}; it must be (height, width, channels), all above 0."
    try:
        height, width, channels = map(operator.index, input_shape)
    except (TypeError, ValueError):
        raise ValueError(problem) from None
    if min(height, width, channels) < 1:
        raise ValueError(problem)
    if min(height, width) < minimum_side:
        raise ValueError(
            f"{name} needs images of at least {minimum_side}x{minimum_side} pixels, but these have "
            f"{height}x{width}; resize them or choose another student."
        )
    return height, width, channels


def _options(build: Callable[..., "keras.Model"], preset: Mapping[str, Any]) -> tuple[str, ...]:
    """The family's own options, then those of batch norm if it has any."""
    common = {"num_classes", "input_shape", "dropout_keep_probability", "seed", "name", "batch_norm"}
    parameters = inspect.signature(build).parameters
    own = sorted(set(parameters) - common - set(preset))
    return (*own, *(_BATCH_NORM_OPTIONS if "batch_norm" in set(parameters) - set(preset) else ()))


def _checked_options(
    name: str,
    given: Mapping[str, Any],
    build: Callable[..., "keras.Model"],
    preset: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the given options as arguments of `build`; those of batch norm become the mapping `batch_norm`."""
    allowed = _options(build, preset)
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ValueError(f"{name} has no option {', '.join(unknown)}; its options are: {', '.join(allowed) or 'none'}.")
    arguments = {option: value for option, value in given.items() if option not in _BATCH_NORM_OPTIONS}
    if any(option in _BATCH_NORM_OPTIONS for option in allowed):
        arguments["batch_norm"] = {_BATCH_NORM_OPTIONS[o]: v for o, v in given.items() if o in _BATCH_NORM_OPTIONS}
    return arguments
