"""scripts/mentornet_dd.py: its steps as commands, and all of them for real on digits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import commands, mentornet_dd
from tests import processes
from tests.processes import PATIENCE, ROOT

SMALL = "--dataset_name=digits --studentnet=small_cnn --batch_size=32"


@pytest.fixture
def steps_are_forked(monkeypatch) -> None:
    """The steps are processes as ever, that need not import TensorFlow each."""

    def run(command: list[str], folder: Path) -> int:
        assert folder == ROOT
        done = processes.run(command)
        print(done.stdout)
        print(done.stderr, file=sys.stderr)
        return done.returncode

    monkeypatch.setattr(commands, "run", run)


@pytest.mark.slow
def test_student_dump_mentornet_and_training_in_one_command(steps_are_forked, tmp_path, capsys):
    options = ["--steps=100", "--mentor_steps=200", "--train_examples=400", "--trusted=200", "--noise_fraction=0.4"]
    options += [f"--output={tmp_path / 'dd'}", f"--flags={SMALL} --eval_every_steps=50"]
    assert mentornet_dd.main(options) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("==")] == [
        "== student",
        "== dump",
        "== mentornet",
        "== run",
    ]
    folder = tmp_path / "dd"
    assert json.loads((folder / "student" / "result.json").read_text())["steps"] == 18
    rows = [line.split(",") for line in (folder / "dump.csv").read_text().splitlines()]
    rows = [row for row in rows if row[0].isdigit()]
    assert len(rows) == 200
    assert {row[1] for row in rows} == {"18"}
    card = json.loads((folder / "mentornet" / "card.json").read_text())
    assert card["source"]["rows"] == 200
    assert not Path(card["command"].split("--train_dir=")[1].split()[0]).is_absolute()
    result = json.loads((folder / "run" / "result.json").read_text())
    assert result["steps"] == 100
    assert sorted(path.name for path in (folder / "run" / "curricula").iterdir()) == ["step_000021", "step_000075"]
    with pytest.raises(SystemExit, match="2"):
        mentornet_dd.main([*options, "--trusted=300"])
    assert "was made with --trusted=200: give the same, or another --output" in capsys.readouterr().err


@pytest.mark.slow
def test_a_failing_step_ends_it(tmp_path):
    command = [sys.executable, "scripts/mentornet_dd.py", f"--output={tmp_path}", "--flags=--studentnet=magic"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode != 0
    assert "magic" in done.stderr
    assert "== dump" not in done.stdout


def test_a_stop_of_the_script_stops_its_step(tmp_path):
    """The step writes its process id and sleeps; SIGTERM to the script that runs it ends both."""
    step = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(6000)"
    script = f"import sys; from scripts import commands; commands.run([sys.executable, '-c', {step!r}], '.')"
    running = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    child = int(running.stdout.readline())
    running.terminate()
    assert running.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
