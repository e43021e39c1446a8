"""Measures how wrong masks become under each kind of noise, and draws some of them.

    python scripts/mask_noise_table.py --output=docs/results/mask_noise.csv --picture=docs/images/mask_noise.png

A row is a generated data set, a size of slices, a kind of noise and a seed, with the mean Dice of the noisy masks
against the right ones over the 37 training cases, and for the levels of L2B the paper's number beside it. The picture
has slices of both data sets with the right border in red and the noisy one in yellow, a row a kind of noise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data import segmentation
from data.segmentation import noise
from scripts import csv_table

KINDS = {
    "phantoms": ("l1", "l2", "l3", "dilate:5", "erode:5", "shift:10"),
    "brain_template": ("l1", "l2", "l3", "l2:0.2", "dilate:2", "erode:1", "shift:5"),
}
SHOWN = {"phantoms": ("l1", "l2", "l3"), "brain_template": ("l2:0.2", "dilate:2", "shift:5")}
HEADINGS = {
    "phantoms": ("--mask_noise", *(f"phantom {number}" for number in range(1, 5))),
    "brain_template": ("--mask_noise", "brain, axial", "brain, coronal", "brain, sagittal", "brain, axial"),
}
HEADING, FONT = 28, 16
COLUMNS = ("dataset", "image_size", "mask_noise", "seed", "cases", "slices", "dice", "empty_slices", "paper_dice")


def rows(name: str, size: int, seed: int) -> list[dict[str, str | float]]:
    """The rows of a data set."""
    slices = segmentation.load(name, image_size=size, seed=seed, num_cases=(37, 0, 1)).train
    found = []
    for kind in KINDS[name]:
        given = slices.with_masks(noise.corrupted(slices, noise.parse(kind), seed=seed))
        dice = noise.dice_of_given(given)
        empty = float((~given.masks.any((1, 2))).mean())
        paper = noise.PAPER_DICE.get(kind, "") if name == "phantoms" else ""
        values = (name, size, kind, seed, 37, len(slices), round(dice or 0.0, 4), round(empty, 4), paper)
        found.append(dict(zip(COLUMNS, values, strict=True)))
        print(" ".join(map(str, values)), flush=True)
    return found


def picture() -> Image.Image:
    """A row of slices for each kind of noise that is shown, with its name; above each data set what its columns are."""
    lines = []
    for name, kinds in SHOWN.items():
        slices = segmentation.load(name, num_cases=(len(HEADINGS[name]) - 1, 0, 1)).train
        depth = np.array([slices.volumes[case].shape[0] for case in slices.cases])
        middle = slices.take(np.flatnonzero(slices.slices == depth // 2))
        lines.append(np.concatenate([written(text, HEADING) for text in HEADINGS[name]], axis=1))
        for kind in kinds:
            given = noise.corrupted(middle, noise.parse(kind), seed=0)
            row = [
                outlined(image[..., 0], right, noisy)
                for image, right, noisy in zip(middle.images, middle.masks, given, strict=True)
            ]
            lines.append(np.concatenate([written(kind, len(row[0])), *row], axis=1))
    # Few colours, as noise hardly compresses.
    return Image.fromarray(np.concatenate(lines)).quantize(32, dither=Image.Dither.NONE)


def written(text: str, height: int, width: int = segmentation.IMAGE_SIZE) -> npt.NDArray[np.uint8]:
    """A white field with a text in its middle, uint8 [height, width, 3]."""
    found = Image.new("RGB", (width, height), "white")
    place = (width / 2, height / 2)
    ImageDraw.Draw(found).multiline_text(
        place, text, "black", ImageFont.load_default(FONT), anchor="mm", align="center"
    )
    return np.asarray(found)


def outlined(image: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8], noisy: npt.NDArray[np.uint8]) -> npt.NDArray:
    """A grey slice in colours: the border of the right mask in red, that of the noisy one in yellow."""
    pixels = np.repeat(image[..., np.newaxis], 3, axis=-1)
    for mask, colour in ((right > 0, (230, 50, 50)), (noisy > 0, (255, 220, 0))):
        pixels[mask & ~ndimage.binary_erosion(mask)] = colour
    return pixels


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="the csv")
    parser.add_argument("--picture", type=Path, help="the picture")
    chosen = parser.parse_args()
    try:
        if chosen.output:
            found = [
                row
                for name, sizes in (("phantoms", (144, 64)), ("brain_template", (144,)))
                for size in sizes
                for seed in (0, 1)
                for row in rows(name, size, seed)
            ]
            csv_table.write(chosen.output, found, COLUMNS)
        if chosen.picture:
            picture().save(chosen.picture, optimize=True)
    except (OSError, ModuleNotFoundError) as error:
        sys.exit(f"mask_noise_table.py: {error}")


if __name__ == "__main__":
    main()
