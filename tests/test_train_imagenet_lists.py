"""train_imagenet.py on generated images in the layouts of Clothing1M and ISIC 2019: clean sets, weights, a kill."""

from __future__ import annotations

import csv
import functools
import json
from pathlib import Path

import numpy as np
import pytest

import student_nets
from scripts import make_fake_imagenet as fake
from tests import script_runs
from tests.script_runs import ONE_STEP

MADE = fake.Made(train=84, test=28, width=40, height=36)
SMALL = ["--studentnet=small_cnn", "--image_size=24", "--batch_size=14", "--dropout_keep_probability=1", ONE_STEP]
SCRIPT = "train_imagenet.py"
here = functools.partial(script_runs.here, SCRIPT)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    fake.write_clothing1m(root / "clothing1m", MADE)
    fake.write_isic2019(root / "isic2019", MADE)
    return {name: root / name for name in ("clothing1m", "isic2019")}


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "labels.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.slow
def test_l2b_on_clothing1m_learns_from_its_validation_images_and_resumes(data, tmp_path, monkeypatch):
    flags = [
        "--dataset_name=clothing1m", f"--data_dir={data['clothing1m']}", *SMALL, "--method=l2b", "--balanced_epochs",
        "--max_batches_per_epoch=4", "--num_epochs=4", "--clean_batch_size=7",
    ]  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = script_runs.copied_in("step:0:6", killed, monkeypatch, *flags, f"--train_log_dir={whole}", run=here)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in script_runs.rows(whole)] == ["4", "8", "12", "16"]  # a row an epoch
    result = json.loads((whole / "result.json").read_text())
    assert (result["train_examples"], result["steps"]) == (84, 16)
    clean = (data["clothing1m"] / "clean_val_key_list.txt").read_text().split()
    kept = arrays(whole)
    assert len(kept["clean_set_index"]) == len(clean) == 28
    with (whole / "samples.csv").open(newline="") as stream:
        trained = {row["path"] for row in csv.DictReader(stream)}
    assert len(trained) == 84
    assert not trained & set(clean)
    assert (killed / "metrics.csv").exists()
    again = here(*flags, f"--train_log_dir={killed}")
    assert again.returncode == 0, again.stderr
    script_runs.assert_same_training(killed, whole)


@pytest.mark.slow
def test_dividemix_on_clothing1m_is_evaluated_on_its_validation_images(data, tmp_path):
    flags = [
        "--dataset_name=clothing1m", f"--data_dir={data['clothing1m']}", *SMALL, "--method=dividemix", "--num_epochs=2",
        "--warmup_epochs=1", "--balanced_epochs", "--max_batches_per_epoch=3", "--validation=clean_set", "--lambda_u=0",
    ]  # fmt: skip
    done = here(*flags, f"--train_log_dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    last = script_runs.rows(tmp_path / "run")[-1]
    # Two networks: an epoch of three batches each, and one of as many as the labels that are kept make, at most three.
    assert 6 < int(last["step"]) <= 12
    share = float(last["eval_validation_accuracy"]) * 28
    assert share == pytest.approx(round(share), abs=1e-3)
    assert float(last["eval_validation_top5"]) >= float(last["eval_validation_accuracy"])
    assert float(last["labelled_share_peer_1"]) > 0


@pytest.mark.slow
def test_l2b_on_isic2019_takes_its_clean_set_out_and_starts_from_given_weights(data, tmp_path):
    start = student_nets.get("resnet18", 3, input_shape=(32, 32, 3), seed=9)
    names = {"stem": "conv1", "stem_norm": "bn1", "logits": "fc", "conv1": "conv1", "conv2": "conv2", "norm1": "bn1",
             "norm2": "bn2", "shortcut": "downsample.0", "shortcut_norm": "downsample.1"}  # fmt: skip
    kinds = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}  # fmt: skip
    stored = {}
    for weight in start.weights:
        layer, kind = weight.name.split(":")[0].split("/")
        name = names.get(layer) or f"layer{layer[5]}.{int(layer[11]) - 1}.{names[layer[13:]]}"
        value = weight.numpy()
        stored[f"{name}.{kinds[kind]}"] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
    np.savez(tmp_path / "resnet18.npz", **stored)
    flags = [
        "--dataset_name=isic2019", f"--data_dir={data['isic2019']}", *SMALL, "--studentnet=resnet18", "--image_size=32",
        "--method=l2b", "--l2b_normalisation=softmax", "--l2b_temperature=10", "--clean_examples_per_class=2",
        "--noise_type=uniform", "--noise_fraction=0.5", "--max_number_of_steps=1", "--learning_rate=1e-9",
        f"--imagenet_weights={tmp_path / 'resnet18.npz'}", f"--train_log_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    done = here(*flags)
    assert done.returncode == 0, done.stderr
    kept = arrays(tmp_path / "run")
    tests = round(112 * 4291 / 25331)
    assert len(kept["given"]) == 112 - tests - 16
    assert not set(kept["index"]) & set(kept["clean_set_index"])
    assert np.bincount(kept["clean_set_label"]).tolist() == [2] * 8
    with (data["isic2019"] / "ISIC_2019_Training_GroundTruth.csv").open(newline="") as stream:
        truth = [[float(cell) for cell in row[1:]].index(1.0) for row in list(csv.reader(stream))[1:]]
    assert [truth[i] for i in kept["clean_set_index"]] == kept["clean_set_label"].tolist()
    assert [truth[i] for i in kept["index"]] == kept["clean"].tolist()
    assert 0.2 < np.mean(kept["given"] != kept["clean"]) < 0.7
    trained = student_nets.load(tmp_path / "run/student.keras")
    # The rate is next to nothing, and the stem sees pixels standardised by ImageNet's figures here and in the file.
    for layer in ("stem", "stage3_unit1_conv2"):
        ours, theirs = (model.get_layer(layer).get_weights()[0] for model in (trained, start))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert trained.output_shape[-1] == 8


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--dataset_name=clothing1m", "--max_unreadable=2"], "27 images are not there, more than the 2 that --max_un"),
        (["--dataset_name=isic2019", "--method=l2rw", "--clean_examples_per_class=50"], "images of every class was as"),
        (["--dataset_name=isic2019", "--imagenet_weights=w.npz"], "there are weights for resnet18 and resnet50, not"),
        (["--dataset_name=isic2019", "--studentnet=resnet50", "--imagenet_weights=w.npz"], "in a file .h5 or .hdf5"),
        (["--dataset_name=isic2019", "--studentnet=resnet18", "--image_size=32", "--imagenet_weights=w.npz"],
         "There is no file of ImageNet weights 'w.npz'"),
    ],
)  # fmt: skip
def test_mistakes_end_with_one_sentence(flags, sentence, data, tmp_path):
    name = flags[0].partition("=")[2]
    if name == "clothing1m":
        gone = sorted((data[name] / "images/1").rglob("*.jpg"))[1:]
        for file in gone:
            file.rename(file.with_suffix(".away"))
    try:
        done = here(f"--data_dir={data[name]}", *SMALL, *flags, f"--train_log_dir={tmp_path / 'run'}")
    finally:
        for file in data[name].rglob("*.away"):
            file.rename(file.with_suffix(".jpg"))
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
