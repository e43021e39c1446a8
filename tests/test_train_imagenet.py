"""train_imagenet.py as a user runs it, on generated images in the layouts of WebVision and slim, and its flags."""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags

from flags import configuration
from flags.define import imagenet_flags
from scripts import make_fake_imagenet as fake
from scripts.local_cluster import LocalCluster
from tests import processes, script_runs
from tests.forked_cluster import ForkedCluster
from tests.script_runs import ONE_STEP, rows

MADE = fake.Made(classes=7, train=42, test=14, width=90, height=80)
TINY = ["--studentnet=inception_resnet_v2_tiny", "--image_size=75", "--batch_size=8", "--eval_every_steps=3", ONE_STEP]
SMALL = ["--studentnet=small_cnn", "--image_size=24", "--batch_size=8", "--eval_every_steps=3", ONE_STEP]


SCRIPT = "train_imagenet.py"
command, here = functools.partial(script_runs.command, SCRIPT), functools.partial(script_runs.here, SCRIPT)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    fake.write_slim(root / "slim", MADE)
    fake.write_webvision(root / "webvision", MADE)
    return {"slim": root / "slim", "webvision": root / "webvision", "index": root / "index"}


@pytest.mark.slow
def test_webvision_is_evaluated_on_both_validation_sets(data, tmp_path, caplog):
    broken = next((data["webvision"] / "google").glob("*/*.jpg"))
    whole = broken.read_bytes()
    broken.write_bytes(whole[:700])
    try:
        done = here(
            "--dataset_name=webvision_mini", "--webvision_parts=google,flickr", f"--data_dir={data['webvision']}",
            f"--ilsvrc_dir={data['slim']}", f"--index_dir={data['index']}", *TINY, "--max_number_of_steps=6",
            "--curriculum=mentornet_pd", f"--train_log_dir={tmp_path / 'run'}",
        )  # fmt: skip
    finally:
        broken.write_bytes(whole)
    assert done.returncode == 0, done.stderr
    assert f"Unreadable image, replaced: {broken}" in caplog.text
    table = rows(tmp_path / "run")
    assert [row["step"] for row in table] == ["3", "6"]
    result = json.loads((tmp_path / "run/result.json").read_text())
    for name in ("accuracy", "top5", "ilsvrc_accuracy", "ilsvrc_top5"):
        column = "eval_" + name
        assert float(table[-1][column]) == pytest.approx(result[name + "_last"])
        assert float(table[-1][column]) * 14 == pytest.approx(round(float(table[-1][column]) * 14), abs=1e-3)
    assert float(table[-1]["eval_top5"]) >= float(table[-1]["eval_accuracy"])
    assert table[-1]["weights_auc"] == ""  # nobody knows which web labels are right
    assert (tmp_path / "run/unreadable.txt").read_text().splitlines()[0] == str(broken)
    assert result["train_examples"] == 42
    samples = np.genfromtxt(tmp_path / "run/samples.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert len(samples) == 42
    assert set(samples["given_name"]) <= {fake.class_name(label) for label in range(7)}


@pytest.mark.slow
def test_slim_records_with_noise_resume_after_a_kill_and_evaluate(data, tmp_path):
    shared = [
        f"--data_dir={data['slim']}", f"--index_dir={data['index']}", *SMALL, "--max_number_of_steps=9",
        "--noise_type=uniform", "--noise_fraction=0.4", "--method=standard",
    ]  # fmt: skip
    whole = here(*shared, f"--train_log_dir={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    labels = np.load(tmp_path / "whole/labels.npz", allow_pickle=False)
    assert labels["given"].min() >= 1  # 0 is the background class
    assert labels["given"].max() <= 7
    assert 0 < np.mean(labels["given"] != labels["clean"]) < 0.7
    killed = tmp_path / "killed"
    script_runs.killed_in("step:0:5", *shared, f"--train_log_dir={killed}", script=SCRIPT)
    assert (killed / "metrics.csv").exists()
    again = here(*shared, f"--train_log_dir={killed}")
    assert again.returncode == 0, again.stderr
    assert rows(killed) == rows(tmp_path / "whole")
    evaluated = here(*shared[:2], *SMALL, f"--checkpoint_dir={killed}", f"--eval_dir={tmp_path}")
    assert evaluated.returncode == 0, evaluated.stderr
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["accuracy"] == pytest.approx(float(rows(killed)[-1]["eval_accuracy"]), abs=1e-6)
    assert evaluation["top5"] == pytest.approx(float(rows(killed)[-1]["eval_top5"]), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "own",
    [
        ["--curriculum=mentornet_dd", "--mentor_examples=40", "--mentor_steps=100", "--curriculum_update_epochs=40"],
        ["--method=l2b", "--clean_source=mixture", "--warmup_steps=4", "--clean_batch_size=8"],
    ],
)
def test_methods_that_look_at_the_training_set_between_stages_read_records(own, data, tmp_path, monkeypatch):
    flags = [
        f"--data_dir={data['slim']}", f"--index_dir={data['index']}", *SMALL, "--max_number_of_steps=10",
        "--eval_every_steps=5", "--noise_type=uniform", "--noise_fraction=0.4", *own,
    ]  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = script_runs.copied_in("step:1:3", killed, monkeypatch, *flags, f"--train_log_dir={whole}", run=here)
    assert done.returncode == 0, done.stderr
    assert (killed / "checkpoints" / "ckpt-4.index").exists()  # written behind the look
    again = here(*flags, f"--train_log_dir={killed}")
    assert again.returncode == 0, again.stderr
    script_runs.assert_same_training(killed, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "tasks"), [("multi_worker", {"worker": 2}), ("parameter_server", {"chief": 1, "worker": 1, "ps": 1})]
)
def test_a_cluster_trains_on_records(data, tmp_path, strategy, tasks):
    flags = [
        f"--data_dir={data['slim']}", f"--index_dir={data['index']}", "--studentnet=small_cnn", "--image_size=24",
        "--batch_size=8", "--max_number_of_steps=6", "--eval_every_steps=3", "--curriculum=mentornet_pd",
        f"--distribution_strategy={strategy}", f"--train_log_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    until = time.monotonic() + processes.PATIENCE
    kind = LocalCluster if strategy == "multi_worker" else ForkedCluster
    with kind(command(*flags), tasks, tmp_path / "logs", show_chief=False) as running:
        while (code := running.supervise(most_restarts=0)) is None and time.monotonic() < until:
            time.sleep(0.1)
        assert code == 0, running.log(running.chief).read_text()[-2000:]
    assert [row["step"] for row in rows(tmp_path / "run")] == ["3", "6"]
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["steps"], result["train_examples"]) == (6, 42)
    assert result["accuracy_last"] * 14 == pytest.approx(round(result["accuracy_last"] * 14), abs=1e-3)


def test_missing_data_ends_with_one_sentence_before_training(data, tmp_path):
    done = here("--dataset_name=webvision", f"--data_dir={data['slim']}", f"--train_log_dir={tmp_path / 'run'}", *TINY)
    assert done.returncode == 1
    assert "There is no folder" in done.stderr
    assert "info" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def parse(*flags: str):
    return imagenet_flags.parse(["train_imagenet.py", "--data_dir=d", "--train_log_dir=t", *flags])


def test_defaults_are_those_of_the_paper():
    config = parse()
    assert (config.data.dataset_name, config.data.image_size, config.data.batch_size) == ("imagenet", 299, 32)
    assert (config.data.augmentation, config.data.colour_distortion) == ("slim", "fast")
    assert config.data.background_class
    student = config.student
    assert (student.name, student.dropout_keep_probability, student.weight_decay) == ("inception_resnet_v2", 0.8, 4e-5)
    assert (student.learning_rate, student.learning_rate_decay_factor, student.momentum) == (0.05, 0.1, 0.9)
    # Every 10 epochs of 1,281,167 images, 32 a step.
    assert student.boundaries(1_281_167 / 32)[:2] == (400_365, 800_729)
    assert student.auxiliary_head
    assert config.run.max_steps == 1_000_000
    assert config.metric_columns()[-1] == "eval_top5"


def test_the_defaults_of_the_other_script_are_left_alone():
    parse()
    config = configuration.parse(["train_cifar.py", "--train_log_dir=t"])
    assert (config.data.dataset_name, config.data.batch_size, config.student.name) == ("cifar10", 128, "resnet101")
    assert config.metric_columns()[-1] == "eval_accuracy"


def test_what_follows_from_other_flags():
    assert not parse("--noauxiliary_head").student.auxiliary_head
    assert parse("--curriculum=mentornet_pd").student.auxiliary_head
    assert not parse("--studentnet=resnet32").student.auxiliary_head
    assert not parse("--dataset_name=webvision").data.background_class
    assert parse("--augmentation=none").data.augmentation == "none"
    given = parse("--learning_rate_boundaries=10,20")
    assert given.student.boundaries(5.0) == (10, 20)
    for name in ("clothing1m", "isic2019"):
        data = parse(f"--dataset_name={name}").data
        assert (data.preprocessing, data.image_size, data.background_class) == (name, 224, False)
    assert parse("--dataset_name=clothing1m", "--image_size=64").data.image_size == 64
    assert parse("--dataset_name=clothing1m", "--method=l2b").clean.clean_source == "set"
    assert "preprocessing" not in parse("--dataset_name=list").identity()  # folders of before go on
    both = parse("--dataset_name=webvision_mini", "--ilsvrc_dir=i")
    assert both.metric_columns()[-3:] == ("eval_ilsvrc_loss", "eval_ilsvrc_accuracy", "eval_ilsvrc_top5")
    where = [parse("--index_dir=a", "--max_unreadable=3").identity(), parse("--index_dir=b").identity()]
    assert where[0] == where[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset_name=cifar10"], "use one of imagenet, webvision, webvision_mini, clothing1m, isic2019, list"),
        (["--data_dir="], "needs --data_dir"),
        (["--augmentation=cifar"], "use auto .slim's. or none"),
        (["--webvision_parts=bing", "--dataset_name=webvision"], "use google, flickr or both"),
        (["--webvision_parts=google"], "belongs to --dataset_name=webvision or webvision_mini, not to imagenet"),
        (["--ilsvrc_dir=x", "--dataset_name=list"], "--ilsvrc_dir belongs to"),
        (["--train_list=x.csv"], "--train_list belongs to --dataset_name=list"),
        (["--noise_type=human:worse"], "exist for CIFAR only"),
        (["--validation=test_half"], "--validation=test_half needs images that are held in memory"),
        (["--method=l2rw", "--dataset_name=isic2019"], "--method=l2rw needs samples with true labels"),
        (["--preprocessing=webvision", "--colour_distortion=full"], "part of slim's preprocessing, not of webvision's"),
        (["--balanced_batches", "--balanced_epochs"], "both say how batches are drawn"),
        (["--holdout_examples=5"], "--holdout_examples needs images that are held in memory"),
        (["--num_epochs_per_decay=3", "--learning_rate_boundaries=1"], "both set the schedule"),
        (["--max_unreadable=-1"], "max_unreadable"),
        (["leftover"], "unexpected argument 'leftover'"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags, message):
    with pytest.raises((ValueError, absl_flags.Error), match=message):
        parse(*flags)
