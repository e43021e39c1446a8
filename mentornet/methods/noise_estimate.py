"""How many given labels are wrong, from the answers of a student that was trained on them for a short time.

Early in a training a student fits what most labels agree on, so that wrong labels have larger losses than right ones
(Arpit et al., ICML 2017). Three estimates follow:

- losses: a mixture of two components; the one of larger losses is taken for the wrong labels (Li et al., ICLR 2020,
  section 3.1). See ``mentornet.methods.loss_split``. It is pulled towards the middle.
- matrix: T estimated from the predictions (Patrini et al., CVPR 2017, section 3.2), and the classes' true shares that
  it and the given labels imply. It takes for wrong what the student has not learned yet: too many.
- confident: where the student is surest of a class, it is right, and the labels that differ are wrong (the idea of
  Northcutt et al., JAIR 2021, who count beyond a threshold). Labels that it has memorised already agree: too few.

As they err in different ways, their median is used; docs/choosing_settings.md has the figures. Nothing here imports
TensorFlow.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mentornet import transition
from mentornet.methods import loss_split

LEAST, MOST = 0.3, 0.95
"""Percentiles that are suggested lie in this range: beyond it nearly nothing, or nearly everything, would count."""
WEAK = 0.1
"""Share of the labels that a student neither predicts nor takes for wrong, above which it has learned too little."""
EPOCHS = 30
"""Length in epochs that is suggested at least; every comparison in docs/results is about as long."""
GUESSING, UNSURE = 0.1, 0.3
"""Agreement beyond chance (Cohen's kappa) below which a student has learned next to nothing, and estimates nothing; and
below which it has learned so little that an estimate is rough."""
UNKNOWN = 0.75
"""The percentile then: the paper's."""
FEW = 1000
"""Number of images below which chance alone moves the share of wrong labels by some points."""
SHORTEST = 300
"""Least length in steps that is suggested: a burn-in of a fifth has the 59 in which the moving percentile settles."""
SUREST, LEAST_SURE = 0.05, 10
"""Share of the predictions of a class that count as confident, and how many at least."""
BURN_IN = 20
"""Burn-in in percent of the training (ICML, section 4)."""


@dataclass(frozen=True)
class NoiseEstimate:
    """Estimated shares of wrong labels, in [0, 1], and what follows from them.

    Attributes:
        wrong: the estimate that is used, the median of the following three.
        wrong_by_losses: from the mixture.
        wrong_by_matrix: from the transition matrix.
        wrong_by_confident: from the labels of the surest predictions.
        disagreement: share of given labels that the student does not predict; an upper end, since it errs, too.
        percentile: p for ``--loss_p_percentile``.
        burn_in_epoch: for the flag of that name.
        steps: for ``--max_number_of_steps``.
        kappa: agreement of predicted and given labels beyond chance (Cohen 1960): 0 of guesses, 1 of the same labels.
        examples: how many labels there are.
    """

    wrong: float
    wrong_by_losses: float
    wrong_by_matrix: float
    wrong_by_confident: float
    disagreement: float
    percentile: float
    burn_in_epoch: int
    steps: int
    kappa: float = 1.0
    examples: int = FEW

    @property
    def says_nothing(self) -> bool:
        """Whether the student hardly does better than guessing, so that no estimate follows from it."""
        return self.kappa < GUESSING

    @property
    def rough(self) -> bool:
        """Whether the student has learned so little yet that the estimate may be 15 points off."""
        return is_rough(self.wrong, self.disagreement, self.kappa)

    def facts(self) -> dict[str, Any]:
        """What estimate.json holds."""
        return asdict(self)


def estimate(
    losses: npt.ArrayLike, probabilities: npt.ArrayLike, given: npt.ArrayLike, steps_per_epoch: int, seed: int = 0
) -> NoiseEstimate:
    """Estimates the share of wrong labels.

    Args:
        losses: float [n], against the given labels.
        probabilities: float [n, C], predicted distributions of the same samples.
        given: int [n].
        steps_per_epoch: of the training that shall follow.
        seed: of the mixture's start.

    Raises:
        ValueError: a loss that is not finite.
    """
    p, labels = np.asarray(probabilities, np.float64), np.asarray(given)
    first, second, third = by_losses(losses, seed), by_matrix(p, labels), by_confident(p, labels)
    wrong = float(np.median((first, second, third)))
    beyond_chance = agreement_beyond_chance(p.argmax(axis=1), labels, p.shape[1])
    return NoiseEstimate(
        wrong=wrong,
        wrong_by_losses=first,
        wrong_by_matrix=second,
        wrong_by_confident=third,
        disagreement=float(np.mean(p.argmax(axis=1) != labels)),
        percentile=percentile(wrong) if beyond_chance >= GUESSING else UNKNOWN,
        burn_in_epoch=BURN_IN,
        steps=max(SHORTEST, EPOCHS * steps_per_epoch),
        kappa=beyond_chance,
        examples=len(labels),
    )


def agreement_beyond_chance(predicted: np.ndarray, given: np.ndarray, classes: int) -> float:
    """Cohen's kappa of two labellings int [n]: (agreement - chance) / (1 - chance), at most 1; 1 where chance is 1."""
    shares = [np.bincount(labels, minlength=classes) / len(labels) for labels in (predicted, given)]
    chance = float(shares[0] @ shares[1])
    return 1.0 if chance >= 1.0 else (float(np.mean(predicted == given)) - chance) / (1.0 - chance)


def by_chance(wrong: float, examples: int) -> float:
    """Two standard errors of a share of wrong labels among so many."""
    return 2.0 * math.sqrt(wrong * (1.0 - wrong) / examples)


def is_rough(wrong: float, disagreement: float, kappa: float = 1.0) -> bool:
    """Whether a student has learned little yet: it disagrees with many more labels than are taken for wrong, or nearly
    as often as guesses do.
    """
    return disagreement - wrong > WEAK or kappa < UNSURE


def percentile(wrong: float) -> float:
    """p of the moving loss percentile: as many samples lie below it as have right labels, in whole percents."""
    return round(min(MOST, max(LEAST, 1.0 - wrong)), 2)


def by_losses(losses: npt.ArrayLike, seed: int = 0) -> float:
    """Expected share of samples in the component of larger losses, in [0, 1]; 0 where all losses are equal."""
    return float(1.0 - loss_split.clean_probability(losses, seed, iterations=100).mean())


def by_matrix(probabilities: npt.ArrayLike, given: npt.ArrayLike) -> float:
    """1 - sum_i pi_i T_ii with T estimated from predictions [n, C] and pi the true classes' shares, q = pi T.

    pi is the least-squares solution, negative shares set to 0.
    """
    p = np.asarray(probabilities, np.float64)
    matrix = transition.estimated(p)
    shares = np.bincount(np.asarray(given), minlength=len(matrix)) / len(p)
    prior = np.clip(np.linalg.lstsq(matrix.T, shares, rcond=None)[0], 0.0, None)
    prior = prior / prior.sum() if prior.sum() > 0 else shares
    return float(np.clip(1.0 - prior @ np.diag(matrix), 0.0, 1.0))


def by_confident(probabilities: npt.ArrayLike, given: npt.ArrayLike) -> float:
    """Share of given labels [n] that differ among the surest predictions [n, C] of every class, weighted by class.

    The classes' weights are their shares among the predictions; the surest are 5% of them, ten at least.
    """
    p, labels = np.asarray(probabilities, np.float64), np.asarray(given)
    predicted, sureness = p.argmax(axis=1), p.max(axis=1)
    wrong = 0.0
    for label in np.unique(predicted):
        of_class = np.flatnonzero(predicted == label)
        count = max(LEAST_SURE, round(SUREST * len(of_class)))
        surest = of_class[np.argsort(-sureness[of_class], kind="stable")[:count]]
        wrong += len(of_class) / len(p) * float(np.mean(labels[surest] != label))
    return wrong
