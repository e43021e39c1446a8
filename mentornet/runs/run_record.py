"""Which code ran where: command, commit, versions and machine, for run.json. Nothing here imports TensorFlow."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "mentornet", "tensorflow", "tensorflow-cpu", "tf_keras", "tensorflow-datasets", "numpy", "scikit-learn",
    "absl-py", "pillow", "matplotlib",
)  # fmt: skip


def run_record() -> dict[str, Any]:
    """Who runs what, where: command, time (UTC), git commit, versions of Python and the packages used, host.

    `git_commit` and `git_changed` (tracked files differ from the commit) are None outside a git checkout.
    """
    commit, changed = _git_state(Path(__file__).resolve().parents[2])
    return {
        "command": shlex.join(sys.orig_argv),
        "folder": os.getcwd(),
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "git_commit": commit,
        "git_changed": changed,
        "python": platform.python_version(),
        "versions": package_versions(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
    }


def package_versions() -> dict[str, str]:
    """Version by name of the packages that matter for a result and are installed; none is imported."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _git_state(root: Path) -> tuple[str | None, bool | None]:
    """Commit and "has changes" of the checkout at `root`; (None, None) if it is none, even inside another."""
    if not (root / ".git").exists():
        return None, None

    def git(*arguments: str) -> str:
        # Optional locks off: looking must not disturb somebody else's git command.
        command = ["git", "--no-optional-locks", "-C", os.fspath(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):  # no git, no commit yet, an owner git does not trust
        return None, None
