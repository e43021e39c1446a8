"""Streams over images on the disk as stages ask for them, with the orders of those in memory as the yardstick."""

import numpy as np
import pytest

from data.imagenet.preprocessing import Preprocessing
from data.imagenet.unreadable import UnreadableLog
from data.streams import GIVEN, TRAINING, MemoryStreams, Source
from mentornet.stages import Stream
from tests.images_on_disk import arrays, damage, same, shown, streams_of, train_set
from tests.one_stream import UNTOUCHED, collected

UNSEEN = {3, 5, 9, 12}


@pytest.fixture(params=["list", "slim"])
def index(request, tmp_path):
    return train_set(request.param, tmp_path)


@pytest.fixture
def files(tmp_path):
    return train_set("list", tmp_path)


def batches(index, streams, start=0, steps=6, stage=None, **options):
    images = {TRAINING: index, "clean": index.take(range(0, 20, 2))}
    return arrays(streams_of(images, UnreadableLog(), **options).dataset(streams, start, steps, stage))


def test_all_streams_have_the_orders_of_images_in_memory(files):
    """Positions as mask and as indices, few samples, values, a second source, balanced classes, early ends, stages."""
    value = {"p": np.linspace(0, 1, 20)}
    streams = {
        GIVEN: Stream(),
        "mask": Stream(np.arange(20) % 2 == 1, 3, values=value),
        "few": Stream(np.array([7, 2, 19]), 8, values=value),
        "balanced": Stream(np.arange(11), 6, balanced=True),
        "clean": Stream(source="clean", size=5),
    }
    images = {TRAINING: files, "clean": files.take(range(0, 20, 2))}
    blank = {
        name: Source(np.zeros((len(of), 1, 1, 1), np.uint8), of.labels, 4, np.arange(20) % 3 > 0 if name == TRAINING
                     else None)
        for name, of in images.items()
    }  # fmt: skip
    for options, stage in (({}, None), ({"most_steps": 2}, 0), ({"balanced": True}, 3)):
        memory = MemoryStreams(blank, seed=5, augmentation=UNTOUCHED, **options)
        disk = streams_of(images, UnreadableLog(), preprocessing=Preprocessing(12, distort=False), **options)
        assert [disk.steps(stream) for stream in streams.values()] == [memory.steps(s) for s in streams.values()]
        found, expected = (collected(made.dataset(streams, 1, 6, stage)) for made in (disk, memory))
        for one, other in zip(found, expected, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                if not name.endswith("image"):
                    np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_images_are_those_of_their_positions(index):
    streams = {
        "mask": Stream(np.arange(20) % 2 == 1, 3),
        "few": Stream(np.array([7, 2, 19]), 5, ("none", "none")),
        "clean": Stream(source="clean"),
    }
    for batch in batches(index, streams, steps=3, preprocessing=Preprocessing(12, distort=False)):
        for position, image in zip(batch["mask_index"], batch["mask_image"], strict=True):
            np.testing.assert_array_equal(image, shown(index, int(position)))
        for position, image in zip(batch["few_index"], batch["few_image"], strict=True):
            np.testing.assert_array_equal(image, [shown(index, int(position))] * 2)
        for position, image in zip(batch["clean_index"], batch["clean_image"], strict=True):
            np.testing.assert_array_equal(image, shown(index, 2 * int(position)))


def test_several_views_differ_are_the_same_again_and_depend_on_nothing_else(index):
    alone, two = batches(index, {GIVEN: Stream()}), batches(index, {GIVEN: Stream(views=("weak", "weak", "none"))})
    more = batches(index, {"x": Stream(size=3), GIVEN: Stream(views=("weak", "weak", "none")), "clean": Stream()})
    assert same(two, batches(index, {GIVEN: Stream(views=("weak", "weak", "none"))}))
    for first, second, third in zip(alone, two, more, strict=True):
        assert second["image"].shape == (4, 3, 12, 12, 3)
        np.testing.assert_array_equal(second["image"][:, 0], first["image"])
        np.testing.assert_array_equal(third["image"], second["image"])
        np.testing.assert_array_equal(third["index"], first["index"])
        views = np.moveaxis(second["image"], 1, 0)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert (views[one] != views[other]).any(axis=(1, 2, 3)).all()
        np.testing.assert_array_equal(views[2], [shown(index, int(position)) for position in second["index"]])


def test_stages_and_streams_have_distortions_of_their_own(files):
    found = [batches(files, {GIVEN: Stream(np.array([4]), 2)}, steps=1, stage=stage)[0] for stage in (None, 0, 1)]
    found.append({"image": batches(files, {"other": Stream(np.array([4]), 2)}, steps=1)[0]["other_image"]})
    images = [batch["image"] for batch in found]
    for number, image in enumerate(images):
        assert np.any(image[0] != image[1])  # each time it is shown
        assert all(np.any(image != other) for other in images[:number])


def test_any_step_can_be_the_first_and_workers_share_every_stream(files):
    streams = {
        "few": Stream(np.array([7, 2, 19]), 8, ("weak", "none"), {"p": np.linspace(0, 1, 20)}),
        "clean": Stream(source="clean", balanced=True),
    }
    whole = batches(files, streams, 0, 5, stage=2)
    assert same(batches(files, streams, 3, 2, stage=2), whole[3:])
    parts = [batches(files, streams, 0, 5, stage=2, shard=(worker, 2)) for worker in range(2)]
    joined = [{name: np.concatenate([a[name], b[name]]) for name in a} for a, b in zip(*parts, strict=True)]
    assert same(joined, whole)


def test_all_views_of_an_image_that_is_gone_show_the_same_other_one_of_the_stream(files):
    chosen = np.array([1, 3, 5, 9, 12, 14])
    damage(files)
    stream = {"few": Stream(chosen, 4, ("weak", "none"), {"p": np.arange(20)})}
    found = batches(files, stream)
    for batch in found:
        assert set(batch["few_index"]) <= {1, 14}
        np.testing.assert_array_equal(batch["few_label"], files.labels[batch["few_index"]])
        np.testing.assert_array_equal(batch["few_p"], batch["few_index"])
        for position, views in zip(batch["few_index"], batch["few_image"], strict=True):
            np.testing.assert_array_equal(views[1], shown(files, int(position)))
    assert {int(i) for batch in found for i in batch["few_index"]} == {1, 14}
    assert same(batches(files, stream, 4, 2), found[4:])


def test_further_views_change_nothing_of_what_takes_the_place_of_what_is_gone(files):
    damage(files)
    everything = batches(files, {GIVEN: Stream(views=("none", "weak"))}, steps=5)
    assert not {int(i) for batch in everything for i in batch["index"]} & UNSEEN
    one_view = batches(files, {GIVEN: Stream()}, steps=5)
    for one, two in zip(one_view, everything, strict=True):
        np.testing.assert_array_equal(one["index"], two["index"])
