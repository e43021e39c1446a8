"""Flags of the student network and its optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import flags

import student_nets
from flags.define import presets
from flags.define.presets import Preset
from flags.define.student_settings import StudentConfig, default_boundaries
from mentornet import spelling

SCHEDULES = ("steps", "cosine", "linear", "inverse")
OPTIMIZERS = ("sgd", "adam", "rmsprop")
# Of SGD on a folder of images; docs/own_images.md has what 0.1, the rate of all other students, does there.
_FOLDER_RATES = {"small_cnn": 0.01}

_STUDENT = flags.DEFINE_string(
    "studentnet",
    "resnet101",
    f"The student: {', '.join(student_nets.names())}. Those in _l2rw are built as in the released code of L2RW: no "
    "projections, batch norm without scale and with a decay of 0.999, stage 1 without its first activations. For data "
    f"sets with masks: {', '.join(student_nets.names('segmentation'))}; default there: unet_plus_plus.",
)
_VARIANT = flags.DEFINE_enum(
    "student_variant",
    None,
    presets.PRESETS,
    "How resnet101 is built. paper: batch norm first in its first unit, a ReLU at the end; release: leaky ReLU first "
    "in its first unit, and at the end, as in the authors' code. Default: the preset's.",
)
_KEEP = flags.DEFINE_float(
    "dropout_keep_probability", None, "Dropout keep probability inside the student; default: the preset's."
)
_AUXILIARY = flags.DEFINE_boolean(
    "auxiliary_head", True, "Train the auxiliary classifier too, if student (inception_resnet_v2) and method have it."
)
_WEIGHT_DECAY = flags.DEFINE_float(
    "weight_decay", None, "theta: the loss gains theta/2 ||kernels||^2; default: the preset's.", lower_bound=0.0
)
_OPTIMIZER = flags.DEFINE_enum(
    "optimizer",
    "sgd",
    OPTIMIZERS,
    "sgd: v <- momentum v + g, w <- w - rate v (TensorFlow 1, PyTorch). adam: as in PyTorch (epsilon 1e-8 beside the "
    "root). rmsprop: as in PyTorch (decay 0.99, no momentum). The weight decay is part of the loss for all.",
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate",
    0.1,
    "Initial learning rate; by default 0.001 of adam, 0.01 of rmsprop, and of sgd 0.01 where small_cnn trains on a "
    "folder of one's own images.",
)
_DECAY_FACTOR = flags.DEFINE_float("learning_rate_decay_factor", 0.1, "Factor at each boundary.")
_EPOCHS_PER_DECAY = flags.DEFINE_float(
    "num_epochs_per_decay",
    None,
    "Lower the rate every so many epochs; default: at the boundaries, and under --preset=release after 50 for its "
    "inception, and for its resnet101 in plain training.",
)
_BOUNDARIES = flags.DEFINE_list(
    "learning_rate_boundaries",
    None,
    "Steps after which the rate is lowered. Default: the paper's 19531,25000,30000 of 39000 steps (78000 of 120000 for "
    "inception and cifarnet), scaled to max_number_of_steps; under --preset=release those of resnet101 stay. Of "
    "methods that count in epochs: epochs from which it is lowered; default: half of them.",
)
_SCHEDULE = flags.DEFINE_enum(
    "learning_rate_schedule",
    "steps",
    SCHEDULES,
    "steps: lowered at boundaries. cosine: from learning_rate to 0 (or --lowest_learning_rate) along half a cosine "
    "over the whole training (L2B), or --cosine_epochs of it. "
    "linear: towards 0 at the end, epoch by epoch, from --linear_decay_epoch on (Co-teaching, S2E). "
    "inverse: times k / (epoch + k), k --inverse_decay_epochs (L2B on PROMISE12).",
)
_INVERSE = flags.DEFINE_float(
    "inverse_decay_epochs", 20.0, "k of --learning_rate_schedule=inverse, after which the rate is a half."
)
_LINEAR_FROM = flags.DEFINE_float(
    "linear_decay_epoch",
    None,
    "The epoch from which --learning_rate_schedule=linear lowers the rate; default: after 40% of them (80 of 200).",
    lower_bound=0.0,
)
_COSINE_EPOCHS = flags.DEFINE_float(
    "cosine_epochs",
    None,
    "The epoch in which the cosine is at its lowest, and from which on it rises again (methods that count in epochs). "
    "Default: the last one (UniCon: 280 of 350).",
    lower_bound=1.0,
)
_LOWEST_RATE = flags.DEFINE_float(
    "lowest_learning_rate", 0.0, "Where the cosine ends (UniCon: 0.0002).", lower_bound=0.0
)
_BETA1 = flags.DEFINE_float("adam_beta1", 0.9, "Adam's decay of the mean gradient.", lower_bound=0.0)
_BETA1_LATER = flags.DEFINE_float(
    "adam_beta1_after_decay",
    None,
    "Adam's beta1 once the linear decay has begun. Default: no change; under --preset=release 0.1 where a method's "
    "code has it.",
    lower_bound=0.0,
)
_MOMENTUM = flags.DEFINE_float(
    "momentum", None, "Momentum of SGD; default: 0.9, and 0 for the inception of --preset=release.", lower_bound=0.0
)


def may_name(student: str) -> bool:
    """Whether --studentnet, if it is given, means this network under some preset."""
    given = _STUDENT.value
    return not _STUDENT.present or student in {
        given,
        *(presets.get(name).students.get(given) for name in presets.PRESETS),
    }


def student_config(
    preset: Preset,
    max_steps: int | None,
    takes_auxiliary_head: bool = False,
    release: Sequence[tuple[str, Any]] = (),
    plain: bool = False,
    kind: str = "classification",
    own_images: bool = False,
) -> StudentConfig:
    """Reads and checks the student and optimiser flags.

    Args:
        preset: the defaults.
        max_steps: length of training, to which default boundaries are scaled; None where it is not known yet.
        takes_auxiliary_head: the method trains a second classifier, where the student has one.
        release: (flag, value) that the method's own code has, under the release preset.
        plain: the method is plain training.
        kind: of the students, "segmentation" for masks.
        own_images: the data is a folder of one's own images.

    Raises:
        ValueError: an unknown student, a probability outside (0, 1], a bad schedule.
    """
    name = preset.students.get(_STUDENT.value, _STUDENT.value)
    if kind == "segmentation" and not _STUDENT.present:
        name = "unet_plus_plus"
    if name not in student_nets.names(kind):
        known = student_nets.names(kind)
        of_other_data = any(name in student_nets.names(other) for other in student_nets.KINDS)
        meant = "" if of_other_data else spelling.likely(name, known)
        raise ValueError(f"--studentnet={name!r}{meant}: use one of {', '.join(known)}")
    keep = _KEEP.value
    if keep is None:
        keep = presets.of_student(preset.dropout_keep_probability, name)
    if not 0.0 < keep <= 1.0:
        raise ValueError(f"--dropout_keep_probability={keep:g} must lie in (0, 1]")
    for what, value in (("learning_rate", _LEARNING_RATE.value), ("learning_rate_decay_factor", _DECAY_FACTOR.value)):
        if value <= 0:
            raise ValueError(f"--{what}={value:g} must be greater than 0")
    if _EPOCHS_PER_DECAY.value is not None and _BOUNDARIES.value is not None:
        raise ValueError(
            "--num_epochs_per_decay and --learning_rate_boundaries both set the schedule: give one of them"
        )
    if _EPOCHS_PER_DECAY.value is not None and _EPOCHS_PER_DECAY.value <= 0:
        raise ValueError(f"--num_epochs_per_decay={_EPOCHS_PER_DECAY.value:g} must be greater than 0")
    schedule = _SCHEDULE.value
    lowered = [flag for flag in (_EPOCHS_PER_DECAY, _BOUNDARIES) if flag.value is not None]
    if schedule != "steps" and lowered:
        raise ValueError(f"--learning_rate_schedule={schedule} has no boundaries: leave --{lowered[0].name} out")
    if _VARIANT.value is not None and name not in preset.student_variant:
        raise ValueError(
            f"--student_variant={_VARIANT.value}: --studentnet={name} is built in one way only: leave it out"
        )
    beta1_later = _BETA1_LATER.value
    if beta1_later is None and preset.release and _OPTIMIZER.value == "adam" and schedule == "linear":
        beta1_later = dict(release).get(_BETA1_LATER.name)
    _check_optimizer(schedule)
    rate = _rate(_FOLDER_RATES.get(name, _LEARNING_RATE.value) if own_images else _LEARNING_RATE.value)
    decay = _WEIGHT_DECAY.value
    auxiliary = takes_auxiliary_head and "auxiliary_head" in student_nets.options(name)
    if _AUXILIARY.value and _AUXILIARY.present and not auxiliary:
        raise ValueError(f"--auxiliary_head: --studentnet={name} has none, or --method can't train it: leave it out")
    return StudentConfig(
        name=name,
        dropout_keep_probability=keep,
        weight_decay=presets.of_student(preset.weight_decay, name) if decay is None else decay,
        learning_rate=rate,
        learning_rate_decay_factor=_DECAY_FACTOR.value,
        num_epochs_per_decay=_epochs_per_decay(preset, name, plain) if schedule == "steps" else None,
        learning_rate_boundaries=_boundaries(preset, name, max_steps) if schedule == "steps" else (),
        momentum=presets.of_student(preset.momentum, name) if _MOMENTUM.value is None else _MOMENTUM.value,
        auxiliary_head=_AUXILIARY.value and auxiliary,
        learning_rate_schedule=schedule,
        optimizer=_OPTIMIZER.value,
        linear_decay_epoch=_LINEAR_FROM.value,
        adam_beta1=_BETA1.value,
        adam_beta1_after_decay=beta1_later,
        variant=_VARIANT.value or preset.student_variant.get(name),
        inverse_decay_epochs=_INVERSE.value,
        cosine_epochs=_COSINE_EPOCHS.value,
        lowest_learning_rate=_lowest_rate(rate),
    )


def _rate(default: float) -> float:
    """The learning rate, with the optimiser's own default; ``default`` is that of SGD."""
    default = {"adam": 0.001, "rmsprop": 0.01}.get(_OPTIMIZER.value, default)
    return float(_LEARNING_RATE.value if _LEARNING_RATE.present else default)


