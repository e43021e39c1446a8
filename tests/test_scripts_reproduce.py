"""scripts/reproduce.py on a tiny table whose trainings are a few lines of Python: list, plan, run, show, and mistakes.

Runners are processes of their own, started with ``DRIVER``, which declares the table; so do the tests in this process.
"""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from scripts import reproduce, tables
from scripts.reproduction import cluster, jobs, planning, results, runner
from scripts.tables.declarations import Command, Table

ROOT = Path(__file__).resolve().parents[1]
SEEDS = {"0": 0.5, "1": 0.6}

# Takes 20 steps of 20 ms; notes each start and each step in a file beside all runs, so a second training would show.
TRAINER = """
import json, os, sys, time
given = dict(flag.lstrip("-").partition("=")[::2] for flag in sys.argv[1:])
folder = given["output"]
os.makedirs(folder, exist_ok=True)
if "fail" in given:
    sys.exit("this one fails")
first = 0
if os.path.exists(folder + "/at"):
    first = int(open(folder + "/at").read())
with open(os.path.join(os.path.dirname(folder), "log"), "a") as log:
    for step in range(first, int(given["steps"])):
        log.write(os.path.basename(folder) + "\\n")
        log.flush()
        open(folder + "/new", "w").write(str(step + 1))
        os.replace(folder + "/new", folder + "/at")
        open(folder + "/metrics.csv", "w").write("step,loss\\n%d,1\\n" % (step + 1))
        time.sleep(0.02)
accuracy = {"0": 0.5, "1": 0.6}[given["seed"]]
json.dump({"accuracy_last": accuracy}, open(folder + "/new", "w"))
os.replace(folder + "/new", folder + "/result.json")
"""

DRIVER = """
import sys
sys.path.insert(0, {root!r})
from tests import test_scripts_reproduce
test_scripts_reproduce.declare({trainer!r})
from scripts import reproduce
sys.exit(reproduce.main(sys.argv[1:]))
"""


def fake_table(trainer: str) -> Table:
    def command(name: str, *flags: str) -> Command:
        return Command(name, trainer, ("--steps=20", *flags), name, "here", "cpu", inner="", run=".",
                       finished="result.json", steps=20)  # fmt: skip

    return Table(
        "fake", "A fake, table 1", paper="", commands=(command("a"), command("b"), command("c")), setting="twenty steps"
    )


def declare(trainer: str) -> None:
    """Makes the fake tables known in this process, beside the real ones."""
    fails = Command("x", trainer, ("--fail=1",), "x", "", "cpu", inner="", run=".", finished="result.json", steps=1)
    bad = Table("bad", "fails", commands=(fails,))
    declared = SimpleNamespace(recipes=dict, TABLES=(fake_table(trainer), bad))
    real = tables.modules
    tables.modules = lambda: [*real(), declared]  # type: ignore[list-item]
    tables.tables.cache_clear()


@pytest.fixture
def fake(tmp_path, monkeypatch):
    trainer = tmp_path / "trainer.py"
    trainer.write_text(TRAINER)
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(root=str(ROOT), trainer=str(trainer)))
    monkeypatch.setattr(tables, "modules", tables.modules)  # put back afterwards
    declare(str(trainer))
    yield SimpleNamespace(output=tmp_path / "out", driver=str(driver))
    tables.tables.cache_clear()


