"""Methods that turn a batch into an update of the student, one file a paper; ``get(name)`` returns the class."""

from __future__ import annotations

from mentornet.methods.base import NoisyLabelMethod
from mentornet.methods.spade import Spade
from mentornet.methods.standard import Standard

__all__ = ["NoisyLabelMethod", "Spade", "Standard", "get", "names"]

_METHODS: dict[str, type[NoisyLabelMethod]] = {"standard": Standard, "spade": Spade}


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
