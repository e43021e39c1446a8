"""Flags of train_imagenet.py: those of train_cifar.py with other defaults, and what large data sets need beyond them.

Defaults are those of the paper (ICML 2018, section 5.2 and appendix E): Inception-ResNet-v2 at 299x299, batch 32 a
worker, learning rate 0.05 lowered to a tenth every 10 epochs, weight decay 4e-5, slim's augmentation.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from absl import flags
from absl.testing import flagsaver

from data.imagenet import preprocessing, published, sources, unreadable, webvision
from flags import configuration
from flags.define.data_flags import DataConfig
from flags.settings import Config
from mentornet import methods

SLIM = "slim"

_COLOUR = flags.DEFINE_enum(
    "colour_distortion",
    "fast",
    list(preprocessing.COLOURS),
    "Colours of training images: slim's fast mode (brightness, saturation), its full one (hue and contrast too), none.",
)
_PREPROCESSING = flags.DEFINE_enum(
    "preprocessing",
    "auto",
    ["auto", SLIM, *published.WAYS],
    "What is done with images. slim: Inception's (the default but for the two that follow). clothing1m, isic2019: what "
    "DivideMix and L2B do with these data sets (their default). webvision: DivideMix's on WebVision-mini.",
)
_WEIGHTS = flags.DEFINE_string(
    "imagenet_weights",
    None,
    "Start from ImageNet weights in this file, which is never downloaded: of resnet50 the .h5 of keras.applications, "
    "of resnet18 the .npz or .safetensors of torchvision's arrays by their names; the last layer starts anew.",
)
_BACKGROUND = flags.DEFINE_boolean(
    "background_class",
    None,
    "Put slim's unused background class in front (1,001 classes). Default: for imagenet only.",
)
_PARTS = flags.DEFINE_list(
    "webvision_parts", None, "Where WebVision's training images come from: google,flickr (mini: google)."
)
_ILSVRC = flags.DEFINE_string(
    "ilsvrc_dir", None, "ImageNet: WebVision runs are evaluated on its validation images too (eval_ilsvrc_* columns)."
)
_TRAIN_LIST = flags.DEFINE_string("train_list", None, "csv of the data set list; default: train.csv in data_dir.")
_TEST_LIST = flags.DEFINE_string(
    "test_list",
    None,
    "csv of the data set list; default: test.csv in data_dir. Of isic2019 a list of the images for the test; default: "
    "4,291 are drawn, always the same.",
)
_MAX_UNREADABLE = flags.DEFINE_integer(
    "max_unreadable",
    unreadable.DEFAULT_LIMIT,
    "Images that cannot be read are replaced and named in unreadable.txt; more than this many end the run.",
    lower_bound=0,
)
_OUTSIDE = flags.DEFINE_boolean(
    "files_outside_data_dir",
    False,
    "Read images that lie, or that links lead, outside of --data_dir, too; otherwise they are refused.",
)
_INDEX_DIR = flags.DEFINE_string(
    "index_dir", None, "Where the index of TFRecord files is kept; default: ~/.cache/mentornet."
)

DEFAULTS: dict[str, Any] = {
    "dataset_name": "imagenet",
    "image_size": 299,
    "batch_size": 32,
    "studentnet": "inception_resnet_v2",
    "dropout_keep_probability": 0.8,
    "weight_decay": 4e-5,
    "learning_rate": 0.05,
    "num_epochs_per_decay": 10.0,
    "max_number_of_steps": 1_000_000,
}

_HELP = {
    "dataset_name": "imagenet (ILSVRC2012 as slim's TFRecords, as tensorflow-datasets or as folders), webvision, "
    "webvision_mini (its first 50 classes), clothing1m, isic2019 (all three as published), list (csv of paths and "
    "labels), folder (one folder a class; checked images in clean/<class>/).",
    "data_dir": "The folder the data set is in.",
    "image_size": "Side in pixels of the squares cut from images (of clothing1m and isic2019 224 by default).",
    "augmentation": "auto: that of --preprocessing (slim's: random crop, mirror, colours); none: as in evaluation.",
}

# Flags that a run on images read from the disk has no use for: (name, value when unset).
_UNUSED: tuple[tuple[str, Any], ...] = (
    ("human_labels_file", None),
    ("holdout_examples", 0),
    ("held_out_tenth", None),
)

MODULES: tuple[ModuleType, ...] = (*configuration.MODULES, sys.modules[__name__])


@dataclass(frozen=True)
class ImagenetDataConfig(DataConfig):
    """Plain values of the data flags; ``augmentation`` is "slim", for any ``preprocessing``, or "none"."""

    colour_distortion: str = "fast"
    background_class: bool = False
    webvision_parts: tuple[str, ...] = ()
    ilsvrc_dir: str | None = None
    train_list: str | None = None
    test_list: str | None = None
    max_unreadable: int = unreadable.DEFAULT_LIMIT
    index_dir: str | None = None
    files_outside_data_dir: bool = False
    preprocessing: str = SLIM
    imagenet_weights: str | None = None


@dataclass(frozen=True)
class ImagenetConfig(Config):
    """One run of train_imagenet.py as plain values."""

    data: ImagenetDataConfig

    def metric_columns(self) -> tuple[str, ...]:
        """Hit@5 too, and both figures of a second evaluation."""
        more: tuple[str, ...] = ("eval_top5",)
        if self.data.ilsvrc_dir:
            more += tuple(f"eval_{webvision.ILSVRC}_{name}" for name in ("loss", "accuracy", "top5"))
        if self.data.validation != "none":
            more += ("eval_validation_top5",)
        return super().metric_columns() + more

    def flag_modules(self) -> tuple[ModuleType, ...]:
        return MODULES

    def identity(self) -> dict[str, Any]:
        """Where the data lies does not decide the result, except for people's own data sets."""
        found = super().identity()
        for irrelevant in ("max_unreadable", "index_dir", "files_outside_data_dir"):
            del found[irrelevant]
        found["ilsvrc_dir"] = self.data.ilsvrc_dir is not None
        if found["preprocessing"] == SLIM and self.data.dataset_name not in published.WAYS:
            del found["preprocessing"]  # folders made before there was a choice
        if found.pop("imagenet_weights") is not None:
            found["imagenet_weights"] = True  # where the file lies is no matter, and a run that goes on needs none
        if self.data.dataset_name == "list":
            found["data_dir"] = self.data.data_dir
        return found


