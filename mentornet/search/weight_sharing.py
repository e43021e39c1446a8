"""ASNG over one training whose weights all samples share: the other row of table 5 of S2E (Yao et al., ICML 2020, B.2).

The training is cut into stretches, from one evaluation to the next. Each has a sample x of its own, whose R(t) holds
for the epochs of the stretch, and is scored by the validation accuracy at its end. After every ``samples`` stretches
theta takes a step of ``asng``. So steps on the weights alternate with steps on theta, and no weights are trained anew.
What a sample is worth is mixed up with what the training had learned before: the price of sharing.

The k-th sample follows from theta, the seed and k alone, so everything follows from the accuracies so far.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mentornet.search import spaces
from mentornet.search.asng import ASNG
from mentornet.search.base import Space
from mentornet.search.distributions import Array

KIND = "asng"
_PURPOSE = "search/shared"
_FORM = "asng:samples=2,step=1,seed=0,space=paper"


@dataclass(frozen=True)
class Settings:
    """Of a search with shared weights.

    Attributes:
        space: text of a space of schedules, with its options behind a colon.
        samples: stretches between two steps on theta, 2 or more.
        step: delta at the start, see ``asng.ASNG``.
        seed: of the samples, 0 or more.
    """

    space: str = "paper"
    samples: int = 2
    step: float = 1.0
    seed: int = 0

    @property
    def text(self) -> str:
        """As ``read`` reads it."""
        return f"{KIND}:samples={self.samples},step={self.step:g},seed={self.seed},space={self.space}"


def read(text: str) -> Settings:
    """The settings of a text such as asng:samples=2,step=1,seed=0,space=rbf:variant=code; the space comes last.

    Raises:
        ValueError: it cannot be read, or a number is out of range.
    """
    kind, _, rest = text.partition(":")
    numbers, _, space = rest.partition("space=")
    known: dict[str, type] = {"samples": int, "step": float, "seed": int}
    values: dict[str, float] = {}
    for part in filter(None, numbers.removesuffix(",").split(",")):
        name, _, value = part.partition("=")
        try:
            values[name] = known[name](value)
        except (KeyError, ValueError):
            raise ValueError(f"keep_schedule={text}: expected a text such as {_FORM}") from None
    if kind != KIND or not space:
        raise ValueError(f"keep_schedule={text}: expected a text such as {_FORM}")
    settings = Settings(space, int(values.get("samples", 2)), values.get("step", 1.0), int(values.get("seed", 0)))
    if settings.seed < 0:
        raise ValueError(f"keep_schedule={text}: the seed is 0 or more")
    ASNG(spaces.read(space), samples=settings.samples, step=settings.step)
    return settings


class WeightSharing:
    """The search of one training; everything that moves is in ``state``.

    Args:
        settings: see ``Settings``.
        epochs: of the training.
    """

    def __init__(self, settings: Settings, epochs: int):
        self.space: Space = spaces.read(settings.space)
        self.settings, self._epochs = settings, epochs
        self._asng = ASNG(self.space, samples=settings.samples, step=settings.step)
        self._told = 0
        self._values = np.zeros(settings.samples)
        self._xs = np.zeros((settings.samples, self.space.dim))
        self._xs[0] = self._draw()

    @property
    def theta(self) -> Array:
        """Parameters of p_theta, float64 [theta_size]."""
        return self._asng.theta

    @property
    def step(self) -> float:
        """delta of the next step on theta."""
        return self._asng.step

    @property
    def x(self) -> Array:
        """The sample of the present stretch, float64 [dim]."""
        found: Array = self._xs[self._told % self.settings.samples]
        return found

    def schedule(self) -> Array:
        """R(t) of the present sample for all epochs of the training, float64 [epochs] in [0, 1]."""
        return self.space.schedule(self.x, self._epochs)

    def tell(self, accuracy: float) -> None:
        """Ends a stretch: its score, and the sample of the next one.

        Args:
            accuracy: on the validation data.

        Raises:
            ValueError: it is not finite.
        """
        if not np.isfinite(accuracy):
            raise ValueError(f"the validation accuracy is {accuracy}, so R(t) cannot be searched by it")
        self._values[self._told % self.settings.samples] = 1.0 - accuracy
        self._told += 1
        if self._told % self.settings.samples == 0:
            self._asng.tell(self._xs, self._values)
        self._xs[self._told % self.settings.samples] = self._draw()

    def state(self) -> dict[str, Array]:
        """Everything that moves, for a checkpoint: name -> float64 array."""
        own = {"told": np.float64(self._told), "values": self._values, "xs": self._xs}
        return self._asng.state() | {name: np.array(value, np.float64) for name, value in own.items()}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Continues from what ``state`` returned.

        Raises:
            ValueError: it is the state of another search.
        """
        self._asng.restore(state)
        values, xs = np.array(state["values"], np.float64), np.array(state["xs"], np.float64)
        if (values.shape, xs.shape) != (self._values.shape, self._xs.shape):
            raise ValueError(f"the state has {values.shape} values, but this search {self._values.shape}")
        self._told, self._values, self._xs = int(np.asarray(state["told"])), values, xs

    def _draw(self) -> Array:
        key = (zlib.crc32(_PURPOSE.encode()), self._told)
        rng = np.random.default_rng(np.random.SeedSequence(self.settings.seed, spawn_key=key))
        return self.space.sample(self.theta, rng)


def made_of(text: str, epochs: int) -> WeightSharing:
    """The search that a text asks for, see ``read``; for ``methods.keep_schedule.MOVING``."""
    return WeightSharing(read(text), epochs)


def replay(settings: Settings, epochs: int, accuracies: Sequence[float]) -> tuple[WeightSharing, list[Array], Array]:
    """The search of a training whose accuracies are known.

    Returns:
        The search after the last of them, the samples in their order, delta before each, float64 [n].
    """
    search = WeightSharing(settings, epochs)
    xs, steps = [], []
    for accuracy in accuracies:
        xs.append(search.x.copy())
        steps.append(search.step)
        search.tell(float(accuracy))
    return search, xs, np.array(steps)
