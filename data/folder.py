"""People's own images: <data_dir>/train/<class>/* and <data_dir>/test/<class>/*, one folder a class.

Files ending in .jpg, .jpeg, .png or .bmp (in any case) directly inside a class folder are read, hidden ones are
not. Each is turned upright as its camera recorded, converted to RGB and squeezed to a square. Everything is
held in memory: n * image_size^2 * 3 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from data.image_dataset import ImageDataset, Split, resized

DEFAULT_IMAGE_SIZE = 32
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")

_LAYOUT = "expected are train/<class>/*.jpg and test/<class>/*.jpg (or .jpeg, .png, .bmp)"
_SHOWN = 5


def load(data_dir: str | os.PathLike[str] | None, image_size: int | None = None) -> ImageDataset:
    """Reads a folder of images.

    Args:
      data_dir: the folder that holds train/ and test/.
      image_size: side in pixels all images are resized to; None means DEFAULT_IMAGE_SIZE.

    Returns:
      An ImageDataset of RGB images. Classes are the sub-folders of train/ in alphabetical order, images are in
      the order of (class, file name), `ids` count that order and `paths` are relative to `data_dir`. The training
      labels are not taken as true (see Split).

    Raises:
      FileNotFoundError: `data_dir`, train/ or test/ does not exist.
      ValueError: no `data_dir`, fewer than two classes, a class without images, a class that only test/ has, or
        images that cannot be read (all are tried; the first few are named).
    """
    if data_dir is None:
        raise ValueError(f"The data set folder needs --data_dir, the folder with the images; {_LAYOUT}.")
    root = Path(data_dir).expanduser()
    for needed in (root, root / "train", root / "test"):
        if not needed.is_dir():
            raise FileNotFoundError(f"There is no folder {needed}; {_LAYOUT}.")
    names = _class_folders(root / "train")
    if len(names) < 2:
        raise ValueError(
            f"{root / 'train'} has {len(names)} class folder(s), but at least 2 classes are needed; {_LAYOUT}."
        )
    unknown = sorted(set(_class_folders(root / "test")) - set(names))
    if unknown:
        raise ValueError(f"{root / 'test'} has classes that train has not: {', '.join(unknown[:_SHOWN])}.")
    listing = {part: [_image_files(root / part / name) for name in names] for part in ("train", "test")}
    for name, files in zip(names, listing["train"], strict=True):
        if not files:
            raise ValueError(f"The class folder {root / 'train' / name} has no images; {_LAYOUT}.")
    if not any(listing["test"]):
        raise ValueError(f"{root / 'test'} has no images; {_LAYOUT}.")

    size = DEFAULT_IMAGE_SIZE if image_size is None else image_size
    # Both parts are decoded before any complaint, so that one message covers all bad files.
    every_file = [file for part in ("train", "test") for files in listing[part] for file in files]
    images = _decode_all(every_file, size)
    num_train = sum(len(files) for files in listing["train"])
    train = _split(images[:num_train], listing["train"], root, labels_are_true=False)
    test = _split(images[num_train:], listing["test"], root, labels_are_true=True)
    return ImageDataset("folder", train, test, tuple(names))


def _class_folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    """Returns the image files of one class by name; none if test/ lacks the class."""
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    )


def _split(
    images: npt.NDArray[np.uint8], files: Sequence[Sequence[Path]], root: Path, *, labels_are_true: bool
) -> Split:
    labels = np.repeat(np.arange(len(files), dtype=np.int32), [len(group) for group in files])
    paths = tuple(file.relative_to(root).as_posix() for group in files for file in group)
    return Split(images, labels, np.arange(len(labels)), paths, labels_are_true)


def _decode_all(files: Sequence[Path], size: int) -> npt.NDArray[np.uint8]:
    """Returns uint8 [n, size, size, 3], or raises one ValueError for all unreadable files."""
    images = np.empty((len(files), size, size, 3), np.uint8)

    def decode(position: int) -> str | None:
        try:
            images[position] = _decode(files[position], size)
        # What Pillow raises depends on the format and on where the file is damaged.
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            return f"{files[position]} ({error})"
        return None

    # Pillow decodes outside Python's global lock, so threads are enough.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        broken = [complaint for complaint in pool.map(decode, range(len(files))) if complaint is not None]
    if broken:
        shown = "; ".join(broken[:_SHOWN]) + ("; ..." if len(broken) > _SHOWN else "")
        raise ValueError(f"{len(broken)} of {len(files)} image files cannot be read, repair or remove them: {shown}.")
    return images


def _decode(file: Path, size: int) -> npt.NDArray[np.uint8]:
    with Image.open(file) as image:
        # Lets the JPEG decoder skip detail that resizing would remove: much faster on photographs.
        image.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip it to white
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        return resized(upright.convert("RGB"), size)
