"""From plain configurations to objects, for images that are read from the disk; see ``flags.build.in_memory``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf
import tf_keras as keras

from data import labels
from data.imagenet import batches, labelling, places, sources
from data.imagenet.dataset import StreamedDataset
from data.imagenet.index import ImageIndex
from data.imagenet.preprocessing import Colour, Preprocessing
from data.imagenet.unreadable import UnreadableLog, refuse_too_many
from data.streams import TRAINING, Source
from flags.build import data as data_of_flags
from flags.build import in_memory
from flags.build.in_memory import optimizer, predictor, run_settings, student
from flags.define.clean_flags import CleanConfig
from flags.define.imagenet_flags import ImagenetConfig, ImagenetDataConfig
from mentornet import methods
from mentornet.runs.workdir import Workdir
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


@dataclass(frozen=True)
class LoadedImages:
    """A data set with the labels to train on, attribute by attribute as ``data.LoadedData``."""

    dataset: StreamedDataset
    train: ImageIndex
    labels: labels.NoisyLabels


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
        image_size=config.image_size or 299,
    )
    for index in (dataset.train, dataset.test, *dataset.more_tests.values()):
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
    """Applies what a person decided; flags that would set samples apart were refused."""
    del seed
    train, noisy, _ = data_of_flags.reviewed(config, loaded.dataset, loaded.train, loaded.labels)
    return LoadedImages(loaded.dataset, train, noisy)


def training_inputs(loaded: LoadedImages, config: ImagenetConfig, place: Distribution) -> TrainingInputs:
    """The batches of a run, and what its reports need; see ``data.training_inputs``.

    Raises:
        ValueError: fewer samples than a batch, or a batch that can't be shared equally.
    """
    shard = place.input_shard
    assert config.run.train_log_dir is not None
    train, noisy, data = loaded.train, loaded.labels, config.data
    unreadable = UnreadableLog(Path(config.run.train_log_dir) / UNREADABLE_FILE, data.max_unreadable)
    size = loaded.dataset.image_size
    colour = cast(Colour, data.colour_distortion)
    source = batches.DiskStreams(
        {TRAINING: Source(train, noisy.given, data.batch_size, noisy.is_clean)},
        seed=config.run.seed,
        preprocessing=Preprocessing(size, data.augmentation == "slim", colour),
        unreadable=unreadable,
        shard=shard,
        balanced=config.clean.balanced_batches,
        most_steps=data.max_batches_per_epoch,
    )

    def ordered(positions: np.ndarray | None) -> tf.data.Dataset:
        if positions is None:
            return batches.evaluation_batches(train, noisy.given, EVALUATION_BATCH, size, unreadable)
        chosen = train.take(positions)
        return batches.evaluation_batches(chosen, noisy.given[positions], EVALUATION_BATCH, size, unreadable)

    def evaluation(index: ImageIndex) -> tf.data.Dataset:
        own = index if shard[1] == 1 else index.take(range(shard[0], len(index), shard[1]))
        return batches.evaluation_batches(own, own.labels, EVALUATION_BATCH, size, unreadable)

    tests = {"test": loaded.dataset.test, **loaded.dataset.more_tests}

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
        more_evaluations={name: (evaluation(index), len(index)) for name, index in loaded.dataset.more_tests.items()},
        paths=train.paths_at,
        check=check,
        evaluated_examples=lambda: readable(loaded.dataset.test),
    )


def ordered_batches(split: ImageIndex, given: np.ndarray, config: ImagenetDataConfig) -> tf.data.Dataset:
    """Samples in order, not augmented, with these labels; names of unreadable images go to stderr."""
    size = config.image_size or 299
    return batches.evaluation_batches(split, given, EVALUATION_BATCH, size, UnreadableLog(), marked=True)


def arguments(config: ImagenetConfig, loaded: LoadedImages, workdir: Workdir | None = None) -> dict[str, Any]:
    """The arguments of the method's class that follow from its options and the data; see ``in_memory.arguments``.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable or unfitting sources.
    """
    # Of the loaded data only what both kinds have is used there.
    return in_memory.arguments(
        config,
        cast(in_memory.LoadedData, loaded),
        workdir,
        lambda: ordered_batches(loaded.train, loaded.labels.given, config.data),
    )


def method(
    config: ImagenetConfig, network: keras.Model, loaded: LoadedImages, made_from: dict[str, Any] | None = None
) -> methods.NoisyLabelMethod:
    """The method around a student; see ``in_memory.method``.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit, or no such curriculum.
    """
    made_from = arguments(config, loaded) if made_from is None else made_from
    return in_memory.method(config, network, cast(in_memory.LoadedData, loaded), made_from)
