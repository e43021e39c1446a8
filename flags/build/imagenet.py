"""From plain configurations to objects, for images that are read from the disk; see ``flags.build.in_memory``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf
import tf_keras as keras

import student_nets
from data import labels
from data.imagenet import batches, clean_images, labelling, places, published, sources
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Colour, Preprocessing
from data.imagenet.published import Published
from data.imagenet.unreadable import UnreadableLog, refuse_too_many
from data.streams import TRAINING, Source
from flags.build import data as data_of_flags
from flags.build import in_memory
from flags.build.in_memory import optimizer, predictor, run_settings, student
from flags.define.clean_flags import CleanConfig
from flags.define.imagenet_flags import ImagenetConfig, ImagenetDataConfig
from mentornet import methods
from mentornet.methods.preparation import START_FROM
from mentornet.runs.workdir import Workdir
from mentornet.training import checkpoints
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.inputs import TrainingInputs

__all__ = [
    "LoadedImages",
    "arguments",
    "load_data",
    "method",
    "optimizer",
    "ordered_batches",
    "predictor",
    "run_settings",
    "set_apart",
    "student",
    "training_inputs",
]

EVALUATION_BATCH = 64
UNREADABLE_FILE = "unreadable.txt"
_WEIGHTS = "imagenet_weights"  # among a method's arguments, but not one: a file to start from


@dataclass(frozen=True)
class LoadedImages:
    """A data set with the labels to train on, attribute by attribute as ``data.LoadedData``."""

    dataset: StreamedDataset
    train: ImageIndex
    labels: labels.NoisyLabels
    clean_set: ImageIndex | None = None
    validation: ImageIndex | None = None


def load_data(config: ImagenetDataConfig, run_labels: Path | None = None) -> LoadedImages:
    """Finds the images, makes sure that most are there, and decides the labels.

    Args:
        config: the data flags.
        run_labels: labels.npz of an earlier run: use exactly its samples and labels, whatever the noise flags say.

    Raises:
        ValueError, FileNotFoundError: missing data, more missing images than allowed, labels that do not fit.
    """
    dataset = sources.load(
        config.dataset_name,
        config.data_dir,
        webvision_parts=config.webvision_parts or None,
        ilsvrc_dir=config.ilsvrc_dir,
        train_list=config.train_list,
        test_list=config.test_list,
        index_dir=config.index_dir,
        background=config.background_class,
        image_size=config.image_size,
    )
    clean = () if dataset.clean is None else (dataset.clean,)
    for index in (dataset.train, dataset.test, *dataset.more_tests.values(), *clean):
        places.check(index, outside=config.files_outside_data_dir)
        refuse_too_many(index.missing_files(), config.max_unreadable, "are not there")
    train = data_of_flags.training_samples(dataset.train, config, run_labels)
    if file := run_labels or config.labels_file:
        return LoadedImages(dataset, train, labelling.labels_from_file(dataset, train, file))
    noisy = labelling.noisy_labels(
        dataset,
        train,
        config.noise_type,
        config.noise_fraction,
        config.noise_seed,
        variant=config.noise_variant,
        noise_class=config.noise_class,
    )
    return LoadedImages(dataset, train, noisy)


def set_apart(loaded: LoadedImages, config: CleanConfig, seed: int) -> LoadedImages:
    """Applies what a person decided, then takes out the clean set, which may be evaluated only; see ``data.set_apart``.

    Raises:
        ValueError, FileNotFoundError: more samples than there are, or no true labels for a clean set.
    """
    dataset = loaded.dataset
    train, noisy, _ = data_of_flags.reviewed(config, dataset.train, dataset.class_names, loaded.train, loaded.labels)
    if config.clean_source not in ("set", "validation"):
        return LoadedImages(loaded.dataset, train, noisy)
    clean, train, noisy = clean_images.chosen(
        loaded.dataset,
        train,
        noisy,
        seed=seed,
        examples=config.clean_examples,
        per_class=config.clean_examples_per_class,
        checked_file=config.clean_labels_file,
    )
    if config.clean_source == "validation":
        return LoadedImages(loaded.dataset, train, noisy, validation=clean)
    return LoadedImages(loaded.dataset, train, noisy, clean)


def preprocessing(config: ImagenetDataConfig) -> Preprocessing:
    """What is done with training images; in evaluation they are not distorted."""
    distort = config.augmentation == "slim"
    if config.preprocessing in published.WAYS:
        return Published(_side(config), distort, way=config.preprocessing)
    return Preprocessing(_side(config), distort, cast(Colour, config.colour_distortion))


def _distorts_clean(config: ImagenetDataConfig) -> bool:
    return config.preprocessing not in published.WAYS or published.WAYS[config.preprocessing].distorts_clean


def _side(config: ImagenetDataConfig) -> int:
    return config.image_size or sources.IMAGE_SIZES.get(config.dataset_name, 299)


def training_inputs(loaded: LoadedImages, config: ImagenetConfig, place: Distribution) -> TrainingInputs:
    """The batches of a run, and what its reports need; see ``data.training_inputs``.

    Raises:
        ValueError: fewer samples than a batch, or a batch that can't be shared equally.
    """
    shard = place.input_shard
    assert config.run.train_log_dir is not None
    train, noisy, data = loaded.train, loaded.labels, config.data
    unreadable = UnreadableLog(Path(config.run.train_log_dir) / UNREADABLE_FILE, data.max_unreadable)
    size, how = loaded.dataset.image_size, preprocessing(data)
    used = {TRAINING: Source(train, noisy.given, data.batch_size, noisy.is_clean)}
    if (clean_set := loaded.clean_set) is not None:
        most = data_of_flags.clean_batch_size(config, len(clean_set), place.replicas)
        used["clean"] = Source(clean_set, clean_set.labels, most, what="clean images")
    source = batches.DiskStreams(
        used,
        seed=config.run.seed,
        preprocessing=how,
        unreadable=unreadable,
        shard=shard,
        balanced=config.clean.balanced_batches,
        balanced_epochs=config.clean.balanced_epochs,
        most_steps=data.max_batches_per_epoch,
        undistorted=() if _distorts_clean(data) else ("clean",),
    )

    def ordered(positions: np.ndarray | None) -> tf.data.Dataset:
        if positions is None:
            return in_order(train, noisy.given)
        return in_order(train.take(positions), noisy.given[positions])

    def in_order(index: ImageIndex, given: np.ndarray) -> tf.data.Dataset:
        return batches.evaluation_batches(index, given, EVALUATION_BATCH, size, unreadable, preprocessing=how)

    def evaluation(index: ImageIndex) -> tf.data.Dataset:
        own = index if shard[1] == 1 else index.take(range(shard[0], len(index), shard[1]))
        return in_order(own, own.labels)

    further = {**loaded.dataset.more_tests, **({} if loaded.validation is None else {"validation": loaded.validation})}
    tests = {"test": loaded.dataset.test, **further}

    def check() -> None:
        unreadable.check()
        for which, index in tests.items():
            if len(unreadable.names) >= len(index) and not readable(index):
                raise ValueError(
                    f"None of the {len(index):,} {which} images can be read, so nothing can be evaluated, such as "
                    f"{unreadable.names[-1]}: mend them, remove {unreadable.path} and start again."
                )

    def readable(index: ImageIndex) -> int:
        return len(index) - places.unreadable_among(index, unreadable.names)

    return TrainingInputs(
        streams=source,
        evaluation=evaluation(loaded.dataset.test),
        ordered=ordered,
        given=noisy.given,
        clean=None if noisy.clean is None else noisy.clean.reveal(),
        original_index=train.ids,
        class_names=loaded.dataset.class_names,
        pictures=train.pictures,
        label_facts={**noisy.facts, "dataset_name": data.dataset_name},
        evaluation_examples=len(loaded.dataset.test),
        more_evaluations={name: (evaluation(index), len(index)) for name, index in further.items()},
        clean_set=None if clean_set is None else (clean_set.ids, clean_set.labels),
        paths=train.paths_at,
        check=check,
        evaluated_examples=lambda: readable(loaded.dataset.test),
    )


def ordered_batches(split: ImageIndex, given: np.ndarray, config: ImagenetDataConfig) -> tf.data.Dataset:
    """Samples in order, not augmented, with these labels; names of unreadable images go to stderr."""
    how = preprocessing(config)
    return batches.evaluation_batches(
        split, given, EVALUATION_BATCH, how.image_size, UnreadableLog(), marked=True, preprocessing=how
    )


def arguments(config: ImagenetConfig, loaded: LoadedImages, workdir: Workdir | None = None) -> dict[str, Any]:
    """The arguments of the method's class that follow from its options and the data; see ``in_memory.arguments``.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable or unfitting sources.
    """
    # Of the loaded data only what both kinds have is used there.
    made = in_memory.arguments(
        config,
        cast(in_memory.LoadedData, loaded),
        workdir,
        lambda: ordered_batches(loaded.train, loaded.labels.given, config.data),
    )
    if config.data.imagenet_weights is None:
        return made
    if START_FROM in made:
        raise ValueError("--imagenet_weights and --baseline_run both say where the student starts: give one of them")
    # A run that goes on has its weights in its checkpoint, whatever has become of the file.
    continued = workdir is not None and checkpoints.written(workdir.checkpoints)
    return made if continued else {**made, _WEIGHTS: config.data.imagenet_weights}


def method(
    config: ImagenetConfig, network: keras.Model, loaded: LoadedImages, made_from: dict[str, Any] | None = None
) -> methods.NoisyLabelMethod:
    """The method around a student; see ``in_memory.method``.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit, or no such curriculum.
    """
    made_from = dict(arguments(config, loaded) if made_from is None else made_from)
    weights = made_from.pop(_WEIGHTS, None)
    made = in_memory.method(config, network, cast(in_memory.LoadedData, loaded), made_from)
    if weights is not None:
        mean, deviation = preprocessing(config.data).pixels
        for peer in made.networks:
            student_nets.load_imagenet_weights(peer, weights, pixel_mean=mean, pixel_std=deviation)
    return made
