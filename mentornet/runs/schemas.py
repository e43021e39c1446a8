"""What the files of a run folder may hold, for `mentornet.reading`: types and ranges of what a reader relies on.

Other entries may be there, because methods add their own; they are only kept, compared or shown. Nothing here imports
TensorFlow.
"""

from __future__ import annotations

from mentornet.reading import LARGEST_WHOLE, Schema, Value

_NAME = Value(str, longest=4096)
_COUNT = Value(int, 0, LARGEST_WHOLE)
_NUMBER = Value(float)
_SHARE = Value(float, 0, 1)
_LABEL = Value(int, 0, 2**31 - 1)

RUN: Schema = {
    "identity": Value(dict),
    "resumed": Value(list),
    "command": Value(str),
    "folder": _NAME,
    "versions": Value(dict),
}
"""run.json."""

IDENTITY: Schema = {
    **dict.fromkeys(("method", "curriculum", "noise_type", "labels_file", "baseline_run", "mode"), _NAME),
    **dict.fromkeys(("dataset_name", "dataset", "data_dir", "studentnet", "student", "augmentation"), _NAME),
    **dict.fromkeys(("max_steps", "max_number_of_steps", "num_epochs", "train_examples", "image_size"), _COUNT),
    **dict.fromkeys(("batch_size", "max_batches_per_epoch", "noise_class", "eval_every_steps"), _COUNT),
    **dict.fromkeys(("seed", "noise_seed"), Value(int)),
    **dict.fromkeys(("noise_fraction", "noise_rate", "burn_in_epoch", "dropout_keep_probability"), _NUMBER),
    **dict.fromkeys(("auxiliary_head", "background_class"), Value(bool)),
    **dict.fromkeys(("mask_noise", "structures", "cases_from"), _NAME),
    **dict.fromkeys(("num_cases", "mask_values", "spacing"), Value(list)),
    "num_slices": _COUNT,
}
"""The identity in run.json."""

RESULT: Schema = {
    **dict.fromkeys(("steps", "parameters", "train_examples", "accuracy_best_step", "early_stopped_step"), _COUNT),
    **dict.fromkeys(("max_steps", "max_number_of_steps"), _COUNT),
    **dict.fromkeys(("accuracy_last", "accuracy_best", "accuracy_mean_last_10", "accuracy_early_stopped"), _SHARE),
    **dict.fromkeys(("dice_cases_last", "dice_cases_best", "dice_cases_mean_last_10", "dice"), _SHARE),
    **dict.fromkeys(("top5_last", "weights_auc", "suspects_auc", "noise_rate_actual"), _SHARE),
    **dict.fromkeys(("data_utilisation", "steps_per_second", "seconds", "transition_l1_error"), _NUMBER),
    **dict.fromkeys(("noise_fraction", "noise_rate", "burn_in_epoch"), _NUMBER),
    **dict.fromkeys(("method", "curriculum", "dataset", "studentnet", "student", "noise_type", "command"), Value(str)),
    "judged_by": Value(str),
    "seed": Value(int),
    "noise_class": _COUNT,
    "versions": Value(dict),
}
"""result.json."""

LABELS = {
    "given": "given",
    "clean": "given",
    "index": "given",
    "clean_set_index": "clean_set_index",
    "clean_set_label": "clean_set_index",
}
"""The vectors of labels.npz, and which other one each is as long as; all else in it is a fact."""

_STEP = Value(float, 0, 2**53)
_METRICS: Schema = {
    "step": _STEP,
    "epoch_percent": Value(float, 0, 100),
    "seconds": Value(float, 0, 1e12),
    **dict.fromkeys(("train_accuracy", "eval_accuracy", "holdout_accuracy", "weights_auc", "kept_precision"), _SHARE),
    **dict.fromkeys(("eval_dice_slices", "eval_dice_cases"), _SHARE),
}


def metric(name: str) -> Value:
    """What the cells of a column of metrics.csv or holdout.csv may be."""
    return _METRICS.get(name, _NUMBER)


def sample(name: str) -> Value:
    """What the cells of a column of samples.csv may be."""
    if name in ("mean_weight", "loss", "mean_probability"):
        return _NUMBER
    if name.endswith("_name") or name == "path":
        return Value(str, longest=2**16)
    return _LABEL if name.endswith("_label") else _COUNT
