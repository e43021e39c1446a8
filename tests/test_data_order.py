"""Which images a batch holds: permutations of all, of few again and again, of classes alike; and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from data.order import BalancedEpochs, BalancedOrder, EpochOrder, RepeatedOrder, step_numbers


def found(order, steps, first=0):
    """The images of some batches, int [steps, rows]."""
    indices = tf.function(order.indices)
    return np.stack([indices(tf.constant(step, tf.int64)) for step in range(first, first + steps)])


def permutations(n, epochs, seed=0):
    """The first epochs' orders, int [epochs, n]: one batch is a whole epoch."""
    return found(EpochOrder(n, n, seed), epochs)


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 1437])
def test_an_epoch_is_a_permutation(n):
    for order in permutations(n, 4):
        np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_an_epoch_skips_the_remainder_and_later_epochs_visit_it():
    order = EpochOrder(103, 10, 0)
    assert order.steps_per_epoch == 10
    index = found(order, 200).reshape(20, 100)
    assert all(len(set(epoch)) == 100 for epoch in index)
    assert len({tuple(epoch) for epoch in index}) == 20
    assert set(index.ravel()) == set(range(103))
    assert len({frozenset(epoch) for epoch in index}) > 10  # not always the same three are left out


def test_orders_of_different_epochs_are_uncorrelated():
    orders = permutations(50_000, 8)
    correlations = np.corrcoef(orders)[np.triu_indices(8, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(50_000)


def test_every_image_comes_to_every_place_equally_often():
    n, epochs = 20, 600
    counts = np.zeros((n, n))
    for order in permutations(n, epochs):
        counts[np.arange(n), order] += 1
    expected, freedom = epochs / n, (n - 1) ** 2
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


def test_order_depends_on_the_seed():
    assert (permutations(100, 1, seed=0) != permutations(100, 1, seed=1)).mean() > 0.9


def test_an_epoch_may_end_before_all_images_are_seen():
    """The batches are the first of every longer epoch."""
    whole, shortened = EpochOrder(50, 8, 2), EpochOrder(50, 8, 2, most_steps=4)
    assert (whole.steps_per_epoch, shortened.steps_per_epoch) == (6, 4)
    assert EpochOrder(50, 8, 2, most_steps=7).steps_per_epoch == 6
    expected = found(whole, 18).reshape(3, 6, 8)[:, :4].reshape(12, 8)
    np.testing.assert_array_equal(found(shortened, 12), expected)


@pytest.mark.parametrize(("n", "b"), [(5, 12), (6, 12), (1, 4), (11, 12)])
def test_fewer_images_than_a_batch_come_again_and_again(n, b):
    order = RepeatedOrder(n, b, 3)
    assert order.steps_per_epoch == 1
    batches = found(order, 6)
    for batch in batches:
        for start in range(0, b, n):
            part = batch[start : start + n]
            assert len(set(part)) == len(part)
            assert set(part) <= set(range(n))
    if n > 4:  # every turn has an order of its own
        turns = [tuple(batch[start : start + n]) for batch in batches for start in range(0, b - n + 1, n)]
        assert len(set(turns)) >= len(turns) - 1


def test_what_is_left_of_a_last_turn_is_any_of_the_images():
    """12 places for 5 images: ten are twice each, the other two drawn anew in each of 500 batches."""
    batches = found(RepeatedOrder(5, 12, 0), 500)
    counts = np.bincount(batches[:, 10:].ravel(), minlength=5)
    assert np.abs(counts - 200).max() < 5 * np.sqrt(500 * 0.4 * 0.6)


@pytest.mark.parametrize(
    "make",
    [
        lambda **given: EpochOrder(40, 12, 5, **given),
        lambda **given: RepeatedOrder(5, 12, 5, **given),
        lambda **given: BalancedOrder(np.arange(40) % 3, 12, 5, **given),
        lambda **given: BalancedEpochs(np.arange(40) % 3, 12, 5, **given),
    ],
)
def test_shards_and_single_rows_are_parts_of_the_global_batch(make):
    whole = found(make(), 5)
    for workers in (2, 3):
        parts = [make(shard=(worker, workers)) for worker in range(workers)]
        np.testing.assert_array_equal(np.concatenate([found(part, 5) for part in parts], axis=1), whole)
    step, rows = tf.constant(3, tf.int64), tf.constant([2, 0], tf.int64)
    np.testing.assert_array_equal(make(shard=(1, 3)).index(step, rows), whole[3][[4 + 2, 4]])


def test_a_balanced_order_draws_classes_alike_and_their_images_alike():
    given = np.array([0] * 180 + [2] * 15 + [3] * 5)
    drawn = found(BalancedOrder(given, 60, 1), 50).ravel()
    # 3,000 draws over three classes: 1,000 each, give or take five deviations of about 26.
    counts = np.bincount(given[drawn], minlength=4)
    assert counts[1] == 0
    assert np.all(np.abs(counts[[0, 2, 3]] - 1000) < 130)
    images = np.bincount(drawn, minlength=200)[195:]  # 200 each of the five of class 3
    assert np.abs(images - 200).max() < 5 * np.sqrt(1000 * 0.2 * 0.8) + 130 / 5


def test_balanced_epochs_count_out_the_classes_and_are_drawn_anew():
    """5 batches of 16 for 3 classes: 26 or 27 each; no image twice before all of its class came, of 4 all 6 times."""
    given = np.array([0] * 180 + [2] * 40 + [3] * 4)
    order = BalancedEpochs(given, 16, 1, most_steps=5)
    assert order.steps_per_epoch == 5
    epochs = found(order, 60).reshape(12, 80)
    for epoch in epochs:
        classes = np.bincount(given[epoch], minlength=4)
        assert sorted(classes) == [0, 26, 27, 27]
        assert classes[1] == 0
        images = np.bincount(epoch, minlength=224)
        assert images[:220].max() == 1
        assert set(images[220:]) <= {6, 7}
    assert len({tuple(epoch) for epoch in epochs}) == 12
    assert len({frozenset(epoch) for epoch in epochs}) == 12
    # Which class gets one less takes turns, and over the epochs all images of a class come alike: 12 of 27 / 180.
    assert {int(np.argmin(np.bincount(given[e], minlength=4)[[0, 2, 3]])) for e in epochs} == {0, 1, 2}
    often = np.bincount(epochs.ravel(), minlength=224)[:180]
    assert abs(often.mean() - 12 * 26.67 / 180) < 0.05
    assert (often == 0).mean() < 0.25  # (1 - 0.148)^12 = 0.146
    np.testing.assert_array_equal(found(order, 7, first=23), epochs.reshape(60, 16)[23:30])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((50, 51, 0), "50 training images, fewer than the 51 of one batch"),
        ((50, 0, 0), "A batch of 0 images"),
        ((50, 8, 0, (0, 3)), r"batch of 8 images cannot be shared equally by 3 worker"),
        ((50, 8, 0, (2, 2)), "worker 2 of 2"),
        ((50, 8, -1), "seed is -1"),
    ],
)
def test_impossible_orders_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EpochOrder(*arguments)
    with pytest.raises(ValueError, match=message):
        BalancedOrder(np.zeros(arguments[0], int), *arguments[1:])


def test_messages_say_what_there_is_too_little_of():
    with pytest.raises(ValueError, match="There are 3 clean images, fewer than the 4"):
        EpochOrder(3, 4, 0, what="clean images")
    with pytest.raises(ValueError, match="There are no clean images to make batches of"):
        RepeatedOrder(0, 4, 0, what="clean images")


def test_step_numbers():
    assert list(step_numbers(3, 4).as_numpy_iterator()) == [3, 4, 5, 6]
    assert step_numbers(3, None).cardinality() == tf.data.INFINITE_CARDINALITY
    assert list(step_numbers(tf.constant(2**40, tf.int64), None).take(1).as_numpy_iterator()) == [2**40]
    for wrong in ((-1, 4), (0, -1), (-1, None)):
        with pytest.raises(ValueError, match="do not exist"):
            step_numbers(*wrong)
