"""What a trial of a search tries: a schedule R(t) from one of ``spaces``, or values of a recipe's own settings.

``proposals(text, ...)`` reads the text of ``--space``:

    paper, rbf:variant=code, ...         a space of ``spaces`` with its options; the trial gets a file R.csv
    grid:gamma=1,2,3;seed=0,1            these values, each with each; | between values that have commas
    range:loss_p_percentile=0.5..0.9     any number between two; ``:log`` behind them for a logarithmic scale
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mentornet import files
from mentornet.search import sampler, spaces
from mentornet.search.base import Space
from mentornet.search.sampler import optuna

SCHEDULE_FILE = "R.csv"


class Proposals(Protocol):
    """What the trials of a search choose from."""

    @property
    def title(self) -> str:
        """Two of one title are the same."""

    @property
    def points(self) -> int | None:
        """How many there are; None if there is no end of them."""

    def propose(self, trial: optuna.Trial) -> None:
        """Draws the trial's numbers."""

    def flags(self, params: Mapping[str, Any], folder: Path, epochs: int | None) -> list[str]:
        """Flags of a training with these numbers; what they need is written into ``folder``."""

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers as a reader understands them."""


@dataclasses.dataclass(frozen=True)
class Schedules:
    """Schedules of a space.

    Attributes:
        space: of ``spaces``.
        horizon: epochs of the full training, T of the formulas; shorter trainings get the squeezed curve.
    """

    space: Space
    horizon: int
    points: int | None = None

    @property
    def title(self) -> str:
        """Name and options of the space."""
        return self.space.title

    def propose(self, trial: optuna.Trial) -> None:
        """Draws the trial's numbers."""
        sampler.suggest(trial, self.space)

    def x(self, params: Mapping[str, Any]) -> np.ndarray:
        """The point of the space, float64 [dim]."""
        return self.space.from_unit([params[name] for name in self.space.unit_names()])

    def schedule(self, params: Mapping[str, Any], epochs: int | None = None) -> np.ndarray:
        """R of epochs 0, 1, ...: float64 [epochs], by default those of the full training."""
        return self.space.schedule(self.x(params), epochs or self.horizon, horizon=self.horizon)

    def flags(self, params: Mapping[str, Any], folder: Path, epochs: int | None) -> list[str]:
        """--keep_schedule with the file that is written here."""
        write_schedule(folder / SCHEDULE_FILE, self.schedule(params, epochs))
        return [f"--keep_schedule=file:{folder / SCHEDULE_FILE}"]

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers in their natural ranges."""
        return self.space.describe(self.x(params))


@dataclasses.dataclass(frozen=True)
class Settings:
    """Values of flags, or of a curriculum's parameters.

    Attributes:
        title: the text they were read from.
        distributions: name -> Optuna's distribution.
        curriculum: a curriculum as on the command line; those of its parameters that are searched are replaced.
        parameters: which names are its parameters; the others are flags.
    """

    title: str
    distributions: Mapping[str, optuna.distributions.BaseDistribution]
    curriculum: str | None = None
    parameters: frozenset[str] = frozenset()

    @property
    def points(self) -> int | None:
        """Points of a grid; None for ranges."""
        choices = self.choices()
        return math.prod(len(values) for values in choices.values()) if choices else None

    def choices(self) -> dict[str, Sequence[Any]]:
        """The values of a grid by name; {} for ranges."""
        categorical = optuna.distributions.CategoricalDistribution
        return {name: kind.choices for name, kind in self.distributions.items() if isinstance(kind, categorical)}

    def propose(self, trial: optuna.Trial) -> None:
        """Draws the trial's values."""
        for name, kind in self.distributions.items():
            if isinstance(kind, optuna.distributions.CategoricalDistribution):
                trial.suggest_categorical(name, kind.choices)
            elif isinstance(kind, optuna.distributions.IntDistribution):
                trial.suggest_int(name, kind.low, kind.high, log=kind.log)
            else:
                trial.suggest_float(name, kind.low, kind.high, log=kind.log)

    def flags(self, params: Mapping[str, Any], folder: Path, epochs: int | None) -> list[str]:
        """A flag each, and --curriculum if parameters of it are searched."""
        given = [f"--{name}={params[name]}" for name in self.distributions if name not in self.parameters]
        if not self.parameters:
            return given
        kind, _, text = str(self.curriculum).partition(":")
        own = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
        own |= {name: str(params[name]) for name in self.distributions if name in self.parameters}
        return [*given, f"--curriculum={kind}:{','.join(f'{name}={value}' for name, value in own.items())}"]

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values themselves."""
        return {name: params[name] for name in self.distributions}

    def corners(self) -> list[dict[str, Any]]:
        """Assignments that together have every choice and both ends of every range, to check them before any work."""
        columns = {}
        for name, kind in self.distributions.items():
            choices = getattr(kind, "choices", None)
            columns[name] = list(choices) if choices else [kind.low, kind.high]
        longest = max(map(len, columns.values()))
        return [{name: values[min(i, len(values) - 1)] for name, values in columns.items()} for i in range(longest)]


def write_schedule(path: Path, rates: np.ndarray) -> None:
    """Writes R(t) as --keep_schedule=file: reads it, a number a line with all its digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, "".join(f"{rate!r}\n" for rate in rates.tolist()))


