"""Curricula by name or path: ``get("mentornet_pd")``, ``get("focal_loss:gamma=3")``, ``get("path/to/learned")``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from mentornet.curricula.base import Curriculum
from mentornet.curricula.predefined import (
    FocalLoss,
    HardExampleMining,
    LinearWeighting,
    MentorNetPD,
    MentorNetPDv1,
    PredictionVariance,
    SelfPaced,
    TemporalMixture,
    Uniform,
)
from mentornet.curricula.robust import Huber, LogSum, Lorentzian

__all__ = ["Curriculum", "get", "names"]


def _spcl_linear(gamma: float = 1.0) -> Curriculum:
    return LinearWeighting(gamma)


def _spcl(lambda1: float = 1.0, lambda2: float = 1.0) -> Curriculum:
    return LinearWeighting(lambda2, lambda1)


_PREDEFINED: dict[str, Callable[..., Curriculum]] = {
    "none": Uniform,
    "self_paced": SelfPaced,
    "hard_example_mining": HardExampleMining,
    "focal_loss": FocalLoss,
    "spcl_linear": _spcl_linear,
    "spcl": _spcl,
    "mentornet_pd": MentorNetPD,
    "mentornet_pd_v1": MentorNetPDv1,
    "temporal_mixture": TemporalMixture,
    "prediction_variance": PredictionVariance,
    "huber": Huber,
    "log_sum": LogSum,
    "lorentzian": Lorentzian,
}


def names() -> tuple[str, ...]:
    """Names of the predefined curricula."""
    return tuple(_PREDEFINED)


def _parameters(name: str, text: str) -> dict[str, float]:
    allowed = list(inspect.signature(_PREDEFINED[name]).parameters)
    values: dict[str, float] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key not in allowed or not equals:
            options = ", ".join(allowed) or "none"
            raise ValueError(f"curriculum {name!r}: {part!r} is not one of its parameters ({options}) as key=number")
        try:
            values[key] = float(value)
        except ValueError:
            raise ValueError(f"curriculum {name!r}: {key}={value!r} is not a number") from None
    return values


def get(name_or_path: str, fixed_label: int | None = None) -> Curriculum:
    """The curriculum of that name, or the learned MentorNet in that folder.

    Args:
        name_or_path: a predefined name, with parameters behind a colon if wanted ("focal_loss:gamma=3"), or the path
            of a folder written by ``mentornet.curricula.learned.save``.
        fixed_label: for a learned one: feed this label whatever the sample's own.

    Returns:
        A callable (loss, difference, label, epoch) -> weights; see ``Curriculum``.

    Raises:
        ValueError, FileNotFoundError: neither a name nor a folder, or wrong parameters; the message lists the names.
    """
    name, colon, text = name_or_path.partition(":")
    if name in _PREDEFINED:
        curriculum = _PREDEFINED[name](**_parameters(name, text) if colon else {})
        curriculum.name = name_or_path
        return curriculum
    if "/" not in name_or_path and not Path(name_or_path).is_dir():
        raise ValueError(
            f"unknown curriculum {name_or_path!r}: use one of {', '.join(_PREDEFINED)}, or the folder of a learned "
            "MentorNet"
        )
    from mentornet.curricula import learned

    return learned.load(name_or_path, fixed_label)
