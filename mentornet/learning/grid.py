"""The enumerated inputs of a MentorNet, labelled by a predefined curriculum (ICML app. D, the release's generator).

Losses 0 to 10 in steps of 0.1 and 10 to 30 in steps of 1; differences -5 to 5 in steps of 0.1; label 0; epoch percents
0 to 99: 1,200,000 points, of which a random share is kept.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mentornet.curricula.base import Curriculum
from mentornet.features import EPOCH_ROWS
from mentornet.learning.learning_set import LearningSet, hold_out

# Quotients, not sums of 0.1: the point d = 0, where curricula jump, has to be exact.
LOSSES = np.concatenate([np.arange(100) / 10, np.arange(10, 30)]).astype(np.float32)
DIFFERENCES = (np.arange(-50, 50) / 10).astype(np.float32)
LABELS = np.zeros(1, np.int32)
EPOCHS = np.arange(EPOCH_ROWS, dtype=np.int32)
POINTS = len(LOSSES) * len(DIFFERENCES) * len(LABELS) * len(EPOCHS)

SAMPLE_SIZE = 100_000
"""Points kept by default, as in the release; app. D keeps 300,000."""

_PURPOSE = 21  # keeps this random stream apart from the others of the same seed


def learning_set(curriculum: Curriculum, rows: int = SAMPLE_SIZE, seed: int = 0, history: int = 1) -> LearningSet:
    """Random grid points with the curriculum's weights as targets, 80% to learn from and 20% held out.

    With T > 1 the grid gives the newest loss and difference. The T - 1 older losses walk away from it at random
    (see ``past_losses``) while the sample's threshold l_pt = l - d stays; neither paper nor release says how such
    histories were made.

    Args:
        curriculum: the formula to imitate.
        rows: points kept, 1 to 1,200,000.
        seed: decides which, their histories and the split.
        history: T >= the curriculum's own.

    Raises:
        ValueError: rows out of range, or the curriculum reads more history than that.
    """
    if not 1 <= rows <= POINTS:
        raise ValueError(f"sample_size={rows}: the grid has {POINTS:,} points, ask for 1 to that many")
    if curriculum.history not in (1, history):
        raise ValueError(
            f"curriculum {curriculum.name!r} reads {curriculum.history} past losses, the samples have {history}"
        )
    rng = np.random.default_rng([seed, _PURPOSE])
    point = rng.choice(POINTS, rows, replace=False)
    shape = (len(LOSSES), len(DIFFERENCES), len(LABELS), len(EPOCHS))
    at_loss, at_difference, at_label, at_epoch = np.unravel_index(point, shape)
    newest, difference = LOSSES[at_loss], DIFFERENCES[at_difference]
    label, epoch = LABELS[at_label], EPOCHS[at_epoch]
    loss = past_losses(newest, history, rng)
    # Earlier differences are taken against the same threshold; the newest one is the grid's own, unrounded.
    differences = loss - (newest - difference)[:, np.newaxis]
    differences[:, -1] = difference
    target = targets(curriculum, loss, differences, label, epoch)
    held_out = hold_out(np.arange(rows), rng)
    source = {"kind": "predefined", "curriculum": curriculum.name, "rows": rows, "seed": seed, "history": history}
    return LearningSet(loss, differences, label, epoch, target, held_out, source)


def past_losses(newest: np.ndarray, history: int, rng: np.random.Generator) -> np.ndarray:
    """Loss histories that end at the given losses: random walks backwards, reflected at 0.

    Their step sizes are normal with a standard deviation that each sample draws uniformly from 0 to 1, so that settled
    and unsettled samples both occur.

    Args:
        newest: float32 [n].
        history: T >= 1.
        rng: where the walks come from.

    Returns:
        float32 [n, history], oldest first; the last column is ``newest``.
    """
    scale = rng.uniform(0.0, 1.0, (len(newest), 1))
    steps = scale * rng.standard_normal((len(newest), history - 1))
    walk = np.abs(newest[:, np.newaxis] + np.cumsum(steps, axis=1))
    return np.concatenate([walk[:, ::-1], newest[:, np.newaxis]], axis=1).astype(np.float32)


def targets(
    curriculum: Curriculum, loss: np.ndarray, difference: np.ndarray, label: np.ndarray, epoch: np.ndarray
) -> np.ndarray:
    """The curriculum's weights, float32 [n], for losses and differences [n, T]."""
    if curriculum.history == 1:
        loss, difference = loss[:, -1], difference[:, -1]
    samples = [tf.constant(array) for array in (loss, difference, label, epoch)]
    return curriculum(*samples).numpy().astype(np.float32)
