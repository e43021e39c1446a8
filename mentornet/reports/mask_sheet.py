"""suspects.png of a segmentation: image, given mask, prediction and weight maps of the most suspect slices, row by row.

The given mask is outlined in yellow, the student's in blue, the true one, where known, in red (the colours of L2B's
figure 5). A white box marks the largest region in which the student contradicts the given mask. Nothing here imports
TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from mentornet import files
from mentornet.reports.suspects import _FAINT, _INK, _font, _write

YELLOW, BLUE, RED, WHITE = (255, 221, 0), (64, 160, 255), (255, 60, 60), (255, 255, 255)
_GAP, _LINE, _HEAD, _SIDE = 10, 17, 92, 176


def mask_sheet(
    path: str | os.PathLike[str],
    *,
    images: np.ndarray,
    given: np.ndarray,
    predicted: np.ndarray,
    true: np.ndarray | None,
    maps: Mapping[str, np.ndarray],
    boxes: np.ndarray,
    captions: Sequence[str],
    title: str = "",
) -> None:
    """Draws slices as rows of panels, in the order given, as a PNG.

    Args:
      path: the PNG; replaced all at once.
      images: uint8 [k, h, w, c], c = 1 or 3; with other channels the first is shown.
      given: int [k, h, w], masks as given.
      predicted: int [k, h, w], the student's.
      true: int [k, h, w]; None if unknown.
      maps: name -> float [k, h, w], not negative, shown from black (0) to white (the highest of the slice).
      boxes: int [k, 4], (top, left, bottom, right); all 0 for none.
      captions: a line a slice.
      title: second half of the headline.
    """
    panels = ["image", "given mask", "prediction", *(["true mask"] if true is not None else []), *maps]
    step_x, step_y = _SIDE + _GAP, _SIDE + _GAP + _LINE
    width = max(len(panels) * step_x + _GAP, 560)
    sheet = Image.new("RGB", (width, _HEAD + max(1, len(images)) * step_y), "white")
    draw = ImageDraw.Draw(sheet)
    headline = "Most suspect masks" + (f": {title}" if title else "")
    _write(draw, (_GAP, 12), headline, _font(20, bold=True), _INK, width - 2 * _GAP)
    note = "yellow: given, blue: the student's" + (", red: true" if true is not None else "")
    note += "; white box: where the student contradicts the given mask most; maps: black is no weight"
    _write(draw, (_GAP, 41), note, _font(13), _FAINT, width - 2 * _GAP)
    for number, panel in enumerate(panels):
        _write(draw, (_GAP + number * step_x, 68), panel, _font(14, bold=True), _INK, _SIDE)
    for k, image in enumerate(images):
        grey = _as_rgb(image)
        pictures = [grey, outlined(grey, given[k], YELLOW), outlined(grey, predicted[k], BLUE)]
        if true is not None:
            pictures.append(outlined(outlined(grey, true[k], RED), given[k], YELLOW))
        pictures += [_as_map(values[k]) for values in maps.values()]
        top = _HEAD + k * step_y
        for number, picture in enumerate(pictures):
            shown = _enlarged(picture, boxes[k] if number in (1, 2) else None)
            sheet.paste(shown, (_GAP + number * step_x, top + _LINE))
        _write(draw, (_GAP, top), captions[k], _font(13), _INK, width - 2 * _GAP)
    with files.replacing(path) as stream:
        sheet.save(stream, format="png")


def outlined(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A picture uint8 [h, w, 3] with the inner border of every class of a mask int [h, w] but 0 in a colour."""
    padded = np.pad(mask, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    border = (mask > 0) & np.any([other != mask for other in neighbours], axis=0)
    drawn = picture.copy()
    drawn[border] = colour
    return drawn


def _as_rgb(image: np.ndarray) -> np.ndarray:
    return image if image.shape[-1] == 3 else np.repeat(image[..., :1], 3, axis=-1)


def _as_map(values: np.ndarray) -> np.ndarray:
    """Square roots, so that small weights differ from none to the eye."""
    highest = float(values.max())
    grey = np.sqrt(np.clip(values / highest, 0, 1)) if highest > 0 else np.zeros_like(values)
    return np.repeat((255 * grey).astype(np.uint8)[..., np.newaxis], 3, axis=-1)


def _enlarged(picture: np.ndarray, box: np.ndarray | None) -> Image.Image:
    height, width = picture.shape[:2]
    scale = _SIDE / max(height, width)
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    shown = Image.fromarray(picture).resize((round(width * scale), round(height * scale)), method)
    if box is not None and box.any():
        top, left, bottom, right = (round(float(side) * scale) for side in box)
        ImageDraw.Draw(shown).rectangle((left, top, right - 1, bottom - 1), outline=WHITE)
    return shown
