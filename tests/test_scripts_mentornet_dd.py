"""scripts/mentornet_dd.py: its steps as commands, and all of them for real on digits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import mentornet_dd
from tests import processes
from tests.processes import ROOT

SMALL = "--dataset_name=digits --studentnet=small_cnn --batch_size=32"


@pytest.mark.slow
def test_student_dump_mentornet_and_training_in_one_command(tmp_path):
    command = ["scripts/mentornet_dd.py", "--steps=100", "--mentor_steps=200", "--train_examples=400", "--trusted=200"]
    options = [f"--output={tmp_path / 'dd'}", "--noise_fraction=0.4", f"--flags={SMALL} --eval_every_steps=50"]
    done = processes.run([sys.executable, *command, *options])
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("==")] == [
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
    done = processes.run([sys.executable, *command, *options, "--trusted=300"])
    assert done.returncode == 2
    assert "was made with --trusted=200: give the same, or another --output" in done.stderr


def test_a_mixture_reads_activations_is_told_what_is_known_and_stays_as_it_is():
    options = ["--experts=a,b", "--trusted=300", "--percentiles=60", "--mentor_steps=7", "--flags=--studentnet=lenet"]
    made = dict(mentornet_dd.stages(mentornet_dd.parser().parse_args(options), Path("o")))
    assert {"--activations_file=o/dump.npz", "--dump_examples=300"} <= {*made["dump"]}
    learning = {"--experts=a,b", "--activations=o/dump.npz", "--known_share=1", "--percentiles=60"}
    assert learning <= {*made["mentornet"]}
    assert "--curriculum=o/mentornet" in made["run"]
    assert not [flag for flag in made["run"] if "update" in flag or "mentor_" in flag or "fixed" in flag]
    alone = dict(mentornet_dd.stages(mentornet_dd.parser().parse_args([]), Path("o")))
    assert not [flag for flag in (*alone["dump"], *alone["mentornet"]) if "activations" in flag or "experts" in flag]
    assert "--curriculum_update_epochs=21,75" in alone["run"]


@pytest.mark.slow
def test_a_failing_step_ends_it(tmp_path):
    command = [sys.executable, "scripts/mentornet_dd.py", f"--output={tmp_path}", "--flags=--studentnet=magic"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=processes.PATIENCE)
    assert done.returncode != 0
    assert "magic" in done.stderr
    assert "== dump" not in done.stdout


def test_a_stop_of_the_script_stops_its_step(tmp_path):
    """The step writes its process id and sleeps; SIGTERM to the script that runs it ends both."""
    step = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
    script = f"import sys; from scripts import commands; commands.run([sys.executable, '-c', {step!r}], '.')"
    running = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    child = int(running.stdout.readline())
    running.terminate()
    assert running.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
