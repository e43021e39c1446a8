"""From plain configurations to objects: student, method, optimiser, and what ``flags.build_data`` makes of the data.

``flags.tasks`` takes this module for images held in memory and ``flags.imagenet_build`` for images read from the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

import student_nets
from data import pipeline
from flags.build import curricula as data_driven
from flags.build import first_run, preparation
from flags.build.data import LoadedData, load_data, ordered_batches, set_apart, training_inputs
from flags.configuration import Config
from flags.define.student_flags import StudentConfig
from mentornet import methods
from mentornet.runs.workdir import Workdir
from mentornet.training.curriculum_update import CurriculumUpdates
from mentornet.training.inputs import RunSettings
from mentornet.training.optimizers import MomentumSGD, stepwise_rate

__all__ = [
    "LoadedData",
    "curriculum_updates",
    "derived",
    "load_data",
    "method",
    "optimizer",
    "ordered_batches",
    "run_settings",
    "set_apart",
    "student",
    "training_inputs",
]


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
        **({"auxiliary_head": True} if config.auxiliary_head else {}),
    )


def derived(
    config: Config,
    loaded: LoadedData,
    workdir: Workdir | None = None,
    batches: Callable[[], tf.data.Dataset] | None = None,
) -> preparation.Derived:
    """What the method is made from beyond its options; see ``method_sources.derived``.

    Args:
        config: the whole configuration.
        loaded: the data.
        workdir: the run folder, if the run may go on.
        batches: makes the training samples in order, not augmented; default: from ``loaded``.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable or unfitting sources.
    """
    own = preparation.OwnData(
        config.identity(),
        loaded.labels,
        loaded.train.ids,
        lambda: loaded.train.paths_at(range(len(loaded.train))),
        loaded.dataset.num_classes,
        batches or (lambda: ordered_batches(loaded.train, loaded.labels.given, config.data)),
    )
    return preparation.derived(config.method.name, config.method.sources, own, workdir)


def method(
    config: Config, network: keras.Model, loaded: LoadedData, made_from: preparation.Derived | None = None
) -> methods.NoisyLabelMethod:
    """The method around a student.

    Args:
        config: the whole configuration.
        network: the student.
        loaded: the data.
        made_from: see ``derived``, which is asked if nothing is given.

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
        if made_from is None:
            made_from = derived(config, loaded)
        if made_from.start_from is not None:
            first_run.start_from(network, made_from.start_from)
        made = dict(made_from.arguments)
        if config.clean.clean_source == "mixture":
            made["mixture_steps"] = max(1, len(loaded.train) // config.data.batch_size)
            made["clean_batch_size"] = config.clean.clean_batch_size or config.data.batch_size
        return kind(network, **shared, **config.method.options, **made)
    curriculum = data_driven.curriculum(config.method, loaded.dataset.num_classes, config.run.seed)
    made_spade = kind(network, curriculum, **shared, **config.method.options)
    if config.clean.balanced_batches and made_spade.keeps_values_per_sample:
        raise ValueError(
            f"--balanced_batches may draw a sample twice, but the curriculum {curriculum.name!r} keeps values of each "
            "sample: leave it out"
        )
    return made_spade


def curriculum_updates(config: Config, loaded: LoadedData) -> CurriculumUpdates | None:
    """When the curriculum is learned anew while the student trains, and from what; None for never.

    Raises:
        ValueError: there are no true labels to learn from.
    """
    augmentation = pipeline.AUGMENTATIONS[config.data.augmentation]
    return data_driven.updates(config.method, loaded.train, loaded.labels, augmentation, config.run.seed)


def optimizer(config: Config, num_examples: int) -> keras.optimizers.Optimizer:
    """Momentum SGD with the configured schedule; loss scaling under float16."""
    settings = config.student
    if settings.learning_rate_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, config.run.max_steps)
    else:
        boundaries = settings.boundaries(num_examples / config.data.batch_size)
        rate = stepwise_rate(settings.learning_rate, boundaries, settings.learning_rate_decay_factor)
    plain = MomentumSGD(rate, settings.momentum)
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
