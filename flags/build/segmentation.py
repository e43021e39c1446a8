"""From plain configurations to objects, for slices with masks; see ``flags.build.in_memory``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

import student_nets
from data import mask_streams, segmentation
from data.augmentation import standardised
from data.labels import NoisyLabels
from data.segmentation import noise
from data.segmentation.dataset import MaskSet, SegmentationData
from data.streams import TRAINING
from flags.build.in_memory import optimizer, run_settings
from flags.define.clean_flags import CleanConfig
from flags.define.data_flags import DataConfig
from flags.define.student_settings import StudentConfig
from flags.settings import Config
from mentornet import methods
from mentornet.methods.protocol import CLEAN_SET
from mentornet.runs.workdir import Workdir
from mentornet.segmentation import Segmentation
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.inputs import TrainingInputs
from mentornet.training.segmentation import Masks
from student_nets.layers import BackgroundLogit

__all__ = [
    "LoadedMasks",
    "arguments",
    "load_data",
    "masks_of",
    "method",
    "optimizer",
    "run_settings",
    "set_apart",
    "student",
    "task",
    "training_inputs",
]


@dataclass(frozen=True)
class LoadedMasks:
    """A data set of masks, attribute by attribute as ``data.LoadedData`` where both have the same.

    Attributes:
        dataset: as loaded, with the given masks.
        train: the training slices.
        labels: whether each slice has any foreground, for what needs a label an image.
    """

    dataset: SegmentationData
    train: MaskSet
    labels: NoisyLabels


def load_data(config: DataConfig, run_labels: Path | None = None) -> LoadedMasks:
    """Loads slices and masks, and makes the noise.

    Args:
        config: the data flags.
        run_labels: not used; a run on masks is not continued with other flags.

    Raises:
        ValueError, FileNotFoundError: missing or unreadable data.
    """
    del run_labels
    try:
        found = segmentation.load(
            config.dataset_name,
            config.data_dir,
            seed=config.noise_seed,
            image_size=config.image_size,
            **config.mask_options,
        )
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from None
    foreground = np.asarray((found.train.masks > 0).any(axis=(1, 2)), np.int32)
    true = found.train.true_masks
    noise_type = config.mask_options.get("mask_noise", "none")
    wrong = 0.0 if true is None else float(np.mean(found.train.masks != true))
    return LoadedMasks(found, found.train, NoisyLabels(foreground, None, noise_type, wrong, config.noise_seed))


def set_apart(loaded: LoadedMasks, config: CleanConfig, seed: int) -> LoadedMasks:
    """Nothing is set apart: the data have clean cases of their own."""
    del config, seed
    return loaded


def student(
    config: StudentConfig, loaded: LoadedMasks, seed: int, synchronized_batch_norm: bool = False
) -> keras.Model:
    """The student; of two classes it has one output channel, as in L2B, shown as two logits.

    Raises:
        ValueError: it does not take slices of this size.
    """
    classes = loaded.dataset.num_classes
    network = student_nets.get(
        config.name,
        1 if classes == 2 else classes,
        input_shape=loaded.dataset.image_shape,
        dropout_keep_probability=config.dropout_keep_probability,
        seed=seed,
        **({"synchronized": True} if synchronized_batch_norm else {}),
    )
    if classes > 2:
        return network
    return keras.Model(network.input, BackgroundLogit(name="two_logits")(network.output), name=network.name)


def arguments(config: Config, loaded: LoadedMasks, workdir: Workdir | None = None) -> dict[str, Any]:
    """The arguments of the method's class.

    Raises:
        ValueError: a method that needs clean cases, and there are none.
    """
    del workdir
    options = dict(config.method.options)
    if CLEAN_SET in methods.get(config.method.name).needs(options) and loaded.dataset.clean is None:
        raise ValueError(
            f"--method={config.method.name} needs cases whose masks are right, but {config.data.dataset_name} has none "
            "here: see docs/segmentation.md for where they go"
        )
    return options


def method(
    config: Config, network: keras.Model, loaded: LoadedMasks, made_from: dict[str, Any] | None = None
) -> methods.NoisyLabelMethod:
    """The method around a student.

    Raises:
        ValueError: settings that do not fit.
    """
    made = dict(arguments(config, loaded) if made_from is None else made_from)
    kind: Any = methods.get(config.method.name)
    built: methods.NoisyLabelMethod = kind(
        network,
        **made,
        max_steps=config.run.max_steps,
        num_examples=len(loaded.train),
        weight_decay=config.student.weight_decay,
        seed=config.run.seed,
        clean_known=loaded.train.true_masks is not None,
        task=task(loaded),
    )
    return built


def task(loaded: LoadedMasks) -> Segmentation:
    """What is predicted, and how test slices are evaluated."""
    _, cases = np.unique(np.array(loaded.dataset.test.cases), return_inverse=True)
    return Segmentation(cases, loaded.dataset.num_classes)


def masks_of(loaded: LoadedMasks, config: Config) -> Masks:
    """What a run on these masks is reported from."""
    data, how = loaded.dataset, mask_streams.augmentation(config.data.augmentation)
    return Masks(
        loaded.train,
        data.clean,
        data.test,
        lambda images: standardised(tf.constant(images), how.standardise).numpy(),
        data.num_classes,
        noise.dice_of_given(loaded.train),
    )


def training_inputs(loaded: LoadedMasks, config: Config, place: Distribution) -> TrainingInputs:
    """The batches of a run, and what its reports need.

    Raises:
        ValueError: fewer slices than a batch, or a batch that can't be shared equally.
    """
    shard, data, train = place.input_shard, loaded.dataset, loaded.train
    how = mask_streams.augmentation(config.data.augmentation)
    sources = {TRAINING: mask_streams.MaskSource(train.images, train.masks, config.data.batch_size, train.true_masks)}
    clean_size = config.clean.clean_batch_size
    if data.clean is not None and CLEAN_SET in methods.get(config.method.name).NEEDS:
        clean_size = clean_size or min(config.data.batch_size, len(data.clean))
        if clean_size % place.replicas:
            raise ValueError(
                f"{clean_size} clean slices a step cannot be shared equally by {place.replicas} replicas: give "
                f"--clean_batch_size, a multiple of {place.replicas}"
            )
        sources["clean"] = mask_streams.MaskSource(data.clean.images, data.clean.masks, clean_size, what="clean slices")
    test = data.test
    true = test.masks if test.true_masks is None else test.true_masks
    own = np.arange(shard[0], len(test), shard[1])

    def ordered(positions: np.ndarray | None) -> tf.data.Dataset:
        part = train if positions is None else train.take(positions)
        return mask_streams.evaluation_batches(part.images, part.masks, how)

    return TrainingInputs(
        streams=mask_streams.MaskStreams(
            sources,
            seed=config.run.seed,
            augmentation=how,
            shard=shard,
            most_steps=config.data.max_batches_per_epoch,
        ),
        evaluation=mask_streams.evaluation_batches(test.images[own], true[own], how, own),
        ordered=ordered,
        given=loaded.labels.given,
        clean=None,
        original_index=np.arange(len(train)),
        class_names=("empty", "foreground"),
        pictures=lambda positions: train.images[positions],
        label_facts={**loaded.labels.facts, "dataset_name": config.data.dataset_name},
        evaluation_examples=len(test),
        masks=masks_of(loaded, config),
    )
