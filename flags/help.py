"""``--help`` of the scripts: the flags by concern, and those of the methods by method."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from absl import flags

from flags import quiet
from flags.define import method_flags
from mentornet import methods


def asked_for(argv: Sequence[str]) -> bool:
    """Whether a command line asks for help."""
    return any(token in quiet.ASKS_FOR_HELP for token in argv[1:])


def text(intro: str, modules: Sequence[ModuleType]) -> str:
    """All flags of a script.

    Args:
        intro: what the script is for.
        modules: where its flags are defined, in the order of their groups; each is headed by its module's first line.
    """
    width = max(60, min(120, shutil.get_terminal_size().columns))
    parts = [intro.strip()]
    for module in modules:
        if module is method_flags:
            parts += _of_methods(width)
            continue
        head = (module.__doc__ or module.__name__).strip().splitlines()[0]
        parts.append(_group(head, flags.FLAGS.get_flags_for_module(module), width))
    parts.append(
        "--flagfile=FILE reads flags from a file, a line each; later ones win. --helpfull lists absl's own, too."
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _of_methods(width: int) -> list[str]:
    """A group for each method with options of its own; what several share is in the group of the first."""
    parts, told = [], set()
    for name in methods.names():
        kind = methods.get(name)
        own = [flags.FLAGS[option.flag] for option in kind.OPTIONS if option.flag not in told]
        shared = sorted(f"--{option.flag}" for option in kind.OPTIONS if option.flag in told)
        told |= {option.flag for option in kind.OPTIONS}
        if not kind.OPTIONS:
            continue
        head = f"--method={name}: {(kind.__doc__ or '').strip().splitlines()[0]}"
        group = _group(head, own, width)
        if shared:
            group += "\n" + textwrap.fill(f"and {', '.join(shared)} of above", width, initial_indent="  ")
        parts.append(group)
    return parts


def _group(head: str, of: Iterable[Any], width: int) -> str:
    lines = [head]
    for flag in of:
        lines.append(f"  {_usage(flag)}")
        lines.append(textwrap.fill(_help(flag), width, initial_indent=" " * 6, subsequent_indent=" " * 6))
    return "\n".join(lines)


def _usage(flag: Any) -> str:
    if flag.boolean:
        return f"--[no]{flag.name}"
    if getattr(flag.parser, "enum_values", None):
        return f"--{flag.name}={'|'.join(flag.parser.enum_values)}"
    return f"--{flag.name}"


def _help(flag: Any) -> str:
    told = re.sub(r"^<[^>]*>: ", "", (flag.help or "").strip())  # absl puts the choices of an enumeration in front
    stated = flag.default is None or "efault" in told
    return told if stated else f"{told} Default: {str(flag.default_as_str).strip(chr(39))}."
