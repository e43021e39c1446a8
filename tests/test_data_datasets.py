"""Named data sets: sizes, order, splits, and what is said when data is missing."""

import shutil
import socket

import numpy as np
import pytest

from data import cifar100_superclasses, datasets, image_dataset


def test_digits_have_a_fixed_stratified_split():
    dataset = datasets.load("digits")
    assert (len(dataset.train), len(dataset.test)) == (1437, 360)
    assert dataset.image_shape == (8, 8, 1)
    assert dataset.num_classes == 10
    assert dataset.train.images.max() == 255
    assert dataset.train.images.dtype == np.uint8
    together = np.concatenate([dataset.train.ids, dataset.test.ids])
    np.testing.assert_array_equal(np.sort(together), np.arange(1797))
    per_class = np.bincount(dataset.test.labels)
    all_per_class = np.bincount(np.concatenate([dataset.train.labels, dataset.test.labels]))
    assert (np.abs(per_class - all_per_class / 5) < 1).all()
    # Images, labels and ids belong together.
    from sklearn.datasets import load_digits

    source = load_digits()
    np.testing.assert_array_equal(dataset.test.labels, source.target[dataset.test.ids])
    np.testing.assert_allclose(dataset.test.images[..., 0] * (16 / 255), source.images[dataset.test.ids], atol=0.05)
    np.testing.assert_array_equal(datasets.load("digits").test.ids, dataset.test.ids)


def test_digits_can_be_enlarged():
    small, large = datasets.load("digits"), datasets.load("digits", image_size=16)
    assert large.image_shape == (16, 16, 1)
    means = [d.train.images.astype(float).mean((1, 2, 3)) for d in (small, large)]
    assert np.corrcoef(means)[0, 1] > 0.99


def test_holdout_takes_its_share_of_every_class():
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    kept, held_out = image_dataset.stratified_holdout(labels, 10, seed=4)
    assert np.bincount(labels[held_out]).tolist() == [7, 2, 1]
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(100))
    assert (image_dataset.stratified_holdout(labels, 10, seed=5)[1] != held_out).any()


def test_splits_refuse_what_does_not_fit():
    images, labels, ids = np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int32), np.arange(2)
    with pytest.raises(ValueError, match=r"different lengths: \[1, 2\]"):
        datasets.Split(images, labels[:1], ids)
    with pytest.raises(ValueError, match="labels must be int32"):
        datasets.Split(images, labels.astype(np.int64), ids)
    split = datasets.Split(images, labels, ids, ("a", "b"))
    assert split.take([1]).paths == ("b",)
    with pytest.raises(ValueError, match="read-only"):
        split.labels[0] = 1
    labels[0] = 7  # the caller's own array stays writable
    with pytest.raises(ValueError, match="has 2 classes, but its training labels are 0 to 7"):
        datasets.ImageDataset("x", split, split, ("a", "b"))


def test_unknown_names_and_sizes():
    with pytest.raises(ValueError, match="no data set 'cifar'; known are cifar10"):
        datasets.load("cifar")
    with pytest.raises(ValueError, match="image size is 0"):
        datasets.load("digits", image_size=0)


def test_unknown_or_unsuitable_builders(tmp_path):
    with pytest.raises(ValueError, match="no data set 'no_such_builder'"):
        datasets.load("tfds:no_such_builder", data_dir=tmp_path)
    with pytest.raises(ValueError, match="features text, label, but an image classification"):
        datasets.load("tfds:imdb_reviews", data_dir=tmp_path)


def test_missing_data_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match=r"no prepared data set fashion_mnist.*--data_dir or allow the download"
    ):
        datasets.load("fashion_mnist", data_dir=tmp_path, download=False)

    def unreachable(*_):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(FileNotFoundError, match="cannot reach the internet") as caught:
        datasets.load("fashion_mnist", data_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())  # nothing half-made is left


