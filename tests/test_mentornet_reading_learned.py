"""Folders of learned curricula, dumps and learning sets that are damaged or claim to be huge: one sentence each."""

import json
import re
import shutil
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from mentornet import curricula, hdf5
from mentornet.curricula import learned
from mentornet.learning import dump, learning_set
from mentornet.network import NetworkConfig
from tests import script_runs

STORED = curricula.learned_folder("pretrained:huber")
MIXTURE = {"experts": [{}, {}], "top": 1, "activation_size": 0}


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(STORED, tmp_path / "curriculum"))


def refused(folder: Path) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        learned.load(folder)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 500
    return text


def write_network(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["network"].update(changes)
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("name", ["history", "lstm_units", "label_rows", "label_size", "epoch_size", "hidden_units"])
@pytest.mark.parametrize("size", [2**40, 2**62, 0, -1, 1.5, "1", None, True, [1]])
def test_sizes_of_a_network(folder, monkeypatch, name, size):
    monkeypatch.setattr(learned, "build", lambda *_: pytest.fail("the network was going to be built"))
    write_network(folder, **{name: size})
    assert "MentorNet" in refused(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unit_forget_bias", "yes"), ("cell_state", 1), ("train_epoch_embedding", None), ("fixed_label", "0"),
        ("fixed_label", [0]), ("fixed_label", 2**70), ("fixed_label", True), ("fixed_label", 0.0),
    ],
)  # fmt: skip
def test_types_of_a_network(folder, name, value):
    write_network(folder, **{name: value})
    assert re.search(rf"{name}|more than 64 bits", refused(folder))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (MIXTURE | {"experts": [{}] * 10_000}, "at most 100 experts, got 10000"),
        (MIXTURE | {"experts": []}, "got []"),
        (MIXTURE | {"experts": [{"lstm_units": 2**40}]}, "at most 10,000,000 parameters"),
        (MIXTURE | {"experts": [{"history": "1"}]}, "whole numbers of at least 1, got {'history': '1'"),
        (MIXTURE | {"experts": {"a": 1}}, "lists its experts"),
        (MIXTURE | {"activation_size": 2**40}, "activation_size=1099511627776"),
        (MIXTURE | {"top": True}, "top=True: a mixture of 2 experts keeps 1 to 2"),
    ],
)
def test_mixtures(folder, network, said):
    card = {"architecture": "mixture", "network": network}
    (folder / "card.json").write_text(json.dumps(card))
    assert said in refused(folder)


def test_other_entries_of_a_card(folder):
    whole = (folder / "card.json").read_text()
    for name, value in (("name", 3), ("percentile", "high"), ("percentile", 1e300), ("architecture", ["mentornet"])):
        (folder / "card.json").write_text(json.dumps(json.loads(whole) | {name: value}))
        assert repr(name) in refused(folder)
    (folder / "card.json").write_text('{"a": ' + "[" * 100_000)
    assert "nested" in refused(folder)


def test_weights_that_claim_more_than_they_hold(folder, monkeypatch):
    with h5py.File(folder / learned.WEIGHTS_FILE, "a") as file:
        file.create_dataset("large", (2**30, 2**10), "float32")  # space that is never written to is not in the file
    monkeypatch.setattr(learned, "build", lambda *_: pytest.fail("the network was going to be built"))
    assert "its arrays claim 4,398,0" in refused(folder)


def test_weights_in_other_files(folder, tmp_path):
    with h5py.File(folder / learned.WEIGHTS_FILE, "a") as file:
        file["link"] = h5py.ExternalLink("elsewhere.h5", "/a")
    assert "it refers to another file" in refused(folder)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("a", (4,), "float32", external=[("elsewhere.raw", 0, 16)])
    with pytest.raises(ValueError, match="it refers to other files"):
        hdf5.check(tmp_path / "b.h5")


