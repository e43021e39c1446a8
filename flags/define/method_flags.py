"""Flags of the methods that MentorNet is compared with; each method says which it uses and refuses the others.

Flags without a value leave the method's own default, which is its paper's. The flags of SPADE are in
``flags.curriculum_flags``.
"""

from __future__ import annotations

import math
from typing import Any

from absl import flags

from mentornet.methods import class_weights, l2b, l2rw, reed, reweighting

_META = ("l2rw", "l2b")
_TRANSITION = ("forward_correction", "backward_correction")

_META_GRADIENT = flags.DEFINE_enum(
    "meta_gradient",
    None,
    reweighting.META_GRADIENTS,
    "l2rw, l2b: one forward-mode product (default), or the same weights by double backpropagation, slower.",
)
_LOOKAHEAD = flags.DEFINE_enum(
    "lookahead",
    None,
    reweighting.LOOKAHEADS,
    "l2rw, l2b: take the clean gradient at the present weights (none; the papers) or where momentum and decay alone "
    "lead (momentum; the released L2B code). Default: none for l2rw, momentum for l2b.",
)
_CLEAN_DECAY = flags.DEFINE_boolean(
    "clean_decay", None, "l2rw, l2b: add the weight decay to the clean loss, as the released L2RW code does."
)
_ALL_ZERO = flags.DEFINE_enum(
    "all_zero_weights", None, l2rw.ALL_ZERO, "l2rw: when no weight is positive, keep them 0 (default) or step plainly."
)
_WARMUP = flags.DEFINE_integer("warmup_steps", None, "l2b: steps of plain training first.", lower_bound=0)
_CLIP = flags.DEFINE_float("clip_norm", None, "l2b: largest global norm of the loss gradient; default: no limit.")
_ABLATION = flags.DEFINE_enum("l2b_ablation", None, l2b.ABLATIONS, "l2b: an ablation of its table 8.")
_NORMALISATION = flags.DEFINE_enum(
    "l2b_normalisation", None, l2b.NORMALISATIONS, "l2b: how scores become weights; default: rectified (eq. 9)."
)
_SCOPE = flags.DEFINE_enum(
    "l2b_scope", None, l2b.SCOPES, "l2b: normalise both kinds of weights together (default) or each for itself."
)
_TEMPERATURE = flags.DEFINE_float("l2b_temperature", None, "l2b: temperature of the softmax normalisation.")
_DECAYED = flags.DEFINE_enum(
    "l2b_decayed", None, l2b.DECAYS, "l2b: weight decay on all parameters (default, released code) or on kernels."
)
_REED_KIND = flags.DEFINE_enum("reed_kind", None, reed.KINDS, "reed: soft or hard bootstrapping; default: hard.")
_REED_BETA = flags.DEFINE_float("reed_beta", None, "reed: share of the given label; default: 0.95 soft, 0.8 hard.")
_Q = flags.DEFINE_float("gce_q", None, "generalised_cross_entropy: q in (0, 1]; default: 0.7.")
_KEPT = flags.DEFINE_float("kept_share", None, "hard_mining: share of each batch that is kept; default: 0.5.")
_POSITIVE = flags.DEFINE_integer(
    "positive_label", None, "hard_mining: keep all of this class and as many of the hardest others.", lower_bound=0
)
_RULE = flags.DEFINE_enum(
    "class_weights_rule",
    None,
    class_weights.RULES,
    "class_weights: balanced (default), share (released L2RW code), precision (oracle: how often the label is right).",
)
_SMOOTHING = flags.DEFINE_float("noise_layer_smoothing", None, "s_model: smoothing of the start; default: 0.1.")
_MATRIX = flags.DEFINE_string(
    "transition_matrix",
    None,
    "forward_correction, backward_correction, s_model: a .csv (comma-separated numbers, a line for every true class, "
    "no heading) or .npy file with T[i, j] = P(given j | true i), or true for the matrix of the injected noise (an "
    "oracle).",
)
_BASELINE = flags.DEFINE_string(
    "baseline_run",
    None,
    "The run folder of a first training: where the corrections estimate T, s_model takes its confusion matrix (+CONF), "
    "and clean_only starts from (+FT).",
)
_OUTLIERS = flags.DEFINE_float(
    "transition_outlier_share",
    None,
    "Corrections with --baseline_run: share passed over; default: 0.03 (CIFAR-100: 0).",
)

# (holder, name of the constructor's argument, methods that use it)
_OPTIONS: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (_META_GRADIENT, "meta_gradient", _META),
    (_LOOKAHEAD, "lookahead", _META),
    (_CLEAN_DECAY, "clean_decay", _META),
    (_ALL_ZERO, "all_zero", ("l2rw",)),
    (_WARMUP, "warmup_steps", ("l2b",)),
    (_CLIP, "clip_norm", ("l2b",)),
    (_ABLATION, "ablation", ("l2b",)),
    (_NORMALISATION, "normalisation", ("l2b",)),
    (_SCOPE, "scope", ("l2b",)),
    (_TEMPERATURE, "temperature", ("l2b",)),
    (_DECAYED, "decayed", ("l2b",)),
    (_REED_KIND, "kind", ("reed",)),
    (_REED_BETA, "beta", ("reed",)),
    (_Q, "q", ("generalised_cross_entropy",)),
    (_KEPT, "kept_share", ("hard_mining",)),
    (_POSITIVE, "positive_label", ("hard_mining",)),
    (_SMOOTHING, "smoothing", ("s_model",)),
)
# Flags that name something to be read or counted first; see flags.method_sources.
_SOURCES: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (_RULE, "class_weights_rule", ("class_weights",)),
    (_MATRIX, "transition_matrix", (*_TRANSITION, "s_model")),
    (_BASELINE, "baseline_run", (*_TRANSITION, "s_model", "clean_only")),
    (_OUTLIERS, "transition_outlier_share", _TRANSITION),
)

