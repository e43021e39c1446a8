"""Two-class data with a rare class: L2RW's MNIST digits 4 (rare, class 0) against 9 (class 1), section 4.1.

N = 5,000 training images of which a share p are nines; a clean set of as many fours as nines comes out of these 5,000,
and methods without a clean set train on all of them. The balanced test set has 250 images of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data import seeding
from data.clean_set import CleanSet
from data.image_dataset import ImageDataset, Split

RARE, COMMON = 4, 9


@dataclass(frozen=True, eq=False)
class ImbalancedData:
    """One draw of the experiment's data; labels are 0 (rare) and 1 (common).

    Attributes:
      train: the imbalanced training images, without the clean set.
      clean: as many of each class, or None.
      test: as many of each class.
    """

    train: Split
    clean: CleanSet | None
    test: Split


def class_sizes(total: int, majority_share: float, clean_per_class: int = 0) -> tuple[int, int]:
    """Returns how many images of the rare and of the common class there are, the clean ones included.

    Raises:
      ValueError: a share outside [0.5, 1), or no image of the rare class is left beside the clean ones.
    """
    if not 0.5 <= majority_share < 1.0:
        raise ValueError(f"The share of the common class is {majority_share:g}, but has to be in [0.5, 1).")
    # The small offset keeps products such as 5000 * (1 - 0.995) from falling below the whole number they stand for.
    rare = int(total * (1.0 - majority_share) + 1e-6)
    common = int(total * majority_share + 1e-6)
    if rare < 1:
        raise ValueError(f"{total} images with a common share of {majority_share:g} leave none of the rare class.")
    if rare <= clean_per_class:
        raise ValueError(
            f"There are {rare} images of the rare class, and {clean_per_class} of them would be clean: none is "
            "left to train on."
        )
    return rare, common


def draw(
    dataset: ImageDataset,
    majority_share: float,
    *,
    seed: int,
    total: int = 5000,
    clean_per_class: int = 0,
    test_per_class: int = 250,
) -> ImbalancedData:
    """Draws training, clean and test images.

    With one seed the images of a class come in one order, so that another share or clean set changes as little as
    possible; clean images are the first of their class.

    Args:
      dataset: MNIST, or any data set with the classes 4 and 9.
      majority_share: p in [0.5, 1).
      seed: 0 or more.
      total: training images, the clean ones included.
      clean_per_class: 5 in the paper; 0 for methods without a clean set.
      test_per_class: images of each class to test on.

    Raises:
      ValueError: there are not enough images, or the clean set leaves none of the rare class.
    """
    sizes = class_sizes(total, majority_share, clean_per_class)
    chosen: list[npt.NDArray[np.int64]] = []
    held: list[npt.NDArray[np.int64]] = []
    tested: list[npt.NDArray[np.int64]] = []
    for digit, size in zip((RARE, COMMON), sizes, strict=True):
        available = np.flatnonzero(dataset.train.labels == digit)
        if len(available) < size:
            raise ValueError(
                f"There are {len(available)} training images of the {digit}, but {size} are needed for {total} in all."
            )
        order = available[seeding.generator(seed, f"imbalance/{digit}").permutation(len(available))]
        held.append(order[:clean_per_class])
        chosen.append(order[clean_per_class:size])
        in_test = np.flatnonzero(dataset.test.labels == digit)[:test_per_class]
        if len(in_test) < test_per_class:
            raise ValueError(f"There are {len(in_test)} test images of the {digit}, but {test_per_class} are needed.")
        tested.append(in_test)
    train = _binary(dataset.train, np.concatenate(chosen))
    clean = _binary(dataset.train, np.concatenate(held)) if clean_per_class else None
    return ImbalancedData(
        train,
        None if clean is None else CleanSet(clean.images, clean.labels, clean.ids),
        _binary(dataset.test, np.concatenate(tested)),
    )


def _binary(split: Split, positions: npt.NDArray[np.int64]) -> Split:
    part = split.take(positions)
    return Split(part.images, (part.labels == COMMON).astype(np.int32), part.ids)
