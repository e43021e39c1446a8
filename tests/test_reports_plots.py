"""Plots: the files are pictures of the right size, and what is drawn is what the files of the run say."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from PIL import Image

from mentornet.files import RunFolderError
from mentornet.reports import names, plots
from mentornet.runs.run_data import RunData
from mentornet.runs.samples import read_samples_csv, write_samples_csv
from tests.run_folders import make_run


def lines(axes):
    """Label -> (x, y) of the curves that are in the legend."""
    return {
        line.get_label(): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        for line in axes.lines
        if not str(line.get_label()).startswith("_")
    }


def size(path):
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 5  # something is drawn
        return picture.size


def test_pictures_of_a_finished_run(tmp_path):
    make_run(tmp_path / "run")
    plots.draw_run(RunData.load(tmp_path / "run"))
    assert size(tmp_path / "run" / "accuracy.png") == size(tmp_path / "run" / "loss.png") == (912, 552)
    assert size(tmp_path / "run" / "weights.png") == (1500, 552)  # with the histogram


def test_accuracy_shows_the_table(tmp_path, drawn):
    make_run(tmp_path / "run", accuracy=[0.3, 0.6, 0.55])
    plots.draw_run(RunData.load(tmp_path / "run"))
    curves = lines(drawn["accuracy.png"].axes[0])
    assert curves["test data, clean labels"][0].tolist() == [100, 200, 300]
    assert curves["test data, clean labels"][1].tolist() == [0.3, 0.6, 0.55]
    assert np.ravel(curves["best: 0.600 at step 200"]).tolist() == [200, 0.6]
    assert np.ravel(curves["last: 0.550 at step 300"]).tolist() == [300, 0.55]
    title = drawn["accuracy.png"].get_suptitle()
    assert title == "spade with mentornet_pd · small · digits, uniform 40% noise · seed 1"


def test_the_step_that_a_hold_out_chose_is_marked(tmp_path, drawn):
    workdir = make_run(tmp_path / "run", accuracy=[0.3, 0.6, 0.55])
    workdir.write_result({"early_stopped_step": 100, "accuracy_early_stopped": 0.3})
    plots.draw_run(RunData.load(tmp_path / "run"))
    curves = lines(drawn["accuracy.png"].axes[0])
    assert np.ravel(curves["chosen by the hold-out: 0.300 at step 100"]).tolist() == [100, 0.3]


def test_line_of_right_labels_is_counted_in_samples(tmp_path, drawn):
    make_run(tmp_path / "run")
    run = RunData.load(tmp_path / "run")
    right = np.mean(run.samples["given_label"] == run.samples["clean_label"])
    plots.draw_run(run)
    assert f"share of training labels that are right: {right:.3f}" in lines(drawn["accuracy.png"].axes[0])


def test_weights_and_histogram(tmp_path, drawn):
    make_run(tmp_path / "run")
    run = RunData.load(tmp_path / "run")
    plots.draw_run(run)
    curves, histogram = drawn["weights.png"].axes
    assert set(lines(curves)) == {
        "mean weight, clean labels",
        "mean weight, wrong labels",
        "separation of the two (AUC)",
        "data utilisation (weight > 0.001)",
        "end of burn-in",
    }
    visited = np.isfinite(run.samples["mean_weight"])
    clean = visited & (run.samples["given_label"] == run.samples["clean_label"])
    legend = [text.get_text() for text in histogram.get_legend().get_texts()]
    assert legend == [f"clean labels: {clean.sum()}", f"wrong labels: {visited.sum() - clean.sum()}"]
    heights = [sum(bar.get_height() for bar in bars.patches) for bars in histogram.containers]
    assert heights[:2] == pytest.approx([100, 100])  # per cent of each group


def test_burn_in_ends_at_its_epoch(tmp_path, drawn):
    make_run(tmp_path / "run", accuracy=[0.5] * 10, burn_in_epoch=25, max_number_of_steps=1000)
    plots.draw_run(RunData.load(tmp_path / "run"))
    assert lines(drawn["loss.png"].axes[0])["end of burn-in"][0][0] == 250  # between two rows


def test_curves_that_are_not_known_are_left_out(tmp_path, drawn):
    make_run(tmp_path / "run", clean_known=False)
    plots.draw_run(RunData.load(tmp_path / "run"))
    assert "mean weight, clean labels" not in lines(drawn["weights.png"].axes[0])
    assert not any("right" in label for label in lines(drawn["accuracy.png"].axes[0]))
    legend = [text.get_text() for text in drawn["weights.png"].axes[1].get_legend().get_texts()]
    assert legend == ["all samples: 293"]


def test_pictures_of_an_unfinished_run(tmp_path):
    make_run(tmp_path / "run", accuracy=[], finished=False, samples=False, clean_known=False)
    plots.draw_run(RunData.load(tmp_path / "run"))
    for name in ("accuracy.png", "loss.png", "weights.png"):
        assert size(tmp_path / "run" / name) == (912, 552)


def test_unfinished_runs(tmp_path, drawn):
    make_run(tmp_path / "one", accuracy=[0.4], finished=False, samples=False)
    plots.draw_run(RunData.load(tmp_path / "one"))
    assert "best and last: 0.400 at step 100" in lines(drawn["accuracy.png"].axes[0])
    assert drawn["loss.png"].get_suptitle().endswith("unfinished, step 100")

    make_run(tmp_path / "none", accuracy=[], finished=False, samples=False)
    plots.draw_run(RunData.load(tmp_path / "none"))
    assert [text.get_text() for text in drawn["accuracy.png"].axes[0].texts] == ["no values yet"]


def test_gaps_in_a_column(tmp_path, drawn):
    workdir = make_run(tmp_path / "run", accuracy=[0.3, float("nan"), 0.5])
    plots.draw_run(RunData.load(workdir.path))
    assert lines(drawn["accuracy.png"].axes[0])["test data, clean labels"][0].tolist() == [100, 300]


def test_comparison(tmp_path, drawn):
    for seed in (1, 2):
        make_run(tmp_path / f"pd{seed}", seed=seed, accuracy=[0.1 * seed, 0.4, 0.5])
    make_run(tmp_path / "new", accuracy=[], finished=False, samples=False)
    pd = [RunData.load(tmp_path / "pd1"), RunData.load(tmp_path / "pd2")]
    plots.plot_compare(tmp_path / "compare.png", {"PD": pd, "new " * 40: [RunData.load(tmp_path / "new")]}, "digits")
    curves, points = drawn["compare.png"].axes
    (mean,) = curves.lines
    tables = [run.metrics["eval_accuracy"] for run in pd]
    np.testing.assert_allclose(mean.get_ydata(), (tables[0] + tables[1]) / 2)
    (band,) = curves.collections
    edges = band.get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (min(map(min, tables)), max(map(max, tables)))
    assert mean.get_color() == names.looks(pd[:1])[0][0]
    assert [text.get_text().split("\n")[0][:12] for text in points.get_yticklabels()] == [
        "PD (2 seeds)",
        "new new new ",
    ]


def test_picture_of_a_comparison(tmp_path):
    make_run(tmp_path / "run")
    run = RunData.load(tmp_path / "run")
    plots.plot_compare(tmp_path / "compare.png", {str(k): [run] for k in range(20)}, "t" * 300)
    width, height = size(tmp_path / "compare.png")
    assert width == 1500
    assert height > 20 * 0.3 * 120  # twenty rows need more than the usual height


def test_many_groups_stay_apart(tmp_path, drawn):
    make_run(tmp_path / "run")
    run = RunData.load(tmp_path / "run")
    plots.plot_compare(tmp_path / "compare.png", {str(k): [run] for k in range(23)}, "many")
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn["compare.png"].axes[0].lines}
    assert len(looks) == 23


def test_the_best_comes_first_and_a_method_keeps_its_colour(tmp_path, drawn):
    made = {"standard": 0.5, "co_teaching": 0.7, "dividemix": 0.6}
    for method, value in made.items():
        make_run(tmp_path / method, method=method, curriculum="", accuracy=[value])
    runs = {method: [RunData.load(tmp_path / method)] for method in made}
    plots.plot_compare(tmp_path / "compare.png", runs, "all")
    labels = drawn["compare.png"].axes[1].get_yticklabels()
    assert [label.get_text() for label in labels] == ["co_teaching", "dividemix", "standard"]
    alone = {method: names.looks(runs[method])[0][0] for method in made}
    assert [label.get_color() for label in labels] == [alone[m] for m in ("co_teaching", "dividemix", "standard")]
    assert names.name(runs["standard"][0]) == "plain"


def test_every_method_and_curriculum_has_a_name_and_a_colour_of_its_own():
    from mentornet import curricula, methods

    given = {*methods.names(), "mentornet_pd", "mentornet_dd", "self_paced", "focal_loss", "spcl", "spcl_linear"}
    assert {"spade"} == given - set(names._KNOWN)  # it is called as its curriculum
    assert set(names._KNOWN) <= {*methods.names(), *curricula.names(), "mentornet_dd"}
    assert len({colour for _, colour in names._KNOWN.values()}) == len(names._KNOWN)


def test_equal_weights_have_no_picture(tmp_path):
    workdir = make_run(tmp_path / "plain", method="standard", curriculum="")
    table = read_samples_csv(workdir.samples_file)
    write_samples_csv(
        workdir.samples_file, index=table["index"], given=table["given_label"], predicted=table["predicted_label"],
        mean_weight=np.where(np.isfinite(table["mean_weight"]), 1.0, np.nan), loss=table["loss"],
    )  # fmt: skip
    plots.draw_run(RunData.load(workdir.path))
    assert not (workdir.path / "weights.png").exists()


def test_people_are_told_that_nobody_knows(tmp_path, drawn):
    workdir = make_run(
        tmp_path / "run", dataset_name="folder", noise_type="none", noise_fraction=0.0, clean_known=False
    )
    workdir.write_result({"judged_by": "given labels"})
    run = RunData.load(workdir.path)
    assert "wrong labels unknown" in run.title
    plots.draw_run(run)
    axes = drawn["accuracy.png"].axes[0]
    assert "held-out data, given labels" in lines(axes)
    assert axes.get_ylabel() == "agreement with given labels"


def test_title_of_a_learned_curriculum(tmp_path):
    make_run(tmp_path / "run", curriculum="/models/dd_1/", noise_type="human:worse", finished=False)
    run = RunData.load(tmp_path / "run")
    assert run.title.startswith("spade with dd_1 · small · digits, human:worse noise")
    make_run(tmp_path / "plain", method="standard", curriculum="", noise_type="none")
    assert RunData.load(tmp_path / "plain").title == "standard · small · digits, no noise added · seed 1"


def test_global_state_is_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    make_run(tmp_path / "run")
    plots.draw_run(RunData.load(tmp_path / "run"))
    assert dict(matplotlib.rcParams) == before


def test_unwritable_picture(tmp_path):
    make_run(tmp_path / "run")
    (tmp_path / "run" / "accuracy.png").mkdir()
    with pytest.raises(RunFolderError, match=r"accuracy\.png: a folder of that name"):
        plots.draw_run(RunData.load(tmp_path / "run"))
