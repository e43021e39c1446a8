"""Flags of the data: which images, which labels, how batches are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from absl import flags

from data import mask_streams, noise, pipeline, segmentation
from flags.define import mask_flags

_DATASET = flags.DEFINE_string(
    "dataset_name",
    "cifar10",
    "cifar10, cifar100, mnist, fashion_mnist, digits (embedded, 8x8), tfds:<builder> for any image classification "
    "set of tensorflow-datasets, or folder (data_dir holds <class>/ with images, or train/<class>/ and test/<class>/, "
    "and clean/<class>/ for images that were checked). With masks, a class a pixel: "
    f"{', '.join(segmentation.NAMES)} (docs/segmentation.md).",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared data sets are (or are downloaded to), or the folder.")
_DOWNLOAD = flags.DEFINE_boolean("download", True, "Download a data set that is not in data_dir.")
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Resize images to this many pixels a side (folder: 32 by default; data sets of tensorflow-datasets).",
    lower_bound=4,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Samples in a mini-batch.", lower_bound=1)
_MOST_BATCHES = flags.DEFINE_integer(
    "max_batches_per_epoch",
    None,
    "An epoch ends after so many batches even if images are left (401 in the code of Co-teaching and S2E).",
    lower_bound=1,
)
_TRAIN_EXAMPLES = flags.DEFINE_integer(
    "train_examples", 0, "Train on a fixed random subset of this many samples (0: all of them).", lower_bound=0
)
_NOISE_TYPE = flags.DEFINE_string(
    "noise_type",
    "none",
    f"How training labels are corrupted: {', '.join(noise.NOISE_TYPES)}, or human:<aggregate|worse|random1|random2|"
    "random3> for the CIFAR-N labels that people gave (human:noisy for cifar100).",
)
_NOISE_FRACTION = flags.DEFINE_float("noise_fraction", 0.0, "Noise fraction p in [0, 1].")
_NOISE_VARIANT = flags.DEFINE_enum(
    "noise_variant",
    "paper",
    noise.VARIANTS,
    "uniform: labels drawn from all classes, the true one too (paper: MentorNet's; L2RW's paper draws from the other "
    "classes, which is --noise_type=symmetric), or as the author's code of L2RW does it (author): an exact number of "
    "labels, the last class never among the new ones. background: as L2RW's paper or (author) its code.",
)
_NOISE_CLASS = flags.DEFINE_integer(
    "noise_class", None, "background: the class all chosen samples get; default: drawn from the seed.", lower_bound=0
)
_NOISE_SEED = flags.DEFINE_integer(
    "noise_seed", None, "Seed of noise, subset, clean set and hold-out; default: --seed.", lower_bound=0
)
_HELD_OUT = flags.DEFINE_integer(
    "held_out_tenth",
    None,
    "Which tenth of a folder without test/ is held out to judge by (default: 0, whatever the seed).",
    lower_bound=0,
    upper_bound=9,
)
_LABELS_FILE = flags.DEFINE_string(
    "labels_file",
    None,
    "Train on these labels instead of injected noise: labels.npz of another run; or a csv, either with a class number "
    "a line in the order of the training images, or with the heading index,label and a line for each in any order.",
)
_HUMAN_LABELS = flags.DEFINE_string("human_labels_file", None, "The CIFAR-N npz; default: looked for beside data_dir.")
_AUGMENTATION = flags.DEFINE_enum(
    "augmentation",
    "auto",
    ["auto", *pipeline.AUGMENTATIONS, *mask_streams.SLICE_AUGMENTATIONS],
    "auto: the preset's for natural images (cifar: pad 4, crop, flip; release: pad 2; release_inception: pad 8), none "
    "for digits and MNIST, slices (mirror images, turned by up to 10 degrees) for segmentation; slices_zoom shifts and "
    "zooms, too.",
)

VALIDATIONS = ("none", "test_half", "noisy_holdout", "clean_set")
_VALIDATION = flags.DEFINE_enum(
    "validation",
    "none",
    VALIDATIONS,
    "Images that are evaluated apart as eval_validation_* columns, to choose settings by. test_half: the first half of "
    "the test images, in their order; the second alone is the test set then (S2E: 5,000 and 5,000). noisy_holdout: "
    "the --holdout_examples, with their noisy labels. clean_set: training images with labels known to be right, by "
    "--clean_examples, --clean_examples_per_class or --clean_labels_file, or clean/<class>/ in a folder. none: none.",
)

_PLAIN_IMAGES = ("digits", "mnist", "fashion_mnist")


@dataclass(frozen=True)
class DataConfig:
    """Plain values of the data flags; ``augmentation`` is resolved, ``noise_seed`` too.

    ``held_out_tenth`` says which part of a folder without test/ is held out.
    """

    dataset_name: str
    data_dir: str | None
    download: bool
    image_size: int | None
    batch_size: int
    train_examples: int
    noise_type: str
    noise_fraction: float
    noise_variant: noise.Variant
    noise_class: int | None
    noise_seed: int
    labels_file: str | None
    human_labels_file: str | None
    augmentation: str
    max_batches_per_epoch: int | None = None
    validation: str = "none"
    held_out_tenth: int | None = None
    mask_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_masks(self) -> bool:
        """Whether every pixel has a class: the data set decides the task."""
        return self.dataset_name in segmentation.NAMES


def names_masks() -> bool:
    """Whether --dataset_name is one of masks."""
    return _DATASET.value in segmentation.NAMES


def names_folder() -> bool:
    """Whether --dataset_name is a folder of one's own images."""
    return bool(_DATASET.value == "folder")


