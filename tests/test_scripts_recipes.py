"""The recipe writer and runner: files in the tree are what the script gives; tables against hand-made results."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from flags import train_flags

ROOT = Path(__file__).resolve().parents[1]


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_recipes_in_the_tree_are_what_the_script_writes():
    written = dict(load("make_recipes").recipes())
    for path, text in written.items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"run scripts/make_recipes.py: {path} is old"
    for folder in {path.parent for path in written}:
        assert {path for path in written if path.parent == folder} == {
            path.relative_to(ROOT) for path in (ROOT / folder).glob("*.flags")
        }


def test_a_full_scale_recipe_has_the_papers_settings():
    recipe = ROOT / "flags/recipes/icml_table2/inception_cifar100_0.8_mentornet_pd.flags"
    config = train_flags.parse(["train_cifar.py", f"--flagfile={recipe}", "--train_log_dir=t"])
    assert (config.data.dataset_name, config.data.noise_type, config.data.noise_fraction) == (
        "cifar100",
        "uniform",
        0.8,
    )
    assert (config.run.max_steps, config.data.batch_size) == (120_000, 128)
    assert (config.student.name, config.student.weight_decay) == ("inception", 4e-3)
    assert config.student.dropout_keep_probability == 0.5
    assert config.student.boundaries(390.0) == (78_000,)
    assert config.method.curriculum == "mentornet_pd"
    assert config.method.options["loss_moving_average_decay"] == 0.95
    assert "expected accuracy on clean validation: .16" in recipe.read_text()


def test_the_table_of_several_seeds(tmp_path):
    runner = load("run_recipes")
    recipes = [tmp_path / "a.flags", tmp_path / "b.flags"]
    for recipe, seed, accuracy in ((recipes[0], 0, 0.5), (recipes[0], 1, 0.6), (recipes[1], 0, 0.4)):
        folder = runner.folder_of(recipe, seed, tmp_path)
        folder.mkdir()
        result = dict.fromkeys(runner.FIGURES, accuracy) | {"seconds": 120.0, "weights_auc": None}
        (folder / "result.json").write_text(json.dumps(result))
    runner.write_table(tmp_path / "table.csv", recipes, [0, 1], tmp_path)
    with open(tmp_path / "table.csv", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (first["recipe"], first["seeds"]) == ("a", "2")
    assert float(first["accuracy_last"]) == pytest.approx(0.55)
    assert float(first["accuracy_last_std"]) == pytest.approx(0.0707107, abs=1e-5)  # sample deviation of .5 and .6
    assert (second["seeds"], second["accuracy_last_std"], second["weights_auc"]) == ("1", "", "")
    text = (tmp_path / "table.md").read_text()
    assert "| a | 2 | 55.0 ± 7.1 |" in text
    assert "| b | 1 | 40.0 |" in text


def settings(path: str) -> train_flags.Config:
    recipe = ROOT / "flags/recipes" / path
    return train_flags.parse(["train_cifar.py", f"--flagfile={recipe}", "--train_log_dir=t"])


def test_recipes_of_l2rw_have_its_settings():
    """Table 1: 60,000 steps of WRN-28-10, table 2: 80,000 of ResNet-32 or 60,000; batch 100, decay 2e-4."""
    first, second, stopped, tuned = (
        settings(f"l2rw_table{path}.flags")
        for path in ("1/cifar100_l2rw", "2/cifar10_l2rw", "2/cifar10_reed_hard_es", "1/cifar10_random_ft")
    )
    for config in (first, second, stopped):
        assert (config.data.batch_size, config.student.learning_rate, config.student.weight_decay) == (100, 0.1, 2e-4)
        assert (config.data.noise_fraction, config.data.noise_variant) == (0.4, "author")
    assert (first.student.name, first.student.dropout_keep_probability) == ("wrn28_10", 0.7)
    assert (first.run.max_steps, first.student.learning_rate_boundaries) == (60_000, (40_000, 50_000))
    assert (first.clean.clean_examples, first.data.noise_type) == (1000, "uniform")
    assert (second.student.name, second.data.noise_type) == ("resnet32", "background")
    assert (second.run.max_steps, second.student.learning_rate_boundaries) == (80_000, (40_000, 60_000))
    assert second.clean.clean_examples_per_class == 10
    assert stopped.run.max_steps == 60_000
    assert (tuned.run.max_steps, tuned.student.learning_rate) == (5000, 0.001)
    assert tuned.student.learning_rate_boundaries == ()
    assert "86.92 ± 0.19" in (ROOT / "flags/recipes/l2rw_table1/cifar10_l2rw.flags").read_text()


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


def test_the_twins_hold_every_method_under_both_noises():
    from mentornet import methods

    for noise in ("uniform", "background"):
        found = [settings(f"cpu/{path.name}") for path in (ROOT / "flags/recipes/cpu").glob(f"methods_{noise}_*.flags")]
        assert {config.method.name for config in found} == set(methods.names())
        budgets = {(c.student.name, c.run.max_steps, c.data.batch_size, c.student.learning_rate) for c in found}
        assert len(budgets) == 1
        assert {config.data.noise_type for config in found} == {noise}
