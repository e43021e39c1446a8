"""CIFAR-N labels: alignment with the images, the published noise rates, and files that do not fit."""

import numpy as np
import pytest

from data import datasets, human_noise, labels

# Share of labels that differ from the clean ones, in per cent, as published with the data.
RATES = {"aggregate": 9.01, "worse": 40.21, "random1": 17.23, "random2": 18.12, "random3": 17.64}


@pytest.fixture(scope="module")
def cifar10(shared_dir):
    return datasets.load("cifar10", data_dir=shared_dir / "tfds", download=False)


@pytest.fixture
def made(tmp_path):
    """A folder like the real one, with labels the test makes up: every tenth is wrong."""
    clean = np.arange(50_000) % 10
    worse = np.where(np.arange(50_000) % 7 == 0, (clean + 1) % 10, clean).astype(np.uint8)
    (tmp_path / "cifar_n").mkdir()
    np.savez(tmp_path / "cifar_n/cifar10_n.npz", clean=clean.astype(np.uint8), worse=worse)
    return tmp_path


def test_cifar10_is_in_the_original_order(cifar10):
    assert (len(cifar10.train), len(cifar10.test)) == (50_000, 10_000)
    assert cifar10.image_shape == (32, 32, 3)
    np.testing.assert_array_equal(cifar10.train.ids, np.arange(50_000))
    # The first labels of data_batch_1 and of test_batch: frog, truck, truck, deer, ...; cat, ship, ship, airplane, ...
    assert cifar10.train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert cifar10.test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    # Channel means of the CIFAR-10 training set; TensorFlow's fast JPEG decoding would be 0.005 off.
    means = cifar10.train.images.mean((0, 1, 2), dtype=np.float64) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=5e-4)


@pytest.mark.parametrize("kind", RATES)
def test_cifar10_rates(cifar10, shared_dir, kind):
    noisy = labels.corrupt(
        cifar10.train, f"human:{kind}", 0.0, 10, seed=0, dataset_name="cifar10", data_dir=shared_dir / "tfds"
    )
    assert round(100 * noisy.actual_noise_rate, 2) == RATES[kind]
    assert noisy.noise_fraction == noisy.actual_noise_rate
    np.testing.assert_array_equal(noisy.clean.reveal(), cifar10.train.labels)


def test_a_subset_gets_the_labels_of_its_own_images(cifar10, shared_dir):
    with np.load(shared_dir / "cifar_n/cifar10_n.npz") as stored:
        worse = stored["worse"]
    part = labels.subset(cifar10.train, 500, seed=3)
    noisy = labels.corrupt(
        part, "human:worse", 0.0, 10, seed=0, dataset_name="tfds:cifar10", data_dir=shared_dir / "tfds"
    )
    np.testing.assert_array_equal(noisy.given, [worse[i] for i in part.ids])


def test_cifar100_aligns_with_its_labels(shared_dir):
    human, clean = human_noise.load("cifar100", "noisy", shared_dir / "cifar_n")
    assert round(100 * float(np.mean(human != clean)), 2) == 40.20
    assert human.max() == 99


def test_default_places(made):
    ids, clean = np.array([0, 7, 14, 15]), np.array([0, 7, 4, 5])
    for data_dir in (made, made / "tfds"):  # inside, and beside
        given = human_noise.aligned("cifar10", "worse", ids, clean, data_dir=data_dir)
        assert given.tolist() == [1, 8, 5, 5]
        assert given.dtype == np.int32
    file = made / "cifar_n/cifar10_n.npz"
    assert human_noise.aligned("cifar10", "worse", ids, clean, file).tolist() == [1, 8, 5, 5]


def test_another_order_is_noticed(made):
    with pytest.raises(ValueError, match="not in the original order"):
        human_noise.aligned("cifar10", "worse", [1, 0], [0, 1], made / "cifar_n")
    with pytest.raises(ValueError, match="not in the original order"):
        human_noise.aligned("cifar10", "worse", [50_000], [0], made / "cifar_n")


@pytest.mark.parametrize(
    ("dataset_name", "kind", "message"),
    [
        ("mnist", "worse", "exist for cifar10 and cifar100, not for mnist"),
        ("cifar100", "worse", "of cifar100 are human:noisy, not human:worse"),
        ("cifar10", "noisy", "of cifar10 are human:aggregate, .*human:random3, not human:noisy"),
        ("cifar10", "random1", "no array 'random1', only clean, worse"),
    ],
)
def test_labels_that_do_not_exist(made, dataset_name, kind, message):
    with pytest.raises(ValueError, match=message):
        human_noise.load(dataset_name, kind, data_dir=made)


def test_missing_or_odd_files(made, tmp_path):
    with pytest.raises(FileNotFoundError, match="no place was given"):
        human_noise.load("cifar10", "worse")
    with pytest.raises(FileNotFoundError, match=r"cifar100_n.npz were not found \(not at .* or "):
        human_noise.load("cifar100", "noisy", data_dir=made)
    np.savez(tmp_path / "short.npz", worse=np.zeros(10, int), clean=np.zeros(50_000, int))
    with pytest.raises(ValueError, match=r"'worse' .* has to hold 50000 integers"):
        human_noise.load("cifar10", "worse", tmp_path / "short.npz")
