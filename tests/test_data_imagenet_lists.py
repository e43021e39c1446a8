"""Clothing1M and ISIC 2019 in their official layouts: what is found, the clean sets, and what is said of mistakes."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.imagenet import clean_images, isic2019, labelling, sources
from scripts import make_fake_imagenet as fake

MADE = fake.Made(train=60, test=28, width=20, height=16)


@pytest.fixture(scope="module")
def clothing(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "clothing1m"
    fake.write_clothing1m(folder, MADE)
    return folder


@pytest.fixture(scope="module")
def lesions(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "isic2019"
    fake.write_isic2019(folder, MADE)
    return folder


def pairs(path: Path) -> dict[str, int]:
    return {key: int(label) for key, label in (line.split() for line in path.read_text().splitlines())}


def names(index) -> list[str]:
    return index.paths_at(range(len(index)))


def test_clothing1m_is_what_its_lists_say(clothing):
    found = sources.load("clothing1m", clothing)
    noisy, clean = pairs(clothing / "noisy_label_kv.txt"), pairs(clothing / "clean_label_kv.txt")
    parts = (("noisy_train", found.train, noisy), ("clean_val", found.clean, clean), ("clean_test", found.test, clean))
    for part, index, labels in parts:
        keys = (clothing / f"{part}_key_list.txt").read_text().split()
        assert names(index) == keys
        assert index.labels.tolist() == [labels[key] for key in keys]
        assert index.missing_files() == []
    assert (len(found.train), len(found.clean), len(found.test)) == (60, 28, 28)
    assert (found.num_classes, found.class_names[3], found.image_size) == (14, "pattern 3", 224)
    assert not set(names(found.clean)) & (set(names(found.train)) | set(names(found.test)))
    assert labelling.noisy_labels(found, found.train, "none", 0.0, 0).clean is None  # nobody knows them


def test_clean_images_are_not_trained_on_even_if_the_noisy_list_has_them(clothing, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(clothing, mixed)
    stolen = (mixed / "clean_val_key_list.txt").read_text().split()[:3]
    for name, lines in (("noisy_train_key_list.txt", stolen), ("noisy_label_kv.txt", [f"{key} 0" for key in stolen])):
        with (mixed / name).open("a") as stream:
            stream.write("".join(f"{line}\n" for line in lines))
    (mixed / "category_names_eng.txt").unlink()
    for part in (mixed / "images").iterdir():
        part.rename(mixed / part.name)
    (mixed / "images").rmdir()
    found, whole = sources.load("clothing1m", mixed), sources.load("clothing1m", clothing)
    assert names(found.train) == [name.removeprefix("images/") for name in names(whole.train)]
    assert found.train.missing_files() == []
    assert found.class_names[8] == "Down Coat"


def test_the_clean_set_of_clothing1m_is_its_validation_images(clothing):
    found = sources.load("clothing1m", clothing, background=True)
    noisy = labelling.noisy_labels(found, found.train, "none", 0.0, 0)
    clean, train, given = clean_images.chosen(found, found.train, noisy, seed=0)
    assert (len(clean), len(train), len(given)) == (28, 60, 60)
    assert set(clean.labels) == set(range(1, 15))  # 0 is the background
    part, _, _ = clean_images.chosen(found, found.train, noisy, seed=0, per_class=1)
    assert np.bincount(part.labels, minlength=15).tolist() == [0] + [1] * 14
    assert set(names(part)) <= set(names(clean))


def add(name: str, line: str):
    def spoil(folder: Path) -> None:
        with (folder / name).open("a") as stream:
            stream.write(f"{line}\n")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: (d / "clean_val_key_list.txt").unlink(), "There is no list .*clean_val_key_list.txt; it belongs to"),
        (lambda d: (d / "noisy_label_kv.txt").write_text(" \n"), "noisy_label_kv.txt is empty"),
        (lambda d: (d / "noisy_label_kv.txt").write_bytes(b"\xff\xfe\x00"), "noisy_label_kv.txt is not a text file"),
        (add("noisy_train_key_list.txt", "images/9/9.jpg"), "Line 61 .* names images/9/9.jpg, which has no label in n"),
        (add("clean_label_kv.txt", "images/9/9.jpg 14"), "Line 85 .* has the label 14, but Clothing1M's are 0 to 13"),
        (add("clean_label_kv.txt", "images/9/9.jpg -1"), "Line 85 .* but a key and a label are expected"),
        (add("noisy_label_kv.txt", "images/9/9.jpg"), "Line 61 of .* is 'images/9/9.jpg', but a key and a label"),
        (add("category_names_eng.txt", "Hat"), "has 15 names, but Clothing1M has 14 classes"),
        (add("clean_test_key_list.txt", "images/2/00/0,2.jpg"), "Line 29 .* names images/2/00/0,2.jpg, which an earli"),
        (add("clean_test_key_list.txt", "images/1/00/0,1.jpg"), "1 images are in clean_val_key_list.txt and in clean_"),
    ],
)
def test_lists_of_clothing1m_that_contradict_themselves(spoil, sentence, clothing, tmp_path):
    for file in clothing.glob("*.txt"):
        shutil.copy(file, tmp_path / file.name)
    spoil(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as caught:
        sources.load("clothing1m", tmp_path)
    assert "\n" not in str(caught.value)


def test_isic2019_is_divided_as_published(lesions):
    found = sources.load("isic2019", lesions)
    with (lesions / "ISIC_2019_Training_GroundTruth.csv").open(newline="") as stream:
        truth = {
            row.pop("image"): {name for name, cell in row.items() if float(cell)} for row in csv.DictReader(stream)
        }
    assert len(found.train) + len(found.test) == len(truth) == 88
    assert len(found.test) == round(88 * 4291 / 25331)
    assert not set(names(found.train)) & set(names(found.test))
    for index in (found.train, found.test):
        assert {
            Path(name).stem: {found.class_names[c]} for name, c in zip(names(index), index.labels, strict=True)
        } == {Path(name).stem: truth[Path(name).stem] for name in names(index)}
        assert index.missing_files() == []
    # Of the real one: 20,400 to train on beside 640 clean ones, 4,291 for the test, drawn over all classes alike.
    test = isic2019.test_positions(25_331)
    assert (test.size, len(set(test)), 25_331 - test.size - 8 * 80) == (4291, 4291, 20_400)
    assert np.abs(np.histogram(test, 10, (0, 25_331))[0] - 429.1).max() < 5 * np.sqrt(429.1)


def test_the_clean_set_of_isic2019_has_true_labels_and_leaves_the_noisy_images(lesions, tmp_path):
    chosen = [f"ISIC_{number:07d}" for number in (1, 2, 3)]
    (tmp_path / "test.csv").write_text("image\n" + "\n".join([*chosen, "ISIC_0000007_downsampled.jpg"]))
    found = sources.load("isic2019", lesions, test_list=tmp_path / "test.csv")
    assert {Path(name).stem for name in names(found.test)} == {*chosen, "ISIC_0000007_downsampled"}
    noisy = labelling.noisy_labels(found, found.train, "uniform", 0.5, seed=1)
    clean, train, given = clean_images.chosen(found, found.train, noisy, seed=1, per_class=2)
    assert np.bincount(clean.labels).tolist() == [2] * 8
    assert len(train) == len(given) == 84 - 16
    assert not set(names(clean)) & (set(names(train)) | set(names(found.test)))
    true = dict(zip(names(found.train), found.train.labels, strict=True))
    assert clean.labels.tolist() == [true[name] for name in names(clean)]
    before = dict(zip(names(found.train), noisy.given, strict=True))
    assert given.given.tolist() == [before[name] for name in names(train)]
    assert given.clean.reveal().tolist() == [true[name] for name in names(train)]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("image,MEL,NV", "image,NV,MEL", "starts with 'image,NV,MEL,.*but image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK is"),
        (r",1\.0", ",0.0", "Line 2 of .* but the name of an image is expected, with 1.0 in one of 9 columns"),
        (r",0\.0", ",x", "Line 2 of .* but the name of an image is expected"),
        (r",0\.0", ",nan", "Line 2 of .* but the name of an image is expected"),
        ("ISIC_0000001,", "ISIC_0000000_downsampled,", "Line 3 of .* names ISIC_0000000_downsampled, which an earlier"),
        (r"\nISIC_0000001,.*", "\nISIC_0000001" + ",0.0" * 8 + ",1.0", "Line 3 .* ISIC_0000001 is UNK, which is no cl"),
    ],
)
def test_a_truth_of_isic2019_that_cannot_be_read(old, new, sentence, lesions, tmp_path):
    (tmp_path / isic2019.FOLDER).mkdir()
    text = (lesions / isic2019.TRUTH_FILE).read_text()
    (tmp_path / isic2019.TRUTH_FILE).write_text(re.sub(old, new, text, count=1))
    with pytest.raises(ValueError, match=sentence) as caught:
        sources.load("isic2019", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_test_list_of_isic2019_names_its_images(lesions, tmp_path):
    for text, sentence in (("ISIC_9\n", "Line 1 of .* names 'ISIC_9', which ISIC_2019_Training_GroundTruth.csv has no"),
                           ("image\n", "names 0 of 88 images")):  # fmt: skip
        (tmp_path / "test.csv").write_text(text)
        with pytest.raises(ValueError, match=sentence):
            sources.load("isic2019", lesions, test_list=tmp_path / "test.csv")
    with pytest.raises(FileNotFoundError, match=r"There is no .*ISIC_2019_Training_GroundTruth.csv; expected are"):
        sources.load("isic2019", tmp_path)
