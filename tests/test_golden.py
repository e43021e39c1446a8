"""The training engine gives what it gave when tests/golden was recorded, and goes on with the run folders of then.

On a processor like the recorded one every number is the same bit for bit: weights, rows of metrics.csv, samples.csv.
Elsewhere TensorFlow's kernels round differently, so the runs need only be close. tests/golden/record.py records.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import make_fake_imagenet as fake
from tests import processes, script_runs
from tests.golden import reading
from tests.golden.reading import GOLDEN

RECORD = json.loads((GOLDEN / "engine.json").read_text(encoding="utf-8"))
RUNS = RECORD["runs"]
EXACT = RECORD["fingerprint"] == reading.fingerprint()
FINISHED = GOLDEN / "run_finished"
REPLAYED = [name for name in RUNS if not name.startswith(("finished", "interrupted"))]  # those are started otherwise
INTERRUPTED = sorted(folder.name.removeprefix("run_") for folder in GOLDEN.glob("run_interrupted_*"))
RELATIVE, ABSOLUTE = 1e-2, 2e-2
NORM_ABSOLUTE = 1e-2
WEIGHTS_FACTOR = 3  # how much further weights may differ than losses: one sample more or less beyond a threshold shows
# A learned curriculum is the best of several candidates, and another rounding may choose another: only the rows before.
SURE_ROWS = {"spade_dd": 1, "spade_dd_between_rows": 1, "interrupted_spade_dd": 2}
# Where a MentorNet is learned anew between two rows, the engine before wrote a row there and counted intervals from it;
# now rows are at multiples of the interval whatever happens between them. Weights and evaluations are the same.
MOVED_ROWS = {"spade_dd_between_rows"}
MADE = fake.Made(classes=5, train=60, test=20, width=48, height=40)  # as in record.py


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """The generated data of train_imagenet.py."""
    folder = tmp_path_factory.mktemp("images")
    fake.write_slim(folder / "slim", MADE)
    return folder


def start(name: str, folder: Path, data: Path | str = "") -> None:
    """Does what a recorded run did; in a process of its own where that divides the CPU."""
    flags = [flag.format(data=data) for flag in RUNS[name]["flags"]]
    run = script_runs.run if any(flag.startswith("--logical_cpus") for flag in flags) else script_runs.here
    done = run(RUNS[name]["script"], *flags, f"--train_log_dir={folder}")
    assert done.returncode == 0, done.stderr


def assert_as_recorded(folder: Path, name: str, exact: bool = EXACT) -> None:
    """A finished folder holds the recorded figures, the rows first: they show where two runs part."""
    found, expected = reading.measured(folder), RUNS[name]
    assert found["columns"] == expected["columns"]
    assert len(found["norms"]) == len(expected["norms"])
    if name in MOVED_ROWS:
        found, expected = common_rows(found, expected), common_rows(expected, found)
        assert len(expected["rows"]) > 1
    if exact:
        for key in ("rows", "result", "norms", "weights", "files"):
            assert found[key] == expected[key], f"{key} of {name}"
        return
    assert len(found["rows"]) == len(expected["rows"])
    assert found["files"].keys() == expected["files"].keys()
    sure = SURE_ROWS.get(name)
    problems = [
        f"row {number}, {column}: {now} instead of {then}"
        for number, (new, old) in enumerate(zip(found["rows"][:sure], expected["rows"][:sure], strict=True))
        for column, now, then in zip(found["columns"].split(","), new.split(","), old.split(","), strict=True)
        if not close(column, now, then)
    ]
    problems += (
        []
        if sure
        else [
            f"norm of variable {number}: {now} instead of {then}"
            for number, (now, then) in enumerate(zip(found["norms"], expected["norms"], strict=True))
            if abs(now - then) > NORM_ABSOLUTE + RELATIVE * then
        ]
    )
    assert not problems, "\n".join(problems)


def close(column: str, now: str, then: str) -> bool:
    """Whether two cells agree as well as those of two processors may: both empty, or nearly the same number."""
    if not now or not then:
        return now == then
    allowed = ABSOLUTE + RELATIVE * abs(float(then))
    exactly = column in ("step", "epoch_percent")
    if not exactly and "loss" not in column and "accuracy" not in column:
        allowed *= WEIGHTS_FACTOR
    return abs(float(now) - float(then)) <= (0 if exactly else allowed)


def changed(name: str, key: str) -> Any:
    """The record of a run in which one thing differs from what its folder holds."""
    record = RUNS[name]
    if key == "rows":
        cells = record["rows"][-1].split(",")
        cells[-1] = repr(float(cells[-1]) + 0.1)
        return record | {"rows": [*record["rows"][:-1], ",".join(cells)]}
    if key == "norms":
        return record | {"norms": [*record["norms"][:-1], 1.02 * record["norms"][-1] + 0.01]}
    return record | {key: None}


def common_rows(of: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A record with its rows at steps that another has, too, and of these what is no sum over an interval."""
    columns = of["columns"].split(",")
    kept = [columns.index(name) for name in columns if name.startswith(("step", "epoch", "learning", "eval"))]
    steps = {row.split(",")[0] for row in other["rows"]}
    rows = [row.split(",") for row in of["rows"]]
    shown = [",".join(row[place] for place in kept) for row in rows if row[0] in steps]
    return of | {"rows": shown, "columns": ",".join(columns[place] for place in kept)}


