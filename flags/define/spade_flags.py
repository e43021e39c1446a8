"""Flags of the method and its curriculum (names of the release where it has them)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from absl import flags

from flags.define import method_flags, presets
from flags.define.presets import Preset
from mentornet import curricula, features, methods
from mentornet.curricula import learned

_METHOD = flags.DEFINE_string(
    "method",
    None,
    f"{', '.join(methods.names())}. Default: spade if a curriculum is named, else {methods.PLAIN}.",
)
_CURRICULUM = flags.DEFINE_string(
    "curriculum",
    None,
    f"A predefined curriculum ({', '.join(curricula.names())}; parameters as in focal_loss:gamma=3), or the folder of "
    "a learned MentorNet, or pretrained:NAME for one of docs/gallery.md, or mentornet_dd, which is learned while "
    "training. Default with --method=spade: mentornet_pd.",
)
_TRAINED_DIR = flags.DEFINE_string("trained_mentornet_dir", None, "The release's name of --curriculum.")
_FIXED_LABEL = flags.DEFINE_integer(
    "fixed_label",
    None,
    "Feed this label to a learned MentorNet (0 carries it to a data set of other classes); formulas refuse it. "
    "Default: each sample's own.",
)
_PERCENTILE = flags.DEFINE_string(
    "loss_p_percentile",
    None,
    "p of the moving loss percentile: a number, or value,epochs,... that sum to 100 epochs, or auto: estimate the "
    "share of wrong labels from a plain training of five epochs before the run. "
    + presets.default("loss_p_percentile"),
)
_PRECENTILE = flags.DEFINE_string("loss_p_precentile", None, "The release's spelling of --loss_p_percentile.")
_PERCENTILE_METHOD = flags.DEFINE_enum(
    "percentile_method",
    None,
    features.PERCENTILE_METHODS,
    "How p is read off: between samples, or as the nearest one. " + presets.default("percentile_method"),
)
_MOVING_DECAY = flags.DEFINE_float(
    "loss_moving_average_decay",
    None,
    "Decay of the moving percentile. " + presets.default("loss_moving_average_decay"),
)
_BURN_IN = flags.DEFINE_integer(
    "burn_in_epoch",
    None,
    "Percent of training before the curriculum decides. " + presets.default("burn_in_epoch"),
    lower_bound=0,
    upper_bound=100,
)
_BURN_IN_MODE = flags.DEFINE_enum(
    "burn_in_mode",
    None,
    ["bernoulli", "ones"],
    "Burn-in weights: random, or all 1. " + presets.default("burn_in_mode"),
)
_FIXED_EPOCH = flags.DEFINE_boolean(
    "fixed_epoch_after_burn_in",
    False,
    "Show the curriculum min(epoch, burn_in_epoch) (MentorNet DD); drop rate and percentile go on by the epoch.",
)
_DROP_RATES = flags.DEFINE_string(
    "example_dropout_rates",
    None,
    "Share of samples dropped: a number, or rate,epochs,... that sum to 100 epochs. "
    + presets.default("example_dropout_rates"),
)
_DROPOUT_MODE = flags.DEFINE_enum(
    "example_dropout_mode",
    None,
    features.DROPOUT_MODES,
    "How kept samples are drawn. " + presets.default("example_dropout_mode"),
)
_EXPLICIT = flags.DEFINE_boolean(
    "explicit_curriculum", False, "Descend the curriculum's G, keeping v per sample (alg. 1 step 9)."
)
_WEIGHT_STEP = flags.DEFINE_float("weight_step_size", None, "Step size on v then; default: the learning rate.")
_UPDATES = flags.DEFINE_list(
    "curriculum_update_epochs",
    None,
    "Learn the MentorNet anew from the present student at these percents of training (alg. 1 step 6). Default: 21,75 "
    "with --curriculum=mentornet_dd, else never.",
)
_MENTOR_EXAMPLES = flags.DEFINE_integer(
    "mentor_examples", 5000, "Training samples whose true labels the MentorNet may be learned from.", lower_bound=1
)
_MENTOR_STEPS = flags.DEFINE_integer(
    "mentor_steps", 30_000, "Steps in which each candidate of an update is learned.", lower_bound=1
)

AUTO = "auto"
"""The percentile that follows from an estimate of the share of wrong labels."""

DATA_DRIVEN = "mentornet_dd"
"""The curriculum that does not exist yet when training begins: it is learned from the student on the way."""

# Flags that only SPADE reads.
_SPADE_ONLY: tuple[Any, ...] = (
    _CURRICULUM,
    _TRAINED_DIR,
    _FIXED_LABEL,
    _PERCENTILE,
    _PRECENTILE,
    _PERCENTILE_METHOD,
    _MOVING_DECAY,
    _BURN_IN,
    _BURN_IN_MODE,
    _FIXED_EPOCH,
    _DROP_RATES,
    _DROPOUT_MODE,
    _EXPLICIT,
    _WEIGHT_STEP,
    _UPDATES,
    _MENTOR_EXAMPLES,
    _MENTOR_STEPS,
)


@dataclass(frozen=True)
class MethodConfig:
    """Plain values of the method flags.

    Attributes:
        name: a method's name.
        curriculum: a name or folder; None for methods without one.
        fixed_label: label fed to a learned curriculum, None for the sample's own.
        options: keyword arguments of the method's class.
        update_epochs: percents of training at which the MentorNet is learned anew; empty for never.
        mentor_examples: how many doubly labelled samples it is learned from.
        mentor_steps: in which each candidate of an update is learned.
    """

    name: str
    curriculum: str | None
    fixed_label: int | None
    options: dict[str, Any]
    update_epochs: tuple[int, ...] = ()
    mentor_examples: int = 0
    mentor_steps: int = 30_000


def method_config(preset: Preset) -> MethodConfig:
    """Reads and checks the method flags.

    Raises:
        ValueError: an unknown method or curriculum, a value out of range, or flags that contradict each other.
    """
    curriculum = _same("curriculum", _CURRICULUM.value, "trained_mentornet_dir", _TRAINED_DIR.value)
    name = _METHOD.value or ("spade" if curriculum else methods.PLAIN)
    methods.get(name)
    options = method_flags.options(name, preset.release)
    if name != "spade":
        given = [f"--{holder.name}" for holder in _SPADE_ONLY if holder.present]
        if given and _METHOD.value:
            raise ValueError(f"--method={name} does not use {', '.join(given)}: leave it out or use --method=spade")
        if given:
            raise ValueError(f"{', '.join(given)} needs a curriculum: give --curriculum or --method=spade")
        return MethodConfig(name, None, None, options)
    return _spade_config(preset, curriculum or "mentornet_pd")


def _spade_config(preset: Preset, curriculum: str) -> MethodConfig:
    """The settings of SPADE; the data-driven MentorNet burns in until it is first learned, at one fixed epoch."""
    data_driven = curriculum == DATA_DRIVEN
    if _FIXED_LABEL.value is not None and curriculum.partition(":")[0] in curricula.names():
        raise ValueError(
            f"--fixed_label={_FIXED_LABEL.value} is fed to a learned MentorNet, and --curriculum={curriculum} is a "
            "formula: leave it out"
        )
    if not data_driven and "/" not in curriculum and not os.path.isdir(curriculum):
        curricula.get(curriculum)  # refuses unknown names; a folder is read when the run starts
    updates = _update_epochs(data_driven)
    unused = [f"--{holder.name}" for holder in (_MENTOR_EXAMPLES, _MENTOR_STEPS) if holder.present]
    if unused and not updates:
        raise ValueError(
            f"{', '.join(unused)} is about learning the MentorNet while training: give --curriculum_update_epochs, or "
            "leave it out"
        )
    if updates and _FIXED_EPOCH.present and not _FIXED_EPOCH.value:
        raise ValueError(
            "--nofixed_epoch_after_burn_in: a MentorNet that is learned while training knows the epoch of its learning "
            "alone: leave it out"
        )
    percentile = _same("loss_p_percentile", _PERCENTILE.value, "loss_p_precentile", _PRECENTILE.value)

    def either(value: Any, default: Any) -> Any:
        return default if value is None else value

    options = {
        "loss_percentile": AUTO
        if percentile == AUTO
        else features.per_epoch_table(
            either(either(percentile, _learned_percentile(curriculum)), preset.loss_p_percentile),
            "--loss_p_percentile",
        ),
        "loss_moving_average_decay": either(_MOVING_DECAY.value, preset.loss_moving_average_decay),
        "percentile_method": either(_PERCENTILE_METHOD.value, preset.percentile_method),
        "burn_in_epoch": either(_BURN_IN.value, updates[0] if data_driven else preset.burn_in_epoch),
        "burn_in_mode": either(_BURN_IN_MODE.value, preset.burn_in_mode),
        "fixed_epoch_after_burn_in": _FIXED_EPOCH.value or bool(updates),
        "example_dropout_rates": features.per_epoch_table(
            either(_DROP_RATES.value, preset.example_dropout_rates), "--example_dropout_rates"
        ),
        "example_dropout_mode": either(_DROPOUT_MODE.value, preset.example_dropout_mode),
        "explicit": _EXPLICIT.value,
        "weight_step_size": _WEIGHT_STEP.value,
    }
    if not 0.0 <= options["loss_moving_average_decay"] < 1.0:
        raise ValueError(f"--loss_moving_average_decay={options['loss_moving_average_decay']:g} must lie in [0, 1)")
    if _WEIGHT_STEP.value is not None and not _EXPLICIT.value:
        raise ValueError("--weight_step_size is only used with --explicit_curriculum")
    if data_driven and options["burn_in_epoch"] < updates[0]:
        raise ValueError(
            f"--burn_in_epoch={options['burn_in_epoch']}: {DATA_DRIVEN} is first learned at percent {updates[0]} and "
            "needs burn-in until then"
        )
    sizes = (_MENTOR_EXAMPLES.value, _MENTOR_STEPS.value)
    return MethodConfig("spade", curriculum, _FIXED_LABEL.value, options, updates, *sizes)


def _learned_percentile(curriculum: str) -> float | None:
    """The percentile a data-driven MentorNet was learned with, as its card tells; None for all others."""
    folder = curricula.learned_folder(curriculum)
    if not (folder / learned.CARD_FILE).is_file():
        return None
    percentile = learned.read_card(folder)[1].get("percentile")
    return percentile / 100 if isinstance(percentile, (int, float)) else None


def _update_epochs(data_driven: bool) -> tuple[int, ...]:
    """Percents of training at which the MentorNet is learned anew."""
    if _UPDATES.value is None:
        return (21, 75) if data_driven else ()
    try:
        percents = tuple(int(text) for text in _UPDATES.value if text)
    except ValueError:
        raise ValueError(f"--curriculum_update_epochs={','.join(_UPDATES.value)}: expected whole numbers") from None
    if list(percents) != sorted(set(percents)) or any(not 1 <= percent <= 99 for percent in percents):
        raise ValueError(f"--curriculum_update_epochs={','.join(_UPDATES.value)} must increase and lie in 1..99")
    if data_driven and not percents:
        raise ValueError(f"--curriculum={DATA_DRIVEN} is learned while training: give --curriculum_update_epochs")
    return percents


def _same(first: str, first_value: str | None, second: str, second_value: str | None) -> str | None:
    """The value of two names of one flag."""
    if first_value and second_value and first_value != second_value:
        raise ValueError(
            f"--{first}={first_value} and --{second}={second_value} contradict each other: give one of them"
        )
    return first_value or second_value
