"""Where the images of a large data set are: files, or parts of files, with their labels.

An index holds no pixels: some 100 bytes an image, so that 2.4 million images need 0.3 GB.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from data.image_dataset import resized
from data.limits import too_many_pixels

_THUMBNAIL = 96


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """n encoded images (JPEG, PNG, BMP or GIF) with labels.

    Attributes:
      root: the folder file names are relative to.
      files: bytes [k], names of files.
      labels: int32 [n], in [0, number of classes).
      ids: int64 [n], position of each image in the source, without repetition.
      file: int32 [n], which file holds image i; None where each image is a file of its own, and k = n.
      offset, length: int64 [n], the bytes of image i in its file; None for whole files.
      labels_are_true: whether the source's labels count as the truth; False for data from the web and people's own.
    """

    root: Path
    files: npt.NDArray[np.bytes_]
    labels: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int64]
    file: npt.NDArray[np.int32] | None = None
    offset: npt.NDArray[np.int64] | None = None
    length: npt.NDArray[np.int64] | None = None
    labels_are_true: bool = True

    def __post_init__(self) -> None:
        parts = [part for part in (self.file, self.offset, self.length) if part is not None]
        if len(parts) not in (0, 3):
            raise ValueError("An index has all of file, offset and length, or none of them.")
        sizes = {len(self.labels), len(self.ids), *(len(part) for part in parts)}
        if not parts:
            sizes.add(len(self.files))
        if len(sizes) != 1:
            raise ValueError(f"The arrays of an index have different lengths: {sorted(sizes)}.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_records(self) -> bool:
        """Whether images are parts of larger files."""
        return self.offset is not None

    def take(self, positions: npt.ArrayLike) -> ImageIndex:
        """Returns the index of the images at these positions (integers in [0, n)), in the order given."""
        chosen = np.asarray(positions, np.int64)
        labels, ids = self.labels[chosen], self.ids[chosen]
        if self.file is None or self.offset is None or self.length is None:
            return replace(self, files=self.files[chosen], labels=labels, ids=ids)
        return replace(
            self, labels=labels, ids=ids,
            file=self.file[chosen], offset=self.offset[chosen], length=self.length[chosen],
        )  # fmt: skip

    def relabelled(self, labels: npt.NDArray[np.int32]) -> ImageIndex:
        """Returns the same images with these labels, int32 [n]."""
        return replace(self, labels=labels)

    def path(self, position: int) -> Path:
        """The file that holds an image."""
        number = position if self.file is None else int(self.file[position])
        return self.root / os.fsdecode(bytes(self.files[number]))

    def name(self, position: int) -> str:
        """What an image is called in the log of unreadable ones."""
        number = position if self.file is None else int(self.file[position])
        path = f"{self.root}/" + bytes(self.files[number]).decode("utf-8", errors="replace")
        return path if self.offset is None else f"{path} at byte {self.offset[position]}"

    def paths_at(self, positions: npt.ArrayLike) -> list[str] | None:
        """Returns the names of the files of these images, relative to the root; None where files hold many images."""
        if self.is_records:
            return None
        chosen = self.files[np.asarray(positions, np.int64)]
        return [bytes(name).decode(errors="backslashreplace") for name in chosen]

    def read(self, position: int) -> bytes:
        """The encoded image.

        Raises:
          OSError: the file cannot be read.
        """
        with self.path(position).open("rb") as stream:
            if self.offset is None or self.length is None:
                return stream.read()
            stream.seek(int(self.offset[position]))
            return stream.read(int(self.length[position]))

    def pictures(self, positions: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Returns uint8 [k, 96, 96, 3], thumbnails for reports; grey where an image cannot be read."""
        chosen = np.asarray(positions, np.int64)
        shown = np.full((len(chosen), _THUMBNAIL, _THUMBNAIL, 3), 128, np.uint8)
        for row, position in enumerate(chosen):
            try:
                with Image.open(io.BytesIO(self.read(int(position)))) as image:
                    if too_many_pixels(*image.size):
                        continue
                    image.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))
                    shown[row] = resized(image.convert("RGB"), _THUMBNAIL)
            # What Pillow raises depends on the format and on where the file is damaged.
            except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
                continue
        return shown

    def missing_files(self) -> list[Path]:
        """The files that are not there, in order; lists every folder once, which stays fast for millions of files."""
        there: dict[bytes, frozenset[bytes]] = {}
        missing = []
        root = os.fsencode(self.root)
        for name in map(bytes, self.files):
            folder, _, base = name.rpartition(b"/")
            if folder not in there:
                there[folder] = _listed(os.path.join(root, folder))
            if base not in there[folder]:
                missing.append(self.root / os.fsdecode(name))
        return missing


def _listed(folder: bytes) -> frozenset[bytes]:
    """Names in a folder; none if there is no such folder."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def file_names(names: list[str]) -> npt.NDArray[np.bytes_]:
    """Names as the array `ImageIndex.files` holds, with / between folders."""
    return np.array([os.fsencode(name.replace(os.sep, "/")) for name in names], np.bytes_)
