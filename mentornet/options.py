"""A method's options: what can be chosen, in which range, and what it is for, beside the method's class.

``flags/`` makes the command line of these: names, help, range checks, and the refusal of other methods' options.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_RUN = "none"
"""The value of an option that names an earlier run, where there is to be none."""


@dataclass(frozen=True)
class Option:
    """One choice that a method offers.

    Attributes:
        name: the argument of the method's constructor, or of its ``prepared``.
        default: what the constructor takes if nothing is given; shown in the help.
        help: one sentence.
        kind: int, float, str or bool; by default that of ``default``.
        within: the allowed numbers as an interval, such as "(0, 1]" or "[0, inf)".
        choices: the allowed strings.
        source: the paper's section or equation.
        flag: its name on the command line; by default ``name``.
        release: the value under --preset=release, where the authors' code differs; None: as ``default``.
    """

    name: str
    default: Any = None
    help: str = ""
    kind: type | None = None
    within: str = "(-inf, inf)"
    choices: tuple[str, ...] = ()
    source: str = ""
    flag: str = ""
    release: Any = None

    def __post_init__(self) -> None:
        if self.kind is None:
            object.__setattr__(self, "kind", str if self.choices or self.default is None else type(self.default))
        if not self.flag:
            object.__setattr__(self, "flag", self.name)

    def check(self, value: Any, shown: str | None = None) -> None:
        """Refuses a value that is out of range.

        Args:
            value: None is always allowed.
            shown: what the value is called in the message; default: the option's name.

        Raises:
            ValueError: with one sentence.
        """
        if value is None or isinstance(value, bool):
            return
        shown = shown or self.name
        if self.choices:
            check_choice(shown, value, self.choices)
        elif isinstance(value, (int, float)):
            check_within(shown, value, self.within)


def check_within(what: str, value: float, interval: str) -> None:
    """Raises ValueError unless the number lies in an interval such as "(0, 1]"."""
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = value > low or (interval[0] == "[" and value == low)
    below = value < high or (interval[-1] == "]" and value == high)
    if above and below and math.isfinite(value):
        return
    limits = []
    if low > -math.inf:
        limits.append(f"{'at least' if interval[0] == '[' else 'above'} {low:g}")
    if high < math.inf:
        limits.append(f"{'at most' if interval[-1] == ']' else 'below'} {high:g}")
    raise ValueError(f"{what}={value:g} must be {' and '.join(limits) or 'a finite number'}")


def check_choice(what: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError unless ``value`` is among the allowed ones."""
    if value not in allowed:
        raise ValueError(f"{what}={value!r}: use one of {', '.join(allowed)}")


@dataclass(frozen=True)
class RunFacts:
    """What a method's options have to fit, before any data is read.

    Attributes:
        max_steps: length of the run; None where it is known with the data only.
        weight_decay: theta.
        balanced: batches in which every given class is equally likely.
        asynchronous: workers that don't wait for each other.
        optimizer: "sgd", "adam" or "rmsprop".
        num_epochs: its length in epochs, if it is given so.
    """

    max_steps: int | None
    weight_decay: float = 0.0
    balanced: bool = False
    asynchronous: bool = False
    optimizer: str = "sgd"
    num_epochs: int | None = None


def given(options: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """The value of an option, or ``default`` where it is not given or None."""
    value = options.get(name)
    return default if value is None else value
