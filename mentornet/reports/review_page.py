"""review.html: one file in which a person looks at suspect labels and decides, in a browser, without a server.

Everything is inside the page: pictures as data, the script and the style, which a content-security policy names by
their hashes, so that nothing else can run and no connection can be opened. Names of classes and files are data to the
script, and text to the template, never HTML. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mentornet import files
from mentornet.runs.samples import check_names

_PAGE = Path(__file__).parent / "page"
_SIDE = 128  # pixels of a card's picture; larger images are reduced to it
_KEPT_AS_PNG = 64  # up to this side, where a JPEG would blur and save nothing


def review(
    suspects: Mapping[str, npt.ArrayLike],
    images: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    paths: Sequence[str | os.PathLike[str]] | None = None,
    output: str | os.PathLike[str] = "review.html",
    top: int = 500,
    title: str = "",
) -> Path:
    """Writes the review page of one's own data, such as of what ``model.suspects()`` gives.

    Args:
      suspects: columns [n] "index", "given", "predicted" and "rank" (1: the most suspect), and, where they are known,
        "loss", "mean_probability" and "weight".
      images: all images by index, uint8 [n, h, w, c] or n arrays [h, w, c]; floats count as 0 to 1, or to 255 where one
        is above 1, and are stretched where one is negative. None: from the files `paths`.
      class_names: name of every class; numbers are shown without.
      paths: the file of every image, by index; the page links to it.
      output: the page; replaced all at once.
      top: how many of the most suspect ones are in it.
      title: of the page.

    Returns:
      Where the page is.

    Raises:
      ValueError: columns missing or of different lengths, labels without a name, no suspects.
      RunFolderError: (a ValueError) the page cannot be written.
    """
    columns = {name: np.asarray(values) for name, values in suspects.items()}
    missing = [name for name in ("index", "given", "predicted", "rank") if name not in columns]
    if missing:
        raise ValueError(f"The suspects have no column {missing[0]!r}: give what model.suspects() returns.")
    target = Path(output)
    order = np.argsort(columns["rank"], kind="stable")[:top]
    index = columns["index"][order]
    shown = [str(paths[i]) for i in index] if paths is not None else None
    pictures: list[bytes | None]
    if images is not None:
        pictures = [thumbnail(_as_bytes(images[i])) for i in index]  # type: ignore[index]
    else:
        pictures = [thumbnail_of_file(Path(path)) for path in shown] if shown else [None] * len(index)
    names = None if class_names is None else [str(name) for name in class_names]
    links = None if shown is None else [link(Path(path), target.parent) for path in shown]
    columns = {name: values[order] for name, values in columns.items()}
    return write(
        target,
        columns,
        pictures,
        names,
        shown,
        links,
        title=title or "own model",
        facts=f"{len(order):,} of {len(np.asarray(suspects['index'])):,} images",
        total=len(np.asarray(suspects["index"])),
    )


def write(
    target: Path,
    columns: Mapping[str, np.ndarray],
    pictures: Sequence[bytes | None],
    class_names: Sequence[str] | None,
    paths: Sequence[str] | None,
    links: Sequence[str | None] | None,
    *,
    title: str,
    facts: str,
    total: int,
    key: str | None = None,
) -> Path:
    """Writes the page.

    Args:
      target: the file.
      columns: of the suspects [k], in their order: "index", "given", "predicted", "rank", and, where they are known,
        "loss", "mean_probability" and "weight".
      pictures: PNG or JPEG files [k], None where there is none.
      class_names: name of every class.
      paths: their files [k], as corrections.csv shall name them.
      links: where the files are, seen from the page.
      title: the headline.
      facts: the line below it.
      total: how many images there are in all.
      key: under which the browser keeps what was decided; default: from the suspects.

    Raises:
      ValueError: no suspects, columns of different lengths, or a label without a name.
      RunFolderError: the file cannot be written.
    """
    import jinja2  # not needed by those who only train

    count = len(columns["index"])
    if not count:
        raise ValueError("There is no suspect to review.")
    labels = np.concatenate([columns["given"], columns["predicted"]])
    if class_names is None:
        class_names = [str(label) for label in range(int(labels.max()) + 1)]
    check_names(labels, class_names)
    for name, values in {**columns, "pictures": pictures, "paths": paths, "links": links}.items():
        if values is not None and len(values) != count:
            raise ValueError(f"{count} suspects need as many values of {name!r}; there are {len(values)}.")
    told = {name: np.asarray(columns.get(name, np.full(count, np.nan)), np.float64) for name in _NUMBERS}
    rows = [
        [
            *(int(columns[name][k]) for name in ("index", "given", "predicted")),
            *(_rounded(told[name][k]) for name in _NUMBERS),
            int(columns["rank"][k]),
            _as_uri(pictures[k]),
            None if paths is None else paths[k],
            None if links is None else links[k],
        ]
        for k in range(count)
    ]
    digest = hashlib.sha256(repr([row[:3] for row in rows]).encode()).hexdigest()
    payload = {
        "key": key or digest,
        "classes": list(class_names),
        "rows": rows,
        "total": int(total),
        "hasPaths": paths is not None,
    }
    style = (_PAGE / "review.css").read_text(encoding="utf-8")
    script = "".join((_PAGE / name).read_text(encoding="utf-8") for name in ("review.js", "start.js"))
    loader = jinja2.FileSystemLoader(_PAGE)
    environment = jinja2.Environment(autoescape=True, loader=loader, undefined=jinja2.StrictUndefined)
    page = environment.get_template("review.html").render(
        policy=(
            f"default-src 'none'; script-src {_hashed(script)}; style-src {_hashed(style)}; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        ),
        style=style,
        script=script,
        title=title,
        facts=facts,
        payload=payload,
    )
    files.write_bytes(target, page.encode("utf-8", errors="replace"))
    return target


_NUMBERS = ("loss", "mean_probability", "weight")


def thumbnail(image: npt.ArrayLike) -> bytes:
    """A uint8 image [h, w, c] as a small PNG, or a JPEG where it is no tiny one."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return _encoded(Image.fromarray(array).convert("RGB"))


def thumbnail_of_file(path: Path) -> bytes | None:
    """The same of an image file; None where it can't be read, or has more pixels than Pillow allows."""
    if not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or 2**27):
                return None
            image.draft("RGB", (2 * _SIDE, 2 * _SIDE))  # JPEGs are decoded reduced
            return _encoded(_upright(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def link(path: Path, folder: Path) -> str | None:
    """How a page in a folder names a file, None where there is no such file."""
    from urllib.parse import quote

    if not path.is_file():
        return None
    try:
        return quote(Path(os.path.relpath(path, folder)).as_posix())
    except ValueError:  # another drive
        return path.resolve().as_uri()


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) or image


def _encoded(image: Image.Image) -> bytes:
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    if max(image.size) <= _KEPT_AS_PNG:
        image.save(stream, format="png")
    else:
        image.save(stream, format="jpeg", quality=82)
    return stream.getvalue()


def _as_bytes(image: npt.ArrayLike) -> np.ndarray:
    """An image in uint8, whatever it was given as."""
    array = np.asarray(image)
    if array.dtype == np.uint8:
        return array
    values = np.nan_to_num(array.astype(np.float64))
    if values.size and values.min() < 0:  # standardised: from the darkest to the brightest value
        values = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    scale = 255.0 if values.size and values.max() <= 1.0 else 1.0
    return np.clip(values * scale, 0, 255).astype(np.uint8)


def _as_uri(picture: bytes | None) -> str | None:
    if picture is None:
        return None
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _hashed(text: str) -> str:
    """How a content-security policy names a script or style by its content."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
