"""One run as plain values, and what of these makes it the run it is."""

from __future__ import annotations

import dataclasses
import itertools
from types import ModuleType
from typing import Any

from flags.define import (
    clean_flags,
    data_flags,
    distribution_flags,
    mask_flags,
    method_flags,
    released_flags,
    run_flags,
    spade_flags,
    student_flags,
    student_settings,
)
from flags.define.clean_flags import CleanConfig
from flags.define.data_flags import DataConfig
from flags.define.distribution_flags import DistributionConfig
from flags.define.run_flags import RunConfig
from flags.define.spade_flags import MethodConfig
from flags.define.student_settings import StudentConfig
from mentornet import methods
from mentornet.features import EPOCH_ROWS
from mentornet.runs.metrics_table import MASK_COLUMNS, METRIC_COLUMNS
from mentornet.runs.workdir import Workdir

MODULES: tuple[ModuleType, ...] = (
    run_flags,
    data_flags,
    mask_flags,
    student_flags,
    spade_flags,
    method_flags,
    clean_flags,
    distribution_flags,
    released_flags,
)
"""Where the flags of the scripts are defined."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One run as plain values."""

    run: RunConfig
    data: DataConfig
    student: StudentConfig
    method: MethodConfig
    distribution: DistributionConfig
    clean: CleanConfig

    def metric_columns(self) -> tuple[str, ...]:
        """Columns of metrics.csv: those of all runs, then the method's own."""
        columns = METRIC_COLUMNS + methods.get(self.method.name).metric_columns()
        if self.data.has_masks:
            return columns + MASK_COLUMNS
        if self.data.validation == "none":
            return columns
        evaluated = [name for name in columns if name.startswith("eval_")]
        return columns + tuple(name.replace("eval_", "eval_validation_", 1) for name in evaluated)

    def steps_per_epoch(self, examples: int) -> int:
        """Batches that make an epoch of so many training samples."""
        return min(max(1, examples // self.data.batch_size), self.data.max_batches_per_epoch or examples)

    def resolved(self, examples: int) -> Config:
        """The same with its length in steps, which --num_epochs leaves to the number of training samples.

        Where there are fewer samples than a batch takes, batches have the largest power of two that there is.
        """
        if examples < self.data.batch_size:
            return self._in_smaller_batches(examples).resolved(examples)
        if self.run.num_epochs is None:
            return self
        epoch = self.steps_per_epoch(examples)
        if methods.get(self.method.name).counts_epochs:
            return self._counted(epoch)
        steps, student = self.run.num_epochs * epoch, self.student
        run = dataclasses.replace(
            self.run, max_steps=steps, eval_every_steps=min(steps, self.run.eval_every_steps or epoch)
        )
        if student.learning_rate_boundaries is None:
            boundaries = student_settings.default_boundaries(student.name, steps)
            student = dataclasses.replace(student, learning_rate_boundaries=boundaries)
        return dataclasses.replace(self, run=run, student=student)

    def of_run(self, workdir: Workdir) -> Config:
        """The same as a run in a folder resolved it, without its data.

        Raises:
            RunFolderError: the folder does not hold the labels it was trained on.
        """
        if self.run.num_epochs is None and not workdir.labels_file.is_file():
            return self
        return self.resolved(len(workdir.read_labels()["given"]))

    def _in_smaller_batches(self, examples: int) -> Config:
        """The same with batches that so few samples can fill."""
        smaller = 2 ** (max(1, examples).bit_length() - 1)
        return dataclasses.replace(self, data=dataclasses.replace(self.data, batch_size=smaller))

    def _counted(self, epoch: int) -> Config:
        """The same of a method that counts in epochs: no length in steps, boundaries of the rate in epochs."""
        assert self.run.num_epochs is not None
        student = self.student
        if student.learning_rate_boundaries is None:
            halfway = student_settings.default_epoch_boundaries(self.run.num_epochs)
            student = dataclasses.replace(student, learning_rate_boundaries=halfway)
        return dataclasses.replace(self, run=dataclasses.replace(self.run, eval_every_steps=epoch), student=student)

    def flag_modules(self) -> tuple[ModuleType, ...]:
        """Where the script's flags are defined."""
        return MODULES

    def identity(self) -> dict[str, Any]:
        """The settings that decide the result: two runs with the same ones give the same numbers.

        Synchronous strategies do what one device does, so a run can move between them; asynchronous training differs.
        """
        data = dataclasses.asdict(self.data)
        for irrelevant in (
            "download",
            "human_labels_file",
            *(() if data["dataset_name"] in ("folder", "mask_folder") else ("data_dir",)),
        ):
            del data[irrelevant]
        _forget_defaults(data, noise_variant="paper", noise_class=None, max_batches_per_epoch=None, validation="none")
        _forget_defaults(data, held_out_tenth=None)
        data |= data.pop("mask_options")
        run = {
            name: getattr(self.run, name)
            for name in (
                "mode",
                "seed",
                "max_steps",
                "eval_every_steps",
                "mixed_precision",
                "jit_compile",
                "deterministic",
            )
        }
        student = dataclasses.asdict(self.student)
        student["studentnet"], student["student_variant"] = student.pop("name"), student.pop("variant")
        if student["student_variant"] in (None, "paper"):
            del student["student_variant"]  # folders made before there was a choice have the paper's
        if student["learning_rate_schedule"] != "inverse":
            del student["inverse_decay_epochs"]
        _forget_defaults(student, auxiliary_head=False, learning_rate_schedule="steps", optimizer="sgd")
        _forget_defaults(student, linear_decay_epoch=None, adam_beta1=0.9, adam_beta1_after_decay=None)
        _forget_defaults(student, cosine_epochs=None, lowest_learning_rate=0.0)
        if self.run.num_epochs is not None:
            run["num_epochs"] = self.run.num_epochs
            _forget_defaults(run, max_steps=None, eval_every_steps=0)
            _forget_defaults(student, learning_rate_boundaries=None)
        method = {
            "method": self.method.name,
            "curriculum": self.method.curriculum,
            "fixed_label": self.method.fixed_label,
        }
        asynchronous = {"asynchronous": True} if self.distribution.strategy == "parameter_server" else {}
        clean = {
            name: value for name, value in dataclasses.asdict(self.clean).items() if value not in (None, 0, "none")
        }
        if not self.clean.holdout_examples or clean["holdout_criterion"] == "accuracy":
            del clean["holdout_criterion"]  # folders made before it was a setting went by the accuracy
        own = {name: _compact(value) for name, value in self.method.options.items()}
        if self.method.update_epochs:
            own |= {
                "curriculum_update_epochs": list(self.method.update_epochs),
                "mentor_examples": self.method.mentor_examples,
                "mentor_steps": self.method.mentor_steps,
            }
        return {**run, **data, **student, **method, **own, **clean, **asynchronous}


def _forget_defaults(settings: dict[str, Any], **defaults: Any) -> None:
    """Leaves out younger settings at their defaults, so that folders made before they existed stay what they are."""
    for name, default in defaults.items():
        if settings[name] == default:
            del settings[name]


def _compact(value: Any) -> Any:
    """A table over the 100 epochs as value,epochs,... like the flags write it; anything else as it is."""
    if not isinstance(value, tuple) or len(value) != EPOCH_ROWS:
        return value
    runs = [(number, len(list(group))) for number, group in itertools.groupby(value)]
    return ",".join(f"{number:g},{epochs}" for number, epochs in runs)
