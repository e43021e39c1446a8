"""Methods that count in epochs through train_cifar.py: killed anywhere, their flags, rates and tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mentornet.runs.metrics_table import MetricsTable
from tests.script_runs import assert_same_training, copied_in, killed_in, stopped_in, train

DATA = ["--dataset_name=digits", "--studentnet=small_cnn", "--noise_type=symmetric", "--noise_fraction=0.5"]
SHORT = ["--method=dividemix", "--num_epochs=4", "--warmup_epochs=2", "--batch_size=40", "--train_examples=160"]
OTHERS = ["--augmentation=crop", "--learning_rate=0.02", "--weight_decay=5e-4", "--steps_per_execution=1"]
QUIET = ["--noshow_progress", "--loss_history=2"]
FLAGS = [*DATA, *SHORT, *OTHERS, *QUIET]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(*FLAGS, f"--train_log_dir={folder}")
    return folder


@pytest.mark.slow
def test_killed_at_every_moment_it_ends_like_an_uninterrupted_run(whole, tmp_path, monkeypatch):
    """One run, ended six times: in the warm-up of either network, in a row and in a look by SIGKILL; then in this
    process, which keeps the folder, between stages and in an epoch of either network.
    """
    flags = [*FLAGS, f"--train_log_dir={tmp_path / 'run'}"]
    for moment in ("step:0:2", "evaluation:1:0", "look:4:1"):
        killed_in(moment, *flags)
    for moment in ("end:4:0", "step:5:1", "start:7:0"):
        stopped_in(moment, monkeypatch, *flags)
    assert not (tmp_path / "run" / "result.json").exists()
    train(*flags)
    assert_same_training(tmp_path / "run", whole)
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["resumed"]) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "own"),
    [
        ("step:4:1", ["--method=dividemix", "--clean_examples_per_class=2", "--loss_history=2"]),
        ("step:5:1", ["--method=unicon", "--clean_examples_per_class=2"]),
        ("end:4:0", ["--method=unicon", "--clean_source=labelled"]),
        ("step:5:1", ["--method=c2d", "--pretrained_run=none", "--clean_source=labelled", "--loss_history=2"]),
    ],
)
def test_interrupted_with_l2bs_step_inside_it_ends_like_an_uninterrupted_run(moment, own, tmp_path, monkeypatch):
    flags = [*DATA, *SHORT[1:], *OTHERS, "--noshow_progress", "--meta=l2b", "--clean_batch_size=10", *own]
    copied_in(moment, tmp_path / "run", monkeypatch, *flags, f"--train_log_dir={tmp_path / 'whole'}")
    train(*flags, f"--train_log_dir={tmp_path / 'run'}")
    assert_same_training(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_rows_rates_and_what_becomes_of_a_finished_run(whole, tmp_path, capsys):
    table = MetricsTable(whole / "metrics.csv").read()
    assert len(table["step"]) == 4
    np.testing.assert_allclose(table["learning_rate"], [0.02, 0.02, 0.002, 0.002])  # a tenth from half of the epochs on
    assert table["step"][:2].tolist() == [8, 16]  # 160 samples in batches of 40, for two networks
    assert ((table["epoch_percent"] > [15, 40, 65, 90]) & (table["epoch_percent"] < [25, 50, 75, 100])).all()
    for name in ("posterior_auc_peer_1", "labelled_share_peer_2"):
        assert np.isnan(table[name][:2]).all()
        assert ((table[name][2:] > 0) & (table[name][2:] < 1)).all()
    before = {file.name: file.stat().st_mtime_ns for file in whole.iterdir() if file.is_file()}
    train(*FLAGS, f"--train_log_dir={whole}")
    assert "nothing to do" in capsys.readouterr().out
    assert before == {file.name: file.stat().st_mtime_ns for file in whole.iterdir() if file.is_file()}
    samples = np.genfromtxt(whole / "samples.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert np.isfinite(samples["mean_weight"]).all()


@pytest.mark.slow
def test_evaluation_and_losses_of_a_run_without_a_number_of_steps(whole, tmp_path):
    from flags import configuration
    from flags.commands import tasks

    found = tasks.evaluate_run(
        configuration.parse(["train_cifar.py", f"--checkpoint_dir={whole}", f"--eval_dir={tmp_path}"])
    )
    last = MetricsTable(whole / "metrics.csv").read()
    assert found["accuracy"] == pytest.approx(last["eval_accuracy"][-1])
    csv = tmp_path / "losses.csv"
    flags = ["--mode=dump_losses", f"--checkpoint_dir={whole}", f"--output_csv_file={csv}"]
    tasks.dump_losses(configuration.parse(["train_cifar.py", *flags]))
    dumped = np.genfromtxt(csv, delimiter=",", skip_header=1)
    assert len(dumped) == 160
    assert set(dumped[:, 1]) == {last["epoch_percent"][-1]}


def parsed(*flags: str):
    from flags import configuration

    return configuration.parse(["train_cifar.py", *DATA, "--train_log_dir=never", "--method=dividemix", *flags])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_number_of_steps=100"], "give --num_epochs instead of --max_number_of_steps"),
        ([], "counts in epochs, whose number of steps follows .*: give --num_epochs$"),
        (["--num_epochs=10"], "--warmup_epochs=10 leave no epoch to the division, as --num_epochs=10"),
        (["--num_epochs=20", "--eval_every_steps=5"], "leave --eval_every_steps out"),
        (["--num_epochs=20", "--split_threshold=1"], "--split_threshold=1 must be above 0 and below 1"),
        (
            ["--num_epochs=20", "--clean_examples=5"],
            "--clean_examples=5: add --meta, which does, or leave it out",
        ),
        (["--num_epochs=20", "--clip_norm=1"], "--clip_norm is of the step of --meta=l2b"),
        (
            ["--num_epochs=20", "--meta=l2b"],
            "--meta needs samples with true labels.*or --clean_source=labelled to take",
        ),
        (["--num_epochs=20", "--meta=l2b", "--clean_source=mixture"], "belongs to --method=l2b, not to dividemix"),
        (["--num_epochs=20", "--meta=l2b", "--clean_source=labelled", "--clean_examples=9"], "leave --clean_examples"),
        (["--num_epochs=20", "--distribution_strategy=parameter_server"], "parameter_server"),
    ],
)
def test_refusals_come_before_any_work(flags, message):
    with pytest.raises(ValueError, match=message):
        parsed(*flags)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], [1, 1, 1, 0.1, 0.1, 0.1]),
        (["--learning_rate_boundaries=2,5"], [1, 1, 0.1, 0.1, 0.1, 0.01]),
        (["--learning_rate_boundaries="], [1] * 6),
        (["--num_epochs_per_decay=2"], [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (["--learning_rate_schedule=cosine"], [(1 + np.cos(np.pi * e / 6)) / 2 for e in range(6)]),
        (
            ["--learning_rate_schedule=cosine", "--cosine_epochs=4", "--lowest_learning_rate=0.1"],
            [0.1 + 0.45 * (1 + np.cos(np.pi * e / 4)) for e in range(6)],  # it rises again behind the fourth
        ),
        (["--learning_rate_schedule=linear", "--linear_decay_epoch=3"], [1, 1, 1, 1, 2 / 3, 1 / 3]),
    ],
)
def test_rates_of_the_epochs(flags, expected):
    from flags.build import in_memory

    config = parsed("--num_epochs=6", "--warmup_epochs=1", "--learning_rate=1", *flags).resolved(1000)
    assert config.run.max_steps is None
    np.testing.assert_allclose(in_memory.epoch_rates(config), expected, rtol=1e-12)
    assert float(in_memory.optimizer(config, 1000).learning_rate) == 1
    assert config.identity() == config.resolved(1000).identity()


def test_other_methods_have_no_rates_by_epoch():
    from flags import configuration
    from flags.build import in_memory

    config = configuration.parse(["train_cifar.py", *DATA, "--train_log_dir=never", "--num_epochs=6"]).resolved(1000)
    assert config.run.max_steps == 6 * 7
    assert in_memory.epoch_rates(config) is None
