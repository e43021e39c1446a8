"""Moves theta, the parameters of p_theta, towards better schedules: lines 7 and 8 of S2E's algorithm 2.

Source: S2E (Yao et al., ICML 2020), section 3.4. The search minimises J(theta) = E[f(x)], f the validation loss (or
error) after a training with the schedule of x. From K samples x_k of p_theta and their values f_k,

    gradient  g = 1/(K-1) sum_k (f_k - mean f) s_k                                   (eq. 7)
    Hessian   H = 1/(K-1) sum_k (f_k - mean f) (s_k s_k' + Hess log p_theta(x_k))    (Proposition 1)

with s_k the score. As E[s] = 0 and E[s s' + Hess log p] = 0, subtracting the mean changes neither in expectation but
takes most of their noise; the mean comes from the same samples, so K - 1 and not K makes both free of bias.

The paper writes the update with both signs: theta + rho H^-1 g in eq. 8, theta - D^-1 g in eq. 9. Minimising needs
the minus. Its theory wants the eigenvalues of D in [eta, L], eta > 0 (assumption 3), and does not say how to get
there. Here H = V diag(e) V' is replaced by V diag(clip(|e|, eta, L)) V' (or clip(e, eta, L)): with few samples H is
very noisy and mostly indefinite, and |e| turns a saddle's ascent into descent. A cap on the step guards the rest.

``reference`` replays the released code instead, which does something else: accuracy is maximised; only the best
of the K samples enters, its value does not; singular values, which are never negative, are floored at 1e-5, so H
stays indefinite; and H^-1 is multiplied elementwise with the gradient, of which column 0 is the step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mentornet.search.distributions import MOST, Array, ProductDistribution

KINDS = ("newton", "natural", "gradient", "reference")
UTILITIES = ("values", "standard", "ranks")
EIGENVALUES = ("absolute", "clip")
_REFERENCE_FLOOR = 1e-5


@dataclass(frozen=True)
class Settings:
    """How theta is moved.

    Attributes:
        kind: "newton" (H as above), "natural" (H = Fisher matrix, exact), "gradient" (H = identity), or "reference".
        rate: rho, the step size.
        lowest, highest: eta and L, between which the eigenvalues are put ("newton").
        eigenvalues: "absolute" puts |e| there, "clip" e itself ("newton").
        utilities: what stands for f_k - mean f: that difference ("values"), the difference in standard deviations
            ("standard"), or centred ranks ("ranks"). With the last two eta and rho mean the same on every scale of
            f. "values" does not: if f varies by some hundredths, as error rates do, all eigenvalues are below eta
            and the Newton step is a gradient step.
        cap: the longest step in theta, None for no limit. "reference" has none.
        least: theta never falls below it. 1, as in the released code, keeps all densities unimodal.

    Raises:
        ValueError: a setting is out of range.
    """

    kind: str = "newton"
    rate: float = 1.0
    lowest: float = 0.05
    highest: float = 1e3
    eigenvalues: str = "absolute"
    utilities: str = "values"
    cap: float | None = 2.0
    least: float = 1.0

    def __post_init__(self) -> None:
        for name, allowed in (("kind", KINDS), ("eigenvalues", EIGENVALUES), ("utilities", UTILITIES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: use one of {', '.join(allowed)}")
        if not 0 < self.lowest <= self.highest < np.inf:
            raise ValueError(f"lowest={self.lowest}, highest={self.highest}: eigenvalues need 0 < lowest <= highest")
        for name in ("rate", "cap", "least"):
            number = getattr(self, name)
            if number is not None and not 0 < number <= MOST:
                raise ValueError(f"{name}={number} has to be above 0 and at most {MOST:g}")


PAPER = Settings()


def update(
    theta: npt.ArrayLike,
    xs: npt.ArrayLike,
    values: npt.ArrayLike,
    space: ProductDistribution,
    settings: Settings = PAPER,
) -> Array:
    """theta of the next iteration.

    Args:
        theta: [n], from which ``xs`` were drawn.
        xs: [K, dim], the samples.
        values: [K], what training with each gave; smaller is better.
        space: whose p_theta it is.
        settings: how to move.

    Returns:
        float64 [n], nowhere below ``settings.least``; see also ``ProductDistribution.bounded``.

    Raises:
        ValueError: shapes disagree, a value is not finite, or there are too few samples (2; "reference": 1).

    Example:
        >>> space = spaces.get("paper")
        >>> theta, rng = space.start(), np.random.default_rng(0)
        >>> xs = [space.sample(theta, rng) for _ in range(6)]
        >>> theta = update(theta, xs, [train(x) for x in xs], space)
    """
    start = np.asarray(theta, np.float64)
    step = settings.rate * _direction(start, xs, values, space, settings)
    length = float(np.linalg.norm(step))
    if settings.kind != "reference" and settings.cap is not None and length > settings.cap:
        step *= settings.cap / length
    return space.bounded(start + step, settings.least)


def direction(
    theta: npt.ArrayLike,
    xs: npt.ArrayLike,
    values: npt.ArrayLike,
    space: ProductDistribution,
    kind: str = PAPER.kind,
    *,
    lowest: float = PAPER.lowest,
    highest: float = PAPER.highest,
    eigenvalues: str = PAPER.eigenvalues,
    utilities: str = PAPER.utilities,
) -> Array:
    """What ``update`` adds to theta at rate 1, before the cap and the bound: -H^-1 g.

    Args:
        theta: [n], from which ``xs`` were drawn.
        xs: [K, dim], the samples.
        values: [K], what training with each gave; smaller is better.
        space: whose p_theta it is.
        kind: "newton", "natural", "gradient" or "reference"; this and all that follow as in ``Settings``.
        lowest: eta.
        highest: L.
        eigenvalues: "absolute" or "clip".
        utilities: "values", "standard" or "ranks".

    Returns:
        float64 [n].

    Raises:
        ValueError: as in ``update``, or a setting is out of range.
    """
    settings = Settings(kind, lowest=lowest, highest=highest, eigenvalues=eigenvalues, utilities=utilities)
    return _direction(np.asarray(theta, np.float64), xs, values, space, settings)


def _direction(
    theta: Array, xs: npt.ArrayLike, values: npt.ArrayLike, space: ProductDistribution, settings: Settings
) -> Array:
    points, f = _checked(xs, values, 1 if settings.kind == "reference" else 2)
    if settings.kind == "reference":
        return _reference(theta, points, f, space)
    weights = centred(f, settings.utilities)
    gradient = gradient_estimate(theta, points, weights, space)
    if settings.kind == "gradient":
        return -gradient
    if settings.kind == "natural":
        return np.asarray(-np.linalg.solve(space.fisher(theta), gradient), np.float64)
    hessian = hessian_estimate(theta, points, weights, space)
    eigenvalues, vectors = positive(hessian, settings)
    return np.asarray(-vectors @ ((vectors.T @ gradient) / eigenvalues), np.float64)


def centred(values: npt.ArrayLike, kind: str = "values") -> Array:
    """What the samples' values count: float64 [K] with mean 0; see ``Settings.utilities``.

    Ranks, equal ones averaged, are divided by K, so they lie in (-1/2, 1/2).
    """
    f = np.asarray(values, np.float64)
    if kind == "ranks":
        return (stats.rankdata(f) - (f.size + 1) / 2) / f.size
    if np.ptp(f) == 0:
        return np.zeros_like(f)  # their mean may be off by a rounding error, which must not be blown up
    differences = f - f.mean()
    return differences if kind == "values" else differences / differences.std()


def gradient_estimate(
    theta: npt.ArrayLike, xs: npt.ArrayLike, weights: npt.ArrayLike, space: ProductDistribution
) -> Array:
    """g of eq. 7 from weights [K] with mean 0: float64 [n]."""
    w = np.asarray(weights, np.float64)
    return w @ space.score(theta, xs) / (w.size - 1)


def hessian_estimate(
    theta: npt.ArrayLike, xs: npt.ArrayLike, weights: npt.ArrayLike, space: ProductDistribution
) -> Array:
    """H of Proposition 1 from weights [K] with mean 0: float64 [n, n], symmetric.

    Hess log p is the same for every x, so it vanishes from the estimate with the weights' sum.
    """
    w, scores = np.asarray(weights, np.float64), space.score(theta, xs)
    return ((w * scores.T) @ scores + w.sum() * space.hessian_log_prob(theta)) / (w.size - 1)


def positive(hessian: Array, settings: Settings = PAPER) -> tuple[Array, Array]:
    """Eigenvalues float64 [n] in [eta, L] and eigenvectors [n, n] (columns) of the matrix used in H's place."""
    eigenvalues, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    if settings.eigenvalues == "absolute":
        eigenvalues = np.abs(eigenvalues)
    return np.clip(eigenvalues, settings.lowest, settings.highest), vectors


