"""Which labels the curricula look at: positives among two classes, none among more; and the label that is fed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from flags import configuration
from mentornet import curricula, methods

LOSSES = np.linspace(0.0, 3.9, 40).astype(np.float32)
LABELS = np.arange(40)


def weights(name: str, classes: int, step: int = 60) -> np.ndarray:
    """The weights that SPADE gives a batch whose median is l_pt, when no burn-in or dropout is in the way."""
    student = keras.Sequential([keras.Input((2,)), keras.layers.Dense(classes)])
    spade = methods.Spade(
        student,
        name,
        max_steps=100,
        burn_in_epoch=0,
        example_dropout_rates=0.0,
        loss_percentile=0.5,
        loss_moving_average_decay=0.0,
    )
    spade.step.assign(step)
    labels = tf.constant(LABELS % classes, tf.int32)
    return spade.weigh(tf.constant(LOSSES), labels, tf.range(40)).weights.numpy()


HARD = (np.median(LOSSES) <= LOSSES).astype(np.float32)


@pytest.mark.parametrize("name", ["hard_example_mining", "temporal_mixture", "temporal_mixture:switch=5"])
@pytest.mark.parametrize("classes", [3, 10])
def test_among_more_than_two_classes_the_loss_alone_decides(name, classes):
    np.testing.assert_array_equal(weights(name, classes), HARD)


@pytest.mark.parametrize(
    "name", ["hard_example_mining", "hard_example_mining:positive_label_kept=1", "temporal_mixture"]
)
def test_of_two_classes_all_positives_are_kept(name):
    np.testing.assert_array_equal(weights(name, 2), np.where(LABELS % 2 == 1, 1, HARD))


def test_positives_may_be_treated_like_the_others():
    np.testing.assert_array_equal(weights("hard_example_mining:positive_label_kept=0", 2), HARD)


def test_the_first_half_of_the_mixture_is_self_paced_for_any_classes():
    for classes in (2, 10):
        np.testing.assert_array_equal(weights("temporal_mixture", classes, step=49), (np.median(LOSSES) >= LOSSES))


def test_a_student_with_an_auxiliary_head_counts_its_classes_too():
    image = keras.Input((2,))
    heads = [keras.layers.Dense(3)(image), keras.layers.Dense(3)(image)]
    spade = methods.Spade(keras.Model(image, heads), "hard_example_mining", max_steps=10)
    found = spade.curriculum(tf.constant([0.1]), tf.constant([-1.0]), tf.constant([1]), tf.constant(0))
    assert found.numpy() == [0.0]


def test_positives_of_more_than_two_classes_are_refused():
    with pytest.raises(ValueError, match="keeps the positives of two classes, but there are 10: leave it out"):
        weights("hard_example_mining:positive_label_kept=1", 10)


@pytest.mark.parametrize("name", ["self_paced", "focal_loss:gamma=2", "mentornet_pd"])
def test_a_fixed_label_for_a_formula_is_refused(name):
    command = ["train_cifar.py", "--train_log_dir=t", f"--curriculum={name}", "--fixed_label=0"]
    with pytest.raises(
        ValueError, match=f"--fixed_label=0 is fed to a learned MentorNet, and --curriculum={name} is a"
    ):
        configuration.parse(command)
    with pytest.raises(ValueError, match=f"{name} is a formula: leave it out"):
        curricula.get(name, fixed_label=0)


def test_a_fixed_label_for_a_learned_one_is_taken():
    command = ["train_cifar.py", "--train_log_dir=t", "--curriculum=pretrained:mentornet_dd_0.4", "--fixed_label=0"]
    assert configuration.parse(command).method.fixed_label == 0
