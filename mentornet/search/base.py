"""What every search space for R(t) shares; the spaces themselves are in ``spaces`` and ``approximators``.

Source: S2E (Yao et al., ICML 2020), section 3.3. A space maps a point x, numbers in [0, 1] that the search draws from
p_theta (``distributions``), to a schedule: R(t) is the fraction of each batch that is kept in epoch t.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mentornet.search.distributions import Array, ProductDistribution

LEAST_KEPT = 0.01  # the released code drops at most 99%, so a batch of 128 keeps at least one sample
VARIANTS = ("paper", "code")


class Space(ProductDistribution, abc.ABC):
    """A search space: a distribution p_theta over x, and the schedule that belongs to x.

    Args:
        labels: names of the numbers of x.
        simplex: how many of the first of them sum to one.

    Attributes:
        title: name and options, such as "single(basis=1)"; two spaces of one title are the same.
    """

    title = "a space of one's own"

    def __init__(self, labels: Sequence[str], simplex: int = 0):
        super().__init__(simplex, len(labels) - simplex)
        self._labels = tuple(labels)

    def names(self) -> tuple[str, ...]:
        """Names of the ``dim`` numbers of x, for reports."""
        return self._labels

    def unit_names(self) -> tuple[str, ...]:
        """Names of the ``unit_dim`` free numbers, see ``from_unit``."""
        sticks = tuple(f"stick{i + 1}" for i in range(max(self.simplex - 1, 0)))
        return sticks + self._labels[self.simplex :]

    def natural(self, x: npt.ArrayLike) -> Array:
        """The numbers of x in their natural ranges, in the order of ``names``: float64 [dim]."""
        return self._checked(x)

    def describe(self, x: npt.ArrayLike) -> dict[str, float]:
        """{name: number in its natural range}, for reports."""
        return dict(zip(self._labels, self.natural(x).tolist(), strict=True))

    @abc.abstractmethod
    def curve(self, x: npt.ArrayLike, t: npt.ArrayLike, horizon: float) -> Array:
        """The formula of R, not clipped.

        Args:
            x: [dim].
            t: [n] times, 0 or more; they need not be whole.
            horizon: T.

        Returns:
            float64 [n].
        """

    def schedule(
        self, x: npt.ArrayLike, num_epochs: int, *, horizon: float | None = None, least: float = LEAST_KEPT
    ) -> Array:
        """R(0), ..., R(num_epochs - 1) of a training.

        Args:
            x: [dim] in [0, 1].
            num_epochs: of the training, 1 or more.
            horizon: T; by default ``num_epochs``. With another T the time is stretched: epoch e stands for
                t = e T / num_epochs. The formulas depend on t itself and not only on t / T, so a short trial has the
                shape of the long training only if T is that of the long one.
            least: the smallest fraction that is kept.

        Returns:
            float64 [num_epochs] in [least, 1].

        Raises:
            ValueError: an argument is out of range.

        Example:
            >>> space = spaces.get("paper")
            >>> x = space.sample(space.start(), np.random.default_rng(0))
            >>> kept = space.schedule(x, 50, horizon=200)
        """
        if num_epochs < 1:
            raise ValueError(f"num_epochs={num_epochs}: a training has at least one epoch")
        total = float(num_epochs if horizon is None else horizon)
        if not 0 < total < np.inf:
            raise ValueError(f"horizon={horizon}: give the number of epochs the schedule is meant for, above 0")
        if not 0 <= least <= 1:
            raise ValueError(f"least={least}: the smallest fraction kept lies in [0, 1]")
        t = np.arange(num_epochs) * (total / num_epochs)
        return np.clip(self.curve(x, t, total), least, 1.0)


def checked_variant(variant: str) -> str:
    """``variant``, "paper" or "code".

    Raises:
        ValueError: it is neither.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: use one of {', '.join(VARIANTS)}")
    return variant
