"""All flags of a training script together: parsing, the checked configuration, the replayable record."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn, TypeVar

from absl import flags
from absl.testing import flagsaver

from flags import help as help_text
from flags.define import (
    clean_flags,
    data_flags,
    distribution_flags,
    method_flags,
    presets,
    released_flags,
    run_flags,
    spade_flags,
    student_flags,
)
from flags.define.clean_flags import CleanConfig
from flags.define.data_flags import DataConfig
from flags.define.distribution_flags import DistributionConfig
from flags.define.run_flags import RunConfig
from flags.define.spade_flags import MethodConfig
from flags.define.student_flags import StudentConfig
from mentornet import methods
from mentornet.features import EPOCH_ROWS
from mentornet.options import RunFacts
from mentornet.runs.metrics_table import METRIC_COLUMNS
from mentornet.runs.workdir import Workdir

FLAGS = flags.FLAGS
Made = TypeVar("Made")
MODULES: tuple[ModuleType, ...] = (
    run_flags,
    data_flags,
    student_flags,
    spade_flags,
    method_flags,
    clean_flags,
    distribution_flags,
    released_flags,
)


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
        if self.data.validation == "none":
            return columns
        evaluated = [name for name in columns if name.startswith("eval_")]
        return columns + tuple(name.replace("eval_", "eval_validation_", 1) for name in evaluated)

    def steps_per_epoch(self, examples: int) -> int:
        """Batches that make an epoch of so many training samples."""
        return min(max(1, examples // self.data.batch_size), self.data.max_batches_per_epoch or examples)

    def resolved(self, examples: int) -> Config:
        """The same with its length in steps, which --num_epochs leaves to the number of training samples."""
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
            boundaries = student_flags.default_boundaries(student.name, steps)
            student = dataclasses.replace(student, learning_rate_boundaries=boundaries)
        return dataclasses.replace(self, run=run, student=student)

    def of_run(self, workdir: Workdir) -> Config:
        """The same as a run in a folder resolved it, without its data.

        Raises:
            RunFolderError: the folder does not hold the labels it was trained on.
        """
        return self if self.run.num_epochs is None else self.resolved(len(workdir.read_labels()["given"]))

    def _counted(self, epoch: int) -> Config:
        """The same of a method that counts in epochs: no length in steps, boundaries of the rate in epochs."""
        assert self.run.num_epochs is not None
        student = self.student
        if student.learning_rate_boundaries is None:
            halfway = student_flags.default_epoch_boundaries(self.run.num_epochs)
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
            *(() if data["dataset_name"] == "folder" else ("data_dir",)),
        ):
            del data[irrelevant]
        _forget_defaults(data, noise_variant="paper", noise_class=None, max_batches_per_epoch=None, validation="none")
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
        _forget_defaults(student, auxiliary_head=False, learning_rate_schedule="steps", optimizer="sgd")
        _forget_defaults(student, linear_decay_epoch=None, adam_beta1=0.9, adam_beta1_after_decay=None)
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


def config() -> Config:
    """The configuration of the parsed flags.

    Raises:
        ValueError: values out of range or flags that contradict each other.
    """
    _check_numbers()
    released_flags.check()
    run = run_flags.run_config()
    preset = presets.get(run.preset)
    method = spade_flags.method_config(preset)
    distribution = distribution_flags.distribution_config(run.mode, run.device_id)
    kind = methods.get(method.name)
    if kind.counts_epochs:
        _check_counted(method.name, run)
    student = student_flags.student_config(
        preset, run.max_steps, kind.takes_auxiliary_head, kind.RELEASE, method.name == methods.PLAIN
    )
    data = data_flags.data_config(run.seed, presets.of_student(preset.augmentation, student.name))
    clean = clean_flags.clean_config(method.name, data.dataset_name, method.options, data.validation)
    asynchronous = distribution.strategy == "parameter_server"
    if asynchronous and kind.peers > 1:
        raise ValueError(
            f"--method={method.name} trains {kind.peers} students that choose for each other, which workers that don't "
            "wait for each other can't do: use another strategy than parameter_server"
        )
    staged = {
        "--clean_source=mixture": clean.clean_source == "mixture",
        "--curriculum_update_epochs": method.update_epochs,
    }
    for flag, several in staged.items():
        if asynchronous and several:
            raise ValueError(
                f"{flag} trains in several stages, which workers that don't wait for each other can't do: leave it "
                "out, or use another strategy than parameter_server"
            )
    if asynchronous and kind.counts_epochs:
        raise ValueError(
            f"--method={method.name} looks at all losses after every epoch, for which workers that don't wait for each "
            "other would have to: use another strategy than parameter_server"
        )
    facts = RunFacts(
        run.max_steps,
        student.weight_decay,
        clean.balanced_batches,
        asynchronous,
        student.optimizer,
        run.num_epochs,
    )
    method_flags.check(method.name, method.options, facts)
    return Config(
        run=run,
        data=data,
        student=student,
        method=method,
        distribution=distribution,
        clean=clean,
    )


def _check_counted(method: str, run: RunConfig) -> None:
    """Refuses lengths in steps for a method that counts in epochs, and what is changed by steps."""
    how = f"--method={method} counts in epochs, whose number of steps follows from what it finds in the losses"
    if is_given("max_number_of_steps"):
        raise ValueError(f"{how}: give --num_epochs instead of --max_number_of_steps")
    if run.train_log_dir is not None and run.mode in ("train", "train_and_evaluate") and run.num_epochs is None:
        raise ValueError(f"{how}: give --num_epochs")
    if is_given("eval_every_steps"):
        raise ValueError(f"{how}, and is evaluated at the end of each: leave --eval_every_steps out")
    if is_given("adam_beta1_after_decay"):
        raise ValueError(f"{how}; Adam's beta1 changes by steps: leave --adam_beta1_after_decay out")


def _check_numbers() -> None:
    """Refuses NaN and infinity, which pass many a comparison with a limit."""
    for name, value in FLAGS.flag_values_dict().items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"--{name}={value:g} must be a finite number")


def parse_command_line(
    argv: Sequence[str],
    make: Callable[[], Config] = config,
    modules: Sequence[ModuleType] = MODULES,
) -> list[str]:
    """absl's ``flags_parser`` for the scripts: parses, checks, and answers a mistake with one line and exit code 2."""
    script = os.path.basename(argv[0])
    if help_text.asked_for(argv):
        print(help_text.text(sys.modules["__main__"].__doc__ or "", modules), end="")
        raise SystemExit(0)
    try:
        _parse(argv)
        make()
    except (flags.Error, ValueError, OSError) as error:
        fail(script, error)
    return [argv[0]]


