"""Streams as stages ask for them: views, values, positions, few samples, orders of a stage's own, several sources."""

import numpy as np
import pytest
import tensorflow as tf

from data import auto_augment, seeding
from data.augmentation import AUGMENTATIONS, Augmentation, standardised
from data.streams import GIVEN, TRAINING, MemoryStreams, Source
from mentornet.stages import Stream
from tests.one_stream import UNTOUCHED, assert_equal_batches, collected

N = 50
AUGMENT = Augmentation(pad=2, flip=True, standardise="none")
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 6, 6, 3), np.uint8)
LABELS = (np.arange(N) * 7 % 10).astype(np.int32)
CLEAN_IMAGES = np.random.default_rng(1).integers(0, 256, (20, 6, 6, 3), np.uint8)


def streams_of(augment=AUGMENT, **options) -> MemoryStreams:
    sources = {
        TRAINING: Source(IMAGES, LABELS, 8, np.arange(N) % 3 > 0),
        "clean": Source(CLEAN_IMAGES, np.arange(20) % 4, 4, what="clean images"),
    }
    return MemoryStreams(sources, seed=3, augmentation=augment, **options)


def batches(streams, start=0, steps=12, stage=None, **options):
    return collected(streams_of(**options).dataset(streams, start, steps, stage))


def part(found, stream):
    """What the batches have of one stream, by the names in the stream "given"."""
    return [{name.removeprefix(f"{stream}_"): batch[name] for name in batch if name.startswith(stream)}
            for batch in found]  # fmt: skip


# Views


def test_several_views_differ_and_are_the_same_again():
    stream = {GIVEN: Stream(views=("weak", "weak", "strong", "none"))}
    found = batches(stream)
    assert_equal_batches(found, batches(stream))
    assert streams_of().dataset(stream).element_spec["image"].shape == (8, 4, 6, 6, 3)
    for batch in found:
        views = np.moveaxis(batch["image"], 1, 0)
        for one in range(4):
            for other in range(one):
                assert (views[one] != views[other]).any(axis=(1, 2, 3)).mean() > 0.5
        np.testing.assert_allclose(views[3], IMAGES[batch["index"]] / 255, rtol=1e-6)


def test_a_view_is_what_it_is_whatever_stands_beside_it():
    """The first is that of a stream with one view; further ones and other streams change nothing."""
    alone = batches({GIVEN: Stream()})
    two = batches({GIVEN: Stream(views=("weak", "weak"))})
    more = batches({"x": Stream(size=3), GIVEN: Stream(views=("weak", "weak", "strong")), "clean": Stream(size=4)})
    for first, second, third in zip(alone, two, more, strict=True):
        np.testing.assert_array_equal(second["image"][:, 0], first["image"])
        np.testing.assert_array_equal(third["image"][:, :2], second["image"])
        for name in ("label", "index", "is_clean"):
            np.testing.assert_array_equal(second[name], first[name])
            np.testing.assert_array_equal(third[name], first[name])


@pytest.mark.parametrize("number", [0, 1])
def test_a_strong_view_is_the_policy_with_numbers_of_its_own(number):
    """Without crops: AutoAugment's policy under the key of that view, then standardised."""
    stream = {GIVEN: Stream(views=("none",) * number + ("strong",))}
    key = seeding.key(3, "pipeline/view 1/strong" if number else "pipeline/strong")
    for step, batch in enumerate(batches(stream, augment=Augmentation())):
        pixels = tf.constant(IMAGES[batch["index"]])
        strong = auto_augment.strong(pixels, key, tf.constant(step, tf.int64))
        found = batch["image"][:, number] if number else batch["image"]
        np.testing.assert_allclose(found, standardised(strong, "per_image"), atol=1e-6)


def test_strong_views_are_cropped_and_mirrored_first():
    """Images that the policy leaves alone are those of the weak view."""
    weak, strong = batches({GIVEN: Stream()}), batches({GIVEN: Stream(views=("strong",))})
    key = seeding.key(3, "pipeline/strong")
    unchanged = 0
    for step, (one, other) in enumerate(zip(weak, strong, strict=True)):
        drawn = auto_augment.draw(key, tf.constant(step, tf.int64), slice(0, 8))
        idle = (drawn.operations.numpy() == 0).all(axis=1)
        unchanged += idle.sum()
        np.testing.assert_allclose(other["image"][idle], one["image"][idle], atol=1e-6)
    assert unchanged >= 5


