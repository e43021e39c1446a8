"""Signs that a student learns next to nothing, and what a person is told of them. Nothing here imports TensorFlow."""

from __future__ import annotations

import math

FAR_ABOVE = 2.0
"""A training loss of so many times log(C), that of guessing among C classes, tells of steps that are too large."""
FEW_STEPS = 10
"""Steps that a student has to come down."""
HARDLY = 0.15
"""So little of what there is to learn is next to nothing."""
EARLY = 0.25
"""Share of a training after which large losses are those of wrong labels that a student does not believe."""


def high_loss(loss: float, classes: int, step: int, max_steps: int | None, rate: float) -> str | None:
    """A sentence about the mean training loss up to an early step, if it is far above that of guessing.

    Args:
        loss: mean over an interval, against the given labels.
        classes: C.
        step: the interval's last.
        max_steps: of the training; None: not known.
        rate: the learning rate.
    """
    late = max_steps is not None and step > max(FEW_STEPS, EARLY * max_steps)
    if classes < 2 or step < FEW_STEPS or late or not loss > FAR_ABOVE * math.log(classes):
        return None
    return (
        f"after {step:,} steps the training loss is {loss:.1f}, while guessing among {classes} classes has "
        f"{math.log(classes):.1f}: if it does not fall soon, stop, and try --learning_rate={rate / 10:g} instead of "
        f"{rate:g}"
    )


def near_chance(accuracy: float, classes: int, examples: int, given: bool = False) -> bool:
    """Whether a student does hardly better than guessing among C classes.

    That is: no more than two standard errors of guesses above chance, or than ``HARDLY`` of the way from it to 1, or
    twice as often right. Half of that where labels are given ones: of many wrong ones a good student gets few.

    Args:
        accuracy: in [0, 1].
        classes: C.
        examples: how many it was measured on.
        given: whether it is agreement with given labels.
    """
    chance = 1.0 / classes
    margin = max(2.0 * math.sqrt(chance * (1.0 - chance) / examples), min(HARDLY * (1.0 - chance), chance))
    return accuracy <= chance + (0.5 if given else 1.0) * margin
