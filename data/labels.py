"""The labels a run trains on, and, kept apart by a type, the true ones for diagnostics.

Only `NoisyLabels.given` is meant for training. The true labels hide in `DiagnosticLabels`, which is no array and
refuses to become one, so that handing them to a model by mistake fails; `reveal` is the one way in and easy to
search for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from data import human_noise, noise, seeding
from data.label_files import LabelsFile, positions_of_run, read_labels_file

__all__ = [
    "NOISE_TYPES",
    "DiagnosticLabels",
    "LabelledImages",
    "LabelsFile",
    "NoisyLabels",
    "corrupt",
    "from_file",
    "positions_of_run",
    "read_labels_file",
    "subset",
]

NOISE_TYPES: tuple[str, ...] = noise.NOISE_TYPES + tuple(
    human_noise.PREFIX + kind for kinds in human_noise.KINDS.values() for kind in kinds
)


class LabelledImages(Protocol):
    """What deciding labels needs of n images: `image_dataset.Split`, or images that stay on the disk."""

    @property
    def labels(self) -> npt.NDArray[np.int32]: ...

    @property
    def ids(self) -> npt.NDArray[np.int64]: ...

    @property
    def labels_are_true(self) -> bool: ...

    def __len__(self) -> int: ...


class _Divisible(LabelledImages, Protocol):
    def take(self: _Images, positions: npt.ArrayLike, /) -> _Images: ...


_Images = TypeVar("_Images", bound=_Divisible)


class DiagnosticLabels:
    """True labels of n training images, for reports only."""

    __slots__ = ("_labels",)

    def __init__(self, labels: npt.ArrayLike) -> None:
        """Copies `labels`, integers of shape [n]."""
        self._labels = np.array(labels, np.int32)
        self._labels.flags.writeable = False

    def __len__(self) -> int:
        return len(self._labels)

    def __array__(self, *_: object, **__: object) -> npt.NDArray[np.int32]:
        raise TypeError("True labels are for diagnostics and no training labels; where they are meant, call reveal().")

    def is_clean(self, given: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Returns bool [n]: where `given`, integers [n], is the true label.

        Raises:
          ValueError: `given` has another shape.
        """
        array = np.asarray(given)
        if array.shape != self._labels.shape:
            raise ValueError(f"There are {array.shape} given labels but {self._labels.shape} true ones.")
        return array == self._labels

    def reveal(self) -> npt.NDArray[np.int32]:
        """Returns the true labels, int32 [n], read-only."""
        return self._labels


@dataclass(frozen=True, eq=False)
class NoisyLabels:
    """The labels of n training images and where they come from.

    Attributes:
      given: int32 [n], read-only, what is trained on.
      clean: the true labels; None where nobody knows them.
      noise_type: one of NOISE_TYPES, or "file" for labels people brought.
      noise_fraction: the fraction asked for; for human labels and files that do not say, the share of wrong labels
        where the truth is known, else 0.
      seed: of the noise; 0 where no random numbers were drawn.
    """

    given: npt.NDArray[np.int32]
    clean: DiagnosticLabels | None
    noise_type: str
    noise_fraction: float
    seed: int = 0

    def __post_init__(self) -> None:
        given = np.array(self.given, np.int32)
        given.flags.writeable = False
        object.__setattr__(self, "given", given)
        if self.clean is not None and len(self.clean) != len(given):
            raise ValueError(f"There are {len(given)} given labels but {len(self.clean)} true ones.")

    def __len__(self) -> int:
        return len(self.given)

    @property
    def clean_known(self) -> bool:
        """Whether `is_clean` means anything."""
        return self.clean is not None

    @property
    def is_clean(self) -> npt.NDArray[np.bool_]:
        """bool [n], where the given label is the true one; all True where the truth is unknown."""
        return np.ones(len(self.given), bool) if self.clean is None else self.clean.is_clean(self.given)

    @property
    def facts(self) -> dict[str, str | int | float]:
        """Where the labels come from, as it is saved beside them."""
        known: dict[str, str | int | float] = {
            "noise_type": self.noise_type,
            "noise_fraction": self.noise_fraction,
            "noise_seed": self.seed,
        }
        return known if self.noise_class is None else {**known, "noise_class": self.noise_class}

    @property
    def noise_class(self) -> int | None:
        """The class that background noise gave, None for other noise or where it changed no label."""
        if self.noise_type != "background" or self.clean is None:
            return None
        given = np.unique(self.given[~self.is_clean])
        return int(given[0]) if given.size == 1 else None

    @property
    def actual_noise_rate(self) -> float | None:
        """Share of given labels that are wrong, in [0, 1]; None where the truth is unknown."""
        return None if self.clean is None else noise.actual_rate(self.given, self.clean.reveal())


