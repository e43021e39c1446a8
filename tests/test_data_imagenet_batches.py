"""Streamed batches: order, resuming, sharing between workers, and images that cannot be read."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from data.imagenet import batches, unreadable
from data.imagenet.batches import evaluation_batches
from data.imagenet.preprocessing import Preprocessing
from data.imagenet.unreadable import TooManyUnreadable, UnreadableLog
from data.order import EpochOrder
from data.streams import GIVEN, TRAINING, Source
from mentornet.stages import Stream
from scripts import make_fake_imagenet as fake
from tests.images_on_disk import MADE, SIZE, arrays, damage, same, shown, streamed, streams_of, train_set

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("layout", ["list", "slim"])
def test_batches_follow_the_order_and_start_anywhere(layout, tmp_path):
    index = train_set(layout, tmp_path)
    source = streamed(index, UnreadableLog(tmp_path / "log", 0), preprocessing=Preprocessing(SIZE, distort=False))
    found = arrays(source.dataset(0, 7))
    order = EpochOrder(20, 4, 5)
    for step, batch in enumerate(found):
        expected = order.indices(tf.constant(step, tf.int64)).numpy()
        assert batch["index"].tolist() == expected.tolist()
        assert batch["label"].tolist() == index.labels[expected].tolist()
        assert batch["is_clean"].tolist() == (expected % 3 > 0).tolist()
        for position, image in zip(expected, batch["image"], strict=True):
            assert np.array_equal(image, shown(index, int(position)))
    assert {int(i) for batch in found[:5] for i in batch["index"]} == set(range(20))  # an epoch visits each once
    distorted = streamed(index, UnreadableLog(tmp_path / "log", 0))
    whole = arrays(distorted.dataset(0, 7))
    assert same(whole[5:], arrays(distorted.dataset(5, 2)))
    assert same(whole[:2], arrays(distorted.dataset().take(2)))
    assert not np.array_equal(whole[0]["image"], found[0]["image"])
    assert not (tmp_path / "log").exists()


def test_workers_share_the_global_batch(tmp_path):
    index, log = train_set("list", tmp_path), UnreadableLog(tmp_path / "log")
    whole = arrays(streamed(index, log).dataset(1, 2))
    parts = [arrays(streamed(index, log, shard=(worker, 2)).dataset(1, 2)) for worker in range(2)]
    joined = [{name: np.concatenate([a[name], b[name]]) for name in a} for a, b in zip(*parts, strict=True)]
    assert same(whole, joined)


def test_batches_larger_than_a_chunk_are_put_together(tmp_path, monkeypatch):
    index, log = train_set("list", tmp_path), UnreadableLog(tmp_path / "log")
    whole = streamed(index, log, batch_size=12).dataset(0, 3)
    tested = evaluation_batches(index, index.labels, 12, SIZE, log)
    expected = arrays(whole), arrays(tested)
    monkeypatch.setattr(batches, "_CHUNK", 5)  # 4 is the largest divisor of 12
    parts = streamed(index, log, batch_size=12).dataset(0, 3)
    assert parts.element_spec["image"].shape == whole.element_spec["image"].shape == (12, SIZE, SIZE, 3)
    assert same(expected[0], arrays(parts))
    assert same(expected[1], arrays(evaluation_batches(index, index.labels, 12, SIZE, log)))
    assert [len(batch["label"]) for batch in expected[1]] == [12, 8]


def test_workers_replace_what_one_device_replaces(tmp_path):
    index = train_set("list", tmp_path)
    damage(index)
    whole = arrays(streamed(index, UnreadableLog(tmp_path / "log")).dataset(0, 5))
    for worker in range(2):
        part = arrays(streamed(index, UnreadableLog(tmp_path / "log"), shard=(worker, 2)).dataset(0, 5))
        rows = slice(2 * worker, 2 * worker + 2)
        assert same(part, [{name: values[rows] for name, values in batch.items()} for batch in whole])


def test_an_order_that_begins_where_only_the_graph_knows(tmp_path):
    source = streamed(train_set("list", tmp_path), UnreadableLog())
    first = tf.data.Dataset.from_tensors(tf.constant(3, tf.int64)).flat_map(lambda step: source.dataset(step).take(1))
    assert same(arrays(first), arrays(source.dataset(3, 1)))


def test_unreadable_images_are_replaced_named_and_counted(tmp_path, caplog):
    index = train_set("list", tmp_path)
    paths = damage(index)
    log = UnreadableLog(tmp_path / "unreadable.txt", limit=4)
    source = streamed(index, log)
    found = arrays(source.dataset(0, 10))  # two epochs
    positions = np.concatenate([batch["index"] for batch in found])
    assert positions.shape == (40,)  # batches stay full
    assert not set(positions) & {3, 5, 9, 12}
    wanted = np.concatenate([EpochOrder(20, 4, 5).indices(tf.constant(step, tf.int64)) for step in range(10)])
    for batch, wish in zip(found, wanted.reshape(10, 4), strict=True):
        intact = ~np.isin(wish, [3, 5, 9, 12])
        assert batch["index"][intact].tolist() == wish[intact].tolist()  # the others are replaced in their place
        assert batch["label"].tolist() == index.labels[batch["index"]].tolist()
    assert same(found[6:], arrays(source.dataset(6, 4)))  # replacements are the same after a restart
    with caplog.at_level("WARNING", logger="absl"):
        log.check()
        log.check()
    assert set(log.names) == {str(path) for path in paths.values()}
    named = [record.getMessage() for record in caplog.records]
    assert sorted(named) == sorted(f"Unreadable image, replaced: {path}" for path in paths.values())


def test_more_than_the_limit_end_the_run(tmp_path):
    index = train_set("list", tmp_path)
    damage(index)
    log = UnreadableLog(tmp_path / "unreadable.txt", limit=3)
    arrays(streamed(index, log).dataset(0, 5))
    with pytest.raises(TooManyUnreadable, match=r"4 images cannot be read, more than the 3 that --max_unreadable"):
        log.check()
    again = UnreadableLog(tmp_path / "unreadable.txt", limit=3)  # a restart remembers
    with pytest.raises(TooManyUnreadable):
        again.check()
    with pytest.raises(ValueError, match="at least 0"):
        UnreadableLog(None, -1)


def test_a_folder_that_went_away_is_an_error(tmp_path):
    index = train_set("list", tmp_path)
    for position in range(20):
        index.path(position).unlink()
    with pytest.raises(tf.errors.InvalidArgumentError, match="is the folder with the images still there"):
        arrays(streamed(index, UnreadableLog(tmp_path / "log")).dataset(0, 1))


def test_evaluation_is_in_order_and_shows_grey_for_the_unreadable(tmp_path):
    index = train_set("list", tmp_path)
    damage(index)
    log = UnreadableLog(tmp_path / "log", limit=4)
    made = evaluation_batches(index, index.labels, 8, SIZE, log)
    assert int(made.cardinality()) == 3
    found = arrays(made)
    assert [len(batch["label"]) for batch in found] == [8, 8, 4]
    assert np.concatenate([batch["index"] for batch in found]).tolist() == list(range(20))
    assert np.concatenate([batch["label"] for batch in found]).tolist() == index.labels.tolist()
    images = np.concatenate([batch["image"] for batch in found])
    assert {int(i) for i in np.flatnonzero((images == 0.0).all(axis=(1, 2, 3)))} == {3, 5, 9, 12}
    assert np.array_equal(images[1], shown(index, 1))
    log.check()
    assert len(log.names) == 4


def test_a_record_file_that_went_away_is_an_error_and_no_endless_wait(tmp_path):
    index = train_set("slim", tmp_path)
    source = streamed(index, UnreadableLog(tmp_path / "log")).dataset(0, 1)
    for position in (0, 19):
        index.path(position).unlink()
    with pytest.raises(tf.errors.OpError):
        arrays(source)


def test_a_damaged_image_inside_a_record_file(tmp_path):
    index = train_set("slim", tmp_path)
    with index.path(4).open("r+b") as stream:
        stream.seek(int(index.offset[4]) + 20)
        stream.write(b"\0" * 600)
    log = UnreadableLog(tmp_path / "log")
    found = arrays(streamed(index, log).dataset(0, 5))
    assert 4 not in np.concatenate([batch["index"] for batch in found])
    log.check()
    assert log.names == (f"{index.path(4)} at byte {index.offset[4]}",)


def test_thumbnails_for_reports(tmp_path):
    index = train_set("list", tmp_path)
    damage(index)
    shown = index.pictures([0, 3, 12])
    assert (shown.shape, shown.dtype) == ((3, 96, 96, 3), np.uint8)
    assert shown[0].std() > 0
    assert (shown[1:] == 128).all()


def test_wrong_arguments_are_refused(tmp_path):
    index = train_set("list", tmp_path)
    with pytest.raises(ValueError, match="There are 20 training images, fewer than the 21 of one batch"):
        streamed(index, UnreadableLog(), batch_size=21)
    with pytest.raises(ValueError, match="cannot be shared equally by 3"):
        streamed(index, UnreadableLog(), shard=(0, 3))
    log, how = UnreadableLog(), Preprocessing(SIZE)
    for labels, is_clean, name in (
        (index.labels[:19], np.ones(20, bool), "label"),
        (index.labels, np.ones(19, bool), "is_clean"),
    ):
        with pytest.raises(ValueError, match=rf"There are 20 images, but {name} has the shape \(19,\)"):
            batches.DiskStreams(
                {TRAINING: Source(index, labels, 4, is_clean)}, seed=0, preprocessing=how, unreadable=log
            )
    made = streams_of({TRAINING: index}, log)
    with pytest.raises(ValueError, match="from step -1"):
        made.dataset({GIVEN: Stream()}, -1, 3)
    with pytest.raises(
        ValueError, match="Views of kind strong exist for images in memory, not for those read from the disk"
    ):
        made.dataset({GIVEN: Stream(views=("weak", "strong"))})
    with pytest.raises(ValueError, match="batch size is 0"):
        evaluation_batches(index, index.labels, 0, SIZE, UnreadableLog())
    assert unreadable.DEFAULT_LIMIT == 1000


PARALLEL = """
import sys
import numpy as np, tensorflow as tf
from pathlib import Path
from data.imagenet import sources
from data.imagenet.batches import DiskStreams, evaluation_batches
from data.imagenet.preprocessing import Preprocessing
from data.imagenet.unreadable import UnreadableLog
from data.streams import Source
from mentornet.stages import Stream
tf.config.experimental.enable_op_determinism()
log = UnreadableLog(Path(sys.argv[2]) / "log")
for name in ("imagenet", "list"):
    index = sources.load(name, Path(sys.argv[1]) / name, index_dir=sys.argv[2]).train
    source = DiskStreams({"training": Source(index, index.labels, 4)}, seed=0, preprocessing=Preprocessing(12),
                         unreadable=log)
    several = {"given": Stream(), "few": Stream(np.array([3, 5]), 4, ("weak", "none"), {"p": np.ones(len(index))})}
    for streams in ({"given": Stream()}, several):
        assert len(list(source.dataset(streams, 0, 3))) == 3
    assert len(list(evaluation_batches(index, index.labels, 8, 12, log))) == 3
"""


def test_deterministic_mode_keeps_the_parallelism(tmp_path):
    """TensorFlow's optimiser says on stderr which data sets it makes sequential; it must not touch these."""
    fake.write_slim(tmp_path / "imagenet", MADE)
    fake.write_list(tmp_path / "list", MADE)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "make_deterministic=5"}
    done = subprocess.run(
        [sys.executable, "-c", PARALLEL, str(tmp_path), str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Rewriting node" not in done.stderr