def start(fake, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, fake.driver, "run", "fake", f"--output={fake.output}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def steps_taken(fake) -> list[str]:
    log = fake.output / "log"
    return log.read_text().split() if log.exists() else []


def test_two_runners_on_one_folder_never_train_a_cell_twice(fake):
    runners = [start(fake, "--seeds=0,1", "--processes=2") for _ in range(2)]
    said = [runner.communicate(timeout=120)[0] for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0], said
    taken = steps_taken(fake)
    assert {name: taken.count(name) for name in set(taken)} == {
        f"{cell}_seed{seed}": 20 for cell in "abc" for seed in (0, 1)
    }
    for text in said:
        assert "6 of 6 cells, 100%" in text.splitlines()[-2]


def test_a_killed_runner_leaves_its_training_alone_and_a_killed_training_is_continued(fake):
    runner = start(fake)
    until = time.monotonic() + 60
    while len(steps_taken(fake)) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(runner.pid, signal.SIGKILL)  # its training goes on and holds the lock of its cell
    runner.communicate()
    second = start(fake)
    while steps_taken(fake).count("b_seed0") < 3 and time.monotonic() < until:
        time.sleep(0.01)
    second.terminate()  # in order: its training stops, too
    assert "stopped; the same command continues" in second.communicate(timeout=60)[0]
    assert second.returncode == 130
    assert 3 <= steps_taken(fake).count("b_seed0") < 20
    third = start(fake)
    assert "3 of 3 cells, 100%" in third.communicate(timeout=60)[0]
    taken = steps_taken(fake)
    assert taken.count("a_seed0") == taken.count("c_seed0") == 20
    assert taken.count("b_seed0") in (20, 21)  # a step that was cut off between its two files is taken once more


def test_show_has_mean_and_deviation_of_the_seeds_and_leaves_the_rest_empty(fake, capsys):
    for seed, accuracy in SEEDS.items():
        folder = fake.output / f"a_seed{seed}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"accuracy_last": accuracy}))
        (folder / "run.json").write_text(
            json.dumps({"git_commit": "0123456789", "git_changed": False, "started": "2026-11-28T20:00:00+00:00"})
        )
    target = fake.output / "more.csv"
    more = ["--seeds=0,1", f"--output={fake.output}", f"--csv={target}"]
    assert reproduce.main(["show", "fake", *more]) == 0
    text = capsys.readouterr().out
    assert "| a | here | | 55.0 ± 7.1 | 2 | | 2026-11-28 | 0123456 |" in text  # the sample deviation of 50 and 60
    assert "| b | here | | | | | | |" in text
    assert "Setting of ours: twenty steps." in text
    with open(fake.output / "fake_cpu.csv", newline="") as stream:
        first, second, _ = csv.DictReader(stream)
    assert (first["ours"], first["seeds"], first["paper"], second["ours"]) == ("55.0", "2", "", "")
    with open(target, newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["seeds"], row["accuracy_last"], row["accuracy_last_std"]) == ("2", "0.55", "0.07071")
    assert (row["weights_auc"], row["date"], row["commit"]) == ("", "2026-11-28", "0123456")
    assert {path.name for path in fake.output.glob("fake_cpu.*")} == {"fake_cpu.md", "fake_cpu.csv", "fake_cpu.png"}


def test_a_shortened_run_is_marked_and_replaces_no_stored_result(fake, capsys, monkeypatch):
    one, two, _ = (jobs.Job(cell, 0, fake.output, more=("--steps=5",)) for cell in tables.cells("fake"))
    for job in (one, two):
        job.folder.mkdir(parents=True)
        job.result_file.write_text(json.dumps({"accuracy_last": 0.2}))
        job.write_settings()
    stored = ("x.csv", {"recipe": "a", "seeds": "2", "accuracy_last": "0.7"})
    monkeypatch.setattr(results, "recorded", lambda: {"a": stored})
    monkeypatch.setattr(results, "_recorded_name", lambda cell: cell.row)
    target = fake.output / "more.csv"
    assert reproduce.main(["show", "fake", f"--output={fake.output}", f"--csv={target}"]) == 0
    text = capsys.readouterr().out
    assert "| a | here | | 70.0 | 2 |" in text
    assert "Left out: a_seed0 (shortened: --steps=5)." in text
    assert "| b | here | | 20.0 (shortened: --steps=5) | 1 |" in text
    for file in (fake.output / "fake_cpu.csv", target):
        with open(file, newline="") as stream:
            changed = {row.get("row", row["recipe"]): row["changed"] for row in csv.DictReader(stream)}
        assert changed["b"] == "shortened: --steps=5"


def test_a_difference_is_ours_minus_the_papers_in_percent(tmp_path):
    """README: MentorNet PD has 57.0 where ICML table 2 prints 0.77."""
    table = tables.tables()["icml_table2"]
    cell = next(cell for cell in tables.cells("icml_table2", "cpu") if cell.stem == "cifar10_0.4_mentornet_pd")
    paper, ours = results.of_paper(table, cell), results.of_runs(table, [jobs.Job(cell, 0, tmp_path)])
    assert paper is not None
    assert paper.value == pytest.approx(77.0)
    assert ours is None
    record = results.record_of(table, cell)
    assert record is not None
    assert (round(record.mean, 1), record.seeds, record.source) == (57.0, 2, "docs/results/cpu_cifar10_0.4.csv")


def test_plan_counts_steps_and_multiplies_the_measured_step(fake, capsys, monkeypatch):
    assert reproduce.main(["list"]) == 0
    listed = capsys.readouterr().out
    assert "A fake, table 1" in listed
    assert "icml_table2" in listed
    monkeypatch.setattr(planning, "measured", lambda cell, data: {"seconds": 2.0, "parameters": 1e6, "peers": 1})
    given = ["plan", "icml_table3", "--cells=*reed_hard", f"--output={fake.output}", "--seeds=0,1"]
    assert reproduce.main(given) == 0
    planned = capsys.readouterr().out
    line = next(line.split() for line in planned.splitlines() if line.startswith("cpu_methods_uniform_reed_hard_seed1"))
    assert line[1:6] == ["1,500", "2", "s", "50", "min"]
    assert "2 trainings, 0 finished; left: 3,000 steps, about 1.7 h on this machine" in planned
    assert len(json.loads((fake.output / planning.CACHE).read_text())) == 1  # both seeds share a measured step


def test_plan_says_why_a_time_is_not_known(fake, capsys, monkeypatch):
    assert reproduce.main(["plan", "fake", f"--output={fake.output}", "--data_dir=D"]) == 0
    assert "the time of 3 is not known (3 made by " in capsys.readouterr().out
    monkeypatch.setattr(planning, "measured", lambda cell, data: {"problem": "there is no such data"})
    given = ["plan", "icml_table3", "--cells=*reed_hard", f"--output={fake.output}"]
    assert reproduce.main([*given, "--no_measure"]) == 0
    planned = capsys.readouterr().out
    assert "(1 not measured yet, without --no_measure they are); their heads state about " in planned
    stated = planning.stated_hours(tables.cells("icml_table3", "cpu")[0])
    assert f"({runner.duration(3600 * stated)})" in planned  # in the place of the estimate
    assert reproduce.main(given) == 0
    assert "(1 could not be measured: there is no such data)" in capsys.readouterr().out


def test_jobs_for_a_cluster_are_one_command_a_cell(fake, capsys):
    (fake.output / "a_seed0").mkdir(parents=True)
    (fake.output / "a_seed0" / "result.json").write_text("{}")
    given = ["run", "fake", f"--output={fake.output}", "--data_dir=D", "--seeds=0,1", "--more=x y"]
    assert reproduce.main([*given, "--print_jobs"]) == 0
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line[5], line[6]) for line in lines] == [
        (f"--cells={cell}", f"--seeds={seed}") for seed in (0, 1) for cell in "abc" if (cell, seed) != ("a", 0)
    ]
    assert lines[0][-2:] == ["--data_dir=D", "--more=x y"]
    assert reproduce.main([*given, "--kubernetes", "--image=i:1", "--processes=2"]) == 0
    config, job = yaml.safe_load_all(capsys.readouterr().out)
    assert [shlex.split(line) for line in config["data"]["jobs.txt"].splitlines()] == lines
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 5, 2)
    script = spec["template"]["spec"]["containers"][0]["command"][2].replace("/jobs/jobs.txt", "$JOBS")
    jobs_file = fake.output / "jobs.txt"
    jobs_file.write_text(config["data"]["jobs.txt"].replace("python scripts/reproduce.py", "printf %s/"))
    shown = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "JOB_COMPLETION_INDEX": "4", "JOBS": str(jobs_file)},
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "/".join([*lines[4][2:], ""])  # quoting survives: the last argument has a blank


