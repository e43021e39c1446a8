"""What a run tells of its transition matrix: the file of its end, its error, its picture, its place in reports."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mentornet import files, reading, transition
from mentornet.methods import NoisyLabelMethod
from mentornet.reports import plots, report
from mentornet.runs.run_data import RunData
from tests.run_folders import make_run
from tests.test_flags_build_preparation import FLAGS, Stopped, stop_after
from tests.test_train_cifar_methods import train

MATRIX = np.array([[0.9, 0.1, 0.0], [0.0, 0.6, 0.4], [0.25, 0.25, 0.5]])


def test_errors_of_an_estimate_by_hand():
    """T has the rows (3/4, 1/4, 0) and (0, 0, 1); nothing is known of class 1."""
    estimate = [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.2, 0.0, 0.8]]
    found = transition.errors(estimate, [0, 0, 0, 0, 2], [0, 0, 0, 1, 2])
    assert found == {
        "transition_l1_error": pytest.approx(0.9 / 2),
        "transition_mean_absolute_error": pytest.approx(0.9 / 6),
    }
    assert transition.errors(np.eye(3)[[1, 2, 0]], [0, 1, 2], [0, 1, 2])["transition_l1_error"] == 2


def counted(folder) -> np.ndarray:
    """T of the labels a run trained on."""
    labels = np.load(folder / "labels.npz", allow_pickle=False)
    counts = np.zeros((10, 10))
    for true, given in zip(labels["clean"], labels["given"], strict=True):
        counts[true, given] += 1
    return counts / counts.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_ends_with_what_its_noise_layer_learned(stopped, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    flags = [*FLAGS, "--learning_rate=1", "--method=s_model", f"--train_log_dir={folder}"]
    if stopped:
        with monkeypatch.context() as patch:
            stop_after(3, patch)
            with pytest.raises(Stopped):
                train(*flags)
        assert not (folder / "transition_matrix_final.csv").exists()
    result = train(*flags)
    free = tf.train.load_variable(str(folder / "checkpoints"), "method/noise_logits/.ATTRIBUTES/VARIABLE_VALUE")
    expected = np.exp(free) / np.exp(free).sum(axis=1, keepdims=True)
    assert np.abs(expected - 0.9 * np.eye(10) - 0.01).max() > 1e-4  # it did learn
    found = np.loadtxt(folder / "transition_matrix_final.csv", delimiter=",")
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    difference = np.abs(found - counted(folder))
    assert result["transition_l1_error"] == pytest.approx(difference.sum() / 10)
    assert result["transition_mean_absolute_error"] == pytest.approx(difference.mean())
    assert (folder / "transition_matrix.png").is_file()
    assert not (folder / "transition_matrix.csv").exists()  # it began with none


def test_a_correction_with_the_true_matrix_has_no_error(tmp_path):
    result = train(
        *FLAGS, "--method=forward_correction", "--transition_matrix=true", f"--train_log_dir={tmp_path / 'run'}"
    )
    assert result["transition_l1_error"] == pytest.approx(0, abs=1e-12)
    found = np.loadtxt(tmp_path / "run" / "transition_matrix_final.csv", delimiter=",")
    np.testing.assert_allclose(found, counted(tmp_path / "run"), atol=1e-12)


def test_other_methods_leave_no_matrix(tmp_path):
    result = train(*FLAGS, f"--train_log_dir={tmp_path / 'run'}")
    assert not [name for name in result if "transition" in name]
    assert not list((tmp_path / "run").glob("transition*"))
    assert NoisyLabelMethod.transition_matrix(None) is None


def heat_maps(figure) -> dict[str, np.ndarray]:
    return {axes.get_title(): axes.images[0].get_array() for axes in figure.axes if axes.images}


def test_the_picture_shows_both_matrices_row_by_row(tmp_path, drawn):
    workdir = make_run(tmp_path / "run")
    files.write_matrix(workdir.final_matrix_file, np.tile(MATRIX, (4, 4))[:10, :10])
    run = RunData.load(tmp_path / "run")
    plots.draw_run(run)
    figure = drawn["transition_matrix.png"]
    maps = heat_maps(figure)
    np.testing.assert_array_equal(maps["the method's matrix"], np.tile(MATRIX, (4, 4))[:10, :10])
    true, given = run.samples["clean_label"], run.samples["given_label"]
    truth = maps["counted in the true labels"]
    assert truth[4, 7] == pytest.approx(np.mean(given[true == 4] == 7))
    assert truth[7, 4] == 0  # make_run adds 3
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written[:3] == ["0.90", "0.10", "0.00"]
    assert len(written) == 100
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("given label", "true label")


def test_the_picture_of_many_classes_without_true_labels(tmp_path, drawn):
    workdir = make_run(tmp_path / "run", clean_known=False, finished=False)
    files.write_matrix(workdir.matrix_file, np.eye(40))  # what the run was made with, until there is a final one
    plots.draw_run(RunData.load(tmp_path / "run"))
    assert list(heat_maps(drawn["transition_matrix.png"])) == ["the method's matrix"]
    assert not drawn["transition_matrix.png"].axes[0].texts


def test_reports_draw_the_matrix_and_show_its_error(tmp_path):
    make_run(tmp_path / "plain", method="standard")
    workdir = make_run(tmp_path / "s_model", method="s_model")
    files.write_matrix(workdir.final_matrix_file, np.eye(10))
    workdir.write_result({"steps": 500, "transition_l1_error": 0.1234})
    text = report.write_report([tmp_path / "plain", tmp_path / "s_model"])
    assert "T error" in text.splitlines()[0]
    assert "0.123" in text
    assert (tmp_path / "s_model" / "transition_matrix.png").is_file()
    assert not (tmp_path / "plain" / "transition_matrix.png").exists()
    written = (tmp_path / "report.md").read_text()
    assert "(s_model/transition_matrix.png)" in written
    assert "(plain/transition_matrix.png)" not in written


@pytest.mark.parametrize("content", ["a,b\n", "1,2\n3\n"])
def test_a_damaged_matrix_is_one_sentence(content, tmp_path):
    workdir = make_run(tmp_path / "run")
    workdir.final_matrix_file.write_text(content)
    with pytest.raises(ValueError, match=r"transition_matrix_final\.csv: it is no matrix of numbers"):
        RunData.load(tmp_path / "run")


def test_a_written_matrix_keeps_all_its_digits(tmp_path):
    matrix = np.random.default_rng(0).dirichlet(np.ones(5), 5)
    files.write_matrix(tmp_path / "matrix.csv", matrix)
    np.testing.assert_array_equal(reading.read_matrix(tmp_path / "matrix.csv"), matrix)
