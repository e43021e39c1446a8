"""Which files a list of images may name: regular files below the data folder, and none that is too large.

A list is data that somebody may have got from elsewhere: it must not make a run read devices, or files of its user
that have nothing to do with the images. Folders are listed once each, which stays fast for millions of files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from data.imagenet.index import ImageIndex
from data.limits import LARGEST_FILE

_SHOWN = 3


def check(index: ImageIndex, *, outside: bool = False) -> None:
    """Refuses an index of images with a file that is not to be read; one that is not there is no matter here.

    Args:
      index: images that are files of their own; one of records is not looked at.
      outside: allow regular files that lie, or that a link leads, outside of the index' root.

    Raises:
      ValueError: such files; the first few are named.
    """
    if index.is_records:
        return
    root = os.path.realpath(index.root)
    folders: dict[str, dict[str, os.DirEntry[str]] | None] = {}
    refused: dict[str, list[str]] = {}
    for name in (os.fsdecode(bytes(file)) for file in index.files):
        folder, base = os.path.split(os.path.join(root, name))
        if folder not in folders:
            folders[folder] = None if not outside and _leads_out(folder, root) else _entries(folder)
        entries = folders[folder]
        if entries is None:
            refused.setdefault(_OUTSIDE, []).append(name)
        elif (entry := entries.get(base)) is not None and (problem := _problem(entry, root, outside)):
            refused.setdefault(problem, []).append(name)
    for problem, names in refused.items():
        shown = ", ".join(name[:200] for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        raise ValueError(f"{len(names)} images {problem.format(root=index.root)}: {shown}.")


_OUTSIDE = "lie outside of {root}, move them there or give --files_outside_data_dir"
_SPECIAL = "in {root} are no regular files, take them out"
_LARGE = f"in {{root}} have more than {LARGEST_FILE:,} bytes, take them out"


def _problem(entry: os.DirEntry[str], root: str, outside: bool) -> str | None:
    try:
        if not entry.is_file():
            return None if entry.is_symlink() and not os.path.exists(entry.path) else _SPECIAL
        if not outside and entry.is_symlink() and _leads_out(entry.path, root):
            return _OUTSIDE
        return _LARGE if entry.stat().st_size > LARGEST_FILE else None
    except OSError:  # gone meanwhile, or not to be looked at: it will count as unreadable
        return None


def _leads_out(path: str, root: str) -> bool:
    real = os.path.realpath(path)
    return real != root and not real.startswith(root.rstrip(os.sep) + os.sep)


def _entries(folder: str) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry for entry in entries}
    except OSError:
        return {}


def unreadable_among(index: ImageIndex, names: Iterable[str]) -> int:
    """How many images of an index are among those that an `UnreadableLog` names."""
    noted = set(names)
    return sum(index.name(position) in noted for position in range(len(index))) if noted else 0
