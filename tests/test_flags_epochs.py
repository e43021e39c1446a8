"""Lengths in epochs: --num_epochs and --max_batches_per_epoch, resolved by the number of training samples."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flags import configuration
from flags.build import in_memory as build
from flags.define import imagenet_flags
from mentornet.runs.workdir import Workdir
from tests.test_train_cifar_methods import train


def parsed(*flags: str) -> configuration.Config:
    return configuration.parse(["train_cifar.py", "--train_log_dir=t", *flags])


@pytest.mark.parametrize(
    ("batch_size", "most", "examples", "steps"),
    [
        (128, None, 50_000, 390),
        (128, 401, 50_000, 390),
        (100, 401, 50_000, 401),
        (100, 401, 45_000, 401),
        (128, 1, 50_000, 1),
        (64, None, 100, 1),
        (10, None, 10, 1),
        (10, 7, 69, 6),
        (10, 7, 70, 7),
        (10, 7, 99, 7),
    ],
)
def test_steps_of_an_epoch(batch_size, most, examples, steps):
    flags = [f"--batch_size={batch_size}", *([f"--max_batches_per_epoch={most}"] if most else [])]
    config = parsed(*flags)
    assert config.steps_per_epoch(examples) == steps
    assert parsed(*flags, "--num_epochs=3").resolved(examples).run.max_steps == 3 * steps
    assert config.resolved(examples) == config  # a length in steps is one already


def test_batches_shrink_to_the_largest_power_of_two_that_the_samples_fill():
    config = parsed("--batch_size=128")
    sizes = [config.resolved(examples).data.batch_size for examples in (1, 2, 63, 64, 127, 128, 5000)]
    assert sizes == [1, 2, 32, 64, 64, 128, 128]
    assert parsed("--num_epochs=3").resolved(100).run.max_steps == 3  # batches of 64


def test_epochs_give_steps_an_evaluation_every_epoch_and_the_papers_boundaries():
    before = parsed("--num_epochs=100", "--batch_size=100", "--max_batches_per_epoch=390")
    assert (before.run.max_steps, before.run.eval_every_steps) == (None, 0)
    assert before.student.learning_rate_boundaries is None
    config = before.resolved(50_000)
    assert (config.run.max_steps, config.run.eval_every_steps) == (39_000, 390)
    assert config.student.learning_rate_boundaries == (19_531, 25_000, 30_000)
    assert config.resolved(50_000) == config
    inception = parsed("--num_epochs=60", "--studentnet=inception", "--batch_size=25").resolved(50_000)
    assert inception.student.learning_rate_boundaries == (78_000,)  # of 120,000


def test_what_is_given_in_steps_stays():
    config = parsed("--num_epochs=4", "--eval_every_steps=7", "--learning_rate_boundaries=5,9", "--batch_size=10")
    resolved = config.resolved(100)
    assert (resolved.run.max_steps, resolved.run.eval_every_steps) == (40, 7)
    assert resolved.student.learning_rate_boundaries == (5, 9)
    longer = parsed("--num_epochs=4", "--eval_every_steps=70", "--batch_size=10").resolved(100)
    assert longer.run.eval_every_steps == 40
    cosine = parsed("--num_epochs=4", "--learning_rate_schedule=cosine", "--batch_size=10").resolved(100)
    assert cosine.student.learning_rate_boundaries == ()


@pytest.mark.parametrize(("most", "expected"), [(None, 500), (401, 401)])
def test_a_decay_every_so_many_epochs_counts_the_same_epochs(most, expected):
    flags = ["--num_epochs_per_decay=2", "--batch_size=100", *([f"--max_batches_per_epoch={most}"] if most else [])]
    optimizer = build.optimizer(parsed(*flags, "--num_epochs=10").resolved(50_000), 50_000)
    rates = []
    for step in (2 * expected, 2 * expected + 1):  # the step after a boundary is the first with the lower rate
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.present_rate()))
    assert rates == pytest.approx([0.1, 0.01])


def test_epochs_are_part_of_the_identity_and_steps_are_what_they_were():
    assert "num_epochs" not in parsed().identity()
    assert "max_batches_per_epoch" not in parsed().identity()
    assert parsed().identity()["max_steps"] == 39_000
    in_epochs = parsed("--num_epochs=3", "--max_batches_per_epoch=5").resolved(50_000).identity()
    assert [in_epochs[name] for name in ("num_epochs", "max_batches_per_epoch", "max_steps")] == [3, 5, 15]
    other = parsed("--num_epochs=3", "--max_batches_per_epoch=6").resolved(50_000).identity()
    assert in_epochs != other


def test_the_script_for_large_data_sets_counts_epochs_too():
    config = imagenet_flags.parse(["train_imagenet.py", "--train_log_dir=t", "--data_dir=d", "--num_epochs=2"])
    resolved = config.resolved(3200)
    assert (resolved.run.max_steps, resolved.run.eval_every_steps) == (200, 100)
    assert isinstance(resolved, imagenet_flags.ImagenetConfig)


def test_a_run_folder_tells_its_length_without_its_data(tmp_path):
    workdir = Workdir(tmp_path / "run")
    workdir.claim("", {})
    workdir.save_labels(np.zeros(1000, np.int32), clean_set=(np.arange(50), np.zeros(50, np.int32)))
    in_steps, in_epochs = parsed("--max_number_of_steps=5"), parsed("--num_epochs=3", "--batch_size=10")
    assert in_epochs.of_run(workdir) == in_epochs.resolved(1000)
    assert in_steps.of_run(Workdir(tmp_path / "gone")) == in_steps


def test_a_finished_run_of_so_many_epochs_is_known_again(tmp_path, capsys):
    flags = ["--dataset_name=digits", "--studentnet=s2e_mlp", "--train_examples=100", "--batch_size=20",
             "--learning_rate=0.01", "--noshow_progress", f"--train_log_dir={tmp_path}"]  # fmt: skip
    result = train(*flags, "--num_epochs=2", "--max_batches_per_epoch=4")
    assert result["steps"] == 8
    identity = json.loads((tmp_path / "run.json").read_text())["identity"]
    assert (identity["num_epochs"], identity["max_steps"], identity["eval_every_steps"]) == (2, 8, 4)
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1 + 2
    capsys.readouterr()
    assert train(*flags, "--num_epochs=2", "--max_batches_per_epoch=4")["steps"] == 8
    assert "is finished" in capsys.readouterr().out
    with pytest.raises(ValueError, match="num_epochs was 2 and is now 3"):
        train(*flags, "--num_epochs=3", "--max_batches_per_epoch=4")
