"""A process of the tests of methods with streams of their own: trains on one device and on two, stores what is left.

    python tests/equal_dividemix.py OUTPUT.npz

Run as a program of its own, because the CPU has to be divided before TensorFlow's first operation. The students have
batch norm over the global batch, so that two halves of a batch can do what the whole one does.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf
import tf_keras as keras

from data.augmentation import AUGMENTATIONS
from data.streams import MemoryStreams, Source
from mentornet import methods
from mentornet.training.distribution import strategy
from mentornet.training.distribution.inputs import training_batches
from mentornet.training.optimizers import MomentumSGD

EXAMPLES, SIZE, CLASSES = 40, 4, 3
NAMES = ("dividemix", "unicon", "simclr")


def student(name: str, seed: int) -> keras.Model:
    image = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(3, 3, kernel_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=seed))(image)
    x = keras.layers.BatchNormalization(momentum=0.9, synchronized=True)(x)
    x = keras.layers.Flatten()(keras.layers.Activation("swish")(x))
    start = keras.initializers.RandomNormal(stddev=0.2, seed=seed + 1)
    return keras.Model(image, keras.layers.Dense(CLASSES, kernel_initializer=start)(x), name=name)


def method_of(name: str) -> methods.NoisyLabelMethod:
    shared = {"num_examples": EXAMPLES, "weight_decay": 1e-2, "seed": 3}
    if name == "simclr":
        return methods.SimCLR(student("a", 1), max_steps=4, projection_size=5, **shared)
    own = {"num_epochs": 2, "batch_size": SIZE, "warmup_epochs": 1, "entropy_penalty": True}
    # Not its own temperature T of 0.05: the contrast's slopes grow with 1 / T, their change with 1 / T^2. Weights that
    # begin 1e-6 (relative) off end 1.0e-5 off at 0.5 and 1.3e-3 off at 0.05, on one device; two devices end 0.7e-5 and
    # 0.7e-3 off. So what is left at 0.05 is rounding, a hundred times enlarged, and would hide a real difference.
    further = {"lambda_c": 0.5, "contrastive_temperature": 0.5, "projection_size": 5} if name == "unicon" else {}
    return methods.get(name)([student("a", 1), student("b", 5)], **own | further | shared)


def train(place: strategy.Distribution, name: str) -> dict[str, np.ndarray]:
    """An epoch of warm-up and one of mixing, of both networks; or some steps of contrastive learning."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, 6, 6, 1), np.uint8)
    labels, clean = rng.integers(0, CLASSES, EXAMPLES), rng.random((2, EXAMPLES)).astype(np.float32)
    streams = MemoryStreams(
        {"training": Source(images, labels, 2 * SIZE, labels > 0)},
        seed=1,
        augmentation=AUGMENTATIONS["crop"],
        shard=place.input_shard,
    )
    with place.scope():
        method = method_of(name)
        method.compile(MomentumSGD(0.05, 0.9))
        method.build_optimizers()
    if name != "simclr":
        method.clean.assign(clean)
    if name == "unicon":
        method.kept.assign(clean > 0.6)  # so that there are other sizes
    done = 0
    while (stage := method.next_stage(done)) is not None:
        done += 1
        method.enter(stage)
        own = method.streams(stage)
        length = stage.steps or streams.steps(next(iter(own.values())))
        method.begin(int(method.step.numpy()), length)
        method.fit(training_batches(place, streams, own, 0, length, stage.number), steps_per_epoch=length, verbose=0)
    held = {}
    for k, network in enumerate([*method.networks, *getattr(method, "projection_heads", [])]):
        held |= {f"{k}/{number}": variable for number, variable in enumerate(network.variables)}
    held |= {f"statistics/{name}": value for name, value in method.statistics.result().items()}
    return {name: tf.convert_to_tensor(value).numpy() for name, value in held.items()}


def main() -> None:
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(0)
    places = {"one": strategy.create("one_device"), "two": strategy.create("mirrored")}
    assert places["two"].replicas == 2
    held = {}
    for name in NAMES:
        for place, at in places.items():
            held |= {f"{place}/{name}/{key}": value for key, value in train(at, name).items()}
    np.savez(sys.argv[1], **held)


if __name__ == "__main__":
    main()
