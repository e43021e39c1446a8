"""Batches: order, resuming, shards, augmentation against slow NumPy versions, and what is refused."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from data import augmentation, clean_batches, pipeline
from data.pipeline import AUGMENTATIONS, Augmentation, TrainingBatches, evaluation_batches

UNTOUCHED = Augmentation(standardise="none")


def examples(n, height=6, width=6, channels=3):
    """Random images, labels and flags that all depend on the position."""
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)
    return images, (np.arange(n) * 7 % 10).astype(np.int32), np.arange(n) % 3 != 0


def batches_of(n, batch_size, *, seed=0, augment=UNTOUCHED, **options):
    return TrainingBatches(*examples(n), batch_size=batch_size, seed=seed, augmentation=augment, **options)


def permutations(n, epochs, seed=0):
    """The first epochs' orders, int [epochs, n]: one batch is a whole epoch."""
    blank = np.zeros((n, 1, 1, 1), np.uint8)
    source = TrainingBatches(blank, np.zeros(n), np.ones(n), batch_size=n, seed=seed, augmentation=UNTOUCHED)
    return np.stack([batch["index"] for batch in source.dataset(0, epochs).as_numpy_iterator()])


# Content


def test_batches_hold_what_belongs_to_their_index():
    images, labels, is_clean = examples(50)
    source = TrainingBatches(images, labels, is_clean, batch_size=8, seed=1, augmentation=UNTOUCHED)
    for batch in source.dataset(0, 13).as_numpy_iterator():
        index = batch["index"]
        assert {name: value.dtype.name for name, value in batch.items()} == {
            "image": "float32",
            "label": "int32",
            "index": "int32",
            "is_clean": "bool",
        }
        np.testing.assert_array_equal(batch["label"], labels[index])
        np.testing.assert_array_equal(batch["is_clean"], is_clean[index])
        np.testing.assert_allclose(batch["image"], images[index] / 255.0, rtol=1e-6)


def test_shapes_are_static():
    spec = batches_of(50, 8, augment=AUGMENTATIONS["cifar"]).dataset().element_spec
    assert spec["image"].shape == (8, 6, 6, 3)
    assert spec["label"].shape == spec["index"].shape == spec["is_clean"].shape == (8,)


# Order


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 1437])
def test_an_epoch_is_a_permutation(n):
    for order in permutations(n, 4):
        np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_an_epoch_skips_the_remainder_and_later_epochs_visit_it():
    source = batches_of(103, 10)
    assert source.steps_per_epoch == 10
    index = np.stack([batch["index"] for batch in source.dataset(0, 200).as_numpy_iterator()]).reshape(20, 100)
    assert all(len(set(epoch)) == 100 for epoch in index)
    assert len({tuple(epoch) for epoch in index}) == 20
    assert set(index.ravel()) == set(range(103))
    assert len({frozenset(epoch) for epoch in index}) > 10  # not always the same three are left out


