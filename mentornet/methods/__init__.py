"""Methods that turn a batch into an update of the student, one file a paper; ``get(name)`` returns the class."""

from __future__ import annotations

from mentornet.methods.base import NoisyLabelMethod
from mentornet.methods.class_weights import ClassWeights
from mentornet.methods.clean_only import CleanOnly
from mentornet.methods.co_teaching import CoTeaching
from mentornet.methods.co_teaching_plus import CoTeachingPlus
from mentornet.methods.decoupling import Decoupling
from mentornet.methods.forward_correction import BackwardCorrection, ForwardCorrection
from mentornet.methods.generalised_cross_entropy import GeneralisedCrossEntropy
from mentornet.methods.goldberger import SModel
from mentornet.methods.hard_mining import HardMining
from mentornet.methods.l2b import L2B
from mentornet.methods.l2rw import L2RW
from mentornet.methods.random_weights import RandomWeights
from mentornet.methods.reed import Reed
from mentornet.methods.small_loss import SmallLoss
from mentornet.methods.spade import Spade
from mentornet.methods.standard import Standard

__all__ = [
    "L2B",
    "L2RW",
    "BackwardCorrection",
    "ClassWeights",
    "CleanOnly",
    "CoTeaching",
    "CoTeachingPlus",
    "Decoupling",
    "ForwardCorrection",
    "GeneralisedCrossEntropy",
    "HardMining",
    "NoisyLabelMethod",
    "RandomWeights",
    "Reed",
    "SModel",
    "SmallLoss",
    "Spade",
    "Standard",
    "get",
    "names",
]

_METHODS: dict[str, type[NoisyLabelMethod]] = {
    "standard": Standard,
    "spade": Spade,
    "l2rw": L2RW,
    "l2b": L2B,
    "reed": Reed,
    "forward_correction": ForwardCorrection,
    "backward_correction": BackwardCorrection,
    "s_model": SModel,
    "generalised_cross_entropy": GeneralisedCrossEntropy,
    "class_weights": ClassWeights,
    "hard_mining": HardMining,
    "random_weights": RandomWeights,
    "clean_only": CleanOnly,
    "small_loss": SmallLoss,
    "decoupling": Decoupling,
    "co_teaching": CoTeaching,
    "co_teaching_plus": CoTeachingPlus,
}


PLAIN = "standard"
"""The method without any rule for weights."""


def names() -> tuple[str, ...]:
    """Names of the methods."""
    return tuple(_METHODS)


def get(name: str) -> type[NoisyLabelMethod]:
    """The class of the method of that name.

    Raises:
        ValueError: unknown; the message lists the names.
    """
    if name not in _METHODS:
        raise ValueError(f"unknown method {name!r}: use one of {', '.join(_METHODS)}")
    return _METHODS[name]