@pytest.mark.slow
@pytest.mark.parametrize("name", REPLAYED)
def test_a_run_gives_the_recorded_figures(name, tmp_path, request):
    data = request.getfixturevalue("images") if "imagenet" in RUNS[name]["script"] else ""
    start(name, tmp_path / "run", data)
    assert_as_recorded(tmp_path / "run", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupted_run_goes_on_to_the_figures_of_the_whole_one(name, tmp_path):
    """The folder was left by a killed process of the engine before; its checkpoint is in the middle of the run."""
    folder = tmp_path / "run"
    shutil.copytree(GOLDEN / f"run_{name}", folder)
    before = [file.stem for file in (folder / "checkpoints").glob("*.index")]
    assert before == ["ckpt-40"]
    start(name, folder)
    assert_as_recorded(folder, name)
    assert len(json.loads((folder / "run.json").read_text())["resumed"]) == 1


@pytest.mark.slow
def test_the_flags_of_a_finished_folder_start_it_again(tmp_path):
    flags = [f"--flagfile={FINISHED / 'flags.txt'}", f"--train_log_dir={tmp_path / 'run'}"]
    done = script_runs.here("train_cifar.py", *flags)
    assert done.returncode == 0, done.stderr
    assert_as_recorded(tmp_path / "run", "finished")


@pytest.mark.slow
def test_a_finished_folder_is_reported_and_evaluated(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(FINISHED, folder)
    result = json.loads((folder / "result.json").read_text())
    report = [sys.executable, "-m", "mentornet.reports", str(folder)]
    done = subprocess.run(report, cwd=processes.ROOT, capture_output=True, text=True, timeout=processes.PATIENCE)
    assert done.returncode == 0, done.stderr
    assert f"{100 * result['accuracy_last']:.1f}" in done.stdout or f"{result['accuracy_last']:.3f}" in done.stdout
    assert {"report.md", "accuracy.png", "loss.png", "weights.png"} <= {file.name for file in folder.iterdir()}
    evaluated = script_runs.here("train_cifar.py", f"--checkpoint_dir={folder}", f"--eval_dir={tmp_path}")
    assert evaluated.returncode == 0, evaluated.stderr
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["accuracy"] == pytest.approx(result["accuracy_last"], abs=1e-6)


@pytest.mark.slow
def test_the_figures_of_a_stored_folder_are_those_recorded(monkeypatch):
    """No training: what is committed fits together, and a folder that differs would be noticed."""
    assert_as_recorded(FINISHED, "finished", exact=True)
    assert_as_recorded(FINISHED, "finished", exact=False)
    both, exactly = ("rows", "norms"), ("weights", "files", "result")
    for exact, key in [(False, key) for key in both] + [(True, key) for key in both + exactly]:
        monkeypatch.setitem(RUNS, "finished", changed("finished", key))
        with pytest.raises(AssertionError):
            assert_as_recorded(FINISHED, "finished", exact)
        monkeypatch.undo()


@pytest.mark.slow
def test_the_stored_folders_name_no_machine():
    texts = [
        file for file in GOLDEN.rglob("*") if file.suffix in (".json", ".txt", ".csv") or file.name == "checkpoint"
    ]
    assert {"flags.txt", "run.json", "result.json", "engine.json", "checkpoint"} <= {file.name for file in texts}
    for file in texts:
        assert not re.search(r"[\"'= ]/\w", file.read_text(encoding="utf-8")), file
    for file in GOLDEN.glob("*/run.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        assert (record["folder"], record["platform"]) == (".", "host")
        assert record["command"].startswith("python train_cifar.py ")
