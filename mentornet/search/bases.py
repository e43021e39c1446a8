"""The curves that search spaces of R(t) are made of: S2E's decays and growths, and Co-teaching's schedule.

R(t) is the fraction of a batch that is kept in epoch t. Sources: S2E (Yao et al., ICML 2020), table 1 and eq. 1;
Co-teaching (Han et al., NeurIPS 2018). T is the number of epochs that t counts against.

Powers of t = 0 are 0 here, also those with exponent 0. That is the limit of small exponents, and it gives every
basis the value 1 at t = 0 that assumption 1 of S2E asks for; Python's 0 ** 0 = 1 would give 1/e or 2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def power(t: Array, exponent: float) -> Array:
    """t ** exponent, but 0 at t = 0 whatever the exponent."""
    return np.where(t > 0, np.where(t > 0, t, 1.0) ** exponent, 0.0)


def exponential_decay(t: Array, a1: float, a2: float) -> Array:
    """exp(-a2 t^a1): the decay of f1 and f2 in table 1."""
    return np.exp(-a2 * power(t, a1))


def hyperbolic_decay(t: Array, a1: float, a2: float) -> Array:
    """(1 + a2 t)^-a1: the decay of f3 and f4 in table 1."""
    return (1 + a2 * t) ** -a1


def logarithmic_decay(t: Array, a1: float, a2: float) -> Array:
    """log(1 + a1) / log(1 + a1 + a2 t): the third decay of the released code, which table 1 does not have.

    With a1 = 0 it is 1 at t = 0 and falls to 0 at once; with a1 = a2 = 0 it stays 1.
    """
    below = np.log1p(a1 + a2 * t)
    return np.divide(np.log1p(a1), below, out=np.ones_like(below), where=below > 0)


def power_growth(t: Array, horizon: float, a3: float, a4: float) -> Array:
    """a3 (t / T)^a4: the growth of f1 and f3 in table 1."""
    return a3 * power(t / horizon, a4)


def logarithmic_growth(t: Array, horizon: float, a3: float, a4: float) -> Array:
    """a3 log(1 + t^a4) / log(1 + T^a4): the growth of f2 and f4 in table 1."""
    return a3 * np.log1p(power(t, a4)) / np.log1p(horizon**a4)


def basis(number: int, t: Array, horizon: float, a: npt.ArrayLike) -> Array:
    """f_number(t; a) of table 1, number 1 to 4, a = (a1, a2, a3, a4) in [0, 1]: a decay from 1 plus a growth from 0."""
    a1, a2, a3, a4 = np.asarray(a, np.float64)
    decay = exponential_decay if number in (1, 2) else hyperbolic_decay
    growth = power_growth if number in (1, 3) else logarithmic_growth
    return decay(t, a1, a2) + growth(t, horizon, a3, a4)


def co_teaching(t: Array, tau: float, t_k: float, c: float) -> Array:
    """1 - tau min((t / t_k)^c, 1) (S2E, eq. 1; Han et al. 2018, algorithm 1), tau the rate of noise.

    With t_k = 0 everything but t = 0 is at 1 - tau.
    """
    share = np.divide(t, t_k, out=np.ones_like(t), where=t < t_k)
    return 1 - tau * np.where(t > 0, power(share, c), 0.0)
