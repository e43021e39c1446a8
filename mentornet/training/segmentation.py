"""What a finished segmentation leaves: figures of cases at their original size, masks, slices and suspects.

L2B (CVPR 2024), tables 5 and 6, have Dice, the Hausdorff distance and the average surface distance of cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tf_keras as keras
from PIL import Image

from mentornet import arrays, files
from mentornet import segmentation_metrics as metrics
from mentornet.methods.pixel_weights import weight_maps
from mentornet.reports.mask_sheet import mask_sheet
from mentornet.runs import mask_samples, samples
from mentornet.runs.workdir import RunFolderError, Workdir
from mentornet.segmentation import Segmentation
from mentornet.training import evaluate
from mentornet.training.checkpoints import restore_student

PREDICTIONS = "predictions"
SHOWN_SLICES = 12


class Slices(Protocol):
    """Slices with masks; ``data.segmentation.MaskSet`` is one.

    Attributes:
        images: uint8 [n, h, w, c].
        masks: uint8 [n, h, w], as given.
        true_masks: uint8 [n, h, w]; None if unknown.
        cases, names: of each slice.
        slices: int64 [n], places in their cases.
        volumes: of every case, see ``segmentation_metrics.Volume``.
    """

    @property
    def images(self) -> np.ndarray: ...
    @property
    def masks(self) -> np.ndarray: ...
    @property
    def true_masks(self) -> np.ndarray | None: ...
    @property
    def cases(self) -> Sequence[str]: ...
    @property
    def slices(self) -> np.ndarray: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def volumes(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Masks:
    """What a run on masks is reported from.

    Attributes:
        train, clean, test: the slices; clean ones are None if there are none.
        standardise: uint8 images -> float32, as the student takes them.
        classes: C.
        dice_of_given: of the given training masks against the true ones, in three dimensions; None if unknown.
    """

    train: Slices
    clean: Slices | None
    test: Slices
    standardise: Callable[[np.ndarray], np.ndarray]
    classes: int
    dice_of_given: float | None = None


def save_masks(workdir: Workdir, masks: Masks) -> None:
    """Writes the given masks of a new run; of one that goes on, makes sure they are the same.

    Raises:
        RunFolderError: other masks than the run began with, or a damaged file.
    """
    file = workdir.path / mask_samples.MASKS_FILE
    kept = {
        "given": masks.train.masks,
        "case": np.array(masks.train.cases),
        "slice": masks.train.slices,
        "name": np.array(masks.train.names),
    }
    if masks.train.true_masks is not None:
        kept["true"] = masks.train.true_masks
    if not file.exists():
        files.write_npz(file, kept)
        return
    found = arrays.read_arrays(file)
    if any(name not in found or not np.array_equal(found[name], values) for name, values in kept.items()):
        raise RunFolderError(
            f"The run in {workdir.path} began with other masks: the files they come from have changed since; put them "
            "back as they were, or choose another folder."
        )


def probabilities(student: keras.Model, images: np.ndarray, standardise: Callable[[np.ndarray], np.ndarray]) -> Any:
    """What a student says of slices in inference mode: uint8 [n, h, w, c] -> float32 [n, h, w, C]."""
    answer = tf.function(lambda image: tf.nn.softmax(student(image, training=False)), reduce_retracing=True)
    return np.concatenate([answer(standardise(images[k : k + 16])).numpy() for k in range(0, len(images), 16)])


def finish(
    student: keras.Model, mean_weight: np.ndarray, masks: Masks, workdir: Workdir, title: str, weighs: str | None
) -> dict[str, Any]:
    """Writes predictions/, samples.csv and suspects.png, and returns the figures for result.json.

    Args:
        student: the trained student, outside any strategy.
        mean_weight: float64 [n], mean weight of each training slice.
        masks: the data.
        workdir: the run folder.
        title: of the sheet.
        weighs: which weight maps the method has, see ``pixel_weights``; None: none.
    """
    figures = evaluated(student, masks, workdir.path / PREDICTIONS)
    train, true = masks.train, masks.train.true_masks
    said = probabilities(student, train.images, masks.standardise)
    predicted = said.argmax(axis=-1).astype(np.uint8)
    of_given = np.take_along_axis(said, train.masks[..., np.newaxis].astype(np.int64), axis=-1)[..., 0]
    losses = -np.log(np.maximum(of_given, 1e-30))
    maps: dict[str, np.ndarray] = {}
    if weighs is not None and masks.clean is not None:
        clean = masks.standardise(masks.clean.images), masks.clean.masks.astype(np.int32)
        found = weight_maps(student, masks.standardise(train.images), train.masks, clean, weighs)
        maps = {"weight, given": found[0], **({"weight, own": found[1]} if weighs == "both" else {})}
    shown = maps or {"loss": losses}
    order = np.argsort(-losses.mean(axis=(1, 2)), kind="stable")
    regions = mask_samples.largest_regions(predicted, train.masks)
    dice_true = None if true is None else metrics.dice_of_slices(predicted, true, masks.classes)
    dice_given = metrics.dice_of_slices(predicted, train.masks, masks.classes)
    mask_samples.write(
        workdir.samples_file,
        order=order,
        cases=train.cases,
        slices=train.slices,
        names=train.names,
        loss=losses.mean(axis=(1, 2)),
        mean_weight=samples.telling(mean_weight),
        dice_given=dice_given,
        dice_true=dice_true,
        regions=regions,
    )
    top = order[:SHOWN_SLICES]
    mask_sheet(
        workdir.suspects_file,
        images=train.images[top],
        given=train.masks[top],
        predicted=predicted[top],
        true=None if true is None else true[top],
        maps={name: values[top] for name, values in shown.items()},
        boxes=regions[1][top],
        captions=[f"{train.names[k]}   loss {losses[k].mean():.3f}   Dice with given {dice_given[k]:.3f}" for k in top],
        title=title,
    )
    if true is not None:
        wrong = train.masks != true
        figures |= {"wrong_pixels": float(wrong.mean()), "dice_given_masks": masks.dice_of_given}
        figures |= separation(wrong, losses, maps)
    return figures


def separation(wrong: np.ndarray, losses: np.ndarray, maps: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How well pixels with a wrong class are told from the others: areas under the ROC curve.

    Args:
        wrong: bool [n, h, w].
        losses: float [n, h, w], of the finished student.
        maps: the weight maps.

    Returns:
        pixel_auc_loss, and with maps pixel_auc_weight (of the given class: low where it is wrong), with both kinds
        pixel_auc_share, alpha / (alpha + beta), 1/2 where both are 0.
    """
    right = ~wrong.ravel()
    found = {"pixel_auc_loss": samples.weights_auc(-losses.ravel(), right)}
    if maps:
        given, *own = (values.ravel() for values in maps.values())
        found["pixel_auc_weight"] = samples.weights_auc(given, right)
        if own:
            both = given + own[0]
            share = np.where(both > 0, given / np.where(both > 0, both, 1), 0.5)
            found["pixel_auc_share"] = samples.weights_auc(share, right)
    return found


