"""Every large data set train_imagenet.py knows, by name.

imagenet         ILSVRC2012, 1,281,167 images of 1,000 classes
webvision        WebVision 1.0, 2.4 million images of the same classes
webvision_mini   its first 50 classes, images from Google only
clothing1m       a million pictures of clothes from shops, 14 classes
isic2019         25,331 pictures of skin lesions, 8 classes
list             people's own csv lists of paths and labels (such as a subset of YFCC100M)
folder           people's own images, one folder a class
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from data.imagenet import clothing1m, ilsvrc, isic2019, listing, webvision
from data.imagenet.dataset import StreamedDataset

NAMES: tuple[str, ...] = ("imagenet", "webvision", "webvision_mini", "clothing1m", "isic2019", "list", "folder")
WITH_CLEAN_SET: tuple[str, ...] = ("clothing1m", "folder")  # of folders, where there is clean/<class>/
IMAGE_SIZES = {"clothing1m": 224, "isic2019": 224}  # where it is not Inception's

Path = str | os.PathLike[str]


def load(
    name: str,
    data_dir: Path | None,
    *,
    webvision_parts: Sequence[str] | None = None,
    ilsvrc_dir: Path | None = None,
    train_list: Path | None = None,
    test_list: Path | None = None,
    index_dir: Path | None = None,
    background: bool = False,
    image_size: int | None = None,
) -> StreamedDataset:
    """Finds the images of a data set; none is opened.

    Args:
      name: one of NAMES.
      data_dir: the folder the data is in.
      webvision_parts: google, flickr or both; None means both, and google for webvision_mini.
      ilsvrc_dir: ImageNet for a second evaluation of WebVision.
      train_list: csv of the data set "list"; None means train.csv in data_dir.
      test_list: likewise; None means test.csv. Of isic2019 the names of the test images.
      index_dir: where indexes of TFRecords are kept, None means the user's cache folder.
      background: put slim's unused background class in front, so that ImageNet has 1,001.
      image_size: side in pixels of the squares the images are turned into when they are read; None: 299, or 224 of
        clothing1m and isic2019.

    Raises:
      FileNotFoundError: a folder, a file list, a class map or a shard that is not there.
      ValueError: an unknown name, no data_dir, or data that cannot be used.
    """
    if name not in NAMES:
        raise ValueError(f"There is no large data set {name!r}; known are {', '.join(NAMES)}.")
    if data_dir is None:
        raise ValueError(f"The data set {name} needs --data_dir, the folder it is in.")
    if name == "imagenet":
        dataset = ilsvrc.load(data_dir, index_dir)
    elif name == "clothing1m":
        dataset = clothing1m.load(data_dir)
    elif name == "isic2019":
        dataset = isic2019.load(data_dir, test_list)
    elif name == "list":
        dataset = listing.load_list(data_dir, train_list, test_list)
    elif name == "folder":
        dataset = listing.load_folder(data_dir)
    else:
        mini = name == "webvision_mini"
        parts = webvision_parts or (webvision.PARTS[:1] if mini else webvision.PARTS)
        dataset = webvision.load(data_dir, mini=mini, parts=parts, ilsvrc_dir=ilsvrc_dir, index_dir=index_dir)
    dataset = dataclasses.replace(dataset, image_size=image_size or IMAGE_SIZES.get(name, 299))
    return dataset.with_background() if background else dataset
