"""Which command lines of scripts/reproduce.py are refused before anything starts, each with one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mentornet import files
from scripts.reproduction.jobs import Job

_INSTEAD = {"seed": "--seeds", "retrain_seeds": "--seeds", "train_log_dir": "--output"}
_TRAINING_SCRIPTS = ("train_cifar.py", "train_imagenet.py", "scripts/search_schedule.py")


def check_places(given: argparse.Namespace, default_output: Path) -> None:
    """Refuses options that nothing uses, an Indexed Job whose pods would find nothing, and a folder none can make.

    Raises:
        ValueError: one of them.
    """
    if given.image is not None and not given.kubernetes:
        raise ValueError("--image is the container of --kubernetes: leave it out")
    if given.slurm_options and not given.slurm:
        raise ValueError("--slurm_options are those of --slurm: leave them out")
    if given.kubernetes:
        places = {"output": given.output == default_output, "image": not given.image, "data_dir": not given.data_dir}
        missing = [f"--{name}" for name, default in places.items() if default]
        if missing:
            raise ValueError(f"--kubernetes needs the places as its pods see them: give {', '.join(missing)}, too")
    elif not given.print_jobs:
        with files.explained(given.output):
            given.output.mkdir(parents=True, exist_ok=True)


def check_more(more: Sequence[str], jobs: Sequence[Job]) -> None:
    """Refuses further flags that this command decides itself, or that no script of these trainings has.

    Raises:
        ValueError: one of them.
    """
    names = {flag.lstrip("-").partition("=")[0]: flag for flag in more}
    for name, instead in _INSTEAD.items():
        if name in names and (name != "retrain_seeds" or any(job.cell.tuned for job in jobs)):
            raise ValueError(f"{names[name]} is not taken: give {instead}, which names the folders of the runs, too")
    scripts = {"train_cifar.py" if job.cell.inner else job.cell.script for job in jobs}
    if not names or not scripts <= {*_TRAINING_SCRIPTS}:
        return  # some are of a script whose flags only it knows
    known = _flags_of(scripts)
    unknown = [flag for name, flag in names.items() if name not in known and name.removeprefix("no") not in known]
    if unknown:
        raise ValueError(f"{unknown[0]}: neither reproduce.py nor {' or '.join(sorted(scripts))} has such a flag")


def _flags_of(scripts: set[str]) -> set[str]:
    from mentornet import quiet

    quiet.start_tensorflow()  # takes seconds: only where flags are given

    from absl import flags as absl_flags

    from flags import configuration
    from flags.define import imagenet_flags

    modules = list(configuration.MODULES)
    if "train_imagenet.py" in scripts:
        modules = list(imagenet_flags.MODULES)
    if "scripts/search_schedule.py" in scripts:
        from flags.define import search_flags

        modules = [*modules, *search_flags.MODULES]
    return {flag.name for module in modules for flag in absl_flags.FLAGS.get_flags_for_module(module)} | {"flagfile"}
