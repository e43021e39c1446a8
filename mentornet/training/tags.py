"""What TensorBoard shows of a run: curves in groups, each with a line of explanation, and the sheet of suspects."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

_GROUPS = {
    "accuracy": ("eval_accuracy", "eval_top5", "train_accuracy", "holdout_accuracy", "eval_validation_accuracy"),
    "dice": ("eval_dice_cases", "eval_dice_slices"),
    "loss": ("raw_loss", "weighted_loss", "eval_loss", "loss_percentile", "holdout_loss", "eval_validation_loss"),
    "weights": (
        *("weight_sum", "data_utilisation", "weights_auc", "kept_precision", "weight_mean_clean", "weight_mean_wrong"),
        "drop_rate",
    ),
    "schedule": ("learning_rate", "epoch_percent", "seconds"),
}
_ABOUT = {
    "eval_accuracy": "Share of the evaluation images whose label is predicted.",
    "eval_dice_cases": "Dice of the foreground of the test cases as volumes, at the size that the student sees.",
    "eval_dice_slices": "The same, of single slices.",
    "train_accuracy": "Share of the training images whose given label is predicted; beyond the share of right labels "
    "it can only come from memorising wrong ones.",
    "raw_loss": "Mean loss on the given labels before weighting. With a working curriculum it rises or stays high, "
    "because wrong labels are no longer fitted.",
    "weighted_loss": "Mean loss on the given labels, each times its weight.",
    "eval_loss": "Mean loss on the evaluation images.",
    "loss_percentile": "The moving percentile of the losses that the curriculum compares with.",
    "weight_sum": "Sum of the weights of a mini-batch.",
    "data_utilisation": "Share of the samples whose weight is above 0.001.",
    "weights_auc": "How well weights separate right from wrong labels: 0.5 not at all, 1 perfectly.",
    "kept_precision": "Share of right labels among the samples that count.",
    "weight_mean_clean": "Mean weight of samples with right labels.",
    "weight_mean_wrong": "Mean weight of samples with wrong labels.",
    "drop_rate": "Share of the samples that are dropped at random.",
    "learning_rate": "Of the student.",
    "epoch_percent": "How much of the training is done.",
    "seconds": "Time spent in training steps, over all starts; without evaluations and between stages.",
}


def tag(column: str) -> str:
    """The tag of a column of metrics.csv: its group and its name; columns of methods are in the group "method"."""
    group = next((name for name, columns in _GROUPS.items() if column in columns), "method")
    return f"{group}/{column}"


def description(column: str) -> str | None:
    """One sentence about a column; None for those of methods."""
    return _ABOUT.get(column)


def show_suspects(events: Path, sheet: Path, step: int) -> None:
    """Adds the sheet of suspects, a PNG, to a run's TensorBoard events."""
    if not sheet.is_file():
        return
    picture = tf.io.decode_png(tf.io.read_file(str(sheet)), channels=3)
    about = "The training images whose labels are most likely wrong."
    writer = tf.summary.create_file_writer(str(events))
    with writer.as_default():
        tf.summary.image("suspects", picture[tf.newaxis], step=step, description=about)
    writer.close()
