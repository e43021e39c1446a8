"""Workers of a search: what is killed is repeated once, what is continued ends as if it had not been interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from mentornet.search import command, summary, worker  # noqa: E402
from mentornet.search import study as studies  # noqa: E402
from mentornet.search.objective import score  # noqa: E402
from mentornet.search.plan import Plan  # noqa: E402
from tests.fake_training import accuracy  # noqa: E402
from tests.search_plans import plan, starts  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)


def results(made):
    """{number of the first try: (numbers, score)} of what is done."""
    groups = studies.grouped(studies.open_study(made).get_trials())
    return {tries.number: (tries.done.params, tries.done.value) for tries in groups if tries.done}


def in_order(made):
    """The same without the numbers, which repetitions shift."""
    return [found for _, found in sorted(results(made).items())]


def theta(made):
    return summary.Found.of(made, studies.open_study(made)).theta()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nothing disturbed."""
    made = plan(tmp_path_factory.mktemp("whole"))
    worker.work(made)
    return made


def test_a_search_trains_every_trial_once_and_its_scores_are_those_of_the_trainings(whole):
    found = results(whole)
    assert sorted(found) == list(range(9))
    for number, (params, value) in found.items():
        rates = whole.proposals().schedule(params)
        written = np.loadtxt(whole.trial_folder(number) / "R.csv")
        np.testing.assert_array_equal(written, rates)
        assert value == pytest.approx(accuracy(rates.tolist()), abs=1e-12)
        assert [start[2] for start in starts(whole, number)] == [0]
    assert not np.array_equal(theta(whole), whole.proposals().space.start())


def test_a_search_that_stops_again_and_again_continues_as_if_it_had_not(whole, tmp_path):
    made = plan(tmp_path)
    for _ in range(9):
        left = iter([True, False])
        worker.work(made, lambda left=left: next(left, False))
        with contextlib.suppress(SystemExit):  # in the middle of a training
            worker.work(made, iter([True] * 4 + [False] * 99).__next__)
    worker.work(made)
    assert in_order(made) == in_order(whole)
    np.testing.assert_array_equal(theta(made), theta(whole))


