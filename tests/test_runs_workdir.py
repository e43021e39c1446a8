"""The run folder: claiming, files that are whole or absent, labels, the record of a start; literals are the oracle."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mentornet import files
from mentornet.runs.metrics_table import MetricsTable
from mentornet.runs.workdir import RunFolderError, Workdir
from tests.processes import PATIENCE

IDENTITY = {"seed": 1, "learning_rate": 0.1, "rates": (0.5, 17), "curriculum": "mentornet_pd"}
REPOSITORY = Path(__file__).resolve().parents[1]


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE)


class TestClaim:
    def test_new_folder_is_recorded(self, tmp_path):
        folder = tmp_path / "a" / "run"
        assert Workdir(folder).claim("--seed=1\n", IDENTITY) is True
        record = json.loads((folder / "run.json").read_text())
        assert (folder / "flags.txt").read_text() == "--seed=1\n"
        assert record["identity"] == {"seed": 1, "learning_rate": 0.1, "rates": [0.5, 17], "curriculum": "mentornet_pd"}
        assert record["resumed"] == []
        assert record["cpu_count"] == os.cpu_count()
        assert record["versions"]["numpy"] == np.__version__
        assert record["python"] == ".".join(map(str, sys.version_info[:3]))

    def test_same_run_is_continued_and_each_start_is_noted(self, tmp_path):
        Workdir(tmp_path).claim("--first\n", IDENTITY)
        started = json.loads((tmp_path / "run.json").read_text())["started"]
        for starts in (1, 2):
            assert Workdir(tmp_path).claim("--again\n", IDENTITY) is False
            record = json.loads((tmp_path / "run.json").read_text())
            assert len(record["resumed"]) == starts
            assert "command" in record["resumed"][-1]
        assert record["started"] == started
        assert (tmp_path / "flags.txt").read_text() == "--first\n"

    def test_other_settings_are_refused_and_nothing_changes(self, tmp_path):
        Workdir(tmp_path).claim("", IDENTITY)
        before = (tmp_path / "run.json").read_bytes()
        other = {**IDENTITY, "seed": 2, "batch_size": 128}
        del other["curriculum"]
        with pytest.raises(ValueError, match="belongs to a run with other settings") as caught:
            Workdir(tmp_path).claim("", other)
        text = str(caught.value)
        assert "seed was 1 and is now 2" in text
        assert "batch_size was not set and is now 128" in text
        assert 'curriculum was "mentornet_pd" and is now not set' in text
        assert "learning_rate" not in text
        assert str(tmp_path) in text
        assert (tmp_path / "run.json").read_bytes() == before

    def test_many_differences_are_cut_short(self, tmp_path):
        Workdir(tmp_path).claim("", {f"setting{k:02}": 0 for k in range(20)})
        with pytest.raises(RunFolderError) as caught:
            Workdir(tmp_path).claim("", {f"setting{k:02}": 1 for k in range(20)} | {"seed": 3, "method": "l2rw"})
        told = str(caught.value)
        assert 'method was not set and is now "l2rw"; seed was not set and is now 3; setting00 was 0 ' in told
        assert "; and 19 more; choose another folder" in told
        assert "setting01" not in told

    def test_foreign_content_is_refused(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(RunFolderError, match=r"not a run folder .*thesis\.tex"):
            Workdir(tmp_path).claim("", IDENTITY)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.tex"]

    def test_start_killed_while_claiming_can_be_repeated(self, tmp_path):
        (tmp_path / ".run.json.partial").write_text('{"comm')
        assert Workdir(tmp_path).claim("--x\n", IDENTITY) is True
        (tmp_path / "flags.txt").unlink()
        assert Workdir(tmp_path).claim("--x\n", IDENTITY) is False
        assert (tmp_path / "flags.txt").read_text() == "--x\n"

    def test_damaged_run_json_is_named(self, tmp_path):
        (tmp_path / "run.json").write_text("{")
        with pytest.raises(RunFolderError, match=r"run\.json: it is not valid JSON"):
            Workdir(tmp_path).claim("", IDENTITY)
        (tmp_path / "run.json").write_text("{}")
        with pytest.raises(RunFolderError, match="does not say which run"):
            Workdir(tmp_path).claim("", IDENTITY)

    def test_file_in_the_way(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RunFolderError, match="a file of that name is in the way"):
            Workdir(tmp_path / "file").claim("", IDENTITY)
        with pytest.raises(RunFolderError, match="a part of that path is a file"):
            Workdir(tmp_path / "file" / "run").claim("", IDENTITY)

    def test_finished_run_is_not_noted_as_resumed(self, tmp_path):
        Workdir(tmp_path).claim("", IDENTITY)
        assert not Workdir(tmp_path).finished()
        Workdir(tmp_path).write_result({"accuracy_last": float("nan"), "steps": np.int64(3)})
        assert Workdir(tmp_path).finished()
        before = (tmp_path / "run.json").read_bytes()
        assert Workdir(tmp_path).claim("", IDENTITY) is False
        assert (tmp_path / "run.json").read_bytes() == before
        assert Workdir(tmp_path).read_result() == {"accuracy_last": None, "steps": 3}

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
    def test_folder_in_use_by_another_process(self, tmp_path):
        code = """
            import sys
            from mentornet.runs.workdir import Workdir
            try:
                Workdir(sys.argv[1]).claim("", {"seed": 1})
            except ValueError as error:
                sys.exit(str(error))
        """
        Workdir(tmp_path).claim("", {"seed": 1})
        refused = run_python(code, tmp_path)
        assert refused.returncode == 1
        assert "Another process is writing to" in refused.stderr
        assert "Traceback" not in refused.stderr
        other = tmp_path / "other"
        assert run_python(code, other).returncode == 0
        assert run_python(code, other).returncode == 0  # the first one has ended, and its lock with it


class TestWholeFiles:
    def test_reader_of_the_old_file_keeps_it_whole(self, tmp_path):
        files.write_text(tmp_path / "a", "old")
        with open(tmp_path / "a") as reader:
            files.write_text(tmp_path / "a", "newer")
            assert reader.read() == "old"
        assert (tmp_path / "a").read_text() == "newer"

    def test_full_disk_keeps_the_old_file(self, tmp_path, monkeypatch):
        target = tmp_path / "result.json"
        files.write_json(target, {"a": 1})

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(RunFolderError, match=r"result\.json: the disk is full"):
            files.write_json(target, {"a": 2})
        assert json.loads(target.read_text()) == {"a": 1}
        assert [path.name for path in tmp_path.iterdir()] == ["result.json"]

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
    def test_really_full_device(self):
        table = MetricsTable("/dev/full", ["step"])
        table._last_step, table._checked = 0, True  # as after a first row
        with pytest.raises(RunFolderError, match="the disk is full"):
            table.append_row({"step": 1})

    def test_objects_are_refused_in_npz(self, tmp_path):
        with pytest.raises(ValueError, match="Python objects"):
            files.write_npz(tmp_path / "a.npz", {"x": np.array([{}], dtype=object)})

    def test_json_is_plain(self, tmp_path):
        files.write_json(tmp_path / "a", {"x": np.float32(0.5), "y": [np.inf, (1, np.arange(2))], "p": Path("q")})
        assert json.loads((tmp_path / "a").read_text()) == {"x": 0.5, "y": [None, [1, [0, 1]]], "p": "q"}


class TestLabels:
    def test_round_trip(self, tmp_path):
        given, clean = np.array([1, 2, 3], np.int64), np.array([1, 0, 3], np.uint8)
        Workdir(tmp_path).save_labels(given, clean, noise_type="uniform", noise_fraction=0.4)
        with np.load(tmp_path / "labels.npz", allow_pickle=False) as stored:
            assert {name: stored[name].dtype.name for name in ("given", "clean", "index")} == {
                "given": "int32",
                "clean": "int32",
                "index": "int64",
            }
            assert stored["index"].tolist() == [0, 1, 2]
            assert stored["noise_type"].shape == ()
            assert str(stored["noise_type"]) == "uniform"
        read = Workdir(tmp_path).read_labels()
        assert read["given"].tolist() == [1, 2, 3]
        assert read["clean"].tolist() == [1, 0, 3]
        assert float(read["noise_fraction"]) == 0.4

    def test_a_run_goes_on_with_its_own_labels_only(self, tmp_path):
        workdir, given, clean_set = Workdir(tmp_path), np.array([1, 2, 3]), (np.array([7, 9]), np.array([0, 2]))
        workdir.save_labels(given, given, given + 10, clean_set, seed=1)
        written = (tmp_path / "labels.npz").read_bytes()
        read = workdir.read_labels()
        assert (read["clean_set_index"].tolist(), read["clean_set_label"].tolist()) == ([7, 9], [0, 2])
        workdir.save_labels(given.astype(np.int32), given, given + 10, clean_set, seed=1)
        for arguments in ((given * 0, given, given + 10), (given, given, given), (given[:2], given[:2], given[:2])):
            with pytest.raises(RunFolderError, match="began with other images or labels"):
                workdir.save_labels(*arguments, clean_set)
        for other in ((np.array([7, 8]), clean_set[1]), (clean_set[0], np.array([0, 1]))):
            with pytest.raises(RunFolderError, match="began with other samples or labels of its clean set"):
                workdir.save_labels(given, given, given + 10, other)
        assert (tmp_path / "labels.npz").read_bytes() == written

    def test_bad_arrays(self, tmp_path):
        with pytest.raises(ValueError, match="'clean' must hold 3 integers"):
            Workdir(tmp_path).save_labels(np.arange(3), np.arange(2))
        with pytest.raises(ValueError, match="'given' must hold 3 integers"):
            Workdir(tmp_path).save_labels(np.ones(3))
        with pytest.raises(ValueError, match="'clean_set_label' must hold 2 integers"):
            Workdir(tmp_path).save_labels(np.arange(3), clean_set=(np.arange(2), np.arange(3)))

    def test_damaged_and_missing(self, tmp_path):
        with pytest.raises(RunFolderError, match="no such file"):
            Workdir(tmp_path).read_labels()
        (tmp_path / "labels.npz").write_bytes(b"PK\x03\x04 not really")
        with pytest.raises(RunFolderError, match="not a valid npz"):
            Workdir(tmp_path).read_labels()


class TestFlags:
    def test_given_flags_are_read_without_the_resolved_values(self, tmp_path):
        assert Workdir(tmp_path / "absent").given_flags() == {}
        text = '--seed=1\n--nojit_compile\n--labels_file=a=b.csv\n# {\n#  "seed": 1\n# }\n'
        Workdir(tmp_path / "run").claim(text, IDENTITY)
        assert Workdir(tmp_path / "run").given_flags() == {"seed": "1", "nojit_compile": "", "labels_file": "a=b.csv"}


class TestImports:
    def test_no_tensorflow_is_imported(self):
        code = """
            import sys
            import mentornet.reports.report
            sys.exit("tensorflow" in sys.modules or "matplotlib.pyplot" in sys.modules or "sklearn" in sys.modules)
        """
        assert run_python(code).returncode == 0
