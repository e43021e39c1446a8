"""SPADE with a mixture that reads the student's activation: whole steps against NumPy, checkpoints, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import curricula, methods
from mentornet.curricula.experts import SparseMixture
from mentornet.curricula.learned import LearnedCurriculum
from mentornet.network import NetworkConfig, build
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.optimizers import MomentumSGD
from tests.spade_oracles import BATCH, SIDE, as_dataset, assert_whole_steps_agree, linear_student, make_batch

PIXELS = SIDE * SIDE  # what the linear student's dense layer reads
EXPERTS = ("spcl_linear", "focal_loss")


def mixture(size: int = PIXELS) -> tuple[LearnedCurriculum, np.ndarray, np.ndarray]:
    """A mixture with a random gate, and the gate's kernel and bias."""
    experts = [curricula.get(f"{curricula.PRETRAINED}{name}").network for name in EXPERTS]
    network = SparseMixture(experts, activation_size=size)
    rng = np.random.default_rng(4)
    gate = rng.normal(size=(len(EXPERTS) + size, len(EXPERTS))).astype(np.float32), np.array([0.1, 0.2], np.float32)
    network.gate.set_weights(gate)
    return LearnedCurriculum(network, name="mixture"), *gate


def expected_weights(loss, difference, activation, kernel, bias):
    """Experts one by one, as they come with the library; the gate in NumPy."""
    inputs = [tf.constant(values, tf.float32) for values in (loss, difference)]
    label = tf.zeros(len(loss), tf.int32)
    experts = [curricula.get(f"{curricula.PRETRAINED}{name}")(*inputs, label, tf.constant(0)) for name in EXPERTS]
    weights = np.stack(experts, axis=1).astype(np.float64)
    scores = np.concatenate([weights, activation], axis=1) @ kernel + bias
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (share / share.sum(axis=1, keepdims=True) * weights).sum(axis=1)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_whole_steps_with_a_mixture_agree_with_numpy(jit_compile):
    curriculum, *gate = mixture()

    def weigh(loss, difference, image):
        return expected_weights(loss, difference, image, *gate)

    for weights in assert_whole_steps_agree(curriculum, weigh, jit_compile=jit_compile, max_steps=1000, tolerance=1e-4):
        assert np.ptp(weights) > 0.05  # the samples differ, so a mixed-up activation would show


def trainer(curriculum) -> methods.Spade:
    image = keras.Input((SIDE, SIDE, 1))
    x = keras.layers.Dense(5, "relu", kernel_initializer=keras.initializers.RandomNormal(seed=1))(
        keras.layers.Flatten()(image)
    )
    x = keras.layers.BatchNormalization()(x)
    dense = keras.layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(seed=2))
    student = keras.Model(image, dense(x))
    spade = methods.Spade(student, curriculum, max_steps=10, num_examples=BATCH, example_dropout_rates=0.25)
    spade.compile(optimizer=MomentumSGD(0.1, 0.9))
    return spade


def train(spade, seeds):
    batches = [make_batch(seed) for seed in seeds]
    spade.fit(as_dataset(*batches), steps_per_epoch=len(batches), verbose=0)


def test_a_resumed_training_ends_alike_even_with_another_mixture_at_hand(tmp_path):
    """The mixture in force is in the checkpoint; the one the resumed process starts with says nothing."""
    whole, killed = trainer(mixture(size=5)[0]), trainer(mixture(size=5)[0])
    train(whole, range(6))
    Checkpoints(tmp_path, killed)
    train(killed, range(3))
    Checkpoints(tmp_path, killed).save()
    other, *_ = mixture(size=5)
    other.network.set_weights([np.ones_like(weight) for weight in other.network.get_weights()])
    again = trainer(other)
    assert Checkpoints(tmp_path, again).restore() == 3
    train(again, range(3, 6))
    for a, b in zip(whole.student.variables, again.student.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    np.testing.assert_array_equal(whole.loss_percentile, again.loss_percentile)


def test_the_activation_adds_nothing_to_weights_and_checkpoint(tmp_path):
    beside, alone = trainer(mixture(size=5)[0]), trainer(LearnedCurriculum(build(NetworkConfig())))
    names, own = [], []
    for spade in (beside, alone):
        Checkpoints(tmp_path / spade.curriculum.name, spade).save()
        stored = tf.train.list_variables(tf.train.latest_checkpoint(str(tmp_path / spade.curriculum.name)))
        names.append({name for name, _ in stored if "curriculum_variables" not in name})
        frozen = {id(variable) for variable in spade.curriculum.frozen_variables}
        own.append([variable.shape for variable in spade.weights if id(variable) not in frozen])
    assert names[0] == names[1]
    assert own[0] == own[1]
    assert len(beside.trained_variables()) == 6  # two dense layers, batch norm's scale and offset


def test_a_student_of_another_width_is_refused_before_training():
    with pytest.raises(ValueError, match=r"'mixture' reads an activation of 7 values, but the student '.*' has 9"):
        methods.Spade(linear_student(), mixture(size=7)[0], max_steps=10)
    image = keras.Input((4,))
    no_dense = keras.Model(image, keras.layers.Activation("relu")(image))
    with pytest.raises(ValueError, match="do not come from a dense layer"):
        methods.Spade(no_dense, mixture(size=4)[0], max_steps=10)


def test_a_mixture_cannot_be_updated():
    with pytest.raises(ValueError, match="is a mixture: only a single MentorNet can be updated"):
        methods.Spade(linear_student(), mixture()[0], max_steps=10).learned_network()
