"""The cells of a table as jobs of a cluster: one command a cell, an array job for Slurm, an Indexed Job for Kubernetes.

Every job is this project's own command for one cell and seed. So locks, resuming and what a cell needs first are the
same as on one machine, and jobs may be started again, or twice, without harm; all they need is one folder for all.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.reproduction.jobs import RECORDS, Job
from scripts.tables.recipe_files import ROOT

PLACES = ("output", "data_dir", "ilsvrc_dir")
_KUBERNETES = """\
# kubectl apply -f this file, once for all cells and again for those that failed.
# Needed: an image with this repository and its environment as its working folder, and a PersistentVolumeClaim called
# mentornet (ReadWriteMany), which is mounted as /mentornet: give --output and --data_dir there.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  jobs.txt: |
{lines}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  completionMode: Indexed
  completions: {count}
  parallelism: {parallel}
  backoffLimitPerIndex: 3
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: cell
          image: {image}
          command: ["sh", "-c", "eval \\"exec $(sed -n $((JOB_COMPLETION_INDEX + 1))p /jobs/jobs.txt)\\""]
          volumeMounts:
            - name: jobs
              mountPath: /jobs
            - name: mentornet
              mountPath: /mentornet
      volumes:
        - name: jobs
          configMap:
            name: {name}
        - name: mentornet
          persistentVolumeClaim:
            claimName: mentornet
"""


def command(given: argparse.Namespace, job: Job, more: Sequence[str], python: str = "python") -> list[str]:
    """The command that makes one cell with one seed."""
    data = [f"--{name}={value}" for name in PLACES[1:] if (value := getattr(given, name)) is not None]
    return [
        python,
        "scripts/reproduce.py",
        "run",
        given.table,
        f"--scale={given.scale}",
        f"--cells={job.cell.stem}",
        f"--seeds={','.join(map(str, job.retrained or (job.seed,)))}",
        f"--output={given.output}",
        *data,
        *more,
    ]


def hand_out(given: argparse.Namespace, jobs: Sequence[Job], more: Sequence[str]) -> None:
    """Prints or submits the jobs of a command line; finished cells are left out.

    Raises:
        ValueError: nothing is left to do, a mistake in the options, or no Slurm.
    """
    left = [job for job in jobs if not job.finished]
    for job in jobs:
        job.check_settings()
    if not left:
        raise ValueError(f"all {len(jobs)} cells are finished")
    if given.slurm:
        commands = [command(_absolute(given), job, more, sys.executable) for job in left]
        submitted = submit(commands, given.output.resolve() / RECORDS / "slurm", options(given.slurm_options))
        print(f"submitted {len(submitted)} tasks: {submitted[0].job_id} and on; logs in {submitted[0].paths.folder}")
        return
    commands = [command(given, job, more) for job in left]
    if given.kubernetes:
        print(manifest(given.table, commands, given.image, given.processes), end="")
    else:
        print("\n".join(shlex.join(one) for one in commands))


def _absolute(given: argparse.Namespace) -> argparse.Namespace:
    """With paths that hold from any folder."""
    places = {name: Path(value).resolve() for name in PLACES if (value := getattr(given, name)) is not None}
    return argparse.Namespace(**{**vars(given), **places})


def manifest(table: str, commands: Sequence[Sequence[str]], image: str, parallel: int = 1) -> str:
    """An Indexed Job that runs one command a pod, ``parallel`` at a time."""
    return _KUBERNETES.format(
        name=f"mentornet-{re.sub('[^a-z0-9]+', '-', table.lower())}",
        lines="\n".join(f"    {shlex.join(one)}" for one in commands),
        count=len(commands),
        parallel=max(1, parallel),
        image=json.dumps(image),
    )


def options(text: str) -> dict[str, Any]:
    """key=value,... as the parameters of submitit; whole numbers become numbers.

    Raises:
        ValueError: a part has no "=".
    """
    found: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"--slurm_options={text}: expected key=value,... such as timeout_min=600,gpus_per_node=1")
        found[name.strip()] = int(value) if value.strip().isdecimal() else value.strip()
    return found


def submit(
    commands: Sequence[Sequence[str]], folder: Path, parameters: dict[str, Any], cluster: str = "slurm"
) -> list[Any]:
    """Submits an array job with a task a command; returns submitit's jobs.

    Args:
        commands: one a task, run from the repository's root.
        folder: of the scripts and logs that submitit writes.
        parameters: of submitit, as ``timeout_min`` and ``slurm_partition``.
        cluster: "slurm"; "local" and "debug" are submitit's own for trying without one.

    Raises:
        ValueError: submitit or Slurm is missing, or refuses a parameter.
    """
    try:
        import submitit
    except ImportError:
        raise ValueError("--slurm needs submitit: pip install submitit (the extra slurm)") from None
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(name="mentornet", **({"timeout_min": 24 * 60} | parameters))
        with executor.batch():
            return [
                executor.submit(submitit.helpers.CommandFunction(list(one), verbose=False, cwd=ROOT))
                for one in commands
            ]
    except (RuntimeError, NameError, TypeError, OSError) as error:
        raise ValueError(f"--slurm: {' '.join(str(error).split())}") from None
