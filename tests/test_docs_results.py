"""Heads of recipes point to results that exist, and pages say no more of a result than is known."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from scripts.reproduction import pages
from scripts.tables import documents, recipe_files

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "flags" / "recipes" / "cpu").glob("*.flags"))
RUN = {
    row["recipe"]: file.name
    for file in sorted((ROOT / "docs" / "results").glob("cpu_*.csv"))
    for row in csv.DictReader(file.open(encoding="utf-8"))
}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_points_to_a_result_if_and_only_if_there_is_one(recipe):
    stated = re.search(r"^# expected: (.*)$", recipe.read_text(encoding="utf-8"), re.MULTILINE)[1]
    page = re.search(r"\b(README\.md|docs/\w+\.md)", stated)
    if recipe.stem not in RUN:
        assert stated == "not known, it has not been run here"
    else:
        shown = (ROOT / page[1]).read_text(encoding="utf-8")
        assert recipe.stem.startswith("cifar10_") or f"`{recipe.stem.split('_', 2)[2]}`" in shown
        noise = recipe.stem.split("_")[1]
        assert noise not in ("0.2", "0.8") or page[1] in ("docs/learning.md", "docs/reproducing.md")


def test_every_result_of_recipes_is_shown_on_a_page():
    assert set(RUN.values()) == set(recipe_files.SHOWN)


def test_the_order_in_which_the_recurrent_network_reads_is_told_as_it_is():
    """ICML appendix D: it encodes the samples of a mini-batch one after another; so does ``architectures.RNN``."""
    text = " ".join((ROOT / "docs" / "learning.md").read_text(encoding="utf-8").split())
    assert "ours, like our CNN, walks over a sample's T past losses" not in text
    assert "reads the samples of a mini-batch one after another, and so does ours" in text
    assert "is not known" in text


def test_the_tables_of_the_documents_are_what_their_csv_files_say():
    """Each declared table stands in one document, as ``reproduce.py docs`` writes it."""
    shown = []
    for path in pages.all_documents():
        text = path.read_text(encoding="utf-8")
        assert pages.renewed(text) == text, f"{path.name} is old: run python scripts/reproduce.py docs"
        shown += pages.tables_in(text)
    assert sorted(shown) == sorted(documents.TABLES)


def test_a_changed_number_or_an_unknown_table_is_noticed():
    """Of the README: 57.0 and 0.5 are mean and deviation of MentorNet PD in the csv."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "| MentorNet PD | **57.0 ± 0.5** |" in text
    changed = text.replace("| MentorNet PD | **57.0 ± 0.5** |", "| MentorNet PD | **58.0 ± 0.5** |")
    assert pages.renewed(changed) == text != changed
    with pytest.raises(ValueError, match=r"a document has a table nothing; known are recipes, cpu_cifar10_0\.4"):
        pages.renewed(text.replace("table cpu_cifar10_0.4 from", "table nothing from"))
    with pytest.raises(ValueError, match=r"a document names docs/results/x\.csv"):
        pages.renewed(text.replace("from docs/results/cpu_cifar10_0.4.csv,", "from docs/results/x.csv,"))