def fail(script: str, error: BaseException, code: int = 2) -> NoReturn:
    """Ends the process with one sentence on stderr."""
    print(f"{script}: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def parse(argv: Sequence[str], make: Callable[[], Config] = config, modules: Sequence[ModuleType] = MODULES) -> Config:
    """The configuration of a command line (program name first), leaving the process' own flags as they are.

    Raises:
        ValueError, absl.flags.Error: the same as on the command line.
    """
    return made_of(argv, make, modules)


def made_of(argv: Sequence[str], make: Callable[[], Made], modules: Sequence[ModuleType]) -> Made:
    """What ``make`` makes of the flags of a command line, see ``parse``."""
    with flagsaver.flagsaver():
        FLAGS.unparse_flags()
        for module in modules:
            for flag in FLAGS.get_flags_for_module(module):
                flag.unparse()
        _parse(argv)
        return make()


def _parse(argv: Sequence[str]) -> None:
    leftover = FLAGS(list(argv))[1:]
    if leftover:
        raise ValueError(
            f"unexpected argument {leftover[0]!r}: write flags as --name=value, booleans as --name or --noname"
        )


def flagfile_text(checked: Config) -> str:
    """The flags that were given, as a flagfile that replays the run, and behind # the values everything resolved to."""
    given = sorted(
        (flag for module in checked.flag_modules() for flag in FLAGS.get_flags_for_module(module) if flag.present),
        key=lambda flag: flag.name,
    )
    lines = [flag.serialize() for flag in given]
    resolved = json.dumps(checked.identity(), sort_keys=True, indent=1)
    return "\n".join([*(line for line in lines if line), *("# " + line for line in resolved.splitlines()), ""])


def is_given(name: str) -> bool:
    """Whether the command line or a flag file sets the flag."""
    return name in FLAGS and bool(FLAGS[name].present)
