"""People's own images: <data_dir>/<class>/*, or <data_dir>/train/<class>/* and <data_dir>/test/<class>/*.

A part clean/<class>/* is optional: images whose labels were checked, for methods that need a clean set. Without test/
a tenth of every class is held out instead, whose labels are as noisy as the others' (see `data.folder_layout`).
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

from data import folder_layout
from data.image_dataset import CleanSet, ImageDataset, Split, resized
from data.limits import MOST_PIXELS, too_many_pixels

DEFAULT_IMAGE_SIZE = 32

_SHOWN = 5


def load(
    data_dir: str | os.PathLike[str] | None, image_size: int | None = None, held_out_tenth: int | None = None
) -> ImageDataset:
    """Reads a folder of images.

    Args:
      data_dir: the folder of class folders, or the one that holds train/ and perhaps test/; clean/ beside them if
        some images were checked.
      image_size: side in pixels all images are resized to; None means DEFAULT_IMAGE_SIZE.
      held_out_tenth: which part, 0 to 9, is held out where there is no test/; None means 0.

    Returns:
      An ImageDataset of RGB images. Classes are the class folders in alphabetical order, images are in the order of
      (class, file name), `ids` count that order and `paths` are relative to `data_dir`. The training labels are not
      taken as true (see Split), nor are those of a hold-out. Images of clean/ form the data set's `clean`.

    Raises:
      FileNotFoundError: `data_dir` does not exist.
      ValueError: no `data_dir`, fewer than two classes, a class without images, a class that only test/ or clean/
        has, a checked image that was left among the others, too few images to hold some out, a layout that is not
        clear, or images that cannot be read (all are tried; the first few are named).
    """
    if data_dir is None:
        raise ValueError(f"The data set folder needs --data_dir, the folder with the images; {folder_layout.EXPECTED}.")
    root = Path(data_dir).expanduser()
    layout = folder_layout.find(root)
    listing = layout.files
    if "test" in listing and held_out_tenth is not None:
        raise ValueError(f"{root} has a test/, so nothing is held out: leave --held_out_tenth out.")
    held = None if "test" in listing else folder_layout.held_out(listing["train"], root, held_out_tenth or 0)
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
    train, test, notes = parts["train"], parts.get("test"), layout.notes
    if test is None:
        assert held is not None
        train, test = train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
        notes = (
            f"there is no test/ with right labels in {root}, so {len(test):,} of the {len(held):,} images, a tenth of "
            "every class, are held out; accuracy on them is agreement with their given labels, of which some are wrong",
            *notes,
        )
    return ImageDataset("folder", train, test, tuple(map(printable, layout.names)), clean, notes)


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
                    f"{checked} is also {file}: move checked images to clean/ instead of copying them, or "
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
