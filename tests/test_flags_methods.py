"""The flags of the compared methods: refusals before any work, and what they add to a run's identity."""

from __future__ import annotations

import json
import re

import pytest

from flags import configuration
from tests.test_train_cifar_methods import DATA

L2B = ["--method=l2b", "--clean_examples=50"]
BAD = {
    "clean labels missing": (["--method=l2rw"], "needs samples with true labels: give --clean_examples"),
    "checked images unused": (["--clean_labels_file=a.csv"], "does not use --clean_labels_file=a.csv"),
    "checked images and mixture": (
        ["--method=l2b", "--clean_source=mixture", "--clean_labels_file=a.csv"],
        "works without clean labels: leave --clean_labels_file out",
    ),
    "two sizes": (["--method=l2b", "--clean_examples=10", "--clean_examples_per_class=1"], "not both"),
    "clean set unused": (["--method=reed", "--clean_examples=10"], "--method=reed does not use --clean_examples=10"),
    "mixture for l2rw": (["--method=l2rw", "--clean_source=mixture"], "belongs to --method=l2b"),
    "mixture with a set": (
        ["--method=l2b", "--clean_source=mixture", "--clean_examples=10"],
        "leave --clean_examples out",
    ),
    "another method's flag": (["--method=l2rw", "--clean_examples=50", "--reed_beta=0.5"], "does not use --reed_beta"),
    "with spade": (["--curriculum=none", "--clip_norm=0.5"], "--method=spade does not use --clip_norm"),
    "curriculum with l2rw": (
        ["--method=l2rw", "--clean_examples=50", "--curriculum=none"],
        "does not use --curriculum",
    ),
    "beta": (["--method=reed", "--reed_beta=1.5"], "--reed_beta=1.5 must be at least 0 and at most 1"),
    "clip": (["--method=l2b", "--clean_examples=50", "--clip_norm=0"], "--clip_norm=0 must be above 0"),
    "no limit": (
        ["--method=l2b", "--clean_examples=50", "--clip_norm=inf"],
        "--clip_norm=inf must be a finite number",
    ),
    "no number": (
        ["--method=l2b", "--clean_examples=50", "--clip_norm=nan"],
        "--clip_norm=nan must be a finite number",
    ),
    "temperature": (["--method=l2b", "--clean_examples=50", "--l2b_temperature=10"], "l2b_normalisation=softmax"),
    "no matrix": (["--method=forward_correction"], "needs a transition matrix"),
    "two matrices": (
        ["--method=s_model", "--transition_matrix=true", "--baseline_run=x"],
        "both give the transition matrix",
    ),
    "matrix of nobody": (["--method=reed", "--transition_matrix=true"], "does not use --transition_matrix"),
    "two counts": (["--method=hard_mining", "--kept_share=0.5", "--positive_label=1"], "give one of them"),
    "smoothing": (["--method=s_model", "--noise_layer_smoothing=5"], "=5 must be above 0 and below 1"),
    "smoothing of 1": (["--method=s_model", "--noise_layer_smoothing=1"], "=1 must be above 0 and below 1"),
    "outliers": (
        ["--method=forward_correction", "--baseline_run=x", "--transition_outlier_share=1"],
        "--transition_outlier_share=1 must be at least 0 and below 1",
    ),
    "outliers of a given matrix": (
        ["--method=forward_correction", "--transition_matrix=true", "--transition_outlier_share=0.1"],
        "give --baseline_run",
    ),
    "fixed normalisation": (
        [*L2B, "--l2b_ablation=alpha_plus_beta_one", "--l2b_normalisation=softmax"],
        "fixes the normalisation",
    ),
    "fixed scope": ([*L2B, "--l2b_ablation=alpha_plus_beta_one", "--l2b_scope=separate"], "fixes the normalisation"),
    "mixture of asynchronous workers": (
        ["--method=l2b", "--clean_source=mixture", "--lookahead=none", "--distribution_strategy=parameter_server"],
        "trains in several stages, which workers that don't wait for each other can't do",
    ),
    "endless warm-up": (
        [*L2B, "--warmup_steps=50", "--max_number_of_steps=50"],
        "--warmup_steps=50 leave none of the 50 steps",
    ),
    "decay of nothing": (
        [*L2B, "--clean_decay", "--weight_decay=0"],
        "--clean_decay adds the weight decay, which is 0",
    ),
    "resampling of nothing": (
        ["--method=clean_only", "--clean_examples=50", "--balanced_batches"],
        "--method=clean_only does not use",
    ),
    "class sizes corrected twice": (
        ["--method=class_weights", "--class_weights_rule=share", "--balanced_batches"],
        "--balanced_batches draws the classes equally often, and class weights by size weigh them",
    ),
    "criterion without a hold-out": (["--holdout_criterion=loss"], "give --holdout_examples"),
    "peers of asynchronous workers": (
        ["--method=co_teaching", "--distribution_strategy=parameter_server"],
        "--method=co_teaching trains 2 students that choose for each other, which workers that don't wait",
    ),
    "keep schedule of an unknown kind": (["--method=small_loss", "--keep_schedule=half"], "keep_schedule='half': use"),
    "keep schedule out of range": (
        ["--method=co_teaching", "--keep_schedule=co_teaching:tau=1"],
        "needs tau, the share of wrong labels, in [0, 1)",
    ),
    "unknown method": (["--method=magic"], "unknown method 'magic'"),
    "look-ahead of asynchronous workers": (
        ["--method=l2b", "--clean_examples=50", "--distribution_strategy=parameter_server"],
        "the momentum look-ahead moves the weights that asynchronous workers share: use --lookahead=none",
    ),
    "cosine with boundaries": (
        ["--learning_rate_schedule=cosine", "--learning_rate_boundaries=5"],
        "leave --learning_rate_boundaries out",
    ),
    "variant of symmetric noise": (["--noise_type=symmetric", "--noise_variant=author"], "not for symmetric: leave it"),
    "class of uniform noise": (
        ["--noise_class=3"],
        "--noise_class=3 belongs to --noise_type=background, not to uniform",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_flags_are_refused_before_any_work(case, tmp_path):
    flags, sentence = BAD[case]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        configuration.parse(["train_cifar.py", *DATA, f"--train_log_dir={tmp_path / 'never'}", *flags])
    assert not (tmp_path / "never").exists()


def test_the_method_is_part_of_what_a_folder_was_made_with(tmp_path):
    def identity(*flags: str) -> dict:
        return configuration.parse(["train_cifar.py", *DATA, f"--train_log_dir={tmp_path}", *flags]).identity()

    plain = identity()
    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(identity("--method=standard")))
    for flags in (
        ["--method=l2rw", "--clean_examples=50"],
        ["--method=l2rw", "--clean_examples=60"],
        ["--method=l2rw", "--clean_labels_file=checked.csv"],
        ["--method=l2rw", "--clean_examples=50", "--lookahead=momentum"],
        ["--method=reed"],
        ["--method=reed", "--reed_beta=0.7"],
        ["--holdout_examples=10"],
        ["--holdout_examples=10", "--holdout_criterion=accuracy"],
        ["--balanced_batches"],
    ):
        found = identity(*flags)
        assert found != plain, flags
        plain = found


def test_a_criterion_other_than_the_younger_default_leaves_the_identity_as_it_was():
    """Folders made before there was a choice went by the accuracy."""

    def identity(*flags: str) -> dict:
        return configuration.parse(["train_cifar.py", *DATA, "--train_log_dir=never", *flags]).identity()

    assert "holdout_criterion" not in identity()
    assert "holdout_criterion" not in identity("--holdout_examples=10", "--holdout_criterion=accuracy")
    assert identity("--holdout_examples=10")["holdout_criterion"] == "loss"
