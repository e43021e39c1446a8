"""Image classification data sets of tensorflow-datasets, read whole into memory.

CIFAR records carry their original index, by which they are put back into the published order: position i is the
i-th image of the original training files, as human noisy labels (CIFAR-N) require. Other data sets keep the
order of their records, which reading here does not depend on threads or shards.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from data.image_dataset import ImageDataset, Split, resized_all, stratified_holdout

DEFAULT_IMAGE_SIZE = 32

_WITH_ORIGINAL_INDEX = ("cifar10", "cifar100")
_HOLDOUT_ONE_IN = 10
_READ_AT_ONCE = 1000


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    download: bool = True,
) -> ImageDataset:
    """Reads builder `name` ("<builder>" or "<builder>/<config>"), downloading it first where necessary.

    The test part is the split test, else validation, else a fixed stratified tenth of train. A test split without
    labels (class -1) counts as absent.

    Args:
      name: a builder with the features image (uint8, 1 or 3 channels) and label (classes).
      data_dir: where prepared data sets are; None means the default of tensorflow-datasets.
      image_size: side in pixels to resize to. None keeps the images as they are, or, where they vary in size,
        means DEFAULT_IMAGE_SIZE.
      download: whether a data set that is not prepared may be downloaded into `data_dir`.

    Raises:
      FileNotFoundError: it is not prepared and cannot, or may not, be downloaded.
      ValueError: an unknown builder, one that is no image classification, or damaged records.
    """
    import tensorflow_datasets as tfds

    folder = None if data_dir is None else str(Path(data_dir).expanduser())
    with _quiet():
        try:
            builder = tfds.builder(name, data_dir=folder, try_gcs=False)
        except (ValueError, AssertionError) as error:  # the second for an unknown version
            raise ValueError(
                f"tensorflow-datasets has no data set {name!r}; its catalogue lists the names and configurations."
            ) from error
        classes = _check_features(name, builder.info.features, tfds)
        _prepare(name, builder, download, tfds)
        if "train" not in builder.info.splits:
            raise ValueError(f"The data set {name} has no split train, only {', '.join(builder.info.splits)}.")
        with _damage_named(name, builder):
            train = _read(name, builder, "train", image_size, tfds)
            test_name = _test_split(builder, tfds)
            if test_name is not None:
                test = _read(name, builder, test_name, image_size, tfds)
            else:
                kept, held_out = stratified_holdout(train.labels, _HOLDOUT_ONE_IN, seed=0)
                train, test = train.take(kept), train.take(held_out)
    return ImageDataset(name, train, test, classes)


def _check_features(name: str, features: Any, tfds: Any) -> tuple[str, ...]:
    """Returns the class names after checking that there is one image and one class label."""
    by_name = dict(features.items())
    image, label = by_name.get("image"), by_name.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise ValueError(
            f"The data set {name} has the features {', '.join(by_name)}, but an image classification with the "
            "features image and label (classes) is needed."
        )
    if image.np_dtype != np.uint8 or image.shape[-1] not in (1, 3):
        raise ValueError(
            f"The images of {name} are {np.dtype(image.np_dtype)} with {image.shape[-1]} channels, but uint8 with "
            "1 or 3 channels is needed."
        )
    return tuple(label.names)


def _prepare(name: str, builder: Any, download: bool, tfds: Any) -> None:
    """Makes sure that the prepared records are there, or says in one sentence why not."""
    if builder.is_prepared():
        return
    place = Path(builder.data_path).parents[len(Path(builder.info.full_name).parts) - 1]
    problem = f"{place} has no prepared data set {name} (looked for {builder.data_path})"
    remedy = f"name the folder that holds {builder.name}/ with --data_dir"
    if not download:
        raise FileNotFoundError(f"{problem}; {remedy} or allow the download.")
    if _is_offline():
        raise FileNotFoundError(f"{problem} and this machine cannot reach the internet to download it; {remedy}.")
    # A download can take long: besides the line that tensorflow-datasets prints, whoever watches gets a bar.
    (tfds.enable_progress_bar if sys.stderr.isatty() else tfds.disable_progress_bar)()
    try:
        builder.download_and_prepare()
    # Anything may go wrong here: the network, the disk, a site that moved, data that must be fetched by hand.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise FileNotFoundError(f"{problem} and the download failed ({reason}); {remedy}.") from error


def _is_offline() -> bool:
    """Whether host names cannot be resolved.

    Without this look, tensorflow-datasets repeats a hopeless request for several minutes before it gives up.
    """
    if urllib.request.getproxies():
        return False  # a proxy resolves names for us
    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError:
        return True
    return False


def _test_split(builder: Any, tfds: Any) -> str | None:
    """Returns the first of test and validation that exists and has labels."""
    for candidate in ("test", "validation"):
        if candidate in builder.info.splits:
            first = next(iter(_records(builder, f"{candidate}[:1]", ("label",), tfds).as_numpy_iterator()))
            if first["label"] >= 0:
                return candidate
    return None


@contextmanager
def _damage_named(name: str, builder: Any) -> Iterator[None]:
    """Turns what TensorFlow says of damaged record files into one sentence."""
    import tensorflow as tf

    damage = (
        tf.errors.DataLossError,  # cut off
        tf.errors.FailedPreconditionError,  # fewer records than the data set has
        tf.errors.InvalidArgumentError,  # no image, or not of the shape it should have
        tf.errors.NotFoundError,
    )
    try:
        yield
    except damage as error:
        # Without the names of the graph's node before it and of the operation after it.
        reason = re.sub(r"^\{\{.*?\}\}|\[Op:.*", "", " ".join(error.message.split())).strip(" .")[:200]
        raise ValueError(
            f"The prepared data set {name} in {builder.data_path} is damaged ({reason}): remove that folder and "
            "prepare it again."
        ) from error


def _read(name: str, builder: Any, split: str, image_size: int | None, tfds: Any) -> Split:
    total = builder.info.splits[split].num_examples
    shape = builder.info.features["image"].shape
    numbered = name.split("/")[0] in _WITH_ORIGINAL_INDEX
    wanted = ("image", "label", "id") if numbered else ("image", "label")
    size = DEFAULT_IMAGE_SIZE if image_size is None and None in shape else image_size
    if size is not None:
        shape = (size, size, shape[-1])
    images = np.empty((total, *shape), np.uint8)
    labels = np.empty(total, np.int32)
    ids = np.arange(total)
    position = 0
    for batch in _batches(_records(builder, split, wanted, tfds), builder.info.features["image"].shape):
        rows = slice(position, position + len(batch["label"]))
        position = rows.stop
        pixels = batch["image"]
        images[rows] = pixels if size is None else resized_all(pixels, size)
        labels[rows] = batch["label"]
        if numbered:
            ids[rows] = [int(key.decode().rpartition("_")[2]) for key in batch["id"]]  # b"train_16399"
    order = np.argsort(ids)
    if not np.array_equal(ids[order], np.arange(total)):
        raise ValueError(f"The prepared data set {name} in {builder.data_path} is damaged: its record ids repeat.")
    return Split(images[order], labels[order], ids[order]) if numbered else Split(images, labels, ids)


def _records(builder: Any, split: str, wanted: tuple[str, ...], tfds: Any) -> Any:
    """Returns a tf.data.Dataset of the wanted features in the order of the records."""
    import tensorflow as tf

    @tfds.decode.make_decoder()
    def accurately(encoded: Any, feature: Any) -> Any:
        channels = feature.shape[-1]
        # By default JPEG goes through a fast cosine transform that makes red and blue one grey level too dark.
        image = tf.cond(
            tf.io.is_jpeg(encoded),
            lambda: tf.io.decode_jpeg(encoded, channels, dct_method="INTEGER_ACCURATE"),
            lambda: tf.io.decode_image(encoded, channels, expand_animations=False),
        )
        image.set_shape(feature.shape)
        return image

    decoders = {"image": accurately()} if "image" in wanted else None
    return builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(wanted, True), decoders=decoders),
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )


def _batches(records: Any, image_shape: tuple[int | None, ...]) -> Iterator[dict[str, Any]]:
    """Yields dicts of NumPy arrays (or lists, where images vary in size) of up to _READ_AT_ONCE records."""
    if None not in image_shape:
        yield from records.batch(_READ_AT_ONCE).as_numpy_iterator()
        return
    for record in records.as_numpy_iterator():
        yield {key: [value] for key, value in record.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps tensorflow-datasets and its download library from logging below the level of an error."""
    library = getLogger("urllib3")
    levels = logging.get_verbosity(), library.level
    logging.set_verbosity(logging.ERROR)
    library.setLevel(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(levels[0])
        library.setLevel(levels[1])
