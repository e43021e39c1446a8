"""Names of classes and files that nobody expects: on the sheet of suspects, in samples.csv, as folders."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from data import folder
from data.imagenet import listing, places
from mentornet.reports import report
from mentornet.reports.suspects import one_line, suspect_sheet
from mentornet.runs.samples import as_text, from_text, read_samples_csv, write_samples_csv

NAMES = ["a\nb\r\nc", "x" * 100_000, "\x00\x1b[31mred", "\u202eright to left", "日本 \u2028", "\t", "$\\frac$", ""]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "'quoted'", "'", "plain", "3=3"]


def facts(count: int) -> dict:
    return {"given": np.arange(count), "predicted": np.zeros(count, int), "mean_weight": np.ones(count)}


def test_the_sheet_is_drawn_whatever_the_names_are(tmp_path):
    images = np.zeros((len(NAMES), 8, 8, 1), np.uint8)
    heights = []
    for names in (NAMES, list("abcdefgh")):
        title = "two\nlines" if names is NAMES else ""
        paths = [f"train/{name}/1.jpg" for name in names]
        suspect_sheet(
            tmp_path / "s.png", images, **facts(len(names)), class_names=names, clean=np.arange(len(names)),
            paths=paths, title=title,
        )  # fmt: skip
        with Image.open(tmp_path / "s.png") as sheet:
            heights.append(sheet.size)
    assert heights[0] == heights[1]
    assert one_line("a\nb\x1b[0m") == "a b [0m"


@pytest.mark.parametrize("name", FORMULAS)
def test_a_text_is_no_formula_and_read_back_as_it_was(name):
    assert as_text(name)[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert from_text(as_text(name)) == name


def test_no_cell_of_samples_csv_is_a_formula(tmp_path):
    count = len(FORMULAS)
    write_samples_csv(
        tmp_path / "s.csv", index=np.arange(count), **facts(count), loss=np.zeros(count), class_names=FORMULAS,
        paths=FORMULAS,
    )  # fmt: skip
    with open(tmp_path / "s.csv", newline="", encoding="utf-8") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row if cell]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]
    found = read_samples_csv(tmp_path / "s.csv")
    assert found["path"].tolist() == [FORMULAS[k] for k in found["index"]]
    assert found["given_name"].tolist() == [FORMULAS[k] for k in found["given_label"]]


@pytest.mark.parametrize("name", ["line\nbreak", "=1+1", os.fsdecode(b"\xff\xe9"), "n" * 250])
def test_class_folders_of_any_name(tmp_path, name):
    for part in ("train", "test"):
        for each in ("a", name):
            (tmp_path / part / each).mkdir(parents=True)
            Image.new("RGB", (9, 9)).save(tmp_path / part / each / "1.png")
    for dataset in (folder.load(tmp_path, 8), listing.load_folder(tmp_path)):
        for text in dataset.class_names:
            text.encode()
        assert len(dataset.class_names) == 2


def test_names_that_the_file_system_does_not_take(tmp_path, capsys):
    long = "n" * 5000
    (tmp_path / "train.csv").write_text(f"path,label\n{long},0\n{long}/{long},1\n")
    index = listing.load_list(tmp_path, test_list=tmp_path / "train.csv").train
    places.check(index)
    assert len(index.missing_files()) == 2
    assert report.main([str(tmp_path / long)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