def data_config(seed: int, preset_augmentation: str) -> DataConfig:
    """Reads and checks the data flags.

    Raises:
        ValueError: a fraction outside [0, 1], an unknown noise type, or settings that contradict each other.
    """
    kind, fraction = _NOISE_TYPE.value, _NOISE_FRACTION.value
    human = kind.startswith("human:")
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"--noise_fraction={fraction:g} must lie in [0, 1]")
    if kind not in noise.NOISE_TYPES and not human:
        raise ValueError(f"--noise_type={kind!r}: use one of {', '.join(noise.NOISE_TYPES)}, or human:<kind>")
    if fraction and (kind == "none" or human):
        raise ValueError(
            f"--noise_fraction={fraction:g} has no meaning with --noise_type={kind}: leave one of them out"
        )
    if not fraction and kind != "none" and not human:
        raise ValueError(f"--noise_type={kind} needs --noise_fraction greater than 0")
    variant, noise_class = _NOISE_VARIANT.value, _NOISE_CLASS.value
    if variant != "paper" and kind not in noise.WITH_VARIANTS:
        raise ValueError(
            f"--noise_variant={variant} exists for --noise_type={' and '.join(noise.WITH_VARIANTS)}, not for {kind}: "
            "leave it out"
        )
    if noise_class is not None and kind != "background":
        raise ValueError(f"--noise_class={noise_class} belongs to --noise_type=background, not to {kind}")
    if _LABELS_FILE.value and kind != "none":
        raise ValueError(f"--labels_file and --noise_type={kind} both decide the labels: give one of them")
    if _HUMAN_LABELS.value and not human:
        raise ValueError(f"--human_labels_file is given, but --noise_type={kind} does not use it: use human:<kind>")
    name = _DATASET.value
    if name == "folder" and not _DATA_DIR.value:
        raise ValueError("--dataset_name=folder needs --data_dir with <class>/ or train/<class>/ inside")
    if name != "folder" and _HELD_OUT.value is not None:
        raise ValueError(f"--held_out_tenth belongs to --dataset_name=folder, {name} has test images: leave it out")
    of_classes = (_NOISE_TYPE, _NOISE_FRACTION, _LABELS_FILE, _TRAIN_EXAMPLES, _VALIDATION)
    mask_options = mask_flags.options(name, _DATA_DIR.value, [flag.name for flag in of_classes if flag.present])
    if name not in segmentation.NAMES and _AUGMENTATION.value in mask_streams.SLICE_AUGMENTATIONS:
        raise ValueError(f"--augmentation={_AUGMENTATION.value} is for data sets with masks: use another for {name}")
    augmentation = _AUGMENTATION.value
    if augmentation == "auto" and name in segmentation.NAMES:
        augmentation = "slices"
    elif augmentation == "auto":
        augmentation = "none" if name.removeprefix("tfds:") in _PLAIN_IMAGES else preset_augmentation
    return DataConfig(
        dataset_name=name,
        data_dir=_DATA_DIR.value,
        download=_DOWNLOAD.value,
        image_size=_IMAGE_SIZE.value,
        batch_size=_BATCH_SIZE.value,
        train_examples=_TRAIN_EXAMPLES.value,
        noise_type=kind,
        noise_fraction=fraction,
        noise_variant=cast(noise.Variant, variant),
        noise_class=noise_class,
        noise_seed=seed if _NOISE_SEED.value is None else _NOISE_SEED.value,
        labels_file=_LABELS_FILE.value,
        human_labels_file=_HUMAN_LABELS.value,
        augmentation=augmentation,
        max_batches_per_epoch=_MOST_BATCHES.value,
        validation=_VALIDATION.value,
        held_out_tenth=_HELD_OUT.value,
        mask_options=mask_options,
    )
