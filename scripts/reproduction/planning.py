"""What a table costs: steps of each cell, hours by a step that was measured on this machine, room on the disk.

A step is measured once for every student, method, batch and kind of image, in a process of its own, and remembered in a
file beside the runs, with the processor it was measured on.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mentornet import files, reading
from scripts.reproduction.jobs import SEARCH_FLAGS, Job
from scripts.reproduction.machine import processor
from scripts.tables.declarations import Cell
from scripts.tables.recipe_files import ROOT

CACHE = "step_times.json"
SAMPLES = {"mnist": 60_000, "fashion_mnist": 60_000, "cifar10": 50_000, "cifar100": 50_000, "tfds:cifar10": 50_000,
           "tfds:cifar100": 50_000, "digits": 1_437, "imagenet": 1_281_167}  # fmt: skip
_DEFAULT_STEPS = 39_000
Measured = dict[str, Any]


def given(cell: Cell, more: Sequence[str] = ()) -> dict[str, str]:
    """Flags of a cell by name; later ones win."""
    pairs = (flag.lstrip("-").partition("=") for flag in (*cell.flags, *more))
    return {name: value for name, _, value in pairs}


def steps(cell: Cell, more: Sequence[str] = ()) -> int:
    """Training steps of a cell: about right where its length is in epochs, all trainings together for a search."""
    flags = given(cell, more)
    if cell.recipe is None:
        return cell.declared_steps
    if "num_epochs" in flags:
        samples = int(flags.get("train_examples") or 0) or SAMPLES.get(flags.get("dataset_name", ""), 50_000)
        set_apart = int(flags.get("clean_examples") or 0) + int(flags.get("holdout_examples") or 0)
        batches = max(1, (samples - set_apart) // int(flags.get("batch_size") or 128))
        epoch = min(batches, int(flags.get("max_batches_per_epoch") or 0) or batches)
        turns = 2 if flags.get("method") == "dividemix" else 1  # its two networks take turns
        training = turns * epoch * int(flags["num_epochs"])
    else:
        training = int(flags.get("max_number_of_steps") or _DEFAULT_STEPS)
    trials, again = trainings(flags)
    shorter = next(
        (int(flags[n]) / int(flags[full]) for n, full in _SHORTER.items() if n in flags and full in flags), 1
    )
    return round(training * (trials * shorter + again))


_SHORTER = {"trial_steps": "max_number_of_steps", "trial_epochs": "num_epochs"}


def trainings(flags: dict[str, str]) -> tuple[int, int]:
    """How many trials a search has, and how many trainings of what it found; 0 and 1 for anything else."""
    if "space" not in flags:
        return 0, 1
    seeds = flags.get("retrain_seeds", "none")
    again = 0 if seeds in ("", "none") else len(seeds.split(","))
    kind, _, grid = flags["space"].partition(":")
    if kind == "grid":
        choices = [part.partition("=")[2] for part in grid.split(";")]
        return math.prod(len(text.split("|" if "|" in text else ",")) for text in choices), again
    return int(flags.get("trials") or 0) or int(flags.get("outer") or 1) * int(flags.get("samples") or 1), again


def key(cell: Cell) -> str:
    """What a step's time depends on."""
    flags = given(cell)
    curriculum = "learned" if "/" in flags.get("curriculum", "") else flags.get("curriculum", "").partition(":")[0]
    parts = (flags.get("dataset_name", ""), flags.get("image_size", ""), flags.get("studentnet", ""),
             flags.get("method", "spade"), curriculum, flags.get("meta", ""), flags.get("batch_size", ""),
             processor())  # fmt: skip
    return "|".join(parts)


