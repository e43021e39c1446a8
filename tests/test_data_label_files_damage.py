"""labels.npz files that were damaged or made to do harm, as ``--labels_file`` and evaluations read them."""

import io
import struct
import zipfile

import numpy as np
import pytest

from data.label_files import read_labels_file


def written(path, **changes):
    arrays = {"given": np.arange(6) % 3, "index": np.arange(6), "noise_type": "uniform", "noise_fraction": 0.4}
    np.savez_compressed(path, **{**arrays, **changes})
    return path


def test_facts_have_to_be_finite(tmp_path):
    assert read_labels_file(written(tmp_path / "a.npz"), 6, 3).facts["noise_fraction"] == 0.4
    for fact in (np.inf, np.nan, 1j, np.datetime64("2020-01-01")):
        with pytest.raises(ValueError, match=r"'noise_seed' of .* is .*, but a text or a finite number is expected"):
            read_labels_file(written(tmp_path / "b.npz", noise_seed=fact), 6, 3)


def test_an_index_beyond_64_bits(tmp_path):
    index = np.arange(6, dtype=np.uint64) + np.uint64(2**63)
    with pytest.raises(ValueError, match="which is no 64-bit integer"):
        read_labels_file(written(tmp_path / "a.npz", index=index), 6, 3)


@pytest.mark.parametrize("shape", [(2**44,), (2**35, 2**35)])
def test_claims_are_refused_before_anything_is_allocated(tmp_path, shape, monkeypatch):
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("given.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("the array was going to be read"))
    with pytest.raises(ValueError, match="is damaged or no npz file"):
        read_labels_file(tmp_path / "a.npz", 6, 3)


def test_what_packs_best_is_no_false_claim(tmp_path):
    given = np.zeros(3_000_000, np.int64)
    stored = io.BytesIO()
    np.savez_compressed(stored, given=given)
    (tmp_path / "a.npz").write_bytes(stored.getvalue())
    assert len(read_labels_file(tmp_path / "a.npz", len(given), 3).given) == len(given)
