"""What a run says when it ends: its figures, where the suspects are, and how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from mentornet import methods
from mentornet.runs.workdir import Workdir
from mentornet.training import signs

STOPPED = (
    "stopped; the same command continues from the last checkpoint, and python -m mentornet.reports RUN finds the "
    "suspects so far"
)
SMALL = 1e-3
"""Learning rates up to this one are hardly too large for any optimiser."""


def next_steps(workdir: Workdir, samples: int, *, masks: bool = False, labels: bool = True) -> str:
    """Where the suspects are, and how to go on.

    Args:
        workdir: of the finished run.
        samples: how many were trained on.
        masks: they are slices with masks, which are not corrected on a page.
        labels: False: the method did not look at the labels, so that it has no suspects to show.
    """
    folder = shlex.quote(str(workdir.path))
    sums_up = f"python -m mentornet.reports {folder} sums the run up"
    if not labels:
        return f"next:     --pretrained_run={folder} lets a method start from it; {sums_up}"
    suspects = (
        f"suspects: {workdir.suspects_file} shows the first, {workdir.samples_file} has all {samples:,} training "
        f"{'slices' if masks else 'images'}, most suspect first\n"
    )
    if masks:
        return f"{suspects}next:     {sums_up}"
    return (
        f"{suspects}next:     python -m mentornet.reports.review {folder} makes a page to correct labels on; {sums_up}"
    )


def learned_little(result: Mapping[str, Any], classes: int, rate: float) -> str | None:
    """A sentence if a finished run's accuracy can't be told from guessing.

    Args:
        result: result.json's content, of labels, not of masks.
        classes: C.
        rate: the learning rate.
    """
    accuracy, examples = result.get("accuracy_last"), result.get("evaluation_examples")
    if accuracy is None or not examples or classes < 2:
        return None
    given = result.get("judged_by") == "given labels"
    if not signs.near_chance(accuracy, classes, examples, given):
        return None
    other = f"--learning_rate={rate / 10:g} instead of {rate:g}" if rate > SMALL else f"a rate larger than {rate:g}"
    return (
        f"the student has hardly learned anything: {'agreement' if given else 'accuracy'} {accuracy:.3f} on "
        f"{examples:,} images, where guessing among {classes} classes has {1 / classes:.3f}, so that its suspects mean "
        f"little; try {other}, and more epochs, in a new folder"
    )


def figures(result: dict[str, Any]) -> str:
    """The figures of result.json in a few words."""
    accuracy = result.get("accuracy_last")
    if result.get("dice") is not None:
        return f"{result.get('steps') or 0:,} steps, Dice of test cases {result['dice']:.4f}"
    figure = "agreement with given labels" if result.get("judged_by") == "given labels" else "accuracy"
    if (name := result.get("method")) in methods.names() and not methods.get(str(name)).uses_labels:
        figure += " of a linear probe"
    shown = "not evaluated" if accuracy is None else f"{figure} {accuracy:.4f}"
    if result.get("top5_last") is not None:
        shown += f" (Hit@5 {result['top5_last']:.4f})"
    return f"{result.get('steps') or 0:,} steps, {shown}"
