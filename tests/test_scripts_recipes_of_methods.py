"""The recipes of the tables of L2RW, L2B and DivideMix have the settings that were published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flags import configuration
from tests.test_scripts_recipes import RECIPES, ROOT, settings


def test_recipes_of_l2rw_have_its_settings():
    """Table 1: 60,000 steps of WRN-28-10, table 2: 80,000 of ResNet-32 or 60,000; batch 100, decay 2e-4."""
    first, second, stopped, tuned = (
        settings(f"l2rw_table{path}.flags")
        for path in ("1/cifar100_l2rw", "2/cifar10_l2rw", "2/cifar10_reed_hard_es", "1/cifar10_random_ft")
    )
    for config in (first, second, stopped):
        assert (config.data.batch_size, config.student.learning_rate, config.student.weight_decay) == (100, 0.1, 2e-4)
        assert (config.data.noise_fraction, config.data.noise_variant) == (0.4, "author")
    assert (first.student.name, first.student.dropout_keep_probability) == ("wrn28_10_l2rw", 0.7)
    assert (first.run.max_steps, first.student.learning_rate_boundaries) == (60_000, (40_000, 50_000))
    assert (first.clean.clean_examples, first.data.noise_type) == (1000, "uniform")
    assert (second.student.name, second.data.noise_type) == ("resnet32_l2rw", "background")
    assert (second.run.max_steps, second.student.learning_rate_boundaries) == (80_000, (40_000, 60_000))
    assert second.clean.clean_examples_per_class == 10
    assert stopped.run.max_steps == 60_000
    assert (tuned.run.max_steps, tuned.student.learning_rate) == (5000, 0.001)
    assert tuned.student.learning_rate_boundaries == ()
    assert "86.92 ± 0.19" in (ROOT / "flags/recipes/l2rw_table1/cifar10_l2rw.flags").read_text()


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
@pytest.mark.parametrize(("table", "clean"), [(1, (1000, None)), (2, (None, 10))])
def test_recipes_of_clean_images_alone_have_2000_steps_at_a_constant_rate(dataset, table, clean):
    config = settings(f"l2rw_table{table}/{dataset}_clean_only.flags")
    assert (config.method.name, config.method.options) == ("clean_only", {})
    assert (config.run.max_steps, config.student.learning_rate) == (2000, 0.1)
    assert config.student.boundaries(450.0) == ()
    assert (config.data.batch_size, config.student.weight_decay) == (100, 2e-4)
    assert (config.clean.clean_examples, config.clean.clean_examples_per_class) == clean
    assert config.data.train_examples == 45_000


def test_weighted_says_where_the_released_code_differs():
    """Of the labels b, 1/C are right among 0.4 + 0.6/C; the code writes 0.1 for 1/C."""
    head = (ROOT / "flags/recipes/l2rw_table2/cifar100_weighted.flags").read_text()
    for figure in (0.1 / 0.46, 0.01 / 0.406, 0.1 / 0.406):
        assert f"{figure:.3f}" in head
    assert settings("l2rw_table2/cifar100_weighted.flags").method.options == {"class_weights_rule": "precision"}


def test_recipes_of_l2b_have_its_settings():
    """300 epochs of 49,000 images, 512 or 256 a step; rate 0.15 along a cosine; the clips of the two data sets."""
    ten, hundred = settings("l2b_table1/cifar10_40_l2b.flags"), settings("l2b_table8/cifar100_20_full.flags")
    assert [c.run.max_steps for c in (ten, hundred)] == [300 * (49_000 // 512), 300 * (49_000 // 256)]
    assert [c.method.options["warmup_steps"] for c in (ten, hundred)] == [10 * (49_000 // 512), 10 * (49_000 // 256)]
    assert [c.method.options["clip_norm"] for c in (ten, hundred)] == [0.25, 0.8]
    assert [c.clean.clean_examples_per_class for c in (ten, hundred)] == [100, 10]
    for config in (ten, hundred):
        assert (config.student.name, config.student.weight_decay) == ("preact_resnet18", 5e-4)
        assert (config.student.learning_rate, config.student.learning_rate_schedule) == (0.15, "cosine")
    assert settings("l2b_table1/cifar10_40_l2rw.flags").method.options["ablation"] == "beta_zero"


def test_every_recipe_of_l2b_has_the_data_of_its_name_and_evaluates_every_epoch():
    """All rows train on 49,000 images: the rest of 50,000 beside 1,000 clean ones, or so many noisy ones alone."""
    found = [path for path in RECIPES if path.parent.name in ("l2b_table1", "l2b_table8")]
    assert len(found) == 2 * 4 * 4 + 5 * 2
    for path in found:
        config = settings(str(path.relative_to(ROOT / "flags/recipes")))
        dataset, percent, row = path.stem.split("_", 2)
        assert (config.data.dataset_name, config.data.noise_type) == (dataset, "uniform")
        assert config.data.noise_variant == "paper"  # the own class is among the new labels
        assert config.data.noise_fraction == pytest.approx(int(percent) / 100)
        assert config.data.batch_size == {"cifar10": 512, "cifar100": 256}[dataset]
        assert config.run.eval_every_steps == {"cifar10": 95, "cifar100": 191}[dataset]
        assert config.run.max_steps == 300 * config.run.eval_every_steps
        assert (config.student.learning_rate, config.student.weight_decay) == (0.15, 5e-4)
        head = path.read_text()
        assert "falls with every step here, once an epoch there" in head
        assert ("decay is on kernels only" in head) == (row in ("ce", "bootstrap"))
        if row in ("ce", "bootstrap"):
            assert (config.data.train_examples, config.clean.clean_source) == (49_000, "none")
        else:
            per_class = {"cifar10": 100, "cifar100": 10}[dataset]
            assert (config.data.train_examples, config.clean.clean_examples_per_class) == (0, per_class)
            assert config.clean.clean_batch_size is None  # as many as in the noisy batch
        if row == "bootstrap":
            assert (config.method.options["kind"], config.method.options["beta"]) == ("hard", 0.8)


def test_recipes_of_bootstrapping_and_the_s_model_hold_the_printed_numbers():
    """ICML tables 2 and 3: soft bootstrapping in all twelve cells, the others at 40% with ResNet-101."""
    soft = {path.stem for path in (ROOT / "flags/recipes/icml_table2").glob("*_reed_soft.flags")}
    assert len(soft) == 12
    printed = {
        "icml_table2/resnet101_cifar100_0.2_reed_soft": (".62", "reed", {"kind": "soft"}),
        "icml_table2/resnet101_cifar10_0.4_reed_soft": (".63; table 3 prints .61", "reed", {"kind": "soft"}),
        "icml_table2/inception_cifar100_0.8_reed_soft": (".12", "reed", {"kind": "soft"}),
        "icml_table2/inception_cifar10_0.2_reed_soft": (".78", "reed", {"kind": "soft"}),
        "icml_table3/resnet101_cifar10_0.4_reed_hard": (".62", "reed", {"kind": "hard"}),
        "icml_table3/resnet101_cifar100_0.4_reed_hard": (".47", "reed", {"kind": "hard"}),
        "icml_table3/resnet101_cifar10_0.4_goldberger": (".70", "s_model", {}),
        "icml_table3/resnet101_cifar100_0.4_goldberger": (".46", "s_model", {}),
    }
    for path, (number, method, options) in printed.items():
        config = settings(f"{path}.flags")
        assert (config.method.name, config.method.options) == (method, options)
        head = (ROOT / f"flags/recipes/{path}.flags").read_text()
        stated = re.search(r"^# expected accuracy on clean validation: (.*)$", head, re.MULTILINE)[1]
        assert stated.partition("; the preprint's")[0] == number
        student, dataset, noise, _ = Path(path).name.split("_", 3)
        assert (config.student.name, config.data.dataset_name) == (student, dataset)
        assert (config.data.noise_type, config.data.noise_fraction) == ("uniform", float(noise))
        assert config.run.max_steps == {"resnet101": 39_000, "inception": 120_000}[student]


def test_dividemix_has_the_settings_of_the_released_codes():
    def settings(name: str):
        flagfile = f"--flagfile={ROOT / 'flags/recipes' / name}"
        return configuration.parse(["train_cifar.py", flagfile, "--train_log_dir=t"]).resolved(50_000)

    plain = settings("l2b_table2/cifar100_90_dividemix.flags")
    inside = settings("l2b_table7/cifar10_20_l2b_dividemix_clean0.flags")
    assert plain.run.num_epochs == inside.run.num_epochs == 300
    assert plain.method.options == {"warmup_epochs": 30, "lambda_u": 150.0, "split_threshold": 0.6}
    assert (plain.data.batch_size, plain.clean.clean_source) == (128, "none")
    rates = plain.student.epoch_rates(300)
    assert rates[149] == 0.02
    assert rates[150] == pytest.approx(0.002)
    assert inside.method.options == {"warmup_epochs": 10, "lambda_u": 0.0, "meta": "l2b", "clip_norm": 0.8}
    assert (inside.data.batch_size, inside.clean.clean_source, inside.clean.clean_batch_size) == (256, "labelled", 128)
    assert settings("l2b_table2/cifar10_50_l2b_dividemix.flags").clean.clean_examples == 1000
    asymmetric = settings("l2b_table3/cifar10_asym40_dividemix.flags")
    assert (asymmetric.data.noise_type, asymmetric.method.options["lambda_u"]) == ("asymmetric", 0.0)
