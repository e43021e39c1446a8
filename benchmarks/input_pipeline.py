"""Images per second and core of the streamed input pipeline, against tf.data doing nothing but decoding the same files.

"Core" is processor time, not the clock: images per second of CPU time of the whole process, so that other work on the
machine matters little. Files are generated with the size of ImageNet's mean image: 500x375 pixels, some 110 kB. The
first batches, with which a data set starts up, are not counted.

    python benchmarks/input_pipeline.py     # make bench does this too, behind its steps
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402

from data.imagenet.batches import DiskStreams, evaluation_batches  # noqa: E402
from data.imagenet.index import ImageIndex, file_names  # noqa: E402
from data.imagenet.preprocessing import Preprocessing  # noqa: E402
from data.imagenet.unreadable import UnreadableLog  # noqa: E402
from data.streams import TRAINING, Source  # noqa: E402
from mentornet.stages import GIVEN, Stream  # noqa: E402

WIDTH, HEIGHT, QUALITY, GRAIN = 500, 375, 94, 10.0
BATCH, EXAMPLES, START_UP = 32, 10_000, 4


def write_images(folder: Path, count: int = 64) -> ImageIndex:
    """JPEGs with smooth shapes and grain, of about 110 kB each, and their index."""
    rng = np.random.default_rng(0)
    names = [f"{number}.jpg" for number in range(count)]
    for name in names:
        shapes = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize((WIDTH, HEIGHT))
        pixels = np.asarray(shapes, np.float64) + rng.normal(0, GRAIN, (HEIGHT, WIDTH, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name, quality=QUALITY)
    index = ImageIndex(folder, file_names(names), np.zeros(count, np.int32), np.arange(count))
    return index.take(np.arange(EXAMPLES) % count)


def data_sets(index: ImageIndex, batches: int) -> dict[str, tf.data.Dataset]:
    """Data sets of so many batches by name: decoding only first, then stage by stage, then what training reads."""
    paths = tf.constant([str(index.path(position)) for position in range(batches * BATCH)])

    def read(number: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(tf.gather(paths, number))

    def decoded(number: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.io.decode_jpeg(read(number), channels=3), (HEIGHT, WIDTH, 3))

    def resized(number: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(decoded(number), (299, 299))

    def mapped(make: Any) -> tf.data.Dataset:
        numbers = tf.data.Dataset.range(batches * BATCH)
        return numbers.map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).batch(BATCH).prefetch(2)

    def streamed(how: Preprocessing) -> tf.data.Dataset:
        source = Source(index, index.labels, BATCH, np.ones(len(index), bool))
        streams = DiskStreams({TRAINING: source}, seed=0, preprocessing=how, unreadable=UnreadableLog())
        return streams.dataset({GIVEN: Stream()}, 0, batches)

    repeated = index.take(np.arange(batches * BATCH))
    return {
        "decode_only": mapped(decoded),
        "read_only": mapped(read),
        "decode_and_resize": mapped(resized),
        "training": streamed(Preprocessing()),
        "training_no_colour": streamed(Preprocessing(colour="none")),
        "training_all_colours": streamed(Preprocessing(colour="full")),
        "evaluation": evaluation_batches(repeated, repeated.labels, BATCH, 299, UnreadableLog()),
    }


def measure(rounds: int = 5, batches: int = 24) -> list[dict[str, Any]]:
    """One row a data set: {"variant", "images_per_second_per_core", "ratio"}, the ratio to decoding only.

    Each data set is gone through from start to end, one after the other, since tf.data works ahead. Ratios are paired
    by round, then their median taken.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = data_sets(write_images(Path(folder)), batches)
        seconds: dict[str, list[float]] = {name: [] for name in made}
        for _ in range(rounds):
            for name, source in made.items():
                seconds[name].append(_cpu_seconds(source) / ((batches - START_UP) * BATCH))
    plain = seconds["decode_only"]
    return [
        {
            "variant": name,
            "images_per_second_per_core": 1.0 / statistics.median(times),
            "ratio": statistics.median(p / t for p, t in zip(plain, times, strict=True)),
        }
        for name, times in seconds.items()
    ]


def _cpu_seconds(source: tf.data.Dataset) -> float:
    batches = iter(source)
    for _ in range(START_UP):
        next(batches)
    started = time.process_time()
    for _ in batches:
        pass
    return time.process_time() - started


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text."""
    lines = [f"{row['variant']:<22}{row['images_per_second_per_core']:>14.0f}{row['ratio']:>8.2f}" for row in rows]
    return "\n".join([f"{'pipeline':<22}{'images/s/core':>14}{'ratio':>8}", *lines])


def main() -> None:
    print(table(measure()))


if __name__ == "__main__":
    main()