def test_orders_of_different_epochs_are_uncorrelated():
    orders = permutations(50_000, 8)
    correlations = np.corrcoef(orders)[np.triu_indices(8, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(50_000)


def test_every_image_comes_to_every_place_equally_often():
    n, epochs = 20, 600
    counts = np.zeros((n, n))
    for order in permutations(n, epochs):
        counts[np.arange(n), order] += 1
    expected, freedom = epochs / n, (n - 1) ** 2
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


def test_order_depends_on_the_seed():
    assert (permutations(100, 1, seed=0) != permutations(100, 1, seed=1)).mean() > 0.9


# Resuming


def collected(dataset):
    return list(dataset.as_numpy_iterator())


def assert_equal_batches(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("start", [0, 5, 6, 17])  # 6 steps an epoch: at, before and after a boundary
def test_any_step_can_be_the_first(start):
    whole = collected(batches_of(50, 8, augment=AUGMENTATIONS["cifar"]).dataset(0, 20))
    # A new object, as after a restart; the endless stream goes on in the same way.
    resumed = batches_of(50, 8, augment=AUGMENTATIONS["cifar"])
    assert_equal_batches(whole[start:], collected(resumed.dataset(start, 20 - start)))
    assert_equal_batches(whole[start:], collected(resumed.dataset(start).take(20 - start)))


def test_a_far_step_is_as_close_as_the_first():
    far = 10**12
    first, second = collected(batches_of(50, 8).dataset(far, 2)), collected(batches_of(50, 8).dataset(far + 1, 1))
    assert_equal_batches(first[1:], second)


def test_without_end_there_is_no_end():
    assert batches_of(50, 8).dataset(3).cardinality() == tf.data.INFINITE_CARDINALITY
    assert batches_of(50, 8).dataset(3, 4).cardinality() == 4


@pytest.mark.parametrize("workers", [2, 4])
def test_shards_are_slices_of_the_global_batch(workers):
    augment = AUGMENTATIONS["cifar"]
    whole = collected(batches_of(50, 8, augment=augment).dataset(4, 5))
    parts = [collected(batches_of(50, 8, augment=augment, shard=(i, workers)).dataset(4, 5)) for i in range(workers)]
    joined = [
        {name: np.concatenate([part[name] for part in step]) for name in step[0]} for step in zip(*parts, strict=True)
    ]
    assert_equal_batches(whole, joined)


# Augmentation


def slow_crop_and_flip(images, offsets, flipped, pad):
    """One image, one pixel at a time."""
    n, height, width, _ = images.shape
    out = np.zeros_like(images)
    for i, y, x in itertools.product(range(n), range(height), range(width)):
        source_y = y + offsets[i, 0] - pad
        source_x = (width - 1 - x if flipped[i] else x) + offsets[i, 1] - pad
        if 0 <= source_y < height and 0 <= source_x < width:
            out[i, y, x] = images[i, source_y, source_x]
    return out


@pytest.mark.parametrize(("pad", "shape"), [(0, (5, 7, 3)), (1, (8, 8, 1)), (4, (6, 5, 3))])
def test_crop_and_flip_equals_the_slow_version(pad, shape):
    images, _, flipped = examples(20, *shape)
    offsets = np.random.default_rng(1).integers(0, 2 * pad + 1, (20, 2)).astype(np.int32)
    fast = augmentation.crop_and_flip(tf.constant(images), tf.constant(offsets), tf.constant(flipped), pad)
    np.testing.assert_array_equal(fast, slow_crop_and_flip(images, offsets, flipped, pad))


def found_augmentations(augment, n=40, steps=30):
    """For each image of a stream, by trying all: the (row, column, flip) that makes it from its source."""
    images, labels, is_clean = examples(n)
    pad = augment.pad
    candidates = list(itertools.product(range(2 * pad + 1), range(2 * pad + 1), (False, True)))
    variants = {}
    for row, column, flip in candidates:
        made = slow_crop_and_flip(images, np.tile([row, column], (n, 1)), [flip] * n, pad)
        for i in range(n):
            variants[i, made[i].tobytes()] = (row, column, flip)
    source = TrainingBatches(images, labels, is_clean, batch_size=n, seed=3, augmentation=augment)
    found = []
    for batch in source.dataset(0, steps).as_numpy_iterator():
        pixels = np.rint(batch["image"] * 255).astype(np.uint8)
        found += [variants[int(i), image.tobytes()] for i, image in zip(batch["index"], pixels, strict=True)]
    return np.array(found)


def test_crops_and_flips_are_uniform_and_independent():
    found = found_augmentations(Augmentation(pad=1, flip=True, standardise="none"))
    for axis in (0, 1):
        # 1,200 draws of three offsets: 400 each, standard deviation 16.3.
        assert np.abs(np.bincount(found[:, axis], minlength=3) - 400).max() < 5 * 16.4
    assert abs(found[:, 2].sum() - 600) < 5 * 17.4
    assert np.abs(np.corrcoef(found.T)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(1200)


def test_without_flip_nothing_is_mirrored():
    assert not found_augmentations(Augmentation(pad=1, standardise="none"), steps=3)[:, 2].any()
    flipped_only = found_augmentations(Augmentation(flip=True, standardise="none"), steps=3)
    assert 30 < flipped_only[:, 2].sum() < 90
    assert not flipped_only[:, :2].any()


def test_named_augmentations():
    assert AUGMENTATIONS["none"] == Augmentation(0, False, "per_image")
    assert AUGMENTATIONS["cifar"] == Augmentation(4, True, "per_image")
    assert AUGMENTATIONS["release"] == Augmentation(2, True, "per_image")
    assert AUGMENTATIONS["l2rw"] == Augmentation(2, True, "scale")
    assert not AUGMENTATIONS["crop"].flip


def test_standardisation():
    images = examples(12)[0]
    images[0] = 77  # constant: divided by 1 / sqrt(number of values), not by 0
    per_image = augmentation.standardised(tf.constant(images), "per_image").numpy()
    flat = images.reshape(12, -1).astype(np.float64)
    deviation = np.maximum(flat.std(1), 1 / np.sqrt(flat.shape[1]))
    expected = ((flat - flat.mean(1, keepdims=True)) / deviation[:, None]).reshape(images.shape)
    np.testing.assert_allclose(per_image, expected, atol=1e-5)
    one_by_one = np.stack([tf.image.per_image_standardization(image) for image in images])
    np.testing.assert_allclose(per_image, one_by_one, atol=1e-6)
    extremes = tf.constant([[[[0], [255]]]], tf.uint8)
    assert augmentation.standardised(extremes, "scale").numpy().ravel().tolist() == [-1, 1]
    assert augmentation.standardised(extremes, "none").numpy().ravel().tolist() == [0, 1]


def test_padding_comes_before_standardisation():
    # A white image shifted by any amount has black borders, so only a centred crop standardises to zero.
    white = np.full((64, 6, 6, 1), 255, np.uint8)
    source = TrainingBatches(white, [0] * 64, [True] * 64, batch_size=64, seed=0, augmentation=Augmentation(pad=2))
    (batch,) = collected(source.dataset(0, 1))
    centred = np.ptp(batch["image"], axis=(1, 2, 3)) == 0
    assert centred.mean() < 0.2  # 1 of 25
    np.testing.assert_allclose(batch["image"].mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(batch["image"][~centred].std((1, 2, 3)), 1, atol=1e-5)


# Evaluation


def test_evaluation_visits_all_in_order():
    images, labels, _ = examples(23)
    found = collected(evaluation_batches(images, labels, 5, AUGMENTATIONS["cifar"]))
    assert [len(batch["label"]) for batch in found] == [5, 5, 5, 5, 3]
    assert all(batch.keys() == {"image", "label", "index"} for batch in found)
    np.testing.assert_array_equal(np.concatenate([batch["index"] for batch in found]), np.arange(23))
    np.testing.assert_array_equal(np.concatenate([batch["label"] for batch in found]), labels)
    expected = np.stack([tf.image.per_image_standardization(image) for image in images])
    np.testing.assert_allclose(np.concatenate([batch["image"] for batch in found]), expected, atol=1e-6)
    assert found[0]["index"].dtype == np.int32


def test_evaluation_can_be_repeated_and_batches_larger_than_the_data():
    images, labels, _ = examples(23)
    dataset = evaluation_batches(images, labels, 500, AUGMENTATIONS["none"])
    assert [len(batch["label"]) for batch in itertools.chain(dataset, dataset)] == [23, 23]


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 51}, "50 training images, fewer than the 51 of one batch"),
        ({"batch_size": 0}, "A batch of 0 images"),
        ({"batch_size": 8, "shard": (0, 3)}, r"batch of 8 images cannot be shared equally by 3 worker"),
        ({"batch_size": 8, "shard": (2, 2)}, "worker 2 of 2"),
        ({"batch_size": 8, "seed": -1}, "seed is -1"),
    ],
)
def test_impossible_training_batches(options, message):
    with pytest.raises(ValueError, match=message):
        batches_of(50, **options)


def test_arrays_that_do_not_fit():
    images, labels, is_clean = examples(50)
    common = {"batch_size": 8, "seed": 0, "augmentation": UNTOUCHED}
    with pytest.raises(ValueError, match="50 images, but label has the shape"):
        TrainingBatches(images, labels[1:], is_clean, **common)
    with pytest.raises(ValueError, match="50 images, but is_clean has the shape"):
        TrainingBatches(images, labels, is_clean[1:], **common)
    with pytest.raises(ValueError, match="uint8"):
        TrainingBatches(images / 255, labels, is_clean, **common)
    with pytest.raises(ValueError, match="batch size is 0"):
        evaluation_batches(images, labels, 0, UNTOUCHED)
    with pytest.raises(ValueError, match="from step -1"):
        batches_of(50, 8).dataset(-1)
    with pytest.raises(ValueError, match="pads -1"):
        Augmentation(pad=-1)
    with pytest.raises(ValueError, match="'z_score', but may be per_image"):
        Augmentation(standardise="z_score")


def test_the_pipeline_runs_as_one_graph():
    batch = pipeline.TrainingBatches._batch
    source = batches_of(50, 8, augment=AUGMENTATIONS["cifar"])
    graph = tf.function(batch).get_concrete_function(source, tf.TensorSpec([], tf.int64)).graph
    assert not [op.type for op in graph.get_operations() if op.type in ("PyFunc", "EagerPyFunc", "PyFuncStateless")]


def test_no_tuning_thread_that_an_iterator_would_wait_for():
    source = batches_of(50, 8)
    images, labels, _ = examples(50)
    evaluation = evaluation_batches(images, labels, 8, UNTOUCHED)
    clean = clean_batches.PairedBatches(source, images, labels, batch_size=5, seed=0, augmentation=UNTOUCHED)
    for dataset in (source.dataset(), evaluation, clean.dataset()):
        assert dataset.options().autotune.enabled is False
