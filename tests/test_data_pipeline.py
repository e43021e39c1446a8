"""Evaluation batches: all samples once, in order, standardised only; and what is refused."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from data.pipeline import AUGMENTATIONS, evaluation_batches
from tests.one_stream import UNTOUCHED, collected


def examples(n):
    images = np.random.default_rng(n).integers(0, 256, (n, 6, 6, 3), dtype=np.uint8)
    return images, (np.arange(n) * 7 % 10).astype(np.int32)


def test_evaluation_visits_all_in_order():
    images, labels = examples(23)
    found = collected(evaluation_batches(images, labels, 5, AUGMENTATIONS["cifar"]))
    assert [len(batch["label"]) for batch in found] == [5, 5, 5, 5, 3]
    assert all(batch.keys() == {"image", "label", "index"} for batch in found)
    np.testing.assert_array_equal(np.concatenate([batch["index"] for batch in found]), np.arange(23))
    np.testing.assert_array_equal(np.concatenate([batch["label"] for batch in found]), labels)
    expected = np.stack([tf.image.per_image_standardization(image) for image in images])
    np.testing.assert_allclose(np.concatenate([batch["image"] for batch in found]), expected, atol=1e-6)
    assert found[0]["index"].dtype == np.int32


def test_evaluation_can_be_repeated_and_batches_larger_than_the_data():
    images, labels = examples(23)
    dataset = evaluation_batches(images, labels, 500, AUGMENTATIONS["none"])
    assert [len(batch["label"]) for batch in itertools.chain(dataset, dataset)] == [23, 23]


def test_impossible_evaluations_are_refused():
    images, labels = examples(50)
    with pytest.raises(ValueError, match="batch size is 0"):
        evaluation_batches(images, labels, 0, UNTOUCHED)
    with pytest.raises(ValueError, match="50 images, but label has the shape"):
        evaluation_batches(images, labels[1:], 5, UNTOUCHED)
    with pytest.raises(ValueError, match="uint8"):
        evaluation_batches(images / 255, labels, 5, UNTOUCHED)


def test_no_tuning_thread_that_an_iterator_would_wait_for():
    images, labels = examples(50)
    assert evaluation_batches(images, labels, 8, UNTOUCHED).options().autotune.enabled is False
