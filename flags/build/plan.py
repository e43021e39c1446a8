"""What a run will do, told before it begins, and what of it is too short to work.

Curricula, burn-ins and learning rates follow a schedule over the length of a training. A recipe that is cut to a few
hundred steps still runs, but what it compares is something else; so whoever cuts one is told.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from flags.settings import Config
from mentornet import methods
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.inputs import TrainingInputs
from mentornet.training.progress import Heartbeat

FEW_EPOCHS = 10
"""Below so many epochs no method here has been seen to tell wrong labels from right ones reliably."""


def tell_notes(heartbeat: Heartbeat, loaded: Any, asked: int, config: Config) -> None:
    """Says what a person should know of the data as it was read.

    Args:
        heartbeat: prints.
        loaded: the data.
        asked: the batch size that was asked for.
        config: the whole configuration, resolved.
    """
    for note in getattr(loaded.dataset, "notes", ()):
        heartbeat.say(f"note: {note}")
    if config.data.batch_size < asked:
        heartbeat.say(
            f"note: {len(loaded.train):,} training images are fewer than a batch of {asked}: batches have "
            f"{config.data.batch_size}"
        )


def tell(
    heartbeat: Heartbeat, config: Config, network: keras.Model, inputs: TrainingInputs, place: Distribution
) -> None:
    """Says what the run will do, and what of it is too short."""
    for line in lines(config, network, inputs, place):
        heartbeat.say(line)
    for warning in warnings(config, len(inputs.given)):
        heartbeat.say(f"warning: {warning}")


def lines(config: Config, network: keras.Model, inputs: TrainingInputs, place: Distribution) -> list[str]:
    """What the run will do, a few lines for a person."""
    shape = " x ".join(map(str, network.input_shape[1:3]))
    masks = inputs.masks
    if masks is None:
        counts = np.bincount(inputs.given, minlength=len(inputs.class_names))
        each = f" ({counts.min():,} to {counts.max():,} each)" if np.ptp(counts) else f" ({counts[0]:,} each)"
        of = f"training images of {len(inputs.class_names)} classes{each}, {shape} pixels; wrong labels: "
        wrong = _share_wrong(inputs.given, inputs.clean)
    else:
        of = f"training slices of {masks.classes} classes, {shape} pixels; wrong pixels: "
        wrong = _share_wrong(masks.train.masks, masks.train.true_masks)
    judged = "held-out images with their given labels" if inputs.judged_by_given else "test images with clean labels"
    if masks is not None:
        judged = "test slices"
    judging = f"{inputs.evaluation_examples:,} {judged}" if inputs.evaluation_examples else judged
    if not config.run.mode.endswith("evaluate"):
        judging = "nothing while it trains (--mode=train)"
    parameters = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    peers = methods.get(config.method.name).peers
    return [
        f"data:     {config.data.dataset_name}, {len(inputs.given):,} {of}{wrong}",
        f"judge:    {judging}",
        f"student:  {config.student.name}, {parameters:,} parameters"
        + (f", {peers} of them" if peers > 1 else "")
        + f", on {_device(place)}",
        f"training: {_training(config, len(inputs.given))}",
    ]


def _share_wrong(given: np.ndarray, true: np.ndarray | None) -> str:
    """How many of the labels, or pixels, are wrong, as far as anybody knows."""
    if true is None:
        return "unknown"
    share = float(np.mean(given != true))
    return f"{100 * share:.1f}%" if share else "none that is known"


def warnings(config: Config, examples: int) -> list[str]:
    """What of a training's schedule does not fit into its length, a sentence each.

    Args:
        config: the whole configuration, resolved.
        examples: training samples.
    """
    found, epochs = [], _epochs(config, examples)
    options = config.method.options
    for name, value in options.items():
        if name.endswith("_epochs") and isinstance(value, (int, float)) and value and value >= epochs:
            found.append(f"--{name}={value:g} fills all {_count(epochs)}: what follows never comes")
    if options.get("warmup_epochs") == 0 and next(
        (option.default for option in methods.get(config.method.name).OPTIONS if option.name == "warmup_epochs"), 0
    ):
        found.append("--warmup_epochs=0: the labels are divided before anything is learned of them, nearly at random")
    steps = config.run.max_steps
    for name in ("warmup_steps", "agreement_steps"):
        if steps is not None and options.get(name, 0) >= steps:
            found.append(f"--{name}={options[name]} fills all {steps:,} steps: what follows never comes")
    found += _late_rates(config, examples, epochs)
    if config.method.name == methods.PLAIN or not methods.get(config.method.name).uses_labels:
        return found
    burn_in = options.get("burn_in_epoch")
    if burn_in is not None and burn_in >= 100:
        found.append(f"--burn_in_epoch={burn_in} percent is the whole training: the curriculum never decides")
    if epochs < FEW_EPOCHS:
        after = "" if not burn_in else f", {epochs * max(0, 100 - burn_in) / 100:.2g} of them after the burn-in"
        longer = (
            f"--num_epochs={3 * FEW_EPOCHS}"
            if config.run.num_epochs is not None
            else f"--max_number_of_steps={3 * FEW_EPOCHS * config.steps_per_epoch(examples):,}".replace(",", "")
        )
        found.append(
            f"the training is {_count(epochs, 2)} long{after}; below {FEW_EPOCHS} the losses hardly tell wrong labels "
            f"from right ones, and methods may come out in another order than in a longer one: try {longer}"
        )
    return found


def _epochs(config: Config, examples: int) -> float:
    """Length of the training in epochs."""
    if config.run.max_steps is None:
        return float(config.run.num_epochs or 0)
    return config.run.max_steps / config.steps_per_epoch(examples)


def _count(epochs: float, digits: int = 3) -> str:
    """So many epochs, in words."""
    shown = f"{epochs:.{digits}g}"
    return f"{shown} epoch" if shown == "1" else f"{shown} epochs"


def _late_rates(config: Config, examples: int, epochs: float) -> list[str]:
    """Boundaries of the learning rate that are never reached."""
    student, steps = config.student, config.run.max_steps
    if student.learning_rate_schedule != "steps":
        return []
    if student.num_epochs_per_decay is not None:
        if student.num_epochs_per_decay < epochs:
            return []
        return [
            f"the learning rate is first lowered after {_count(student.num_epochs_per_decay)}, but the training has "
            f"{epochs:.3g}: it never is"
        ]
    length, shown = (epochs, _count(epochs)) if steps is None else (steps, f"{steps:,} steps")
    late = [boundary for boundary in student.learning_rate_boundaries or () if boundary >= length]
    if not late:
        return []
    return [
        f"--learning_rate_boundaries: the learning rate never changes at {', '.join(f'{one:,}' for one in late)}, "
        f"because the training has {shown}"
    ]


def _training(config: Config, examples: int) -> str:
    """Method, length, burn-in, learning rate."""
    method, steps, student = config.method, config.run.max_steps, config.student
    rule = f"{method.name} with {method.curriculum}" if method.curriculum else method.name
    epochs = _epochs(config, examples)
    length = (
        f"{_count(epochs)}, batches of {config.data.batch_size}"
        if steps is None
        else f"{steps:,} steps of {config.data.batch_size} = {_count(epochs)}"
    )
    parts = [f"{rule}, {length}"]
    burn_in = method.options.get("burn_in_epoch")
    if burn_in and steps is not None:
        parts.append(f"burn-in until step {round(burn_in * steps / 100):,}")
    rate = f"learning rate {student.learning_rate:g}"
    reached = [b for b in student.learning_rate_boundaries or () if b < (steps or epochs)]
    if student.learning_rate_schedule == "steps" and reached and student.num_epochs_per_decay is None:
        what = "step" if steps is not None else "epoch"
        rate += f", times {student.learning_rate_decay_factor:g} at {what} {', '.join(f'{b:,}' for b in reached)}"
    return "; ".join([*parts, rate])


def _device(place: Distribution) -> str:
    """Where the steps are computed."""
    devices = tf.config.get_visible_devices("GPU")
    if place.kind != "one_device":
        return f"{place.kind} with {place.replicas} replica(s)"
    if not devices:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"the CPU ({cores} cores)"
    details: dict[str, Any] = tf.config.experimental.get_device_details(devices[0])
    return str(details.get("device_name", "the first GPU"))