def test_a_failed_download_is_one_sentence(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def broken(self, **_):
        raise ConnectionError("server said no\nand much more")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", broken)
    with pytest.raises(FileNotFoundError, match=r"download failed \(server said no\); name the folder"):
        datasets.load("fashion_mnist", data_dir=tmp_path)


@pytest.fixture(scope="module")
def made_builder(tmp_path_factory):
    """A prepared data set of 20 grey training images of different sizes; its test images have no labels."""
    import tensorflow_datasets as tfds

    class VaryingSizes(tfds.core.GeneratorBasedBuilder):
        """Image i is (10 + i) x 12 pixels of brightness 10 i, label i mod 2."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                        "label": tfds.features.ClassLabel(names=["even", "odd"]),
                    }
                )
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(20, True), "test": self._generate_examples(3, False)}

        def _generate_examples(self, count, labelled):
            for i in range(count):
                yield i, {"image": np.full((10 + i, 12, 1), 10 * i, np.uint8), "label": i % 2 if labelled else -1}

    folder = tmp_path_factory.mktemp("tfds")
    VaryingSizes(data_dir=folder).download_and_prepare()
    return folder


def cut_off(file):
    file.write_bytes(file.read_bytes()[:100])


def empty(file):
    file.write_bytes(b"")


def remove(file):
    file.unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_off, "truncated record at .*"),
        (empty, "expected to contain 20 .* only 0 elements"),
        (remove, ".*No such file.*"),
    ],
)
def test_damaged_records_are_one_sentence_with_their_folder(damage, reason, made_builder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(made_builder, folder)
    (file,) = folder.rglob("*-train.tfrecord*")
    damage(file)
    place = r"varying_sizes in \S+varying_sizes/1\.0\.0"
    with pytest.raises(ValueError, match=rf"{place} is damaged \([^{{\[]*{reason}\): remove that folder") as caught:
        datasets.load("tfds:varying_sizes", data_dir=folder, download=False)
    assert "[Op" not in str(caught.value)


def test_any_builder_with_varying_sizes_and_no_test_labels(made_builder):
    dataset = datasets.load("tfds:varying_sizes", data_dir=made_builder, download=False)
    assert dataset.name == "varying_sizes"
    assert dataset.class_names == ("even", "odd")
    assert dataset.image_shape == (32, 32, 1)
    assert (len(dataset.train), len(dataset.test)) == (18, 2)
    assert sorted(dataset.test.labels) == [0, 1]  # one of ten of each class
    for split in (dataset.train, dataset.test):
        brightness = split.images[:, 0, 0, 0] // 10
        assert (split.images == split.images[:, :1, :1, :1]).all()
        np.testing.assert_array_equal(brightness % 2, split.labels)
    assert datasets.load("tfds:varying_sizes", data_dir=made_builder, image_size=5).image_shape == (5, 5, 1)


def test_mnist_is_read_in_record_order(shared_dir):
    dataset = datasets.load("mnist", data_dir=shared_dir / "tfds", download=False)
    assert (len(dataset.train), len(dataset.test)) == (60_000, 10_000)
    assert dataset.image_shape == (28, 28, 1)
    assert np.bincount(dataset.train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(dataset.train.ids, np.arange(60_000))
    assert dataset.train.images.mean() == pytest.approx(33.318, abs=0.001)  # the well-known 0.1307 * 255


def test_superclasses_are_those_of_the_records(shared_dir):
    import tensorflow_datasets as tfds

    source = tfds.builder("cifar100", data_dir=str(shared_dir / "tfds"))
    assert tuple(source.info.features["label"].names) == cifar100_superclasses.CLASS_NAMES
    assert source.info.features["coarse_label"].names == sorted(cifar100_superclasses.SUPERCLASSES)
    only_labels = tfds.decode.PartialDecoding({"label": True, "coarse_label": True})
    records = source.as_dataset(split="test", decoders=only_labels)
    pairs = {(int(r["label"]), int(r["coarse_label"])) for r in records.as_numpy_iterator()}
    assert pairs == set(enumerate(cifar100_superclasses.coarse_of_fine().tolist()))
