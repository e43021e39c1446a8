"""Run folders and other processes: killed ones, two at the same moment, and readers that leave early."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import methods
from mentornet.runs.workdir import Workdir
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.optimizers import MomentumSGD
from tests import processes, script_runs
from tests.run_folders import make_run

TINY = [
    "--dataset_name=digits", "--studentnet=s2e_mlp", "--method=standard", "--train_examples=100", "--batch_size=20",
    "--max_number_of_steps=4", "--eval_every_steps=2", "--noshow_progress",
]  # fmt: skip
CLAIM = textwrap.dedent("""
    import sys
    from mentornet.runs.workdir import Workdir
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print("new" if Workdir(sys.argv[1]).claim("--seed=1\\n", {"seed": 1}) else "continued", flush=True)
    except ValueError as error:
        print(error, flush=True)
    sys.stdin.readline()
""")


def checkpoints(folder: Path) -> Checkpoints:
    inputs = keras.Input((4,))
    method = methods.Standard(keras.Model(inputs, keras.layers.Dense(2)(inputs)), max_steps=10)
    method.compile(optimizer=MomentumSGD(0.1))
    return Checkpoints(folder, method)


def test_what_a_killed_writer_left_is_removed_at_the_next_start(tmp_path):
    first = checkpoints(tmp_path)
    first.method.step.assign(3)
    first.save()
    kept = {path.name for path in tmp_path.iterdir()}
    for step in (3, 7):
        (tmp_path / f"ckpt-{step}_temp").mkdir()
        (tmp_path / f"ckpt-{step}_temp/part-00000-of-00001.data-00000-of-00001").write_bytes(bytes(100))
    (tmp_path / "ckpt-9_temp").symlink_to(tmp_path.parent)  # of somebody else: not followed
    assert checkpoints(tmp_path).restore() == 3
    assert {path.name for path in tmp_path.iterdir()} == kept | {"ckpt-9_temp"}
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("ckpt-3")


def test_of_several_processes_that_start_on_a_folder_one_wins(tmp_path):
    """Real processes that wait for each other before they claim; whoever loses says so in one sentence."""
    for number in range(4):
        started = [
            subprocess.Popen(
                [sys.executable, "-c", CLAIM, str(tmp_path / f"run {number}")], cwd=processes.ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(3)
        ]  # fmt: skip
        try:
            for process in started:
                assert process.stdout.readline() == "ready\n"
            for process in started:
                process.stdin.write("go\n")
                process.stdin.flush()
            answers = sorted(process.stdout.readline().strip() for process in started)
        finally:
            for process in started:
                process.stdin.close()
                process.wait(processes.PATIENCE)
                assert process.stderr.read() == ""
                process.stdout.close()
                process.stderr.close()
        assert answers[2] == "new", answers
        assert all("Another process is writing to" in answer for answer in answers[:2]), answers
    assert not Workdir(tmp_path / "run 0").claim("", {"seed": 1})  # the lock went with its process


def test_a_folder_that_becomes_a_run_while_it_is_looked_at(tmp_path, monkeypatch):
    """Between the look at run.json and the list of what is there, another process may have claimed the folder."""
    late = Workdir(tmp_path)
    look = Path.iterdir

    def claimed_meanwhile(path):
        monkeypatch.setattr(Path, "iterdir", look)
        Workdir(tmp_path).claim("--seed=1\n", {"seed": 1})
        return look(path)

    monkeypatch.setattr(Path, "iterdir", claimed_meanwhile)
    assert not late.claim("--seed=1\n", {"seed": 1})  # of one process both have the lock: it goes on, as the same run


def without_reader(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command whose output nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, *command], cwd=processes.ROOT, stdout=writer, stderr=subprocess.PIPE, text=True,
            timeout=processes.PATIENCE,
        )  # fmt: skip
    finally:
        os.close(writer)


@pytest.mark.parametrize("module", ["mentornet.reports", "mentornet.reports.report"])
def test_a_report_whose_reader_left(tmp_path, module):
    make_run(tmp_path / "run")
    done = without_reader("-m", module, str(tmp_path / "run"))
    assert (done.returncode, done.stderr) == (141, "")
    assert (tmp_path / "run/report.md").exists()


@pytest.mark.slow
def test_a_training_whose_reader_left(tmp_path):
    done = without_reader("train_cifar.py", *TINY, f"--train_log_dir={tmp_path / 'run'}")
    assert (done.returncode, done.stderr) == (141, "")
    assert without_reader("train_cifar.py", "--help").stderr == ""


@pytest.mark.slow
def test_of_two_trainings_on_a_folder_one_wins(tmp_path):
    command = script_runs.command(
        "train_cifar.py", *TINY, "--max_number_of_steps=200", f"--train_log_dir={tmp_path / 'run'}"
    )
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    started = [processes.started(command, errors=str(log)) for log in logs]
    codes = sorted(processes.exit_code(process) for process in started)
    errors = "".join(log.read_text("utf-8") for log in logs)
    assert "Traceback" not in errors
    assert Workdir(tmp_path / "run").finished()
    if codes != [0, 0]:  # both may end well if the first is done before the second asks
        assert codes == [0, 1]
        assert "Another process is writing to" in errors
