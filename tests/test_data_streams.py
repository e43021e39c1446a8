"""Streams over images in memory: what a batch holds, resuming, shards, and a run's batches as they always were."""

import zlib

import numpy as np
import pytest
import tensorflow as tf

from data.augmentation import AUGMENTATIONS, Augmentation
from data.streams import GIVEN, TRAINING, MemoryStreams, Source
from mentornet.stages import Stream
from tests.one_stream import UNTOUCHED, OneStream, assert_equal_batches, collected


def examples(n, height=6, width=6, channels=3):
    """Random images, labels and flags that all depend on the position."""
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)
    return images, (np.arange(n) * 7 % 10).astype(np.int32), np.arange(n) % 3 != 0


def batches_of(n, batch_size, *, augment=UNTOUCHED, **options):
    return OneStream(*examples(n), batch_size=batch_size, augmentation=augment, **options)


# Content


def test_batches_hold_what_belongs_to_their_index():
    images, labels, is_clean = examples(50)
    for batch in batches_of(50, 8, seed=1).dataset(0, 13).as_numpy_iterator():
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


def test_batches_of_a_source_that_does_not_know_which_labels_are_right_do_not_say_it():
    images, labels, _ = examples(50)
    (batch,) = collected(OneStream(images, labels, batch_size=8).dataset(0, 1))
    assert batch.keys() == {"image", "label", "index"}


def test_shapes_are_static():
    spec = batches_of(50, 8, augment=AUGMENTATIONS["cifar"]).dataset().element_spec
    assert spec["image"].shape == (8, 6, 6, 3)
    assert spec["label"].shape == spec["index"].shape == spec["is_clean"].shape == (8,)


def test_an_epoch_visits_every_image_once():
    source = batches_of(103, 10)
    assert source.steps_per_epoch == 10
    index = np.stack([batch["index"] for batch in source.dataset(0, 20).as_numpy_iterator()]).reshape(2, 100)
    assert all(len(set(epoch)) == 100 for epoch in index)
    assert np.any(index[0] != index[1])


def test_an_epoch_may_end_earlier():
    """In the codes of Co-teaching and S2E after 401 batches, whatever is left."""
    source, whole = batches_of(50, 8, most_steps=4), batches_of(50, 8)
    assert (source.steps_per_epoch, batches_of(50, 8, most_steps=9).steps_per_epoch) == (4, 6)
    expected = [batch["index"] for batch in whole.dataset(0, 12).as_numpy_iterator()]
    found = [batch["index"] for batch in source.dataset(0, 8).as_numpy_iterator()]
    np.testing.assert_array_equal(found, expected[:4] + expected[6:10])
    assert source.source.steps(Stream(size=2)) == 4
    assert source.source.steps(Stream(size=25)) == 2
    assert source.source.steps(Stream(np.arange(9), 3)) == 3


# Resuming


@pytest.mark.parametrize("start", [0, 5, 6, 17])  # 6 steps an epoch: at, before and after a boundary
def test_any_step_can_be_the_first(start):
    whole = collected(batches_of(50, 8, augment=AUGMENTATIONS["cifar"]).dataset(0, 20))
    # A new object, as after a restart; the endless stream goes on in the same way.
    resumed = batches_of(50, 8, augment=AUGMENTATIONS["cifar"])
    assert_equal_batches(whole[start:], collected(resumed.dataset(start, 20 - start)))
    assert_equal_batches(whole[start:], collected(resumed.dataset(start).take(20 - start)))
    # As on asynchronous workers, where only the graph knows.
    first = tf.data.Dataset.from_tensors(tf.constant(start, tf.int64))
    assert_equal_batches(whole[start : start + 1], collected(first.flat_map(lambda t: resumed.dataset(t).take(1))))


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


def test_runs_that_began_before_there_were_streams_go_on_with_the_same_batches():
    """Numbers of the classes that made batches then: of a run, of a balanced one, and of clean samples beside."""
    images, labels, is_clean = examples(50)
    augment = Augmentation(pad=2, flip=True, standardise="none")

    def seen(batch, stream=""):
        pixels = np.rint(batch[f"{stream}image"] * 255).astype(np.uint8)
        return batch[f"{stream}index"].tolist(), zlib.crc32(pixels.tobytes())

    sources = {
        TRAINING: Source(images, labels, 8, is_clean),
        "clean": Source(images[:20], labels[:20], 5, what="clean images"),
    }
    made = MemoryStreams(sources, seed=3, augmentation=augment)
    both = {GIVEN: Stream(), "clean": Stream(source="clean")}
    (first,), (eighth,) = (collected(made.dataset(both, step, 1)) for step in (0, 7))
    assert seen(first) == ([43, 48, 30, 33, 25, 31, 32, 3], 3376250275)
    assert seen(eighth) == ([16, 14, 23, 20, 7, 9, 29, 13], 790901885)
    assert eighth["clean_label"].tolist() == [2, 6, 5, 2, 3]
    assert seen(eighth, "clean_")[1] == 1356308500
    (balanced,) = collected(made.dataset({GIVEN: Stream(balanced=True)}, 7, 1))
    assert seen(balanced) == ([4, 19, 33, 10, 40, 30, 36, 33], 2913503142)


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
    with pytest.raises(ValueError, match="50 images, but label has the shape"):
        OneStream(images, labels[1:], is_clean, batch_size=8)
    with pytest.raises(ValueError, match="50 images, but is_clean has the shape"):
        OneStream(images, labels, is_clean[1:], batch_size=8)
    with pytest.raises(ValueError, match="uint8"):
        OneStream(images / 255, labels, is_clean, batch_size=8)
    with pytest.raises(ValueError, match="from step -1"):
        batches_of(50, 8).dataset(-1)


def test_streams_that_cannot_be_made():
    made = batches_of(50, 8).source
    with pytest.raises(ValueError, match="reads a stream of 'clean', but this data has only training"):
        made.dataset({GIVEN: Stream(source="clean")})
    with pytest.raises(ValueError, match="50 training images, fewer than the 51"):
        made.dataset({GIVEN: Stream(size=51)})
    with pytest.raises(ValueError, match="no training images"):
        made.dataset({GIVEN: Stream(np.zeros(50, bool))})
    with pytest.raises(ValueError, match=r"views=\('weak', 'wild'\): give at least one of weak, strong, simclr, none"):
        Stream(views=("weak", "wild"))
    with pytest.raises(ValueError, match="views="):
        Stream(views=())
    with pytest.raises(ValueError, match="size=0: a stream has at least one sample a step"):
        Stream(size=0)


def operations(dataset: tf.data.Dataset) -> set[str]:
    """Kinds of all operations in a data set's graph and in the functions it calls."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(dataset._as_serialized_graph().numpy())
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes}


def test_streams_run_as_one_graph():
    streams = {GIVEN: Stream(views=("weak", "strong", "none")), "other": Stream(balanced=True)}
    found = operations(batches_of(50, 8, augment=AUGMENTATIONS["cifar"]).source.dataset(streams))
    assert "RandomIndexShuffle" in found
    assert not {op for op in found if "PyFunc" in op}


def test_no_tuning_thread_that_an_iterator_would_wait_for():
    made = batches_of(50, 8)
    assert made.dataset().options().autotune.enabled is False
    assert made.source.dataset({GIVEN: Stream(), "other": Stream()}, 0, 3).options().autotune.enabled is False