class StepTimes:
    """Measured steps in a file.

    Args:
        file: a JSON object {key: {"seconds", "parameters", "peers"} or {"problem"}}; need not exist.
    """

    def __init__(self, file: Path):
        self.file = file
        self._known: dict[str, Measured] = reading.read_json(file) if file.is_file() else {}

    def of(self, cell: Cell) -> Measured | None:
        """What is known of a cell's step; None: it has not been measured."""
        return self._known.get(key(cell))

    def measure(self, cells: Iterable[Cell], data: Sequence[str], say: Callable[[str], None] = print) -> None:
        """Measures what is not known yet of these cells, and remembers it."""
        missing = {
            key(cell): cell for cell in cells if cell.recipe is not None and "seconds" not in (self.of(cell) or {})
        }
        for number, (name, cell) in enumerate(missing.items(), 1):
            say(f"measuring {number} of {len(missing)}: {' '.join(filter(None, name.split('|')[:-1]))}")
            self._known[name] = measured(cell, data)
            if "problem" in self._known[name]:
                say(f"  not measured: {self._known[name]['problem']}")
            self.file.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(self.file, self._known)

    def seconds(self, cell: Cell, more: Sequence[str] = ()) -> float | None:
        """Estimated seconds of a cell; None where no step is known."""
        known = self.of(cell)
        return None if known is None or "seconds" not in known else known["seconds"] * steps(cell, more)

    def cost(self, job: Job) -> float:
        """For shares of a table: seconds if they are known of this cell, else a second for ten steps."""
        return self.seconds(job.cell, job.counted) or steps(job.cell, job.counted) / 10 or 1.0

    def room(self, cell: Cell, more: Sequence[str] = ()) -> float | None:
        """Bytes of a finished run: two checkpoints with one slot a weight, the student, 100 bytes a sample."""
        known = self.of(cell)
        if known is None or "parameters" not in known:
            return None
        flags = given(cell, more)
        slots = 2 if flags.get("optimizer") == "adam" else 1
        samples = int(flags.get("train_examples") or 0) or SAMPLES.get(flags.get("dataset_name", ""), 50_000)
        weights = 4.0 * known["parameters"] * known["peers"]
        return sum(trainings(flags)) * (weights * (2 * (1 + slots) + 1) + 100 * samples + 1e6)


def measured(cell: Cell, data: Sequence[str]) -> Measured:
    """Measures a few real steps of a cell in a process of its own."""
    assert cell.recipe is not None
    flags = [flag for flag in cell.flags if flag.lstrip("-").partition("=")[0] not in (*SEARCH_FLAGS, "baseline_run")]
    script = "train_imagenet.py" if cell.script == "train_imagenet.py" else "train_cifar.py"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "scripts/measure_step.py", script, *flags, *data, f"--train_log_dir={folder}/run"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        return {"problem": said[-1].strip() if said else f"exit code {done.returncode}"}
    found: Measured = json.loads(lines[-1])
    return found


def hours_in_head(cell: Cell) -> str:
    """What the recipe's own head says of hardware and hours."""
    if cell.recipe is None:
        return ""
    text = (ROOT / cell.recipe).read_text(encoding="utf-8")
    found = re.search(r"^# (?:hardware and hours|hours): (.+)$", text, re.MULTILINE)
    return found[1] if found else ""


_NUMBER = re.compile(r"(?:([\d.]+) to )?([\d.]+)\s*(minutes?|hours?|days?)")
_HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0}


def stated_hours(cell: Cell) -> float | None:
    """The hours that the head states, the larger of two; None where it states none."""
    head = hours_in_head(cell)
    if "half an hour" in head:
        return 0.5
    if found := _NUMBER.search(head):
        return float(found[2]) * _HOURS[found[3].rstrip("s")]
    if "minute" in head:  # "about a minute", "minutes"
        return 0.1 if "minutes" in head else 1 / 60
    only = re.match(r"some (\d+)", head)
    return float(only[1]) if only else 24.0 * 14 if "weeks" in head else None


def total(values: Iterable[float | None]) -> float | None:
    """Their sum; None if one is not known."""
    found = list(values)
    return None if any(value is None for value in found) else math.fsum(value or 0.0 for value in found)
