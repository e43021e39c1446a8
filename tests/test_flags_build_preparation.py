"""What a method is made from: labels, a matrix, a first run: kept, not asked for again, refused from other data."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flags import configuration
from flags.build import first_run, preparation
from flags.build import in_memory as build
from mentornet import methods, transition
from mentornet.runs.workdir import Workdir
from tests.script_runs import Stopped, assert_same_training, stop_after
from tests.test_train_cifar_methods import train

DATA = ["--dataset_name=digits", "--studentnet=s2e_mlp", "--noise_type=uniform", "--noise_fraction=0.4"]
LENGTH = ["--max_number_of_steps=6", "--eval_every_steps=3", "--batch_size=32", "--learning_rate=0.02"]
FLAGS = [*DATA, *LENGTH, "--noshow_progress"]
CLEAN = ["--clean_examples_per_class=5", "--clean_batch_size=16"]
METHODS = {
    "forward_correction": [],
    "s_model": [],
    "clean_only": CLEAN,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "run"
    train(*FLAGS, "--holdout_examples=100", f"--train_log_dir={folder}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_run_goes_on_and_stays_finished_without_its_first_run(method, first, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "first"
    shutil.copytree(first, copy)
    flags = [*FLAGS, f"--method={method}", *METHODS[method], f"--baseline_run={copy}"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(*flags, f"--train_log_dir={whole}")
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(Stopped):
            train(*flags, f"--train_log_dir={stopped}")
    shutil.rmtree(copy)
    train(*flags, f"--train_log_dir={stopped}")
    assert_same_training(stopped, whole)
    capsys.readouterr()
    again = train(*flags, f"--train_log_dir={whole}")
    assert "is finished" in capsys.readouterr().out
    assert again == json.loads((whole / "result.json").read_text())
    with pytest.raises(ValueError, match=r"learning_rate was 0\.02 and is now 0\.5"):
        train(*flags, "--learning_rate=0.5", f"--train_log_dir={whole}")


def loaded_with(*flags: str) -> tuple[configuration.Config, build.LoadedData]:
    config = configuration.parse(["train_cifar.py", *FLAGS, "--train_log_dir=never", *flags])
    return config, build.set_apart(build.load_data(config.data), config.clean, config.data.noise_seed)


def test_the_matrix_is_kept_with_all_its_digits(tmp_path):
    matrix = np.random.default_rng(0).dirichlet(np.ones(10), 10)
    workdir = Workdir(tmp_path / "run")
    workdir.claim("", {})
    preparation.keep(workdir, {"transition_matrix": matrix})
    config, loaded = loaded_with("--method=forward_correction", f"--baseline_run={tmp_path / 'gone'}")
    found = build.arguments(config, loaded, workdir)["transition_matrix"]
    np.testing.assert_array_equal(found, matrix)
    file = workdir.path / "transition_matrix.csv"
    np.testing.assert_array_equal(preparation.read_matrix(str(file)), matrix)
    preparation.keep(workdir, {"initial_transition": 0 * matrix})  # what is there stays
    np.testing.assert_array_equal(preparation.read_matrix(str(file)), matrix)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--noise_fraction=0.2"],
            r"other labels \(uniform noise of 0.4, seed 0\) than this run \(uniform noise of 0.2",
        ),
        (["--noise_seed=1"], r"than this run \(uniform noise of 0.4, seed 1\): give a first run with the same noise"),
        (["--noise_type=symmetric"], r"than this run \(symmetric noise of 0.4"),
        (["--noise_type=background", "--noise_class=3"], r"background noise of 0.4, seed 0, class 3\)"),
    ],
)
def test_a_first_run_with_other_labels_is_refused(method, flags, sentence, first):
    config, loaded = loaded_with(*flags, f"--method={method}", *METHODS[method], f"--baseline_run={first}")
    with pytest.raises(ValueError, match=sentence):
        build.arguments(config, loaded)


def test_a_first_run_on_other_images_is_refused(first, tmp_path):
    config, loaded = loaded_with("--method=forward_correction", f"--baseline_run={tmp_path}")
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    record = json.loads((tmp_path / "run.json").read_text())
    for changed, sentence in (
        ({"dataset_name": "mnist"}, "was trained on mnist of its own size, but this run is on digits"),
        ({"image_size": 16}, "was trained on digits of size 16, but this run is on digits of its own size:"),
        ({"data_dir": "photos"}, "was trained on --data_dir=.*photos, but this run is on "),
    ):
        other = {**record, "identity": {**record["identity"], **changed}}
        (tmp_path / "run.json").write_text(json.dumps(other))
        with pytest.raises(ValueError, match=sentence):
            build.arguments(config, loaded)


def test_an_unfinished_first_run_is_refused_though_it_has_a_student(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(Stopped):
            train(*FLAGS, "--holdout_examples=100", f"--train_log_dir={tmp_path}")
    assert (tmp_path / "student_early_stopped.keras").is_file()
    config, loaded = loaded_with("--method=forward_correction", f"--baseline_run={tmp_path}")
    with pytest.raises(FileNotFoundError, match=r"has no result\.json: finish that training first"):
        build.arguments(config, loaded)
    with pytest.raises(FileNotFoundError, match="finish that training first"):
        first_run.student_of(str(tmp_path))


def test_own_images_are_those_of_one_folder_however_it_is_written(first, tmp_path, monkeypatch):
    shutil.copytree(first, tmp_path / "first")
    file = tmp_path / "first" / "run.json"
    record = json.loads(file.read_text())
    identity = {**record["identity"], "dataset_name": "folder", "data_dir": "photos"}
    file.write_text(json.dumps({**record, "identity": identity, "folder": str(tmp_path)}))
    _, loaded = loaded_with("--holdout_examples=100")

    def check(data_dir: str) -> None:
        settings = {**identity, "data_dir": data_dir}
        first_run.check_data(str(tmp_path / "first"), settings, loaded.labels.given, loaded.train.ids)

    check(str(tmp_path / "photos"))
    monkeypatch.chdir(tmp_path / "first")
    check("../photos")
    with pytest.raises(ValueError, match="give a first run on the same ones"):
        check("photos")


def test_first_runs_on_parts_of_the_same_data_are_taken(first):
    """Held-out samples and clean sets don't matter; tfds:x is x."""
    config, loaded = loaded_with("--method=clean_only", *CLEAN, f"--baseline_run={first}")
    network = build.student(config.student, loaded, seed=5)
    trained = first_run.student_of(str(first)).get_weights()
    assert not all(np.array_equal(*pair) for pair in zip(network.get_weights(), trained, strict=True))
    build.arguments(config, loaded)["start_from"].start(network)
    for own, other in zip(network.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(own, other)
    settings = {**config.identity(), "dataset_name": "tfds:digits"}
    first_run.check_data(str(first), settings, loaded.labels.given, loaded.train.ids)
    with pytest.raises(ValueError, match="other labels"):
        first_run.check_data(str(first), settings, loaded.labels.given, loaded.train.ids + 5000)


@pytest.mark.parametrize(
    ("data_set", "given", "expected"),
    [
        ("cifar10", {}, 0.03),
        ("cifar100", {}, 0.0),
        ("tfds:cifar100", {}, 0.0),
        ("cifar100", {"transition_outlier_share": 0.1}, 0.1),
    ],
)
def test_outliers_are_passed_over_but_on_cifar100(data_set, given, expected, first, monkeypatch):
    p = np.random.default_rng(0).dirichlet(np.ones(10), 200)
    monkeypatch.setattr(preparation, "probabilities", lambda student, batches: p)
    monkeypatch.setattr(first_run, "check_data", lambda *_: None)
    config, loaded = loaded_with()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, dataset_name=data_set))
    data = preparation.preparation(config, loaded, lambda: None)
    options = {"baseline_run": str(first), **given}
    found = methods.get("backward_correction").prepared(options, data)["transition_matrix"]
    np.testing.assert_array_equal(found, transition.estimated(p, expected))
    assert not np.array_equal(found, transition.estimated(p, 0.5))