def config() -> ImagenetConfig:
    """The configuration of the parsed flags.

    Raises:
        ValueError: values out of range, or flags that contradict each other or mean nothing here.
    """
    by_name = flags.FLAGS
    other_schedule = by_name["learning_rate_boundaries"].present or by_name["learning_rate_schedule"].value != "steps"
    if other_schedule and not by_name["num_epochs_per_decay"].present:
        by_name.set_default("num_epochs_per_decay", None)
    shared = configuration.config()
    fields = {field.name: getattr(shared, field.name) for field in dataclasses.fields(Config)}
    given = [f"--{name}" for name, unset in _UNUSED if by_name[name].value != unset]
    if shared.data.validation not in ("none", "clean_set"):
        given.append(f"--validation={shared.data.validation}")
    if shared.clean.clean_source == "corrections":
        given.append("--clean_source=corrections")
    if set(methods.get(shared.method.name).VIEWS) - {"weak"}:
        given.append(f"--method={shared.method.name}")
    if given:
        raise ValueError(f"{given[0]} needs images that are held in memory: use train_cifar.py for it")
    _check_weights(shared.student.name)
    return ImagenetConfig(**{**fields, "data": _data_config(shared.data)})


_WEIGHT_FILES = {"resnet18": (".npz", ".safetensors"), "resnet50": (".h5", ".hdf5")}


