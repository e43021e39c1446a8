"""Run folders whose files are damaged: one sentence, never a traceback, whoever reads them.

Every file of a run folder is damaged in every way that fits its kind, and then read by the report command and by what
a resumed run reads. Harmless changes are among them: those have to be read.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mentornet import arrays, files, reading, transition
from mentornet.files import RunFolderError
from mentornet.reports import report
from mentornet.runs import schemas
from mentornet.runs.metrics_table import METRIC_COLUMNS, MetricsTable
from mentornet.runs.workdir import Workdir
from mentornet.training.early_stopping import COLUMNS, best_step
from tests import script_runs
from tests.damages import (
    ANY_FILE,
    BIG,
    JSON,
    MATRIX,
    TABLE,
    Damage,
    npy_header,
    with_arrays,
    with_cell,
    with_json,
    with_member,
    wrong_types,
)
from tests.run_folders import SETTINGS, make_run

GIVEN = np.arange(40) % 10
FLAGS = "".join(f"--{name}={value}\n" for name, value in SETTINGS.items())
CLASSES = 10


@pytest.fixture
def folder(tmp_path) -> Path:
    """A finished run with every file a run can have."""
    workdir = make_run(tmp_path / "run")
    workdir.save_labels(GIVEN, GIVEN, clean_set=(np.arange(3), np.arange(3)), noise_type="uniform", noise_fraction=0.4)
    files.write_matrix(workdir.matrix_file, np.eye(CLASSES))
    files.write_matrix(workdir.final_matrix_file, np.full((CLASSES, CLASSES), 0.1))
    table = MetricsTable(workdir.path / "holdout.csv", COLUMNS)
    for step in (100, 200, 300):
        table.append_row({"step": step, "holdout_accuracy": 0.5, "holdout_loss": 1.0})
    return workdir.path


def resume(folder: Path) -> None:
    """Reads what ``flags.commands.tasks.train`` reads of a run folder before its first step."""
    workdir = Workdir(folder)
    workdir.claim(FLAGS, SETTINGS)
    if workdir.finished():
        workdir.read_result()
    workdir.save_labels(GIVEN, GIVEN, clean_set=(np.arange(3), np.arange(3)))
    transition.checked(reading.read_matrix(workdir.matrix_file), CLASSES)
    holdout = MetricsTable(folder / "holdout.csv", COLUMNS)
    for table in (workdir.metrics, holdout):
        table.truncate_after(200)
        table.append_row({"step": 300})
    best_step(holdout, "loss")


DAMAGES: list[tuple[str, str, Damage, bool, bool]] = []
"""(file, how, the change, whether the report has to refuse it, whether a resumed run has to)."""


def add(file: str, damages: dict[str, Damage] | Any, in_report: bool = True, resumed: bool = True):
    DAMAGES.extend((file, how, damage, in_report, resumed) for how, damage in dict(damages).items())


for name in ("run.json", "result.json"):
    add(name, ANY_FILE | JSON)
add("run.json", wrong_types(schemas.RUN, lambda content: content))
add("run.json", wrong_types(schemas.IDENTITY, lambda content: content["identity"]))
add("run.json", {"no identity": with_json(lambda content: content.pop("identity") and None)})
add("result.json", wrong_types(schemas.RESULT, lambda content: content))
add("result.json", {"nothing said": lambda content: b"{}"}, False, False)

for name, in_report in (("metrics.csv", True), ("holdout.csv", False)):
    add(name, {"noise": ANY_FILE["noise"], "other": ANY_FILE["other"]} | TABLE, in_report)
    add(name, {"step backwards": lambda content: content + content.splitlines()[1] + b"\n"}, in_report)
    add(name, {"no whole step": with_cell(1, 0, "1.5"), "infinite step": with_cell(1, 0, "inf")}, in_report)
    add(name, {"negative step": with_cell(1, 0, "-5")}, in_report)
    add(name, {"of Windows": lambda content: content.replace(b"\n", b"\r\n")}, False, False)
    add(name, {"half a row": lambda content: content[:-5]}, False, False)
add("metrics.csv", {"accuracy 80": with_cell(1, "eval_accuracy", "80"), "year": with_cell(1, "seconds", "1e300")})
add("metrics.csv", {"loss inf": with_cell(2, "raw_loss", "inf")}, False, False)

TABLE_OF_SAMPLES = {how: damage for how, damage in TABLE.items() if how != "heading only in part"}
add("samples.csv", ANY_FILE | TABLE_OF_SAMPLES, resumed=False)
add("samples.csv", {"other column": lambda content: content.replace(b"index", b"number", 1)}, resumed=False)
add(
    "samples.csv", {"65 bits": with_cell(1, "index", BIG), "label -1": with_cell(1, "given_label", "-1")}, resumed=False
)
add("samples.csv", {"label 3.5": with_cell(5, "clean_label", "3.5")}, resumed=False)
add("samples.csv", {"label 2^40": with_cell(5, "clean_label", str(2**40))}, resumed=False)
add("samples.csv", {"label no class of the matrix": with_cell(5, "clean_label", "11")}, resumed=False)
add("samples.csv", {"Latin-1": lambda content: content + b"\xe9"}, resumed=False)
add("samples.csv", {"of Windows": lambda content: content.replace(b"\n", b"\r\n")}, False, False)

add("transition_matrix_final.csv", ANY_FILE | MATRIX, True, False)
add("transition_matrix.csv", ANY_FILE | MATRIX, False, True)

add(
    "labels.npz",
    ANY_FILE
    | {
        "half": lambda content: content[: len(content) // 2],
        "infinite fact": with_arrays(noise_fraction=np.inf),
        "fact nan": with_arrays(noise_fraction=np.nan),
        "fact complex": with_arrays(noise_fraction=1j),
        "fact of many": with_arrays(noise_fraction=np.zeros(3)),
        "no given": with_arrays(given=None),
        "no index": with_arrays(index=None),
        "floats": with_arrays(given=lambda old: old + 0.5),
        "table": with_arrays(given=lambda old: old[:, np.newaxis]),
        "64 bits unsigned": with_arrays(index=lambda old: old.astype(np.uint64) + np.uint64(2**63)),
        "fewer": with_arrays(given=lambda old: old[:-1]),
        "clean set of two lengths": with_arrays(clean_set_label=lambda old: old[:-1]),
        "text": with_arrays(given=lambda old: old.astype(np.str_)),
        "claims terabytes": with_member(npy_header((2**44,))),
        "claims 2^70": with_member(npy_header((2**35, 2**35))),
        "negative shape": with_member(npy_header((-5,))),
        "objects": with_member(npy_header((3,), "|O") + b"x"),
        "no npy": with_member(b"what"),
        "deep header": with_member(b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000),
    },
    in_report=False,
)


@pytest.mark.parametrize(
    ("file", "damage", "in_report", "resumed"),
    [pytest.param(file, damage, a, b, id=f"{file}-{how}") for file, how, damage, a, b in DAMAGES],
)
def test_a_damaged_file_ends_in_one_sentence(folder, capsys, monkeypatch, file, damage, in_report, resumed):
    monkeypatch.setattr(report.plots, "draw_run", draw_little)
    path = folder / file
    content = damage(path.read_bytes())
    path.write_bytes(content)
    code = report.main([str(folder)])
    error = capsys.readouterr().err
    assert (code, error[:7]) == ((2, "error: ") if in_report else (0, ""))
    assert error.count("\n") <= 1
    assert len(error) < 700
    if in_report:
        assert str(folder) in error
    if not resumed:
        resume(folder)
        return
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        resume(folder)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 700
    assert path.read_bytes() == content


def draw_little(run: Any) -> None:
    """What drawing reads of a run, without the time that matplotlib takes."""
    assert str(run.title)
    for name in ("burn_in_epoch", "max_steps", "early_stopped_step", "transition_l1_error"):
        assert run.fact(name) is None or float(run.fact(name)) is not None
    if run.transition_matrix is not None and run.samples is not None:
        transition.confusion(run.samples["clean_label"], run.samples["given_label"], len(run.transition_matrix))


@pytest.mark.parametrize("file", ["run.json", "result.json", "metrics.csv", "samples.csv", "labels.npz", "flags.txt"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused(folder, capsys, file, kind):
    path = folder / file
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    code = report.main([str(folder)])
    error = capsys.readouterr().err
    assert (code, error.count("\n")) in ((0, 0), (2, 1))
    if file == "labels.npz":
        with pytest.raises(RunFolderError, match="labels"):
            Workdir(folder).read_labels()


def test_the_undamaged_folder_is_read(folder, capsys):
    assert report.main([str(folder)]) == 0
    assert capsys.readouterr().err == ""
    before = (folder / "metrics.csv").read_bytes()
    resume(folder)
    assert before.startswith((folder / "metrics.csv").read_bytes()[:200])


def test_a_table_that_windows_rewrote_goes_on_as_it_was(tmp_path):
    for name in ("a", "b"):
        table = MetricsTable(tmp_path / name, METRIC_COLUMNS)
        table.append_row({"step": 100, "raw_loss": 0.1})
        table.append_row({"step": 200, "raw_loss": 0.2})
    (tmp_path / "b").write_bytes((tmp_path / "b").read_bytes().replace(b"\n", b"\r\n"))
    for name in ("a", "b"):
        table = MetricsTable(tmp_path / name, METRIC_COLUMNS)
        assert table.truncate_after(200) == 2
        table.append_row({"step": 300, "raw_loss": 0.3})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_name_with_dollar_signs_is_drawn(tmp_path, capsys):
    make_run(tmp_path / "a", curriculum=r"$\frac$")
    make_run(tmp_path / "b", curriculum=r"$a_", seed=2)
    assert report.main([str(tmp_path / "a"), str(tmp_path / "b")]) == 0, capsys.readouterr().err


def test_arrays_are_refused_before_they_are_allocated(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy_header((2**40,), "<f8"))
    with pytest.raises(RunFolderError, match=r"claims the shape \(1099511627776,\), which its file cannot hold"):
        arrays.read_array(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.arange(3))
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "b.npy"), [0, 1, 2])
    np.savez_compressed(tmp_path / "c.npz", a=np.zeros(4_000_000))  # what packs best is no false claim
    assert arrays.read_arrays(tmp_path / "c.npz")["a"].size == 4_000_000


@pytest.mark.slow
def test_the_script_says_one_sentence(tmp_path):
    """The same through ``train_cifar.py``: a run is begun, damaged in one way a file, and started again."""
    flags = [
        "--dataset_name=digits", "--studentnet=s2e_mlp", "--method=standard", "--train_examples=100", "--batch_size=20",
        "--max_number_of_steps=4", "--eval_every_steps=2", "--noshow_progress", "--noise_type=uniform",
        "--noise_fraction=0.2", f"--train_log_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    done = script_runs.here("train_cifar.py", *flags)
    assert done.returncode == 0, done.stderr
    result = (tmp_path / "run" / "result.json").read_bytes()
    damages = {
        "result.json": ANY_FILE["empty"],
        "run.json": JSON["deep"],
        "metrics.csv": TABLE["other heading"],
        "labels.npz": with_arrays(noise_fraction=np.inf),
    }
    for file, damage in damages.items():
        if file != "result.json":
            (tmp_path / "run" / "result.json").unlink(missing_ok=True)
        path = tmp_path / "run" / file
        before = path.read_bytes()
        path.write_bytes(damage(before))
        refused = script_runs.here("train_cifar.py", *flags)
        path.write_bytes(before)
        assert refused.returncode == 1, file
        assert refused.stderr.count("\n") == 1, refused.stderr
        assert file in refused.stderr
    (tmp_path / "run" / "result.json").write_bytes(result)
    assert script_runs.here("train_cifar.py", *flags).returncode == 0
