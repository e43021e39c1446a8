"""All flags of a training script together: parsing, the checked configuration, the replayable record."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NoReturn, TypeVar

from absl import flags
from absl.testing import flagsaver

from flags import help as help_text
from flags import mistakes
from flags.define import (
    clean_flags,
    data_flags,
    distribution_flags,
    mask_flags,
    method_flags,
    presets,
    released_flags,
    run_flags,
    spade_flags,
    student_flags,
)
from flags.define.run_flags import RunConfig
from flags.settings import MODULES, Config
from mentornet import methods
from mentornet.methods.keep_schedule import MOVING, is_moving
from mentornet.methods.selection import KEEP_SCHEDULE
from mentornet.options import RunFacts
from mentornet.search import weight_sharing

MOVING[weight_sharing.KIND] = weight_sharing.made_of  # methods know nothing of searches

FLAGS = flags.FLAGS
Made = TypeVar("Made")


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
    masks = data_flags.names_masks()
    student = student_flags.student_config(
        preset,
        run.max_steps,
        kind.takes_auxiliary_head,
        kind.RELEASE,
        method.name == methods.PLAIN,
        "segmentation" if masks else "classification",
        data_flags.names_folder(),
    )
    data = data_flags.data_config(run.seed, presets.of_student(preset.augmentation, student.name))
    if masks:
        mask_flags.check_run(data.dataset_name, run.mode, method, distribution)
    clean = clean_flags.clean_config(method.name, data.dataset_name, method.options, data.validation, masks)
    moving = is_moving(method.options.get(KEEP_SCHEDULE.name))
    if moving and (data.validation == "none" or run.mode != "train_and_evaluate"):
        raise ValueError(
            f"--keep_schedule={weight_sharing.KIND}:... goes by the validation accuracy at every evaluation: give "
            "--validation=test_half, noisy_holdout or clean_set, and no --mode"
        )
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
    if student.cosine_epochs is not None and not kind.counts_epochs:
        raise ValueError(
            f"--cosine_epochs is of methods that count in epochs, not of --method={method.name}: leave it out"
        )
    if asynchronous and kind.counts_epochs:
        raise ValueError(
            f"--method={method.name} looks at all losses after every epoch, for which workers that don't wait for each "
            "other would have to: use another strategy than parameter_server"
        )
    if method.options.get("loss_percentile") == spade_flags.AUTO and distribution.strategy != "one_device":
        raise ValueError(
            f"--loss_p_percentile=auto trains on one device first, but --distribution_strategy={distribution.strategy} "
            "has more: estimate by --mode=estimate from a plain run, and give the number"
        )
    facts = RunFacts(
        run.max_steps,
        student.weight_decay,
        clean.balanced_batches or clean.balanced_epochs,
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
    parsed = FLAGS.is_parsed()
    try:
        with flagsaver.flagsaver():
            FLAGS.unparse_flags()
            for module in modules:
                for flag in FLAGS.get_flags_for_module(module):
                    flag.unparse()
            _parse(argv)
            return make()
    finally:
        if parsed:
            FLAGS.mark_as_parsed()  # the flagsaver doesn't, and absl asks for its own flags when a script ends


def _parse(argv: Sequence[str]) -> None:
    try:
        leftover = FLAGS(list(argv))[1:]
    except flags.IllegalFlagValueError as error:
        raise mistakes.explained(error) from None
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
