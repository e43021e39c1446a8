"""Single files of images and masks: their sizes, their pixels, and which value of a mask is which class."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from data.image_dataset import resized
from data.limits import too_many_pixels
from data.segmentation.scanner import to_bytes

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")  # what is lossy smears values
MOST_CLASSES = 32
_SHOWN = 8
Read = TypeVar("Read")


class MaskFile(NamedTuple):
    """What is kept of a mask: a photograph's is large, and most are needed at the size of the slices alone.

    Attributes:
      resized: the values of the file, uint8 [side, side], resized by nearest neighbour.
      present: bool [256], whether the whole mask has this value.
      shape: (height, width) of the whole mask.
      whole: the values of the file, uint8 [height, width]; None if not asked for.
    """

    resized: npt.NDArray[np.uint8]
    present: npt.NDArray[np.bool_]
    shape: tuple[int, int]
    whole: npt.NDArray[np.uint8] | None


def by_stem(folder: Path, *, masks: bool = False) -> dict[str, Path]:
    """Returns the files of a folder by their names without suffix, in the order of the names.

    Raises:
      ValueError: no file, two of one name, or a mask of a lossy kind.
    """
    found: dict[str, Path] = {}
    suffixes = MASK_SUFFIXES if masks else IMAGE_SUFFIXES
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue
        suffix = file.suffix.lower()
        if masks and suffix in IMAGE_SUFFIXES and suffix not in MASK_SUFFIXES:
            raise ValueError(f"{file} is of a lossy kind, which smears masks: use .png or .tif.")
        if suffix in suffixes:
            if file.stem in found:
                raise ValueError(f"{found[file.stem]} and {file} have the same name: keep one of them.")
            found[file.stem] = file
    if not found:
        raise ValueError(f"{folder} has no {'masks' if masks else 'images'} ({', '.join(suffixes)}).")
    return found


def size(file: Path) -> tuple[int, int]:
    """(width, height) of an image file.

    Raises:
      ValueError: it cannot be read, is too large, or has several pages.
    """
    with _opened(file) as opened:
        return opened.size


def image(file: Path, side: int) -> npt.NDArray[np.uint8] | str:
    """Returns uint8 [side, side, 1 or 3], or what is wrong with the file.

    Grey images of more than 8 bits are stretched from their least to their largest value.
    """

    def read(opened: Image.Image) -> npt.NDArray[np.uint8]:
        if opened.mode.startswith(("I", "F")):
            deep = np.asarray(opened, np.float32)
            if not np.isfinite(deep).all():
                raise ValueError("it has values that are no numbers")
            return resized(Image.fromarray(to_bytes(deep[np.newaxis])[0]), side)
        grey = opened.mode in ("1", "L", "LA")
        return resized(opened.convert("L" if grey else "RGB"), side)

    return _or_complaint(file, read)


def mask(file: Path, side: int, *, whole: bool = False) -> MaskFile | str:
    """Returns the values of a mask, or what is wrong with the file.

    Args:
      file: a grey image, or one of colours or a palette whose numbers are the values.
      side: of the slices.
      whole: whether the mask at its own size is needed, too.
    """

    def read(opened: Image.Image) -> MaskFile:
        pixels = np.asarray(opened) if opened.mode != "1" else np.asarray(opened).astype(np.uint8)
        if opened.mode in ("LA", "RGBA", "RGB"):
            colours = pixels[..., : 1 if opened.mode == "LA" else 3]
            if (colours != colours[..., :1]).any():
                raise ValueError("a mask in colours; write the number of the class into one channel")
            pixels = colours[..., 0]
        if pixels.ndim != 2 or not ((pixels >= 0) & (pixels <= 255) & (pixels == np.floor(pixels))).all():
            raise ValueError("its values are not whole numbers from 0 to 255")
        values = pixels.astype(np.uint8)
        present = np.bincount(values.ravel(), minlength=256) > 0
        return MaskFile(nearest(values, side), present, values.shape, values if whole else None)

    return _or_complaint(file, read)


def all_of(files: Sequence[Path], read: Iterable[Read | str]) -> list[Read]:
    """Returns what was read.

    Raises:
      ValueError: some files could not be read; one message for all.
    """
    results = list(read)
    broken = [f"{file} ({what})" for file, what in zip(files, results, strict=True) if isinstance(what, str)]
    if broken:
        shown = "; ".join(broken[:3]) + ("; ..." if len(broken) > 3 else "")
        raise ValueError(f"{len(broken)} of {len(files)} files cannot be used, repair or remove them: {shown}.")
    return [what for what in results if not isinstance(what, str)]


def _advice(masks: Mapping[Path, MaskFile], found: list[int], seen: Mapping[int, Path]) -> str:
    """What is probably wrong with masks whose values are no classes that can be guessed."""
    held = {file: set(np.flatnonzero(read.present).tolist()) for file, read in masks.items()}
    folders: dict[Path, set[int]] = {}
    for file, values in held.items():
        folders.setdefault(file.parent, set()).update(values)
    if {255} < {max(values) for values in folders.values()} and all(
        v <= {0, 255} or v <= {0, 1} for v in folders.values()
    ):
        scales = (
            f"{folder} has {' and '.join(map(str, sorted(values)))}" for folder, values in sorted(folders.items())
        )
        return f"{', '.join(scales)}: write them alike"
    for pair in ({0, 255}, {0, 1}):
        odd = sorted(file for file, values in held.items() if not values <= pair)
        if len(odd) <= len(held) / 2:
            extra = sorted(set().union(*(held[file] for file in odd)) - pair)
            named = f"{odd[0]} (and {len(odd) - 1} more)" if len(odd) > 1 else str(odd[0])
            listed = ", ".join(map(str, extra[:3])) + (", ..." if len(extra) > 3 else "")
            few = len(extra) <= 3 and len(found) <= MOST_CLASSES
            what = f"{_if_classes(found)}, else mend it" if few else "was it smoothed, resized or compressed?"
            most = f"{len(held) - len(odd)} of {len(held)} masks have 0 and {max(pair)} alone"
            return f"{most}, but {named} has {listed}: {what}"
    if len(found) > MOST_CLASSES:
        return f"are masks smoothed or compressed? (value {found[1]} is in {seen[found[1]]})"
    return _if_classes(found)


def _if_classes(found: Sequence[int]) -> str:
    return f"if they are classes, say so: --mask_values={','.join(map(str, found))}"


def classes_of(
    masks: Mapping[Path, MaskFile], mask_values: Sequence[int] | None
) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """Finds which value is which class.

    Args:
      masks: all masks.
      mask_values: the value of class 0, 1, ...; None if they shall be seen from the masks: 0 and 1, 0 and 255, or
        0, 1, 2, ... without gaps.

    Returns:
      uint8 [256], the class of every value, and the names of the classes.

    Raises:
      ValueError: a value that is no class.
    """
    seen: dict[int, Path] = {}
    for file, read in masks.items():
        for value in np.flatnonzero(read.present).tolist():
            seen.setdefault(value, file)
    found = sorted(seen)
    listed = ", ".join(map(str, found[:_SHOWN])) + (", ..." if len(found) > _SHOWN else "")
    if mask_values is None:
        if found[-1] == 255 and set(found) <= {0, 255}:
            order = [0, 255]
        elif found == list(range(len(found))) and len(found) <= MOST_CLASSES:
            order = list(range(max(2, len(found))))
        else:
            raise ValueError(
                f"The masks have the values {listed}, not 0 and 1, 0 and 255, or 0, 1, 2, ...; "
                f"{_advice(masks, found, seen)}."
            )
    else:
        order = [int(value) for value in mask_values]
        if len(set(order)) != len(order) or not 2 <= len(order) <= MOST_CLASSES or not all(0 <= v < 256 for v in order):
            raise ValueError(
                f"--mask_values must be 2 to {MOST_CLASSES} different numbers from 0 to 255, the background's first, "
                f"not {','.join(map(str, order))}."
            )
        unknown = [value for value in found if value not in order]
        if unknown:
            raise ValueError(
                f"The mask {seen[unknown[0]]} has the value {unknown[0]}, which is not among --mask_values="
                f"{','.join(map(str, order))}; the masks have {listed}."
            )
    classes = np.zeros(256, np.uint8)
    classes[order] = np.arange(len(order))
    if len(order) == 2:
        return classes, ("background", "foreground")
    return classes, ("background", *(f"value_{value}" for value in order[1:]))


def nearest(values: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Returns a mask as uint8 [side, side], resized by nearest neighbour."""
    return np.asarray(Image.fromarray(values).resize((side, side), Image.Resampling.NEAREST))


def _opened(file: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is above Pillow's
            opened = Image.open(file)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} cannot be read ({error}).") from None
    problem = too_many_pixels(*opened.size)
    if not problem and getattr(opened, "n_frames", 1) > 1:
        problem = "it has several pages; save each slice as a file of its own"
    if problem:
        opened.close()
        raise ValueError(f"{file} cannot be used ({problem}).")
    return opened


def _or_complaint(file: Path, read: Callable[[Image.Image], Any]) -> Any:
    try:
        with _opened(file) as opened:
            return read(opened)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        return str(error)
