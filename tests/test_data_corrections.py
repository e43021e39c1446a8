"""Decisions about training images: read, applied, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from data import clean_set, corrections, label_files
from data.image_dataset import Split
from data.labels import DiagnosticLabels, NoisyLabels

NAMES = ("cat", "dog", "=cow")


def split(paths: bool = True) -> Split:
    """Six images with the ids 10, 9, ..., 5."""
    names = tuple(f"train/{k}, '\n\".jpg" for k in range(6)) if paths else None
    images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    return Split(images, np.zeros(6, np.int32), np.arange(10, 4, -1, dtype=np.int64), names)


def noisy() -> NoisyLabels:
    return NoisyLabels(np.array([0, 1, 2, 0, 1, 2]), DiagnosticLabels(np.zeros(6, int)), "uniform", 0.4)


def written(tmp_path, text: str):
    file = tmp_path / "c.csv"
    file.write_text(text, encoding="utf-8", newline="")
    return file


def test_each_action_does_what_it_says_and_the_rest_stays(tmp_path):
    text = "Index,path,action,label\r\n10,x,relabel,'=cow\r\n9,,confirm,\r\n8,,leave_out,\r\n7,,relabel,1\r\n"
    found = corrections.read(written(tmp_path, text), split(paths=False), NAMES)
    kept, labels, checked = corrections.applied(found, split(), noisy())
    assert kept.ids.tolist() == [10, 9, 7, 6, 5]
    assert labels.given.tolist() == [2, 1, 1, 1, 2]
    assert checked.tolist() == [0, 1, 2]
    assert labels.clean is not None
    assert len(labels.clean) == 5
    assert (
        corrections.summary(found, noisy(), split()) == "corrections: 2 labels changed, 1 confirmed, 1 images left out"
    )
    # A run on fewer images takes what is about them.
    part, _, _ = corrections.applied(found, split().take([2, 5]), clean_set.taken(noisy(), [2, 5]))
    assert part.ids.tolist() == [5]


def test_paths_are_matched_and_two_columns_are_enough(tmp_path):
    lines = [('train/0, \'\n"".jpg', "dog"), ('train/3, \'\n"".jpg', "leave_out")]
    text = "path,label\n" + "".join(f'"{path}",{label}\n' for path, label in lines)
    kept, labels, checked = corrections.applied(
        corrections.read(written(tmp_path, text), split(), NAMES), split(), noisy()
    )
    assert kept.ids.tolist() == [10, 9, 8, 6, 5]
    assert labels.given.tolist() == [1, 1, 2, 1, 2]
    assert checked.tolist() == [0]


def test_cells_separated_by_semicolons_mean_the_same(tmp_path):
    """As spreadsheets write them in countries with a decimal comma; a comma in the heading decides."""
    text = "index,path,action,label\n10,a;b,relabel,dog\n9,x,confirm,\n8,x,leave_out,\n"
    commas = corrections.read(written(tmp_path, text), split(paths=False), NAMES)
    other = "\ufeff" + text.replace("a;b", "a").replace(",", ";").replace(";a;", ';"a;b,c";')
    semicolons = corrections.read(written(tmp_path, other), split(paths=False), NAMES)
    assert commas.ids.tolist() == semicolons.ids.tolist() == [8, 9, 10]
    assert commas.labels.tolist() == semicolons.labels.tolist() == [-2, -1, 1]
    assert label_files.csv_lines(written(tmp_path, "a;b.jpg,cat\n")) == [(1, ["a;b.jpg", "cat"])]
    assert label_files.csv_lines(written(tmp_path, "index;label\n1;2\n"))[1] == (2, ["1", "2"])


def test_checked_images_become_the_clean_set(tmp_path):
    text = "index,action,label\n10,confirm,cat\n9,relabel,=cow\n8,relabel,dog\n"
    kept, labels, checked = corrections.applied(
        corrections.read(written(tmp_path, text), split(), NAMES), split(), noisy()
    )
    clean, rest, left = clean_set.of_checked(kept, labels, checked, NAMES)
    assert clean.ids.tolist() == [10, 9, 8]
    assert clean.true_labels.tolist() == [0, 2, 1]
    assert rest.ids.tolist() == [7, 6, 5]
    assert left.given.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="is of class 1"):
        clean_set.of_checked(kept, labels, checked[:2], NAMES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("index,label\n77,cat\n", "Line 2 .* '77', which is none of the training images"),
        ("index,label\n-1,cat\n", "'-1', which is none"),
        ("index,label\n10,horse\n", "label 'horse', but the classes are cat, dog, =cow"),
        ("index,action,label\n10,delete,cat\n", "action 'delete', which is none of confirm, relabel, leave_out"),
        ("index,action,label\n10,relabel,\n", "label ''"),
        ("index,label\n10,cat\n10,cat\n", "Line 3 .* second one about '10'"),
        ("index,label\n10\n", "Line 2 .* 1 columns, but the heading 2"),
        ("image,label\n10,cat\n", "needs a heading"),
        ("index,index,label\n1,1,cat\n", "needs a heading"),
        ("index,label\n", "names no image"),
        ("", "needs a heading"),
        ("path,label\nx,cat\n", "this data set has no files"),
        ("index,label\n" + "".join(f"{k},leave_out\n" for k in range(5, 11)), "leave all the training images out"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path, text, said):
    with pytest.raises(ValueError, match=said) as caught:
        corrections.applied(corrections.read(written(tmp_path, text), split(paths=False), NAMES), split(), noisy())
    assert "\n" not in str(caught.value)


def test_suspects_are_left_out_by_path_or_index():
    left, labels = corrections.without([9, 6], split(), noisy(), by_path=False, what="it")
    assert left.ids.tolist() == [10, 8, 7, 5]
    assert labels.given.tolist() == [0, 2, 0, 2]
    left, _ = corrections.without([split().paths[0]], split(), noisy(), by_path=True, what="it")
    assert left.ids.tolist() == [9, 8, 7, 6, 5]
    checked = np.array([6, 10])  # of these 6 is a suspect, but somebody has looked at it
    left, _ = corrections.without([9, 6], split(), noisy(), by_path=False, what="it", checked=checked)
    assert left.ids.tolist() == [10, 8, 7, 6, 5]
    with pytest.raises(ValueError, match="it names 77, which is none"):
        corrections.without([77], split(), noisy(), by_path=False, what="it")
