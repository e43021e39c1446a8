"""Writes small generated image sets in the layouts of the large data sets, to try train_imagenet.py without them.

    python scripts/make_fake_imagenet.py --layout=webvision --output_dir=fake/webvision
    python scripts/make_fake_imagenet.py --layout=slim --output_dir=fake/imagenet

Layouts: slim and tfds (ImageNet as TFRecords), folders (ImageNet as folders), webvision, clothing1m, isic2019, list. A
picture of class c is c's own colour pattern with another colour and noise of its own, so that a small student can learn
the classes. In the layouts webvision and clothing1m a share of the training images shows another class than its label
says, as in the real ones. clothing1m and isic2019 always have 14 and 8 classes, and unequally many images of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mentornet import quiet

LAYOUTS = ("slim", "tfds", "folders", "webvision", "clothing1m", "isic2019", "list")
CLASSES = {"clothing1m": 14, "isic2019": 8}  # whatever is asked for
QUERIES_PER_CLASS = 2
_GRID = 4


@dataclass(frozen=True)
class Made:
    """What is generated: numbers of classes and images, sides in pixels, share of wrong web labels, seed."""

    classes: int = 4
    train: int = 64
    test: int = 16
    width: int = 120
    height: int = 100
    wrong: float = 0.3
    shards: int = 2
    seed: int = 0


def wordnet_id(label: int) -> str:
    """An id in the style of ImageNet's, ascending with the label."""
    return f"n{1_440_764 + 1000 * label:08d}"


def class_name(label: int) -> str:
    """A readable name of a generated class."""
    return f"pattern {label}"


def jpeg(label: int, number: int, made: Made, split: str) -> bytes:
    """A picture of a class: its pattern of 4x4 fields, with one image's own brightness and noise, as JPEG."""
    pattern = np.random.default_rng([made.seed, 1, label]).integers(40, 216, (_GRID, _GRID, 3))
    own = np.random.default_rng([made.seed, {"train": 2, "clean": 6}.get(split, 3), number])
    fields = Image.fromarray(pattern.astype(np.uint8)).resize((made.width, made.height), Image.Resampling.BICUBIC)
    pixels = np.asarray(fields, np.float64) + own.normal(0, 20, 3) + own.normal(0, 8, (made.height, made.width, 3))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def labels_of(made: Made, split: str) -> npt.NDArray[np.int64]:
    """One label an image, all classes equally often, in random order."""
    count = made.train if split == "train" else made.test
    return np.random.default_rng([made.seed, 4, count]).permutation(np.arange(count) % made.classes)


def write_slim(folder: Path, made: Made) -> None:
    """train-?????-of-????? and validation-?????-of-?????, as slim's build_imagenet_data makes them."""
    for split in ("train", "validation"):
        _write_shards(folder, split, made, slim=True)


def write_tfds(folder: Path, made: Made) -> None:
    """imagenet2012/5.1.0/, as tensorflow-datasets prepares it, as far as it is read here."""
    version = folder / "imagenet2012" / "5.1.0"
    version.mkdir(parents=True, exist_ok=True)
    names = "".join(f"{wordnet_id(label)}\n" for label in range(made.classes))
    (version / "label.labels.txt").write_text(names, encoding="utf-8")
    for split in ("train", "validation"):
        _write_shards(version, split, made, slim=False)


def write_folders(folder: Path, made: Made) -> None:
    """train/<WordNet id>/*.JPEG and val/<WordNet id>/*.JPEG."""
    for split, name in (("train", "train"), ("validation", "val")):
        for number, label in enumerate(labels_of(made, split)):
            file = folder / name / wordnet_id(label) / f"{wordnet_id(label)}_{number}.JPEG"
            _write(file, jpeg(int(label), number, made, split))


