"""Search spaces for R(t), the fraction of each batch that is kept in epoch t; ``get(name)`` returns one.

Source: S2E (Yao et al., ICML 2020), section 3.3 (the space), table 1 (its bases), section 4.2.1 and table 2 (the
spaces it is compared with). A space maps a point x, numbers in [0, 1] that the search draws from p_theta
(``distributions``), to a schedule. Numbers whose natural range is another one are stretched inside the space.

    paper        20  eq. 4: a mixture of table 1's four bases, weights alpha from a Dirichlet
    code         12  what the released code searches: three decays, two growths they share, weights by stick breaking
    co_teaching   3  eq. 1: tau, t_k, c
    single        4  one basis of table 1 (5: which one is searched, too)
    rbf          13  a radial basis function network (``approximators``)
    mlp          13  a multilayer perceptron (``approximators``)

Of all formulas above only co_teaching and the networks keep R within [0, 1] by themselves: 23% of the uniform draws
of ``paper`` exceed 1 somewhere. ``schedule`` therefore clips, from below at 0.01, as the released code does, so that
a batch of 128 keeps at least one sample. The curve itself is ``curve``.

Published differences. The released code stores the drop rate 1 - R and trains from epoch 1 on, so it never uses R(0);
its `co_teaching` draws c from U(0, 2), where the paper has c in {0.5, 1, 2} (``variant``); its script for CIFAR-100
stretches c by 200 instead of t_k, which is not followed here. What it calls ``single`` is two decays and one growth.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mentornet.search import bases
from mentornet.search.approximators import MLP, RBF
from mentornet.search.base import Space, checked_variant
from mentornet.search.distributions import Array


class Paper(Space):
    """Eq. 4: R(t) = sum over i of alpha_i f_i(t; a_i), f_i of table 1. x = (alpha, a_1, a_2, a_3, a_4), 20 numbers."""

    def __init__(self) -> None:
        parameters = [f"f{i}.a{j}" for i in range(1, 5) for j in range(1, 5)]
        super().__init__([f"alpha{i}" for i in range(1, 5)] + parameters, simplex=4)

    def curve(self, x: npt.ArrayLike, t: npt.ArrayLike, horizon: float) -> Array:
        values, times = self._checked(x), np.asarray(t, np.float64)
        a = values[4:].reshape(4, 4)
        terms = [values[i] * bases.basis(i + 1, times, horizon, a[i]) for i in range(4)]
        return np.sum(terms, axis=0)


class Code(Space):
    """The 12 numbers of the released code; x2, x4, x6, x9, x10 are halved and x5, x11 doubled before use."""

    def __init__(self) -> None:
        super().__init__([f"x{i}" for i in range(12)])

    def natural(self, x: npt.ArrayLike) -> Array:
        values = self._checked(x).copy()
        values[[2, 4, 6, 9, 10]] *= 0.5
        values[[5, 11]] *= 2
        return values

    def curve(self, x: npt.ArrayLike, t: npt.ArrayLike, horizon: float) -> Array:
        times, v = np.asarray(t, np.float64), self.natural(x)
        first, second = v[0], (1 - v[0]) * v[7]
        decay = (
            first * bases.exponential_decay(times, v[1], v[2])
            + second * bases.hyperbolic_decay(times, v[3], v[4])
            + (1 - first - second) * bases.logarithmic_decay(times, v[8], v[9])
        )
        growth = bases.power_growth(times, horizon, v[6], v[5])
        return decay + growth + bases.logarithmic_growth(times, horizon, v[10], v[11])


class CoTeaching(Space):
    """Eq. 1: R(t) = 1 - tau min((t / t_k)^c, 1), tau from U(0, 1), t_k from U(0, T).

    Args:
        variant: "paper" takes c from {0.5, 1, 2} (appendix B.1), each for a third of the range; "code" from U(0, 2).
    """

    EXPONENTS = (0.5, 1.0, 2.0)

    def __init__(self, variant: str = "paper"):
        super().__init__(["tau", "t_k/T", "c"])
        self._variant = checked_variant(variant)

    def natural(self, x: npt.ArrayLike) -> Array:
        values = self._checked(x).copy()
        which = min(int(3 * values[2]), 2)
        values[2] = 2 * values[2] if self._variant == "code" else self.EXPONENTS[which]
        return values

    def curve(self, x: npt.ArrayLike, t: npt.ArrayLike, horizon: float) -> Array:
        tau, share, c = self.natural(x)
        return bases.co_teaching(np.asarray(t, np.float64), tau, share * horizon, c)


class Single(Space):
    """One basis of table 1 (section 4.2.1). x = (a1, a2, a3, a4).

    Args:
        basis: 1 to 4, as in the paper, which searches with each and reports the best; None: x begins with a number
            whose quarter of [0, 1] says which basis it is, so that one search covers all four.
    """

    def __init__(self, basis: int | None = None):
        if basis is not None and basis not in (1, 2, 3, 4):
            raise ValueError(f"basis={basis}: table 1 has the bases 1, 2, 3 and 4; leave it out to search among them")
        super().__init__((["basis"] if basis is None else []) + ["a1", "a2", "a3", "a4"])
        self._basis = basis

    def natural(self, x: npt.ArrayLike) -> Array:
        values = self._checked(x).copy()
        if self._basis is None:
            values[0] = 1 + min(int(4 * values[0]), 3)
        return values

    def curve(self, x: npt.ArrayLike, t: npt.ArrayLike, horizon: float) -> Array:
        values = self.natural(x)
        number = int(values[0]) if self._basis is None else self._basis
        return bases.basis(number, np.asarray(t, np.float64), horizon, values[-4:])


def read(text: str) -> Space:
    """The space of a text such as paper, or rbf:variant=code,units=3.

    Raises:
        ValueError: it cannot be read; see ``get``.
    """
    name, _, rest = text.partition(":")
    options = dict(part.partition("=")[::2] for part in rest.split(",")) if rest else {}
    if not all(options.values()):
        raise ValueError(f"{text!r}: expected a search space with its options, as in rbf:variant=code")
    return get(name, **{key: literal(value) for key, value in options.items()})


def literal(text: str) -> int | float | str:
    """A number where the text is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_SPACES: dict[str, Callable[..., Space]] = {
    "paper": Paper,
    "code": Code,
    "co_teaching": CoTeaching,
    "single": Single,
    "rbf": RBF,
    "mlp": MLP,
}


def names() -> tuple[str, ...]:
    """Names of the spaces."""
    return tuple(_SPACES)


def get(name: str, **options: object) -> Space:
    """The space of that name.

    Args:
        name: one of ``names()``.
        options: of the space: ``variant`` of co_teaching, rbf and mlp, ``basis`` of single, ``units`` and ``scale`` of
            rbf and mlp.

    Raises:
        ValueError: unknown name or option, or an option out of range.
    """
    if name not in _SPACES:
        raise ValueError(f"unknown search space {name!r}: use one of {', '.join(_SPACES)}")
    signature = inspect.signature(_SPACES[name])
    allowed = list(signature.parameters)
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise ValueError(
            f"space {name!r} has no option {', '.join(unknown)}: it has {', '.join(allowed) or 'no options'}"
        )
    chosen = signature.bind(**options)
    chosen.apply_defaults()
    space = _SPACES[name](**options)
    space.title = f"{name}({', '.join(f'{key}={value}' for key, value in chosen.arguments.items())})"
    return space
