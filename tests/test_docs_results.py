"""Heads of recipes point to results that exist, and pages say no more of a result than is known."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from scripts.reproduction import pages, prose
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
        family, _, row = recipe.stem.partition("_")
        name = row.partition("_")[2]
        if family == "semi" and row.startswith("cifar10_"):  # a table with a column for each noise
            noise, _, name = name.partition("_")
            assert re.search(rf"^\|.*\| {noise} \|", shown, re.MULTILINE)
        assert family == "cifar10" or f"`{name}`" in shown
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


def test_numbers_in_sentences_are_those_of_their_csv():
    wrong, marked = [], {}
    for path in pages.all_documents():
        text = path.read_text(encoding="utf-8")
        wrong += [f"{path.name}: {problem}" for problem in prose.problems(text)]
        marked[str(path.relative_to(ROOT))] = prose.count(text)
    assert not wrong
    assert {name for name, count in marked.items() if count} >= {
        "README.md",
        "docs/methods.md",
        "docs/reproducing.md",
        "docs/search.md",
    }


def test_a_wrong_number_in_a_sentence_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    (tmp_path / "x.csv").write_text("method,seed,accuracy\nplain,0,0.501\nplain,1,0.523\npd,0,0.6049\n")

    def said(sentence: str, place: str) -> list[str]:
        return prose.problems(f"Another paragraph, 7.\n\n{sentence}\n<!-- numbers from x.csv: {place} -->\n")

    assert said("It is 60.5% and 51.2.", "60.5 = pd accuracy*100; 51.2 = plain accuracy*100") == []
    assert said("Nine points more.", "nine = pd accuracy*100 - plain accuracy*100") == [
        "nine is not in the paragraph before its comment (pd accuracy*100 - plain accuracy*100)"
    ]
    assert (
        said(
            "By nine points, 0.0156 of seeds.",
            "nine = pd accuracy*100 - plain accuracy*100; 0.0156 = plain std(accuracy)",
        )
        == []
    )
    assert said("It is 60.4%.", "60.4 = pd accuracy*100") == ["60.4 is 60.49 in x.csv (pd accuracy*100)"]
    assert said("It is 160.5%.", "60.5 = pd accuracy*100")[0].startswith("60.5 is not in the paragraph")
    assert said("It is 7.", "7 = method=plain,seed>0 accuracy*100")[0].startswith("7 is 52.3 in x.csv")
    assert "has no row nix" in said("It is 7.", "7 = nix accuracy")[0]
    assert "has no column loss" in said("It is 7.", "7 = pd loss")[0]


def test_places_in_other_files_and_quotients(tmp_path, monkeypatch):
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    (tmp_path / "x.csv").write_text('labels,mse\ngiven,4e-9\n"seen, all",0.002\n')
    (tmp_path / "y.json").write_text('[{"step": 1, "mse": 1.16e-4}, {"mse": 0.5, "batch": 128}]')

    def said(sentence: str, place: str) -> list[str]:
        return prose.problems(f"{sentence}\n<!-- numbers from x.csv: {place} -->\n")

    quotient = "y.json:step=1 mse / labels=given mse"
    assert said("By a factor of 29,000.", f"29,000 = {quotient}") == []
    assert said("By 28,900.", f"28,900 ~ {quotient}")[0].startswith("28,900 is 29000")
    assert said("By 30,000.", f"30,000 ~ {quotient}") == []
    assert said("By 30,000.", f"30,000 = {quotient}")[0].startswith("30,000 is 29000")
    assert said("0.998", "0.998 = 1 - labels=seen, all mse") == []
    assert said("It has two.", "two = labels!=nix count(mse)") == []
    assert "has no row batch=127" in said("0.5", "0.5 = y.json:batch=127 mse")[0]


# What defines an experiment, is another's number, or follows by arithmetic from what is said beside it
# (of clusters in test_training_staleness).
SETTINGS = {
    "README.md": "3.10 3.13 0.5 1.0",
    "docs/choosing_settings.md": "0.1 0.6 0.9 0.75",
    "docs/clusters/README.md": "0.9 0.01 0.003 0.001 0.0003 0.0001 0.05 59.2 0.7 46.3 5.3 0.93 46.7",
    "docs/image_lists.md": "0.8",
    "docs/learning.md": "0.1 0.01 0.9",
    "docs/methods.md": "4.1 4.2 0.8 0.9 0.1 0.99 0.01 0.02 0.25 0.15 0.2 0.001 0.5 0.500 2.30",
    "docs/own_images.md": "0.01 0.1 0.5",
    "docs/release.md": "1.8 0.9 0.004 0.5 0.8 0.95 0.1 0.0002 390.6",
    "docs/segmentation.md": "0.2",
    "docs/segmentation_data.md": "0.2",
    "docs/semi_supervised.md": "0.03 0.5 0.8 0.25",
}
# The first are written by commands as a whole; numbers of the others are not all marked yet.
PASSED_OVER = ("docs/gallery.md", "docs/results/", "docs/all_methods.md", "docs/search.md")


def test_no_decimal_number_is_without_a_file():
    """A number with a decimal point is a setting that stands above, or is marked with the csv it comes from."""
    loose = {}
    for path in pages.all_documents():
        name = str(path.relative_to(ROOT))
        if (name == "README.md" or name.startswith("docs/")) and not name.startswith(PASSED_OVER):
            found = set(prose.unmarked(path.read_text(encoding="utf-8"))) - set(SETTINGS.get(name, "").split())
            loose |= {name: found} if found else {}
    assert not loose, "mark them, see docs/reproducing.md, or name them among the settings"


def test_a_decimal_number_without_a_file_is_noticed():
    text = "It is 57.1 ± .5 with `--learning_rate=0.1`.\n\nBy 2.5e-1, 7 and [1.25](x_0.4.csv).\n{}\n```\n0.75\n```\n"
    assert prose.unmarked(text.format("")) == ["57.1", ".5", "2.5e-1", "1.25"]
    marked = text.format("<!-- numbers from x.csv: 1.25 = a b; 57.1 = a c -->")  # the first paragraph has none
    assert prose.unmarked(marked) == ["57.1", ".5", "2.5e-1"]
