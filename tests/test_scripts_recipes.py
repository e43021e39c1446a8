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
