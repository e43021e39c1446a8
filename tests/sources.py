"""The repository's own sources, for the tests that hold its shape."""

from __future__ import annotations

import ast
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def repository_files() -> list[str]:
    """Paths of all tracked or new files, relative to the root, without those that .gitignore leaves out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("the list of files comes from git, and this is no git checkout")
    return sorted({path for path in listed if (ROOT / path).is_file()})


def package_of(path: str) -> str:
    """The top-level folder of a file, or "" for a file at the root."""
    return path.split("/")[0] if "/" in path else ""


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Yields (line, full name) of everything a source imports; `from a import b` gives "a.b"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            yield from ((node.lineno, str(name.value)) for name in node.args[:1] if isinstance(name, ast.Constant))
