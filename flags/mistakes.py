"""absl's and Python's remarks on a flag's value, in words that say what is expected."""

from __future__ import annotations

import re

from absl import flags

from mentornet import spelling

_ILLEGAL = re.compile(r"flag --(\w+)=(.*?): (.*)", re.DOTALL)
# How Python and absl say that a text is no such thing.
_EXPECTED = (
    ("invalid literal for int()", "expected a whole number, such as 32"),
    ("Exceeds the limit", "expected a whole number, such as 32"),
    ("could not convert string to float", "expected a number, such as 0.1"),
    ("('Non-boolean argument", "expected true or false"),
)


def explained(error: flags.IllegalFlagValueError) -> ValueError:
    """The refusal of a flag's value as one sentence: the flag, what was given, what is expected."""
    found = _ILLEGAL.fullmatch(str(error))
    if found is None:
        return ValueError(str(error))
    name, value, remark = found.groups()
    for start, expected in _EXPECTED:
        if remark.startswith(start):
            return ValueError(f"--{name}={value}: {expected}")
    choices = re.fullmatch(r"value should be one of <(.*)>", remark)
    if choices is not None:
        known = choices[1].split("|")
        return ValueError(f"--{name}={value}{spelling.likely(value, known)}: use one of {', '.join(known)}")
    return ValueError(f"--{name}={value}: {remark}")
