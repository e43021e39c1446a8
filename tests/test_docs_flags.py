"""Flags that the documents name in their prose exist, in the scripts that each document is about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from absl import flags as absl_flags

from flags.define import imagenet_flags
from tests.test_docs_commands import DOCUMENTS, FENCED

ROOT = Path(__file__).resolve().parents[1]
# Commands without absl that a document is about, beside the training scripts.
OTHERS = {
    "README.md": ["mentornet/learning/command.py"],
    "docs/learning.md": [
        "mentornet/learning/command.py",
        "mentornet/learning/experts_command.py",
        "mentornet/learning/architecture_comparison.py",
    ],
    "docs/release.md": ["mentornet/learning/command.py"],
    "docs/methods.md": ["scripts/imbalance_experiment.py"],
    "docs/reproducing.md": ["scripts/reproduce.py"],
    "docs/search.md": ["flags/define/search_flags.py"],
    "docs/segmentation_data.md": ["scripts/prepare_promise12.py", "scripts/mask_noise_table.py"],
}
EXAMPLES = {"trimmed_share"}  # of the method that CONTRIBUTING.md makes up


def training_flags() -> set[str]:
    defined = {flag.name for module in imagenet_flags.MODULES for flag in absl_flags.FLAGS.get_flags_for_module(module)}
    return defined | {f"no{name}" for name in defined} | {"flagfile", "help", "helpfull"} | EXAMPLES


def named(markdown: str) -> set[str]:
    """Flags in backticks outside of blocks."""
    return set(re.findall(r"`--(\w+)", FENCED.sub("", markdown)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_flags_named_in_prose_exist(document):
    known = training_flags()
    for command in OTHERS.get(document.relative_to(ROOT).as_posix(), []):
        source = (ROOT / command).read_text(encoding="utf-8")
        known |= set(re.findall(r'"--(\w+)"', source)) | set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source))
    assert named(document.read_text(encoding="utf-8")) - known == set()


def test_hard_mining_is_not_said_to_be_in_the_papers_table():
    """ICML table 2 has no row of it."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "hard mining favour large losses, that is, wrong labels, and end below plain, as in the paper" not in text
    assert "which has no row of hard mining" in text
