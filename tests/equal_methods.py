"""A process of the tests of methods on several devices: trains every method on one device and on two, stores both.

    python tests/equal_methods.py [--one_device] OUTPUT.npz [CASE...]

With TF_CONFIG in the environment it is one worker of a synchronous cluster instead, and stores what it holds.
Run as a program of its own, because the CPU has to be divided before TensorFlow's first operation. The student has
batch norm over the global batch, so that two halves of a batch can do what the whole one does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.training.distribution import inputs as distributed_inputs
from mentornet.training.distribution import strategy
from mentornet.training.optimizers import MomentumSGD, stepwise_rate
from tests.fixed_streams import FixedStreams

STEPS, BATCH, CLEAN_BATCH, EXAMPLES, CLASSES = 6, 12, 8, 24, 4
TRANSITION = 0.7 * np.eye(CLASSES) + 0.3 / CLASSES
CASES: dict[str, dict[str, Any]] = {
    "standard": {},
    "spade": {"curriculum": "mentornet_pd", "burn_in_epoch": 0, "example_dropout_rates": "0.2,100"},
    "l2rw": {},
    "l2rw double": {"meta_gradient": "double_backprop", "clean_decay": True},
    "l2b": {"clip_norm": 0.3, "warmup_steps": 1},
    "l2b eq. 5": {"lookahead": "none", "scope": "separate", "decayed": "kernels"},
    "reed": {"kind": "soft"},
    "forward_correction": {"transition_matrix": TRANSITION},
    "backward_correction": {"transition_matrix": TRANSITION},
    "s_model": {},
    "generalised_cross_entropy": {},
    "class_weights": {"class_weights": (1.0, 2.0, 0.5, 0.0), "normalise_batch": True},
    "hard_mining": {},
    "random_weights": {},
    "clean_only": {},
    "mixup": {"mixup_alpha": 1.0},
    "small_loss": {"keep_schedule": "co_teaching:tau=0.6,epochs=2", "steps_per_epoch": 2},
    "co_teaching": {"keep_schedule": "co_teaching:tau=0.6,epochs=2", "steps_per_epoch": 2},
    "co_teaching_plus": {"keep_schedule": "constant:0.5", "steps_per_epoch": 2, "warmup_epochs": 1},
    "co_teaching_plus double": {"keep_schedule": "constant:0.7", "double_softmax": True, "divide_twice": True},
    "decoupling": {},
    "decoupling late": {"agreement_steps": 3},
}


def student() -> keras.Model:
    """A convolution, batch norm, ReLU, dense."""
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(3, 3, kernel_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=1))(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9, synchronized=True)(x))
    x = keras.layers.Flatten()(x)
    return keras.Model(
        inputs, keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.RandomNormal(stddev=0.2, seed=2))(x)
    )


def source(shard: tuple[int, int] = (0, 1)) -> FixedStreams:
    """Batches of random images, with clean ones beside; or the part of each that worker i of k reads."""
    worker, workers = shard
    rng = np.random.default_rng(3)
    images = rng.normal(size=(EXAMPLES, 6, 6, 1)).astype(np.float32)
    given = rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)
    chosen = np.stack([rng.permutation(EXAMPLES)[:BATCH] for _ in range(STEPS)]).astype(np.int32)
    clean = rng.integers(0, EXAMPLES, (STEPS, CLEAN_BATCH))
    whole = {
        "image": images[chosen],
        "label": given[chosen],
        "index": chosen,
        "is_clean": chosen % 3 > 0,
        "clean_image": images[clean],
        "clean_label": (given[clean] + 1) % CLASSES,
    }
    own = {name: np.split(values, workers, axis=1)[worker] for name, values in whole.items()}
    return FixedStreams(tf.data.Dataset.from_tensor_slices(own))


def train(place: strategy.Distribution, case: str) -> dict[str, np.ndarray]:
    """What is left of a training: the students, the velocities, the booked weights, and the method's own state."""
    with place.scope():
        method = methods.get(case.split()[0])(
            student(), max_steps=STEPS, num_examples=EXAMPLES, weight_decay=1e-2, seed=4, **CASES[case]
        )
        method.compile(MomentumSGD(stepwise_rate(0.1, [3], 0.5), 0.9))
        method.build_optimizers()
    method.keep_intervals()
    done = reached = 0
    while (stage := method.next_stage(done)) is not None:
        method.enter(stage)
        batches = distributed_inputs.training_batches(
            place, source(place.input_shard), method.streams(stage), reached, stage.steps
        )
        method.fit(batches, steps_per_epoch=stage.steps, verbose=0)
        done, reached = done + 1, reached + stage.steps
    held = {f"student/{k}": variable for k, variable in enumerate(method.student.variables)}
    moved = [variable for student in method.students for variable in student.optimizer.variables]
    held |= {f"optimizer/{k}": variable for k, variable in enumerate(moved)}
    names = ("noise_logits", "weight_totals", "weight_visits", "loss_percentile", "step")
    held |= {name: getattr(method, name) for name in names if hasattr(method, name)}
    if method.sample_tables is not None:
        held |= {f"tables/{name}": getattr(method.sample_tables, name) for name in ("probabilities", "visits")}
    held |= {f"statistics/{name}": value for name, value in method.statistics.result().items()}
    held |= {f"report/{name}": value for name, value in method.report().items()}
    return {name: tf.convert_to_tensor(value).numpy() for name, value in held.items()}


def main() -> None:
    one_device = "--one_device" in sys.argv
    output, *cases = [argument for argument in sys.argv[1:] if argument != "--one_device"]
    places = {"process": strategy.create("multi_worker")} if "TF_CONFIG" in os.environ else places_here()
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(0)
    if one_device:
        del places["two"]
    held = {}
    for case in cases or CASES:
        for name, place in places.items():
            held |= {f"{case}/{name}/{key}": value for key, value in train(place, case).items()}
    np.savez(output, **held)


def places_here() -> dict[str, strategy.Distribution]:
    """One device, and two of this process."""
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    places = {"one": strategy.create("one_device"), "two": strategy.create("mirrored")}
    assert places["two"].replicas == 2
    return places


if __name__ == "__main__":
    main()
