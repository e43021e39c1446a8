"""Labels to train on: truth kept apart, corruption, subsets, and labels from files good and bad."""

import csv

import numpy as np
import pytest

from data import labels
from data.datasets import Split


def split_of(values, ids=None, **options):
    values = np.asarray(values, np.int32)
    ids = np.arange(len(values)) if ids is None else np.asarray(ids)
    return Split(np.zeros((len(values), 2, 2, 1), np.uint8), values, ids.astype(np.int64), **options)


@pytest.fixture
def split():
    """Six images of three classes, whose ids are not their positions."""
    return split_of([0, 1, 2, 0, 1, 2], ids=[10, 3, 7, 20, 5, 1])


# Types


def test_true_labels_do_not_become_an_array():
    truth = labels.DiagnosticLabels([0, 1, 2])
    with pytest.raises(TypeError, match="diagnostics"):
        np.asarray(truth)
    with pytest.raises(TypeError, match="diagnostics"):
        np.add(truth, 1)
    assert truth.is_clean([0, 0, 2]).tolist() == [True, False, True]
    assert truth.reveal().tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="true ones"):
        truth.is_clean([0, 1])


def test_noisy_labels_know_their_rate():
    noisy = labels.NoisyLabels(np.array([0, 0, 2, 1]), labels.DiagnosticLabels([0, 1, 2, 2]), "uniform", 0.4, 3)
    assert noisy.clean_known
    assert noisy.is_clean.tolist() == [True, False, True, False]
    assert noisy.actual_noise_rate == 0.5
    with pytest.raises(ValueError, match="read-only"):
        noisy.given[0] = 1
    unknown = labels.NoisyLabels(np.array([0, 1]), None, "none", 0.0)
    assert not unknown.clean_known
    assert unknown.is_clean.tolist() == [True, True]
    assert unknown.actual_noise_rate is None


# Corruption


def test_corruption_keeps_the_truth(split):
    noisy = labels.corrupt(split, "symmetric", 0.5, 3, seed=2)
    assert (noisy.given != split.labels).sum() == 3
    assert noisy.actual_noise_rate == 0.5
    assert noisy.clean.reveal().tolist() == [0, 1, 2, 0, 1, 2]
    assert (noisy.noise_type, noisy.noise_fraction, noisy.seed) == ("symmetric", 0.5, 2)


def test_a_folder_as_it_is_has_no_known_truth():
    own = split_of([0, 1, 0, 1], labels_are_true=False)
    assert not labels.corrupt(own, "none", 0.0, 2, seed=0).clean_known
    injected = labels.corrupt(own, "pair", 1.0, 2, seed=0)
    assert injected.clean.reveal().tolist() == [0, 1, 0, 1]
    assert injected.given.tolist() == [1, 0, 1, 0]
    trusted = labels.corrupt(split_of([0, 1]), "none", 0.0, 2, seed=0)
    assert trusted.actual_noise_rate == 0.0


def test_the_data_set_name_reaches_asymmetric_noise():
    truck = split_of([9, 9])
    for name in ("cifar10", "tfds:cifar10"):
        assert labels.corrupt(truck, "asymmetric", 1.0, 10, seed=0, dataset_name=name).given.tolist() == [1, 1]
    assert labels.corrupt(truck, "asymmetric", 1.0, 10, seed=0, dataset_name="digits").given.tolist() == [0, 0]


def test_unknown_noise_types_are_refused(split):
    with pytest.raises(ValueError, match=r"'salt', but may be none, .*human:worse.*human:noisy"):
        labels.corrupt(split, "salt", 0.1, 3, seed=0)


# Subsets


def test_subset_is_fixed_sorted_and_random():
    big = split_of(np.arange(200) % 4, ids=np.arange(200) * 2)
    part = labels.subset(big, 50, seed=1)
    assert len(set(part.ids)) == 50
    assert (np.diff(part.ids) > 0).all()
    np.testing.assert_array_equal(part.labels, part.ids // 2 % 4)
    np.testing.assert_array_equal(labels.subset(big, 50, seed=1).ids, part.ids)
    assert (labels.subset(big, 50, seed=2).ids != part.ids).any()
    # A fair draw leaves about half of the first hundred out; the first 50 would not.
    assert 15 <= (part.ids >= 200).sum() <= 35


@pytest.mark.parametrize("n", [0, 3, 201])
def test_impossible_subsets_are_refused(n):
    with pytest.raises(ValueError, match="200 images of 4 classes: it has to be 4 to 200"):
        labels.subset(split_of(np.arange(200) % 4), n, seed=0)


# Files


def test_npz_is_matched_by_index_and_keeps_its_facts(split, tmp_path):
    file = tmp_path / "labels.npz"
    given = {10: 2, 3: 1, 7: 0, 20: 0, 5: 2, 1: 2}
    np.savez(
        file,
        index=np.array(sorted(given)),
        given=np.array([given[i] for i in sorted(given)]),
        noise_type=np.asarray("uniform"),
        noise_fraction=np.asarray(0.4),
        noise_seed=np.asarray(7),
        dataset_name=np.asarray("toy"),
    )
    noisy = labels.from_file(file, split, 3)
    assert noisy.given.tolist() == [2, 1, 0, 0, 2, 2]
    assert noisy.clean.reveal().tolist() == split.labels.tolist()
    assert noisy.actual_noise_rate == 0.5
    assert (noisy.noise_type, noisy.noise_fraction, noisy.seed) == ("uniform", 0.4, 7)


def test_npz_with_clean_labels_serves_a_folder_and_is_checked_otherwise(tmp_path):
    file = tmp_path / "labels.npz"
    np.savez(file, given=[0, 0, 1], clean=[0, 1, 1])
    own = labels.from_file(file, split_of([1, 1, 1], labels_are_true=False), 2)
    assert own.clean.reveal().tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="another data set"):
        labels.from_file(file, split_of([1, 1, 1]), 2)
    np.savez(file, given=[0, 0, 1])
    assert not labels.from_file(file, split_of([1, 1, 1], labels_are_true=False), 2).clean_known


