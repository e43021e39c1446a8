"""Synthetic label noise in NumPy: which wrong label each training image is given.

Every generator is a function of (labels, fraction, seed) alone, returns a new int32 array of the shape of
`labels` and leaves its input untouched. "Noise of 40%" means different things in different papers. With m
classes and fraction p:

  here               how many are drawn        new label                      share that really changes
  uniform            each with probability p   any class, own included        p (1 - 1/m)
  uniform, author    exactly int(p n)          classes 0..m-2, own included   about p (1 - 1/m)
  symmetric          exactly round(p n)        any other class                p
  pair               each with probability p   c + 1 mod m                    p
  background         exactly int(p n)          one class for all              p (1 - share of that class)
  asymmetric         each with probability p   one look-alike class           p times share of affected classes

Sources and how other papers relate:
  uniform     MentorNet (ICML 2018, section 5); the same in naive L2B. DivideMix relabels in the same way but
              exactly int(p n) images.
  author      the generator in the released L2RW code, which differs from its paper (Ren et al., ICML 2018):
              the last class is never a target. For `background` only the choice of the class is affected.
  symmetric   "uniform flip" as the L2RW paper describes it. Co-teaching and S2E also exclude the own class,
              but draw each label independently with probability p.
  pair        Co-teaching (Han et al., 2018).
  background  L2RW, section 4.2: images already of that class stay correct.
  asymmetric  Patrini et al. (2017). DivideMix selects exactly int(p n) images before it applies the same
              CIFAR-10 map; MNIST has one, too. For CIFAR-100 the next class within the true superclass
              (Patrini's code: within five consecutive labels, which are not superclasses).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from data import cifar100_superclasses, seeding

Labels = npt.NDArray[np.int32]
Variant = Literal["paper", "author"]

VARIANTS: tuple[Variant, ...] = ("paper", "author")
WITH_VARIANTS = ("uniform", "background")
NOISE_TYPES: tuple[str, ...] = ("none", "uniform", "symmetric", "pair", "background", "asymmetric")

_CONFUSIONS = {
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},  # truck -> automobile, bird -> airplane, deer -> horse, cat <-> dog
    "mnist": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8},
}


def uniform(
    labels: npt.ArrayLike, fraction: float, num_classes: int, *, seed: int, variant: Variant = "paper"
) -> Labels:
    """Replaces labels by a class drawn uniformly from all classes, the own one included.

    With one seed the images replaced at a smaller fraction are among those replaced at a larger one, and they
    get the same label (variant "paper").

    Args:
      labels: [n] integers in [0, num_classes).
      fraction: in [0, 1]; the probability of every label ("paper") or the exact share ("author").
      num_classes: m, at least 2.
      seed: 0 or more.
      variant: "paper" as in MentorNet, "author" as in the released L2RW code.

    Returns:
      int32 [n].

    Raises:
      ValueError: an argument is outside its range.
    """
    clean = _checked(labels, fraction, num_classes)
    rng = seeding.generator(seed, "noise/uniform")
    if _is_author(variant):
        replaced = _exactly(int(fraction * clean.size), clean.size, rng)
        targets = np.floor(rng.random(clean.size) * (num_classes - 1)).astype(np.int32)
    else:
        replaced = rng.random(clean.size) < fraction
        targets = rng.integers(0, num_classes, clean.size, dtype=np.int32)
    return np.where(replaced, targets, clean)


def symmetric(labels: npt.ArrayLike, fraction: float, num_classes: int, *, seed: int) -> Labels:
    """Changes exactly round(fraction * n) labels to another class, drawn uniformly from the m - 1 others.

    Args, returns and errors as in `uniform`; `fraction` is the share that really changes.
    """
    clean = _checked(labels, fraction, num_classes)
    rng = seeding.generator(seed, "noise/symmetric")
    changed = _exactly(round(fraction * clean.size), clean.size, rng)
    shift = rng.integers(1, num_classes, clean.size, dtype=np.int32)
    return np.where(changed, (clean + shift) % num_classes, clean)


def pair(labels: npt.ArrayLike, fraction: float, num_classes: int, *, seed: int) -> Labels:
    """Changes every label c to c + 1 mod m with probability `fraction`, independently.

    Args, returns and errors as in `uniform`.
    """
    clean = _checked(labels, fraction, num_classes)
    following = np.roll(np.arange(num_classes, dtype=np.int32), -1)
    return _mapped(clean, fraction, following, seeding.generator(seed, "noise/pair"))


def background(
    labels: npt.ArrayLike,
    fraction: float,
    num_classes: int,
    *,
    seed: int,
    background_class: int | None = None,
    variant: Variant = "paper",
) -> Labels:
    """Gives exactly int(fraction * n) randomly chosen images one and the same class.

    Args:
      labels: [n] integers in [0, num_classes).
      fraction: in [0, 1]; the share of images chosen, whatever their class, so those that already have the
        background class stay correct.
      num_classes: m, at least 2.
      seed: 0 or more.
      background_class: in [0, num_classes); None draws it from the seed.
      variant: which classes a draw may give: "paper" all, "author" all but the last.

    Returns:
      int32 [n].

    Raises:
      ValueError: an argument is outside its range.
    """
    clean = _checked(labels, fraction, num_classes)
    rng = seeding.generator(seed, "noise/background")
    drawn = int(rng.integers(0, num_classes - 1 if _is_author(variant) else num_classes))
    target = drawn if background_class is None else background_class
    if not 0 <= target < num_classes:
        raise ValueError(f"The background class is {target}, but the classes are 0 to {num_classes - 1}.")
    return np.where(_exactly(int(fraction * clean.size), clean.size, rng), np.int32(target), clean)


def asymmetric(
    labels: npt.ArrayLike, fraction: float, num_classes: int, *, seed: int, dataset_name: str | None = None
) -> Labels:
    """Changes labels to a class they are easily confused with, each with probability `fraction`.

    Args:
      labels: [n] integers in [0, num_classes).
      fraction: in [0, 1]; the probability of every label of an affected class.
      num_classes: m, at least 2.
      seed: 0 or more.
      dataset_name: "cifar10" has a map for five of its classes (truck to automobile, bird to airplane, deer
        to horse, cat and dog to each other), "mnist" too (7 to 1, 2 to 7, 3 to 8, 5 and 6 to each other);
        "cifar100" takes the next class of the same superclass; any other name, or None, takes c + 1 mod m.

    Returns:
      int32 [n].

    Raises:
      ValueError: an argument is outside its range, or `num_classes` is not that of the data set.
    """
    clean = _checked(labels, fraction, num_classes)
    target = np.arange(num_classes, dtype=np.int32)
    expected = {"cifar10": 10, "mnist": 10, "cifar100": 100}.get(dataset_name or "", num_classes)
    if num_classes != expected:
        raise ValueError(f"{dataset_name} has {expected} classes, but num_classes is {num_classes}.")
    if dataset_name in _CONFUSIONS:
        for source, confused in _CONFUSIONS[dataset_name].items():
            target[source] = confused
    elif dataset_name == "cifar100":
        target = cifar100_superclasses.next_in_superclass()
    else:
        target = np.roll(target, -1)
    return _mapped(clean, fraction, target, seeding.generator(seed, "noise/asymmetric"))


def inject(
    noise_type: str,
    labels: npt.ArrayLike,
    fraction: float,
    num_classes: int,
    *,
    seed: int,
    dataset_name: str | None = None,
    variant: Variant = "paper",
    background_class: int | None = None,
) -> Labels:
    """Calls the generator named `noise_type`, one of NOISE_TYPES; "none" returns an unchanged copy.

    Raises:
      ValueError: an unknown name, an argument outside its range, or an option the generator does not have.
    """
    if noise_type not in NOISE_TYPES:
        raise ValueError(f"The noise type is {noise_type!r}, but may be {', '.join(NOISE_TYPES)}.")
    if _is_author(variant) and noise_type not in WITH_VARIANTS:
        raise ValueError(f"The author variant exists for uniform and background noise, not for {noise_type}.")
    if background_class is not None and noise_type != "background":
        raise ValueError(f"A background class belongs to background noise, not to {noise_type}.")
    if noise_type == "none":
        return _checked(labels, fraction, num_classes).copy()
    if noise_type == "uniform":
        return uniform(labels, fraction, num_classes, seed=seed, variant=variant)
    if noise_type == "background":
        return background(labels, fraction, num_classes, seed=seed, background_class=background_class, variant=variant)
    if noise_type == "asymmetric":
        return asymmetric(labels, fraction, num_classes, seed=seed, dataset_name=dataset_name)
    plain: dict[str, Callable[..., Labels]] = {"symmetric": symmetric, "pair": pair}
    return plain[noise_type](labels, fraction, num_classes, seed=seed)


def actual_rate(given: npt.ArrayLike, clean: npt.ArrayLike) -> float:
    """Returns the share of labels in `given` [n] that differ from `clean` [n], in [0, 1]; 0 if n is 0.

    Raises:
      ValueError: the two have different shapes.
    """
    first, second = np.asarray(given), np.asarray(clean)
    if first.shape != second.shape:
        raise ValueError(f"There are {first.shape} given labels but {second.shape} clean ones.")
    return float(np.mean(first != second)) if first.size else 0.0


def _checked(labels: npt.ArrayLike, fraction: float, num_classes: int) -> Labels:
    """Returns the labels as int32 [n] after checking all three arguments."""
    array = np.asarray(labels)
    if num_classes < 2:
        raise ValueError(f"Label noise needs at least 2 classes, but num_classes is {num_classes}.")
    if not 0.0 <= fraction <= 1.0:  # also refuses NaN
        raise ValueError(f"The noise fraction is {fraction}, but it has to be in [0, 1].")
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"Labels are a vector of integers, not {array.dtype} of shape {array.shape}.")
    if array.size and not (array.min() >= 0 and array.max() < num_classes):
        raise ValueError(f"Labels have to be 0 to {num_classes - 1}, but these are {array.min()} to {array.max()}.")
    return array.astype(np.int32)


def _is_author(variant: str) -> bool:
    if variant not in VARIANTS:
        raise ValueError(f"The variant is {variant!r}, but it has to be paper or author.")
    return variant == "author"


def _exactly(count: int, n: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Returns bool [n] with exactly `count` random positions set."""
    chosen = np.zeros(n, bool)
    chosen[rng.permutation(n)[:count]] = True
    return chosen


def _mapped(clean: Labels, fraction: float, target: Labels, rng: np.random.Generator) -> Labels:
    """Replaces every label c by target[c] with probability `fraction`."""
    return np.where(rng.random(clean.size) < fraction, target[clean], clean)
