"""Flags of the student network and its optimiser."""

from __future__ import annotations

from dataclasses import dataclass

from absl import flags

import student_nets
from flags.define import presets
from flags.define.presets import Preset

SCHEDULES = ("steps", "cosine")

_STUDENT = flags.DEFINE_string(
    "studentnet",
    "resnet101",
    f"The student: {', '.join(student_nets.names())}. Those in _l2rw are built as in the released code of L2RW: no "
    "projections, batch norm without scale and with a decay of 0.999, stage 1 without its first activations.",
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
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 0.1, "Initial learning rate.")
_DECAY_FACTOR = flags.DEFINE_float("learning_rate_decay_factor", 0.1, "Factor at each boundary.")
_EPOCHS_PER_DECAY = flags.DEFINE_float(
    "num_epochs_per_decay", None, "Lower the rate every so many epochs (the release's 50); default: at the boundaries."
)
_BOUNDARIES = flags.DEFINE_list(
    "learning_rate_boundaries",
    None,
    "Steps after which the rate is lowered. Default: the paper's 19531,25000,30000 of 39000 steps (78000 of 120000 for "
    "inception and cifarnet), scaled to max_number_of_steps.",
)
_SCHEDULE = flags.DEFINE_enum(
    "learning_rate_schedule",
    "steps",
    SCHEDULES,
    "steps: lowered at boundaries. cosine: from learning_rate to 0 along half a cosine over the whole training (L2B).",
)
_MOMENTUM = flags.DEFINE_float("momentum", 0.9, "Momentum of SGD.", lower_bound=0.0)

_PAPER_SCHEDULES = {"inception": (120_000, (78_000,)), "cifarnet": (120_000, (78_000,))}
_PAPER_SCHEDULE = (39_000, (19_531, 25_000, 30_000))


@dataclass(frozen=True)
class StudentConfig:
    """Plain values of the student and optimiser flags, all defaults resolved."""

    name: str
    dropout_keep_probability: float
    weight_decay: float
    learning_rate: float
    learning_rate_decay_factor: float
    num_epochs_per_decay: float | None
    learning_rate_boundaries: tuple[int, ...]
    momentum: float
    auxiliary_head: bool = False
    learning_rate_schedule: str = "steps"

    def boundaries(self, steps_per_epoch: float) -> tuple[int, ...]:
        """Steps at which the rate drops, once the number of steps an epoch is known."""
        if self.num_epochs_per_decay is None:
            return self.learning_rate_boundaries
        every = self.num_epochs_per_decay * steps_per_epoch
        # Far more decays than any run needs; a rate below 1e-8 of the first changes nothing.
        return tuple(dict.fromkeys(max(1, round(every * k)) for k in range(1, 9)))


def may_name(student: str) -> bool:
    """Whether --studentnet, if it is given, means this network under some preset."""
    given = _STUDENT.value
    return not _STUDENT.present or student in {
        given,
        *(presets.get(name).students.get(given) for name in presets.PRESETS),
    }


def student_config(preset: Preset, max_steps: int, takes_auxiliary_head: bool = False) -> StudentConfig:
    """Reads and checks the student and optimiser flags.

    Args:
        preset: the defaults.
        max_steps: length of training, to which default boundaries are scaled.
        takes_auxiliary_head: the method trains a second classifier, where the student has one.

    Raises:
        ValueError: an unknown student, a probability outside (0, 1], a bad schedule.
    """
    name = preset.students.get(_STUDENT.value, _STUDENT.value)
    if name not in student_nets.names():
        raise ValueError(f"--studentnet={name!r}: use one of {', '.join(student_nets.names())}")
    keep = _KEEP.value
    if keep is None:
        keep = preset.dropout_keep_probability.get(name, preset.dropout_keep_probability[""])
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
    if schedule == "cosine" and lowered:
        raise ValueError(f"--learning_rate_schedule=cosine has no boundaries: leave --{lowered[0].name} out")
    decay = _WEIGHT_DECAY.value
    auxiliary = takes_auxiliary_head and "auxiliary_head" in student_nets.options(name)
    if _AUXILIARY.value and _AUXILIARY.present and not auxiliary:
        raise ValueError(f"--auxiliary_head: --studentnet={name} has none, or --method can't train it: leave it out")
    return StudentConfig(
        name=name,
        dropout_keep_probability=keep,
        weight_decay=preset.weight_decay.get(name, preset.weight_decay[""]) if decay is None else decay,
        learning_rate=_LEARNING_RATE.value,
        learning_rate_decay_factor=_DECAY_FACTOR.value,
        num_epochs_per_decay=_EPOCHS_PER_DECAY.value,
        learning_rate_boundaries=() if schedule == "cosine" else _boundaries(name, max_steps),
        momentum=_MOMENTUM.value,
        auxiliary_head=_AUXILIARY.value and auxiliary,
        learning_rate_schedule=schedule,
    )


def _boundaries(student: str, max_steps: int) -> tuple[int, ...]:
    if _BOUNDARIES.value is None:
        length, boundaries = _PAPER_SCHEDULES.get(student, _PAPER_SCHEDULE)
        return tuple(dict.fromkeys(max(1, round(step * max_steps / length)) for step in boundaries))
    try:
        steps = tuple(int(text) for text in _BOUNDARIES.value if text)
    except ValueError:
        raise ValueError(f"--learning_rate_boundaries={','.join(_BOUNDARIES.value)}: expected whole numbers") from None
    if any(step <= 0 for step in steps) or list(steps) != sorted(set(steps)):
        raise ValueError(f"--learning_rate_boundaries={','.join(_BOUNDARIES.value)} must be positive and increase")
    return steps
