"""Searches whose trainings are tests/fake_training.py, for the tests of the search."""

import sys
from pathlib import Path

from mentornet.search.plan import Plan

FAKE = Path(__file__).with_name("fake_training.py")


def plan(folder, *flags, **changed):
    """A search in a folder; ``flags`` go to the training, epochs are 4."""
    settings = {
        "output": str(folder),
        "storage": str(Path(folder) / "study.journal"),
        "study": "search",
        "command": (sys.executable, str(FAKE), "--epochs=4", *flags),
        "training": {"dataset_name": "made_up", "validation": "test_half"},
        "space": "co_teaching:variant=code",
        "sampler": "newton",
        "samples": 3,
        "trials": 9,
        "epochs": 4,
        "trial_epochs": 4,
        "threads": 1,
    }
    return Plan(**{**settings, **changed})


def starts(made, number):
    """(pid, parent, rows found) of every start of a trial's training."""
    file = made.trial_folder(number) / "run" / "starts.txt"
    return [tuple(map(int, line.split())) for line in file.read_text().splitlines()] if file.exists() else []
