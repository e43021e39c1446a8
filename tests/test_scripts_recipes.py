"""The recipes: files in the tree are what the declarations give, with the papers' settings; no two share a folder."""

from __future__ import annotations

import re
from pathlib import Path

from flags import configuration
from scripts import tables
from scripts.reproduction import jobs

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "flags/recipes").rglob("*.flags"))


def test_recipes_in_the_tree_are_what_the_declarations_say():
    written = tables.recipes()
    old = [path for path, text in written.items() if (ROOT / path).read_text(encoding="utf-8") != text]
    assert not old, "run python scripts/reproduce.py write"
    assert set(written) == {path.relative_to(ROOT) for path in RECIPES}


def test_every_recipe_is_a_cell_and_says_by_which_command_it_runs():
    cells = [cell for table in tables.tables().values() if not table.apart for cell in tables.cells(table.name)]
    assert {cell.recipe for cell in cells} - {None} == set(tables.recipes())
    assert all(job.needs() is not None for job in (jobs.Job(cell, 0, ROOT) for cell in cells))
    assert {cell.script for cell in cells} == {
        "train_cifar.py",
        "train_imagenet.py",
        "scripts/search_schedule.py",
        "scripts/mentornet_dd.py",
    }
    assert {cell.output for cell in cells if cell.script == "scripts/search_schedule.py"} == {"--output"}
    webvision = next(cell for cell in cells if cell.table == "icml_table5_mini")
    assert webvision.data == ("--data_dir=WEBVISION", "--ilsvrc_dir=IMAGENET")


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


def settings(path: str) -> configuration.Config:
    """Of the training that a recipe describes; a search's own flags are left out."""
    lines = (ROOT / "flags/recipes" / path).read_text(encoding="utf-8").splitlines()
    given = [line for line in lines if line.startswith("--") and not line.startswith(("--space=", "--trial_"))]
    return configuration.parse(["train_cifar.py", *given, "--train_log_dir=t"])


def test_no_two_recipes_write_to_the_same_folder_and_first_runs_are_those_of_the_same_table():
    def value(text: str, flag: str) -> str | None:
        found = re.findall(rf"--{flag}=(\S+)", text)  # the last one: of its own command, behind a pre-training's
        return found[-1] if found else None

    texts = {path: path.read_text(encoding="utf-8") for path in RECIPES}
    command = re.compile(r"^# command: .* --(?:train_log_dir|output)=(\S+)$", re.MULTILINE)
    written = {command.search(text)[1]: path for path, text in texts.items()}
    assert len(written) == len(RECIPES)
    later = {path: first for path, text in texts.items() if (first := value(text, "baseline_run"))}
    # +FT in both tables of L2RW, +CONF in the second; three for a CPU under each noise, and tuned; F-correction in
    # S2E's figure 3; +FT in L2RW's figures 4 and 5
    assert len(later) == 2 * (2 + 2 + 5) + 2 * 3 + 4 * 3 + 3 * 3 + 2 * 5 + 2 * 5
    for path, first in later.items():
        before = written[first]
        assert before.parent == path.parent
        assert f"First run the recipe {before.name} of this folder" in texts[path]
        own, earlier = (settings(str(file.relative_to(ROOT / "flags/recipes"))) for file in (path, before))
        assert own.data == earlier.data  # the same images with the same noise
        assert own.student.name == earlier.student.name


def test_every_method_and_curriculum_is_tuned_under_every_noise():
    from mentornet import curricula, methods
    from scripts.tables import cpu_tuned

    own = [dict(flag.lstrip("-").partition("=")[::2] for flag in tuned.own) for tuned in cpu_tuned.METHODS.values()]
    used = {flags.get("method", "spade") for flags in own}
    assert used == set(methods.names()) - {"simclr"}  # which pre-trains
    formulas = {flags["curriculum"].partition(":")[0] for flags in own if "curriculum" in flags}
    assert formulas == set(curricula.names()) - {"none"} | {"mentornet_dd"}
    stems = {path.stem for path in (ROOT / "flags/recipes/cpu_tuned").glob("*.flags")}
    rows = {*cpu_tuned.METHODS, cpu_tuned.FIRST}
    assert stems == {f"{noise}_{row}" for noise in ("uniform", "asymmetric", "human", "background") for row in rows}
    for row, tuned in cpu_tuned.METHODS.items():
        values = tuned.grid.partition("=")[2]
        assert len(values.split("|" if "|" in values else ",")) == 3, row  # the same budget


def test_the_twins_hold_every_method_under_both_noises():
    from mentornet import methods

    for noise in ("uniform", "background"):
        found = [settings(f"cpu/{path.name}") for path in (ROOT / "flags/recipes/cpu").glob(f"methods_{noise}_*.flags")]
        assert {config.method.name for config in found} == set(methods.names()) - {"simclr"}  # which pre-trains
        lengths = [config.run.max_steps or 100 * config.run.num_epochs for config in found]  # 10,000 images, 100 a step
        students = {(config.student.name, config.data.batch_size, config.student.learning_rate) for config in found}
        assert len(students) == len(set(lengths)) == 1
        assert {config.data.noise_type for config in found} == {noise}