def names(text: str) -> tuple[str, ...]:
    """The settings that --space=grid:... or range:... searches; () for a space of schedules.

    Raises:
        ValueError: it cannot be read.
    """
    kind, _, rest = text.partition(":")
    return tuple(name for name, _ in _assignments(kind, rest)) if kind in ("grid", "range") else ()


def schedules(text: str, horizon: int) -> Schedules:
    """The space of that text for trainings of ``horizon`` epochs.

    Raises:
        ValueError: no such space or option.
    """
    name, _, rest = text.partition(":")
    options = {key: spaces.literal(value) for key, value in _assignments(name, rest)} if rest else {}
    try:
        return Schedules(spaces.get(name, **options), horizon)
    except ValueError as error:
        if name in spaces.names():
            raise ValueError(f"--space={text}: {error}") from None
        raise ValueError(
            f"--space={text}: use one of {', '.join(spaces.names())}, grid:NAME=1,2,3 or range:NAME=0.5..0.9"
        ) from None


def settings(
    text: str, curriculum: str | None = None, parameters: Sequence[str] = (), integers: Sequence[str] = ()
) -> Settings:
    """Reads grid:... or range:....

    Args:
        text: of --space.
        curriculum: that of the recipe.
        parameters: names that are its parameters.
        integers: names whose values are whole numbers.

    Raises:
        ValueError: it cannot be read.
    """
    kind, _, rest = text.partition(":")
    found: dict[str, Any] = {}
    for name, value in _assignments(kind, rest):
        read = _choices if kind == "grid" else _range
        found[name] = read(f"--space={kind}:{name}={value}", value, name in integers)
    return Settings(text, found, curriculum, frozenset(parameters) & set(found))


def _assignments(kind: str, text: str) -> list[tuple[str, str]]:
    separator = ";" if kind in ("grid", "range") else ","
    parts = [part.partition("=") for part in text.split(separator)]
    names = [name for name, _, _ in parts]
    if any(not (name and value) for name, _, value in parts) or len(set(names)) < len(names):
        example = {"grid": "gamma=1,2,3", "range": "loss_p_percentile=0.5..0.9"}.get(kind, "variant=code")
        raise ValueError(f"--space={kind}:{text}: expected NAME=VALUES{separator}..., each name once, as in {example}")
    return [(name.strip().lstrip("-"), value.strip()) for name, _, value in parts]


def _choices(shown: str, text: str, whole: bool) -> optuna.distributions.CategoricalDistribution:
    values = [part.strip() for part in text.split("|" if "|" in text else ",")]
    if "" in values or len(set(values)) < len(values):
        raise ValueError(f"{shown}: a value is empty or is there twice")
    return optuna.distributions.CategoricalDistribution(values)


def _range(shown: str, text: str, whole: bool) -> optuna.distributions.BaseDistribution:
    limits, _, scale = text.partition(":")
    low, dots, high = limits.partition("..")
    try:
        ends = (int(low), int(high)) if whole else (float(low), float(high))
    except ValueError:
        ends = (1, 0)
    if not dots or not ends[0] < ends[1] or not all(map(math.isfinite, ends)) or scale not in ("", "log"):
        number = "whole numbers" if whole else "numbers"
        raise ValueError(f"{shown}: expected two {number}, the smaller first, as in 0.5..0.9 or 0.001..0.1:log")
    if scale and ends[0] <= 0:
        raise ValueError(f"{shown}: a logarithmic scale begins above 0")
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(*ends, log=bool(scale))
