"""The index of TFRecord files against TensorFlow's own reader, and what damaged or foreign files are told."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from data.imagenet import records
from data.imagenet.records import SLIM_KEYS, TFDS_KEYS, RecordKeys


def feature(value) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value, value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def write(path: Path, examples: list[dict]) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {name: feature(value) for name, value in example.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return path


def slim(number: int, label: int) -> dict:
    """Sizes on both sides of the lengths at which the wire format takes another byte (128 and 16,384)."""
    size = (0, 1, 127, 128, 5000, 16_384, 70_000)[number % 7]
    return {
        "image/class/label": label,
        "image/class/synset": b"n%08d" % label,
        "image/class/text": b"name %d" % label,
        "image/object/bbox/xmin": 0.5,
        "image/height": 2**40 + number,
        "image/encoded": np.random.default_rng(number).bytes(size),
    }


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("shards")
    first = write(folder / "a", [slim(n, 1 + n % 3) for n in range(9)])
    empty = write(folder / "b", [])
    return [first, empty, write(folder / "c", [slim(n, 300 + n) for n in range(9, 13)])]


def test_every_image_is_where_the_index_says(shards, tmp_path):
    index = records.index_of(shards, SLIM_KEYS, tmp_path)
    expected = []
    for number, path in enumerate(shards):
        for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            values = tf.train.Example.FromString(raw).features.feature
            label = values["image/class/label"].int64_list.value[0]
            expected.append((number, label, values["image/encoded"].bytes_list.value[0]))
    assert index.file.tolist() == [number for number, _, _ in expected]
    assert index.label.tolist() == [label for _, label, _ in expected]
    for (number, _, image), offset, length in zip(expected, index.offset, index.length, strict=True):
        assert shards[number].read_bytes()[offset : offset + length] == image
    assert index.class_ids == {label: f"n{label:08d}" for _, label, _ in expected}
    assert index.class_names[301 + 9 - 1] == "name 309"


def test_negative_labels_and_other_names(tmp_path):
    path = write(tmp_path / "x", [{"image": b"abc", "label": -1, "file_name": b"f"}, {"label": 2**62, "image": b""}])
    index = records.index_of([path], TFDS_KEYS, tmp_path)
    assert index.label.tolist() == [-1, 2**62]
    assert index.length.tolist() == [3, 0]
    assert index.class_ids == {}


def test_unpacked_integers_are_read_too(tmp_path):
    """Other writers than TensorFlow's put a tag before each integer of a list."""
    integers = b"\x08\x05\x08\x06"  # field 1, varint 5; field 1, varint 6

    def part(field: int, payload: bytes) -> bytes:
        return bytes([field << 3 | 2, len(payload)]) + payload

    entries = [
        part(1, part(1, b"label") + part(2, part(3, integers))),
        part(1, part(1, b"image") + part(2, part(1, part(1, b"jpeg")))),
    ]
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(part(1, b"".join(entries)))
    index = records.index_of([tmp_path / "x"], TFDS_KEYS, tmp_path)
    assert (index.label.tolist(), index.length.tolist()) == ([5], [4])


def test_the_index_is_made_once_and_again_when_a_file_changes(shards, tmp_path, monkeypatch):
    first = records.index_of(shards[:1], SLIM_KEYS, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1

    def forbidden(*_):
        raise AssertionError("the files were read again")

    with monkeypatch.context() as patched:
        patched.setattr(records, "_scan", forbidden)
        again = records.index_of(shards[:1], SLIM_KEYS, tmp_path)
        assert again.offset.tolist() == first.offset.tolist()
        assert again.class_names == first.class_names
        with pytest.raises(AssertionError, match="read again"):
            records.index_of(shards[2:], SLIM_KEYS, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"damaged")
    assert records.index_of(shards[:1], SLIM_KEYS, tmp_path).offset.tolist() == first.offset.tolist()


def test_a_folder_that_cannot_be_written_keeps_nothing(shards, tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert len(records.index_of(shards[:1], SLIM_KEYS, tmp_path / "file" / "x").label) == 9


def test_a_truncated_file_is_named(shards, tmp_path):
    path = tmp_path / "short"
    path.write_bytes(shards[0].read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"short is truncated, or no TFRecord file; copy it again"):
        records.index_of([path], SLIM_KEYS, tmp_path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 40)
    with pytest.raises(ValueError, match=r"short is truncated, or no TFRecord file"):
        records.index_of([path], SLIM_KEYS, tmp_path)


def test_records_without_the_features_are_refused(shards, tmp_path):
    keys = RecordKeys("image/encoded", "no/such/label")
    with pytest.raises(ValueError, match=r"Record 0 of .*a is no tf.train.Example with .*'no/such/label'"):
        records.index_of(shards[:1], keys, tmp_path)
    with tf.io.TFRecordWriter(str(tmp_path / "text")) as writer:
        writer.write(b"any other text than an example")
    with pytest.raises(ValueError, match=r"Record 0 of .*text is no tf.train.Example"):
        records.index_of([tmp_path / "text"], SLIM_KEYS, tmp_path)
    with pytest.raises(ValueError, match="hold no records"):
        records.index_of(shards[1:2], SLIM_KEYS, tmp_path)
