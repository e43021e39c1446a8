"""The sentence about the release's noise: when it comes, what it says, and that a training prints it."""

from __future__ import annotations

import pytest

from flags import configuration
from flags.commands import tasks
from flags.define import released_flags

BASELINE = [  # the release's, in its README, but for folders
    "--dataset_name=cifar10", "--data_dir=d", "--train_log_dir=t", "--studentnet=resnet101",
    "--max_number_of_steps=39000", "--device_id=0",
]  # fmt: skip
MENTORED = ["--dataset_name=cifar100", "--train_log_dir=t", "--trained_mentornet_dir=m/d", "--loss_p_precentile=0.75"]


def said(flags: list[str]) -> str | None:
    def make():
        return released_flags.about_noise(configuration.config().data.dataset_name)

    return configuration.parse(["train_cifar.py", *flags], make=make)


@pytest.mark.parametrize("flags", [BASELINE, MENTORED, ["--train_log_dir=t", "--preset=release"]])
def test_a_command_of_the_release_is_told_that_its_labels_are_clean(flags):
    sentence = said(flags)
    assert sentence is not None
    for part in ("clean labels of cifar10", "--noise_type", "--labels_file", "docs/release.md"):
        assert part in sentence
    assert ". " not in sentence


@pytest.mark.parametrize(
    "flags",
    [
        [*BASELINE, "--noise_type=uniform", "--noise_fraction=0.4"],
        [*MENTORED, "--labels_file=labels.csv"],
        [*BASELINE, "--noise_type=none"],
        [*BASELINE, "--noise_type=human:worse"],
        [*BASELINE, "--dataset_name=digits"],
        ["--train_log_dir=t", "--studentnet=resnet32", "--batch_size=100", "--learning_rate=0.1"],
        ["--train_log_dir=t", "--curriculum=mentornet_pd"],
    ],
)
def test_all_others_are_not(flags):
    assert said(flags) is None


class _Loading(Exception):
    pass


def test_a_training_says_it_before_the_data_is_loaded(tmp_path, capsys):
    class Build:
        set_apart = None

        @staticmethod
        def load_data(config):
            raise _Loading

    def make():
        config = configuration.config()
        with pytest.raises(_Loading):
            tasks.train(config, Build)

    configuration.parse(
        ["train_cifar.py", *BASELINE[:2], "--save_interval_secs=9", f"--train_log_dir={tmp_path}"], make
    )
    told = capsys.readouterr().out
    assert told.startswith("note: --save_interval_secs is the release's")
    assert told.splitlines()[1:] == ["reading cifar10"]