@pytest.mark.parametrize(
    "text",
    [
        "2\n1\n0\n0\n2\n1\n",
        "label\r\n2\r\n1\r\n0\r\n0\r\n2\r\n1\r\n",
        "\ufeffindex,label\n1,1\n3,1\n5,2\n7,0\n10,2\n20,0\n",
        "name,given_label,Index\na,0,20\nb,2,10\nc,0,7\nd,2,5\ne,1,3\nf,1,1\n\n",
    ],
)
def test_csv_in_all_its_forms(split, tmp_path, text):
    file = tmp_path / "mine.csv"
    file.write_bytes(text.encode())
    noisy = labels.from_file(file, split, 3)
    assert noisy.given.tolist() == [2, 1, 0, 0, 2, 1]
    assert noisy.noise_type == "file"
    assert noisy.noise_fraction == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0], [1]], "has 2 labels, but there are 3 training images"),
        ([[0], [1], [3]], "given labels from 0 to 3, but the classes are 0 to 2"),
        ([[0], [-1], [1]], "given labels from -1 to 1"),
        ([[0], [1.5], [1]], "Line 2 of .* has '1.5' where an integer"),
        ([[0], ["1_0"], [1]], "Line 2 of .* has '1_0' where an integer"),
        ([[0], ["9" * 30], [1]], "Line 2 of .* where an integer"),
        ([["index", "label"], [0, 1], [1], [2, 0]], "Line 3 of .* has '' where an integer"),
        ([["index", "label"], [0, 1], [0, 1], [2, 0]], "index 0 more than once"),
        ([["index", "label"], [0, 1], [1, 1], [3, 0]], "no label for 1 of the training images, the first with index 2"),
        ([[0, 1], [1, 1], [2, 0]], "starts with '0,1', but needed is one label a line or a heading"),
        ([["index", "class"], [0, 1], [1, 1], [2, 0]], "starts with 'index,class'"),
        ([["index", "label", "given_label"], [0, 1, 1]], "starts with"),
        ([], "is empty"),
    ],
)
def test_bad_csv_is_one_sentence(tmp_path, rows, message):
    file = tmp_path / "mine.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(ValueError, match=message) as caught:
        labels.read_labels_file(file, 3, 3)
    assert "\n" not in str(caught.value)
    assert "mine.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"label": [0, 1, 2]}, "no array 'given', only label"),
        ({"given": [0.0, 1.0, 2.0]}, "'given' .* float64 of shape"),
        ({"given": [[0], [1], [2]]}, "'given' .* of shape"),
        ({"given": [0, 1, 2], "index": [0, 1]}, "has 2 index entries, but there are 3"),
        ({"given": [0, 1, 2], "clean": [0, 1, 9]}, "clean labels from 0 to 9"),
        ({"given": np.array([0, 1, None])}, "damaged or no npz"),  # would need pickle
    ],
)
def test_bad_npz_is_one_sentence(tmp_path, arrays, message):
    np.savez(tmp_path / "labels.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        labels.read_labels_file(tmp_path / "labels.npz", 3, 3)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*missing\.csv"):
        labels.read_labels_file(tmp_path / "missing.csv", 3, 3)
    with pytest.raises(FileNotFoundError, match=r"no file .*missing\.npz"):
        labels.read_labels_file(tmp_path / "missing.npz", 3, 3)
    with pytest.raises(FileNotFoundError, match=r"no file .*missing,"):
        labels.read_labels_file(tmp_path / "missing", 3, 3)
    (tmp_path / "labels.json").write_text("[0, 1, 2]")
    with pytest.raises(ValueError, match=r"ends in '\.json'"):
        labels.read_labels_file(tmp_path / "labels.json", 3, 3)
    np.savez(tmp_path / "labels.npz", given=np.arange(3) % 3)
    whole = (tmp_path / "labels.npz").read_bytes()
    (tmp_path / "labels.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        labels.read_labels_file(tmp_path / "labels.npz", 3, 3)
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(ValueError, match="not a text file"):
        labels.read_labels_file(tmp_path / "picture.csv", 3, 3)


def test_the_images_of_a_run_are_found_again(split, tmp_path):
    file = tmp_path / "labels.npz"
    np.savez(file, given=[0, 2], index=[7, 10])
    assert labels.positions_of_run(file, split.ids).tolist() == [2, 0]
    np.savez(file, given=[0, 2], index=[7, 11])
    with pytest.raises(ValueError, match="names image 11"):
        labels.positions_of_run(file, split.ids)
    np.savez(file, given=[0, 2])
    with pytest.raises(ValueError, match="no array 'index'"):
        labels.positions_of_run(file, split.ids)
