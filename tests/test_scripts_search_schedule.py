"""The search command: what its flags mean for the trainings, what it refuses, and a small search from end to end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from absl import flags as absl_flags  # noqa: E402

from flags import configuration  # noqa: E402
from flags import help as help_text  # noqa: E402
from flags.define import search_flags  # noqa: E402
from mentornet.methods.keep_schedule import KeepSchedule  # noqa: E402
from mentornet.runs.metrics_table import MetricsTable  # noqa: E402
from tests import processes  # noqa: E402

SCRIPT = "scripts/search_schedule.py"
RECIPE = "--flagfile=flags/recipes/s2e_fig3/mnist_sym50_co_teaching.flags"
DIGITS = (
    "--dataset_name=digits", "--noise_type=symmetric", "--noise_fraction=0.4", "--studentnet=s2e_mlp",
    "--method=co_teaching", "--num_epochs=4", "--optimizer=adam", "--train_examples=512",
)  # fmt: skip
KEPT = "constant:0.5"
FOCAL = ("--flagfile=flags/recipes/icml_table2/resnet101_cifar10_0.4_focal_loss.flags",)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(processes.ROOT)


def parse(*flags):
    return search_flags.parse([SCRIPT, *flags])


def test_a_recipe_and_a_search_become_trainings():
    plan = parse(RECIPE, "--data_dir=DATA", "--outer=5", "--samples=4", "--output=runs/x", "--trial_epochs=50")
    assert plan.command[:2] == (sys.executable, "train_cifar.py")
    given = set(plan.command[2:])
    assert {"--num_epochs=200", "--noise_seed=0", "--validation=test_half", "--data_dir=DATA"} <= given
    assert not any(flag.startswith(("--keep_schedule", "--train_log_dir", "--flagfile", "--outer")) for flag in given)
    assert plan.trial_flags == ("--num_epochs=50", "--linear_decay_epoch=20")
    assert (plan.trials, plan.samples, plan.epochs, plan.trial_epochs) == (20, 4, 200, 50)
    assert (plan.sampler, plan.study, plan.storage) == ("newton", "x", "runs/x/study.journal")
    assert (plan.column, plan.test_column) == ("eval_validation_accuracy_peer_mean", "eval_accuracy_peer_mean")
    assert plan.training["num_epochs"] == 50
    assert "keep_schedule" not in plan.training
    # What a worker starts is accepted by the script.
    config = configuration.parse([*plan.command[1:], *plan.trial_flags, "--keep_schedule=constant:1",
                                  "--train_log_dir=t"])  # fmt: skip
    assert (config.run.num_epochs, config.student.linear_decay_epoch) == (50, 20)


def test_all_trainings_of_a_search_have_the_same_noise_and_a_validation_set():
    plan = parse(*DIGITS, "--seed=7", "--space=rbf")
    assert {"--noise_seed=7", "--validation=test_half", "--seed=7"} <= set(plan.command)
    own = parse(*DIGITS, "--validation=noisy_holdout", "--holdout_examples=99")
    assert "--validation=noisy_holdout" in own.command
    assert "--validation=test_half" not in own.command
    tuned = parse(*DIGITS, "--space=grid:noise_seed=1,2")
    assert not any(flag.startswith("--noise_seed") for flag in tuned.command)


def test_settings_of_a_recipe_are_searched_too(tmp_path):
    plan = parse(*FOCAL, "--space=grid:gamma=1,2,3")
    assert (plan.sampler, plan.trials, plan.parameters) == ("grid", 3, ("gamma",))
    assert plan.column == "eval_validation_accuracy"
    (flag,) = plan.proposals().flags({"gamma": "3"}, tmp_path, None)
    assert flag == "--curriculum=focal_loss:gamma=3"
    config = configuration.parse([*plan.command[1:], flag, "--train_log_dir=t"])
    assert config.method.curriculum == "focal_loss:gamma=3"
    ranges = parse(*FOCAL, "--space=range:batch_size=32..64;learning_rate=0.01..0.1:log", "--trials=5")
    assert (ranges.sampler, ranges.trials, ranges.integers) == ("tpe", 5, ("batch_size",))
    assert not any(flag.startswith("--batch_size") for flag in ranges.command)


def test_trials_are_shortened_in_steps_with_their_warm_up_and_values_may_have_commas():
    steps = ("--method=co_teaching_plus", "--warmup_epochs=6", "--max_number_of_steps=1500", "--trial_steps=500")
    digits = [flag for flag in DIGITS if not flag.startswith(("--num_epochs", "--method"))]
    plan = parse(
        *digits, *steps, "--space=grid:keep_schedule=co_teaching:tau=0.2,epochs=2|co_teaching:tau=0.4,epochs=2"
    )
    assert (plan.trials, plan.epochs) == (2, None)
    assert plan.trial_flags == ("--max_number_of_steps=500", "--warmup_epochs=2")  # a third of each
    (flag,) = plan.proposals().flags({"keep_schedule": "co_teaching:tau=0.4,epochs=2"}, Path(), None)
    assert flag == "--keep_schedule=co_teaching:tau=0.4,epochs=2"


def test_a_schedule_beside_the_space_that_searches_it_is_refused_and_a_recipes_own_is_told_of():
    own, recipe = f"--keep_schedule={KEPT}", "co_teaching:tau=0.5,epochs=10"

    def said(*given: str) -> str | None:
        return configuration.made_of(
            [SCRIPT, *given], lambda: search_flags.check_command_line(given), search_flags.MODULES
        )

    with pytest.raises(ValueError, match="--keep_schedule is what --space=paper searches: leave one of the two out"):
        said(*DIGITS, own, "--space=paper")
    assert said(RECIPE) == f"the recipe's --keep_schedule={recipe} is replaced by what is searched"
    assert said(*DIGITS, own, "--space=grid:batch_size=32,64") is None
    assert said(*DIGITS) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([*DIGITS, "--trial_steps=5"], "--trial_steps=5 shortens trainings that count in steps"),
        ([*FOCAL, "--space=grid:gamma=1,2", "--trial_steps=39001"], "give --max_number_of_steps, no fewer than that"),
        ([*DIGITS, "--train_log_dir=x"], "every trial has its own run folder: give --output"),
        ([*DIGITS, "--mode=train"], "a search trains and evaluates"),
        (["--dataset_name=digits", "--space=paper"], "give the length of training by --num_epochs"),
        ([*DIGITS, "--method=standard"], "which --method=standard does not have: use --method=.*co_teaching"),
        ([*DIGITS, "--space=grid:gama=1,2"], "'gama' can't be searched: name a flag of the training"),
        ([*FOCAL, "--space=grid:gama=1"], r"or a parameter of the curriculum \(gamma\)"),
        ([*DIGITS, "--space=grid:validation=none,test_half"], "'validation' can't be searched"),
        ([*DIGITS, "--space=range:noise_fraction=0.5..1.5"], "noise_fraction"),
        ([*DIGITS, "--space=grid:batch_size=64,many"], "batch_size"),
        ([*DIGITS, "--space=grid:batch_size=64,128", "--sampler=newton"], "searches schedules only"),
        ([*DIGITS, "--space=paper", "--sampler=grid"], "goes through a grid, and --space=paper is none"),
        ([*DIGITS, "--samples=1"], "compares 2 or more trials"),
        ([*DIGITS, "--trial_epochs=9"], "shortens trials: give --num_epochs, and no fewer than that"),
        ([*DIGITS, "--trial_epochs=2", "--learning_rate_boundaries=5"], "are steps of the full training"),
        ([*FOCAL, "--space=grid:gamma=1,2", "--sampler=hyperband"], "hyperband counts in epochs"),
        ([*DIGITS, "--retrain_seeds=0,0"], "give different whole numbers"),
        ([*DIGITS, "--retrain_seeds=one"], "give different whole numbers"),
        ([*DIGITS, "--storage=redis://there"], "use sqlite, postgresql or mysql, or a file's path"),
        ([*DIGITS, "--validation=noisy_holdout"], "give its size by --holdout_examples"),
        ([*DIGITS, "--sampler=asng", "--outer=3"], "one training of --num_epochs, scored .* leave --outer out"),
        ([*DIGITS, "--sampler=asng", "--storage=x.journal"], "leave --storage out"),
        ([*DIGITS, "--sampler=asng", "--samples=1"], "compares 2 or more trials"),
        ([*DIGITS, "--sampler=asng", "--space=grid:batch_size=32,64"], "searches schedules only"),
        ([*DIGITS, "--sampler=asng", "--method=decoupling"], "which --method=decoupling does not have"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_before_any_work(given, message):
    with pytest.raises((ValueError, absl_flags.Error), match=message):
        parse(*given)


def test_a_refused_trial_leaves_the_process_own_flags_parsed():
    """Absl asks for its own flags when a script ends; unparsed ones made a traceback of the sentence."""
    was = absl_flags.FLAGS.is_parsed()
    absl_flags.FLAGS.mark_as_parsed()
    try:
        with pytest.raises(ValueError, match=r"--batch_size=0\.5"):
            parse(*DIGITS, "--space=grid:batch_size=0.5,1")
        assert absl_flags.FLAGS.is_parsed()
    finally:
        if not was:
            absl_flags.FLAGS.unparse_flags()


def test_help_shows_the_flags_of_the_search_first():
    text = help_text.text("", search_flags.MODULES)
    places = [text.index(f"\n  --{name}") for name in ("space", "sampler=", "outer", "storage", "dataset_name")]
    assert places == sorted(places)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search on digits, from the command line: two trials at once, the better one trained anew."""
    folder = tmp_path_factory.mktemp("search") / "digits"
    asked = [*DIGITS, "--space=co_teaching", "--outer=1", "--samples=2", "--workers=2", "--trial_epochs=2"]
    command = [sys.executable, SCRIPT, *asked, "--retrain_seeds=4", f"--output={folder}"]
    return folder, command, processes.run(command)


