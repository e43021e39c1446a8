"""What images may ask for: their size in pixels, where a list may say they are; evaluations without any."""

import csv
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data import folder, limits
from data.imagenet import batches, listing, places
from data.imagenet.preprocessing import Preprocessing, preprocessed
from data.imagenet.unreadable import UnreadableLog
from mentornet.training import evaluation
from tests import script_runs

RNG = np.random.default_rng(0)


def save(path: Path, kind: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (24, 30, 3), np.uint8)).save(path, kind)
    return path


def png(width: int, height: int) -> bytes:
    """A PNG that says it has this size, and holds a byte."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def bombs(tmp_path: Path, width: int, height: int) -> dict[str, bytes]:
    """Small files of all kinds whose heads say that they have this size."""
    jpeg = bytearray(save(tmp_path / "a.jpg").read_bytes())
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", height, width)
    bmp = bytearray(save(tmp_path / "a.bmp").read_bytes())
    bmp[18:26] = struct.pack("<ii", width, height)
    gif = bytearray(save(tmp_path / "a.gif").read_bytes())
    gif[6:10] = struct.pack("<HH", width, height)
    return {"jpeg": bytes(jpeg), "png": png(width, height), "bmp": bytes(bmp), "gif": bytes(gif)}


@pytest.mark.parametrize("side", [12_000, 30_000])
@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "gif"])
def test_a_bomb_is_refused_in_a_folder(tmp_path, kind, side):
    for part in ("train", "test"):
        for name in "ab":
            save(tmp_path / "data" / part / name / "1.png")
    (tmp_path / "data/train/a/bomb.png").write_bytes(bombs(tmp_path, side, side)[kind])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=r"bomb.png \(it has .*120,000,000") as error:
            folder.load(tmp_path / "data", 8)
    assert not [each for each in warned if issubclass(each.category, Image.DecompressionBombWarning)]
    assert str(error.value).count("120,000,000") == 1


def test_a_bomb_is_not_decoded_from_the_disk(tmp_path, monkeypatch):
    """The decoder is not given an image beyond the limit; smaller ones of every kind are what they were."""

    def decode(data: bytes) -> tf.Tensor:
        return preprocessed(tf.constant([data]), Preprocessing(8, distort=False), tf.zeros([1, 2], tf.int64))

    for content in bombs(tmp_path, 12_000, 12_000).values():
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(content)
    for kind in ("jpg", "png", "bmp", "gif"):
        assert decode(save(tmp_path / f"b.{kind}").read_bytes()).shape == (1, 8, 8, 3)
    files = [save(tmp_path / f"c.{kind}").read_bytes() for kind in ("jpg", "png", "bmp", "gif")]
    monkeypatch.setattr("data.imagenet.preprocessing.MOST_PIXELS", 24 * 30 - 1)
    for content in files:  # so the limit is what refuses, not the damage
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(content)
    monkeypatch.setattr("data.imagenet.preprocessing.MOST_PIXELS", 24 * 30)
    for content in files:
        decode(content)


def write_list(root: Path, files: list[str], part: str = "train") -> None:
    with open(root / f"{part}.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([["path", "label"], *([name, k % 2] for k, name in enumerate(files))])


class TestPlaces:
    @pytest.fixture
    def root(self, tmp_path) -> Path:
        for k in range(4):
            save(tmp_path / "data/images" / f"{k}.png")
        save(tmp_path / "private" / "secret.png")
        self.files = [f"images/{k}.png" for k in range(4)]
        write_list(tmp_path / "data", self.files, "test")
        return tmp_path / "data"

    def refused(self, root: Path, name: str, **settings: bool) -> str:
        write_list(root, [*self.files, name])
        with pytest.raises(ValueError, match="1 images ") as error:
            places.check(listing.load_list(root).train, **settings)
        assert "\n" not in str(error.value)
        return str(error.value)

    def test_paths_that_lead_out(self, root):
        (root / "link.png").symlink_to(root.parent / "private/secret.png")
        (root / "folder").symlink_to(root.parent / "private")
        inside = "images/../images/0.png"
        for name in ("../private/secret.png", str(root.parent / "private/secret.png"), "link.png", "folder/secret.png"):
            assert "--files_outside_data_dir" in self.refused(root, name)
            write_list(root, [*self.files, name])
            places.check(listing.load_list(root).train, outside=True)
        (root / "inside.png").symlink_to(root / "images/0.png")
        write_list(root, [*self.files, inside, "inside.png", "images/not there.png"])
        places.check(listing.load_list(root).train)

    def test_devices_and_pipes(self, root):
        os.mkfifo(root / "pipe.png")
        (root / "zero.png").symlink_to("/dev/zero")
        for outside in (False, True):
            assert "no regular files" in self.refused(root, "pipe.png", outside=outside)
            assert "no regular files" in self.refused(root, "zero.png", outside=outside)
        assert "outside" in self.refused(root, "/dev/zero")
        assert "no regular files" in self.refused(root, "/dev/zero", outside=True)

    def test_a_file_that_is_too_large(self, root):
        with open(root / "large.png", "wb") as stream:
            stream.truncate(limits.LARGEST_FILE + 1)
        assert "more than 134,217,728 bytes" in self.refused(root, "large.png")


def test_an_evaluation_says_on_how_many_images_it_is_based(tmp_path):
    for k in range(4):
        save(tmp_path / "images" / f"{k}.png")
    (tmp_path / "images/1.png").write_bytes(b"no image")
    write_list(tmp_path, [f"images/{k}.png" for k in range(4)])
    write_list(tmp_path, [f"images/{k}.png" for k in range(4)], "test")
    index = listing.load_list(tmp_path).test
    log = UnreadableLog(tmp_path / "log.txt")

    def student(image, training):
        return tf.one_hot(tf.zeros(tf.shape(image)[0], tf.int32), 6)

    found = evaluation.sample_outputs(student, batches.evaluation_batches(index, index.labels, 3, 8, log, marked=True))
    assert found.unreadable == 1
    log.check()
    assert places.unreadable_among(index, log.names) == 1
    for k in range(4):
        (tmp_path / "images" / f"{k}.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="none of the 4 images can be read"):
        evaluation.sample_outputs(student, batches.evaluation_batches(index, index.labels, 3, 8, log, marked=True))


@pytest.mark.slow
@pytest.mark.parametrize(("part", "message"), [("train", "16 images in a row cannot"), ("test", "None of the 4")])
def test_a_run_of_which_nothing_can_be_read_is_one_sentence(tmp_path, part, message):
    for which in ("train", "test"):
        for k in range(4):
            save(tmp_path / which / f"{k}.png")
        write_list(tmp_path, [f"{which}/{k}.png" for k in range(4)], which)
    for file in (tmp_path / part).iterdir():
        file.write_bytes(b"no image")
    done = script_runs.run(
        "train_imagenet.py", "--dataset_name=list", f"--data_dir={tmp_path}", "--method=standard", "--batch_size=4",
        "--studentnet=s2e_mlp", "--image_size=8", "--max_number_of_steps=2", "--eval_every_steps=1",
        "--noshow_progress", f"--train_log_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert message in done.stderr
    assert "Graph execution" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run/result.json").exists()
