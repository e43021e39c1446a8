"""The flags of the training scripts: mistakes, the release's published commands, presets and schedules."""

from __future__ import annotations

import io
import sys

import pytest
from absl import flags as absl_flags

from flags import configuration, quiet
from flags.define import student_flags

BAD = {
    "unknown flag": (["--curiculum=mentornet_pd"], "Unknown command line flag 'curiculum'"),
    "unknown curriculum": (["--curriculum=nonsense"], "unknown curriculum 'nonsense'"),
    "mistyped curriculum": (["--curriculum=mentornetpd"], "'mentornetpd' (did you mean mentornet_pd"),
    "mistyped pretrained": (["--curriculum=mentornet_dd_0.4"], "pretrained:mentornet_dd_0.4"),
    "mistyped method": (["--method=CoTeaching"], "unknown method 'CoTeaching' (did you mean co_teaching"),
    "mistyped student": (["--studentnet=smal_cnn"], "--studentnet='smal_cnn' (did you mean small_cnn?): use one of"),
    "mistyped mode": (["--mode=evalute"], "--mode=evalute (did you mean evaluate"),
    "no whole number": (["--image_size=abc"], "--image_size=abc: expected a whole number, such as 32"),
    "no number in a flag": (["--momentum=high"], "--momentum=high: expected a number, such as 0.1"),
    "no truth": (["--jit_compile=maybe"], "--jit_compile=maybe: expected true or false"),
    "unknown noise": (["--noise_type=salt"], "--noise_type='salt': use one of"),
    "unknown student": (["--studentnet=vgg"], "--studentnet='vgg': use one of"),
    "curriculum with standard": (["--method=standard", "--curriculum=none"], "does not use --curriculum"),
    "fraction": (["--noise_fraction=1.5"], "must lie in [0, 1]"),
    "no number": (["--learning_rate=nan"], "--learning_rate=nan must be a finite number"),
    "no limit": (["--weight_decay=inf"], "--weight_decay=inf must be a finite number"),
    "dropout rates": (["--curriculum=none", "--example_dropout_rates=0.5,17,0.05,82"], "sum to 99"),
    "two names of one flag": (
        ["--curriculum=none", "--loss_p_percentile=0.5", "--loss_p_precentile=0.6"],
        "contradict each other",
    ),
    "cluster flags": (["--ps_tasks=2"], "TF_CONFIG"),
    "boolean with a space": (["--jit_compile", "False"], "unexpected argument 'False'"),
    "auxiliary head of a student without one": (["--auxiliary_head", "--studentnet=lenet"], "lenet has none"),
    "negative noise seed": (["--noise_seed=-1"], "--noise_seed"),
    "no folder": (["--train_log_dir="], "needs --train_log_dir"),
    "dump without csv": (["--mode=dump_losses", "--checkpoint_dir=x"], "needs --output_csv_file"),
    "two lengths": (
        ["--num_epochs=3", "--max_number_of_steps=30"],
        "both give the length of training: give one of them",
    ),
    "no epochs": (["--num_epochs=0"], "--num_epochs"),
    "no batches": (["--max_batches_per_epoch=0"], "--max_batches_per_epoch"),
    "momentum of adam": (["--optimizer=adam", "--momentum=0.5"], "--momentum is used by --optimizer=sgd only"),
    "beta of sgd": (["--adam_beta1=0.5"], "--adam_beta1 is used by --optimizer=adam only: leave it out"),
    "beta of 1": (["--optimizer=adam", "--adam_beta1=1"], "--adam_beta1=1 must be below 1"),
    "negative beta": (["--optimizer=adam", "--adam_beta1=-0.1"], "--adam_beta1"),
    "second beta without a decay": (
        ["--optimizer=adam", "--adam_beta1_after_decay=0.1"],
        "--adam_beta1_after_decay is used by --optimizer=adam with --learning_rate_schedule=linear only",
    ),
    "second beta of sgd": (
        ["--learning_rate_schedule=linear", "--adam_beta1_after_decay=0.1"],
        "--adam_beta1_after_decay is used by --optimizer=adam with --learning_rate_schedule=linear only",
    ),
    "second beta of 1": (
        ["--optimizer=adam", "--learning_rate_schedule=linear", "--adam_beta1_after_decay=1"],
        "--adam_beta1_after_decay=1 must be below 1",
    ),
    "start of no decay": (
        ["--linear_decay_epoch=5"],
        "--linear_decay_epoch is used by --learning_rate_schedule=linear",
    ),
    "linear with boundaries": (
        ["--learning_rate_schedule=linear", "--learning_rate_boundaries=5"],
        "--learning_rate_schedule=linear has no boundaries: leave --learning_rate_boundaries out",
    ),
    "linear with epochs per decay": (
        ["--learning_rate_schedule=linear", "--num_epochs_per_decay=5"],
        "--learning_rate_schedule=linear has no boundaries: leave --num_epochs_per_decay out",
    ),
    "unknown optimizer": (["--optimizer=adagrad"], "--optimizer"),
    "activations without a dump": (["--activations_file=a.npz"], "does not use --activations_file: see dump_losses"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_flags_are_refused_before_any_work(case, tmp_path):
    flags, sentence = BAD[case]
    base = ["--dataset_name=digits", f"--train_log_dir={tmp_path / 'never'}"]
    with pytest.raises((ValueError, absl_flags.Error)) as refused:
        configuration.parse(["train_cifar.py", *base, *flags])
    assert sentence in str(refused.value)
    assert not (tmp_path / "never").exists()


PUBLISHED = [
    "--dataset_name=cifar10 --trained_mentornet_dir=models/mentornet_pd --loss_p_precentile=0.75 "
    "--nofixed_epoch_after_burn_in --burn_in_epoch=0 --example_dropout_rates=0.5,17,0.05,78,1.0,5 --data_dir=d "
    "--train_log_dir=t --studentnet=resnet101 --max_number_of_steps=39000 --device_id=0",
    "--dataset_name=cifar100 --trained_mentornet_dir=models/mentornet_dd --loss_p_precentile=0.9 "
    "--fixed_epoch_after_burn_in --burn_in_epoch=18 --example_dropout_rates=0.5,17,0.05,83 --data_dir=d "
    "--train_log_dir=t --studentnet=inception --batch_size=128 --num_epochs_per_decay=50 --device_id=1",
    "--dataset_name=cifar10 --data_dir=d --train_log_dir=t --studentnet=inception --learning_rate_decay_factor=0.1 "
    "--save_summaries_secs=120 --save_interval_secs=600",
    "--dataset_name=cifar10 --data_dir=d --checkpoint_dir=t --eval_dir=e --studentnet=resnet101 "
    "--split_name=test --eval_interval_secs=300 --output_csv_file=o.csv",
]


@pytest.mark.parametrize("line", PUBLISHED)
def test_the_releases_published_commands_parse(line):
    config = configuration.parse(["train_cifar.py", *line.split()])
    assert config.data.data_dir == "d"
    if "--trained_mentornet_dir" in line:
        assert config.method.name == "spade"
        assert config.method.curriculum is not None
        assert config.method.curriculum.startswith("models/")
        expected = 0.75 if "0.75" in line else 0.9
        assert set(config.method.options["loss_percentile"]) == {expected}
    elif "--checkpoint_dir" in line:
        assert config.run.mode == "evaluate"
    else:
        assert config.method.name == "standard"


def test_presets_choose_between_paper_and_release():
    def parsed(*flags):
        return configuration.parse(
            ["train_cifar.py", "--train_log_dir=t", "--curriculum=mentornet_pd", "--studentnet=inception", *flags]
        )

    paper, release = parsed(), parsed("--preset=release")
    assert (paper.student.name, release.student.name) == ("inception", "cifarnet")
    assert (paper.student.weight_decay, release.student.weight_decay) == (4e-3, 0.0)
    assert (paper.student.dropout_keep_probability, release.student.dropout_keep_probability) == (0.5, 0.8)
    assert (paper.data.augmentation, release.data.augmentation) == ("cifar", "release_inception")
    wanted = ("loss_moving_average_decay", "percentile_method", "burn_in_epoch", "burn_in_mode")
    assert [paper.method.options[name] for name in wanted] == [0.95, "linear", 20, "bernoulli"]
    assert [release.method.options[name] for name in wanted] == [0.5, "nearest", 0, "ones"]
    assert parsed("--preset=release", "--burn_in_epoch=18").method.options["burn_in_epoch"] == 18


@pytest.mark.parametrize("prefix", ["", "tfds:"])
def test_digits_are_not_mirrored_under_either_name(prefix):
    config = configuration.parse(["train_cifar.py", f"--dataset_name={prefix}mnist", "--train_log_dir=t"])
    assert config.data.augmentation == "none"


def test_the_releases_name_of_a_student_means_two_networks():
    """An evaluation under either preset takes --studentnet=inception for a run of the slim network or of Inception."""
    for flag, trained, fits in (
        ("--studentnet=inception", "cifarnet", True),
        ("--studentnet=inception", "inception", True),
        ("--studentnet=inception", "lenet", False),
        ("--batch_size=3", "lenet", True),
    ):
        for preset in ("paper", "release"):
            command = ["train_cifar.py", "--mode=evaluate", "--checkpoint_dir=t", f"--preset={preset}", flag]
            assert configuration.parse(command, make=lambda t=trained: student_flags.may_name(t)) == fits


def test_the_papers_learning_rate_schedules():
    def boundaries(*flags):
        return configuration.parse(["train_cifar.py", "--train_log_dir=t", *flags]).student.boundaries(390.625)

    assert boundaries("--studentnet=resnet101") == (19_531, 25_000, 30_000)
    assert boundaries("--studentnet=inception", "--max_number_of_steps=120000") == (78_000,)
    assert boundaries("--studentnet=inception", "--num_epochs_per_decay=50")[:2] == (19_531, 39_062)
    assert boundaries("--studentnet=resnet8", "--learning_rate_boundaries=5,9") == (5, 9)


@pytest.mark.parametrize(
    ("terminal", "flags", "told"),
    [
        (True, ["--dataset_name=digits"], "train_cifar.py: starting TensorFlow, which takes some seconds\n"),
        (True, ["--help"], ""),
        (True, ["--noshow_progress"], ""),
        (False, ["--dataset_name=digits"], ""),
    ],
)
def test_a_person_at_a_terminal_is_told_before_tensorflow_is_imported(terminal, flags, told, monkeypatch):
    stream, before = io.StringIO(), []
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(quiet.quiet, "start_tensorflow", lambda: before.append(stream.getvalue()))
    quiet.start_tensorflow(["/somewhere/train_cifar.py", *flags])
    assert before == [told]


@pytest.mark.parametrize(
    ("flags", "rate"),
    [
        (["--dataset_name=folder", "--studentnet=small_cnn"], 0.01),
        (["--dataset_name=folder", "--studentnet=small_cnn", "--learning_rate=0.1"], 0.1),
        (["--dataset_name=folder", "--studentnet=small_cnn", "--optimizer=adam"], 0.001),
        (["--dataset_name=folder", "--studentnet=resnet20"], 0.1),
        (["--dataset_name=digits", "--studentnet=small_cnn"], 0.1),
    ],
)
def test_the_learning_rate_by_default(flags, rate):
    config = configuration.parse(["train_cifar.py", "--train_log_dir=t", "--data_dir=d", *flags])
    assert config.student.learning_rate == rate
