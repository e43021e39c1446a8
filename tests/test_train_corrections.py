"""Corrections through both scripts: what is trained on, what is said, and mistakes in one sentence."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from scripts import make_fake_imagenet as fake
from tests import script_runs
from tests.script_runs import train

DIGITS = ["--dataset_name=digits", "--studentnet=small_cnn", "--max_number_of_steps=72", "--eval_every_steps=72"]
DIGITS += ["--noise_type=uniform", "--noise_fraction=0.4", "--batch_size=64", "--noshow_progress"]


def labels(folder) -> dict[str, np.ndarray]:
    return dict(np.load(folder / "labels.npz", allow_pickle=False))


@pytest.mark.slow
def test_a_review_is_trained_on_left_out_and_a_clean_set(tmp_path, capsys):
    """One process: a run, a review by the truth of its 200 worst, and three runs that use it."""
    from mentornet.runs.run_data import RunData
    from scripts.simulate_review import decisions

    train(*DIGITS, f"--train_log_dir={tmp_path / 'first'}")
    run = RunData.load(tmp_path / "first")
    assert np.isfinite(run.samples["mean_weight"]).all()
    assert np.isfinite(run.samples["mean_probability"]).all()
    assert (np.diff(run.samples["mean_probability"]) >= 0).all()  # the rank goes by it
    rows = decisions(run, 200, mistakes=0.0, seed=0)
    rows[1] = [rows[1][0], "leave_out", ""]
    with open(tmp_path / "c.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    before = labels(tmp_path / "first")
    decided = np.array([int(row[0]) for row in rows[1:]])

    train(*DIGITS, f"--corrections_file={tmp_path / 'c.csv'}", f"--train_log_dir={tmp_path / 'second'}")
    after = labels(tmp_path / "second")
    assert after["index"].tolist() == [k for k in before["index"].tolist() if k != decided[0]]
    place = {int(k): n for n, k in enumerate(before["index"])}
    old = np.array([place[int(k)] for k in after["index"]])
    touched = np.isin(after["index"], decided)
    np.testing.assert_array_equal(after["given"][touched], before["clean"][old][touched])
    np.testing.assert_array_equal(after["given"][~touched], before["given"][old][~touched])
    changed = sum(row[1] == "relabel" for row in rows[2:])
    assert (
        f"corrections: {changed} labels changed, {199 - changed} confirmed, 1 images left out"
        in capsys.readouterr().out
    )

    clean = ["--method=l2rw", "--clean_source=corrections", "--meta_gradient=forward"]
    train(*DIGITS, *clean, f"--corrections_file={tmp_path / 'c.csv'}", f"--train_log_dir={tmp_path / 'third'}")
    third = labels(tmp_path / "third")
    assert sorted(third["clean_set_index"]) == sorted(decided[1:])
    assert not np.isin(third["index"], decided).any()
    np.testing.assert_array_equal(
        third["clean_set_label"], before["clean"][[place[int(k)] for k in third["clean_set_index"]]]
    )

    left = f"--leave_out_suspects=50:{tmp_path / 'first'}"
    train(*DIGITS, left, f"--train_log_dir={tmp_path / 'fourth'}")
    worst = run.samples["index"][np.argsort(run.samples["suspect_rank"])[:50]]
    assert set(before["index"]) - set(labels(tmp_path / "fourth")["index"]) == set(worst.tolist())


@pytest.mark.slow
def test_images_read_from_the_disk_are_corrected(tmp_path):
    fake.write_webvision(tmp_path / "data", fake.Made(classes=7, train=42, test=14, width=90, height=80))
    shared = ["--dataset_name=webvision", "--webvision_parts=google", f"--data_dir={tmp_path / 'data'}"]
    shared += ["--studentnet=small_cnn", "--image_size=24", "--batch_size=8", "--max_number_of_steps=2"]
    (tmp_path / "c.csv").write_text("index,action,label\n3,leave_out,\n5,relabel,6\n", encoding="utf-8")
    done = script_runs.here(
        "train_imagenet.py", *shared, f"--corrections_file={tmp_path / 'c.csv'}", f"--train_log_dir={tmp_path / 'run'}"
    )
    assert done.returncode == 0, done.stderr
    found = labels(tmp_path / "run")
    assert 3 not in found["index"]
    assert found["given"][found["index"] == 5].tolist() == [6]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["train_examples"] == len(found["given"])


def test_what_is_left_out_is_said(tmp_path, capsys):
    """Three suspects, of which somebody has confirmed one: two go, and the sentence counts them."""
    from data.image_dataset import Split
    from data.labels import NoisyLabels
    from flags import configuration
    from flags.build import data as data_of_flags
    from mentornet.runs import samples
    from mentornet.runs.workdir import Workdir

    workdir, given = Workdir(tmp_path / "first"), np.array([0, 1, 0, 1, 0, 1])
    workdir.claim("", {"seed": 1})
    samples.write_samples_csv(
        workdir.samples_file,
        index=np.arange(6),
        given=given,
        predicted=given,
        mean_weight=np.ones(6),
        loss=np.array([0.1, 9.0, 0.2, 7.0, 8.0, 0.3]),
        class_names=["cat", "dog"],
        mean_probability=np.full(6, np.nan),
        by_weight=True,
    )
    (tmp_path / "c.csv").write_text("index,action,label\n4,confirm,cat\n0,relabel,dog\n", encoding="utf-8")
    images = Split(np.zeros((6, 1, 1, 1), np.uint8), given.astype(np.int32), np.arange(6, dtype=np.int64), None)

    def told(*flags: str) -> tuple[list[str], list[int]]:
        leave = f"--leave_out_suspects=3:{workdir.path}"
        config = configuration.parse(["train_cifar.py", *DIGITS, "--train_log_dir=t", leave, *flags])
        left, _, _ = data_of_flags.reviewed(
            config.clean, images, ["cat", "dog"], images, NoisyLabels(given, None, "none", 0.0)
        )
        return capsys.readouterr().out.splitlines(), left.ids.tolist()

    which = f"the 3 most suspect images of {workdir.path}"
    assert told() == ([f"left out: {which}"], [0, 2, 5])
    said, stay = told(f"--corrections_file={tmp_path / 'c.csv'}")
    assert said[0] == f"left out: 2 of {which}; the labels of the other 1 were checked"
    assert said[1] == "corrections: 1 labels changed, 1 confirmed, 0 images left out"
    assert stay == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--leave_out_suspects=many:runs"], "give a number of images and a run folder"),
        (["--clean_source=corrections", "--method=l2rw"], "takes its images from --corrections_file: give it"),
        (["--clean_source=corrections", "--corrections_file=c.csv"], "does not use --clean_source=corrections"),
        (
            ["--clean_source=corrections", "--corrections_file=c.csv", "--method=l2rw", "--clean_examples=9"],
            "leave --clean_examples out",
        ),
    ],
)
def test_flags_that_contradict_are_refused(flags, said):
    from flags import configuration

    with pytest.raises(ValueError, match=said):
        configuration.parse(["train_cifar.py", *DIGITS, "--train_log_dir=t", *flags])
