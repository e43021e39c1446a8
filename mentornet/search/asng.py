"""Adaptive stochastic natural gradient: the weight-sharing search that S2E is compared with in its table 5.

Sources: Akimoto et al., "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search" (ICML
2019), algorithm 1 and section 4; S2E (Yao et al., ICML 2020), appendix B.2: one pair of networks is trained on through
all samples, and steps on its weights alternate with steps on theta, where S2E trains anew for every sample.

A step on theta has length delta in the Fisher metric. delta adapts to the ratio of signal to noise: s accumulates
the normalised natural gradients; where they agree, |s|^2 exceeds alpha times what it would be for pure noise (gamma)
and delta grows, otherwise it shrinks. Unlike in the paper, which takes expectation parameters, theta are the natural
parameters of Dirichlet and Beta; the Fisher matrix is exact. The released code of S2E does not contain this method: its
weight-sharing script takes the same step as its "Newton" (``newton``, kind "reference").
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

from mentornet.search.distributions import Array, ProductDistribution

_STATE = ("theta", "accumulated", "gamma", "slowdown")


class ASNG:
    """theta under adaptive stochastic natural gradient. Everything that moves is in ``state``.

    Args:
        space: whose p_theta it is.
        samples: lambda, how many x are drawn between two steps on theta, 2 or more.
        threshold: alpha, the signal-to-noise ratio that delta is held at; above 1.
        step: delta at the start.
        slowest: Delta_max, the largest factor by which delta may shrink.
        least: theta never falls below it.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> search, rng = ASNG(spaces.get("paper")), np.random.default_rng(0)
        >>> for _ in range(rounds):
        ...     xs = search.ask(rng)
        ...     search.tell(xs, [train_on_and_validate(space.schedule(x, 200)) for x in xs])
    """

    def __init__(
        self,
        space: ProductDistribution,
        samples: int = 2,
        threshold: float = 1.5,
        step: float = 1.0,
        slowest: float = math.inf,
        least: float = 1.0,
    ):
        if samples < 2:
            raise ValueError(f"samples={samples}: a step compares 2 or more samples")
        if not (threshold > 1 and slowest >= 1 and least > 0 and 0 < step <= math.sqrt(space.theta_size)):
            raise ValueError(
                f"threshold={threshold}, step={step}, slowest={slowest}, least={least}: threshold has to be above 1, "
                f"step in (0, {math.sqrt(space.theta_size):.3g}], slowest at least 1, least above 0"
            )
        self.space, self.samples = space, samples
        self._threshold, self._step, self._slowest, self._least = threshold, step, slowest, least
        self.theta = np.maximum(space.start(), least)
        self._accumulated = np.zeros(space.theta_size)
        self._gamma, self._slowdown = 0.0, 1.0

    @property
    def step(self) -> float:
        """delta, the length of the next step in the Fisher metric."""
        return self._step / self._slowdown

    def ask(self, rng: np.random.Generator) -> Array:
        """``samples`` points of p_theta: float64 [samples, dim]."""
        return np.stack([self.space.sample(self.theta, rng) for _ in range(self.samples)])

    def tell(self, xs: npt.ArrayLike, values: npt.ArrayLike) -> None:
        """One step on theta; nothing happens if all values are equal.

        Args:
            xs: [K, dim], drawn from p_theta.
            values: [K], smaller is better.

        Raises:
            ValueError: shapes disagree or a value is not finite.
        """
        points, f = np.asarray(xs, np.float64), np.asarray(values, np.float64)
        if f.ndim != 1 or len(f) < 2 or points.shape != (len(f), self.space.dim) or not np.isfinite(f).all():
            raise ValueError(
                f"xs has shape {list(points.shape)} and values {list(f.shape)}: give [K, {self.space.dim}] and [K] "
                "finite values, K 2 or more"
            )
        gradient = utilities(f) @ self.space.score(self.theta, points) / len(f)  # to be followed, not descended
        eigenvalues, vectors = np.linalg.eigh(self.space.fisher(self.theta))
        whitened = vectors @ ((vectors.T @ gradient) / np.sqrt(eigenvalues))  # F^(1/2) times the natural gradient
        norm = float(np.linalg.norm(whitened))
        if norm == 0:
            return
        natural = vectors @ ((vectors.T @ gradient) / eigenvalues)
        rate = self.step / math.sqrt(self.space.theta_size)  # beta in the paper
        self.theta = self.space.bounded(self.theta + self.step * natural / norm, self._least)
        self._accumulated = (1 - rate) * self._accumulated + math.sqrt(rate * (2 - rate)) * whitened / norm
        self._gamma = (1 - rate) ** 2 * self._gamma + rate * (2 - rate)
        signal = float(self._accumulated @ self._accumulated)
        self._slowdown = min(self._slowdown * math.exp(rate * (self._gamma - signal / self._threshold)), self._slowest)

    def state(self) -> dict[str, Array]:
        """Everything that moves, for a checkpoint: name -> float64 array."""
        values = (self.theta, self._accumulated, np.float64(self._gamma), np.float64(self._slowdown))
        return {name: np.array(value, np.float64) for name, value in zip(_STATE, values, strict=True)}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Continues from what ``state`` returned.

        Raises:
            ValueError: it is not the state of a search in this space.
        """
        arrays = {name: np.array(state[name], np.float64) for name in _STATE if name in state}
        shapes = {name: array.shape for name, array in arrays.items()}
        n = self.space.theta_size
        if shapes != dict(zip(_STATE, [(n,), (n,), (), ()], strict=True)):
            raise ValueError(
                f"the state holds arrays {shapes}, but this space needs {', '.join(_STATE)} for {n} numbers"
            )
        self.theta, self._accumulated = arrays["theta"], arrays["accumulated"]
        self._gamma, self._slowdown = float(arrays["gamma"]), float(arrays["slowdown"])


def utilities(values: npt.ArrayLike) -> Array:
    """Weights by rank (Akimoto et al., section 5): the best quarter 1/m, the worst -1/m, the rest 0, m = ceil(K / 4).

    Equal values share their weights. Smaller values are better.

    Returns:
        float64 [K], sum 0.
    """
    f = np.asarray(values, np.float64)
    count = math.ceil(len(f) / 4)
    by_rank = np.zeros(len(f))
    by_rank[:count], by_rank[len(f) - count :] = 1 / count, -1 / count
    first, last = stats.rankdata(f, "min").astype(int), stats.rankdata(f, "max").astype(int)
    sums = np.concatenate([[0.0], np.cumsum(by_rank)])
    return (sums[last] - sums[first - 1]) / (last - first + 1)
