"""What a training refuses before it reads its data: this reading fails the test."""

from __future__ import annotations

import re

import pytest

from flags import configuration
from flags.build import in_memory
from flags.commands import tasks
from mentornet import files
from mentornet.runs.workdir import Workdir


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a file, a folder of other things, a run that has no samples.csv, and a corrections file."""

    def read(*_):
        pytest.fail("data is read")

    monkeypatch.setattr(in_memory, "load_data", read)
    (tmp_path / "file").write_text("precious")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("")
    (tmp_path / "c.csv").write_text("image;label\n1;2\n")
    Workdir(tmp_path / "begun").claim("", {"seed": 1})
    return tmp_path


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--train_log_dir={}/file", "Cannot create the run folder .*: a file of that name is in the way"),
        ("--train_log_dir={}/file/run", "a part of that path is a file, not a folder"),
        ("--train_log_dir=/proc/run", "Cannot create the run folder /proc/run: "),
        ("--train_log_dir={}/letters", r"not a run folder but has other content \(a.txt\)"),
        ("--corrections_file={}/none.csv", "There is no file .*none.csv"),
        ("--corrections_file={}/c.csv", "needs a heading that names label, and path or index"),
        ("--labels_file={}/none.npz", "There is no file .*none.npz"),
        ("--leave_out_suspects=3:{}/letters", "letters is no run folder"),
        ("--leave_out_suspects=3:{}/begun", "begun has no samples.csv: finish that training first"),
        ("--method=clean_only --clean_labels_file={}/none.csv", "There is no file .*none.csv"),
        ("--method=backward_correction --baseline_run={}/begun", "--baseline_run=.*begun has no result.json"),
    ],
)
def test_mistakes_are_found_before_the_data_is_read(place, flag, said):
    before = sorted(place.rglob("*"))
    flags = ["--dataset_name=digits", "--studentnet=small_cnn", f"--train_log_dir={place / 'new'}"]
    config = configuration.parse(["train_cifar.py", *flags, *flag.format(place).split()])
    with pytest.raises((ValueError, OSError), match=said) as refused:
        tasks.train(config)
    assert "\n" not in str(refused.value)
    assert sorted(place.rglob("*")) == before  # the new folder is not there either


def test_a_folder_of_another_run_is_refused_before_the_data_is_read(place):
    workdir = Workdir(place / "run")
    flags = ["--dataset_name=digits", "--studentnet=small_cnn", "--num_epochs=2", f"--train_log_dir={workdir.path}"]
    config = configuration.parse(["train_cifar.py", *flags])
    workdir.claim("", config.resolved(256).identity())
    files.write_npz(workdir.labels_file, {"given": [0] * 256, "index": list(range(256))})
    other = configuration.parse(["train_cifar.py", *flags, "--seed=5", "--learning_rate=0.02"])
    with pytest.raises(ValueError, match=re.escape("learning_rate was 0.1 and is now 0.02; seed was 0 and is now 5;")):
        tasks.train(other)
    with pytest.raises(pytest.fail.Exception, match="data is read"):  # the run itself goes on
        tasks.train(config)
