"""The distributions p_theta of stochastic relaxation: one Dirichlet beside independent Betas.

Yao et al., "Searching to Exploit Memorization Effect in Learning with Noisy Labels" (S2E, ICML 2020), section 3.4.1:
a Dirichlet for numbers that sum to one, a Beta for each number between 0 and 1. The search needs the score
(the gradient of log p_theta with respect to theta, eq. 7) and the Hessian of log p_theta (Proposition 1).

Both families are exponential with theta as their natural parameters, so that Hessian does not depend on x, and its
negative is the Fisher matrix (eq. 8), exactly and without samples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

CLIP = 1e-6  # x is kept this far from 0 and 1 inside logarithms
MOST = 1e5  # the highest concentration that a search needs: a Beta of a + b = 1e5 has a deviation of at most 0.0016
_SUM_TOLERANCE = 1e-6


class ProductDistribution:
    """A Dirichlet over the first ``simplex`` numbers of x, and a Beta for each of the ``betas`` numbers after them.

    theta is float64 [theta_size], all above 0: the Dirichlet's ``simplex`` concentrations, then (a, b) of each Beta.

    Args:
        simplex: how many numbers sum to one: 0 (no Dirichlet), or 2 and more.
        betas: how many numbers lie in [0, 1], each for itself.

    Attributes:
        dim: how many numbers x has.
        theta_size: how many numbers theta has.
        unit_dim: how many free numbers x has; one fewer than ``dim`` if there is a Dirichlet.

    Raises:
        ValueError: the counts are out of range.
    """

    def __init__(self, simplex: int, betas: int):
        if simplex < 0 or simplex == 1 or betas < 0 or simplex + betas == 0:
            raise ValueError(
                f"simplex={simplex}, betas={betas}: give 0, or 2 and more numbers that sum to one, "
                "and 0 or more others, at least one in all"
            )
        self.simplex, self.betas = simplex, betas
        self.dim = simplex + betas
        self.theta_size = simplex + 2 * betas
        self.unit_dim = max(simplex - 1, 0) + betas

    def start(self) -> Array:
        """theta = 1, the uniform distribution with which algorithm 2 begins (its line 1)."""
        return np.ones(self.theta_size)

    def sample(self, theta: npt.ArrayLike, rng: np.random.Generator) -> Array:
        """One x drawn from p_theta: float64 [dim]."""
        c, a, b = self._split(theta)
        simplex = rng.dirichlet(c) if self.simplex else np.empty(0)
        return np.concatenate([simplex, rng.beta(a, b)])

    def log_prob(self, theta: npt.ArrayLike, x: npt.ArrayLike) -> Array:
        """log p_theta(x), the density with respect to ``dim - 1`` of the simplex's numbers if there is a Dirichlet.

        Args:
            theta: [theta_size], above 0.
            x: [..., dim] in [0, 1]; clipped to [1e-6, 1 - 1e-6].

        Returns:
            float64 [...].
        """
        c, a, b = self._split(theta)
        alpha, beta = self._parts(x)
        of_betas = (a - 1) * np.log(beta) + (b - 1) * np.log1p(-beta) - special.betaln(a, b)
        of_simplex = ((c - 1) * np.log(alpha)).sum(-1) + special.gammaln(c.sum()) - special.gammaln(c).sum()
        return np.asarray(of_betas.sum(-1) + (of_simplex if self.simplex else 0.0))

    def score(self, theta: npt.ArrayLike, x: npt.ArrayLike) -> Array:
        """The gradient of log p_theta(x) with respect to theta (section 3.4.1, above eq. 7).

        Args:
            theta: [theta_size], above 0.
            x: [..., dim] in [0, 1]; clipped to [1e-6, 1 - 1e-6].

        Returns:
            float64 [..., theta_size].
        """
        c, a, b = self._split(theta)
        alpha, beta = self._parts(x)
        total = special.digamma(a + b)
        of_betas = np.stack(
            [np.log(beta) - special.digamma(a) + total, np.log1p(-beta) - special.digamma(b) + total], axis=-1
        )
        of_simplex = np.log(alpha) - special.digamma(c) + special.digamma(c.sum())
        return np.concatenate([of_simplex, of_betas.reshape(*beta.shape[:-1], 2 * self.betas)], axis=-1)

    def hessian_log_prob(self, theta: npt.ArrayLike, x: npt.ArrayLike | None = None) -> Array:
        """The Hessian of log p_theta(x) with respect to theta (Proposition 1); the same for every x.

        Returns:
            float64 [theta_size, theta_size], symmetric and negative definite.
        """
        c, a, b = self._split(theta)
        hessian = np.zeros((self.theta_size, self.theta_size))
        m = self.simplex
        if m:
            hessian[:m, :m] = special.polygamma(1, c.sum()) - np.diag(special.polygamma(1, c))
        first = m + 2 * np.arange(self.betas)
        common = special.polygamma(1, a + b)
        hessian[first, first] = common - special.polygamma(1, a)
        hessian[first + 1, first + 1] = common - special.polygamma(1, b)
        hessian[first, first + 1] = hessian[first + 1, first] = common
        return hessian

    def fisher(self, theta: npt.ArrayLike) -> Array:
        """The Fisher matrix E[score score'] (below eq. 8): float64 [theta_size, theta_size], positive definite."""
        return -self.hessian_log_prob(theta)

    def mean(self, theta: npt.ArrayLike) -> Array:
        """E[x]: float64 [dim]."""
        c, a, b = self._split(theta)
        return np.concatenate([c / c.sum() if self.simplex else c, a / (a + b)])

    def mode(self, theta: npt.ArrayLike) -> Array:
        """The most probable x, float64 [dim], for a theta that is nowhere below 1; the mean where p_theta is uniform.

        Raises:
            ValueError: a number of theta is below 1, where the density has no maximum.
        """
        c, a, b = self._split(theta)
        if min(part.min(initial=1.0) for part in (c, a, b)) < 1:
            raise ValueError("the density has a maximum only if theta is nowhere below 1")
        if c.sum() == self.simplex:
            c = c + 1
        flat = (a == 1) & (b == 1)
        a, b = a + flat, b + flat
        found = np.concatenate([(c - 1) / (c.sum() - self.simplex) if self.simplex else c, (a - 1) / (a + b - 2)])
        return np.clip(found, 0.0, 1.0)  # rounding may lead beyond 1 where all others are 1

    def bounded(self, theta: npt.ArrayLike, least: float) -> Array:
        """theta with no number below ``least``, and no Beta or Dirichlet whose numbers sum to more than 1e5.

        What is more concentrated is scaled down, which keeps its mean; beyond, p_theta is all but a point and the
        Fisher matrix is lost in rounding.
        """
        values = np.maximum(np.asarray(theta, np.float64), least)
        m = self.simplex
        pairs = values[m:].reshape(-1, 2)
        for block in ([values[:m]] if m else []) + list(pairs):  # views, so this writes into values
            block *= min(1.0, MOST / block.sum())
        return np.maximum(values, least)

    def from_unit(self, u: npt.ArrayLike) -> Array:
        """x from free numbers: uniform u give an x drawn at theta = 1.

        Samplers that know only independent numbers (random search, TPE) search in u. The simplex is filled by
        breaking a stick: piece i takes a share 1 - (1 - u_i)^(1 / (simplex - i)) of what is left.

        Args:
            u: [unit_dim] in [0, 1].

        Returns:
            float64 [dim].

        Raises:
            ValueError: wrong shape or range.
        """
        values = _in_unit("u", u, self.unit_dim)
        if not self.simplex:
            return values.copy()
        sticks, betas = values[: self.simplex - 1], values[self.simplex - 1 :]
        rest = (1 - sticks) ** (1 / np.arange(self.simplex - 1, 0, -1))
        left = np.concatenate([[1.0], np.cumprod(rest)])
        return np.concatenate([left * np.append(1 - rest, 1.0), betas])

    def to_unit(self, x: npt.ArrayLike) -> Array:
        """The inverse of ``from_unit``: float64 [unit_dim] in [0, 1]."""
        values = self._checked(x)
        if not self.simplex:
            return values.copy()
        alpha, betas = values[: self.simplex], values[self.simplex :]
        left = np.cumsum(alpha[::-1])[::-1]  # what is left before piece i, summed from the small end
        share = np.divide(alpha, left, out=np.zeros_like(alpha), where=left > 0)[:-1]
        return np.concatenate([1 - (1 - share) ** np.arange(self.simplex - 1, 0, -1), betas])

    def _split(self, theta: npt.ArrayLike) -> tuple[Array, Array, Array]:
        values = np.asarray(theta, np.float64)
        if values.shape != (self.theta_size,):
            raise ValueError(
                f"theta has shape {list(values.shape)}, but this space has {self.theta_size} numbers in it"
            )
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(f"theta holds {values.min()}, but its numbers are finite and above 0")
        betas = values[self.simplex :]
        return values[: self.simplex], betas[::2], betas[1::2]

    def _checked(self, x: npt.ArrayLike) -> Array:
        values = _in_unit("x", x, self.dim)
        sums = values[..., : self.simplex].sum(-1)
        if self.simplex and (np.abs(sums - 1) > _SUM_TOLERANCE).any():
            raise ValueError(f"the first {self.simplex} numbers of x sum to {sums}, but they have to sum to 1")
        return values

    def _parts(self, x: npt.ArrayLike) -> tuple[Array, Array]:
        values = np.clip(self._checked(x), CLIP, 1 - CLIP)
        return values[..., : self.simplex], values[..., self.simplex :]


def _in_unit(name: str, numbers: npt.ArrayLike, size: int) -> Array:
    values = np.asarray(numbers, np.float64)
    if values.ndim < 1 or values.shape[-1] != size:
        raise ValueError(f"{name} has shape {list(values.shape)}, but this space has {size} numbers in it")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{name} holds numbers from {values.min()} to {values.max()}, but they have to lie in [0, 1]")
    return values
