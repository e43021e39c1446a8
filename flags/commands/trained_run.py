"""What a command that uses a run takes over from its folder: --mode=evaluate, dump_losses, estimate."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from flags import configuration
from flags.define import mask_flags, presets, student_flags
from flags.define.data_flags import DataConfig
from flags.settings import Config
from mentornet.runs.workdir import Workdir
from mentornet.training import run

# What an evaluation takes over from the run; data_dir is in its folder only where it says which images these are.
_DATA_OF_A_RUN = (
    "dataset_name",
    "data_dir",
    "image_size",
    "train_examples",
    "augmentation",
    "background_class",
    "batch_size",
    "max_batches_per_epoch",
    "preprocessing",
    "held_out_tenth",
)


def folders(config: Config) -> tuple[Path, Path]:
    """(folder with the checkpoints, run folder) of an evaluation."""
    given = Path(config.run.checkpoint_dir or config.run.train_log_dir or "")
    folder = run.checkpoint_folder(given)
    return folder, folder.parent if folder.name == "checkpoints" else given


def labels_of(run_folder: Path) -> Path | None:
    """The labels a run trained on, if its folder is at hand."""
    file = Workdir(run_folder).labels_file
    return file if file.is_file() else None


def as_trained(config: Config, run_folder: Path) -> Config:
    """The configuration with the student, length and, where no flag says otherwise, data of the run, if it is known.

    Raises:
        ValueError: a flag names another student or method than the run has, or a mode that is not for its data.
    """
    workdir = Workdir(run_folder)
    if not workdir.is_run_folder():
        return config
    trained = workdir.read_run()["identity"]
    same_method = not configuration.is_given("method") or trained.get("method") in (None, config.method.name)
    for name, fits in (("studentnet", student_flags.may_name(trained.get("studentnet", ""))), ("method", same_method)):
        if not fits:
            raise ValueError(f"the run in {run_folder} has --{name}={trained[name]}: leave the flag out")
    name = trained.get("studentnet", config.student.name)
    student = dataclasses.replace(
        config.student,
        name=name,
        dropout_keep_probability=trained.get("dropout_keep_probability", config.student.dropout_keep_probability),
        auxiliary_head=trained.get("auxiliary_head", False),
        variant=trained.get("student_variant", presets.PAPER.student_variant.get(name)),
    )
    epochs = trained.get("num_epochs")
    steps = None if epochs else trained.get("max_steps", config.run.max_steps)
    run_config = dataclasses.replace(config.run, max_steps=steps, num_epochs=epochs)
    data = {name: trained[name] for name in _DATA_OF_A_RUN if name in trained and not configuration.is_given(name)}
    method = dataclasses.replace(config.method, name=trained.get("method", config.method.name))
    changed = dataclasses.replace(config.data, **data)
    if changed.has_masks:
        mask_flags.check_mode(changed.dataset_name, config.run.mode)
        changed = _with_masks(changed, trained)
    return dataclasses.replace(config, student=student, run=run_config, method=method, data=changed)


def _with_masks(data: DataConfig, trained: dict[str, Any]) -> DataConfig:
    """The data with the run's masks: they, and generated cases and held-out ones, follow from settings and a seed."""
    options = {
        name: tuple(map(float if name == "spacing" else int, value)) if isinstance(value, list) else value
        for name, value in trained.items()
        if name in mask_flags.OPTIONS
    }
    seed = data.noise_seed if configuration.is_given("noise_seed") else trained.get("noise_seed", data.noise_seed)
    return dataclasses.replace(data, mask_options=options | dict(data.mask_options), noise_seed=seed)