def test_shards_of_several_views_and_streams_are_slices_of_the_global_batch():
    streams = {
        "a": Stream(np.arange(9), 4, ("weak", "strong"), {"p": np.linspace(0, 1, N)}),
        "few": Stream(np.array([7, 30, 31]), 8, ("weak", "weak")),
        "b": Stream(size=6, balanced=True),
        "clean": Stream(size=2, source="clean"),
    }
    whole = batches(streams, 4, 3)
    shards = [batches(streams, 4, 3, shard=(worker, 2)) for worker in range(2)]
    joined = [{name: np.concatenate([one[name], other[name]]) for name in one}
              for one, other in zip(*shards, strict=True)]  # fmt: skip
    assert_equal_batches(joined, whole)


# Values and positions


def test_values_ride_along_with_their_samples():
    values = {"probability": np.linspace(0, 1, N), "target": np.eye(N, dtype=np.float32), "turn": np.arange(N)}
    for batch in batches({GIVEN: Stream(values=values), "other": Stream(np.arange(N) > 9, 5, values=values)}):
        for name, array in values.items():
            np.testing.assert_array_equal(batch[name], array[batch["index"]])
            np.testing.assert_array_equal(batch[f"other_{name}"], array[batch["other_index"]])
            assert batch[name].dtype == array.dtype


def test_a_mask_and_its_positions_choose_the_same_samples():
    mask = np.arange(N) % 3 == 1
    by_mask, by_position = (batches({GIVEN: Stream(chosen, 4)}) for chosen in (mask, np.flatnonzero(mask)))
    assert_equal_batches(by_mask, by_position)
    made = streams_of()
    assert made.steps(Stream(mask, 4)) == 17 // 4
    assert made.steps(Stream(mask)) == 17 // 8
    for epoch in np.stack([batch["index"] for batch in by_mask]).reshape(3, 16):
        assert len(set(epoch)) == 16
        assert mask[epoch].all()
    for batch in by_mask:
        np.testing.assert_array_equal(batch["label"], LABELS[batch["index"]])


def test_fewer_samples_than_a_batch_are_repeated():
    few = np.array([4, 17, 33])
    stream = Stream(few, 8, values={"own": np.arange(N) * 2})
    assert streams_of().steps(stream) == 1
    found = batches({GIVEN: stream})
    for batch in found:
        assert sorted(batch["index"][:3]) == sorted(batch["index"][3:6]) == [4, 17, 33]
        assert set(batch["index"][6:]) <= set(few)
        assert len(set(batch["index"][6:])) == 2
        np.testing.assert_array_equal(batch["label"], LABELS[batch["index"]])
        np.testing.assert_array_equal(batch["own"], 2 * batch["index"])
    assert_equal_batches(found[7:], batches({GIVEN: stream}, 7, 5))
    assert len({tuple(batch["index"]) for batch in found}) > 9
    for batch in batches({GIVEN: stream}, 0, 3, balanced=True):  # also where the run draws classes alike
        assert set(batch["index"]) <= set(few)
    for balanced in (False, True):  # but not all of a whole source
        with pytest.raises(ValueError, match="50 training images, fewer than the 60"):
            batches({GIVEN: Stream(size=60)}, balanced=balanced)


# Orders


def test_a_stage_s_own_order_is_a_permutation_unlike_any_other():
    stream = {GIVEN: Stream(np.arange(N) > 1, 8)}
    assert streams_of().steps(stream[GIVEN]) == 6
    passes = {stage: batches(stream, 0, 6, stage=stage) for stage in (None, 0, 1, 2)}
    orders = {stage: np.concatenate([batch["index"] for batch in found]) for stage, found in passes.items()}
    for order in orders.values():
        assert sorted(order) == list(range(2, N))
    for one in orders:
        for other in orders:
            if one != other:
                assert (orders[one] != orders[other]).mean() > 0.8
    for stage, found in passes.items():
        assert_equal_batches(found[4:], batches(stream, 4, 2, stage=stage))


