"""The commands of scripts/reproduce.py that the documents name ask for cells that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from absl import flags as absl_flags

from flags.define import imagenet_flags
from scripts import reproduce

ROOT = Path(__file__).resolve().parents[1]


def documented() -> list[tuple[str, list[str]]]:
    """(document, arguments) of every command of this script in a fenced block."""
    found = []
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            lines = re.findall(r"python scripts/reproduce\.py ([^\n#>]*)", block)
            found += [(str(path.relative_to(ROOT)), shlex.split(line)) for line in lines]
    return found


@pytest.mark.parametrize(("document", "arguments"), documented())
def test_documented_commands_ask_for_cells_that_exist(document, arguments):
    given, more = reproduce.parser().parse_known_args(arguments)
    # What is not its own goes to the trainings.
    trained = {flag.name for module in imagenet_flags.MODULES for flag in absl_flags.FLAGS.get_flags_for_module(module)}
    assert {flag.removeprefix("--").partition("=")[0] for flag in more} <= trained
    if "table" in given:
        assert reproduce.jobs_of(given, more)
