"""People's own images: <data_dir>/train/<class>/* and <data_dir>/test/<class>/*, one folder a class.

A third part clean/<class>/* is optional: images whose labels were checked, for methods that need a clean set.
Files ending in one of SUFFIXES (in any case) directly inside a class folder are read, hidden ones are not, and photos
that Pillow can't read are refused rather than passed over. Each is turned upright as its camera recorded, converted to
RGB and squeezed to a square. Everything is held in memory: n * image_size^2 * 3 bytes.
"""

from __future__ import annotations

import filecmp
import itertools
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from data.image_dataset import CleanSet, ImageDataset, Split, resized
from data.limits import MOST_PIXELS, too_many_pixels

DEFAULT_IMAGE_SIZE = 32
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".jp2")

_LAYOUT = f"expected are train/<class>/*.jpg and test/<class>/*.jpg (or {', '.join(SUFFIXES[1:])})"
_FURTHER_PARTS = ("test", "clean")
_SHOWN = 5


def load(data_dir: str | os.PathLike[str] | None, image_size: int | None = None) -> ImageDataset:
    """Reads a folder of images.

    Args:
      data_dir: the folder that holds train/ and test/, and clean/ if some images were checked.
      image_size: side in pixels all images are resized to; None means DEFAULT_IMAGE_SIZE.

    Returns:
      An ImageDataset of RGB images. Classes are the sub-folders of train/ in alphabetical order, images are in
      the order of (class, file name), `ids` count that order and `paths` are relative to `data_dir`. The training
      labels are not taken as true (see Split). Images of clean/ form the data set's `clean`.

    Raises:
      FileNotFoundError: `data_dir`, train/ or test/ does not exist.
      ValueError: no `data_dir`, fewer than two classes, a class without images, a class that only test/ or clean/
        has, a checked image that was left in train/, or images that cannot be read (all are tried; the first few are
        named).
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
    further = [part for part in _FURTHER_PARTS if (root / part).is_dir()]
    for part in further:
        unknown = sorted(set(_class_folders(root / part)) - set(names))
        if unknown:
            raise ValueError(f"{root / part} has classes that train has not: {', '.join(unknown[:_SHOWN])}.")
    listing = {part: [_image_files(root / part / name) for name in names] for part in ("train", *further)}
    for name, files in zip(names, listing["train"], strict=True):
        if not files:
            raise ValueError(f"The class folder {root / 'train' / name} has no images; {_LAYOUT}.")
    for part in further:
        if not any(listing[part]):
            raise ValueError(f"{root / part} has no images; {_LAYOUT.replace('test', part)}.")
    _refuse_copies(*(itertools.chain(*listing.get(part, ())) for part in ("clean", "train")))

    size = DEFAULT_IMAGE_SIZE if image_size is None else image_size
    # All parts are decoded before any complaint, so that one message covers all bad files.
    images = _decode_all([file for groups in listing.values() for files in groups for file in files], size)
    ends = np.cumsum([sum(map(len, groups)) for groups in listing.values()])
    parts = {
        part: _split(own, groups, root, labels_are_true=part != "train")
        for own, (part, groups) in zip(np.split(images, ends[:-1]), listing.items(), strict=True)
    }
    checked = parts.get("clean")
    clean = None if checked is None else CleanSet(checked.images, checked.labels, checked.ids)
    return ImageDataset("folder", parts["train"], parts["test"], tuple(map(printable, names)), clean)


def _class_folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    """Returns the image files of one class by name; none if test/ or clean/ lacks the class."""
    if not folder.is_dir():
        return []
    shown = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    unread = sorted(entry for entry in shown if entry.suffix.lower() in UNREAD)
    if unread:
        raise ValueError(
            f"{unread[0]} is of a kind that is not read: convert such images to .jpg or .png, or take them out of the "
            "folder."
        )
    return sorted(entry for entry in shown if entry.suffix.lower() in SUFFIXES)


def _refuse_copies(clean: Iterable[Path], train: Iterable[Path]) -> None:
    """Images whose labels were checked must not be among the noisy ones as well: same bytes, whatever the name."""
    by_size: dict[int, list[Path]] = {}
    for file in clean:
        by_size.setdefault(file.stat().st_size, []).append(file)
    if not by_size:
        return
    for file in train:
        for checked in by_size.get(file.stat().st_size, ()):
            if filecmp.cmp(file, checked, shallow=False):
                raise ValueError(
                    f"{checked} is also {file}: move checked images from train/ to clean/ instead of copying them, or "
                    "list them with --clean_labels_file."
                )


def _split(
    images: npt.NDArray[np.uint8], files: Sequence[Sequence[Path]], root: Path, *, labels_are_true: bool
) -> Split:
    labels = np.repeat(np.arange(len(files), dtype=np.int32), [len(group) for group in files])
    paths = tuple(printable(file.relative_to(root).as_posix()) for group in files for file in group)
    return Split(images, labels, np.arange(len(labels)), paths, labels_are_true)


def printable(name: str) -> str:
    """A name of a file that can be written to reports: Linux allows names that are no UTF-8."""
    return name.encode(errors="backslashreplace").decode()


def _decode_all(files: Sequence[Path], size: int) -> npt.NDArray[np.uint8]:
    """Returns uint8 [n, size, size, 3], or raises one ValueError for all unreadable files."""
    images = np.empty((len(files), size, size, 3), np.uint8)

    def decode(position: int) -> str | None:
        try:
            images[position] = _decode(files[position], size)
        except Image.DecompressionBombError:
            return f"{files[position]} (it has more than the {MOST_PIXELS:,} pixels allowed)"
        # What Pillow raises depends on the format and on where the file is damaged.
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            return f"{files[position]} ({error})"
        return None

    # Pillow decodes outside Python's global lock, so threads are enough.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is above where Pillow warns
        broken = [complaint for complaint in pool.map(decode, range(len(files))) if complaint is not None]
    if broken:
        shown = "; ".join(broken[:_SHOWN]) + ("; ..." if len(broken) > _SHOWN else "")
        raise ValueError(f"{len(broken)} of {len(files)} image files cannot be read, repair or remove them: {shown}.")
    return images


def _decode(file: Path, size: int) -> npt.NDArray[np.uint8]:
    with Image.open(file) as image:
        if problem := too_many_pixels(*image.size):
            raise ValueError(problem)
        # Lets the JPEG decoder skip detail that resizing would remove: much faster on photographs.
        image.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip it to white
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        if upright.mode == "P" and "transparency" in upright.info:  # Pillow warns of any other way
            upright = upright.convert("RGBA")
        return resized(upright.convert("RGB"), size)
