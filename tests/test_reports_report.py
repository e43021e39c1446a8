"""The report on synthetic run folders: its table, its groups of seeds, its files, and its answers to wrong folders."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mentornet.reports import report, unfinished
from mentornet.runs.run_data import RunData
from tests.processes import PATIENCE
from tests.run_folders import make_run


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch):
    """The pictures of single runs have their own tests; here only one test needs to draw them."""
    monkeypatch.setattr(report.plots, "draw_run", lambda run: None)


def printed_table(text: str) -> list[dict[str, str]]:
    """The rows of the printed table, cut at the columns of its rule."""
    header, rule, *rest = text.splitlines()
    spans = [match.span() for match in re.finditer("-+", rule)]
    rows = rest[: rest.index("")]
    return [{header[a:b].strip(): row[a:b].strip() for a, b in spans} for row in rows]


def test_table_of_one_run(tmp_path):
    make_run(tmp_path / "run", accuracy=[0.25, 0.75, 0.5])
    (row,) = printed_table(report.write_report([tmp_path / "run"]))
    assert row == {
        "run": "run",
        "dataset": "digits",
        "noise": "uniform 40%",
        "method": "spade",
        "curriculum": "mentornet_pd",
        "student": "small",
        "seed": "1",
        "steps": "300",
        "last": "0.500",
        "best": "0.750",
        "mean last 10": "0.500",
        "AUC": "1.000",
        "utilisation": row["utilisation"],  # random
        "steps/s": "50.0",
    }
    assert (tmp_path / "run" / "report.md").exists()
    assert not (tmp_path / "run" / "compare.png").exists()


def test_runs_that_differ_by_seed_are_summed_up(tmp_path):
    last = [0.8, 0.9, 0.85]
    for seed, value in enumerate(last):
        make_run(tmp_path / f"pd{seed}", seed=seed, accuracy=[0.1, value])
    make_run(tmp_path / "pd3", seed=3, accuracy=[0.1], finished=False)
    make_run(tmp_path / "other", seed=9, burn_in_epoch=0)
    rows = printed_table(report.write_report(sorted(tmp_path.iterdir())))
    assert [row["run"] for row in rows] == ["other", "pd0", "pd1", "pd2", "pd3 (unfinished)", "mean of 3"]
    assert rows[4]["steps"] == "100/2,000"
    assert rows[5]["last"] == f"{statistics.mean(last):.3f} ± {statistics.stdev(last):.3f}" == "0.850 ± 0.050"
    assert rows[5]["seed"] == "all"
    assert rows[5]["AUC"] == "1.000"


def test_noise_that_follows_the_seed_belongs_to_it_and_noise_of_its_own_seed_does_not(tmp_path):
    for folder, seed, noise_seed in (("a", 0, 0), ("b", 1, 1), ("c", 2, 7), ("d", 3, 8)):
        make_run(tmp_path / folder, seed=seed, noise_seed=noise_seed)
    rows = printed_table(report.write_report(sorted(tmp_path.iterdir())))
    assert [row["run"] for row in rows] == ["a", "b", "c", "d", "mean of 2"]


def test_seeds_with_a_first_run_of_their_own_belong_together(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"a{seed}", method="s_model", seed=seed, baseline_run=f"runs/plain_seed{seed}")
        make_run(tmp_path / f"b{seed}", method="s_model", seed=seed, baseline_run=f"runs/dropout_seed{seed}")
    rows = printed_table(report.write_report(sorted(tmp_path.iterdir())))
    assert [row["run"] for row in rows] == ["a0", "a1", "b0", "b1", "mean of 2", "mean of 2"]
    plain, dropout = "baseline_run=plain", "baseline_run=dropout"
    assert [row["settings"] for row in rows] == [plain, plain, dropout, dropout, plain, dropout]


def test_variants_of_a_method_are_told_apart(tmp_path):
    make_run(tmp_path / "a", method="l2rw", curriculum="", lookahead="none", rate=0.1)
    make_run(tmp_path / "b", method="l2rw", curriculum="", lookahead="momentum", rate=0.1, seed=1)
    make_run(tmp_path / "c", method="l2rw", curriculum="", lookahead="momentum", rate=0.1, seed=2)
    make_run(tmp_path / "d", method="standard", curriculum="", rate=0.2)
    rows = printed_table(report.write_report(sorted(tmp_path.iterdir())))
    told = "lookahead=momentum"
    assert [row["settings"] for row in rows] == ["lookahead=none", told, told, "", told]
    alike = printed_table(report.write_report([tmp_path / "b", tmp_path / "c"]))
    assert "settings" not in alike[0]
    assert "early stopped" not in alike[0]


def test_the_student_that_was_stopped_early_is_in_the_table(tmp_path):
    make_run(tmp_path / "plain").write_result({"accuracy_last": 0.7})
    make_run(tmp_path / "stopped", seed=1).write_result({"accuracy_last": 0.7, "accuracy_early_stopped": 0.8})
    rows = printed_table(report.write_report(sorted(tmp_path.iterdir())))
    assert [row["early stopped"] for row in rows] == ["-", "0.800", "-"]


def test_unknown_values_are_dashes(tmp_path):
    make_run(tmp_path / "run", accuracy=[], finished=False, samples=False, method="standard", curriculum="")
    (row,) = printed_table(report.write_report([tmp_path / "run"]))
    assert row["steps"] == "0/2,000"
    assert {row[name] for name in ("curriculum", "last", "best", "mean last 10", "AUC", "steps/s")} == {"-"}


def test_result_comes_before_settings_and_table(tmp_path):
    workdir = make_run(tmp_path / "run")
    workdir.write_result({"accuracy_last": 0.123, "dataset": "renamed", "steps": 77, "weights_auc": None})
    (row,) = printed_table(report.write_report([tmp_path / "run"]))
    assert (row["last"], row["dataset"], row["steps"]) == ("0.123", "renamed", "77")
    assert row["AUC"] == "1.000"  # the result does not say, the table does


def test_files_of_a_comparison(tmp_path):
    make_run(tmp_path / "runs" / "a|b", curriculum="none")
    make_run(tmp_path / "runs" / "b b", curriculum="focal_loss")
    (tmp_path / "runs" / "b b" / "suspects.png").write_bytes(b"")
    report.write_report([tmp_path / "runs" / "a|b", tmp_path / "runs" / "b b"])
    with Image.open(tmp_path / "runs" / "compare.png") as picture:
        assert picture.size[0] == 1500
    text = (tmp_path / "runs" / "report.md").read_text()
    assert "| a\\|b | digits | uniform 40% | spade | - |" in text
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert "compare.png" in links
    assert "b%20b/accuracy.png" in links
    assert "b%20b/suspects.png" in links
    assert "a%7Cb/suspects.png" not in links


def test_output_folder_and_repeated_runs(tmp_path):
    make_run(tmp_path / "a" / "run", seed=1)
    make_run(tmp_path / "b" / "run", seed=2)
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "b" / ".." / "b" / "run"]
    rows = printed_table(report.write_report(paths, tmp_path / "new" / "out"))
    assert [row["run"] for row in rows] == ["a/run", "b/run", "mean of 2"]
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == ["compare.png", "report.md"]
    assert "(../../a/run/loss.png)" in (tmp_path / "new" / "out" / "report.md").read_text()


def test_star_pattern_works_twice(tmp_path):
    make_run(tmp_path / "a", seed=1)
    make_run(tmp_path / "b", seed=2)
    first = report.write_report(sorted(tmp_path.iterdir()))
    assert (tmp_path / "report.md").exists()
    assert report.write_report(sorted(tmp_path.iterdir())) == first


def test_labels_of_groups_say_what_differs(tmp_path):
    make_run(tmp_path / "a", curriculum="focal_loss")
    make_run(tmp_path / "b", method="standard", curriculum="")
    make_run(tmp_path / "c", method="standard", curriculum="", burn_in_epoch=5)
    runs = [RunData.load(tmp_path / name) for name in "abc"]
    title, groups = report._labelled_groups(runs)
    assert title == "Comparison · digits · uniform 40% noise · small"
    assert list(groups) == ["focal loss", "plain, burn_in_epoch=18", "plain, burn_in_epoch=5"]


class TestWrongInput:
    def answer(self, capsys, *arguments):
        assert report.main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    def test_no_folder(self, tmp_path, capsys):
        assert "There is no folder" in self.answer(capsys, tmp_path / "nowhere")

    def test_not_a_run(self, tmp_path, capsys):
        assert "is not a run folder: it has no run.json" in self.answer(capsys, tmp_path)
        make_run(tmp_path / "inner")
        assert f"such as {tmp_path / 'inner'}" in self.answer(capsys, tmp_path)

    def test_damaged_files(self, tmp_path, capsys):
        workdir = make_run(tmp_path / "run")
        workdir.result_file.write_text("[]")
        assert "result.json: it holds a list" in self.answer(capsys, workdir.path)
        workdir.result_file.write_text("{}")
        workdir.metrics.path.write_text("step,loss\n1,2\n")
        assert "metrics.csv lacks the columns" in self.answer(capsys, workdir.path)
        workdir.metrics.path.unlink()
        workdir.samples_file.write_text("what\n")
        assert "samples.csv is not a table of samples" in self.answer(capsys, workdir.path)

    def test_unwritable_output(self, tmp_path, capsys):
        make_run(tmp_path / "run")
        (tmp_path / "file").write_text("")
        assert "a part of that path is a file" in self.answer(
            capsys, tmp_path / "run", "--output", tmp_path / "file" / "out"
        )

    def test_somebody_elses_report_is_kept(self, tmp_path, capsys):
        make_run(tmp_path / "a")
        make_run(tmp_path / "b", seed=2)
        (tmp_path / "report.md").write_text("# My thesis\n")
        assert "is not a report of this program" in self.answer(capsys, tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "report.md").read_text() == "# My thesis\n"

    def test_nothing_is_written_when_one_run_is_wrong(self, tmp_path, capsys):
        make_run(tmp_path / "runs" / "a")
        self.answer(capsys, tmp_path / "runs" / "a", tmp_path / "runs" / "b")
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a"]

    def test_no_common_folder(self, capsys, monkeypatch, tmp_path):
        make_run(tmp_path / "a")
        make_run(tmp_path / "b", seed=2)
        monkeypatch.setattr(report.os.path, "commonpath", lambda paths: Path(tmp_path.anchor))
        assert "no folder in common" in self.answer(capsys, tmp_path / "a", tmp_path / "b")


def test_suspects_that_cannot_be_made_are_an_error_but_curves_are_drawn(tmp_path, monkeypatch, capsys):
    workdir = make_run(tmp_path / "run", finished=False, samples=False)
    workdir.checkpoints.mkdir()
    (workdir.checkpoints / "ckpt-5.index").write_text("")
    script = subprocess.CompletedProcess([], 1, "", "train_cifar.py: There is no folder PHOTOS.\n")
    monkeypatch.setattr(unfinished.subprocess, "run", lambda *_, **__: script)
    assert report.main([str(workdir.path)]) == 2
    out, err = capsys.readouterr()
    expected = (
        f"error: {workdir.path} is not finished, and its suspects could not be made: There is no folder PHOTOS.\n"
    )
    assert err == expected
    assert "run (unfinished)" in out
    assert (workdir.path / "report.md").exists()


def test_a_run_that_is_still_training_has_its_curves_and_is_left_alone(tmp_path):
    workdir = make_run(tmp_path / "run", finished=False, samples=False)  # this process holds the folder
    workdir.checkpoints.mkdir()
    (workdir.checkpoints / "ckpt-5.index").write_text("")
    code = f"from mentornet.reports import report; raise SystemExit(report.main([{str(workdir.path)!r}]))"
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is still training" in done.stdout


def test_as_a_command(tmp_path):
    make_run(tmp_path / "run")
    command = [sys.executable, "-m", "mentornet.reports", str(tmp_path / "run")]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert printed_table(done.stdout)[0]["best"] == "0.800"
    for name in ("accuracy.png", "loss.png", "weights.png"):
        with Image.open(tmp_path / "run" / name) as picture:
            picture.verify()
    wrong = subprocess.run([*command, str(tmp_path)], cwd=root, capture_output=True, text=True, timeout=PATIENCE)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