@pytest.mark.slow
def test_a_small_search_from_end_to_end(searched):
    folder, _, done = searched
    assert (done.returncode, done.stderr) == (0, "")
    assert "trials 2/2 | best " in done.stdout
    result = json.loads((folder / "result.json").read_text())
    scores = []
    for number in (0, 1):
        trial = folder / "trials" / f"{number:04d}"
        metrics = MetricsTable(trial / "run" / "metrics.csv").read()
        peers = [metrics[f"eval_validation_accuracy_peer_{k}"] for k in (1, 2)]
        scores.append(np.mean([peer[-1] for peer in peers]))
        assert len(np.loadtxt(trial / "R.csv")) == len(metrics["step"]) == 2  # epochs
    assert result["best_score"] == pytest.approx(max(scores), abs=1e-6)
    assert result["best_trial"] == int(np.argmax(scores))
    (run,) = result["retrained"]
    again = MetricsTable(folder / "retrained" / f"trial000{result['best_trial']}_seed4" / "run" / "metrics.csv").read()
    assert run["accuracy_last"] == again["eval_accuracy_peer_mean"][-1]
    assert json.loads((folder / "card.json").read_text())["found_for"]["dataset_name"] == "digits"
    rates = KeepSchedule(f"searched:{folder}").rates(4)
    np.testing.assert_allclose(rates[::2], np.loadtxt(folder / f"trials/000{result['best_trial']}/R.csv"))
    best = [line for line in (folder / "best.flags").read_text().splitlines() if line.startswith("--")]
    config = configuration.parse(["train_cifar.py", *best, "--train_log_dir=t"])
    assert config.method.options["keep_schedule"] == f"file:{folder / 'R.csv'}"


@pytest.mark.slow
def test_another_search_in_its_folder_ends_with_one_sentence_and_changes_nothing(searched):
    folder, command, _ = searched
    before = {path: path.read_bytes() for path in Path(folder).glob("*") if path.is_file()}
    done = processes.run([*command, "--space=mlp"])
    assert done.returncode == 2
    assert done.stderr.startswith("search_schedule.py: study 'digits' was made with space co_teaching(variant=paper)")
    assert done.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in Path(folder).glob("*") if path.is_file()} == before
