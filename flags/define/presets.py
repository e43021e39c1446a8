"""The two behaviours wherever the paper and the authors' release differ; any flag given by the user wins over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")
PRESETS = ("paper", "release")


@dataclass(frozen=True)
class Preset:
    """Defaults that depend on the preset; docs/release.md lists them with the flag that moves each.

    Attributes:
        students: student names that mean another network (the release calls slim's CifarNet "inception").
        augmentation: of natural images, by student ("" is everybody else, here and below): the paper pads 4 pixels a
            side, the release 2 for its ResNet and 8 for what it calls inception.
        loss_p_percentile: p of the moving percentile.
        loss_moving_average_decay: of the moving percentile.
        percentile_method: interpolated, or the nearest sample.
        burn_in_epoch: percent of training before the curriculum decides.
        burn_in_mode: Bernoulli weights (paper sec. 3.1), or weights raised to 1.
        example_dropout_rates: drop rate over training.
        example_dropout_mode: how the kept samples are drawn.
        weight_decay: by student.
        dropout_keep_probability: by student.
        student_variant: of students that have been built in several ways, which one.
        momentum: of SGD, by student.
        epochs_per_decay: epochs after which the rate falls, by student; students without an entry go by boundaries.
        plain_epochs_per_decay: the same of plain training, where it differs.
        boundaries: steps at which the rate falls whatever the length of the training, by student; for students without
            an entry the paper's are scaled to that length.
        release: methods do what their authors' code does where it differs, see ``Option.release``.
    """

    students: dict[str, str]
    augmentation: dict[str, str]
    loss_p_percentile: str
    loss_moving_average_decay: float
    percentile_method: str
    burn_in_epoch: int
    burn_in_mode: str
    example_dropout_rates: str
    example_dropout_mode: str
    weight_decay: dict[str, float]
    dropout_keep_probability: dict[str, float]
    student_variant: dict[str, str]
    momentum: dict[str, float]
    epochs_per_decay: dict[str, float]
    plain_epochs_per_decay: dict[str, float]
    boundaries: dict[str, tuple[int, ...]]
    release: bool = False


_SMALL_DECAY = {"lenet": 0.0, "small_cnn": 0.0}

PAPER = Preset(
    students={},
    augmentation={"": "cifar"},
    loss_p_percentile="0.75",
    loss_moving_average_decay=0.95,
    percentile_method="linear",
    burn_in_epoch=20,
    burn_in_mode="bernoulli",
    example_dropout_rates="0.5,20,0.05,80",
    example_dropout_mode="uniform",
    weight_decay={"inception": 4e-3, "cifarnet": 4e-3, **_SMALL_DECAY, "": 2e-4},
    dropout_keep_probability={"inception": 0.5, "cifarnet": 0.5, "": 1.0},
    student_variant={"resnet101": "paper"},
    momentum={"": 0.9},
    epochs_per_decay={},
    plain_epochs_per_decay={},
    boundaries={},
)

RELEASE = Preset(
    students={"inception": "cifarnet"},
    augmentation={"cifarnet": "release_inception", "": "release"},
    loss_p_percentile="0.7",
    loss_moving_average_decay=0.5,
    percentile_method="nearest",
    burn_in_epoch=0,
    burn_in_mode="ones",
    example_dropout_rates="0.5,17,0.05,78,1.0,5",
    example_dropout_mode="uniform",
    weight_decay={"cifarnet": 0.0, **_SMALL_DECAY, "": 2e-4},
    dropout_keep_probability={"cifarnet": 0.8, "": 1.0},
    student_variant={"resnet101": "release"},
    momentum={"cifarnet": 0.0, "": 0.9},
    epochs_per_decay={"cifarnet": 50.0},
    plain_epochs_per_decay={"resnet101": 50.0},  # that script overwrites the boundaries
    boundaries={"resnet101": (19_531, 25_000, 30_000)},
    release=True,
)


def of_student(values: Mapping[str, Value], student: str) -> Value:
    """The entry of a student, or else everybody's."""
    return values.get(student, values[""])


def get(name: str) -> Preset:
    """The preset of that name, one of ``PRESETS``."""
    return {"paper": PAPER, "release": RELEASE}[name]


def default(field: str) -> str:
    """What ``--help`` says of a flag whose default is a field of the preset, alike for all students."""
    paper, release = (getattr(preset, field) for preset in (PAPER, RELEASE))
    return f"Default: {paper}." if paper == release else f"Default: {paper} (--preset=paper), {release} (release)."
