"""Starts the training scripts as a user does, and reads what they leave, for the tests of both."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def command(script: str, *flags: str) -> list[str]:
    return [sys.executable, script, *flags]


def run(script: str, *flags: str, timeout: int = 600) -> subprocess.CompletedProcess:
    return subprocess.run(command(script, *flags), cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def rows(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without the one column that may differ between equal runs."""
    with open(folder / "metrics.csv", newline="") as stream:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(stream)]
