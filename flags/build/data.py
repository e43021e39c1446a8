"""From the data flags to what a run trains on: images held in memory, their labels, clean set, hold-out, batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data import clean_set as clean_sets
from data import corrections, datasets, labels, pipeline, streams
from data.image_dataset import CleanSet, ImageDataset, Split
from data.labels import NoisyLabels
from data.streams import Source
from flags.build import first_run
from flags.define.clean_flags import CleanConfig, suspects_of
from flags.define.data_flags import DataConfig
from flags.settings import Config
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.inputs import TrainingInputs

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class LoadedData:
    """A data set with the labels to train on.

    Attributes:
        dataset: as loaded.
        train: the training samples used (all, or the subset).
        labels: their given labels, and the true ones for diagnostics.
        clean_set: samples with true labels, none of ``train``, for methods that need them.
        holdout: noisy samples that were set apart to choose the best step.
        holdout_labels: their given labels.
        validation: images with labels known to be right, none of ``train``, that are evaluated apart.
    """

    dataset: ImageDataset
    train: Split
    labels: NoisyLabels
    clean_set: CleanSet | None = None
    holdout: Split | None = None
    holdout_labels: NoisyLabels | None = None
    validation: CleanSet | None = None


def load_data(config: DataConfig, run_labels: Path | None = None) -> LoadedData:
    """Loads the images and decides the labels.

    Args:
        config: the data flags.
        run_labels: labels.npz of an earlier run: use exactly its samples and labels, whatever the noise flags say.

    Raises:
        ValueError, FileNotFoundError: missing or unreadable data, labels that do not fit.
    """
    dataset = datasets.load(
        config.dataset_name,
        data_dir=config.data_dir,
        image_size=config.image_size,
        download=config.download,
        held_out_tenth=config.held_out_tenth,
    )
    train = training_samples(dataset.train, config, run_labels)
    if file := run_labels or config.labels_file:
        return LoadedData(dataset, train, labels.from_file(file, train, dataset.num_classes))
    noisy = labels.corrupt(
        train,
        config.noise_type,
        config.noise_fraction,
        dataset.num_classes,
        seed=config.noise_seed,
        dataset_name=config.dataset_name,
        data_dir=config.data_dir,
        human_labels_file=config.human_labels_file,
        variant=config.noise_variant,
        background_class=config.noise_class,
    )
    return LoadedData(dataset, train, noisy)


def training_samples(train: Any, config: DataConfig, run_labels: Path | None) -> Any:
    """The samples (``Split`` or ``ImageIndex``) of an earlier run, or the subset that the flags ask for, or all."""
    if run_labels is not None:
        return train.take(labels.positions_of_run(run_labels, train.ids))
    return labels.subset(train, config.train_examples, config.noise_seed) if config.train_examples else train


def set_apart(loaded: LoadedData, config: CleanConfig, seed: int) -> LoadedData:
    """Takes the clean set and the hold-out out of the noisy training data.

    The noise is injected before, so that every method sees the same labels of the samples that stay.

    Raises:
        ValueError, FileNotFoundError: more samples than there are, or no true labels for a clean set.
    """
    dataset, train, noisy, clean = loaded.dataset, loaded.train, loaded.labels, None
    train, noisy, checked = reviewed(config, clean_sets.own_images(dataset), dataset.class_names, train, noisy)
    if config.clean_source == "corrections":
        clean, train, noisy = clean_sets.of_checked(train, noisy, checked, dataset.class_names)
    if config.clean_source in ("set", "validation"):
        clean, train, noisy = clean_sets.chosen(
            dataset,
            train,
            noisy,
            seed=seed,
            examples=config.clean_examples,
            per_class=config.clean_examples_per_class,
            checked_file=config.clean_labels_file,
        )
        if config.clean_labels_file and not dataset.test.labels_are_true:  # checked images may have been held out
            rest = np.flatnonzero(~np.isin(dataset.test.ids, clean.ids))
            dataset = dataclasses.replace(dataset, test=dataset.test.take(rest))
    validation, clean = (clean, None) if config.clean_source == "validation" else (None, clean)
    if not config.holdout_examples:
        return LoadedData(dataset, train, noisy, clean, validation=validation)
    held, kept = clean_sets.holdout_positions(len(train), config.holdout_examples, seed=seed)
    return LoadedData(
        dataset,
        train.take(kept),
        clean_sets.taken(noisy, kept),
        clean,
        train.take(held),
        clean_sets.taken(noisy, held),
        validation,
    )


def reviewed(
    config: CleanConfig, source: Any, class_names: Sequence[str], train: Any, noisy: NoisyLabels
) -> tuple[Any, NoisyLabels, np.ndarray]:
    """Training images and labels after what a person decided, and without the suspects of an earlier run.

    A suspect that a person has confirmed or relabelled stays.

    Args:
        config: the flags.
        source: all images that may have been reviewed, a ``Split`` or an ``ImageIndex``.
        class_names: the name of every class.
        train: the training images to be used, a ``Split`` or an ``ImageIndex``.
        noisy: their labels.

    Returns:
        Images, labels, and int64 [k], the positions of those that were checked.

    Raises:
        ValueError, FileNotFoundError: decisions or a run that do not fit.
    """
    decided = None
    if config.corrections_file is not None:
        decided = corrections.read(config.corrections_file, source, class_names)
    if config.leave_out_suspects is not None:
        count, folder = suspects_of(config.leave_out_suspects)
        names, by_path = first_run.suspects(folder, count, has_paths=train.paths_at([0]) is not None)
        what = f"--leave_out_suspects={config.leave_out_suspects}"
        before = len(train)
        train, noisy = corrections.without(
            names, train, noisy, by_path=by_path, what=what, checked=None if decided is None else decided.kept
        )
        stay = len(names) - (before - len(train))
        which = f"the {len(names):,} most suspect images of {folder}"
        kept = f"{len(names) - stay:,} of {which}; the labels of the other {stay:,} were checked" if stay else which
        print(f"left out: {kept}", flush=True)
    if decided is None:
        return train, noisy, np.empty(0, np.int64)
    print(corrections.summary(decided, noisy, train), flush=True)
    return corrections.applied(decided, train, noisy)


def training_inputs(loaded: LoadedData, config: Config, place: Distribution) -> TrainingInputs:
    """The batches of a run, and what its reports need.

    Args:
        loaded: images and labels.
        config: the whole configuration.
        place: what shares every batch, and the evaluation.

    Raises:
        ValueError: fewer samples than a batch, or a batch that can't be shared equally.
    """
    shard = place.input_shard
    train, noisy = loaded.train, loaded.labels
    clean_size = clean_batch_size(config, len(train if loaded.clean_set is None else loaded.clean_set), place.replicas)
    sources = {streams.TRAINING: Source(train.images, noisy.given, config.data.batch_size, noisy.is_clean)}
    if loaded.clean_set is not None:
        clean_set = loaded.clean_set
        sources["clean"] = Source(clean_set.images, clean_set.true_labels, clean_size, what="clean images")
    test, parts = _evaluated(loaded, config.data.validation)

    def evaluated(part: Split) -> tf.data.Dataset:
        own = part if shard[1] == 1 else part.take(range(shard[0], len(part), shard[1]))
        return ordered_batches(own, own.labels, config.data)

    clean = None if noisy.clean is None else noisy.clean.reveal()

    def ordered(positions: np.ndarray | None) -> tf.data.Dataset:
        if positions is None:
            return ordered_batches(train, noisy.given, config.data)
        return ordered_batches(train.take(positions), noisy.given[positions], config.data)

    return TrainingInputs(
        streams=streams.MemoryStreams(
            sources,
            seed=config.run.seed,
            augmentation=pipeline.AUGMENTATIONS[config.data.augmentation],
            shard=shard,
            balanced=config.clean.balanced_batches,
            balanced_epochs=config.clean.balanced_epochs,
            most_steps=config.data.max_batches_per_epoch,
        ),
        evaluation=evaluated(test),
        ordered=ordered,
        given=noisy.given,
        clean=clean,
        original_index=train.ids,
        class_names=loaded.dataset.class_names,
        pictures=lambda positions: train.images[positions],
        label_facts={**noisy.facts, "dataset_name": config.data.dataset_name},
        clean_set=None if loaded.clean_set is None else (loaded.clean_set.ids, loaded.clean_set.true_labels),
        paths=train.paths_at,
        evaluation_examples=len(test),
        more_evaluations={name: (evaluated(part), len(part)) for name, part in parts.items()},
        holdout=None
        if loaded.holdout is None or loaded.holdout_labels is None
        else ordered_batches(loaded.holdout, loaded.holdout_labels.given, config.data),
        holdout_criterion=config.clean.holdout_criterion,
        judged_by_given=not loaded.dataset.test.labels_are_true,
    )


def _evaluated(loaded: LoadedData, validation: str) -> tuple[Split, dict[str, Split]]:
    """The test images, and what is evaluated apart by its name, with the labels that it is judged by."""
    test, held, clean = loaded.dataset.test, loaded.holdout, loaded.validation
    if validation == "test_half":
        half = len(test) // 2
        if not half:
            raise ValueError("--validation=test_half divides the test images in two, but there is only one")
        return test.take(range(half, len(test))), {"validation": test.take(range(half))}
    if validation == "noisy_holdout" and held is not None and loaded.holdout_labels is not None:
        return test, {"validation": Split(held.images, loaded.holdout_labels.given, held.ids, held.paths)}
    if validation == "clean_set" and clean is not None:
        return test, {"validation": Split(clean.images, clean.true_labels, clean.ids)}
    return test, {}


def clean_batch_size(config: Config, available: int, replicas: int) -> int:
    """Clean samples beside each batch; their number must not depend on the replicas, among which a run may move.

    Raises:
        ValueError: they can't be shared equally.
    """
    size = config.clean.clean_batch_size or min(config.data.batch_size, available)
    if size % replicas:
        raise ValueError(
            f"{size} clean samples a step cannot be shared equally by {replicas} replicas: "
            f"give --clean_batch_size, a multiple of {replicas}"
        )
    return size


def ordered_batches(split: Split, given: np.ndarray, config: DataConfig) -> tf.data.Dataset:
    """Samples in order, standardised but not augmented, with these labels."""
    return pipeline.evaluation_batches(
        split.images, given, EVALUATION_BATCH, pipeline.AUGMENTATIONS[config.augmentation]
    )
