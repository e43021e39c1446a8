"""Tables in README.md and docs/ that a command writes from the csv files in docs/results.

In a document such a table stands between two comments, the first of which names it and its files:

    <!-- table NAME from docs/results/x.csv: python scripts/reproduce.py docs -->
    <!-- end of table -->

What it shows is declared in ``scripts/tables/documents.py``. Numbers in sentences are not written but compared, see
``prose``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mentornet import files
from scripts.reproduction import prose
from scripts.tables import documents
from scripts.tables.recipe_files import ROOT

_MARKED = re.compile(
    r"(?P<head><!-- table (?P<name>\S+) from (?P<files>[^:>]+): python scripts/reproduce\.py docs -->\n)"
    r"(?P<body>.*?)(?P<end><!-- end of table -->)",
    re.DOTALL,
)


def renewed(text: str) -> str:
    """A document with all its marked tables written anew.

    Raises:
        ValueError: a table is not declared, or is said to come from other files than it does.
    """

    def table(match: re.Match[str]) -> str:
        name = match["name"]
        declared = documents.TABLES.get(name)
        if declared is None:
            raise ValueError(f"a document has a table {name}; known are {', '.join(documents.TABLES)}")
        named = {file.strip() for file in match["files"].split(",")}
        if named != set(declared.files):
            raise ValueError(f"table {name} comes from {', '.join(declared.files)}; a document names {match['files']}")
        return f"{match['head']}{declared.markdown()}\n{match['end']}"

    return _MARKED.sub(table, text)


def tables_in(text: str) -> list[str]:
    """Names of the marked tables of a document."""
    return [match["name"] for match in _MARKED.finditer(text)]


def all_documents() -> list[Path]:
    """Documents that may have tables."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def main(check: bool) -> int:
    """Renews all documents, or with ``check`` says which are old; tells of wrong numbers, too; the exit code."""
    old: list[Path] = []
    wrong: list[str] = []
    for path in all_documents():
        text = path.read_text(encoding="utf-8")
        wrong += [f"{path.relative_to(ROOT)}: {problem}" for problem in prose.problems(text)]
        new = renewed(text)
        if new != text:
            old.append(path.relative_to(ROOT))
            if not check:
                files.write_text(path, new)
    for problem in wrong:
        print(problem, file=sys.stderr)
    if check and old:
        print(f"old: {', '.join(map(str, old))}; renew them with python scripts/reproduce.py docs", file=sys.stderr)
        return 1
    print(f"{'old' if check else 'renewed'}: {', '.join(map(str, old)) or 'none'}")
    return 1 if wrong else 0
