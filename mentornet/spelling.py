"""Names that a person may have meant by one that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LEAST_ALIKE, _MOST = 0.6, 3


def likely(given: str, names: Iterable[str]) -> str:
    """A remark behind a name that is none of ``names``: " (did you mean resnet20 or resnet32?)"; "" if none is alike.

    Small and capital letters count as the same.
    """
    by_letters = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given.lower(), by_letters, n=_MOST, cutoff=_LEAST_ALIKE)
    return f" (did you mean {' or '.join(by_letters[name] for name in close)}?)" if close else ""
