"""Suspects of a run that was interrupted: the training script makes them from the last checkpoint.

It needs the images, so it is the script that is started, with the flags of the run. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from mentornet import files
from mentornet.runs.workdir import Workdir

_ROOT = Path(__file__).resolve().parents[2]
_SCRIPTS = ("train_cifar.py", "train_imagenet.py")


def make_suspects(path: str | os.PathLike[str]) -> str | None:
    """Makes samples.csv and suspects.png where an unfinished run has checkpoints and no newer suspects.

    Returns:
      What was done, or why it has to wait, in one sentence; None if there was nothing to do.

    Raises:
      RunFolderError: the suspects could not be made.
    """
    workdir = Workdir(path)
    if not workdir.is_run_folder() or workdir.finished():
        return None
    newest = max((file.stat().st_mtime for file in workdir.checkpoints.glob("ckpt-*.index")), default=None)
    if newest is None or (workdir.samples_file.is_file() and workdir.samples_file.stat().st_mtime >= newest):
        return None
    if files.in_use(workdir.path):
        return f"{workdir.path} is still training; its suspects come at its end, or here once it has been interrupted"
    record = workdir.read_run()
    started = record.get("command") or ""
    script = _ROOT / (_SCRIPTS[1] if _SCRIPTS[1] in started else _SCRIPTS[0])
    flags = [
        f"--flagfile={workdir.flags_file.resolve()}",
        "--mode=suspects",
        f"--train_log_dir={workdir.path.resolve()}",
        "--noshow_progress",
    ]
    by_hand = shlex.join(["python", script.name, *flags[:3]])
    if not script.is_file():
        raise files.RunFolderError(
            f"{workdir.path} is not finished; in a checkout, {by_hand} makes its suspects from the last checkpoint"
        )
    # Paths among the flags count from where the run was started.
    folder = record.get("folder") or ""
    there = folder if folder and Path(folder).is_dir() else None
    done = subprocess.run([sys.executable, str(script), *flags], cwd=there, capture_output=True, text=True)
    said = [line for line in (done.stderr if done.returncode else done.stdout).splitlines() if line.strip()]
    if done.returncode:
        why = said[-1].partition(": ")[2] if said else f"exit status {done.returncode}"
        raise files.RunFolderError(f"{workdir.path} is not finished, and its suspects could not be made: {why}")
    return f"{workdir.path} is not finished: {said[-1] if said else 'its suspects are those of the last checkpoint'}"
