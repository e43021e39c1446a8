"""Every data set the scripts know, by name. A new source is one module with a `load` and one line in `load` here.

cifar10, cifar100, mnist, fashion_mnist   tensorflow-datasets (Krizhevsky 2009; LeCun et al. 1998; Xiao et al. 2017)
digits                                    scikit-learn's handwritten digits, embedded
tfds:<builder>[/<config>]                 any other image classification of tensorflow-datasets
folder                                    the user's own images, one folder a class
"""

from __future__ import annotations

import os

from data import digits, folder
from data.image_dataset import ImageDataset, Split

__all__ = ["NAMES", "TFDS_PREFIX", "ImageDataset", "Split", "load"]

TFDS_PREFIX = "tfds:"
NAMES: tuple[str, ...] = ("cifar10", "cifar100", "mnist", "fashion_mnist", "digits", "folder")


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    download: bool = True,
    held_out_tenth: int | None = None,
) -> ImageDataset:
    """Reads a data set into memory.

    All but digits and folder run TensorFlow operations, so a distribution strategy has to exist before the call.

    Args:
      name: one of NAMES, or "tfds:<builder>"; "tfds:cifar10" is the same as "cifar10".
      data_dir: the folder of images (folder) or of prepared data sets (tensorflow-datasets; None means its own
        default); digits needs none.
      image_size: side in pixels to resize to; None keeps the size of the source, or means 32 where that varies.
      download: whether data that is not there may be downloaded.
      held_out_tenth: which part, 0 to 9, of a folder without test/ is held out; None means 0.

    Returns:
      The data set; its name has no "tfds:" prefix.

    Raises:
      FileNotFoundError: the data is not there and cannot be downloaded.
      ValueError: an unknown name, an image size below 1, or data that cannot be used.
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"The image size is {image_size} pixels, but it has to be at least 1.")
    if name == "digits":
        return digits.load(image_size)
    if name == "folder":
        return folder.load(data_dir, image_size, held_out_tenth)
    if name not in NAMES and not name.startswith(TFDS_PREFIX):
        raise ValueError(
            f"There is no data set {name!r}; known are {', '.join(NAMES)} and {TFDS_PREFIX}<builder> for any image "
            "classification of tensorflow-datasets."
        )
    from data import tfds_source  # imports TensorFlow when used

    return tfds_source.load(name.removeprefix(TFDS_PREFIX), data_dir=data_dir, image_size=image_size, download=download)
