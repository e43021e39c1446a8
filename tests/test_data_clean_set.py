"""The clean set is disjoint from the noisy data, of its own type, and its batches resume at any step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from data import clean_set, labels, streams
from data.augmentation import Augmentation
from data.image_dataset import Split
from mentornet.stages import Stream
from tests.one_stream import OneStream, assert_equal_batches, collected

N, CLASSES = 200, 5


@pytest.fixture
def noisy() -> tuple[Split, labels.NoisyLabels]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N, 4, 4, 1), np.uint8)
    split = Split(images, rng.integers(0, CLASSES, N).astype(np.int32), np.arange(1000, 1000 + N))
    return split, labels.corrupt(split, "symmetric", 0.5, CLASSES, seed=1)


def test_clean_and_noisy_share_no_image_and_keep_their_labels(noisy):
    split, given = noisy
    chosen = clean_set.positions(split.labels, CLASSES, seed=0, examples=60)
    clean, rest, rest_labels = clean_set.set_apart(split, given, chosen)
    assert sorted([*clean.ids, *rest.ids]) == list(range(1000, 1000 + N))
    assert (len(clean), len(rest), len(rest_labels)) == (60, N - 60, N - 60)
    np.testing.assert_array_equal(clean.true_labels, split.labels[clean.ids - 1000])
    np.testing.assert_array_equal(clean.images, split.images[clean.ids - 1000])
    np.testing.assert_array_equal(rest_labels.given, given.given[rest.ids - 1000])
    assert np.any(rest_labels.given != split.labels[rest.ids - 1000])


def test_a_clean_set_is_no_training_split(noisy):
    split, given = noisy
    clean, _, _ = clean_set.set_apart(split, given, [0, 1, 2])
    assert not isinstance(clean, (Split, labels.NoisyLabels))
    assert not hasattr(clean, "given")
    with pytest.raises((TypeError, AttributeError)):
        labels.corrupt(clean, "symmetric", 0.5, CLASSES, seed=0)


def test_per_class_and_seed(noisy):
    split, _ = noisy
    first = clean_set.positions(split.labels, CLASSES, seed=0, per_class=4)
    assert np.bincount(split.labels[first]).tolist() == [4] * CLASSES
    np.testing.assert_array_equal(first, clean_set.positions(split.labels, CLASSES, seed=0, per_class=4))
    assert set(first) != set(clean_set.positions(split.labels, CLASSES, seed=1, per_class=4))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"examples": N}, f"there are {N} training images"),
        ({"examples": 2}, "has none of class"),
        ({"per_class": 100}, "has only"),
        ({"per_class": 0}, "at least 1"),
        ({}, "either"),
        ({"examples": 5, "per_class": 5}, "either"),
    ],
)
def test_impossible_clean_sets_are_refused(noisy, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        clean_set.positions(noisy[0].labels, CLASSES, seed=0, **arguments)


def test_without_true_labels_there_is_no_clean_set(noisy):
    split, given = noisy
    unknown = labels.NoisyLabels(given.given, None, "file", 0.0)
    with pytest.raises(ValueError, match="nobody knows the true labels"):
        clean_set.set_apart(split, unknown, [0])


def test_holdout_divides_the_noisy_samples():
    held, kept = clean_set.holdout_positions(50, 10, seed=3)
    assert (len(held), len(kept)) == (10, 40)
    assert sorted([*held, *kept]) == list(range(50))
    with pytest.raises(ValueError, match="hold-out of 50"):
        clean_set.holdout_positions(50, 50, seed=3)


def streams_of(noisy, clean_images, clean_labels, clean_size, augmentation=None) -> streams.MemoryStreams:
    split, given = noisy
    sources = {
        streams.TRAINING: streams.Source(split.images, given.given, 16, given.is_clean),
        "clean": streams.Source(clean_images, clean_labels, clean_size, what="clean images"),
    }
    return streams.MemoryStreams(sources, seed=7, augmentation=augmentation or Augmentation(pad=1, flip=True))


NOISY, BOTH = {"given": Stream()}, {"given": Stream(), "clean": Stream(source="clean")}


def test_clean_batches_resume_at_any_step_and_leave_the_noisy_part_alone(noisy):
    split, _ = noisy
    made = streams_of(noisy, split.images[:20], split.labels[:20], 8)
    whole = collected(made.dataset(BOTH, 0, 6))
    assert_equal_batches(collected(made.dataset(BOTH, 4, 2)), whole[4:])
    for with_clean, without in zip(whole, collected(made.dataset(NOISY, 0, 6)), strict=True):
        for name in without:
            np.testing.assert_array_equal(with_clean[name], without[name])
        assert with_clean["clean_image"].shape == (8, 4, 4, 1)
    assert any(np.any(a["clean_label"] != b["clean_label"]) for a, b in itertools.pairwise(whole))


def test_every_clean_label_belongs_to_its_image(noisy):
    """With pixels that encode the position: no crop, no scaling, so the label can be read off."""
    images = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    supposed = (np.arange(20) * 3) % 7
    made = streams_of(noisy, images, supposed, 20, Augmentation(standardise="none"))
    (batch,) = collected(made.dataset(BOTH, 0, 1))
    position = np.rint(batch["clean_image"][:, 0, 0, 0] * 255).astype(int)
    assert sorted(position) == list(range(20))
    np.testing.assert_array_equal(batch["clean_label"], supposed[position])
    np.testing.assert_array_equal(batch["clean_index"], position)


def test_clean_samples_do_not_say_that_they_are_clean(noisy):
    split, _ = noisy
    batch = collected(streams_of(noisy, split.images[:20], split.labels[:20], 8).dataset(BOTH, 0, 1))[0]
    assert batch.keys() == {"image", "label", "index", "is_clean", "clean_image", "clean_label", "clean_index"}


def test_more_clean_samples_a_batch_than_there_are(noisy):
    split, _ = noisy
    with pytest.raises(ValueError, match="There are 5 clean images, fewer than the 8"):
        streams_of(noisy, split.images[:5], split.labels[:5], 8)


def test_balanced_batches_draw_every_class_alike():
    rng = np.random.default_rng(0)
    given = np.array([0] * 180 + [2] * 15 + [3] * 5, np.int32)
    images = rng.integers(0, 256, (N, 4, 4, 1), np.uint8)
    options = {"batch_size": 60, "seed": 1, "augmentation": Augmentation(), "balanced": True}
    drawn = collected(OneStream(images, given, np.ones(N, bool), **options).dataset(0, 50))
    counts = np.bincount(np.concatenate([batch["label"] for batch in drawn]), minlength=4)
    assert counts[1] == 0
    # 3,000 draws over three classes: 1,000 each, give or take five deviations of about 26.
    assert np.all(np.abs(counts[[0, 2, 3]] - 1000) < 130)
    index = np.concatenate([batch["index"] for batch in drawn])
    assert len(np.unique(index[index >= 180])) == 20
    for batch in drawn[:3]:
        np.testing.assert_array_equal(batch["label"], given[batch["index"]])
    (again,) = collected(OneStream(images, given, np.ones(N, bool), **options).dataset(7, 1))
    np.testing.assert_array_equal(again["index"], drawn[7]["index"])