def write_webvision(folder: Path, made: Made) -> None:
    """info/, google/, flickr/ and val_images_256/ as WebVision 1.0 is published."""
    rng = np.random.default_rng([made.seed, 5])
    lists: dict[str, list[str]] = {"google": [], "flickr": []}
    for number, shown in enumerate(labels_of(made, "train")):
        label = int(rng.integers(made.classes)) if rng.random() < made.wrong else int(shown)
        part = ("google", "flickr")[number % 2]
        query = 1 + label * QUERIES_PER_CLASS + int(rng.integers(QUERIES_PER_CLASS))
        name = f"{part}/q{query:04d}/image{number:05d}.jpg"
        _write(folder / name, jpeg(int(shown), number, made, "train"))
        lists[part].append(f"{name} {label}")
    info = {f"train_filelist_{part}.txt": lines for part, lines in lists.items()}
    info["val_filelist.txt"] = []
    for number, label in enumerate(labels_of(made, "validation")):
        name = f"val{number + 1:06d}.jpg"
        _write(folder / "val_images_256" / name, jpeg(int(label), number, made, "validation"))
        info["val_filelist.txt"].append(f"{name} {label}")
    info["synsets.txt"] = [f"{wordnet_id(c)} {class_name(c)}, generated" for c in range(made.classes)]
    queries = range(made.classes * QUERIES_PER_CLASS)
    info["queries_synsets_map.txt"] = [f"{query + 1} {query // QUERIES_PER_CLASS + 1}" for query in queries]
    for name, lines in info.items():
        _write(folder / "info" / name, "".join(f"{line}\n" for line in lines).encode())


def write_clothing1m(folder: Path, made: Made) -> None:
    """The lists and images/ of Clothing1M; as many clean validation and clean training images as test images."""
    made = dataclasses.replace(made, classes=CLASSES["clothing1m"])
    rng = np.random.default_rng([made.seed, 7])
    noisy: list[str] = []
    clean: list[str] = []
    keys: dict[str, list[str]] = {}
    parts = (("noisy_train", "train", made.train), ("clean_val", "clean", made.test), ("clean_test", "test", made.test),
             ("clean_train", "clean", made.test))  # fmt: skip
    for place, (part, split, count) in enumerate(parts):
        keys[part] = []
        for number, shown in enumerate(uneven_labels(made, count, place)):
            wrong = part == "noisy_train" and rng.random() < made.wrong
            label = int(rng.integers(made.classes)) if wrong else int(shown)
            key = f"images/{place}/{number % 3:02d}/{number},{place}.jpg"
            # The second clean part has other numbers, hence other pictures.
            own = number + (count if part == "clean_train" else 0)
            _write(folder / key, jpeg(int(shown), own, made, split))
            (noisy if part == "noisy_train" else clean).append(f"{key} {label}")
            keys[part].append(key)
    lists = {f"{part}_key_list.txt": lines for part, lines in keys.items()}
    lists |= {"noisy_label_kv.txt": noisy, "clean_label_kv.txt": clean}
    lists["category_names_eng.txt"] = [class_name(label) for label in range(made.classes)]
    for name, lines in lists.items():
        _write(folder / name, "".join(f"{line}\n" for line in lines).encode())


def write_isic2019(folder: Path, made: Made) -> None:
    """ISIC_2019_Training_GroundTruth.csv and ISIC_2019_Training_Input/*.jpg, of training and test images together."""
    made = dataclasses.replace(made, classes=CLASSES["isic2019"])
    lines = ["image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"]
    for number, label in enumerate(uneven_labels(made, made.train + made.test, 5)):
        name = f"ISIC_{number:07d}" + ("_downsampled" if number % 7 == 0 else "")
        _write(folder / "ISIC_2019_Training_Input" / f"{name}.jpg", jpeg(int(label), number, made, "train"))
        lines.append(",".join([name, *("1.0" if c == label else "0.0" for c in range(made.classes + 1))]))
    _write(folder / "ISIC_2019_Training_GroundTruth.csv", "".join(f"{line}\n" for line in lines).encode())


