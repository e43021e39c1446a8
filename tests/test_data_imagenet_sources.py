"""The layouts of ImageNet, WebVision, lists and folders: what is found in them, and what is said when a piece lacks."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from data.imagenet import labelling, sources, webvision
from scripts import make_fake_imagenet as fake

MADE = fake.Made(classes=5, train=20, test=10, width=24, height=20)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    for layout, write in fake.WRITERS.items():
        write(root / layout, MADE)
    return {layout: root / layout for layout in fake.LAYOUTS}


def load(name: str, folder: Path, tmp_path: Path, **options):
    return sources.load(name, folder, index_dir=tmp_path, **options)


def jpegs(index, split: str) -> set[bytes]:
    labels = fake.labels_of(MADE, split)
    expected = {fake.jpeg(int(label), number, MADE, split) for number, label in enumerate(labels)}
    assert {index.read(position) for position in range(len(index))} == expected
    return expected


@pytest.mark.parametrize("layout", ["slim", "tfds", "folders"])
def test_imagenet_in_three_forms_is_the_same_data(layout, made, tmp_path):
    found = load("imagenet", made[layout], tmp_path)
    ids = tuple(fake.wordnet_id(label) for label in range(5))
    assert found.class_ids == ids
    assert found.class_names == (tuple(f"pattern {c}" for c in range(5)) if layout == "slim" else ids)
    jpegs(found.train, "train")
    jpegs(found.test, "validation")
    by_image = {found.train.read(i): int(found.train.labels[i]) for i in range(len(found.train))}
    labels = fake.labels_of(MADE, "train")
    assert by_image == {fake.jpeg(int(c), n, MADE, "train"): int(c) for n, c in enumerate(labels)}
    assert found.train.labels_are_true
    assert found.train.missing_files() == []
    assert (found.train.paths_at([0]) is None) == (layout != "folders")


def test_background_shifts_labels_and_is_no_target_of_noise(made, tmp_path):
    plain, shifted = (load("imagenet", made["slim"], tmp_path, background=b) for b in (False, True))
    assert (plain.num_classes, shifted.num_classes) == (5, 6)
    assert shifted.class_names[0] == "background"
    assert shifted.train.labels.tolist() == (plain.train.labels + 1).tolist()
    many = shifted.train.take(np.arange(5000) % 20)
    many = dataclasses.replace(many, ids=np.arange(5000))
    noisy = labelling.noisy_labels(shifted, many, "uniform", 1.0, seed=0)
    counts = np.bincount(noisy.given, minlength=6)
    assert counts[0] == 0
    # Uniform over the five real classes: 1,000 each, give or take five deviations.
    assert np.abs(counts[1:] - 1000).max() < 5 * np.sqrt(5000 * 0.2 * 0.8)
    assert noisy.clean.reveal().tolist() == many.labels.tolist()


def test_webvision_follows_its_file_lists(made, tmp_path):
    found = load("webvision", made["webvision"], tmp_path)
    lines = [line for part in webvision.PARTS
             for line in (made["webvision"] / f"info/train_filelist_{part}.txt").read_text().splitlines()]  # fmt: skip
    assert [str(found.train.path(i).relative_to(found.train.root)) for i in range(20)] == [x.split()[0] for x in lines]
    assert found.train.labels.tolist() == [int(x.split()[1]) for x in lines]
    assert not found.train.labels_are_true
    assert found.test.labels_are_true
    assert found.class_names == tuple(f"pattern {c}" for c in range(5))
    assert found.test.path(0) == made["webvision"] / "val_images_256" / "val000001.jpg"
    jpegs(found.train, "train")
    noisy = labelling.noisy_labels(found, found.train, "none", 0.0, seed=0)
    assert noisy.clean is None  # nobody knows the truth about web images


def test_mini_is_the_first_classes_of_google_and_ilsvrc_a_second_test(made, tmp_path, monkeypatch):
    monkeypatch.setattr(webvision, "MINI_CLASSES", 3)
    found = load("webvision_mini", made["webvision"], tmp_path, ilsvrc_dir=made["slim"])
    assert found.num_classes == 3
    assert set(found.train.labels) <= {0, 1, 2}
    assert {str(found.train.path(i).relative_to(found.train.root))[:6] for i in range(len(found.train))} == {"google"}
    second = found.more_tests["ilsvrc"]
    assert sorted(second.labels) == sorted(label for label in fake.labels_of(MADE, "validation") if label < 3)
    images = {second.read(i): int(second.labels[i]) for i in range(len(second))}
    expected = {fake.jpeg(int(c), n, MADE, "validation"): int(c) for n, c in enumerate(fake.labels_of(MADE, "test"))}
    assert images == {image: label for image, label in expected.items() if label < 3}


def test_a_map_that_counts_classes_from_0_fits_too(made, tmp_path):
    copied = copy(made["webvision"], tmp_path)
    file = copied / "info/queries_synsets_map.txt"
    pairs = [line.split() for line in file.read_text().splitlines()]
    file.write_text("".join(f"{query} {int(target) - 1}\n" for query, target in pairs))
    assert len(load("webvision", copied, tmp_path).train) == 20


def copy(source: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    for file in source.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("info/synsets.txt", None, r"no file .*synsets.txt; it belongs to WebVision"),
        ("info/queries_synsets_map.txt", None, r"no file .*queries_synsets_map.txt"),
        ("info/train_filelist_flickr.txt", None, r"no file .*train_filelist_flickr.txt"),
        ("info/val_filelist.txt", None, r"no file .*val_filelist.txt"),
        ("info/val_filelist.txt", "", r"val_filelist.txt is empty"),
        ("info/val_filelist.txt", "val000001.jpg\n", r"Line 1 of .*'val000001.jpg', but a file and a label"),
        ("info/val_filelist.txt", "a.jpg 0\nb.jpg 7\n", r"Line 2 of .* has the label 7, but synsets.txt has 5"),
        ("info/train_filelist_google.txt", "google/q0001/a.jpg 3\n", r"Line 1 of .* as 3, but .* says 0"),
        ("info/train_filelist_google.txt", "google/q9999/a.jpg 3\n", r"'google/q9999', which is no query"),
        ("info/queries_synsets_map.txt", "1 one\n", r"Line 1 of .* is '1 one', but a query and a class"),
    ],
)
def test_what_lacks_or_contradicts_in_webvision_is_said(file, content, message, made, tmp_path):
    copied = copy(made["webvision"], tmp_path)
    (copied / file).unlink()
    if content is not None:
        (copied / file).write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load("webvision", copied, tmp_path)


def test_missing_shards_and_folders_are_said(made, tmp_path):
    copied = copy(made["slim"], tmp_path)
    (copied / "train-00001-of-00002").unlink()
    with pytest.raises(FileNotFoundError, match=r"has 1 of 2 files train-.*missing is .*train-00001-of-00002"):
        load("imagenet", copied, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere; expected is ImageNet as train-\?{5}"):
        load("imagenet", tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no train images of ImageNet"):
        load("imagenet", tmp_path / "empty", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no folder .*info; expected is WebVision 1.0"):
        load("webvision", tmp_path / "empty", tmp_path)
    with pytest.raises(ValueError, match="needs --data_dir"):
        load("imagenet", None, tmp_path)
    with pytest.raises(ValueError, match="no large data set 'cifar10'"):
        load("cifar10", tmp_path, tmp_path)


def test_missing_images_are_counted(made, tmp_path):
    copied = copy(made["list"], tmp_path)
    (copied / "images/train_4.jpg").unlink()
    (copied / "images/train_7.jpg").unlink()
    missing = load("list", copied, tmp_path).train.missing_files()
    assert [path.name for path in missing] == ["train_4.jpg", "train_7.jpg"]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("", "has no images"),
        ("path,label\n", "has no images"),
        ("a.jpg\n", r"starts with 'a.jpg', but columns path and label"),
        ("path,label\na.jpg,0\nb.jpg\n", r"Line 3 of .* lacks a path or a label"),
        ("path,label\na.jpg,0\nb.jpg,2\n", r"go up to 2, but no image has the label 1"),
        ("path,label\na.jpg,0\nb.jpg,0\n", "images of one class only"),
        ("path,label\na.jpg,0\nb.jpg,1\n", r"test.csv has the class '2'"),
    ],
)
def test_lists_that_cannot_be_used_say_why(train, message, made, tmp_path):
    copied = copy(made["list"], tmp_path)
    (copied / "train.csv").write_text(train)
    with pytest.raises(ValueError, match=message):
        load("list", copied, tmp_path)


def test_lists_take_names_extra_columns_and_no_heading(tmp_path):
    (tmp_path / "a.csv").write_text("label,note,path\ndog,x,1.jpg\ncat,y,2.jpg\ndog,z,3.jpg\n")
    (tmp_path / "b.csv").write_text("4.jpg,cat\n")
    found = sources.load("list", tmp_path, train_list=tmp_path / "a.csv", test_list=tmp_path / "b.csv")
    assert found.class_names == ("cat", "dog")
    assert (found.train.labels.tolist(), found.test.labels.tolist()) == ([1, 0, 1], [0])
    assert not found.train.labels_are_true
    (tmp_path / "a.csv").write_text("1.jpg,00\n2.jpg,1\n3.jpg,002\n")
    (tmp_path / "b.csv").write_text("4.jpg,2\n")
    found = sources.load("list", tmp_path, train_list=tmp_path / "a.csv", test_list=tmp_path / "b.csv")
    assert (found.train.labels.tolist(), found.test.labels.tolist()) == ([0, 1, 2], [2])


def test_folders_of_people(made, tmp_path):
    found = load("folder", made["folders"], tmp_path)  # train/ and val/
    assert found.num_classes == 5
    assert not found.train.labels_are_true
    jpegs(found.train, "train")
    for position, name in enumerate(found.train.paths_at(range(len(found.train)))):
        assert (found.train.root / name).read_bytes() == found.train.read(position)
    copied = copy(made["folders"], tmp_path)
    (copied / "val" / "zebra").mkdir()
    with pytest.raises(ValueError, match=re.escape("has a class that train has not: zebra")):
        load("folder", copied, tmp_path)