@pytest.mark.parametrize("content", [b"", b"noise" * 100, None])
def test_damaged_weights(folder, content):
    file = folder / learned.WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:2000] if content is None else content)
    assert "damaged or no HDF5 file" in refused(folder)


def test_every_stored_curriculum_still_fits():
    names = curricula.pretrained_names()
    assert len(names) >= 12
    for name in names:
        hdf5.check(curricula.learned_folder(curricula.PRETRAINED + name) / learned.WEIGHTS_FILE)
    assert NetworkConfig(label_rows=100_000).label_rows == 100_000


@pytest.mark.slow
def test_a_missing_weights_file_is_one_sentence(folder, tmp_path):
    (folder / learned.WEIGHTS_FILE).unlink()
    done = script_runs.run("train_cifar.py", f"--curriculum={folder}", f"--train_log_dir={tmp_path / 'run'}")
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "it has no mentornet.weights.h5" in done.stderr


def claiming(path: Path, name: str, shape: tuple[int, ...]) -> Path:
    """An npz whose array says that it has a shape, and holds nothing."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    return path


class TestDumps:
    def test_activations_that_claim_terabytes(self, tmp_path):
        (tmp_path / "d.csv").write_text("0,5,1,1,0.5\n1,5,1,0,0.5\n")
        read = dump.read(tmp_path / "d.csv")
        np.savez(tmp_path / "a.npz", index=read.sample)
        with pytest.raises(ValueError, match="claims the shape"):
            dump.read_activations(claiming(tmp_path / "a.npz", "activation", (2, 2**42)), read)

    @pytest.mark.parametrize("cell", ["9" * 3_000_000, "x" * 3_000_000, "1e999", "nan", "\0"])
    def test_cells(self, tmp_path, cell):
        (tmp_path / "d.csv").write_text(f"0,5,1,1,0.5\n1,5,{cell},0,0.5\n")
        with pytest.raises(ValueError) as error:  # noqa: PT011
            dump.read(tmp_path / "d.csv").check()
        assert len(str(error.value)) < 200

    def test_what_is_no_file(self, tmp_path):
        (tmp_path / "d.csv").symlink_to("/dev/zero")
        with pytest.raises(ValueError, match="no regular file"):
            dump.read(tmp_path / "d.csv")


class TestLearningSets:
    def write(self, folder: Path, **changes: object) -> Path:
        columns = {
            "loss": np.ones((4, 1), np.float32), "difference": np.ones((4, 1), np.float32),
            "label": np.arange(4, dtype=np.int32), "epoch": np.arange(4, dtype=np.int32),
            "target": np.ones(4, np.float32), "held_out": np.arange(4) > 2, "source": np.array("{}"),
        }  # fmt: skip
        np.savez(folder / learning_set.FILE, **{k: v for k, v in (columns | changes).items() if v is not None})
        return folder

    def test_whole(self, tmp_path):
        assert learning_set.load(self.write(tmp_path)).history == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"loss": None}, {"source": None}, {"source": np.array("{")}, {"source": np.array("[1]")},
            {"source": np.array("[" * 100_000)}, {"loss": np.full((4, 1), np.nan)}, {"target": np.full(4, 2.0)},
            {"epoch": np.full(4, 100)}, {"label": np.full(4, -1)}, {"label": np.full(4, 2**40)},
            {"label": np.ones((4, 1), int)}, {"held_out": np.ones(4)}, {"loss": np.float32(3)}, {"target": np.ones(3)},
            {"label": np.array(["a"] * 4)},
        ],
    )  # fmt: skip
    def test_damaged(self, tmp_path, changes):
        with pytest.raises(ValueError, match="is not a learning set"):
            learning_set.load(self.write(tmp_path, **changes))

    def test_claims(self, tmp_path):
        self.write(tmp_path, loss=None)
        claiming(tmp_path / learning_set.FILE, "loss", (2**45, 1))
        with pytest.raises(ValueError, match="claims the shape"):
            learning_set.load(tmp_path)