def uneven_labels(made: Made, count: int, part: int) -> npt.NDArray[np.int64]:
    """One label an image in random order: every class at least once, the second one three times as often as others."""
    often = np.concatenate([np.arange(made.classes), [1, 1]])
    return np.random.default_rng([made.seed, 8, part]).permutation(often[np.arange(count) % len(often)])


def write_list(folder: Path, made: Made) -> None:
    """train.csv and test.csv with paths and labels."""
    for split in ("train", "test"):
        lines = ["path,label"]
        for number, label in enumerate(labels_of(made, split)):
            name = f"images/{split}_{number}.jpg"
            _write(folder / name, jpeg(int(label), number, made, split))
            lines.append(f"{name},{label}")
        _write(folder / f"{split}.csv", "".join(f"{line}\n" for line in lines).encode())


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _write_shards(folder: Path, split: str, made: Made, *, slim: bool) -> None:
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    labels = labels_of(made, split)
    for shard in range(made.shards):
        prefix = split if slim else f"imagenet2012-{split}.tfrecord"
        with tf.io.TFRecordWriter(str(folder / f"{prefix}-{shard:05d}-of-{made.shards:05d}")) as writer:
            for number in range(shard, len(labels), made.shards):
                features = dict(_features(tf, int(labels[number]), number, made, split, slim))
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def _features(tf: object, label: int, number: int, made: Made, split: str, slim: bool) -> Iterator[tuple[str, object]]:
    train = tf.train  # type: ignore[attr-defined]

    def text(*values: bytes) -> object:
        return train.Feature(bytes_list=train.BytesList(value=values))

    def integer(*values: int) -> object:
        return train.Feature(int64_list=train.Int64List(value=values))

    encoded, file = jpeg(label, number, made, split), f"{wordnet_id(label)}_{number}.JPEG".encode()
    if not slim:
        yield from (("image", text(encoded)), ("label", integer(label)), ("file_name", text(file)))
        return
    yield from (
        ("image/height", integer(made.height)),
        ("image/width", integer(made.width)),
        ("image/colorspace", text(b"RGB")),
        ("image/channels", integer(3)),
        ("image/class/label", integer(label + 1)),
        ("image/class/synset", text(wordnet_id(label).encode())),
        ("image/class/text", text(class_name(label).encode())),
        ("image/object/bbox/xmin", train.Feature(float_list=train.FloatList(value=[0.1, 0.2]))),
        ("image/format", text(b"JPEG")),
        ("image/filename", text(file)),
        ("image/encoded", text(encoded)),
    )


WRITERS = {
    "slim": write_slim,
    "tfds": write_tfds,
    "folders": write_folders,
    "webvision": write_webvision,
    "clothing1m": write_clothing1m,
    "isic2019": write_isic2019,
    "list": write_list,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", choices=LAYOUTS, required=True)
    parser.add_argument("--output_dir", type=Path, required=True)
    for name, default in (("classes", 4), ("train", 64), ("test", 16), ("width", 120), ("height", 100), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--wrong", type=float, default=0.3, help="share of web images whose label is drawn at random")
    chosen = parser.parse_args()
    if chosen.output_dir.exists() and any(chosen.output_dir.iterdir()):
        sys.exit(f"make_fake_imagenet.py: {chosen.output_dir} has content already: name a new folder")
    if chosen.layout in ("slim", "tfds"):
        quiet.start_tensorflow()
    names = ("classes", "train", "test", "width", "height", "wrong", "seed")
    WRITERS[chosen.layout](chosen.output_dir, Made(**{name: getattr(chosen, name) for name in names}))
    classes = CLASSES.get(chosen.layout, chosen.classes)
    print(f"{chosen.train} training and {chosen.test} test images of {classes} classes in {chosen.output_dir}")


if __name__ == "__main__":
    main()
