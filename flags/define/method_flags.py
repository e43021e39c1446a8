"""Flags of the methods: one for every option that stands beside a method's class, with its help, range and refusals.

Flags without a value leave the method's own default, which is its paper's. The flags of SPADE, which have the names of
the original release, are in ``flags.define.spade_flags``.
"""

from __future__ import annotations

from typing import Any

from absl import flags

from mentornet import methods
from mentornet.options import Option, RunFacts


def _offered() -> dict[str, dict[str, Option]]:
    """The options by the name of their flag, and of each the methods that have it."""
    found: dict[str, dict[str, Option]] = {}
    for method in methods.names():
        for option in methods.get(method).OPTIONS:
            found.setdefault(option.flag, {})[method] = option
    return found


OFFERED = _offered()


def _help(offers: dict[str, Option]) -> str:
    first = next(iter(offers.values()))
    defaults = {method: offer.default for method, offer in offers.items() if offer.default is not None}
    shown = ""
    if len(set(defaults.values())) == 1:
        shown = f" Default: {next(iter(defaults.values()))}."
    elif defaults:
        shown = f" Default: {', '.join(f'{value} for {method}' for method, value in defaults.items())}."
    released = f" {first.release} under --preset=release." if first.release is not None else ""
    told: dict[str, list[str]] = {}
    for method, offer in offers.items():
        told.setdefault(f"{offer.help} ({offer.source})" if offer.source else offer.help, []).append(method)
    if len(told) == 1:
        return f"{', '.join(offers)}: {next(iter(told))}.{shown}{released}"
    each = "; ".join(f"{help_text} ({', '.join(of)})" for help_text, of in told.items())
    return f"{', '.join(offers)}: {each}.{shown}{released}"


def _define(flag: str, offers: dict[str, Option]) -> Any:
    """The absl flag of an option, unset by default."""
    first = next(iter(offers.values()))
    alike = {(offer.name, offer.kind, offer.choices, offer.within) for offer in offers.values()}
    if len(alike) > 1:
        raise ValueError(f"{', '.join(offers)} mean different things by --{flag}: name the flag of one otherwise")
    text = _help(offers)
    if first.choices:
        return flags.DEFINE_enum(flag, None, first.choices, text)
    kinds: dict[type, Any] = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    return kinds.get(first.kind or str, flags.DEFINE_string)(flag, None, text)


_HOLDERS = {flag: _define(flag, offers) for flag, offers in OFFERED.items()}


def options(method: str, release: bool = False) -> dict[str, Any]:
    """The options that are given for a method, by their names; under the release preset also where its code differs.

    Raises:
        ValueError: a flag of another method, or a value out of range.
    """
    given = {}
    for flag, offers in OFFERED.items():
        value = _HOLDERS[flag].value
        if method in offers:
            offer = offers[method]
            offer.check(value, f"--{flag}")
            value = offer.release if value is None and release else value
            if value is not None:
                given[offer.name] = value
        elif value is not None:
            raise ValueError(
                f"--method={method} does not use --{flag}: leave it out, or use --method={' or '.join(offers)}"
            )
    return given


def check(method: str, given: dict[str, Any], run: RunFacts) -> None:
    """Refuses options that contradict each other or the run; see the method's ``check_options``.

    Raises:
        ValueError: with one sentence.
    """
    methods.get(method).check_options(given, run)
