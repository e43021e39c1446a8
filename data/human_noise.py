"""CIFAR-N: the labels that people gave to the CIFAR training images (Wei et al., ICLR 2022).

Files cifar10_n.npz and cifar100_n.npz hold one integer vector a kind of label, and `clean`, each with 50,000
entries in the original training order. The labels come under a non-commercial licence and are not part of this
repository; BUILD.md says how to get them.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.label_files import read_npz

PREFIX = "human:"
KINDS: dict[str, tuple[str, ...]] = {
    "cifar10": ("aggregate", "worse", "random1", "random2", "random3"),
    "cifar100": ("noisy",),
}

_NUM_IMAGES = 50_000


def load(
    dataset_name: str,
    kind: str,
    path: str | os.PathLike[str] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Reads one kind of human label and the published clean labels.

    Args:
      dataset_name: "cifar10" or "cifar100".
      kind: one of KINDS[dataset_name].
      path: the npz file, or the folder that holds it. None looks in <data_dir>/../cifar_n and <data_dir>/cifar_n.
      data_dir: where prepared data sets are.

    Returns:
      (human, clean), both int32 [50000], in the original training order.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: no human labels of this kind exist, or the file is not what it should be.
    """
    if dataset_name not in KINDS:
        raise ValueError(f"Human labels exist for {' and '.join(KINDS)}, not for {dataset_name}.")
    if kind not in KINDS[dataset_name]:
        allowed = ", ".join(PREFIX + name for name in KINDS[dataset_name])
        raise ValueError(f"The human labels of {dataset_name} are {allowed}, not {PREFIX}{kind}.")
    file = _find(f"{dataset_name}_n.npz", path, data_dir)
    arrays = read_npz(file)
    found = []
    for name in (kind, "clean"):
        if name not in arrays:
            raise ValueError(f"{file} has no array {name!r}, only {', '.join(arrays) or 'nothing'}.")
        if arrays[name].shape != (_NUM_IMAGES,) or not np.issubdtype(arrays[name].dtype, np.integer):
            raise ValueError(
                f"Array {name!r} of {file} has to hold {_NUM_IMAGES} integers, but is {arrays[name].dtype} of shape "
                f"{arrays[name].shape}."
            )
        found.append(arrays[name].astype(np.int32))
    return found[0], found[1]


def aligned(
    dataset_name: str,
    kind: str,
    ids: npt.ArrayLike,
    clean: npt.ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> npt.NDArray[np.int32]:
    """Returns the human labels of the images with these original indices.

    Args:
      dataset_name: "cifar10" or "cifar100".
      kind: one of KINDS[dataset_name].
      ids: int [n], original training index of every image.
      clean: int [n], the data set's own label of every image, against which the alignment is checked.
      path: the npz file or its folder, as in `load`.
      data_dir: where prepared data sets are, as in `load`.

    Returns:
      int32 [n].

    Raises:
      FileNotFoundError, ValueError: as in `load`.
      ValueError: the file's clean labels are not those of the data set, so its order is another one.
    """
    human, published = load(dataset_name, kind, path, data_dir=data_dir)
    index = np.asarray(ids, np.int64)
    in_range = index.size == 0 or (index.min() >= 0 and index.max() < _NUM_IMAGES)
    if not in_range or not np.array_equal(published[index], clean):
        raise ValueError(
            f"The clean labels that come with the human labels are not those of the images of {dataset_name}: "
            "the file, or the prepared data set, is not in the original order."
        )
    return human[index]


def _find(name: str, path: str | os.PathLike[str] | None, data_dir: str | os.PathLike[str] | None) -> Path:
    if path is not None:
        given = Path(path).expanduser()
        candidates = [given / name if given.is_dir() else given]
    elif data_dir is not None:
        root = Path(data_dir).expanduser()
        candidates = [root.parent / "cifar_n" / name, root / "cifar_n" / name]
    else:
        candidates = []
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = f"not at {' or '.join(str(candidate) for candidate in candidates)}" if candidates else "no place was given"
    raise FileNotFoundError(f"The human labels {name} were not found ({looked}); name the file that holds them.")