def _check_weights(student: str) -> None:
    """Refuses ImageNet weights for a student that has none, or in a form that it does not have them in."""
    file = _WEIGHTS.value
    if file is None:
        return
    if student not in _WEIGHT_FILES:
        raise ValueError(
            f"--imagenet_weights={file}: there are weights for {' and '.join(_WEIGHT_FILES)}, not for {student}"
        )
    if not file.endswith(_WEIGHT_FILES[student]):
        raise ValueError(
            f"--imagenet_weights={file}: those of {student} are in a file {' or '.join(_WEIGHT_FILES[student])}, see "
            "docs/image_lists.md"
        )


def _data_config(shared: DataConfig) -> ImagenetDataConfig:
    name = shared.dataset_name
    if name not in sources.NAMES:
        raise ValueError(f"--dataset_name={name!r}: use one of {', '.join(sources.NAMES)}")
    if not shared.data_dir:
        raise ValueError(f"--dataset_name={name} needs --data_dir, the folder it is in")
    if shared.noise_type.startswith("human:"):
        raise ValueError(f"--noise_type={shared.noise_type}: these labels exist for CIFAR only")
    way = _PREPROCESSING.value
    if way == "auto":
        way = name if name in published.WAYS else SLIM
    augmentation = str(flags.FLAGS["augmentation"].value)
    if augmentation not in ("auto", "none"):
        raise ValueError(f"--augmentation={augmentation}: use auto (slim's) or none")
    if _COLOUR.present and way != SLIM:
        raise ValueError(f"--colour_distortion={_COLOUR.value} is part of slim's preprocessing, not of {way}'s")
    if _COLOUR.present and augmentation == "none":
        raise ValueError(f"--colour_distortion={_COLOUR.value} is part of what --augmentation=none leaves out")
    if flags.FLAGS["download"].present:
        raise ValueError("--download: this script downloads nothing: leave it out")
    parts = tuple(_PARTS.value or ())
    unknown = sorted(set(parts) - set(webvision.PARTS))
    if unknown:
        raise ValueError(f"--webvision_parts={','.join(parts)}: use google, flickr or both")
    for holder, names in (
        (_PARTS, ("webvision", "webvision_mini")),
        (_ILSVRC, ("webvision", "webvision_mini")),
        (_TRAIN_LIST, ("list",)),
        (_TEST_LIST, ("list", "isic2019")),
    ):
        if holder.value and name not in names:
            raise ValueError(f"--{holder.name} belongs to --dataset_name={' or '.join(names)}, not to {name}")
    size = sources.IMAGE_SIZES.get(name, shared.image_size)
    background = name == "imagenet" if _BACKGROUND.value is None else _BACKGROUND.value
    return ImagenetDataConfig(
        **{
            **dataclasses.asdict(shared),
            "augmentation": "slim" if augmentation == "auto" else "none",
            "image_size": shared.image_size if flags.FLAGS["image_size"].present else size,
        },
        colour_distortion=_COLOUR.value,
        background_class=background,
        webvision_parts=parts,
        ilsvrc_dir=_ILSVRC.value,
        train_list=_TRAIN_LIST.value,
        test_list=_TEST_LIST.value,
        max_unreadable=_MAX_UNREADABLE.value,
        index_dir=_INDEX_DIR.value,
        files_outside_data_dir=_OUTSIDE.value,
        preprocessing=way,
        imagenet_weights=_WEIGHTS.value,
    )


def use_defaults() -> None:
    """Gives the shared flags this script's defaults and help."""
    for name, value in DEFAULTS.items():
        flags.FLAGS.set_default(name, value)
    for name, text in _HELP.items():
        flags.FLAGS[name].help = text


def parse_command_line(argv: Sequence[str]) -> list[str]:
    """absl's ``flags_parser`` for the script, see ``train_flags.parse_command_line``."""
    use_defaults()
    return configuration.parse_command_line(argv, config, MODULES)


def parse(argv: Sequence[str]) -> Config:
    """The configuration of a command line, see ``train_flags.parse``.

    Raises:
        ValueError, absl.flags.Error: the same as on the command line.
    """
    with flagsaver.flagsaver():
        use_defaults()
        return configuration.parse(argv, config, MODULES)
