"""What commands of the original release meet here: flags that have no use, and noise that was in its data files."""

from __future__ import annotations

from absl import flags

_MASTER = flags.DEFINE_string("master", None, "Replaced by TF_CONFIG.")
_PS_TASKS = flags.DEFINE_integer("ps_tasks", None, "Replaced by TF_CONFIG.")
_TASK = flags.DEFINE_integer("task", None, "Replaced by TF_CONFIG.")

# Names that the release chose, and that hardly anyone would give who has not read its commands.
_TELLING = (
    "trained_mentornet_dir",
    "loss_p_percentile",
    "loss_p_precentile",
    "burn_in_epoch",
    "fixed_epoch_after_burn_in",
    "loss_moving_average_decay",
    "example_dropout_rates",
    "num_epochs_per_decay",
    "learning_rate_decay_factor",
    "save_summaries_secs",
    "save_interval_secs",
    "device_id",
)
_DECIDE_LABELS = ("noise_type", "noise_fraction", "labels_file")
_DATASETS = ("cifar10", "cifar100")


def about_noise(dataset_name: str) -> str | None:
    """One sentence for a training that looks like the release's and names no noise; None for all others.

    The release injected none: wrong labels were in its data files, which this project does not read.
    """
    given = [name for name in _TELLING if flags.FLAGS[name].present]
    if flags.FLAGS["preset"].value == "release":
        given.append("preset=release")
    decided = any(flags.FLAGS[name].present for name in _DECIDE_LABELS)
    name = dataset_name.removeprefix("tfds:")
    if not given or decided or name not in _DATASETS:
        return None
    return (
        f"--{given[0]} is the release's, whose wrong labels were in its data files, and no flag names any noise: this "
        f"trains on the clean labels of {name}; --noise_type and --noise_fraction inject noise, --labels_file takes "
        "labels (docs/release.md)"
    )


def check() -> None:
    """Refuses the release's cluster flags.

    Raises:
        ValueError: one of them was given.
    """
    given = [f"--{holder.name}" for holder in (_MASTER, _PS_TASKS, _TASK) if holder.present]
    if given:
        raise ValueError(f"{', '.join(given)}: clusters are described by the TF_CONFIG environment variable instead")
