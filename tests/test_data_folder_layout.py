"""Folders without a test set: what is held out, and layouts that people have, good ones and unclear ones."""

import numpy as np
import pytest
from PIL import Image

from data import clean_set, folder, labels


def write(root, name, count, shade=0):
    """So many images of one class, each of a grey of its own."""
    for k in range(count):
        file = root / name / f"{k:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (shade, k, 0)).save(file)


@pytest.fixture
def root(tmp_path):
    """37 cats, 12 dogs, 3 mice: class folders and nothing else."""
    for shade, (name, count) in enumerate({"cat": 37, "dog": 12, "mouse": 3}.items()):
        write(tmp_path, name, count, shade)
    return tmp_path


def test_tenths_of_every_class_are_held_out_and_cover_all_images_once(root):
    held = []
    for tenth in range(10):
        dataset = folder.load(root, 4, tenth)
        # 37 and 12 images in ten parts; of a class of 3 none is spared.
        counts = np.bincount(dataset.test.labels, minlength=3)
        assert counts[0] in (3, 4)
        assert counts[1] in (1, 2)
        assert counts[2] == 0
        assert not dataset.test.labels_are_true
        assert sorted([*dataset.train.ids, *dataset.test.ids]) == list(range(52))
        for split in (dataset.train, dataset.test):  # ids, paths, labels and pixels belong together
            for position, path in enumerate(split.paths):
                name, number = path.removesuffix(".png").split("/")
                assert split.labels[position] == ["cat", "dog", "mouse"].index(name)
                assert split.images[position, 0, 0].tolist() == [split.labels[position], int(number), 0]
        held += dataset.test.paths
    assert len(set(held)) == 49 == len(held)
    assert any("agreement with their given labels" in note for note in dataset.notes)


def test_what_is_held_out_stays_when_images_come_and_go(root):
    before = set(folder.load(root, 4).test.paths)
    (root / "cat/new.png").write_bytes((root / "cat/000.png").read_bytes())
    after = set(folder.load(root, 4).test.paths)
    assert len(before ^ after) <= 2  # a tenth of 38 rounds to 4 where one of 37 does, too: at most one changes places


def test_train_alone_is_divided_and_a_class_may_be_called_train(root, tmp_path_factory):
    inner = tmp_path_factory.mktemp("divided")
    (inner / "train").symlink_to(root)
    assert folder.load(inner, 4).train.paths[0].startswith("train/cat/")
    write(root, "train", 5)
    write(root, "test", 5)
    assert folder.load(root, 4).class_names == ("cat", "dog", "mouse", "test", "train")


def test_classes_alone_may_have_test_and_clean_beside(root):
    write(root, "test/dog", 2, 9)
    write(root, "clean/cat", 2, 8)
    dataset = folder.load(root, 4)
    assert len(dataset.train) == 52
    assert dataset.test.labels.tolist() == [1, 1]
    assert dataset.test.labels_are_true
    assert dataset.clean.true_labels.tolist() == [0, 0]
    with pytest.raises(ValueError, match="has a test/, so nothing is held out"):
        folder.load(root, 4, 3)


def test_checked_images_may_be_held_out_ones(root):
    dataset = folder.load(root, 4)
    given = labels.corrupt(dataset.train, "none", 0.0, 3, seed=0)
    names = [dataset.test.paths[0], "dog/000.png", "mouse/001.png", "cat/001.png"]
    (root / "checked.csv").write_text("path,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in names))
    clean, train, _ = clean_set.chosen(dataset, dataset.train, given, seed=0, checked_file=root / "checked.csv")
    assert sorted(clean.ids) == sorted(
        [*dataset.train.ids, *dataset.test.ids][[*dataset.train.paths, *dataset.test.paths].index(name)]
        for name in names
    )
    assert not set(train.ids) & set(clean.ids)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ({"cat": 5}, r"has 1 class folder\(s\), but at least 2"),
        ({"cat": 1, "dog": 1}, "no class with 4 images or more"),
        ({"cat": 5, "dog/2019": 5, "dog/2020": 5}, "dog has no images but folders with images (2019, 2020): move"),
        ({"pets/cat": 5, "pets/dog": 5}, "pets has (cat, dog): give --data_dir="),
        ({"train/cat": 5, "train/dog": 5, "bird": 5}, "images in bird/ beside it: move bird/ into train/"),
        ({"train/cat": 5, "train/dog": 5, "val/cat": 5}, "no test/, but val/ with classes inside: rename it"),
        ({"cat": 5, "dog": 5, "test/bird": 5}, "test has classes that the others beside it have not: bird"),
    ],
)
def test_unclear_layouts_get_one_sentence(made, sentence, tmp_path):
    import re

    for name, count in made.items():
        write(tmp_path, name, count)
    pattern = sentence if "\\" in sentence else re.escape(sentence)
    with pytest.raises(ValueError, match=pattern) as caught:
        folder.load(tmp_path, 4)
    assert "\n" not in str(caught.value)


def test_what_is_not_read_is_told(root):
    write(root, "cat/old", 2)
    Image.new("RGB", (4, 4)).save(root / "stray.png")
    (root / "runs/first").mkdir(parents=True)
    (root / "runs/first/run.json").write_text("{}")  # a run folder is no class
    dataset = folder.load(root, 4)
    assert dataset.class_names == ("cat", "dog", "mouse")
    notes = " ".join(dataset.notes)
    assert "cat/old" in notes
    assert "stray.png" in notes
