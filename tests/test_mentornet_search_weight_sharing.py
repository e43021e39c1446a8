"""ASNG over one training: what it keeps against the algorithm by hand, and a stop in its middle."""

from __future__ import annotations

import shutil
import zlib

import numpy as np
import pytest

from mentornet.runs.metrics_table import MetricsTable
from mentornet.search import asng, spaces, weight_sharing
from tests.script_runs import assert_same_training
from tests.test_train_cifar_methods import train

EPOCHS, BATCH, SEED = 7, 64, 5
FLAGS = (
    "--dataset_name=digits", "--noise_type=symmetric", "--noise_fraction=0.4", "--studentnet=s2e_mlp",
    "--method=co_teaching", f"--num_epochs={EPOCHS}", "--optimizer=adam", "--train_examples=256",
    f"--batch_size={BATCH}", "--validation=test_half", "--keep_checkpoints=20", "--noshow_progress",
    f"--keep_schedule=asng:samples=2,step=1.5,seed={SEED},space=co_teaching",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared") / "whole"
    train(*FLAGS, f"--train_log_dir={folder}")
    return folder


def test_every_stretch_keeps_what_its_own_sample_says(whole):
    """A sample an epoch, the score at its end, a step on theta after two; all from the accuracies alone."""
    metrics = MetricsTable(whole / "metrics.csv").read()
    space = spaces.get("co_teaching")
    search, kept, xs = asng.ASNG(space, samples=2, step=1.5), [], []
    for epoch in range(EPOCHS):
        key = (zlib.crc32(b"search/shared"), epoch)
        xs.append(space.sample(search.theta, np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=key))))
        kept.append(int(space.schedule(xs[-1], EPOCHS)[epoch] * BATCH))
        if epoch % 2:
            errors = [1 - np.mean([metrics[f"eval_validation_accuracy_peer_{k}"][e] for k in (1, 2)])
                      for e in (epoch - 1, epoch)]  # fmt: skip
            search.tell(xs[-2:], errors)
    np.testing.assert_allclose(metrics["weight_sum"], kept)
    assert len(set(kept)) > 2
    assert np.abs(search.theta - 1).max() > 0.5
    settings = weight_sharing.read("asng:samples=2,step=1.5,seed=5,space=co_teaching")
    ended, _, _ = weight_sharing.replay(settings, EPOCHS, metrics["eval_validation_accuracy_peer_mean"].tolist())
    np.testing.assert_array_equal(ended.theta, search.theta)


def test_a_training_that_was_stopped_goes_on_with_the_same_samples(whole, tmp_path):
    """Stopped between the two samples of a step on theta."""
    stopped = tmp_path / "stopped"
    shutil.copytree(whole, stopped)
    (stopped / "result.json").unlink()
    for file in (stopped / "checkpoints").iterdir():
        if file.name == "checkpoint" or int(file.stem.removeprefix("ckpt-")) > 3 * 256 // BATCH:
            file.unlink()
    train(*FLAGS, f"--train_log_dir={stopped}")
    assert_same_training(stopped, whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("asng:paper", "expected a text such as asng:samples=2"),
        ("asng:speed=1,space=paper", "expected a text such as asng:samples=2"),
        ("asng:space=papers", "unknown search space 'papers'"),
        ("asng:samples=1,space=paper", "a step compares 2 or more samples"),
        ("asng:space=rbf:variant", "expected a search space with its options"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        weight_sharing.read(text)