def corrupt(
    split: LabelledImages,
    noise_type: str,
    noise_fraction: float,
    num_classes: int,
    *,
    seed: int,
    dataset_name: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    human_labels_file: str | os.PathLike[str] | None = None,
    variant: noise.Variant = "paper",
    background_class: int | None = None,
) -> NoisyLabels:
    """Decides the labels a split is trained with.

    The labels of the split count as the truth, with one exception: those of a folder (`labels_are_true` False) left
    as they are, with noise "none". If noise is injected into a folder, clean means: not altered by us.

    Args:
      split: training images.
      noise_type: one of NOISE_TYPES.
      noise_fraction: in [0, 1]; unused with "none" and human labels.
      num_classes: labels are in [0, num_classes).
      seed: 0 or more.
      dataset_name: for asymmetric and human noise; a prefix "tfds:" does not matter.
      data_dir: beside or inside which human labels are looked for.
      human_labels_file: the file, or its folder, with human labels.
      variant: see `noise.uniform` and `noise.background`.
      background_class: see `noise.background`.

    Raises:
      FileNotFoundError: human labels that are not there.
      ValueError: an argument outside its range, or human labels that do not fit the data set.
    """
    name = None if dataset_name is None else dataset_name.removeprefix("tfds:")
    if noise_type.startswith(human_noise.PREFIX):
        kind = noise_type.removeprefix(human_noise.PREFIX)
        given = human_noise.aligned(
            name or "an unnamed data set", kind, split.ids, split.labels, human_labels_file, data_dir=data_dir
        )
        return NoisyLabels(given, DiagnosticLabels(split.labels), noise_type, noise.actual_rate(given, split.labels))
    if noise_type not in NOISE_TYPES:
        raise ValueError(f"The noise type is {noise_type!r}, but may be {', '.join(NOISE_TYPES)}.")
    given = noise.inject(
        noise_type,
        split.labels,
        noise_fraction,
        num_classes,
        seed=seed,
        dataset_name=name,
        variant=variant,
        background_class=background_class,
    )
    if noise_type == "none":
        return NoisyLabels(given, DiagnosticLabels(given) if split.labels_are_true else None, "none", 0.0, seed)
    return NoisyLabels(given, DiagnosticLabels(split.labels), noise_type, noise_fraction, seed)


def from_file(path: str | os.PathLike[str], split: LabelledImages, num_classes: int) -> NoisyLabels:
    """Reads the labels a split is trained with from labels.npz of a run, or from a csv.

    The truth is what the file says, else the labels of the split where they count as true.

    Args:
      path: see `data.label_files`.
      split: training images; their `ids` are what `index` in the file refers to.
      num_classes: labels are in [0, num_classes).

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a file that cannot be read or does not fit the split.
    """
    stored = read_labels_file(path, len(split), num_classes, ids=split.ids)
    clean = split.labels if stored.clean is None and split.labels_are_true else stored.clean
    if clean is not None and split.labels_are_true and not np.array_equal(clean, split.labels):
        raise ValueError(f"The clean labels in {path} are not those of the images: it was made for another data set.")
    rate = 0.0 if clean is None else noise.actual_rate(stored.given, clean)
    return NoisyLabels(
        stored.given,
        None if clean is None else DiagnosticLabels(clean),
        str(stored.facts.get("noise_type", "file")),
        float(_number(stored, "noise_fraction", rate)),
        int(_number(stored, "noise_seed", 0)),
    )


def _number(stored: LabelsFile, fact: str, default: float) -> float:
    value = stored.facts.get(fact)
    return value if isinstance(value, (int, float)) else default


def subset(split: _Images, n: int, seed: int) -> _Images:
    """Returns n images drawn at random without replacement, in their original order.

    The draw depends on (len(split), n, seed) alone, not on labels.

    Raises:
      ValueError: n is larger than the split, or smaller than its number of classes.
    """
    classes = np.unique(split.labels).size
    if not classes <= n <= len(split):
        raise ValueError(
            f"A subset of {n} training images was asked for, but there are {len(split)} images of {classes} classes: "
            f"it has to be {classes} to {len(split)}."
        )
    return split.take(np.sort(seeding.generator(seed, "subset").permutation(len(split))[:n]))
