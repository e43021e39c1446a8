"""Images people checked, from a csv or a folder's part clean/: labels, separation from the noisy data, complaints."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data import checked_labels, clean_set, folder, labels
from data.image_dataset import CleanSet, ImageDataset, Split

NAMES = ("ant", "bee", "cat")
N = 12


def split(paths: bool = True, ids: np.ndarray | None = None) -> Split:
    """Image k has all pixels k and the label k % 3; the labels are not known to be true."""
    images = np.arange(N, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    given = (np.arange(N) % 3).astype(np.int32)
    names = tuple(f"train/{NAMES[k % 3]}/{k}.jpg" for k in range(N)) if paths else None
    return Split(images, given, np.arange(N) if ids is None else ids, names, labels_are_true=False)


def read(tmp_path, text: str, of: Split | None = None, names: tuple[str, ...] = NAMES) -> CleanSet:
    (tmp_path / "checked.csv").write_text(text)
    return checked_labels.read(tmp_path / "checked.csv", of or split(), names)


@pytest.mark.parametrize(
    "text",
    [
        "path,label\ntrain/cat/5.jpg,bee\ntrain/ant/0.jpg,0\ntrain/bee/7.jpg,cat\n",
        "train/bee/7.jpg,2\n./train/cat/5.jpg , bee\n\ntrain/ant/0.jpg,ant\ntrain/ant/0.jpg,0\n",
        "index,label\n7,2\n5,1\n0,0\n",
        "5,bee\n0,ant\n07,2\n",
        "Label,loss,index\ncat,0.1,7\n0,0.2,0\n1,0.3,5\n",
        # As a run's samples.csv with one more column: the path counts, whatever became of the index.
        "index,given_label,path,label\n1,0,train/ant/0.jpg,ant\n2,0,train/bee/7.jpg,cat\n3,0,train/cat/5.jpg,bee\n",
    ],
)
def test_every_way_to_write_three_checked_images(tmp_path, text):
    found = read(tmp_path, text)
    assert found.ids.tolist() == [0, 5, 7]
    assert found.true_labels.tolist() == [0, 1, 2]
    assert found.true_labels.dtype == np.int32
    assert found.images[:, 0, 0, 0].tolist() == [0, 5, 7]


def test_an_index_is_the_position_in_the_source(tmp_path):
    found = read(tmp_path, "index,label\n1003,ant\n", split(paths=False, ids=np.arange(1000, 1000 + N)))
    assert (found.ids.tolist(), found.images[0, 0, 0, 0]) == ([1003], 3)


def test_positions_that_a_subset_leaves_out_are_explained(tmp_path):
    with pytest.raises(ValueError, match=r"names '1', .* \(0 to 22, not all of these: samples.csv of a run has them"):
        read(tmp_path, "index,label\n2,ant\n1,ant\n", split(paths=False, ids=np.arange(0, 2 * N, 2)))


def test_classes_named_by_numbers_go_by_their_names(tmp_path):
    """Folders 1, 2 and 3: the label 1 is the first class, and 0 is none."""
    assert read(tmp_path, "0,1\n1,3\n", names=("1", "2", "3")).true_labels.tolist() == [0, 2]
    with pytest.raises(ValueError, match="the label '0', but the classes are 1, 2, 3"):
        read(tmp_path, "0,0\n", names=("1", "2", "3"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("path,label\ntrain/ant/1.jpg,ant\n", r"Line 2 of .* names 'train/ant/1.jpg', which is none of the training"),
        ("index,label\n3,ant\n12,ant\n", r"Line 3 of .* names '12', which is none of the training images \(0 to 11\)"),
        ("-1,ant\n", "Line 1 of .* names '-1'"),
        ("0,dog\n", r"Line 1 of .* the label 'dog', but the classes are ant, bee, cat, or 0 to 2"),
        ("0,3\n", "the label '3', but"),
        ("0,-1\n", "the label '-1', but"),
        ("0,\n", "the label '', but"),
        ("0,ant\n0,bee\n", "Line 2 of .* says that 0 is bee, but an earlier line that it is ant"),
        ("path,label\n", "names no image"),
        ("", "is empty"),
        ("0,ant\n1\n", "Line 2 of .* fewer columns"),
        ("0 ant\n", "needed are two columns with a comma between"),
        ("index,given_label,loss\n0,1,0.5\n", "a heading that names them path or index, and label"),
    ],
)
def test_complaints_are_one_sentence(tmp_path, text, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_paths_need_files_and_the_csv_has_to_be_there(tmp_path):
    for text in ("a.jpg,ant\n", "path,label\na.jpg,ant\n"):
        with pytest.raises(ValueError, match="this data set has no files: use the index"):
            read(tmp_path, text, split(paths=False))
    with pytest.raises(FileNotFoundError, match="absent"):
        checked_labels.read(tmp_path / "absent.csv", split(), NAMES)


def data(clean: CleanSet | None = None) -> tuple[ImageDataset, labels.NoisyLabels]:
    train = split()
    return ImageDataset("folder", train, train, NAMES, clean), labels.NoisyLabels(train.labels, None, "none", 0.0)


def test_images_of_a_file_leave_the_noisy_data(tmp_path):
    dataset, noisy = data()
    file = tmp_path / "checked.csv"
    file.write_text("2,ant\n3,bee\n4,cat\n9,cat\n")
    clean, rest, rest_labels = clean_set.chosen(dataset, dataset.train, noisy, seed=0, checked_file=file)
    assert clean.ids.tolist() == [2, 3, 4, 9]
    assert clean.true_labels.tolist() == [0, 1, 2, 2]
    assert rest.ids.tolist() == [0, 1, 5, 6, 7, 8, 10, 11]
    assert rest_labels.given.tolist() == [0, 1, 2, 0, 1, 2, 1, 2]
    assert not isinstance(clean, Split)
    # Of a subset, the images that are in it go, and the others come from the whole.
    subset, few = dataset.train.take([0, 2, 4]), clean_set.taken(noisy, [0, 2, 4])
    clean, rest, rest_labels = clean_set.chosen(dataset, subset, few, seed=0, checked_file=file)
    assert (clean.ids.tolist(), rest.ids.tolist(), rest_labels.given.tolist()) == ([2, 3, 4, 9], [0], [0])


def test_a_number_draws_among_the_checked_images_and_the_others_stay(tmp_path):
    dataset, noisy = data()
    file = tmp_path / "checked.csv"
    file.write_text("".join(f"{k},{k % 3}\n" for k in range(9)))
    drawn = set()
    for seed in range(4):
        clean, rest, _ = clean_set.chosen(dataset, dataset.train, noisy, seed=seed, per_class=2, checked_file=file)
        assert np.bincount(clean.true_labels).tolist() == [2, 2, 2]
        np.testing.assert_array_equal(clean.true_labels, clean.ids % 3)
        assert sorted([*clean.ids, *rest.ids]) == list(range(N))
        assert {9, 10, 11} <= set(rest.ids.tolist())
        drawn.add(tuple(clean.ids.tolist()))
    assert len(drawn) > 1
    everything, _, _ = clean_set.chosen(dataset, dataset.train, noisy, seed=0, examples=9, checked_file=file)
    assert everything.ids.tolist() == list(range(9))


def test_impossible_clean_sets_of_checked_images_are_refused(tmp_path):
    dataset, noisy = data()
    file = tmp_path / "checked.csv"

    def refused(text: str, complaint: str, **size: int) -> None:
        file.write_text(text)
        with pytest.raises(ValueError, match=complaint):
            clean_set.chosen(dataset, dataset.train, noisy, seed=0, checked_file=file, **size)

    refused("0,ant\n1,bee\n", r"None of the checked images \(2\) is of class 2 \(cat\)")
    refused("0,ant\n1,bee\n2,cat\n", "4 images was asked for, but there are 3 checked images", examples=4)
    refused("0,ant\n1,bee\n2,cat\n", "class 0 has only 1 checked images", per_class=2)
    refused("".join(f"{k},{k % 3}\n" for k in range(N)), "names all the training images")
    dataset, _ = data(CleanSet(split().images, split().labels, np.arange(N)))
    refused("0,ant\n", "clean/ beside train/ both give the clean set")


def test_without_checked_images_the_ways_to_a_clean_set_are_named():
    dataset, noisy = data()
    for size in ({}, {"examples": 5}):
        with pytest.raises(ValueError, match="nobody knows the true labels of this data set") as caught:
            clean_set.chosen(dataset, dataset.train, noisy, seed=0, **size)
        for way in ("--clean_labels_file", "clean/<class>/", "--clean_source=mixture"):
            assert way in str(caught.value)
    known = labels.NoisyLabels(noisy.given, labels.DiagnosticLabels(dataset.train.labels), "none", 0.0)
    with pytest.raises(ValueError, match="size of the clean set is not given"):
        clean_set.chosen(dataset, dataset.train, known, seed=0)


def photo(path, colour) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)


@pytest.fixture
def photos(tmp_path):
    for part, red in (("train", 10), ("test", 20), ("clean", 30)):
        for green, name in enumerate(("cat", "dog")):
            for blue in range(2):
                photo(tmp_path / part / name / f"{blue}.png", (red, green, blue))
    return tmp_path


def test_the_part_clean_of_a_folder_is_its_clean_set(photos):
    dataset = folder.load(photos, image_size=4)
    assert dataset.clean is not None
    assert dataset.clean.images[:, 0, 0].tolist() == [[30, 0, 0], [30, 0, 1], [30, 1, 0], [30, 1, 1]]
    assert dataset.clean.true_labels.tolist() == [0, 0, 1, 1]
    assert dataset.train.images[:, 0, 0, 0].tolist() == [10] * 4
    assert dataset.test.images[:, 0, 0, 0].tolist() == [20] * 4
    noisy = labels.NoisyLabels(dataset.train.labels, None, "none", 0.0)
    clean, train, given = clean_set.chosen(dataset, dataset.train, noisy, seed=0)
    assert len(clean) == 4
    assert train is dataset.train
    assert given is noisy
    clean, _, _ = clean_set.chosen(dataset, dataset.train, noisy, seed=0, per_class=1)
    assert clean.true_labels.tolist() == [0, 1]


def test_a_part_clean_that_does_not_fit_is_refused(photos):
    photo(photos / "clean/horse/0.png", (0, 0, 0))
    with pytest.raises(ValueError, match="clean has classes that train has not: horse"):
        folder.load(photos)
    for file in (photos / "clean").rglob("*.png"):
        file.unlink()
    (photos / "clean/horse").rmdir()
    with pytest.raises(ValueError, match=r"clean has no images; expected are "):
        folder.load(photos)
