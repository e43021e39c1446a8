"""General function approximators as search spaces for R(t), the comparators of table 2.

Source: S2E (Yao et al., ICML 2020), section 4.2.1: a radial basis function network and a multilayer perceptron, one
input (the epoch), one hidden layer of four units (Gaussian, or ReLU), a sigmoid output that is R. The paper does not
say how the input is scaled nor from where the weights are drawn. Here the input is t / T, centres are uniform in
[0, 1] and widths in (0, 0.5] as in the released code, all other weights and biases normal with standard deviation
``scale``, chosen so that R fills (0, 1) without being stuck at its ends: half of its values are in 0.1 to 0.9.

What the released code does (``variant="code"``) is something else in every point but the input t / T:
  rbf   six Gaussians, weights uniform in [0, 1], no bias and no sigmoid; the sum, at most 1, is the DROP rate 1 - R
  mlp   ten LINEAR units (no ReLU), all weights standard normal; the sigmoid of their sum is the DROP rate 1 - R, so
        every schedule is a sigmoid of a straight line
Neither starts at R(0) = 1, in either variant.

A normal weight is the normal quantile of a number in (0, 1), so p_theta is a product of Betas as in all spaces and
theta = 1 gives exactly normal weights.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from mentornet.search.base import Space, checked_variant
from mentornet.search.distributions import CLIP, Array

WIDEST = 0.5
NARROWEST = 1e-3  # of the widest: a width of 0 would divide by 0
PAPER_UNITS = 4


class RBF(Space):
    """A radial basis function network: sigmoid(bias + sum_i w_i exp(-(s - c_i)^2 / (2 h_i^2))), s = t / T.

    Args:
        variant: "paper" or "code", see the head of this module.
        units: Gaussians; by default 4 ("paper") or 6 ("code").
        scale: standard deviation of the weights and the bias ("paper").
    """

    def __init__(self, variant: str = "paper", units: int | None = None, scale: float = 2.0):
        self._variant = checked_variant(variant)
        self._units = _checked_units(units, {"paper": PAPER_UNITS, "code": 6}[variant])
        self._scale = _checked_scale(scale)
        super().__init__(
            _numbered("centre", self._units)
            + _numbered("width", self._units)
            + _numbered("weight", self._units)
            + (["bias"] if variant == "paper" else [])
        )

    def natural(self, x: npt.ArrayLike) -> Array:
        values, n = self._checked(x).copy(), self._units
        values[n : 2 * n] = WIDEST * np.maximum(values[n : 2 * n], NARROWEST)
        if self._variant == "paper":
            values[2 * n :] = _normal(values[2 * n :], self._scale)
        return values

    def curve(self, x: npt.ArrayLike, t: npt.ArrayLike, horizon: float) -> Array:
        s, values = np.asarray(t, np.float64)[:, None] / horizon, self.natural(x)
        centres, widths, weights = values[: 3 * self._units].reshape(3, -1)
        total = np.exp(-((s - centres) ** 2) / (2 * widths**2)) @ weights
        return special.expit(total + values[-1]) if self._variant == "paper" else 1 - np.minimum(total, 1)


class MLP(Space):
    """A multilayer perceptron: sigmoid(bias + sum_i v_i relu(w_i s + b_i)), s = t / T.

    Args:
        variant: "paper" or "code", see the head of this module.
        units: hidden units; by default 4 ("paper") or 10 ("code").
        scale: standard deviation of all weights and biases ("paper"; "code" has 1).
    """

    def __init__(self, variant: str = "paper", units: int | None = None, scale: float = 1.5):
        self._variant = checked_variant(variant)
        self._units = _checked_units(units, {"paper": PAPER_UNITS, "code": 10}[variant])
        self._scale = _checked_scale(scale) if variant == "paper" else 1.0
        super().__init__(
            _numbered("w", self._units)
            + _numbered("b", self._units)
            + _numbered("v", self._units)
            + (["bias"] if variant == "paper" else [])
        )

    def natural(self, x: npt.ArrayLike) -> Array:
        return _normal(self._checked(x), self._scale)

    def curve(self, x: npt.ArrayLike, t: npt.ArrayLike, horizon: float) -> Array:
        s, values = np.asarray(t, np.float64)[:, None] / horizon, self.natural(x)
        w, b, v = values[: 3 * self._units].reshape(3, -1)
        if self._variant == "code":
            return 1 - special.expit((s * w + b) @ v)
        return special.expit(np.maximum(s * w + b, 0) @ v + values[-1])


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}{i + 1}" for i in range(count)]


def _normal(u: Array, scale: float) -> Array:
    return scale * np.asarray(special.ndtri(np.clip(u, CLIP, 1 - CLIP)))


def _checked_units(units: int | None, default: int) -> int:
    if units is None:
        return default
    if type(units) is not int or units < 1:
        raise ValueError(f"units={units!r}: a network has a whole number of hidden units, 1 or more")
    return units


def _checked_scale(scale: float) -> float:
    if not 0 < scale < np.inf:
        raise ValueError(f"scale={scale}: a standard deviation is finite and above 0")
    return float(scale)
