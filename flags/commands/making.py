"""Everything a run is made of, from a checked configuration: data, student, method, optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tf_keras as keras

from flags.build import plan
from flags.settings import Config
from mentornet.methods.base import NoisyLabelMethod
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.inputs import TrainingInputs
from mentornet.training.progress import Heartbeat


@dataclass(frozen=True)
class Data:
    """The data of a run, and the configuration that it makes complete."""

    config: Config
    loaded: Any
    inputs: TrainingInputs


@dataclass(frozen=True)
class Trainer:
    """What is trained, and with what."""

    network: keras.Model
    method: NoisyLabelMethod
    optimizer: keras.optimizers.Optimizer


def data(config: Config, build: Any, distribution: Distribution, heartbeat: Heartbeat) -> Data:
    """Reads the data.

    Raises:
        ValueError, FileNotFoundError: data that is missing, unreadable, or does not fit the flags.
    """
    heartbeat.doing(f"reading {config.data.dataset_name}")
    loaded = build.set_apart(build.load_data(config.data), config.clean, config.data.noise_seed)
    asked = config.data.batch_size
    config = config.resolved(len(loaded.train))
    plan.tell_notes(heartbeat, loaded, asked, config)
    if config.data.batch_size < asked:
        distribution.check(batch_size=config.data.batch_size)
    return Data(config, loaded, build.training_inputs(loaded, config, distribution))


def trainer(config: Config, build: Any, loaded: Any, distribution: Distribution, made_from: Any) -> Trainer:
    """Builds student, method and optimiser in the distribution's scope; ``made_from`` is of ``build.arguments``."""
    synchronized = config.distribution.synchronized_batch_norm
    with distribution.scope():
        network = build.student(
            config.student, loaded, config.run.seed, distribution.replicas > 1 if synchronized is None else synchronized
        )
        method = build.method(config, network, loaded, made_from)
        optimizer = build.optimizer(config, len(loaded.train))
    return Trainer(network, method, optimizer)


def facts(config: Config, loaded: Any, distribution: Distribution) -> dict[str, Any]:
    """What result.json says about a run besides its figures."""
    return {
        "method": config.method.name,
        "curriculum": config.method.curriculum,
        "studentnet": config.student.name,
        "dataset": config.data.dataset_name,
        "noise_type": loaded.labels.noise_type,
        "noise_fraction": loaded.labels.noise_fraction,
        **({} if loaded.labels.noise_class is None else {"noise_class": loaded.labels.noise_class}),
        "seed": config.run.seed,
        "preset": config.run.preset,
        "distribution": distribution.describe(),
    }
