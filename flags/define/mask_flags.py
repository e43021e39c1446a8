"""Flags of data sets with masks, a class a pixel, and what a run on them can't do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import flags

from data import segmentation
from data.segmentation import noise
from flags.define.distribution_flags import DistributionConfig
from flags.define.spade_flags import MethodConfig
from mentornet import methods

_NOISE = flags.DEFINE_string("mask_noise", "none", f"What is done to the training masks: {noise.KINDS}.")
_CASES = flags.DEFINE_list(
    "num_cases", None, "Training, clean and test cases of phantoms or brain_template; default: 37,3,10."
)
_SLICES = flags.DEFINE_integer(
    "num_slices", None, "Slices of each case of phantoms (at most) or brain_template; default: its own.", lower_bound=1
)
_STRUCTURES = flags.DEFINE_string(
    "structures", None, "Classes of brain_template: grey_matter (default) or grey_and_white_matter."
)
_VALUES = flags.DEFINE_list(
    "mask_values", None, "mask_folder: the value of class 0, 1, ... in the files, as in 0,255; default: seen from them."
)
_SPACING = flags.DEFINE_list(
    "voxel_spacing", None, "mask_folder: mm between slices, rows and columns, as in 3,0.6,0.6; default: 1,1,1."
)
_FROM = flags.DEFINE_enum(
    "cases_from", None, ["auto", "name", "file"], "mask_folder: what makes a case: its name's first part, or a file."
)

OPTIONS = ("mask_noise", "num_cases", "num_slices", "structures", "mask_values", "spacing", "cases_from")
"""The options of ``data.segmentation.load`` that flags give."""

_OF_SETS = {
    "num_cases": ("phantoms", "brain_template"),
    "num_slices": ("phantoms", "brain_template"),
    "structures": ("brain_template",),
    "mask_values": ("mask_folder",),
    "voxel_spacing": ("mask_folder",),
    "cases_from": ("mask_folder",),
}


def options(dataset_name: str, data_dir: str | None, of_classes: Sequence[str]) -> dict[str, Any]:
    """The options of ``data.segmentation.load`` that are given.

    Args:
        dataset_name: of any data set.
        data_dir: where it is.
        of_classes: names of the flags that are given and mean data sets of one label an image.

    Raises:
        ValueError: flags of other data sets, or values that are none.
    """
    given = [flag for flag in (_NOISE, _CASES, _SLICES, _STRUCTURES, _VALUES, _SPACING, _FROM) if flag.present]
    if dataset_name not in segmentation.NAMES:
        if given:
            raise ValueError(
                f"--{given[0].name} is for data sets with masks, {', '.join(segmentation.NAMES)}: leave it out"
            )
        return {}
    if of_classes:
        instead = "use --mask_noise" if of_classes[0].startswith("noise") else "leave it out"
        raise ValueError(f"--{of_classes[0]} is for one label an image, not for {dataset_name}: {instead}")
    for flag in given:
        if dataset_name not in _OF_SETS.get(flag.name, segmentation.NAMES):
            raise ValueError(f"--{flag.name} is for {' and '.join(_OF_SETS[flag.name])}, not for {dataset_name}")
    if dataset_name in ("promise12", "mask_folder") and not data_dir:
        raise ValueError(f"--dataset_name={dataset_name} needs --data_dir, the folder with its images and masks")
    noise.parse(_NOISE.value)
    found = {
        "mask_noise": None if _NOISE.value == "none" else _NOISE.value,
        "num_cases": _numbers(_CASES, int, 3),
        "num_slices": _SLICES.value,
        "structures": _STRUCTURES.value,
        "mask_values": _numbers(_VALUES, int),
        "spacing": _numbers(_SPACING, float, 3),
        "cases_from": _FROM.value,
    }
    return {name: value for name, value in found.items() if value is not None}


def _numbers(flag: Any, kind: type, count: int | None = None) -> tuple[Any, ...] | None:
    if flag.value is None:
        return None
    try:
        found = tuple(kind(text) for text in flag.value)
    except ValueError:
        found = ()
    if not found or len(found) != (count or len(found)):
        noun = "three" if count else "some"
        raise ValueError(f"--{flag.name}={','.join(flag.value)}: give {noun} numbers, with commas between them")
    return found


def able() -> tuple[str, ...]:
    """The methods that treat every pixel as a sample."""
    return tuple(name for name in methods.names() if vars(methods.get(name)).get("weighs_sites"))


def check_run(dataset_name: str, mode: str, method: MethodConfig, distribution: DistributionConfig) -> None:
    """Refuses methods, modes and strategies that go by one label an image.

    Raises:
        ValueError: with one sentence.
    """
    if method.name not in able():
        raise ValueError(
            f"--method={method.name} goes by one label an image, but {dataset_name} has a class a pixel: use "
            f"--method={' or '.join(able())}"
        )
    if method.options.get("baseline_run"):
        raise ValueError(f"--baseline_run continues from a run on labels, not on {dataset_name}: leave it out")
    check_mode(dataset_name, mode)
    if distribution.strategy == "parameter_server":
        raise ValueError(f"parameter_server does not train on masks: use another strategy for {dataset_name}")


def check_mode(dataset_name: str, mode: str) -> None:
    """Refuses modes that go by one label an image.

    Raises:
        ValueError: with one sentence.
    """
    if mode in ("dump_losses", "estimate"):
        raise ValueError(
            f"--mode={mode} is for one label an image, and {dataset_name} has a class a pixel: samples.csv of the run "
            "has the losses of its slices, and --mode=evaluate the figures of its test cases"
        )
