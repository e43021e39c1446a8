"""Curricula by name or path: ``get("focal_loss:gamma=3")``, ``get("pretrained:mentornet_pd")``, ``get("a/folder")``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mentornet import spelling

if TYPE_CHECKING:
    from mentornet.curricula.base import Curriculum

__all__ = ["PRETRAINED", "Curriculum", "get", "learned_folder", "names", "of", "parameters", "pretrained_names"]

PRETRAINED = "pretrained:"
_PRETRAINED_FOLDER = Path(__file__).parent / "pretrained"


def __getattr__(name: str) -> Any:
    # Loaded on demand: the commands of this package say --help and refuse bad input without starting TensorFlow.
    if name == "Curriculum":
        from mentornet.curricula.base import Curriculum

        return Curriculum
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _predefined() -> dict[str, Callable[..., Curriculum]]:
    from mentornet.curricula import predefined, robust

    return {
        "none": predefined.Uniform,
        "self_paced": predefined.SelfPaced,
        "hard_example_mining": predefined.HardExampleMining,
        "focal_loss": predefined.FocalLoss,
        "spcl_linear": predefined.spcl_linear,
        "spcl": predefined.spcl,
        "mentornet_pd": predefined.MentorNetPD,
        "mentornet_pd_v1": predefined.MentorNetPDv1,
        "temporal_mixture": predefined.TemporalMixture,
        "prediction_variance": predefined.PredictionVariance,
        "huber": robust.Huber,
        "log_sum": robust.LogSum,
        "lorentzian": robust.Lorentzian,
    }


def names() -> tuple[str, ...]:
    """Names of the predefined curricula."""
    return tuple(_predefined())


def parameters(name: str) -> tuple[str, ...]:
    """Names of the parameters that a predefined curriculum takes behind its colon."""
    return tuple(inspect.signature(_predefined()[name]).parameters)


def pretrained_names() -> tuple[str, ...]:
    """Names of the learned MentorNets that come with the library; ``get`` takes them behind "pretrained:"."""
    return tuple(sorted(path.parent.name for path in _PRETRAINED_FOLDER.glob("*/card.json")))


def learned_folder(name_or_path: str) -> Path:
    """Where a learned MentorNet of that name or path is kept; the folder need not exist."""
    if name_or_path.startswith(PRETRAINED):
        return _PRETRAINED_FOLDER / name_or_path.removeprefix(PRETRAINED)
    return Path(name_or_path)


def _parameters(name: str, text: str) -> dict[str, float]:
    allowed = parameters(name)
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
        name_or_path: a predefined name, with parameters behind a colon if wanted ("focal_loss:gamma=3"), the name of
            one that was learned for this library ("pretrained:mentornet_pd"), or the path of a folder written by
            ``mentornet.curricula.learned.save``.
        fixed_label: for a learned one alone: feed this label whatever the sample's own.

    Returns:
        A callable (loss, difference, label, epoch) -> weights; see ``Curriculum``.

    Raises:
        ValueError, FileNotFoundError: neither a name nor a folder, or wrong parameters; the message lists the names.
        ValueError: a fixed label for a formula.
    """
    if name_or_path.startswith(PRETRAINED):
        from mentornet.curricula import learned

        stored = name_or_path.removeprefix(PRETRAINED)
        if stored not in pretrained_names():
            raise ValueError(
                f"no MentorNet {name_or_path!r}{spelling.likely(stored, pretrained_names())}: use one of "
                f"{', '.join(pretrained_names())}"
            )
        curriculum: Curriculum = learned.load(learned_folder(name_or_path), fixed_label)
        curriculum.name = name_or_path
        return curriculum
    name, colon, text = name_or_path.partition(":")
    if name in names():
        if fixed_label is not None:
            raise ValueError(
                f"a fixed label is fed to a learned MentorNet, and {name_or_path} is a formula: leave it out"
            )
        curriculum = _predefined()[name](**_parameters(name, text) if colon else {})
        curriculum.name = name_or_path
        return curriculum
    if "/" not in name_or_path and not Path(name_or_path).is_dir():
        known = [*names(), *(PRETRAINED + stored for stored in pretrained_names() if stored not in names())]
        raise ValueError(
            f"unknown curriculum {name_or_path!r}{spelling.likely(name, known)}: use one of {', '.join(names())}, "
            f"{PRETRAINED}<one of {', '.join(pretrained_names())}>, or the folder of a learned MentorNet"
        )
    from mentornet.curricula import learned

    return learned.load(name_or_path, fixed_label)


def of(given: Curriculum | str | Callable[..., Any]) -> Curriculum:
    """A curriculum as it is, by its name or path (see ``get``), or made of a plain function.

    Raises:
        ValueError, FileNotFoundError: none of these; see ``get``.
    """
    from mentornet.curricula.base import Curriculum, FunctionCurriculum

    if isinstance(given, Curriculum):
        return given
    if isinstance(given, str):
        return get(given)
    if not callable(given):
        raise ValueError(
            f"the curriculum is {type(given).__name__}: give a name, a folder, a Curriculum or a function of (loss, "
            "difference, label, epoch)"
        )
    return FunctionCurriculum(given)
