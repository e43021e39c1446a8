"""What is refused before the data is read, which can take minutes: places to write to, and files that flags name."""

from __future__ import annotations

from pathlib import Path

from data import corrections, label_files
from flags.build import first_run
from flags.define.clean_flags import suspects_of
from flags.settings import Config
from mentornet.options import NO_RUN
from mentornet.runs.workdir import Workdir


def check(config: Config, workdir: Workdir) -> None:
    """Refuses what a training would stumble over once it has its data.

    Raises:
        RunFolderError: a run folder that can't be made or written to, or that is another run's.
        FileNotFoundError, ValueError: a file or a run that is not there, or not what it should be.
    """
    workdir.check_place()
    if workdir.is_run_folder() and workdir.labels_file.is_file():  # which tell the length of a run in epochs
        workdir.check_identity(config.of_run(workdir).identity())
    for file in (config.data.labels_file, config.clean.clean_labels_file):
        if file is not None:
            label_files.require(Path(file).expanduser())
    if config.clean.corrections_file is not None:
        corrections.check(config.clean.corrections_file)
    if config.clean.leave_out_suspects is not None:
        count, folder = suspects_of(config.clean.leave_out_suspects)
        first_run.suspects(folder, count, has_paths=False)
    if workdir.is_run_folder():  # a run that goes on has kept what it took from another one, which may be gone
        return
    for name in ("baseline_run", "pretrained_run"):
        run = config.method.options.get(name)
        if run and run != NO_RUN and not str(run).endswith(".keras"):
            first_run.finished(run, name)
