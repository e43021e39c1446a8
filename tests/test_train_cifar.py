"""train_cifar.py as a user runs it, on the embedded digits: run folder, resume after SIGKILL, bad input."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import student_nets
from tests import processes, script_runs
from tests.processes import ROOT
from tests.script_runs import assert_same_training, row_count, rows

DIGITS = ["--dataset_name=digits", "--studentnet=small_cnn", "--noise_type=uniform", "--noise_fraction=0.4"]
PD = ["--curriculum=mentornet_pd", "--dropout_keep_probability=0.8", "--weight_decay=1e-4"]
SHORT = ["--max_number_of_steps=60", "--eval_every_steps=20", "--batch_size=64"]


SCRIPT = "train_cifar.py"
command, here = functools.partial(script_runs.command, SCRIPT), functools.partial(script_runs.here, SCRIPT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("runs") / "pd"
    whole = command(*DIGITS, *PD, *SHORT, f"--train_log_dir={folder}")
    return folder, subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=processes.PATIENCE)


def test_a_run_leaves_a_folder_that_explains_itself(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # TensorFlow's start-up messages stay away
    assert "step 60/60 (100%)" in done.stdout
    assert "left" in done.stdout
    expected = "flags.txt run.json labels.npz metrics.csv result.json samples.csv suspects.png accuracy.png loss.png"
    for name in [*expected.split(), "weights.png", "events", "checkpoints", "student.keras"]:
        assert (folder / name).exists(), name
    result = json.loads((folder / "result.json").read_text())
    wanted = [
        "accuracy_last",
        "accuracy_best",
        "accuracy_mean_last_10",
        "steps",
        "seconds",
        "steps_per_second",
        "parameters",
        "weights_auc",
        "data_utilisation",
        "noise_rate_actual",
        "method",
        "curriculum",
        "dataset",
        "seed",
        "versions",
        "command",
    ]
    assert set(wanted) <= set(result)
    assert (result["steps"], result["method"], result["curriculum"]) == (60, "spade", "mentornet_pd")
    assert [row["step"] for row in rows(folder)] == ["20", "40", "60"]
    labels = np.load(folder / "labels.npz", allow_pickle=False)
    assert result["noise_rate_actual"] == pytest.approx(np.mean(labels["given"] != labels["clean"]))
    # 1,437 labels redrawn with probability 0.4 from all ten classes: 36% change, give or take five deviations.
    assert result["noise_rate_actual"] == pytest.approx(0.36, abs=5 * np.sqrt(0.36 * 0.64 / 1437))


def test_the_saved_student_predicts_alone(finished):
    folder, _ = finished
    from data import datasets, pipeline

    test = datasets.load("digits").test
    student = student_nets.load(folder / "student.keras")
    batches = pipeline.evaluation_batches(test.images, test.labels, 500, pipeline.AUGMENTATIONS["none"])
    right = sum(int(np.sum(np.argmax(student(b["image"]), axis=1) == b["label"].numpy())) for b in batches)
    result = json.loads((folder / "result.json").read_text())
    assert right / len(test) == pytest.approx(result["accuracy_last"], abs=1e-6)


def test_a_finished_run_says_so_and_stops(finished):
    folder, _ = finished
    before = (folder / "result.json").read_bytes()
    again = here(*DIGITS, *PD, *SHORT, f"--train_log_dir={folder}")
    assert again.returncode == 0
    assert "is finished" in again.stdout
    assert (folder / "result.json").read_bytes() == before


def test_a_folder_of_other_flags_is_left_alone(finished):
    folder, _ = finished
    other = here(*DIGITS, *PD, *SHORT, "--seed=7", f"--train_log_dir={folder}")
    assert other.returncode == 1
    assert "seed was 0 and is now 7" in other.stderr
    assert other.stderr.count("\n") == 1


def test_flags_txt_replays_the_run_and_labels_file_gives_the_labels_back(finished, tmp_path):
    folder, _ = finished
    replay = here(f"--flagfile={folder / 'flags.txt'}", f"--train_log_dir={tmp_path / 'replay'}")
    assert replay.returncode == 0, replay.stderr
    assert rows(tmp_path / "replay") == rows(folder)
    shorter = [flag for flag in DIGITS if "noise" not in flag]
    given = here(
        *shorter, *PD, *SHORT, f"--labels_file={folder / 'labels.npz'}", f"--train_log_dir={tmp_path / 'given'}"
    )
    assert given.returncode == 0, given.stderr
    assert rows(tmp_path / "given") == rows(folder)


def test_evaluate_and_dump_losses_read_the_run_folder(finished, tmp_path):
    folder, _ = finished
    # Neither data set nor student is named: the run's folder says which they are.
    done = here(f"--checkpoint_dir={folder}", f"--eval_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["accuracy"] == pytest.approx(float(rows(folder)[-1]["eval_accuracy"]), abs=1e-6)
    for flags, sentence in (
        ((f"--checkpoint_dir={tmp_path / 'absent'}", "--dataset_name=cifar10"), "there is no checkpoint in"),
        ((f"--checkpoint_dir={folder}", "--studentnet=lenet"), "has --studentnet=small_cnn: leave the flag out"),
        ((f"--checkpoint_dir={folder}", "--method=reed"), "has --method=spade: leave the flag out"),
    ):
        refused = here("--mode=evaluate", *flags)
        assert refused.returncode == 1
        assert sentence in refused.stderr
        assert refused.stderr.count("\n") == 1
    dump = tmp_path / "dump.csv"
    done = here("--mode=dump_losses", f"--checkpoint_dir={folder}", f"--output_csv_file={dump}")
    assert done.returncode == 0, done.stderr
    table = np.genfromtxt(dump, delimiter=",", names=True)
    assert table.dtype.names == ("id", "epoch_percent", "noisy_label", "clean_label", "loss")
    labels = np.load(folder / "labels.npz", allow_pickle=False)
    assert np.array_equal(table["noisy_label"], labels["given"])
    assert np.array_equal(table["clean_label"], labels["clean"])
    samples = np.genfromtxt(folder / "samples.csv", delimiter=",", names=True)
    loss_of = dict(zip(samples["index"].astype(int), samples["loss"], strict=True))
    np.testing.assert_allclose(table["loss"], [loss_of[int(i)] for i in table["id"]], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_like_an_uninterrupted_run(finished, tmp_path):
    """SIGKILL once the first row is there, then within the second; bit for bit the same weights and rows."""
    folder, _ = finished
    killed = tmp_path / "killed"
    flags = [*DIGITS, *PD, *SHORT, f"--train_log_dir={killed}"]
    assert processes.kill_when(lambda: row_count(killed) > 0, command(*flags)) == -signal.SIGKILL
    script_runs.killed_in("evaluation:0:0", *flags)
    assert not (killed / "result.json").exists()
    done = here(*flags)
    assert done.returncode == 0, done.stderr
    assert_same_training(killed, folder)


def run_in_process(*flags: str) -> str:
    """The sentence on stderr of a run that is refused, by the script's own code without a new process."""
    from flags import configuration
    from flags.commands import tasks

    with pytest.raises(SystemExit) as stopped:
        tasks.run_script("train_cifar.py", configuration.parse(["train_cifar.py", *flags]))
    assert stopped.value.code == 1
    return ""


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--labels_file={tmp}/short.csv"], "short.csv"),
        (["--labels_file={tmp}/range.csv"], "range.csv"),
        (["--labels_file={tmp}/absent.csv"], "absent.csv"),
        (["--train_examples=5000"], "5000"),
        (["--studentnet=inception", "--train_log_dir={tmp}/file/run"], "{tmp}/file"),
        (["--trained_mentornet_dir={tmp}/nothing/here"], "does not exist"),
        (["--dataset_name=folder", "--data_dir={tmp}/empty"], "empty"),
        (["--dataset_name=cifar10", "--data_dir={tmp}/empty", "--nodownload"], "cifar10"),
    ],
)
def test_bad_input_gets_one_sentence(flags, sentence, tmp_path, capfd):
    (tmp_path / "short.csv").write_text("0\n1\n2\n")
    (tmp_path / "range.csv").write_text("\n".join(["11"] * 1437) + "\n")
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    run_in_process(*DIGITS[:2], *SHORT, f"--train_log_dir={tmp_path / 'run'}", *flags)
    error = capfd.readouterr().err
    assert error.startswith("train_cifar.py: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert sentence.format(tmp=tmp_path) in error
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_nan_loss_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    folder = tmp_path / "nan"
    done = here(*DIGITS, *SHORT, "--learning_rate=1e38", "--eval_every_steps=1", f"--train_log_dir={folder}")
    assert done.returncode == 1
    assert "the loss is not finite, or beyond 1e+08, at step" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "result.json").exists()
    step = int(done.stderr.split("at step ")[1].split(":")[0])
    latest = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    assert latest is not None
    assert int(latest.rsplit("-", 1)[1]) <= step


def test_a_full_disk_is_one_sentence(tmp_path):
    """No file may grow beyond 300 kB: the checkpoint of a 98,000-weight student can't be written."""
    pytest.importorskip("resource")
    folder = tmp_path / "full"
    done = processes.run(command(*DIGITS, *PD, *SHORT, f"--train_log_dir={folder}"), largest_file=300_000)
    assert done.returncode == 1
    assert "no checkpoint could be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "result.json").exists()
