"""Methods that turn a batch into an update of the students, one file a paper; ``get(name)`` returns the class.

The classes are attributes, too: ``mentornet.methods.Spade(student, curriculum, max_steps=...)``.
"""

from __future__ import annotations

import importlib
from typing import Any

from mentornet import spelling
from mentornet.methods.base import NoisyLabelMethod
from mentornet.methods.keras_use import numbered

PLAIN = "standard"
"""The method without any rule for weights."""

# Name -> module and class. A new method is one more file and one more line.
_METHODS = {
    "standard": "standard.Standard",
    "spade": "spade.Spade",
    "l2rw": "l2rw.L2RW",
    "l2b": "l2b.L2B",
    "reed": "reed.Reed",
    "forward_correction": "forward_correction.ForwardCorrection",
    "backward_correction": "forward_correction.BackwardCorrection",
    "s_model": "goldberger.SModel",
    "generalised_cross_entropy": "generalised_cross_entropy.GeneralisedCrossEntropy",
    "class_weights": "class_weights.ClassWeights",
    "hard_mining": "hard_mining.HardMining",
    "random_weights": "random_weights.RandomWeights",
    "clean_only": "clean_only.CleanOnly",
    "mixup": "mixup.Mixup",
    "small_loss": "small_loss.SmallLoss",
    "decoupling": "decoupling.Decoupling",
    "co_teaching": "co_teaching.CoTeaching",
    "co_teaching_plus": "co_teaching_plus.CoTeachingPlus",
    "dividemix": "dividemix.DivideMix",
    "unicon": "unicon.UniCon",
    "c2d": "c2d.C2D",
    "simclr": "simclr.SimCLR",
}

_CLASSES = {path.rpartition(".")[2]: name for name, path in _METHODS.items()}

__all__ = ["PLAIN", "NoisyLabelMethod", "get", "names", "numbered", *_CLASSES]


def names() -> tuple[str, ...]:
    """Names of the methods."""
    return tuple(_METHODS)


def get(name: str) -> type[NoisyLabelMethod]:
    """The class of the method of that name.

    Raises:
        ValueError: unknown; the message lists the names.
    """
    if name not in _METHODS:
        raise ValueError(f"unknown method {name!r}{spelling.likely(name, _METHODS)}: use one of {', '.join(_METHODS)}")
    module, _, kind = _METHODS[name].rpartition(".")
    found: type[NoisyLabelMethod] = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
    return found


def __getattr__(kind: str) -> Any:
    if kind in _CLASSES:
        return get(_CLASSES[kind])
    raise AttributeError(f"module {__name__!r} has no attribute {kind!r}")