def _reference(theta: Array, xs: Array, values: Array, space: ProductDistribution) -> Array:
    """The released code's step, delta = 1; the factor 1/K of gradient and Hessian is kept, for its floor."""
    count = len(values)
    best = xs[np.flatnonzero(values == values.min())[-1]]
    score = space.score(theta, best)
    hessian = (np.outer(score, score) + space.hessian_log_prob(theta, best)) / count
    left, singular, right = np.linalg.svd(hessian)
    inverse = np.linalg.inv(left @ np.diag(np.maximum(singular, _REFERENCE_FLOOR)) @ right)
    return inverse[:, 0] * (score / count)


def _checked(xs: npt.ArrayLike, values: npt.ArrayLike, least: int) -> tuple[Array, Array]:
    points, f = np.asarray(xs, np.float64), np.asarray(values, np.float64)
    if f.ndim != 1 or points.ndim != 2 or len(points) != len(f):
        raise ValueError(f"xs has shape {list(points.shape)} and values {list(f.shape)}: give [K, dim] and [K]")
    if len(f) < least:
        raise ValueError(f"{len(f)} sample(s) were given, but a step needs {least} or more")
    if not np.isfinite(f).all():
        raise ValueError(f"values holds {f[~np.isfinite(f)][0]}: leave out the samples whose training failed")
    return points, f