def _lowest_rate(rate: float) -> float:
    """Where the cosine, which begins with ``rate``, ends."""
    lowest = float(_LOWEST_RATE.value)
    if lowest > rate:
        raise ValueError(f"--lowest_learning_rate={lowest:g} must be at most --learning_rate={rate:g}")
    return lowest


def _check_optimizer(schedule: str) -> None:
    """Refuses settings of another optimiser or schedule, and betas out of range."""
    adam, sgd = _OPTIMIZER.value == "adam", _OPTIMIZER.value == "sgd"
    for flag, used, of in (
        (_MOMENTUM, sgd, "optimizer=sgd"),
        (_BETA1, adam, "optimizer=adam"),
        (_BETA1_LATER, adam and schedule == "linear", "optimizer=adam with --learning_rate_schedule=linear"),
        (_LINEAR_FROM, schedule == "linear", "learning_rate_schedule=linear"),
        (_COSINE_EPOCHS, schedule == "cosine", "learning_rate_schedule=cosine"),
        (_LOWEST_RATE, schedule == "cosine", "learning_rate_schedule=cosine"),
        (_DECAY_FACTOR, schedule == "steps", "learning_rate_schedule=steps"),
        (_INVERSE, schedule == "inverse", "learning_rate_schedule=inverse"),
    ):
        if flag.present and not used:
            raise ValueError(f"--{flag.name} is used by --{of} only: leave it out")
    if _INVERSE.value <= 0:
        raise ValueError(f"--inverse_decay_epochs={_INVERSE.value:g} must be greater than 0")
    for flag in (_BETA1, _BETA1_LATER):
        if flag.value is not None and flag.value >= 1.0:
            raise ValueError(f"--{flag.name}={flag.value:g} must be below 1")


def _epochs_per_decay(preset: Preset, student: str, plain: bool) -> float | None:
    """What is given, or the preset's unless boundaries are."""
    if _EPOCHS_PER_DECAY.value is not None or _BOUNDARIES.value is not None:
        return _EPOCHS_PER_DECAY.value
    usual = preset.epochs_per_decay.get(student)
    return preset.plain_epochs_per_decay.get(student, usual) if plain else usual


def _boundaries(preset: Preset, student: str, max_steps: int | None) -> tuple[int, ...] | None:
    if _BOUNDARIES.value is None:
        if student in preset.boundaries:
            return preset.boundaries[student]
        return None if max_steps is None else default_boundaries(student, max_steps)
    try:
        steps = tuple(int(text) for text in _BOUNDARIES.value if text)
    except ValueError:
        raise ValueError(f"--learning_rate_boundaries={','.join(_BOUNDARIES.value)}: expected whole numbers") from None
    if any(step <= 0 for step in steps) or list(steps) != sorted(set(steps)):
        raise ValueError(f"--learning_rate_boundaries={','.join(_BOUNDARIES.value)} must be positive and increase")
    return steps
