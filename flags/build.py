"""From plain configurations to objects: data, student, method, optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

import student_nets
from data import datasets, labels, pipeline
from data.image_dataset import ImageDataset, Split
from flags.data_flags import DataConfig
from flags.student_flags import StudentConfig
from flags.train_flags import Config
from mentornet import curricula, methods
from mentornet.training.inputs import RunSettings, TrainingInputs
from mentornet.training.optimizers import MomentumSGD, stepwise_rate

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class LoadedData:
    """A data set with the labels to train on.

    Attributes:
        dataset: as loaded.
        train: the training samples used (all, or the subset).
        labels: their given labels, and the true ones for diagnostics.
    """

    dataset: ImageDataset
    train: Split
    labels: labels.NoisyLabels


def load_data(config: DataConfig, run_labels: Path | None = None) -> LoadedData:
    """Loads the images and decides the labels.

    Args:
        config: the data flags.
        run_labels: labels.npz of an earlier run: use exactly its samples and labels, whatever the noise flags say.

    Raises:
        ValueError, FileNotFoundError: missing or unreadable data, labels that do not fit.
    """
    dataset = datasets.load(
        config.dataset_name, data_dir=config.data_dir, image_size=config.image_size, download=config.download
    )
    if run_labels is not None:
        train = dataset.train.take(labels.positions_of_run(run_labels, dataset.train.ids))
        return LoadedData(dataset, train, labels.from_file(run_labels, train, dataset.num_classes))
    train = dataset.train
    if config.train_examples:
        train = labels.subset(train, config.train_examples, config.noise_seed)
    if config.labels_file:
        return LoadedData(dataset, train, labels.from_file(config.labels_file, train, dataset.num_classes))
    noisy = labels.corrupt(
        train,
        config.noise_type,
        config.noise_fraction,
        dataset.num_classes,
        seed=config.noise_seed,
        dataset_name=config.dataset_name,
        data_dir=config.data_dir,
        human_labels_file=config.human_labels_file,
    )
    return LoadedData(dataset, train, noisy)


def training_inputs(loaded: LoadedData, config: Config, shard: tuple[int, int] = (0, 1)) -> TrainingInputs:
    """The batches of a run, and what its reports need.

    Args:
        loaded: images and labels.
        config: the whole configuration.
        shard: (i, k): this is the i-th of k processes that share every batch and the evaluation.

    Raises:
        ValueError: fewer samples than a batch, or a batch that k processes can't share equally.
    """
    train, noisy = loaded.train, loaded.labels
    augmentation = pipeline.AUGMENTATIONS[config.data.augmentation]
    source = pipeline.TrainingBatches(
        train.images,
        noisy.given,
        noisy.is_clean,
        batch_size=config.data.batch_size,
        seed=config.run.seed,
        augmentation=augmentation,
        shard=shard,
    )
    test = loaded.dataset.test
    own_test = test if shard[1] == 1 else test.take(range(shard[0], len(test), shard[1]))
    clean = None if noisy.clean is None else noisy.clean.reveal()
    return TrainingInputs(
        batches=lambda start, steps: source.dataset(start, steps),
        evaluation=ordered_batches(own_test, own_test.labels, augmentation),
        training_in_order=ordered_batches(train, noisy.given, augmentation),
        given=noisy.given,
        clean=clean,
        original_index=train.ids,
        class_names=loaded.dataset.class_names,
        pictures=lambda positions: train.images[positions],
        label_facts={
            "noise_type": noisy.noise_type,
            "noise_fraction": noisy.noise_fraction,
            "noise_seed": noisy.seed,
            "dataset_name": config.data.dataset_name,
        },
        evaluation_examples=len(test),
        worker_stream=lambda first_step: source.dataset(first_step),
    )


def ordered_batches(split: Split, given: np.ndarray, augmentation: pipeline.Augmentation) -> tf.data.Dataset:
    """Samples in order, standardised but not augmented, with these labels."""
    return pipeline.evaluation_batches(split.images, given, EVALUATION_BATCH, augmentation)


def student(config: StudentConfig, loaded: LoadedData, seed: int, synchronized_batch_norm: bool = False) -> keras.Model:
    """The student network, with batch norm over all replicas if asked for and if it has any.

    Raises:
        ValueError: it does not take images of this size.
    """
    synchronized = synchronized_batch_norm and "synchronized" in student_nets.options(config.name)
    return student_nets.get(
        config.name,
        loaded.dataset.num_classes,
        input_shape=loaded.dataset.image_shape,
        dropout_keep_probability=config.dropout_keep_probability,
        seed=seed,
        **({"synchronized": True} if synchronized else {}),
    )


def method(config: Config, network: keras.Model, loaded: LoadedData) -> methods.NoisyLabelMethod:
    """The method around a student.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit, or no such curriculum.
    """
    shared: dict[str, Any] = {
        "max_steps": config.run.max_steps,
        "num_examples": len(loaded.train),
        "weight_decay": config.student.weight_decay,
        "seed": config.run.seed,
        "clean_known": loaded.labels.clean is not None,
    }
    kind: Any = methods.get(config.method.name)
    if config.method.curriculum is None:
        return kind(network, **shared)
    curriculum = curricula.get(config.method.curriculum, config.method.fixed_label)
    return kind(network, curriculum, **shared, **config.method.options)


def optimizer(config: Config, num_examples: int) -> keras.optimizers.Optimizer:
    """Momentum SGD with the configured schedule; loss scaling under float16."""
    boundaries = config.student.boundaries(num_examples / config.data.batch_size)
    rate = stepwise_rate(config.student.learning_rate, boundaries, config.student.learning_rate_decay_factor)
    plain = MomentumSGD(rate, config.student.momentum)
    if config.run.mixed_precision == "float16":
        return keras.mixed_precision.LossScaleOptimizer(plain)
    return plain


def run_settings(config: Config) -> RunSettings:
    """Intervals and speed of a run."""
    run = config.run
    return RunSettings(
        max_steps=run.max_steps,
        eval_every_steps=run.eval_every_steps,
        evaluate=run.mode == "train_and_evaluate",
        save_interval_secs=run.save_interval_secs,
        save_summaries_secs=run.save_summaries_secs,
        keep_checkpoints=run.keep_checkpoints,
        jit_compile=run.jit_compile,
        steps_per_execution=run.steps_per_execution,
        progress=run.show_progress,
    )
