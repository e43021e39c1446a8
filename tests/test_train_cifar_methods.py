"""The compared methods through train_cifar.py on the embedded digits: resume after SIGKILL, clean sets, bad input."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from mentornet.curricula import learned
from tests.processes import ROOT
from tests.script_runs import assert_same_training, copied_in, killed_in, row_count, train

DATA = ["--dataset_name=digits", "--studentnet=small_cnn", "--noise_type=uniform", "--noise_fraction=0.4"]
SHORT = ["--max_number_of_steps=12", "--eval_every_steps=4", "--batch_size=32", "--learning_rate=0.02"]
REGULARISED = ["--dropout_keep_probability=0.8", "--weight_decay=1e-3", "--noshow_progress"]
CLEAN = ["--clean_examples_per_class=5", "--clean_batch_size=16"]

METHODS = {
    "l2rw": CLEAN,
    "l2b": [*CLEAN, "--clip_norm=0.5", "--warmup_steps=2"],
    "l2b from a mixture": ["--clean_source=mixture", "--warmup_steps=3", "--train_examples=100"],
    "reed": ["--reed_kind=soft", "--holdout_examples=100"],
    "forward_correction": ["--transition_matrix=true"],
    "backward_correction": ["--transition_matrix=true"],
    "s_model": [],
    "generalised_cross_entropy": ["--balanced_batches"],
    "class_weights": [],
    "hard_mining": [],
    "random_weights": [],
    "mixup": [],
    "clean_only": CLEAN,
    "simclr": [],
    "small_loss": [],
    "co_teaching": ["--optimizer=adam", "--learning_rate=0.001"],
    "co_teaching_plus": ["--agreed_steps=2"],
    "decoupling": ["--agreement_steps=1"],
}

# Runs go on in a copy of the folder, made behind the first checkpoint; or, one for each kind of state there is beside
# the student, where no checkpoint is: a clean set's order, a mixture and its choice, a hold-out, and several students
# with optimisers. One of these is a process that kills itself with SIGKILL at that moment, see
# tests/killed_training.py; scripts/soak.py kills all methods at random moments.
MOMENTS = {"l2b": "step:0:5", "l2b from a mixture": "step:1:2", "reed": "step:0:5", "co_teaching_plus": "step:0:5"}
KILLED = "l2b"

# Epochs of 4 steps, and the steps with which a second or third stage begins. Of each case: one checkpoint between two
# stages, one within.
EPOCHS_OF_4 = ["--train_examples=100", "--batch_size=25"]
STAGES = {
    "co_teaching": (["--method=co_teaching", *EPOCHS_OF_4], (16,)),
    "co_teaching_plus": (["--method=co_teaching_plus", "--warmup_epochs=2", *EPOCHS_OF_4], (8, 16)),
    "mentornet_dd": (
        ["--method=spade", "--curriculum=mentornet_dd", "--mentor_examples=60", "--mentor_steps=300", *EPOCHS_OF_4],
        (6, 16),
    ),
    "l2b from a mixture": (["--method=l2b", "--clean_source=mixture", "--warmup_steps=3", *EPOCHS_OF_4], (7, 16)),
}

TABLES = {
    "reed": ["holdout.csv"],
    "s_model": ["transition_matrix_final.csv"],
    "forward_correction": ["transition_matrix.csv", "transition_matrix_final.csv"],
    "backward_correction": ["transition_matrix.csv", "transition_matrix_final.csv"],
}


@pytest.mark.slow
@pytest.mark.parametrize("case", METHODS)
def test_a_method_interrupted_after_its_first_row_ends_like_an_uninterrupted_run(case, tmp_path, monkeypatch):
    flags = [*DATA, *SHORT, *REGULARISED, f"--method={case.split()[0]}", *METHODS[case]]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    moment = MOMENTS.get(case, "save:0:4")
    result = copied_in(moment, killed, monkeypatch, *flags, f"--train_log_dir={whole}")
    assert result["steps"] == 12
    if case == KILLED:
        shutil.rmtree(killed)
        killed_in(moment, *flags, f"--train_log_dir={killed}")
    assert row_count(killed) > 0
    assert not (killed / "result.json").exists()
    train(*flags, f"--train_log_dir={killed}")
    assert_same_training(killed, whole)
    tables = sorted(file.name for file in whole.glob("*.csv") if file.name != "metrics.csv")
    assert set(tables) == {"samples.csv", *TABLES.get(case, ())} - ({"samples.csv"} if case == "simclr" else set())
    for name in tables:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("case", STAGES)
def test_a_run_interrupted_within_and_between_stages_ends_like_an_uninterrupted_one(case, tmp_path, monkeypatch):
    """From a copy behind a checkpoint to the end; and from a copy of that, behind the next one, once more."""
    own, steps = STAGES[case]
    flags = [*DATA, *REGULARISED, *own, "--max_number_of_steps=24", "--eval_every_steps=8", "--keep_checkpoints=20"]
    whole, *killed = [tmp_path / "whole", *(tmp_path / f"killed {step}" for step in steps)]
    for run, copy, step in zip([whole, *killed], killed, steps, strict=False):
        copied_in(f"save:0:{step}", copy, monkeypatch, *flags, f"--train_log_dir={run}")
        assert (copy / "checkpoints" / f"ckpt-{step}.index").exists()
    train(*flags, f"--train_log_dir={killed[-1]}")
    for folder in killed:
        assert_same_training(folder, whole)
    kept = sorted(path.relative_to(whole) for path in whole.glob("curricula/*"))
    assert bool(kept) == (case == "mentornet_dd")
    for path in kept:
        expected, *found = (learned.load(folder / path).network.get_weights() for folder in (whole, *killed))
        for weights in found:
            for a, b in zip(weights, expected, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_run_whose_newest_checkpoint_is_damaged_ends_like_an_uninterrupted_one(tmp_path, monkeypatch):
    """Its rows and those of the hold-out go back to the checkpoint before."""
    flags = [*DATA, *SHORT, *REGULARISED, "--method=reed", "--holdout_examples=100", "--max_number_of_steps=16"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    copied_in("save:0:12", killed, monkeypatch, *flags, f"--train_log_dir={whole}")
    assert row_count(killed) == 3
    os.truncate(killed / "checkpoints" / "ckpt-12.data-00000-of-00001", 1000)
    train(*flags, f"--train_log_dir={killed}")
    assert_same_training(killed, whole)
    assert (killed / "holdout.csv").read_bytes() == (whole / "holdout.csv").read_bytes()


def test_a_first_run_gives_transition_matrix_confusion_and_weights_to_start_from(tmp_path):
    from flags import configuration
    from flags.build import first_run
    from flags.build import in_memory as build
    from mentornet import transition

    first = tmp_path / "first"
    train(*DATA, *SHORT, *REGULARISED, f"--train_log_dir={first}")
    baseline = [f"--baseline_run={first}"]

    def built(*flags: str):
        config = configuration.parse(["train_cifar.py", *DATA, *SHORT, f"--train_log_dir={tmp_path / 'x'}", *flags])
        loaded = build.set_apart(build.load_data(config.data), config.clean, config.data.noise_seed)
        network = build.student(config.student, loaded, 0)
        return build.method(config, network, loaded), loaded, build.ordered_batches

    student = first_run.student_of(str(first))
    method, loaded, _ = built("--method=forward_correction", *baseline)
    images = (loaded.train.images / 255.0).astype(np.float32)
    std = np.maximum(images.std(axis=(1, 2, 3)), 1 / np.sqrt(images[0].size))
    images = (images - images.mean(axis=(1, 2, 3), keepdims=True)) / std[:, None, None, None]
    logits = student(images, training=False).numpy().astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = transition.estimated(p)
    np.testing.assert_allclose(np.exp(method._log_columns.numpy()).T, expected, atol=1e-4)
    method, loaded, _ = built("--method=s_model", "--noise_layer_smoothing=0.01", *baseline)
    confusion = np.zeros((10, 10))
    for predicted, given in zip(p.argmax(axis=1), loaded.labels.given, strict=True):
        confusion[predicted, given] += 1
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares[confusion.sum(axis=1) == 0] = np.eye(10)[confusion.sum(axis=1) == 0]
    np.testing.assert_allclose(method.transition_matrix(), 0.99 * shares + 0.001, atol=1e-4)
    method, _, _ = built("--method=clean_only", *CLEAN, *baseline)
    for a, b in zip(method.student.trainable_weights, student.trainable_weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--method=l2rw", "--clean_examples=1437"], "there are 1437 training images"),
        (["--method=l2rw", "--clean_examples=12"], "has none of class"),
        (["--method=l2rw", "--clean_examples_per_class=500"], "has only"),
        (
            ["--method=l2rw", "--clean_examples=50", "--clean_batch_size=60"],
            "There are 50 clean images, fewer than the 60",
        ),
        (["--method=forward_correction", "--transition_matrix={tmp}/small.csv"], "2 x 2, but 10 classes need 10 x 10"),
        (["--method=forward_correction", "--transition_matrix={tmp}/rows.csv"], "sums to 2"),
        (["--method=forward_correction", "--transition_matrix={tmp}/text.csv"], "comma-separated numbers for every"),
        (["--method=forward_correction", "--transition_matrix={tmp}/empty.csv"], "empty.csv is no matrix of numbers"),
        (["--method=forward_correction", "--transition_matrix={tmp}/ragged.csv"], "ragged.csv is no matrix of numbers"),
        (["--method=forward_correction", "--transition_matrix={tmp}/vector.npy"], "vector.npy is no matrix of numbers"),
        (["--method=forward_correction", "--transition_matrix={tmp}/absent.npy"], "there is no such file"),
        (["--method=forward_correction", "--transition_matrix={tmp}/matrix.pkl"], "give a .csv or .npy file"),
        (["--method=clean_only", "--clean_examples=50", "--baseline_run={tmp}/none"], "none is no run folder"),
        (["--holdout_examples=1437"], "hold-out of 1437"),
        (
            ["--method=l2b", "--clean_source=mixture", "--clean_batch_size=5000"],
            "asked for 5000 samples a step, but has 1437 training samples",
        ),
        (["--method=hard_mining", "--positive_label=11"], "positive_label=11, but the classes are 0 to 9"),
        (["--method=backward_correction", "--transition_matrix={tmp}/flat.csv"], "can't be inverted: use forward"),
        (
            ["--curriculum=self_paced", "--explicit_curriculum", "--balanced_batches"],
            "--balanced_batches may draw a sample twice, but the curriculum 'self_paced' keeps values",
        ),
        (["--curriculum=prediction_variance", "--balanced_batches"], "--balanced_batches may draw a sample twice"),
        (["--noise_type=background", "--noise_class=10"], "The background class is 10, but the classes are 0 to 9"),
    ],
)
def test_bad_data_gets_one_sentence(flags, sentence, tmp_path, capfd):
    import tensorflow as tf

    from flags import configuration
    from flags.commands import tasks

    tf.constant(0)
    capfd.readouterr()  # what TensorFlow has to say about the machine before its first operation
    np.savetxt(tmp_path / "small.csv", np.eye(2), delimiter=",")
    np.savetxt(tmp_path / "rows.csv", 2 * np.eye(10), delimiter=",")
    np.savetxt(tmp_path / "flat.csv", np.full((10, 10), 0.1), delimiter=",")
    (tmp_path / "text.csv").write_text("a,b\n1,0\n0,1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "ragged.csv").write_text("1,0\n1\n")
    np.save(tmp_path / "vector.npy", np.ones(10))
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    config = configuration.parse(["train_cifar.py", *DATA, *SHORT, f"--train_log_dir={tmp_path / 'run'}", *flags])
    with pytest.raises(SystemExit) as stopped:
        tasks.run_script("train_cifar.py", config)
    error = capfd.readouterr().err
    assert stopped.value.code == 1
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_every_method_has_a_resume_case():
    from mentornet import methods

    counted = {name for name in methods.names() if methods.get(name).counts_epochs}  # are killed in tests of their own
    assert {case.split()[0] for case in METHODS} == set(methods.names()) - {"standard", "spade"} - counted
    assert (ROOT / "train_cifar.py").is_file()


def test_a_corrected_loss_that_falls_without_bound_ends_the_training(tmp_path):
    """The matrix says that almost half of each class are labelled as the next, and they are not."""
    from mentornet.training.callbacks import TrainingDiverged

    np.savetxt(tmp_path / "wrong.csv", 0.52 * np.eye(10) + 0.48 * np.roll(np.eye(10), 1, axis=1), delimiter=",")
    flags = ["--method=backward_correction", f"--transition_matrix={tmp_path / 'wrong.csv'}", "--learning_rate=0.5"]
    length = ["--max_number_of_steps=200", "--eval_every_steps=100", "--batch_size=32", "--studentnet=s2e_mlp"]
    with pytest.raises(TrainingDiverged, match=r"beyond 1e\+08, at step \d+: .* --method=forward_correction"):
        train(*DATA, *length, *flags, f"--train_log_dir={tmp_path / 'run'}")
    assert not (tmp_path / "run" / "result.json").exists()
