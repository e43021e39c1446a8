"""Peers and their ensemble: other starting values from the same seeds, names, the mean of logits, files, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from mentornet import methods, students

SHAPE = (8, 8, 1)


def small(seed: int = 0, **options) -> keras.Model:
    return student_nets.get("small_cnn", 4, input_shape=SHAPE, seed=seed, **options)


def images(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, *SHAPE)).astype(np.float32)


def alike(one: keras.Model, two: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), two.get_weights(), strict=True))


def kernels(network: keras.Model) -> list[np.ndarray]:
    return [v.numpy() for v in network.trainable_variables if v.shape.rank > 1]


def test_peers_start_elsewhere_as_a_function_of_the_seed():
    first, second, third = students.peers(small(), 3)
    assert [network.name for network in (first, second, third)] == ["small_cnn", "small_cnn_2", "small_cnn_3"]
    again = students.peers(small(), 3)
    assert alike(second, again[1])
    assert alike(third, again[2])
    other = students.peers(small(seed=1), 2)[1]
    networks = [first, second, third, other, small(seed=1)]
    for k, one in enumerate(networks):
        for two in networks[k + 1 :]:
            for a, b in zip(kernels(one), kernels(two), strict=True):
                assert a.shape == b.shape
                assert np.abs(a - b).max() > 1e-3
    for a, b in zip(kernels(first), kernels(second), strict=True):
        assert 0.8 < a.std() / b.std() < 1.25  # of the same distribution
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.2


def test_peers_draw_other_dropout_masks():
    """The seeds of layers are replaced, too: the masks of two peers with the same weights differ, repeatably."""

    def answers() -> list[np.ndarray]:
        pair = students.peers(small(dropout_keep_probability=0.5), 2)
        pair[1].set_weights(pair[0].get_weights())
        return [network(images(), training=True).numpy() for network in pair]

    one, two = answers()
    assert np.abs(one - two).max() > 1e-3
    for found, expected in zip(answers(), (one, two), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["resnet8", "cifarnet", "s2e_model1", "preact_resnet18", "lenet"])
def test_every_kind_of_student_can_have_a_peer(name):
    shape = (16, 16, 3)
    one, two = students.peers(student_nets.get(name, 3, input_shape=shape), 2)
    assert two.count_params() == one.count_params()
    assert [layer.name for layer in two.layers] == [layer.name for layer in one.layers]
    assert not alike(one, two)


def test_a_user_may_bring_all_peers():
    given = [small(), keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)], "own")]
    assert students.peers(given, 2) == given
    assert students.peers(tuple(given), 2) == given
    assert methods.get("co_teaching")(given, max_steps=1).networks == given


def test_the_ensemble_answers_with_the_mean_of_logits():
    pair = students.peers(small(), 2)
    both = students.ensemble(pair)
    expected = np.mean([network(images()).numpy() for network in pair], axis=0)
    np.testing.assert_allclose(both(images()), expected, rtol=1e-6, atol=1e-6)
    assert both.name == "small_cnn_ensemble"
    assert students.ensemble(pair[:1]) is pair[0]
    # It holds the networks themselves, so that training them trains it.
    pair[1].layers[-1].bias.assign_add([1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(both(images()), expected + np.array([0.5, 0, 0, 0]), rtol=1e-6, atol=1e-6)
    assert {id(v) for v in both.variables} == {id(v) for network in pair for v in network.variables}


def test_the_ensemble_is_saved_and_loaded_like_a_student(tmp_path):
    both = students.ensemble(students.peers(small(dropout_keep_probability=0.7), 2))
    both(images(), training=True)  # moving averages and dropout counters move
    both.save(tmp_path / "student.keras")
    loaded = student_nets.load(tmp_path / "student.keras")
    np.testing.assert_array_equal(loaded(images()), both(images()))
    assert alike(loaded, both)
    assert loaded.output_shape == (None, 4)
    copy = students.plain_copy(both)
    np.testing.assert_array_equal(copy(images()), both(images()))


def test_synchronised_batch_norm_stays_so():
    """Keras leaves it out of a layer's configuration."""
    one, two = students.peers(small(synchronized=True), 2)
    plain = students.peers(small(), 2)[1]

    def settings(network: keras.Model) -> list[tuple[bool, bool]]:
        kind = keras.layers.BatchNormalization
        return [(layer.synchronized, bool(layer.fused)) for layer in network.submodules if isinstance(layer, kind)]

    assert settings(two) == settings(one) == [(True, False)] * len(settings(one))
    assert all(not synchronized for synchronized, _ in settings(plain))
    assert len(settings(one)) > 1


def test_a_copied_optimiser_has_done_nothing_yet():
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.1])
    optimizer = keras.optimizers.SGD(rate, momentum=0.7)
    weight = tf.Variable([1.0])
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant([1.0]), weight)])
    copy = students.copied_optimizer(optimizer)
    assert copy.get_config() == optimizer.get_config()
    assert int(copy.iterations) == 0
    other = tf.Variable([1.0])
    copy.apply_gradients([(tf.constant([1.0]), other)])
    assert other.numpy().tolist() == [0.5]  # the schedule begins anew


def test_one_student_is_itself():
    student = small()
    assert students.peers(student, 1) == [student]
    assert students.Student(student).optimizer is None


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c"), ("a", "a")])
def test_another_number_or_the_same_name_is_refused(names):
    given = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)], name) for name in names]
    with pytest.raises(ValueError, match=rf"2 students with names of their own are needed, got {', '.join(names)}"):
        students.peers(given, 2)


class Own(keras.Model):
    """A subclassed model with an argument that Keras doesn't know."""

    def __init__(self, width: int):
        super().__init__(name="own")
        self.dense = keras.layers.Dense(width)

    def call(self, inputs, training=None):
        return self.dense(inputs)


def test_students_that_can_not_be_built_again_are_refused():
    with pytest.raises(ValueError, match=r"'own' can't be built a second time .* give all peers as a list") as error:
        students.peers(Own(3), 2)
    assert "\n" not in str(error.value)
    assert students.peers(Own(3), 1)[0].name == "own"


def test_an_ensemble_needs_to_know_its_input():
    given = [Own(3), keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)], "second")]
    with pytest.raises(ValueError, match="'own' does not tell its input shape, which an ensemble needs"):
        students.ensemble(given)
