"""suspects.png: the most suspect training samples on one sheet, for a person to look at.

Drawn with Pillow pixel by pixel, since most data sets have pictures of 8 to 32 pixels that a plotting library would
blur. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mentornet import files
from mentornet.runs.samples import check_names

_WRONG, _RIGHT, _INK, _FAINT = "#d55e00", "#9aa5b1", "#1b1f24", "#5c6670"  # orange and grey: told apart by everybody
_LONGEST = 1000  # letters
_GAP, _BORDER, _LINE, _HEAD = 14, 5, 17, 72  # pixels


def suspect_sheet(
    path: str | os.PathLike[str],
    images: np.ndarray | Sequence[np.ndarray],
    *,
    given: np.ndarray,
    predicted: np.ndarray,
    mean_weight: np.ndarray,
    mean_probability: np.ndarray | None = None,
    loss: np.ndarray | None = None,
    index: np.ndarray | None = None,
    clean: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
    title: str = "",
    columns: int = 8,
) -> None:
    """Draws samples as a sheet of captioned pictures, in the order given (`samples.top_suspects`), as a PNG.

    Under each picture: its position in the data set and the figure that ranks it (the first that is known of
    probability, weight and loss), the given and the predicted label, the true one
    if `clean` is known, and the name of its file; samples whose given label is known to be wrong have a thick orange
    frame.

    Args:
      path: the PNG; replaced all at once.
      images: uint8 [k, h, w, c], or k arrays [h, w, c], with c = 1, 3 or 4 or left out; small ones are enlarged.
      given: int [k], the labels trained on.
      predicted: int [k], the student's answers.
      mean_weight: float [k], NaN where unknown.
      mean_probability: float [k], of the given labels, where suspects are ranked by it; NaN: not met.
      loss: float [k], of the trained student.
      index: int [k], shown as "#index".
      clean: int [k], the true labels.
      class_names: name of every label; numbers are shown without.
      paths: k files, shown by their names without folders.
      title: second half of the headline, such as what was run.
      columns: pictures a row.

    Raises:
      ValueError: images that are not uint8 or of another shape, arrays of other lengths, a label without a name.
      RunFolderError: the file cannot be written.
    """
    pictures = [_as_picture(image) for image in images]
    facts: dict[str, np.ndarray | Sequence[str] | None] = {
        "given": given, "predicted": predicted, "mean_weight": mean_weight, "index": index, "clean": clean,
        "paths": paths, "mean_probability": mean_probability, "loss": loss,
    }  # fmt: skip
    for fact, values in facts.items():
        if values is not None and len(values) != len(pictures):
            raise ValueError(f"{len(pictures)} images need as many values of {fact!r}; there are {len(values)}.")
        if values is not None and class_names is not None and fact in ("given", "predicted", "clean"):
            check_names(np.asarray(values), class_names)

    side = 160 if max((max(picture.size) for picture in pictures), default=0) <= 64 else 192
    tile = side + 2 * _BORDER
    captions = 3 + (clean is not None) + (paths is not None)
    step_x, step_y = tile + _GAP, tile + captions * _LINE + _GAP + 6
    rows = max(1, -(-len(pictures) // columns))
    sheet = Image.new("RGB", (columns * step_x + _GAP, _HEAD + rows * step_y), "white")
    draw = ImageDraw.Draw(sheet)
    note, figure, ranking = _ranking(mean_weight, mean_probability, loss)
    if clean is not None:
        wrong = int(np.sum(np.asarray(clean) != np.asarray(given)))
        note += f"; orange frame: the given label is really wrong ({wrong} of {len(pictures)})"
    headline = "Most suspect labels" + (f": {title}" if title else "")
    _write(draw, (_GAP, 12), headline, _font(20, bold=True), _INK, sheet.width - 2 * _GAP)
    _write(draw, (_GAP, 41), note, _font(13), _FAINT, sheet.width - 2 * _GAP)

    for k, picture in enumerate(pictures):
        left, top = _GAP + k % columns * step_x, _HEAD + k // columns * step_y
        is_wrong = clean is not None and bool(clean[k] != given[k])
        frame = (left, top, left + tile - 1, top + tile - 1)
        draw.rectangle(frame, outline=_WRONG if is_wrong else _RIGHT, width=_BORDER if is_wrong else 1)
        picture = _scaled(picture, side)
        sheet.paste(picture, (left + (tile - picture.width) // 2, top + (tile - picture.height) // 2))

        number = f"#{index[k]}" if index is not None else ""
        lines = [
            (f"{number}  {_figure(figure, float(ranking[k]))}".strip(), False, _FAINT),
            (f"given: {_name(given[k], class_names)}", True, _WRONG if is_wrong else _INK),
            (f"predicted: {_name(predicted[k], class_names)}", False, _INK),
        ]
        if clean is not None:
            lines.append((f"true: {_name(clean[k], class_names)}", False, _INK))
        if paths is not None:
            lines.append((_file_name(paths[k]), False, _FAINT))
        for row, (line, bold, colour) in enumerate(lines):
            _write(draw, (left, top + tile + 3 + row * _LINE), line, _font(13, bold), colour, tile + 4)
    with files.replacing(path) as stream:
        sheet.save(stream, format="png")


def _as_picture(image: np.ndarray) -> Image.Image:
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (3, 4))):
        raise ValueError(
            f"An image for the sheet must be uint8 [h, w, c] with c = 1, 3 or 4; it is {image.dtype} {image.shape}."
        )
    return Image.fromarray(image).convert("RGB")


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    """Fits a picture into a square: by a whole factor with sharp pixels when enlarging, smoothly when reducing."""
    factor = side / max(picture.size)
    method = Image.Resampling.LANCZOS
    if factor >= 1:
        factor, method = int(factor), Image.Resampling.NEAREST
    width, height = (max(1, round(length * factor)) for length in picture.size)
    return picture.resize((width, height), method)


@functools.cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as it comes with matplotlib: the same on every machine, and with letters of many scripts."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    font: ImageFont.FreeTypeFont,
    colour: str,
    width: int,
) -> None:
    """Writes one line of text, cut with an ellipsis where it is wider than `width` pixels."""
    text = one_line(text)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text = text.rstrip() + "…"
    draw.text(place, text, fill=colour, font=font)


def _name(label: int, class_names: Sequence[str] | None) -> str:
    return str(class_names[label] if class_names is not None else label)


def one_line(text: str) -> str:
    """A text in one line, without what can't be printed, and not longer than anybody reads."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST])
    return " ".join(shown.split())


def _file_name(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def _ranking(
    mean_weight: np.ndarray, mean_probability: np.ndarray | None, loss: np.ndarray | None
) -> tuple[str, str, np.ndarray]:
    """What suspects are ranked by: in a sentence, in a word, and the figures."""
    if mean_probability is not None and np.isfinite(mean_probability).any():
        known = mean_probability
        if loss is not None:  # of a sample that was never met, as ``rank_suspects`` has it
            known = np.where(np.isfinite(known), known, np.exp(-loss))
        return "lowest mean probability of the given label first", "probability", known
    if np.isfinite(mean_weight).any():
        return "lowest mean weight at the end of training first", "weight", mean_weight
    return "highest loss first", "loss", np.full(len(mean_weight), np.nan) if loss is None else loss


def _figure(name: str, value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{name} < 0.001" if 0 < value < 0.001 else f"{name} {value:.3f}"
