"""How many given labels are wrong, from the answers of a student that was trained on them for a short time.

Early in a training a student fits what most labels agree on, so that wrong labels have larger losses than right ones
(Arpit et al., ICML 2017). Two estimates follow:

- losses: a mixture of two components; the one of larger losses is taken for the wrong labels (Li et al., ICLR 2020,
  section 3.1). See ``mentornet.methods.loss_split``.
- matrix: T estimated from the predictions (Patrini et al., CVPR 2017, section 3.2), and the classes' true shares that
  it and the given labels imply.

Both take for wrong labels what the student has not learned yet, each in its own way, so that the smaller one is used;
docs/choosing_settings.md has the figures. Nothing here imports TensorFlow.
"""

from __future__ import annotations

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
BURN_IN = 20
"""Burn-in in percent of the training (ICML, section 4)."""


@dataclass(frozen=True)
class NoiseEstimate:
    """Estimated shares of wrong labels, in [0, 1], and what follows from them.

    Attributes:
        wrong: the estimate that is used, the smaller of the two.
        wrong_by_losses: from the mixture.
        wrong_by_matrix: from the transition matrix.
        disagreement: share of given labels that the student does not predict; an upper end, since it errs, too.
        percentile: p for ``--loss_p_percentile``.
        burn_in_epoch: for the flag of that name.
        steps: for ``--max_number_of_steps``.
    """

    wrong: float
    wrong_by_losses: float
    wrong_by_matrix: float
    disagreement: float
    percentile: float
    burn_in_epoch: int
    steps: int

    @property
    def upper_end(self) -> bool:
        """Whether the student has learned so little yet that the true share is probably smaller."""
        return is_upper_end(self.wrong, self.disagreement)

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
    first, second = by_losses(losses, seed), by_matrix(p, labels)
    wrong = min(first, second)
    return NoiseEstimate(
        wrong=wrong,
        wrong_by_losses=first,
        wrong_by_matrix=second,
        disagreement=float(np.mean(p.argmax(axis=1) != labels)),
        percentile=percentile(wrong),
        burn_in_epoch=BURN_IN,
        steps=EPOCHS * steps_per_epoch,
    )


def is_upper_end(wrong: float, disagreement: float) -> bool:
    """Whether a student disagrees with many more labels than it takes for wrong, so that fewer may be; never of 0%."""
    return wrong >= 0.01 and disagreement - wrong > WEAK


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
