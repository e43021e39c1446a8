"""The keep rate R(t): which share of a batch's smallest losses counts in epoch t, shared by all methods that select.

- ``co_teaching:tau=0.5,epochs=10,exponent=1``: R(t) = 1 - tau min((t / epochs)^exponent, 1) (Han et al., NeurIPS 2018,
  sec. 3 and 4). With ``release=1`` as the released code has it: the exponent is on tau and only while the rate falls,
  the whole tau is dropped from epoch 9 on, and training starts with the code's epoch 1.
- ``constant:0.8``: R(t) = 0.8.
- ``file:R.csv``: a number a line, R of epoch 0, 1, ..., as many as the training has epochs. Another number is refused
  unless the text says what to do: ``file:R.csv,rescale`` stretches or squeezes the curve to the training's length,
  ``file:R.csv,hold`` takes epoch for epoch, and the last number holds from there on.
- ``searched:FOLDER``: R.csv of a finished search (``scripts/search_schedule.py``), likewise; or ``searched:NAME`` of
  one that comes with this package (``shipped()``), with a card.json that says what it was found for.
- ``asng:samples=2,step=1,seed=0,space=paper``: a kind of ``MOVING``, which changes while the training goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

LEAST = 0.01
"""R is kept in [0.01, 1], so that a batch of 100 keeps one sample at least."""

SCHEDULE_FILE = "R.csv"
FITTINGS = ("rescale", "hold")
SHIPPED = Path(__file__).resolve().parents[1] / "search" / "schedules"

Rates = npt.NDArray[np.float64]


class Moving(Protocol):
    """A schedule that changes at every evaluation of the training, such as ``search.weight_sharing.WeightSharing``."""

    def schedule(self) -> Rates:
        """The present R of all epochs, float64 [epochs] in [0.01, 1]."""

    def tell(self, accuracy: float) -> None:
        """Changes, knowing the accuracy on the validation data."""

    def state(self) -> dict[str, Rates]:
        """Everything that moves, for a checkpoint."""

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Continues from what ``state`` returned."""


MOVING: dict[str, Callable[[str, int], Moving]] = {}
"""Kinds of such schedules, made of their text and the number of epochs; who has one enters it here."""


def is_moving(text: str | None) -> bool:
    """Whether a schedule's text is of a kind that moves."""
    return (text or "").partition(":")[0] in MOVING


class KeepSchedule:
    """R(t) as its text says.

    Args:
        text: see the head of this file.

    Raises:
        ValueError: another kind of text, numbers out of range, or a file that does not hold shares.
        FileNotFoundError: no such file.
    """

    def __init__(self, text: str):
        kind, _, rest = text.partition(":")
        kinds: dict[str, Callable[[str], Callable[[int], Rates]]] = {
            "co_teaching": _co_teaching,
            "constant": _constant,
            "file": _file,
            "searched": _searched,
        }
        if is_moving(text):
            MOVING[kind](text, 1)  # refuses what it cannot read
            kinds[kind] = lambda _: lambda num_epochs: MOVING[kind](text, num_epochs).schedule()
        if kind not in kinds or not rest:
            raise ValueError(
                f"keep_schedule={text!r}: use co_teaching:tau=0.5,epochs=10,exponent=1, constant:0.8, file:R.csv or "
                "searched:FOLDER"
            )
        self.text, self._rates = text, kinds[kind](rest)

    def rates(self, num_epochs: int) -> Rates:
        """R of epochs 0 to ``num_epochs`` - 1, float64 [num_epochs] in [0.01, 1].

        Raises:
            ValueError: a file of another length, and nothing says what to do with it.
        """
        return np.clip(self._rates(num_epochs), LEAST, 1.0)


def _co_teaching(text: str) -> Callable[[int], Rates]:
    settings = {"tau": math.nan, "epochs": 10.0, "exponent": 1.0, "release": 0.0}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in settings:
            raise ValueError(f"keep_schedule=co_teaching has no {name!r}: it has {', '.join(settings)}")
        settings[name] = _number(value, f"{name} of keep_schedule=co_teaching")
    tau, epochs, exponent = settings["tau"], settings["epochs"], settings["exponent"]
    if not 0.0 <= tau < 1.0:
        raise ValueError(f"keep_schedule=co_teaching needs tau, the share of wrong labels, in [0, 1), got {tau:g}")
    if epochs < 1 or exponent <= 0:
        raise ValueError(
            f"keep_schedule=co_teaching: epochs={epochs:g} must be at least 1, exponent={exponent:g} above 0"
        )

    def rates(num_epochs: int) -> Rates:
        epoch = np.arange(num_epochs, dtype=np.float64)
        if not settings["release"]:
            return 1.0 - tau * np.minimum((epoch / epochs) ** exponent, 1.0)
        falling = np.linspace(0.0, tau**exponent, int(epochs))
        dropped = np.full(num_epochs + 1, tau)
        dropped[: len(falling)] = falling[: num_epochs + 1]
        return 1.0 - dropped[1:]

    return rates


def _constant(text: str) -> Callable[[int], Rates]:
    value = _number(text, "keep_schedule=constant")
    if not 0.0 < value <= 1.0:
        raise ValueError(f"keep_schedule=constant:{text} must lie in (0, 1]")
    return lambda num_epochs: np.full(num_epochs, value)


def _file(text: str) -> Callable[[int], Rates]:
    return _from_file(f"keep_schedule=file:{text}", *_with_fitting(text))


def _searched(text: str) -> Callable[[int], Rates]:
    folder, fitting = _with_fitting(text)
    path = Path(folder).expanduser()
    if not path.is_dir() and folder in shipped():
        path = SHIPPED / folder
    if not (path / SCHEDULE_FILE).is_file():
        if path.is_dir():
            why = f"the folder has no {SCHEDULE_FILE}, so no search has come to its end there"
        else:
            why = "there is no such folder"
        raise FileNotFoundError(
            f"keep_schedule=searched:{folder}: {why}: give the --output of a finished search, or one of "
            f"{', '.join(shipped())}"
        )
    return _from_file(f"keep_schedule=searched:{text}", f"{path}/{SCHEDULE_FILE}", fitting)


def shipped() -> tuple[str, ...]:
    """Names of the searched schedules that come with this package."""
    return tuple(sorted(file.parent.name for file in SHIPPED.glob(f"*/{SCHEDULE_FILE}")))


def _with_fitting(text: str) -> tuple[str, str]:
    """The path, and "rescale", "hold" or "" behind it."""
    path, _, fitting = text.rpartition(",")
    return (path, fitting) if fitting in FITTINGS and path else (text, "")


def _from_file(shown: str, file: str, fitting: str) -> Callable[[int], Rates]:
    path = Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{shown}: there is no such file")
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    found = np.array([_number(line, shown) for line in lines])
    if not found.size or found.min() < 0.0 or found.max() > 1.0:
        raise ValueError(f"{shown} must hold a share in [0, 1] a line, one for each epoch")

    def rates(num_epochs: int) -> Rates:
        epoch, last = np.arange(num_epochs), len(found) - 1
        if fitting == "rescale":  # epoch e of E stands for e n / E of n, as in a search with shortened trials
            return np.interp(epoch * (len(found) / num_epochs), np.arange(len(found)), found)
        if len(found) != num_epochs and fitting != "hold":
            raise ValueError(
                f"{shown} is for {len(found)} epochs and this training has {num_epochs}: add ,rescale to stretch the "
                "curve, or ,hold to take it epoch for epoch"
            )
        return found[np.minimum(epoch, last)]

    return rates


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{what}: {text[:40]!r} is not a number")
    return value
