"""From plain configurations to objects: student, method, optimiser, and what ``flags.build_data`` makes of the data.

``flags.tasks`` takes this module for images held in memory and ``flags.imagenet_build`` for images read from the disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

import student_nets
from flags.build import curricula, preparation
from flags.build.data import LoadedData, load_data, ordered_batches, set_apart, training_inputs
from flags.define.student_settings import StudentConfig
from flags.settings import Config
from mentornet import methods, students
from mentornet.methods.preparation import START_FROM
from mentornet.runs.workdir import Workdir
from mentornet.training.inputs import RunSettings
from mentornet.training.optimizers import Adam, InverseDecay, LinearDecay, MomentumSGD, RMSProp, stepwise_rate

__all__ = [
    "LoadedData",
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
        **({"variant": config.variant} if config.variant else {}),
    )


def arguments(
    config: Config,
    loaded: LoadedData,
    workdir: Workdir | None = None,
    batches: Callable[[], tf.data.Dataset] | None = None,
) -> dict[str, Any]:
    """The arguments of the method's class that follow from its options and the data; see its ``prepared``.

    Args:
        config: the whole configuration, resolved.
        loaded: the data.
        workdir: the run folder, if the run may go on.
        batches: makes the training samples in order, not augmented; default: from ``loaded``.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable or unfitting sources.
    """
    made = batches or (lambda: ordered_batches(loaded.train, loaded.labels.given, config.data))
    data = preparation.preparation(config, loaded, made, workdir)
    return methods.get(config.method.name).prepared(config.method.options, data)


def method(
    config: Config, network: keras.Model, loaded: LoadedData, made_from: dict[str, Any] | None = None
) -> methods.NoisyLabelMethod:
    """The method around a student.

    Args:
        config: the whole configuration, resolved.
        network: the student.
        loaded: the data.
        made_from: see ``arguments``, which is asked if nothing is given.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit, or no such curriculum.
    """
    made = dict(arguments(config, loaded) if made_from is None else made_from)
    made |= {
        "max_steps": config.run.max_steps,
        "num_examples": len(loaded.train),
        "weight_decay": config.student.weight_decay,
        "seed": config.run.seed,
        "clean_known": loaded.labels.clean is not None,
    }
    if START_FROM in made:
        made.pop(START_FROM).start(network)
    kind: Any = methods.get(config.method.name)
    if config.method.curriculum is None:
        return kind(network, **made)
    curriculum = curricula.curriculum(config.method, loaded.dataset.num_classes, config.run.seed)
    updates = curricula.updates(config.method, loaded.train, loaded.labels, config.run.seed)
    weighing = kind(network, curriculum, updates=updates, **made)
    balanced = "batches" if config.clean.balanced_batches else "epochs" if config.clean.balanced_epochs else None
    if balanced is not None and weighing.keeps_values_per_sample:
        raise ValueError(
            f"--balanced_{balanced} may draw a sample twice, but the curriculum {curriculum.name!r} keeps values of "
            "each sample: leave it out"
        )
    return weighing


def predictor(config: Config, loaded: LoadedData, seed: int, synchronized_batch_norm: bool = False) -> keras.Model:
    """The model a run's method predicts with: its student, or the ensemble of its peers; see ``student``."""
    network = student(config.student, loaded, seed, synchronized_batch_norm)
    return students.ensemble(students.peers(network, methods.get(config.method.name).peers))


def optimizer(config: Config, num_examples: int) -> keras.optimizers.Optimizer:
    """The configured optimiser with its schedule; loss scaling under float16."""
    settings, steps, rates = config.student, config.run.max_steps, epoch_rates(config)
    epoch = config.steps_per_epoch(num_examples)
    start = settings.linear_decay_epoch
    rate: Any
    if rates is not None:
        rate = rates[0]  # the engine changes it between stages
    elif settings.learning_rate_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate, steps, alpha=settings.lowest_learning_rate / settings.learning_rate
        )
    elif settings.learning_rate_schedule == "inverse":
        rate = InverseDecay(settings.learning_rate, epoch, settings.inverse_decay_epochs)
    elif settings.learning_rate_schedule == "linear":
        assert steps is not None
        rate = LinearDecay(settings.learning_rate, epoch, math.ceil(steps / epoch), start)
    else:
        most = config.data.max_batches_per_epoch or math.inf
        boundaries = settings.boundaries(min(num_examples / config.data.batch_size, most))
        rate = stepwise_rate(settings.learning_rate, boundaries, settings.learning_rate_decay_factor)
    plain: keras.optimizers.Optimizer = MomentumSGD(rate, settings.momentum)
    if settings.optimizer == "adam":
        beta1: Any = settings.adam_beta1
        if settings.adam_beta1_after_decay is not None:
            beta1 = rate.switched(beta1, settings.adam_beta1_after_decay)
        plain = Adam(rate, beta1)
    if settings.optimizer == "rmsprop":
        plain = RMSProp(rate)
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
        rates=epoch_rates(config),
        dumps_at=run.keep_dumps_at,
    )


def epoch_rates(config: Config) -> tuple[float, ...] | None:
    """The learning rate in each epoch, of methods that count in epochs; None for others."""
    if not methods.get(config.method.name).counts_epochs:
        return None
    assert config.run.num_epochs is not None
    return config.student.epoch_rates(config.run.num_epochs)
