"""Approximates a given schedule within a search space: S2E's figure 10 (Yao et al., ICML 2020, appendix B.1).

There the space of eq. 4 is fitted by least squares to schedules of Co-teaching (eq. 1), which its smooth bases cannot
reach exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

from mentornet.search.base import Space
from mentornet.search.distributions import Array

STARTS = 4


@dataclass(frozen=True)
class Fit:
    """The closest schedule that was found.

    Attributes:
        x: its point, float64 [dim].
        curve: its R, float64 [num_epochs], not clipped.
        rmse: root of the mean squared difference.
        largest: the largest absolute difference.
    """

    x: Array
    curve: Array
    rmse: float
    largest: float


def least_squares(
    space: Space, target: npt.ArrayLike, *, horizon: float | None = None, starts: int = STARTS, seed: int = 0
) -> Fit:
    """The schedule of ``space`` with the least sum of squared differences from ``target``, over several starts.

    Args:
        space: to search in.
        target: R(t), [num_epochs] in [0, 1].
        horizon: T; by default ``num_epochs``, see ``Space.schedule``.
        starts: local searches; their problem is not convex. The first starts in the middle, the others at draws of
            the uniform p_theta.
        seed: of those draws.

    Raises:
        ValueError: ``target`` or ``starts`` is out of range.

    Example:
        >>> target = spaces.get("co_teaching").schedule([0.5, 0.05, 0.5], 200)  # tau 0.5, t_k 10, c 1
        >>> least_squares(spaces.get("paper"), target).rmse  # 0.009
    """
    wanted = np.asarray(target, np.float64)
    if wanted.ndim != 1 or not wanted.size or not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError("the schedule to fit has to be one row of fractions in [0, 1], one for each epoch")
    if starts < 1:
        raise ValueError(f"starts={starts}: at least one local search is needed")
    total = float(len(wanted) if horizon is None else horizon)
    t = np.arange(len(wanted)) * (total / len(wanted))

    def residuals(u: Array) -> Array:
        return space.curve(space.from_unit(np.clip(u, 0, 1)), t, total) - wanted

    rng = np.random.default_rng(seed)
    begins = [np.full(space.unit_dim, 0.5), *rng.uniform(size=(starts - 1, space.unit_dim))]
    found = [optimize.least_squares(residuals, u, bounds=(0, 1), xtol=1e-10, ftol=1e-10) for u in begins]
    x = space.from_unit(np.clip(min(found, key=lambda result: float(result.cost)).x, 0, 1))
    curve = space.curve(x, t, total)
    difference = curve - wanted
    return Fit(x, curve, float(np.sqrt(np.mean(difference**2))), float(np.abs(difference).max()))
