"""The imbalance experiment: its data by the paper's counts, and the command resumed cell by cell."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import tensorflow as tf

from data import imbalance
from data.image_dataset import ImageDataset, Split
from scripts import imbalance_experiment as experiment
from scripts import imbalance_results as results
from scripts import imbalance_training as training


@pytest.fixture(scope="module")
def mnist() -> ImageDataset:
    """Digits whose pixels tell the class and the position: 400 training and 30 test images of each."""

    def split(per_class: int) -> Split:
        labels = np.tile(np.arange(10, dtype=np.int32), per_class)
        images = np.zeros((len(labels), 28, 28, 1), np.uint8)
        images[:, 5:15, 5:15] = (20 * labels)[:, None, None, None]
        return Split(images, labels, np.arange(len(labels)))

    return ImageDataset("mnist", split(400), split(30), tuple("0123456789"))


@pytest.mark.parametrize(
    ("share", "rare", "common"),
    [(0.995, 25, 4975), (0.99, 50, 4950), (0.98, 100, 4900), (0.95, 250, 4750), (0.9, 500, 4500)],
)
def test_class_sizes_of_the_paper(share, rare, common):
    """floor(5000 (1 - p)) fours and floor(5000 p) nines; ratio r to one is p = r / (r + 1)."""
    assert imbalance.class_sizes(5000, share) == (rare, common)
    ratio = round(share / (1 - share))
    assert imbalance.class_sizes(5000, training.Cell("l2rw", ratio, 0, 1).majority_share) == (rare, common)


def test_two_hundred_to_one_with_and_without_a_clean_set(mnist):
    """The spec's example in small: 5 + 5 clean images come out of the training images."""
    data = imbalance.draw(mnist, 0.95, seed=3, total=400, clean_per_class=5, test_per_class=30)
    assert np.bincount(data.train.labels).tolist() == [15, 375]
    assert data.clean is not None
    assert np.bincount(data.clean.true_labels).tolist() == [5, 5]
    assert np.bincount(data.test.labels).tolist() == [30, 30]
    assert not set(data.clean.ids) & set(data.train.ids)
    for part, labels in ((data.train, data.train.labels), (data.clean, data.clean.true_labels)):
        np.testing.assert_array_equal(part.images[:, 8, 8, 0], np.where(labels == 1, 180, 80))
    whole = imbalance.draw(mnist, 0.95, seed=3, total=400, test_per_class=30)
    assert whole.clean is None
    assert set(whole.train.ids) == set(data.train.ids) | set(data.clean.ids)
    assert set(imbalance.draw(mnist, 0.95, seed=4, total=400, test_per_class=30).train.ids) != set(whole.train.ids)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"majority_share": 1.0}, r"in \[0.5, 1\)"),
        ({"majority_share": 0.999, "total": 100}, "none of the rare class"),
        ({"majority_share": 0.99, "total": 400, "clean_per_class": 5}, "none is left to train on"),
        ({"majority_share": 0.9, "total": 5000}, "but 500 are needed"),
        ({"majority_share": 0.9, "total": 100}, "test images of the 4"),
    ],
)
def test_impossible_draws_are_refused(mnist, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        imbalance.draw(mnist, seed=0, **arguments)


def test_seeds_of_the_released_code():
    assert [training.Cell("l2rw", 9, run, 1).seed for run in range(3)] == [0, 56789, 13578]


def test_weights_of_the_baselines(mnist):
    data = imbalance.draw(mnist, 0.95, seed=0, total=400, test_per_class=30)
    method = training.build_method(training.Cell("proportion", 19, 0, 10), data)
    # In a batch of 100 the released code's weights sum up to 2 p (1 - p) 100 on average, plain training's to 1.
    sums = method._class_weights.numpy() / 100
    np.testing.assert_allclose(sums, [0.95, 0.05], rtol=1e-5)
    batch = next(iter(training.batches(training.Cell("proportion", 19, 0, 1), data)))
    found = method.weigh(tf.zeros([100]), batch["label"]).weights.numpy()
    fours = int(np.sum(batch["label"] == 0))
    assert found.sum() / 100 == pytest.approx(0.95 * fours + 0.05 * (100 - fours), rel=1e-5)
    resampled = next(iter(training.batches(training.Cell("resample", 19, 0, 4), data).unbatch().batch(400)))
    assert 100 < int(np.sum(resampled["label"] == 0)) < 300
    mined = next(iter(training.batches(training.Cell("hard_mining", 19, 0, 1), data)))
    assert len(mined["label"]) == 400


def test_the_command_continues_with_the_missing_cells(mnist, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment.datasets, "load", lambda name, data_dir: mnist)
    options = [f"--output_dir={tmp_path}", "--steps=2", "--runs=1", "--ratios=9,19", "--train_examples=300"]

    def run(names: str) -> list[str]:
        experiment.main([*options, f"--methods={names}"])
        return (tmp_path / "imbalance.csv").read_text().splitlines()

    seen = []
    append = experiment.append_row
    monkeypatch.setattr(
        experiment,
        "append_row",
        lambda file, row: (seen.append(sorted(entry.name for entry in tmp_path.iterdir())), append(file, row)),
    )
    first = run("plain")
    # Table and figure follow each cell.
    assert seen == [[".lock"], [".lock", "imbalance.csv", "imbalance.md", "imbalance.png"]]
    printed = capsys.readouterr().out
    assert re.search(r"1/2 plain 9:1 run 0: error \S+ \(\S+ s\), about \d:\d\d:\d\d left", printed)
    assert re.search(r"2/2 plain 19:1 .*, about 0:00:00 left", printed)
    assert first[0] == ",".join(results.COLUMNS)
    assert [line.split(",")[:3] for line in first[1:]] == [["plain", "9", "0"], ["plain", "19", "0"]]
    # A kill in the middle of a line: it is dropped and its cell is run again, to the same error.
    (tmp_path / "imbalance.csv").write_text("\n".join(first[:2]) + "\nplain,19,0,0,2,300,float32,0.")
    assert "0 of 2 cells are there" in printed
    second = run("plain,l2rw")
    assert "1 of 4 cells are there" in capsys.readouterr().out
    table = {tuple(line.split(",")[:2]): line.split(",")[7] for line in second[1:]}
    assert set(table) == {("plain", "9"), ("plain", "19"), ("l2rw", "9"), ("l2rw", "19")}
    assert table["plain", "19"] == first[2].split(",")[7]
    assert "| plain | " in (tmp_path / "imbalance.md").read_text()
    assert (tmp_path / "imbalance.png").stat().st_size > 10_000
    assert run("plain,l2rw,plain") == second
    with pytest.raises(SystemExit):  # fewer images are other cells, and these are too few
        experiment.main([*options[:-1], "--methods=l2rw", "--train_examples=50"])
    (tmp_path / "imbalance.csv").write_text("method,ratio\nplain,9\n")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run("plain")
    assert "does not have the columns" in capsys.readouterr().err


def test_cells_are_told_apart():
    row = dict(
        zip(results.COLUMNS, ["plain", "9", "0", "0", "2", "300", "float32", "0.1", "0.1", "0.1", "3"], strict=True)
    )
    cell = training.Cell("plain", 9.0, 0, 2, 300)
    assert results.key(row) == results.key(asdict(cell))
    others = [{"ratio": 19.0}, {"run": 1}, {"steps": 3}, {"examples": 5000}, {"precision": "bfloat16"}]
    assert all(results.key(row) != results.key(asdict(replace(cell, **other))) for other in others)
    assert [float(results.short(ratio)) for ratio in (9.0, 100 / 3)] == [9.0, 100 / 3]
    assert results.short(9.0) == "9"


def test_summary_by_hand():
    rows = [{"method": "l2rw", "ratio": "9", "error": error} for error in ("0.02", "0.04")]
    rows.append({"method": "l2rw", "ratio": "199", "error": "0.1"})
    found = results.summary(rows)["l2rw"]
    assert found[0] == (9.0, pytest.approx(0.03), pytest.approx(np.sqrt(2) * 0.01), 2)
    assert found[1] == (199.0, 0.1, 0.0, 1)
    rows.append({"method": "plain", "ratio": "199", "error": "0.25"})
    for row, precision in zip(rows, ("float32", "bfloat16", "float32", "float32"), strict=True):
        row["precision"] = precision
    assert results.table(rows).splitlines() == [
        "| test error in % | 9:1 | 199:1 |",
        "| --- | ---: | ---: |",
        "| l2rw | 3.0 ± 1.4 | 10.0 |",
        "| plain |  | 25.0 |",
        "",
        "Runs of each cell, in bfloat16 and float32: 1 to 2.",
    ]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--methods=magic", "--methods=magic: use some of"),
        ("--ratios=many", "expected numbers"),
        ("--ratios=9,-3", "--ratios=-3: expected positive numbers"),
        ("--ratios=inf", "--ratios=inf: expected positive numbers"),
        ("--ratios=10000", "l2rw at 10000:1 can't be trained: 5000 images with a common share of 0.9999 leave none"),
        ("--ratios=900", "l2rw at 900:1 can't be trained: There are 5 images of the rare class, and 5 of them would"),
        ("--runs=0", "must be at least 1"),
        ("--threads=-1", "--threads=-1 must be at least 0"),
        ("--processes=0", "must be at least 1"),
    ],
)
def test_bad_options_get_one_sentence(option, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit):
        experiment.main([f"--output_dir={tmp_path / 'never'}", option])
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("flags", ["sse avx512f", "avx512_bf16_maybe"])
def test_bfloat16_is_refused_where_it_would_be_ignored(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags} vme\n")
    with pytest.raises(SystemExit):
        experiment.main([f"--output_dir={tmp_path / 'never'}", "--bfloat16"])
    assert "this processor has neither avx512_bf16 nor AMX" in capsys.readouterr().err
    assert not (tmp_path / "never" / "imbalance.csv").exists()
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx512_bf16 vme\n")
    assert experiment.multiplies_bfloat16()


