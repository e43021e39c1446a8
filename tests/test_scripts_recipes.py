"""The recipe writer and runner: files in the tree are what the script gives; tables against hand-made results."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from flags import configuration
from mentornet.runs.workdir import Workdir

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "flags/recipes").rglob("*.flags"))


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
    config = configuration.parse(["train_cifar.py", f"--flagfile={recipe}", "--train_log_dir=t"])
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


@pytest.fixture
def started(monkeypatch):
    """The runner, and the flags of the commands that it started, which finish at once."""
    runner, found = load("run_recipes"), []

    def run(command: list[str], root: Path) -> int:
        found.append({part.split("=")[0]: part.partition("=")[2] for part in command[2:]})
        workdir = Workdir(found[-1]["--train_log_dir"])
        workdir.claim("", configuration.parse(command[1:]).identity())
        workdir.write_result({"seconds": 60})
        return 0

    monkeypatch.setattr(runner.commands, "run", run)
    return runner, found


def test_a_recipe_begins_with_its_baseline_of_the_same_seed(started, tmp_path, capsys):
    runner, commands = started
    tuned = ROOT / "flags/recipes/l2rw_table2/cifar10_s_model_conf.flags"
    assert runner.main([str(tuned), "--seeds=3", f"--output={tmp_path}"]) == 0
    assert [Path(one["--flagfile"]).stem for one in commands] == ["cifar10_baseline", "cifar10_s_model_conf"]
    assert [one["--seed"] for one in commands] == ["3", "3"]
    assert "--baseline_run" not in commands[0]
    assert commands[1]["--baseline_run"] == commands[0]["--train_log_dir"]
    orphan = tmp_path / "orphan.flags"
    orphan.write_text("--method=clean_only\n--baseline_run=runs/elsewhere\n")
    with pytest.raises(SystemExit):
        runner.main([str(orphan), f"--output={tmp_path}"])
    assert "no recipe beside it makes --baseline_run=runs/elsewhere" in capsys.readouterr().err


def test_a_finished_run_of_other_settings_is_no_result_of_the_recipe(started, tmp_path, capsys):
    runner, commands = started
    recipe = [str(ROOT / "flags/recipes/cpu/methods_uniform_plain.flags"), f"--output={tmp_path}"]
    with pytest.raises(SystemExit):
        runner.main([*recipe, "--only_table"])
    assert "no finished run of these recipes" in capsys.readouterr().err
    assert runner.main([*recipe, "--max_number_of_steps=30"]) == 0
    assert len(commands) == 1
    assert runner.main([*recipe, "--max_number_of_steps=30"]) == 0
    assert len(commands) == 1
    assert runner.main(recipe) == 1
    assert "max_steps was 30 and is now 1500" in capsys.readouterr().err
    assert len(commands) == 1
    assert runner.main([*recipe, "--only_table"]) == 0


def test_a_finished_run_whose_length_is_in_epochs_is_known_again(started, tmp_path, capsys):
    """What it was claimed with has the steps; the command line that is compared has the epochs."""
    runner, commands = started
    recipe = tmp_path / "epochs.flags"
    recipe.write_text("--num_epochs=3\n--batch_size=10\n")
    assert runner.main([str(recipe), f"--output={tmp_path}"]) == 0
    folder = Path(commands[0]["--train_log_dir"])
    trained = configuration.parse(["x", f"--flagfile={recipe}", "--seed=0", f"--train_log_dir={folder}"]).resolved(70)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "identity": trained.identity()}))
    Workdir(folder).save_labels(np.zeros(70, np.int32))
    assert runner.main([str(recipe), f"--output={tmp_path}"]) == 0
    assert len(commands) == 1
    assert runner.main([str(recipe), f"--output={tmp_path}", "--num_epochs=4"]) == 1
    assert "max_steps was 21 and is now 28" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["{cpu}/methods_uniform_plain.flags", "absent.flags"], "there is no flagfile absent.flags"),
        (["{cpu}/methods_uniform_plain.flags", "--seeds=0,x"], "--seeds=0,x: expected whole numbers"),
    ],
)
def test_mistakes_are_told_before_any_run(given, sentence, started, tmp_path, capsys):
    runner, commands = started
    with pytest.raises(SystemExit):
        runner.main([f"--output={tmp_path}", *(part.format(cpu=ROOT / "flags/recipes/cpu") for part in given)])
    assert sentence in capsys.readouterr().err
    assert not commands


def test_recipes_of_one_name_in_two_tables_are_two_runs(started, tmp_path):
    """Given together, in two calls, and as the first run of another recipe."""
    runner, commands = started
    first, second = (ROOT / f"flags/recipes/l2rw_table{k}" for k in (1, 2))
    for recipes in ([first / "cifar10_l2rw.flags"], [second / "cifar10_l2rw.flags"]):
        assert runner.main([*map(str, recipes), f"--output={tmp_path}"]) == 0
    assert runner.main([str(first / "cifar10_baseline_ft.flags"), f"--output={tmp_path}"]) == 0
    assert runner.main([*(str(k / "cifar10_baseline.flags") for k in (first, second)), f"--output={tmp_path}"]) == 0
    assert [Path(one["--flagfile"]).relative_to(first.parent).as_posix() for one in commands] == [
        "l2rw_table1/cifar10_l2rw.flags",
        "l2rw_table2/cifar10_l2rw.flags",
        "l2rw_table1/cifar10_baseline.flags",
        "l2rw_table1/cifar10_baseline_ft.flags",
        "l2rw_table2/cifar10_baseline.flags",
    ]
    names = [line.split(",")[0] for line in (tmp_path / "table.csv").read_text().splitlines()]
    assert names == ["recipe", "l2rw_table1/cifar10_baseline", "l2rw_table2/cifar10_baseline"]


def settings(path: str) -> configuration.Config:
    recipe = ROOT / "flags/recipes" / path
    return configuration.parse(["train_cifar.py", f"--flagfile={recipe}", "--train_log_dir=t"])


def test_no_two_recipes_write_to_the_same_folder_and_first_runs_are_those_of_the_same_table():
    def value(text: str, flag: str) -> str | None:
        found = re.findall(rf"--{flag}=(\S+)", text)  # the last one: of its own command, behind a pre-training's
        return found[-1] if found else None

    texts = {path: path.read_text(encoding="utf-8") for path in RECIPES}
    written = {value(text, "train_log_dir") or value(text, "output"): path for path, text in texts.items()}
    assert None not in written
    assert len(written) == len(RECIPES)
    later = {path: first for path, text in texts.items() if (first := value(text, "baseline_run"))}
    # +FT in both tables of L2RW, +CONF in the second; three for a CPU under each noise; F-correction in S2E's figure 3
    assert len(later) == 2 * (2 + 2 + 5) + 2 * 3 + 3 * 3
    for path, first in later.items():
        before = written[first]
        assert before.parent == path.parent
        assert f"First run the recipe {before.name} of this folder" in texts[path]
        own, earlier = (settings(str(file.relative_to(ROOT / "flags/recipes"))) for file in (path, before))
        assert own.data == earlier.data  # the same images with the same noise
        assert own.student.name == earlier.student.name


def test_the_twins_hold_every_method_under_both_noises():
    from mentornet import methods

    for noise in ("uniform", "background"):
        found = [settings(f"cpu/{path.name}") for path in (ROOT / "flags/recipes/cpu").glob(f"methods_{noise}_*.flags")]
        assert {config.method.name for config in found} == set(methods.names()) - {"simclr"}  # which pre-trains
        lengths = [config.run.max_steps or 100 * config.run.num_epochs for config in found]  # 10,000 images, 100 a step
        students = {(config.student.name, config.data.batch_size, config.student.learning_rate) for config in found}
        assert len(students) == len(set(lengths)) == 1
        assert {config.data.noise_type for config in found} == {noise}
