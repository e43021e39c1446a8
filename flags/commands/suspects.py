"""Suspects of a run that was interrupted, from its newest checkpoint: --mode=suspects.

``python -m mentornet.reports RUN`` starts this where a run has checkpoints but no samples.csv.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flags.build import in_memory
from flags.commands import making
from flags.settings import Config
from mentornet import files, students
from mentornet.runs.workdir import Workdir
from mentornet.training import checkpoints, run
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.progress import Heartbeat


def write(config: Config, build: Any = in_memory) -> None:
    """Writes samples.csv and suspects.png of the run in ``--train_log_dir``, which may go on afterwards.

    Raises:
        ValueError, FileNotFoundError: no run of these settings there, one that has no checkpoint, or that is going on.
    """
    assert config.run.train_log_dir is not None
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
        trainer = making.trainer(config, build, made.loaded, here, build.arguments(config, made.loaded, workdir))
        trainer.method.compile(optimizer=trainer.optimizer)
        step = checkpoints.Checkpoints(workdir.checkpoints, trainer.method, config.run.keep_checkpoints).restore()
        heartbeat.doing("looking for suspects among all training images", aloud=False)
        count = len(made.inputs.given)
        weights, probabilities = run.mean_weights(trainer.method, count), run.mean_probabilities(trainer.method, count)
        student = students.plain_copy(trainer.method.student)
        facts = making.facts(config, made.loaded, here)
        run.finish(
            student,
            weights,
            made.inputs,
            workdir,
            facts,
            mean_probability=probabilities,
            by_weight=trainer.method.weights_rank_suspects,
            suspects_only=True,
        )
    finally:
        heartbeat.stop()
    print(f"{workdir.samples_file} and {workdir.suspects_file} are of step {step:,}; the run can go on")