def test_tasks_of_an_array_job_run(fake, tmp_path):
    pytest.importorskip("submitit")
    commands = [[sys.executable, "-c", f"open({str(tmp_path / name)!r}, 'w').write('x')"] for name in "pq"]
    for task in cluster.submit(commands, tmp_path / "slurm", {"timeout_min": 5}, cluster="debug"):
        task.result()
    assert (tmp_path / "p").exists()
    assert (tmp_path / "q").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["plan", "icml_table9"],
            "there is no table icml_table9 (did you mean icml_table4 or icml_table3",
        ),
        (["run", "fake", "--scale=tiny"], "--scale=tiny: expected one of cpu, paper"),
        (["run", "fake", "--scale=paper"], "table fake has no cells at the scale paper; try --scale=cpu"),
        (["show", "fake", "--seeds=0,x"], "--seeds=0,x: expected whole numbers, each once"),
        (["run", "fake", "--cells=nothing"], "--cells=nothing matches none of the 3 cells of fake: a, b, c"),
        (["run", "fake", "--processes=0"], "--processes=0: expected 1 or more"),
        (["run", "fake", "extra"], "unknown argument extra"),
        (["show", "fake", "--more=1"], "unknown argument --more=1"),
        (["run", "l2rw_fig2"], "l2rw_fig2 is made by a command of its own: python scripts/imbalance_experiment.py"),
        (["run", "fake", "--slurm", "--slurm_options=x"], "--slurm_options=x: expected key=value"),
        (["run", "fake", "--print_jobs", "--slurm_options=a=1"], "--slurm_options are those of --slurm"),
        (["run", "fake", "--print_jobs", "--image=i"], "--image is the container of --kubernetes"),
        (["run", "fake", "--kubernetes"], "as its pods see them: give --image, --data_dir, too"),
        (["run", "fake", "--seed=5"], "--seed=5 is not taken: give --seeds"),
        (["plan", "fake", "--train_log_dir=X"], "--train_log_dir=X is not taken: give --output"),
        (["run", "icml_table2", "--nix=3"], "--nix=3: neither reproduce.py nor train_cifar.py has such a flag"),
        (["run", "fake", "--output=/proc/nix"], "Cannot write /proc/nix: the folder does not exist"),
        (["show", "fake", "--csv=/nowhere/a.csv"], "--csv=/nowhere/a.csv: there is no folder /nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, fake, capsys):
    more = [] if "--output=/proc/nix" in arguments else [f"--output={fake.output}"]
    assert reproduce.main([*arguments, *more]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not steps_taken(fake)


def test_a_training_that_fails_is_told_with_its_last_line(fake, capsys):
    assert reproduce.main(["run", "bad", f"--output={fake.output}"]) == 1
    assert "x_seed0: this one fails (exit code 1, log:" in capsys.readouterr().err


def test_a_folder_of_other_settings_is_refused(fake, capsys, tmp_path):
    (cell,) = (cell for cell in tables.cells("fake") if cell.row == "a")
    job = jobs.Job(cell, 0, fake.output)
    job.folder.mkdir(parents=True)
    job.write_settings()
    assert reproduce.main(["run", "fake", "--cells=a", f"--output={fake.output}", "--lr=1"]) == 2
    assert (
        "a_seed0 was made with fewer flags and is now asked for with --lr=1: give the same" in capsys.readouterr().err
    )
    recipe = next(cell for cell in tables.cells("methods") if cell.stem == "methods_uniform_plain")
    from flags import configuration
    from mentornet.runs.workdir import Workdir

    made = jobs.Job(recipe, 0, tmp_path, more=("--max_number_of_steps=30",))
    Workdir(made.folder).claim("", configuration.parse(made.arguments()).identity())
    made.check_settings()  # the same settings, from flags that were never noted
    with pytest.raises(jobs.OtherSettings, match="max_steps was 30 and is now 1500"):
        jobs.Job(recipe, 0, tmp_path).check_settings()
