"""Loss dumps: both separators, and one clear sentence for everything that nothing can be learned from."""

from __future__ import annotations

import numpy as np
import pytest

from mentornet.learning import dump

RELEASE_STYLE = "262 18 9 9 0.003101\n47108 18 6 1 19.554157\n"
EXPECTED = {"sample": [262, 47108], "epoch": [18, 18], "noisy": [9, 6], "clean": [9, 1]}


@pytest.mark.parametrize(
    "text",
    [
        RELEASE_STYLE,
        RELEASE_STYLE.replace(" ", ","),
        "id,epoch_percent,noisy_label,clean_label,loss\n" + RELEASE_STYLE.replace(" ", ","),
        "sample id, epoch, noisy label, clean label, loss\r\n\r\n" + RELEASE_STYLE.replace(" ", ", "),
        "\ufeff" + RELEASE_STYLE.replace("262 18 9 9", "262.0\t18.0 9  9"),
    ],
    ids=["blanks", "commas", "own_header", "blanks_in_header", "byte_order_mark"],
)
def test_read(tmp_path, text):
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    found = dump.read(tmp_path / "d.csv")
    for name, values in EXPECTED.items():
        assert getattr(found, name).tolist() == values
    np.testing.assert_allclose(found.loss, [0.003101, 19.554157], rtol=1e-6)
    assert found.is_clean.tolist() == [True, False]
    assert found.name == "d.csv"
    assert found.num_classes == 10
    found.check(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "d.csv: has no rows; a line holds id, epoch percent, noisy label, clean label, loss"),
        ("id,epoch,noisy,clean,loss\n", "has no rows"),
        ("1,18,3,0.5\n", "line 1 has 4 cells, expected 5: id, epoch percent, noisy label, clean label, loss"),
        ("id,epoch,noisy,loss\n1,18,3,0.5\n", "line 2 has 4 cells, expected 5"),
        ("1,18,3,3,0.5\n2,18,3,3,0.5,1\n", "line 2 has 6 cells"),
        ("1,18,3,3,0.5\n2,18,3,cat,0.5\n", "line 2: clean label is 'cat', not a number"),
        ("1,18,3.5,3,0.5\n", "line 1: noisy label is '3.5', not a whole number"),
        ("1,nan,3,3,0.5\n", "line 1: epoch percent is 'nan', not a whole number"),
        ("1,18,3,99999999999,0.5\n", "is '99999999999', not a whole number"),
    ],
)
def test_unreadable_lines_are_explained(tmp_path, text, message):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(dump.DumpError) as error:
        dump.read(tmp_path / "d.csv")
    assert message in str(error.value)


def test_unreadable_files_are_explained(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        dump.read(tmp_path / "absent.csv")
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(dump.DumpError, match="is not a text file"):
        dump.read(tmp_path / "d.csv")


def _dump(**changes):
    columns = {
        "sample": np.arange(6),
        "epoch": np.full(6, 18),
        "noisy": np.array([0, 1, 2, 0, 1, 2]),
        "clean": np.array([0, 1, 2, 1, 2, 0]),
        "loss": np.linspace(0.1, 3, 6),
    }
    for name, (row, value) in changes.items():
        columns[name] = columns[name].copy()
        columns[name][row] = value
    return dump.LossDump(**columns, name="mine")


def test_a_good_dump_passes_up_to_its_own_size():
    good = _dump()
    good.check(6, num_classes=3)
    assert good.num_classes == 3  # with one class fewer, or one row more asked for, it fails:
    for refused in ({"least_rows": 7}, {"least_rows": 6, "num_classes": 2}):
        with pytest.raises(dump.DumpError):
            good.check(**refused)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": (2, np.nan)}, r"mine: sample 2 has a loss that is not a finite number \(nan\)"),
        ({"loss": (slice(1, 4), np.inf)}, r"sample 1 has a loss .* \(inf\), and 2 more rows too"),
        ({"loss": (0, -0.5)}, r"sample 0 has a negative loss \(-0\.5\)"),
        ({"epoch": (3, 100)}, r"an epoch percent outside 0\.\.99 \(100\)"),
        ({"epoch": (3, -1)}, r"an epoch percent outside 0\.\.99 \(-1\)"),
        ({"noisy": (5, 3)}, r"a noisy label that is no class in 0\.\.2 \(3\)"),
        ({"clean": (5, -1)}, r"a clean label that is no class in 0\.\.2 \(-1\)"),
        ({"noisy": (5, 2_000_000_000)}, r"a noisy label that is no class in 0\.\.2 \(2000000000\)"),
        ({"noisy": (slice(None), np.array([0, 1, 2, 1, 2, 0]))}, "all 6 labels are right, there is nothing to tell"),
        ({"clean": (slice(None), np.array([1, 2, 0, 1, 2, 0]))}, "all 6 labels are wrong, there is nothing to tell"),
    ],
)
def test_bad_values_are_explained(changes, message):
    with pytest.raises(dump.DumpError, match=message):
        _dump(**changes).check(num_classes=3)