def test_more_trials_continue_a_finished_search(whole, tmp_path):
    made = plan(tmp_path, trials=5)
    worker.work(made)
    assert len(results(made)) == 5
    worker.work(plan(tmp_path))
    assert in_order(made) == in_order(whole)


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_trial_and_none_counts_twice(whole, tmp_path):
    """One of two workers dies in its first training, which goes on by itself; its trial is repeated, not its epochs."""
    made = plan(tmp_path, "--pause=0.15")
    killed = []

    def kill():
        until = time.monotonic() + 60
        while not killed and time.monotonic() < until:
            for _, parent, _ in starts(made, 1):
                os.kill(parent, signal.SIGKILL)
                killed.append(parent)
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    with open(tmp_path / "out.txt", "w") as out:
        result = command.run(made, workers=2, stream=out)
    thread.join()
    assert killed
    printed = (tmp_path / "out.txt").read_text()
    assert "was ended by signal 9; what it had begun is repeated" in printed
    assert "trials 9/9 | best " in printed
    study = studies.open_study(made)
    groups = studies.grouped(study.get_trials())
    assert len(groups) == 9
    assert [tries.repeated for tries in groups].count(1) == 1
    states = [trial.state for trial in study.get_trials()]
    assert states.count(optuna.trial.TrialState.COMPLETE) == 9
    assert states.count(optuna.trial.TrialState.FAIL) == 1
    for tries in groups:
        assert tries.done.value == pytest.approx(accuracy(made.proposals().schedule(tries.done.params).tolist()))
        rows = (made.trial_folder(tries.number) / "run" / "metrics.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in rows[1:]] == ["10", "20", "30", "40"]  # no two trainings at once
    first = in_order(made)[:3]  # of the first generation, which depends on no other trial
    assert first == in_order(whole)[:3]
    assert (result["complete"], result["failed"]) == (9, 0)


def test_the_whole_command_is_killed_and_continued(whole, tmp_path):
    """The command, its worker and the training die in the middle of trial 4; the training continues with its rows."""
    made = plan(tmp_path, "--pause=0.1")
    process = os.fork()
    if not process:
        with open(os.devnull, "w") as out:
            command.run(made, workers=1, stream=out)
        os._exit(0)
    rows = made.trial_folder(4) / "run" / "metrics.csv"
    until = time.monotonic() + 60
    while not (rows.exists() and rows.read_text().count("\n") >= 3) and time.monotonic() < until:
        time.sleep(0.01)
    training, its_worker, _ = starts(made, 4)[0]
    for pid in (process, its_worker, training):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(process, 0)
    worker.work(made)
    assert in_order(made) == in_order(whole)
    np.testing.assert_array_equal(theta(made), theta(whole))
    assert [start[2] > 0 for start in starts(made, 4)] == [False, True]


def test_a_command_that_is_told_to_stop_ends_its_trainings_and_is_continued(whole, tmp_path):
    made = plan(tmp_path, "--pause=0.1")
    process = os.fork()
    if not process:
        try:
            with open(os.devnull, "w") as out:
                command.run(made, workers=1, stream=out)
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0)
    until = time.monotonic() + 60
    while not starts(made, 2) and time.monotonic() < until:
        time.sleep(0.01)
    training, its_worker, _ = starts(made, 2)[0]
    os.kill(process, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130
    for pid in (training, its_worker):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    worker.work(made)
    assert in_order(made) == in_order(whole)


def test_a_trial_that_was_never_trained_is_repeated_wherever_its_process_died(whole, tmp_path):
    made = plan(tmp_path)
    study = studies.open_study(made)
    study._storage.create_new_trial(study._study_id)  # taken, and nothing more
    dead = study.ask()  # with its numbers drawn, and said to be here
    made.proposals().propose(dead)
    dead.set_user_attr(studies.HOST, os.uname().nodename)
    dead.set_user_attr(studies.LOCK, str(tmp_path / "trials" / "0001" / ".running"))
    worker.work(made)
    assert in_order(made) == in_order(whole)
    np.testing.assert_array_equal(theta(made), theta(whole))


def test_a_trial_of_another_machine_counts_as_dead_without_signs_of_life(tmp_path):
    made = plan(tmp_path)
    study = studies.open_study(made)
    trial = study.ask()
    lock = tmp_path / "lock"
    lock.touch()
    trial.set_user_attr(studies.HOST, "another machine")
    trial.set_user_attr(studies.LOCK, str(lock))
    studies.repair(study, made)
    assert study.get_trials()[0].state == optuna.trial.TrialState.RUNNING
    os.utime(lock, (time.time() - 1000,) * 2)
    studies.repair(study, made)
    states = [t.state for t in study.get_trials()]
    assert states == [optuna.trial.TrialState.FAIL, optuna.trial.TrialState.WAITING]
    studies.repair(study, made)
    assert len(study.get_trials()) == 2


def test_of_two_machines_that_take_the_last_trial_the_later_one_gives_way(tmp_path):
    made = plan(tmp_path, trials=2)
    study = studies.open_study(made)
    trials = [study.ask() for _ in range(3)]
    assert [studies.is_superfluous(study, trial.number, 2) for trial in trials] == [False, False, True]
    # Two repetitions of the first one, queued by two machines at once.
    study.tell(0, state=optuna.trial.TrialState.FAIL)
    for _ in range(2):
        studies.repeat(study, studies.grouped(study.get_trials())[0])
    assert [studies.is_superfluous(study, number, 9) for number in (3, 4)] == [False, True]
    trials[2].set_user_attr(studies.SURPLUS, True)
    study.tell(2, state=optuna.trial.TrialState.FAIL)
    assert [tries.number for tries in studies.grouped(study.get_trials())] == [0, 1]


def test_a_failed_training_says_why_and_is_tried_again_by_the_next_command(tmp_path):
    broken = tmp_path / "broken"
    broken.touch()
    made = plan(tmp_path / "search", f"--broken={broken}")
    reason = "all 3 trials so far have failed, the last one with: fake_training.py: the data is not there"
    with pytest.raises(ValueError, match=reason), open(os.devnull, "w") as out:
        command.run(made, workers=1, stream=out)
    broken.unlink()
    assert studies.repeat_failed(studies.open_study(made)) == 3
    worker.work(made)
    assert sorted(results(made)) == [0, 1, 2, 6, 7, 8, 9, 10, 11]


def test_a_search_that_was_stopped_ends_with_fewer_trials_than_it_had_begun(tmp_path):
    made = plan(tmp_path, trials=4)
    worker.work(plan(tmp_path, trials=3))
    study = studies.open_study(made)
    study.ask()  # a fourth, whose process was ended
    assert worker.is_over(studies.grouped(study.get_trials()), plan(tmp_path, trials=3))
    assert not worker.is_over(studies.grouped(study.get_trials()), made)


def test_a_folder_of_another_search_is_not_taken_for_this_ones(tmp_path):
    worker.work(plan(tmp_path, trials=1))
    (tmp_path / "study.journal").unlink()
    other = plan(tmp_path, trials=1, seed=1)
    worker.work(other)
    (tries,) = studies.grouped(studies.open_study(other).get_trials())
    assert "has a trial of another search: give another --output" in tries.error


@pytest.mark.parametrize("every", [1, 3])
def test_hyperband_stops_trials_early_and_reads_their_epochs(every, tmp_path):
    """Also where accuracy is measured every third epoch only."""
    flags = (f"--pause={every / 5}", f"--every={every}")
    made = plan(tmp_path, *flags, sampler="hyperband", space="range:x=0.0..1.0", trials=7, epochs=9, trial_epochs=9)
    made = Plan.from_json(made.to_json().replace("--epochs=4", "--epochs=9"))
    worker.work(made)
    trials = studies.open_study(made).get_trials()
    states = [trial.state for trial in trials]
    assert len(trials) == 7
    assert states.count(optuna.trial.TrialState.PRUNED) >= 1
    for trial in trials:
        x = trial.params["x"]
        assert trial.intermediate_values
        for epoch, value in trial.intermediate_values.items():
            assert epoch % every == 0
            assert value == pytest.approx((1 - (x - 0.3) ** 2) * epoch / 9)
        if trial.state == optuna.trial.TrialState.PRUNED:
            assert 1 <= trial.user_attrs["epochs"] < 9
            assert not (made.trial_folder(trial.number) / "run" / "result.json").exists()
    rows = summary.Found.of(made, studies.open_study(made)).rows()
    spent = sum((trial.user_attrs["epochs"] if trial.value is None or trial.state != optuna.trial.TrialState.COMPLETE
                 else 9) for trial in trials) / 9  # fmt: skip
    assert rows[-1]["trainings"] == pytest.approx(spent, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([0.1, 0.5, 0.3], "last", 0.3),
        ([0.1, 0.5, 0.3], "best", 0.5),
        ([9.0] + [0.2] * 5 + [0.4] * 5, "mean_last_10", 0.3),
        ([0.1, float("nan")], "best", None),
        ([], "last", None),
    ],
)
def test_scores(values, kind, expected):
    assert score(np.array(values), kind) == (None if expected is None else pytest.approx(expected))


def test_a_plan_survives_its_way_to_a_worker():
    made = plan(Path("x"), parameters=("gamma",), utilities="standard")
    assert Plan.from_json(made.to_json()) == made
