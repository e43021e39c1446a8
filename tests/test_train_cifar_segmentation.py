"""train_cifar.py on masks: the data set decides the task; run folder, resumption, two devices, refusals."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from flags import configuration
from flags.build import plan, segmentation
from flags.commands import tasks
from mentornet.reports import run_table
from mentornet.runs.run_data import RunData
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.progress import ProgressLine
from tests import processes
from tests.script_runs import assert_same_training, command, copied_in, rows, student_weights, train

DATA = ["--dataset_name=phantoms", "--image_size=16", "--num_cases=3,1,2", "--num_slices=4", "--mask_noise=l2"]
SHORT = ["--studentnet=unet_small", "--batch_size=4", "--max_number_of_steps=6", "--eval_every_steps=3"]
L2B = ["--method=l2b", "--clip_norm=0.2", "--clean_step", "--pseudo_label_views=5", "--clean_batch_size=2"]
OTHERS = ["--learning_rate=0.05", "--steps_per_execution=1", "--noshow_progress"]
FLAGS = [*DATA, *SHORT, *L2B, *OTHERS]


def test_the_plan_speaks_of_slices_and_pixels():
    config = configuration.parse(["train_cifar.py", "--train_log_dir=t", *FLAGS])
    loaded = segmentation.load_data(config.data)
    config = config.resolved(len(loaded.train))
    inputs = segmentation.training_inputs(loaded, config, Distribution())
    data, judge, *_ = plan.lines(config, segmentation.student(config.student, loaded, 0), inputs, Distribution())
    wrong = np.mean(loaded.train.masks != loaded.train.true_masks)
    assert data.endswith(f"12 training slices of 2 classes, 16 x 16 pixels; wrong pixels: {100 * wrong:.1f}%")
    assert judge.endswith("test slices")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run, and beside it, as "killed", what was there in its fifth step."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        copied_in("step:0:5", folder.with_name("killed"), patch, *FLAGS, f"--train_log_dir={folder}")
    return folder


def test_the_folder_holds_figures_of_cases_masks_slices_and_suspects(whole):
    result = json.loads((whole / "result.json").read_text())
    assert set(result["cases"]) == {"test00", "test01"}
    assert result["dice"] == pytest.approx(np.mean([case["dice"] for case in result["cases"].values()]))
    for name in ("pixel_auc_loss", "pixel_auc_weight", "pixel_auc_share", "dice_given_masks", "wrong_pixels"):
        assert 0 <= result[name] <= 1
    with open(whole / "samples.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with np.load(whole / "masks.npz", allow_pickle=False) as kept:
        given, true, names = kept["given"], kept["true"], list(kept["name"])
    assert len(rows) == len(given)
    assert {row["case"] for row in rows} == {"train00", "train01", "train02"}
    assert np.all(np.diff([float(row["loss"]) for row in rows]) <= 0)  # worst first
    assert np.mean(given != true) == pytest.approx(result["wrong_pixels"])
    assert sorted(row["name"] for row in rows) == sorted(names)
    assert Image.open(whole / "suspects.png").width > 500
    for file in (whole / "predictions").glob("*.png"):
        assert set(np.unique(Image.open(file))) <= {0, 255}


def test_it_is_judged_by_dice_in_pictures_tables_and_on_the_progress_line(whole):
    cases = [float(row["eval_dice_cases"]) for row in rows(whole)]
    run = RunData.load(whole)
    assert (whole / "dice.png").is_file()
    assert not (whole / "accuracy.png").exists()
    assert (run.goes_by[0], run.fact("dice_cases_best")) == ("Dice of cases", max(cases))
    np.testing.assert_array_equal(run.curve, cases)
    (row,) = run_table.table([run], ["a"])
    assert (row["judged by"], row["last"], row["best"]) == ("Dice", f"{cases[-1]:.3f}", f"{max(cases):.3f}")
    written = io.StringIO()
    ProgressLine(6, written, masks=True).show(6, 0.5, None, cases[-1])
    assert f"Dice of cases {cases[-1]:.3f}" in written.getvalue()


def test_an_evaluation_of_the_folder_alone_finds_what_the_run_found_at_its_end(whole, tmp_path):
    csv_file = tmp_path / "slices.csv"
    flags = [f"--checkpoint_dir={whole}", f"--eval_dir={tmp_path}", f"--output_csv_file={csv_file}"]
    found = tasks.evaluate_run(configuration.parse(["train_cifar.py", *flags]))
    result = json.loads((whole / "result.json").read_text())
    same = ("dice", "hausdorff", "hausdorff_95", "average_surface_distance", "distance_unit", "cases")
    assert found["distance_unit"] == "mm"  # phantoms have a spacing
    assert {name: found[name] for name in same} == {name: result[name] for name in same}
    last = rows(whole)[-1]
    for name in ("dice_slices", "dice_cases", "loss"):
        assert found[name] == pytest.approx(float(last[f"eval_{name}"]), abs=1e-6)
    with open(csv_file, newline="") as stream:
        slices = list(csv.DictReader(stream))
    assert np.mean([float(row["dice"]) for row in slices]) == pytest.approx(found["dice_slices"], abs=1e-6)
    for file in (whole / "predictions").glob("*.png"):
        np.testing.assert_array_equal(Image.open(tmp_path / "predictions" / file.name), Image.open(file))


@pytest.mark.slow
def test_killed_it_ends_like_an_uninterrupted_run(whole, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole.with_name("killed"), folder)
    train(*FLAGS, f"--train_log_dir={folder}")
    assert_same_training(folder, whole)


@pytest.mark.slow
def test_two_devices_do_what_one_does(tmp_path):
    """For two steps: later ones let rounding decide at the thresholds of pseudo labels."""
    folders = tmp_path / "one", tmp_path / "two"
    short = [*FLAGS, "--max_number_of_steps=2"]
    train(*short, f"--train_log_dir={folders[0]}")
    shared = ["--distribution_strategy=mirrored", "--logical_cpus=2", f"--train_log_dir={folders[1]}"]
    found = processes.run(command("train_cifar.py", *short, *shared))
    assert found.returncode == 0, found.stderr
    one, two = map(student_weights, folders)
    for name, values in one.items():
        variance = "variance" in name  # differs by n / (n - 1), see docs/clusters
        np.testing.assert_allclose(two[name], values, rtol=0.05 if variance else 1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--method=co_teaching"], "goes by one label an image"),
        (["--curriculum=mentornet_pd"], "goes by one label an image"),
        (["--noise_type=uniform", "--noise_fraction=0.4"], "use --mask_noise"),
        (["--studentnet=resnet8"], "use one of unet"),
        (["--method=l2rw", "--clean_examples=10"], "brings its clean cases"),
        (["--validation=test_half"], "one label an image"),
        (["--mode=dump_losses", "--output_csv_file=losses.csv"], "is for one label an image"),
        (["--mask_noise=l9"], "l9"),
        (["--num_cases=3,1"], "give three numbers"),
        (["--dataset_name=mask_folder"], "--data_dir"),
        (["--dataset_name=digits", "--studentnet=small_cnn", "--mask_noise=l2"], "for data sets with masks"),
        (["--dataset_name=digits", "--studentnet=small_cnn", "--augmentation=slices"], "for data sets with masks"),
    ],
)
def test_what_makes_no_sense_gets_one_sentence(flags, sentence, tmp_path):
    base = ["train_cifar.py", f"--train_log_dir={tmp_path}"]
    if not any(flag.startswith("--dataset_name") for flag in flags):
        base.append("--dataset_name=phantoms")
    if not any(flag.startswith("--studentnet") for flag in flags):
        base.append("--studentnet=unet_small")
    with pytest.raises(ValueError, match=sentence):
        configuration.parse([*base, *flags])