def evaluated(student: keras.Model, masks: Masks, folder: Path | None) -> dict[str, Any]:
    """Figures of the test cases at their original size, as in result.json.

    Args:
        student: the student.
        masks: the data; of their test slices are the figures.
        folder: gets the predicted masks as PNG files, black and white, of more than two classes their numbers;
            None: they are not kept.

    Returns:
        dice, hausdorff, hausdorff_95, average_surface_distance: means over the cases, and these of each case in
        "cases"; distance_unit, "mm", or "pixels" where all voxels have sides of 1; {} if no right mask is known.
    """
    test = masks.test
    said = probabilities(student, test.images, masks.standardise)
    if folder is not None:
        _write_predictions(said, masks, folder)
    found = metrics.of_cases(said, test.cases, test.slices, test.volumes)
    if not found:
        return {}
    mean = metrics.mean_of_cases(found)
    return {
        "dice": mean["dice"],
        "hausdorff": mean["hausdorff"],
        "hausdorff_95": mean["hausdorff_95"],
        "average_surface_distance": mean["average_surface_distance"],
        "distance_unit": "mm" if any(set(case.spacing) != {1.0} for case in test.volumes.values()) else "pixels",
        "cases": {case: one.mean for case, one in found.items()},
    }


def _write_predictions(said: np.ndarray, masks: Masks, folder: Path) -> None:
    test = masks.test
    names = np.array(test.cases)
    folder.mkdir(parents=True, exist_ok=True)
    for case in dict.fromkeys(test.cases):
        own = np.flatnonzero(names == case)
        # Two classes are black and white, as most masks are.
        classes = metrics.classes_at_size(said[own], test.volumes[case].shape[1:])
        for position, mask in zip(own, classes * (255 if masks.classes == 2 else 1), strict=True):
            name = test.names[int(position)].removeprefix("test/").removeprefix("images/")
            name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
            with files.replacing(folder / f"{name.removesuffix('.png')}.png") as stream:
                Image.fromarray(mask.astype(np.uint8)).save(stream, format="png")


def evaluate_checkpoint(
    student: keras.Model,
    checkpoints: Path,
    masks: Masks,
    task: Segmentation,
    output: Path,
    *,
    csv_file: str | None = None,
    predictions: Path | None = None,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluates the newest checkpoint of a run on the test cases.

    Args:
        student: the network the run trained.
        checkpoints: the folder with the checkpoints.
        masks: the data.
        task: as the run evaluates slices, with the cases of the test slices.
        output: where evaluation.json goes.
        csv_file: also write case, slice, name, dice, loss of every test slice.
        predictions: also write the predicted masks there.
        facts: added to evaluation.json.

    Returns:
        The content of evaluation.json: step, dice_slices and dice_cases at the size that the student sees, those of
        ``evaluated`` at the original size, slices, seconds.
    """
    started = time.monotonic()
    step = restore_student(student, checkpoints)
    test, dices, losses = masks.test, [], []
    right = test.masks if test.true_masks is None else test.true_masks
    answer = tf.function(lambda image: student(image, training=False), reduce_retracing=True)
    for first in range(0, len(test.images), 16):
        part = slice(first, first + 16)
        logits = answer(masks.standardise(test.images[part]))
        target = tf.constant(right[part].astype(np.int32))
        task.evaluate(target, logits, index=tf.range(first, first + len(target)))
        predicted = tf.argmax(logits, axis=-1).numpy()
        dices.append(metrics.dice_of_slices(predicted, right[part], masks.classes))
        losses.append(tf.reduce_mean(task.losses(target, logits), axis=[1, 2]).numpy())
    of_slices = task.results()
    result = {
        **(facts or {}),
        "step": step,
        "loss": of_slices["loss"],
        "dice_slices": of_slices["dice_slices"],
        "dice_cases": of_slices["dice_cases"],
        **evaluated(student, masks, predictions),
        "slices": len(test.images),
        "seconds": time.monotonic() - started,
    }
    output.mkdir(parents=True, exist_ok=True)
    files.write_json(output / "evaluation.json", result)
    if csv_file:
        columns = (test.cases, test.slices, test.names, np.concatenate(dices), np.concatenate(losses))
        evaluate.write_csv(csv_file, ("case", "slice", "name", "dice", "loss"), columns)
    return result