def test_only_a_first_run_has_the_training_images_read_in_order(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the training set was copied")

    monkeypatch.setattr(build, "ordered_batches", refuse)
    for flags in (
        ["--method=standard"],
        ["--method=reed"],
        ["--method=forward_correction", "--transition_matrix=true"],
    ):
        config, loaded = loaded_with(*flags)
        build.arguments(config, loaded)


def test_labels_that_the_matrix_excludes_are_refused_once_they_are_known(tmp_path):
    matrix = np.eye(10)
    matrix[4] = np.eye(10)[5]
    file = tmp_path / "matrix.csv"
    np.savetxt(file, matrix, delimiter=",")
    config, loaded = loaded_with("--method=forward_correction", f"--transition_matrix={file}")
    with pytest.raises(ValueError, match="no sample could be given label 4"):
        build.arguments(config, loaded)


def test_a_method_hears_of_the_noise_that_was_injected_and_of_the_length_of_an_epoch():
    config, loaded = loaded_with("--method=co_teaching", "--max_batches_per_epoch=7", "--max_number_of_steps=70")
    data = preparation.preparation(config, loaded, lambda: None)
    assert (data.noise_fraction, data.steps_per_epoch, data.num_classes) == (0.4, 7, 10)
    assert (data.clean_source, data.continued, data.kept_matrix) == ("none", False, None)
    np.testing.assert_array_equal(data.is_clean, loaded.labels.is_clean)
    assert build.arguments(config, loaded) == {"steps_per_epoch": 7, "keep_schedule": "co_teaching:tau=0.4"}
    release, _ = loaded_with("--method=co_teaching", "--preset=release")
    assert build.arguments(release, loaded) == {
        "steps_per_epoch": len(loaded.train) // 32,
        "divide_twice": True,
        "keep_schedule": "co_teaching:tau=0.4,release=1",
    }
    given, _ = loaded_with("--method=co_teaching", "--keep_schedule=constant:0.5")
    assert build.arguments(given, loaded)["keep_schedule"] == "constant:0.5"


def test_a_share_of_noise_that_nobody_knows_is_asked_for(tmp_path):
    config, loaded = loaded_with("--noise_type=none", "--noise_fraction=0", "--method=small_loss")
    assert preparation.preparation(config, loaded, lambda: None).noise_fraction is None
    with pytest.raises(ValueError, match="give --keep_schedule=co_teaching:tau=SHARE"):
        build.arguments(config, loaded)
    unknown = dataclasses.replace(loaded, labels=dataclasses.replace(loaded.labels, clean=None))
    data = preparation.preparation(config, unknown, lambda: None)
    with pytest.raises(ValueError, match="class weights by precision need the true labels, which this data set"):
        _ = data.is_clean


def test_a_run_with_a_checkpoint_starts_from_it_and_not_from_its_first_run(first, tmp_path):
    """A folder that was claimed but has no checkpoint yet still starts from the first run."""
    workdir = Workdir(tmp_path / "run")
    workdir.claim("", {})
    config, loaded = loaded_with("--method=clean_only", *CLEAN, f"--baseline_run={first}")
    assert set(build.arguments(config, loaded, workdir)) == {"start_from"}
    shutil.copytree(first / "checkpoints", workdir.checkpoints, dirs_exist_ok=True)
    assert build.arguments(config, loaded, workdir) == {}


@pytest.mark.parametrize("method", ["dividemix", "unicon"])
def test_a_clean_set_that_only_validates_is_none_of_the_methods_clean_samples(method):
    length = ["--num_epochs=2", "--warmup_epochs=1", "--batch_size=32"]
    judged = ["--validation=clean_set", "--clean_examples_per_class=5"]
    config = configuration.parse(["train_cifar.py", *DATA, f"--method={method}", *length, *judged, "--train_log_dir=t"])
    loaded = build.set_apart(build.load_data(config.data), config.clean, config.data.noise_seed)
    facts = preparation.preparation(config, loaded, lambda: None)
    assert facts.clean_source == "none"
    assert "clean_source" not in methods.get(method).prepared(config.method.options, facts)