def test_finished_cells_in_bfloat16_are_shown_on_any_processor(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "CPUINFO", tmp_path / "absent")
    row = "plain,9,0,0,2,300,bfloat16,0.1,0.2,0.0,3.0"
    (tmp_path / "imbalance.csv").write_text("\n".join([",".join(results.COLUMNS), row, row, ""]))
    options = ["--steps=2", "--runs=1", "--ratios=9", "--train_examples=300", "--methods=plain", "--bfloat16"]
    experiment.main([f"--output_dir={tmp_path}", *options])
    printed = capsys.readouterr().out
    assert "1 of 1 cells are there" in printed
    assert "| plain | 10.0 |" in printed
    assert "Runs of each cell, in bfloat16: 1." in printed


@pytest.mark.parametrize(
    "line",
    ["plain,9", "plain,9,x,0,2,300,float32,0.1,0.2,0.0,3.0", "plain,9,0,0,2,300,float32,nan,0.2,0.0,3.0", "\xff,1"],
)
def test_a_damaged_line_is_named(line, tmp_path, capsys):
    good = "plain,9,0,0,2,300,float32,0.1,0.2,0.0,3.0"
    table = "\n".join([",".join(results.COLUMNS), good, line, ""])
    (tmp_path / "imbalance.csv").write_bytes(table.encode("latin-1"))
    with pytest.raises(SystemExit):
        experiment.main([f"--output_dir={tmp_path}", "--steps=2", "--runs=1", "--ratios=9"])
    error = capsys.readouterr().err
    assert "imbalance.csv is damaged in line 3: take that line out" in error
    assert error.count("\n") == 1
    assert (tmp_path / "imbalance.csv").read_bytes() == table.encode("latin-1")


def test_a_folder_in_use_or_of_another_kind_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit):
        experiment.main([f"--output_dir={tmp_path / 'file'}"])
    assert "there is something else of this name" in capsys.readouterr().err
    held = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    command = [sys.executable, "-c", held, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        with pytest.raises(SystemExit):
            experiment.main([f"--output_dir={tmp_path}"])
        other.stdin.close()
    assert "Another process is writing to" in capsys.readouterr().err


def test_table_and_figure_are_of_the_cells_that_were_asked_for(mnist, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment.datasets, "load", lambda name, data_dir: mnist)
    rows = [f"plain,{ratio},{run},0,2,300,float32,0.{run + 1},0.2,0.0,3.0" for ratio in (9, 19) for run in range(3)]
    (tmp_path / "imbalance.csv").write_text("\n".join([",".join(results.COLUMNS), *rows, ""]))
    options = ["--steps=2", "--runs=2", "--ratios=9", "--train_examples=300", "--methods=plain"]
    experiment.main([f"--output_dir={tmp_path}", *options])
    assert "| test error in % | 9:1 |\n| --- | ---: |\n| plain | 15.0 ± 7.1 |\n\nRuns of each cell, in float32: 2." in (
        capsys.readouterr().out
    )
