"""Keep rates: the paper's formula and the released code's list of drop rates, files, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest

from mentornet.methods.keep_schedule import LEAST, KeepSchedule


def test_the_papers_formula():
    """R(t) = 1 - tau min((t / t_k)^c, 1): numbers by hand."""
    linear = KeepSchedule("co_teaching:tau=0.5").rates(12)
    np.testing.assert_allclose(linear, [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.5], rtol=1e-12)
    square = KeepSchedule("co_teaching:tau=0.4,epochs=4,exponent=2").rates(6)
    np.testing.assert_allclose(square, [1.0, 0.975, 0.9, 0.775, 0.6, 0.6], rtol=1e-12)
    root = KeepSchedule("co_teaching:exponent=0.5,tau=0.2,epochs=4").rates(5)
    np.testing.assert_allclose(root, [1.0, 0.9, 1 - 0.2 * np.sqrt(0.5), 1 - 0.2 * np.sqrt(0.75), 0.8], rtol=1e-12)


@pytest.mark.parametrize(("tau", "exponent"), [(0.5, 1.0), (0.45, 2.0), (0.2, 0.5)])
def test_the_released_code(tau, exponent):
    """Its drop rates are linspace(0, tau^c, 10), then tau; epoch 0 only evaluates, so ours begin with its epoch 1."""
    drops = np.ones(200) * tau
    drops[:10] = np.linspace(0, tau**exponent, 10)
    text = f"co_teaching:tau={tau},exponent={exponent},release=1"
    np.testing.assert_allclose(KeepSchedule(text).rates(199), 1 - drops[1:], rtol=1e-12)
    np.testing.assert_allclose(KeepSchedule(text).rates(4), 1 - drops[1:5], rtol=1e-12)  # a short training
    assert KeepSchedule(text).rates(1)[0] == pytest.approx(1 - tau**exponent / 9)


def test_constants_and_limits():
    np.testing.assert_array_equal(KeepSchedule("constant:0.8").rates(3), [0.8] * 3)
    np.testing.assert_array_equal(KeepSchedule("constant:1").rates(2), [1.0, 1.0])
    assert KeepSchedule("constant:0.001").rates(1)[0] == LEAST == 0.01
    assert KeepSchedule("co_teaching:tau=0.999,epochs=1").rates(3).tolist() == [1.0, 0.01, 0.01]
    np.testing.assert_array_equal(KeepSchedule("co_teaching:tau=0").rates(30), 1.0)
    assert KeepSchedule("constant:0.8").text == "constant:0.8"


def test_a_file_has_a_number_a_line(tmp_path):
    file = tmp_path / "R.csv"
    file.write_text("1\n0.75\n\n0\n0.5\n")
    np.testing.assert_array_equal(KeepSchedule(f"file:{file}").rates(4), [1.0, 0.75, 0.01, 0.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half", "keep_schedule='half': use co_teaching:"),
        ("constant", "use co_teaching:"),
        ("constant:", "use co_teaching:"),
        ("cosine:0.5", "keep_schedule='cosine:0.5': use co_teaching:tau=0.5,epochs=10,exponent=1, constant:0.8"),
        ("co_teaching:tua=0.5", "has no 'tua': it has tau, epochs, exponent, release"),
        ("co_teaching:tau=0.5,", "has no ''"),
        ("co_teaching:epochs=10", r"needs tau, the share of wrong labels, in \[0, 1\), got nan"),
        ("co_teaching:tau=1", r"in \[0, 1\), got 1"),
        ("co_teaching:tau=-0.1", r"in \[0, 1\), got -0.1"),
        ("co_teaching:tau=much", "tau of keep_schedule=co_teaching: 'much' is not a number"),
        ("co_teaching:tau", "tau of keep_schedule=co_teaching: '' is not a number"),
        ("co_teaching:tau=nan", "'nan' is not a number"),
        ("co_teaching:tau=0.5,epochs=0", "epochs=0 must be at least 1"),
        ("co_teaching:tau=0.5,epochs=inf", "'inf' is not a number"),
        ("co_teaching:tau=0.5,exponent=0", "exponent=0 above 0"),
        ("constant:0", r"keep_schedule=constant:0 must lie in \(0, 1\]"),
        ("constant:1.5", r"must lie in \(0, 1\]"),
        ("constant:nan", "'nan' is not a number"),
        ("constant:a few", "'a few' is not a number"),
    ],
)
def test_wrong_texts_get_one_sentence(text, message):
    with pytest.raises(ValueError, match=message) as error:
        KeepSchedule(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"must hold a share in \[0, 1\] a line"),
        (b"0.5\n1.5\n", r"must hold a share in \[0, 1\] a line"),
        (b"0.5\n-0.1\n", r"must hold a share in \[0, 1\] a line"),
        (b"0.5\nepoch\n", "'epoch' is not a number"),
        (b"0.5,0.4\n", "'0.5,0.4' is not a number"),
        (b"0.5\nnan\n", "'nan' is not a number"),
        (bytes(range(256)), "is not a number"),
    ],
)
def test_wrong_files_get_one_sentence(content, message, tmp_path):
    (tmp_path / "R.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        KeepSchedule(f"file:{tmp_path / 'R.csv'}")


def test_an_absent_file_is_said_so(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):  # a folder is no file, either
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            KeepSchedule(f"file:{path}")
