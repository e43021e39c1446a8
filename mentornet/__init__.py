"""MentorNet: curricula that tell a student network how much to trust every sample of a noisy data set.

Sub-packages load on first use (``mentornet.curricula``, ``mentornet.methods``, ``mentornet.training``), so that
``import mentornet`` itself does not start TensorFlow. ``python -m mentornet`` says where the documentation is.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.2.0.dev0"

_LAZY = ("curricula", "features", "methods", "network", "reports", "training", "transition")

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
