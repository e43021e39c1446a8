"""What --validation evaluates apart, and a schedule read from a file: which images, which labels, which lengths."""

from __future__ import annotations

import numpy as np
import pytest

from data import datasets
from flags import configuration
from flags.build import data as build
from mentornet.methods.keep_schedule import KeepSchedule

DIGITS = ("train_cifar.py", "--dataset_name=digits", "--noise_type=symmetric", "--noise_fraction=0.4",
          "--studentnet=small_cnn", "--train_log_dir=unused", "--num_epochs=2")  # fmt: skip


def inputs_of(*flags):
    config = configuration.parse([*DIGITS, *flags])
    loaded = build.set_apart(build.load_data(config.data), config.clean, config.data.noise_seed)
    from mentornet.training.distribution.strategy import Distribution

    return config, loaded, build.training_inputs(loaded, config.resolved(len(loaded.train)), Distribution())


def labels_in(batches):
    return np.concatenate([batch["label"].numpy() for batch in batches])


def test_a_noisy_holdout_is_evaluated_with_its_noisy_labels_and_leaves_the_test_set_whole():
    config, loaded, inputs = inputs_of("--validation=noisy_holdout", "--holdout_examples=200")
    source = datasets.load("digits")
    batches, count = inputs.more_evaluations["validation"]
    found = labels_in(batches)
    held = np.setdiff1d(source.train.ids, inputs.original_index)
    assert count == len(found) == len(held) == 200
    true = source.train.labels[np.isin(source.train.ids, held)]
    np.testing.assert_array_equal(found, loaded.holdout_labels.given)
    assert 0.25 < np.mean(found != true) < 0.55  # 40% noise
    np.testing.assert_array_equal(labels_in(inputs.evaluation), source.test.labels)
    assert "eval_validation_accuracy" in config.metric_columns()


def test_a_clean_validation_set_has_true_labels_and_leaves_the_training_data():
    _, loaded, inputs = inputs_of("--validation=clean_set", "--clean_examples=150")
    source = datasets.load("digits")
    batches, count = inputs.more_evaluations["validation"]
    held = np.setdiff1d(source.train.ids, inputs.original_index)
    assert count == len(held) == 150
    np.testing.assert_array_equal(labels_in(batches), source.train.labels[np.isin(source.train.ids, held)])
    assert loaded.clean_set is None  # nothing trains on it
    np.testing.assert_array_equal(labels_in(inputs.evaluation), source.test.labels)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--validation=noisy_holdout"], "give its size by --holdout_examples"),
        (["--validation=clean_set"], "--validation=clean_set needs samples with true labels"),
        (["--validation=clean_set", "--method=l2rw", "--clean_examples=9"], "which therefore can't judge it"),
        (["--validation=clean_set", "--clean_examples=9", "--clean_batch_size=3"], "does not use --clean_batch_size=3"),
        (["--clean_examples=9"], "does not use --clean_examples=9"),
    ],
)
def test_validation_without_data_is_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        configuration.parse([*DIGITS, *flags])


@pytest.fixture
def curve(tmp_path):
    (tmp_path / "R.csv").write_text("1\n0.8\n0.6\n0.4\n")
    return f"file:{tmp_path}/R.csv", f"searched:{tmp_path}"


def test_a_file_of_another_length_needs_to_be_told_what_to_do(curve):
    for text in curve:
        np.testing.assert_allclose(KeepSchedule(text).rates(4), [1, 0.8, 0.6, 0.4])
        for length in (3, 8):
            with pytest.raises(ValueError, match=f"is for 4 epochs and this training has {length}: add ,rescale"):
                KeepSchedule(text).rates(length)
        np.testing.assert_allclose(KeepSchedule(f"{text},hold").rates(6), [1, 0.8, 0.6, 0.4, 0.4, 0.4])
        np.testing.assert_allclose(KeepSchedule(f"{text},hold").rates(2), [1, 0.8])
        stretched = KeepSchedule(f"{text},rescale").rates(8)
        np.testing.assert_allclose(stretched, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.4])
        np.testing.assert_allclose(KeepSchedule(f"{text},rescale").rates(2), [1, 0.6])


@pytest.mark.parametrize("content", ["", "0.5\n1.5\n", "0.5\n-0.1\n", "0.5\nnan\n", "0.5\nhalf\n"])
def test_a_file_with_other_things_than_shares_is_refused(tmp_path, content):
    (tmp_path / "R.csv").write_text(content)
    for text in (f"file:{tmp_path}/R.csv", f"searched:{tmp_path}"):
        with pytest.raises(ValueError, match=r"must hold a share in \[0, 1\] a line|is not a number"):
            KeepSchedule(text)


def test_a_folder_without_a_schedule_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no R.csv, so no search has come to its end there"):
        KeepSchedule(f"searched:{tmp_path}")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        KeepSchedule(f"file:{tmp_path}/R.csv")
