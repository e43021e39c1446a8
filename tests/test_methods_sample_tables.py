"""What a run says of every sample: nobody is without a value, and checkpoints of before it go on."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet.methods.standard import Standard
from mentornet.ranking import rank_suspects
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.finishing import mean_probabilities, mean_weights, with_all_met


def method() -> Standard:
    student = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    student.set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    made = Standard(student, max_steps=40, num_examples=10)
    made.compile(optimizer=keras.optimizers.SGD(0.0))
    return made


def batches(order: list[list[int]]) -> tf.data.Dataset:
    parts = [{"image": np.array(p, np.float32)[:, None] / 10, "label": np.array(p) % 2, "index": p} for p in order]
    stacked = {key: np.stack([part[key] for part in parts]) for key in parts[0]}
    return tf.data.Dataset.from_tensor_slices(
        {k: v.astype(np.float32 if k == "image" else np.int32) for k, v in stacked.items()}
    )


def probability(index: np.ndarray) -> np.ndarray:
    """Of the label index % 2 under logits (x, -x), x = index / 10."""
    return 1 / (1 + np.exp(-2 * index / 10 * np.where(index % 2 == 0, 1, -1)))


def test_a_sample_that_the_last_epoch_left_out_has_its_mean_over_the_training():
    """Batches of 4 of 10 samples: two are left out in every epoch, in the last one 8 and 9."""
    made = method()
    order = [[9, 8, 7, 6], [5, 4, 3, 2], *[[0, 1, 2, 3], [4, 5, 6, 7]] * 19]
    made.fit(batches(order), verbose=0)
    assert made.weight_visits.numpy()[8:].tolist() == [0, 0]
    assert np.isnan(mean_weights(made, 10)).tolist() == [False] * 8 + [True] * 2
    np.testing.assert_array_equal(with_all_met(mean_weights(made, 10), made), 1.0)
    np.testing.assert_allclose(mean_probabilities(made, 10), probability(np.arange(10)), rtol=1e-5)


def test_a_checkpoint_without_the_sums_is_continued_with_them_from_there(tmp_path):
    made = method()
    made.fit(batches([[0, 1, 2, 3]] * 20), verbose=0)
    before = Checkpoints(tmp_path / "old", made)
    older = tf.train.CheckpointManager(before._without_tables, str(tmp_path / "old"), 2)
    older.save(checkpoint_number=20)
    Checkpoints(tmp_path / "new", made)._manager.save(checkpoint_number=20)
    for folder, visits in (("old", 0), ("new", 20)):
        resumed = method()
        assert Checkpoints(tmp_path / folder, resumed).restore() == 20
        assert resumed.sample_tables.visits.numpy()[:5].tolist() == [visits] * 4 + [0]
        np.testing.assert_array_equal(resumed.weight_visits, made.weight_visits)


@pytest.mark.parametrize("known", [True, False])
def test_the_mean_probability_decides_where_it_is_known(known):
    weight, loss = np.array([0.0, 1.0, 0.5, 0.5]), np.array([9.0, 0.1, 3.0, 0.01])
    mean = np.array([0.9, 0.1, 0.5, np.nan]) if known else np.full(4, np.nan)
    expected = [3, 1, 2, 4] if known else [1, 4, 2, 3]  # the last one counts as exp(-0.01)
    assert rank_suspects(weight, loss, mean).tolist() == expected
