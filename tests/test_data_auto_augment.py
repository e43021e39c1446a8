"""AutoAugment's policy: its numbers, its draws, and whole batches against Pillow."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from data import seeding
from data.auto_augment import OPERATIONS, SUB_POLICIES, draw, operation, strong
from tests.pillow_operations import pillow

KEY = seeding.key(0, "test/strong")


def step(number):
    return tf.constant(number, tf.int64)


def pictures(n, channels=3):
    return np.random.default_rng(n).normal(110, 60, (n, 32, 32, channels)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def many():
    """sub_policy [n] and operations [n, 2] of n = 50,000 draws over 25 steps."""
    draws = [draw(KEY, step(t), slice(0, 2000)) for t in range(25)]
    return np.concatenate([d.sub_policy for d in draws]), np.concatenate([d.operations for d in draws])


# The policy


def test_the_published_policy():
    assert len(SUB_POLICIES) == 25
    probability, magnitude = collections.Counter(), collections.defaultdict(list)
    for name, p, m in (entry for pair in SUB_POLICIES for entry in pair):
        probability[name] += round(10 * p)
        magnitude[name].append(m)
    assert probability == {
        "Invert": 2, "Contrast": 8, "Rotate": 7, "TranslateX": 8, "Sharpness": 28, "ShearY": 7, "TranslateY": 34,
        "AutoContrast": 50, "Equalize": 47, "Posterize": 3, "Color": 29, "Brightness": 23, "Solarize": 19,
    }  # fmt: skip
    used = {name: magnitude[name] for name in magnitude if name not in ("Invert", "AutoContrast", "Equalize")}
    assert used == {
        "Contrast": [6, 7], "Rotate": [2], "TranslateX": [9, 8], "Sharpness": [1, 3, 9, 5, 6], "ShearY": [8, 7],
        "TranslateY": [9, 3, 9, 9, 9], "Posterize": [7], "Color": [3, 7, 8, 9, 0], "Brightness": [7, 9, 6, 3],
        "Solarize": [2, 8, 5, 3],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "nothing", "lower", "upper"),
    [
        ("ShearX", 0, -0.3, 0.3),
        ("ShearY", 0, -0.3, 0.3),
        ("TranslateX", 0, -150 / 331, 150 / 331),
        ("TranslateY", 0, -150 / 331, 150 / 331),
        ("Rotate", 0, -30, 30),
        ("Solarize", 256, 0, 0),
        ("Posterize", 8, 4, 4),
        ("Contrast", 1, 0.1, 1.9),
        ("Color", 1, 0.1, 1.9),
        ("Brightness", 1, 0.1, 1.9),
        ("Sharpness", 1, 0.1, 1.9),
    ],
)
def test_ten_magnitudes_over_the_published_ranges(name, nothing, lower, upper):
    for side, end in ((-1, lower), (1, upper)):
        amounts = [operation(name, magnitude, side).amount for magnitude in range(10)]
        expected = np.linspace(nothing, end, 10)
        np.testing.assert_allclose(amounts, expected.round() if name == "Posterize" else expected, atol=1e-12)


# Draws


def test_sub_policies_are_equally_likely(many):
    assert stats.chisquare(np.bincount(many[0], minlength=25)).pvalue > 1e-4


def test_neighbouring_rows_and_steps_are_independent(many):
    sub_policy = many[0].reshape(25, 2000)
    for first, second in ((sub_policy[:, :-1], sub_policy[:, 1:]), (sub_policy[:-1], sub_policy[1:])):
        pairs = np.bincount(25 * first.ravel() + second.ravel(), minlength=625)
        assert stats.chisquare(pairs).pvalue > 1e-4


def test_operations_come_with_their_probabilities_magnitudes_and_both_sides(many):
    sub_policy, operations = many
    for i, pair in enumerate(SUB_POLICIES):
        found = operations[sub_policy == i]
        n = len(found)
        for turn, (name, probability, magnitude) in enumerate(pair):
            applied = found[found[:, turn] > 0, turn]
            assert abs(len(applied) - n * probability) <= 4.5 * np.sqrt(n * probability * (1 - probability))
            sides = [operation(name, magnitude, -1), operation(name, magnitude, 1)]
            assert all(OPERATIONS[position] in sides for position in np.unique(applied))
            upper = np.sum(applied == max(applied, default=0))
            if probability:
                assert len(np.unique(applied)) == 2
                assert abs(upper - len(applied) / 2) <= 4.5 * np.sqrt(len(applied)) / 2


def test_the_two_operations_of_a_sub_policy_are_independent(many):
    sub_policy, operations = many
    translations = operations[sub_policy == 21]  # twice the same operation, with probability 0.9 and 0.7
    states = [np.unique(translations[:, turn], return_inverse=True)[1] for turn in (0, 1)]
    table = np.bincount(3 * states[0] + states[1], minlength=9).reshape(3, 3)
    assert stats.chi2_contingency(table).pvalue > 1e-4


# Whole batches


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_what_pillow_makes_of_its_draws(channels):
    images = pictures(400, channels)
    made = strong(tf.constant(images), KEY, step(3)).numpy()
    for image, result, positions in zip(
        images, made, draw(KEY, step(3), slice(0, 400)).operations.numpy(), strict=True
    ):
        for position in positions:
            image = pillow(image, OPERATIONS[position].name, OPERATIONS[position].amount)
        # A level that is one off in the first operation may be several off after Equalize.
        assert np.mean(result != image) < 0.01


def test_a_batch_is_a_function_of_key_step_and_row():
    images = tf.constant(pictures(1).repeat(64, 0))
    first = strong(images, KEY, step(5)).numpy()
    np.testing.assert_array_equal(first, strong(images, KEY, step(5)))
    for other in (strong(images, KEY, step(6)), strong(images, seeding.key(1, "test/strong"), step(5))):
        differs = (first != other.numpy()).any((1, 2, 3))
        assert differs.mean() > 0.6
    assert len({image.tobytes() for image in first}) > 20


def test_images_do_not_influence_each_other():
    images = pictures(64)
    whole = strong(tf.constant(images), KEY, step(2)).numpy()
    others = np.concatenate([images[:1], 255 - images[1:]])
    np.testing.assert_array_equal(strong(tf.constant(others), KEY, step(2))[0], whole[0])


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_workers_share_the_global_batch(workers):
    images = tf.constant(pictures(72))
    whole = strong(images, KEY, step(7), slice(0, 72))
    size = 72 // workers
    parts = [slice(i * size, (i + 1) * size) for i in range(workers)]
    shared = [strong(images[rows], KEY, step(7), rows) for rows in parts]
    np.testing.assert_array_equal(np.concatenate(shared), whole)
    np.testing.assert_array_equal(strong(images, KEY, step(7)), whole)  # all rows are the default


@pytest.mark.parametrize("n", [1, 7, 128])
def test_a_row_does_not_depend_on_how_many_follow(n):
    few, more = draw(KEY, step(9), slice(0, n)), draw(KEY, step(9), slice(0, 20_000))
    np.testing.assert_array_equal(few.sub_policy, more.sub_policy[:n])
    np.testing.assert_array_equal(few.operations, more.operations[:n])


def test_inside_a_pipeline():
    images = tf.constant(pictures(16))

    def make(number):
        return strong(images, KEY, number)

    steps = tf.data.Dataset.range(4).map(make, num_parallel_calls=2)
    assert steps.element_spec == tf.TensorSpec([16, 32, 32, 3], tf.uint8)
    for number, batch in enumerate(steps.as_numpy_iterator()):
        np.testing.assert_array_equal(batch, strong(images, KEY, step(number)))
    graph = tf.function(make).get_concrete_function(tf.TensorSpec([], tf.int64)).graph
    assert not [op.type for op in graph.get_operations() if "PyFunc" in op.type]


def test_a_batch_of_unknown_size():
    images = tf.constant(pictures(16))
    unknown = tf.function(
        lambda batch, number: strong(batch, KEY, number),
        input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.uint8), tf.TensorSpec([], tf.int64)],
    )
    np.testing.assert_array_equal(unknown(images[:9], step(1)), strong(images, KEY, step(1))[:9])


def test_other_images_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        strong(tf.zeros([2, 32, 32, 3]), KEY, step(0))