def test_labels_that_no_data_set_has_are_explained_even_if_the_number_of_classes_is_not_known():
    with pytest.raises(dump.DumpError, match=r"sample 5 has a noisy label of 100,000 or more \(2000000000\)"):
        _dump(noisy=(5, 2_000_000_000)).check()


def test_names_in_another_order_are_refused(tmp_path):
    path = tmp_path / "dump.csv"
    path.write_text("id,epoch percent,clean label,noisy label,loss\n1,18,0,1,0.5\n")
    with pytest.raises(dump.DumpError, match=r"dump\.csv: the first line names .* the order must be id, epoch percent"):
        dump.read(path)


def test_too_few_rows_and_unequal_columns_are_explained():
    with pytest.raises(dump.DumpError, match="has 6 rows, learning needs at least 40"):
        _dump().check(40)
    whole = _dump()
    with pytest.raises(dump.DumpError, match="different lengths"):
        dump.LossDump(whole.sample, whole.epoch, whole.noisy, whole.clean, whole.loss[:3]).check()


def _activations(**changes):
    rng = np.random.default_rng(0)
    return {"index": np.array([5, 3, 9]), "activation": rng.normal(size=(3, 4)), **changes}


def _of_activations():
    return dump.LossDump(np.array([5, 3, 9]), *(np.zeros(3, np.int32),) * 3, np.zeros(3, np.float32), "d.csv")


def test_activations_come_back(tmp_path):
    given = _activations()
    dump.write_activations(tmp_path / "a.npz", given["index"].astype(np.int32), given["activation"])
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        assert {name: stored[name].dtype for name in stored} == {"index": np.int64, "activation": np.float32}
    found = dump.read_activations(tmp_path / "a.npz", _of_activations())
    np.testing.assert_array_equal(found, given["activation"].astype(np.float32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"index": np.array([3, 5, 9])},
            "a.npz: belongs to another dump than d.csv: its 3 samples are not the csv's 3",
        ),
        ({"index": np.array([5, 3]), "activation": np.ones((2, 4))}, "its 2 samples are not the csv's 3"),
        ({"activation": np.ones((2, 4))}, "activation [n, a] are needed, got (3,) and (2, 4)"),
        ({"activation": np.ones(3)}, "are needed, got (3,) and (3,)"),
        ({"activation": np.full((3, 4), np.inf)}, "activations that are not finite numbers"),
        ({"activation": np.full((3, 4), None)}, "is not an npz with index and activation"),
        ({"activation": np.full((3, 4), "x")}, "must hold floats, not <U1"),
    ],
)
def test_activations_that_do_not_fit_are_explained(tmp_path, changes, message):
    np.savez(tmp_path / "a.npz", **_activations(**changes))
    with pytest.raises(dump.DumpError) as error:
        dump.read_activations(tmp_path / "a.npz", _of_activations())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no npz", None])
def test_files_that_hold_no_activations_are_explained(tmp_path, content):
    path = tmp_path / "a.npz"
    if content is None:
        np.savez(path, index=np.arange(3))
    else:
        path.write_bytes(content)
    with pytest.raises(dump.DumpError, match=r"a\.npz: is not an npz with index and activation"):
        dump.read_activations(path, _of_activations())
    with pytest.raises(ValueError, match="there is no such file"):
        dump.read_activations(tmp_path / "absent.npz", _of_activations())
