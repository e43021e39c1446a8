"""The simulation's grid: it goes on where it was stopped, keeps its figures, and notices wrong ages."""

from __future__ import annotations

import csv

import pytest

from scripts import simulate_async


def row(workers: int, learning_rate: float, steps: int, seed: int, mean_age: float | None = None):
    age = workers - 1 if mean_age is None else mean_age
    accuracy = 0.5 + 0.01 * workers + learning_rate + 0.001 * seed
    return simulate_async.Row(workers, learning_rate, steps, seed, age, workers - 1, 2 * workers, 1.25, accuracy)


def grid(folder, *more: str) -> list[str]:
    return [f"--output={folder / 'found'}", "--workers", "1", "4", "--learning_rates", "0.1", "--steps=100", *more]


def test_a_stopped_grid_goes_on_with_what_is_missing(tmp_path, monkeypatch):
    done = []

    def simulate(*cell):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(cell)
        return row(*cell)

    monkeypatch.setattr(simulate_async, "simulate", simulate)
    with pytest.raises(KeyboardInterrupt):
        simulate_async.main(grid(tmp_path))
    assert not (tmp_path / "found.csv").exists()
    monkeypatch.setattr(simulate_async, "simulate", lambda *cell: done.append(cell) or row(*cell))
    assert simulate_async.main(grid(tmp_path)) == 0
    assert done == [(1, 0.1, 100, 0), (1, 0.1, 100, 1), (4, 0.1, 100, 0), (4, 0.1, 100, 1)]
    with open(tmp_path / "found.csv", newline="") as stream:
        written = list(csv.DictReader(stream))
    assert [float(line["accuracy"]) for line in written] == pytest.approx([0.61, 0.611, 0.64, 0.641])
    assert [line["mean_age"] for line in written] == ["0", "0", "3", "3"]
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "found.partial.csv").exists()


def test_a_wrong_age_ends_the_simulation(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(simulate_async, "simulate", lambda *cell: row(*cell, mean_age=3.5))
    assert simulate_async.main(grid(tmp_path)) == 1
    assert "the mean age should be 0" in capsys.readouterr().err


def test_a_foreign_file_is_refused(tmp_path, capsys):
    (tmp_path / "found.partial.csv").write_text("a,b\n1,2\n")
    assert simulate_async.main(grid(tmp_path)) == 1
    assert "was not written by this script; move it away" in capsys.readouterr().err