def test_a_stage_of_its_own_has_crops_of_its_own():
    """Shown by images that are the same at every place of the order."""
    same = np.tile(IMAGES[:1], (8, 1, 1, 1))
    made = MemoryStreams({TRAINING: Source(same, np.zeros(8), 8)}, seed=3, augmentation=AUGMENT)
    stream = {GIVEN: Stream(views=("weak", "strong"))}
    of_run, first, second = (collected(made.dataset(stream, 0, 1, stage))[0]["image"] for stage in (None, 0, 1))
    for one, other in ((of_run, first), (of_run, second), (first, second)):
        for view in range(2):
            assert (one[:, view] != other[:, view]).any(axis=(1, 2, 3)).mean() > 0.5


def test_streams_of_one_source_have_orders_of_their_own():
    found = batches({GIVEN: Stream(), "first": Stream(), "second": Stream()}, 0, 6)
    orders = [np.concatenate([batch[f"{name}index"] for batch in found]) for name in ("", "first_", "second_")]
    for number, order in enumerate(orders):
        assert len(set(order)) == 48
        assert all((order != other).mean() > 0.8 for other in orders[:number])


def test_two_sources_stand_side_by_side_as_each_would_alone():
    both = batches({GIVEN: Stream(), "clean": Stream(source="clean")})
    assert_equal_batches(part(both, "clean"), part(batches({"clean": Stream(source="clean")}), "clean"))
    alone = batches({GIVEN: Stream()})
    assert_equal_batches([{name: batch[name] for name in alone[0]} for batch in both], alone)
    assert both[0].keys() - alone[0].keys() == {"clean_image", "clean_label", "clean_index"}
    for batch in batches({GIVEN: Stream(), "clean": Stream(source="clean")}, augment=UNTOUCHED):
        np.testing.assert_allclose(batch["clean_image"], CLEAN_IMAGES[batch["clean_index"]] / 255, rtol=1e-6)
        np.testing.assert_array_equal(batch["clean_label"], batch["clean_index"] % 4)
    np.testing.assert_array_equal(np.sort(np.concatenate([b["clean_index"] for b in both[:5]])), np.arange(20))


def test_balanced_streams_draw_classes_alike_among_their_samples():
    mask = (LABELS == 2) | ((LABELS == 5) & (np.arange(N) < 20)) | (LABELS == 0)
    sizes = np.bincount(LABELS[mask], minlength=10)[[0, 2, 5]]
    assert len(set(sizes)) > 1
    found = batches({GIVEN: Stream(mask, 8, balanced=True)}, 0, 150)
    index = np.concatenate([batch["index"] for batch in found])
    assert mask[index].all()
    counts = np.bincount(LABELS[index], minlength=10)  # 1,200 draws of three: 400 each, deviation 16.3
    assert np.abs(counts[[0, 2, 5]] - 400).max() < 5 * 16.4
    np.testing.assert_array_equal([batch["label"] for batch in found], LABELS[[batch["index"] for batch in found]])


def test_balanced_runs_balance_what_does_not_say_otherwise_and_is_no_clean_set():
    streams = {GIVEN: Stream(), "all": Stream(balanced=False), "clean": Stream(source="clean")}
    balanced, plain = batches(streams, 0, 4, balanced=True), batches(streams, 0, 4)
    assert len(set(np.concatenate([batch["index"] for batch in balanced]))) < 32  # with repetitions
    for stream in ("all", "clean"):
        assert_equal_batches(part(balanced, stream), part(plain, stream))
    assert_equal_batches(
        part(batches({"given": Stream(balanced=True)}, 0, 4), ""),
        part(batches({"given": Stream()}, 0, 4, balanced=True), ""),
    )


def test_epochs_of_every_stream_end_early():
    made = streams_of(most_steps=3)
    assert [made.steps(stream) for stream in (Stream(), Stream(size=25), Stream(source="clean"))] == [3, 2, 3]
    streams = {GIVEN: Stream(), "clean": Stream(source="clean")}
    short, whole = batches(streams, most_steps=3), batches(streams)
    np.testing.assert_array_equal([b["index"] for b in short[3:6]], [b["index"] for b in whole[6:9]])
    np.testing.assert_array_equal([b["clean_index"] for b in short[3:6]], [b["clean_index"] for b in whole[5:8]])


def test_views_are_standardised_as_the_augmentation_says():
    for name in ("cifar", "l2rw"):
        augment = AUGMENTATIONS[name]
        for batch in batches({GIVEN: Stream(views=("none",))}, 0, 2, augment=augment):
            expected = standardised(tf.constant(IMAGES[batch["index"]]), augment.standardise)
            np.testing.assert_allclose(batch["image"], expected, atol=1e-6)
