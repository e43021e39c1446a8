"""Suspects of a run that was interrupted, from its newest checkpoint: --mode=suspects.

``python -m mentornet.reports RUN`` starts this where a run has checkpoints but no samples.csv.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flags.build import in_memory, segmentation
from flags.commands import estimating, making
from flags.settings import Config
from mentornet import files, students
from mentornet.runs.workdir import Workdir
from mentornet.training import checkpoints, finishing
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.progress import Heartbeat


def write(config: Config, build: Any = in_memory) -> None:
    """Writes samples.csv and suspects.png of the run in ``--train_log_dir``, which may go on afterwards.

    Raises:
        ValueError, FileNotFoundError: no run of these settings there, one that has no checkpoint, or that is going on.
    """
    assert config.run.train_log_dir is not None
    if config.data.has_masks:
        build = segmentation
    workdir = Workdir(config.run.train_log_dir, config.metric_columns())
    if not workdir.is_run_folder():
        raise FileNotFoundError(f"{workdir.path} is no run folder: give one that a training has made")
    if workdir.finished():
        raise ValueError(f"{workdir.path} is finished and has its suspects in {workdir.samples_file}")
    checkpoints.newest(workdir.checkpoints)
    files.lock(workdir.path)
    here, heartbeat = Distribution(), Heartbeat(shows=config.run.show_progress)
    try:
        made = making.data(config, build, here, heartbeat)
        config = dataclasses.replace(
            made.config, run=dataclasses.replace(made.config.run, mode=workdir.read_run()["identity"]["mode"])
        )
        workdir.check_identity(config.identity())
        config = estimating.as_estimated(config, workdir)
        trainer = making.trainer(config, build, made.loaded, here, build.arguments(config, made.loaded, workdir))
        trainer.method.compile(optimizer=trainer.optimizer)
        step = checkpoints.Checkpoints(workdir.checkpoints, trainer.method, config.run.keep_checkpoints).restore()
        heartbeat.doing("looking for suspects among all training images", aloud=False)
        told = finishing.sample_records(trainer.method, len(made.inputs.given))
        student = students.plain_copy(trainer.method.student)
        facts = making.facts(config, made.loaded, here)
        finishing.finish(student, told, made.inputs, workdir, facts, suspects_only=True)
    finally:
        heartbeat.stop()
    print(f"{workdir.samples_file} and {workdir.suspects_file} are of step {step:,}; the run can go on")
