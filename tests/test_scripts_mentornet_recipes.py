"""Recipes with a MentorNet: what they drop, and from what it is to be learned."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from flags import configuration
from scripts import mentornet_dd

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "flags" / "recipes"
DATA_DRIVEN = sorted(
    path.relative_to(RECIPES).as_posix()
    for path in RECIPES.rglob("*.flags")
    if path.parent.name != "cpu_tuned"  # of scripts/search_schedule.py
    and ("--fixed_epoch_after_burn_in" in path.read_text() or "--curriculum=mentornet_dd" in path.read_text())
)
CARRIED = [name for name in DATA_DRIVEN if "cifar100" in name]


def parsed(recipe: str):
    command = ["train_cifar.py", f"--flagfile={RECIPES / recipe}", "--data_dir=d", "--train_log_dir=t"]
    return configuration.parse(command)


def test_there_are_such_recipes():
    assert (len(DATA_DRIVEN), len(CARRIED)) == (12, 6)


@pytest.mark.parametrize("recipe", DATA_DRIVEN)
def test_half_of_a_batch_is_dropped_during_burn_in_alone(recipe):
    options = parsed(recipe).method.options
    assert options["fixed_epoch_after_burn_in"]
    rates, burn_in = options["example_dropout_rates"], options["burn_in_epoch"]
    assert set(rates[: min(burn_in, 20)]) == {0.5}
    assert set(rates[burn_in:]) == {0.05}


@pytest.mark.parametrize("recipe", CARRIED)
def test_the_head_says_at_which_scale_its_mentornet_is_learned(recipe):
    config, head = parsed(recipe), (RECIPES / recipe).read_text()
    command = re.search(r"python scripts/mentornet_dd\.py (.*)$", head, re.MULTILINE)
    given = dict(token.split("=", 1) for token in shlex.split(command[1]) if "=" in token)
    assert float(given["--noise_fraction"]) == config.data.noise_fraction
    assert config.method.curriculum == f"{given['--output']}/mentornet"
    assert config.student.name == re.search(r"--studentnet=(\S+)", given["--flags"])[1]
    assert given["--train_examples"] == "0"
    steps = int(given["--steps"]) * mentornet_dd.DUMP_EPOCH // 100
    assert f"{steps:,} steps of 128" in head
    assert steps * 128 / 50_000 == pytest.approx(18, abs=0.1)
    assert config.method.options["burn_in_epoch"] == mentornet_dd.DUMP_EPOCH
    assert config.method.fixed_label == 0


@pytest.mark.parametrize("recipe", CARRIED[::3])
def test_the_command_of_the_head_trains_that_student_on_all_images(recipe):
    head = (RECIPES / recipe).read_text()
    given = dict(re.findall(r"--(\w+)=('[^']*'|\S+)", head[head.index("scripts/mentornet_dd.py") :].splitlines()[0]))
    chosen = argparse.Namespace(
        noise_fraction=float(given["noise_fraction"]),
        data_dir="d",
        seed=0,
        train_examples=int(given["train_examples"]),
        trusted=5_000,
        experts="",
        percentiles="75",
        steps=int(given["steps"]),
        mentor_steps=30_000,
        learn_only=True,
        flags=given["flags"].strip("'"),
    )
    commands = dict(mentornet_dd.stages(chosen, Path("o")))
    first, dumped = (configuration.parse(commands[name]) for name in ("student", "dump"))
    for config in (first, dumped):
        assert config.student.name == parsed(recipe).student.name
        assert (config.data.train_examples, config.data.augmentation) == (0, "cifar")
    assert (first.run.max_steps, dumped.run.dump_examples) == (7_020, 5_000)
