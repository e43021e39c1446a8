"""A process of the tests of synchronous equality: trains a little under a strategy and stores what every replica holds.

    python tests/equal_training.py STRATEGY OUTPUT.npz VARIANT...

Run as a program of its own, because a strategy has to be created before TensorFlow's first operation.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf
import tf_keras as keras

import student_nets
from data import pipeline, streams
from mentornet import curricula, methods
from mentornet.curricula.experts import SparseMixture
from mentornet.curricula.learned import LearnedCurriculum
from mentornet.training.distribution import inputs as distributed_inputs
from mentornet.training.distribution import strategy
from mentornet.training.inputs import TrainingInputs
from mentornet.training.optimizers import MomentumSGD

STEPS, BATCH, EXAMPLES, TEST_EXAMPLES = 20, 24, 96, 53
VARIANTS: dict[str, dict[str, Any]] = {
    "percentile": {"curriculum": "mentornet_pd"},
    "explicit": {"curriculum": "spcl:lambda1=2,lambda2=1", "explicit": True, "burn_in_epoch": 0},
    "history": {"curriculum": "prediction_variance", "burn_in_epoch": 0},
    "activation": {"curriculum": "mixture", "burn_in_epoch": 0},
    "separate_norm": {"curriculum": "mentornet_pd", "synchronized": False},
}


def arrays(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, 8, 8, 1), np.uint8), generator.integers(0, 10, count).astype(np.int32)


def inputs_of(shard: tuple[int, int]) -> TrainingInputs:
    augmentation = pipeline.AUGMENTATIONS["cifar"]
    images, given = arrays(EXAMPLES, seed=1)
    sources = {streams.TRAINING: streams.Source(images, given, BATCH, given % 3 > 0)}
    test_images, test_labels = (values[shard[0] :: shard[1]] for values in arrays(TEST_EXAMPLES, seed=2))
    return TrainingInputs(
        streams=streams.MemoryStreams(sources, seed=5, augmentation=augmentation, shard=shard),
        evaluation=pipeline.evaluation_batches(test_images, test_labels, 20, augmentation),
        ordered=lambda positions: pipeline.evaluation_batches(images, given, 20, augmentation),
        given=given,
        clean=None,
        original_index=np.arange(EXAMPLES),
        class_names=list("0123456789"),
        pictures=lambda positions: images[positions],
        evaluation_examples=TEST_EXAMPLES,
    )


def smooth_student(synchronized: bool) -> keras.Model:
    """small_cnn with smooth functions, with which two trainings part by rounding only.

    A difference in the last bit can flip a ReLU or the place of a maximum, which sends a gradient elsewhere.
    """

    def smooth(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.ReLU):
            return keras.layers.Activation("swish", name=layer.name)
        if isinstance(layer, keras.layers.MaxPooling2D):
            return keras.layers.AveragePooling2D(layer.pool_size, name=layer.name)
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = synchronized  # tf_keras leaves it out
        return layer.__class__.from_config(config)

    kinked = student_nets.get("small_cnn", input_shape=(8, 8, 1), seed=3, synchronized=synchronized)
    return keras.models.clone_model(kinked, clone_function=smooth)


def mixture() -> LearnedCurriculum:
    """Two smooth MentorNets whose gate reads the 512 activations of the student."""
    experts = [curricula.get(f"pretrained:{name}").network for name in ("spcl_linear", "focal_loss")]
    network = SparseMixture(experts, activation_size=512)
    network.gate.set_weights([np.random.default_rng(7).normal(0, 0.2, (514, 2)), np.zeros(2)])
    return LearnedCurriculum(network, name="mixture")


def train(place: strategy.Distribution, *, curriculum: str, synchronized: bool = True, **settings: Any) -> dict:
    """What each replica of this process holds after training, as "replica/name" -> array."""
    with place.scope():
        student = smooth_student(synchronized)
        method = methods.Spade(
            student,
            mixture() if curriculum == "mixture" else curriculum,
            max_steps=STEPS,
            num_examples=EXAMPLES,
            weight_decay=1e-2,
            example_dropout_rates="0.5,20,0.25,80",
            **settings,
        )
        method.compile(MomentumSGD(0.02, 0.9), steps_per_execution=4)
        method.optimizer.build(student.trainable_variables)
    inputs = inputs_of(place.input_shard)
    read = distributed_inputs.training_batches(place, inputs.streams, method.streams(method.stage), 0, STEPS)
    method.fit(read, steps_per_epoch=STEPS, verbose=0)
    statistics = method.statistics.result()
    batches, steps = distributed_inputs.evaluation_batches(place, inputs)
    answered = method.evaluate(batches, steps=steps, verbose=0, return_dict=True)
    own = {f"student/{variable.name}": variable for variable in student.variables}
    own |= {f"velocity/{variable.name}": variable for variable in method.optimizer.variables}
    own |= {"loss_percentile": method.loss_percentile, "step": method.step}
    own |= {name: getattr(method, name) for name in ("sample_weights", "loss_history") if hasattr(method, name)}
    held = {}
    for name, variable in own.items():
        copies = [variable] if place.strategy is None else place.strategy.experimental_local_results(variable)
        held |= {f"{replica}/{name}": copy.numpy() for replica, copy in enumerate(copies)}
    shared = {f"statistics/{name}": value for name, value in statistics.items()}
    shared |= {f"evaluation/{name}": value for name, value in answered.items()}
    shared |= {name: tf.convert_to_tensor(getattr(method, name)) for name in ("weight_totals", "weight_visits")}
    shared |= {name: tf.convert_to_tensor(getattr(method.sample_tables, name)) for name in ("probabilities", "visits")}
    return held | {f"0/{name}": np.asarray(value) for name, value in shared.items()}


def main() -> None:
    kind, output, *variants = sys.argv[1:]
    if kind == "mirrored":
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(0)
    place = strategy.create(kind)
    held = {f"{v}/{name}": value for v in variants for name, value in train(place, **VARIANTS[v]).items()}
    np.savez(output, **held)


if __name__ == "__main__":
    main()