# Values the classes would only refuse once the data is loaded: holder, (lowest, whether it is allowed), (highest, ...).
_RANGES: tuple[tuple[Any, tuple[float, bool], tuple[float, bool]], ...] = (
    (_CLIP, (0.0, False), (math.inf, True)),
    (_TEMPERATURE, (0.0, False), (math.inf, True)),
    (_REED_BETA, (0.0, True), (1.0, True)),
    (_Q, (0.0, False), (1.0, True)),
    (_KEPT, (0.0, False), (1.0, True)),
    (_SMOOTHING, (0.0, False), (1.0, False)),
    (_OUTLIERS, (0.0, True), (1.0, False)),
)


def options(method: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The flags given for a method.

    Returns:
        (keyword arguments of its class, sources that its other arguments are made from).

    Raises:
        ValueError: a flag of another method, a value out of range, or flags that contradict each other.
    """
    given = [(holder, name, used) for holder, name, used in (*_OPTIONS, *_SOURCES) if holder.value is not None]
    for holder, _, used in given:
        if method not in used:
            raise ValueError(
                f"--method={method} does not use --{holder.name}: leave it out, or use --method={' or '.join(used)}"
            )
    for holder, lowest, highest in _RANGES:
        _check_range(holder, lowest, highest)
    if _ABLATION.value == "alpha_plus_beta_one" and (
        _NORMALISATION.value not in (None, "rectified") or _SCOPE.value not in (None, "joint")
    ):
        raise ValueError(
            "--l2b_ablation=alpha_plus_beta_one fixes the normalisation: leave --l2b_normalisation and --l2b_scope out"
        )
    if _TEMPERATURE.value is not None and _NORMALISATION.value != "softmax":
        raise ValueError("--l2b_temperature is only used with --l2b_normalisation=softmax")
    if _KEPT.value is not None and _POSITIVE.value is not None:
        raise ValueError("--kept_share and --positive_label both say how many samples are kept: give one of them")
    if _OUTLIERS.value is not None and _BASELINE.value is None:
        raise ValueError("--transition_outlier_share is of an estimate: give --baseline_run, or leave it out")
    if _MATRIX.value is not None and _BASELINE.value is not None:
        raise ValueError("--transition_matrix and --baseline_run both give the transition matrix: give one of them")
    if method in _TRANSITION and _MATRIX.value is None and _BASELINE.value is None:
        raise ValueError(
            f"--method={method} needs a transition matrix: give --transition_matrix, or --baseline_run to estimate it"
        )
    names = {name for _, name, _ in _OPTIONS}
    return (
        {name: holder.value for holder, name, _ in given if name in names},
        {name: holder.value for holder, name, _ in given if name not in names},
    )


def _check_range(holder: Any, lowest: tuple[float, bool], highest: tuple[float, bool]) -> None:
    value = holder.value
    if value is None or lowest[0] < value < highest[0] or (value, True) in (lowest, highest):
        return
    limit = f"{'at least' if lowest[1] else 'above'} {lowest[0]:g}"
    if highest[0] < math.inf:
        limit += f" and {'at most' if highest[1] else 'below'} {highest[0]:g}"
    raise ValueError(f"--{holder.name}={value:g} must be {limit}")


def check_run(max_steps: int, weight_decay: float) -> None:
    """Refuses what means nothing together with the flags of run and student.

    Raises:
        ValueError: a warm-up as long as the training, or a decay of the clean loss where nothing decays.
    """
    if _WARMUP.value and _WARMUP.value >= max_steps:
        raise ValueError(
            f"--warmup_steps={_WARMUP.value} leave none of the {max_steps} steps to L2B: use a shorter warm-up"
        )
    if _CLEAN_DECAY.value and not weight_decay:
        raise ValueError("--clean_decay adds the weight decay, which is 0: give --weight_decay, or leave it out")


def check_batches(method: str, balanced_batches: bool) -> None:
    """Refuses to correct the sizes of the classes twice.

    Raises:
        ValueError: balanced batches for a method that weighs classes by their sizes.
    """
    if balanced_batches and method == "class_weights" and _RULE.value != "precision":
        raise ValueError(
            "--balanced_batches draws the classes equally often, and --method=class_weights weighs them as if it did "
            "not: use one of them"
        )


def check_distribution(method: str, strategy: str) -> None:
    """Refuses what a distribution strategy can't do with a method.

    Raises:
        ValueError: a momentum look-ahead, which is the default of l2b, in asynchronous training.
    """
    lookahead = _LOOKAHEAD.value or ("momentum" if method == "l2b" else "none")
    reweighting.check_synchronous(lookahead == "momentum" and strategy == "parameter_server")
