"""The Optuna sampler of the search: theta from the trials alone, whatever is killed, repeated or run in parallel."""

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from mentornet.search import newton, sampler, spaces  # noqa: E402
from mentornet.search.sampler import StochasticRelaxationSampler  # noqa: E402

SPACE = spaces.get("co_teaching", variant="code")
GOAL = np.array([0.7, 0.2, 0.5])
COMPLETE, FAIL = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def error(trial):
    return float(((sampler.suggest(trial, SPACE) - GOAL) ** 2).sum())


def make_study(storage=None, name="search", direction="minimize", **options):
    own = StochasticRelaxationSampler(SPACE, **{"samples": 4, "seed": 3, **options})
    return optuna.create_study(
        storage=storage, sampler=own, study_name=name, direction=direction, load_if_exists=storage is not None
    )


def file_storage(tmp_path):
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log")))


def points_of(study, states=(COMPLETE,)):
    return np.array([sampler.point(trial, SPACE) for trial in study.get_trials(states=states)])


def test_generations_are_drawn_from_a_theta_that_moves_as_newton_moves_it():
    study = make_study()
    study.optimize(error, 14)
    points = points_of(study)
    values = ((points - GOAL) ** 2).sum(1)
    theta = SPACE.start()
    for first in (0, 4, 8):
        np.testing.assert_allclose(study.sampler.theta(study, first // 4), theta)
        chosen = slice(first, first + 4)
        theta = newton.update(theta, points[chosen], values[chosen], SPACE, sampler.DEFAULT)
    np.testing.assert_allclose(study.sampler.theta(study, 3), theta)
    assert not np.array_equal(study.sampler.theta(study), theta)  # the last two count once they are finished
    assert points.min() >= 0
    assert points.max() <= 1


def test_search_gets_better_and_does_not_depend_on_the_direction():
    study, opposite = make_study(samples=6), make_study(direction="maximize", samples=6)
    study.optimize(error, 90)
    opposite.optimize(lambda trial: -error(trial), 90)
    np.testing.assert_array_equal(points_of(study), points_of(opposite))
    first, last = (np.mean([t.value for t in study.trials[part]]) for part in (slice(0, 12), slice(78, 90)))
    assert last < first / 2
    assert study.best_value < 0.02
    other = make_study(seed=4)
    other.optimize(error, 4)
    assert not np.isclose(points_of(other), points_of(study)[:4]).any()


def test_a_search_continues_as_if_it_had_not_stopped(tmp_path):
    whole = make_study()
    whole.optimize(error, 15)
    make_study(file_storage(tmp_path)).optimize(error, 6)
    study = make_study(file_storage(tmp_path))
    study.optimize(error, 9)
    np.testing.assert_array_equal(points_of(study), points_of(whole))
    np.testing.assert_array_equal(study.sampler.theta(study), whole.sampler.theta(whole))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("died", ["while training", "before its numbers were drawn", "before it was counted"])
def test_a_trial_whose_process_died_is_run_again_and_counts_once(died):
    whole, study = make_study(), make_study()
    whole.optimize(error, 12)
    study.optimize(error, 3)
    if died == "before it was counted":
        study._storage.create_new_trial(study._study_id)
    else:
        dead = study.ask()
        if died == "while training":
            error(dead)
    study.tell(3, state=FAIL)
    # What Optuna does when a worker's heartbeat stops.
    optuna.storages.RetryHeartbeatStaleTrialCallback()(study, study.trials[3])
    study.optimize(error, 9)
    assert [t.state for t in study.trials].count(COMPLETE) == 12
    np.testing.assert_array_equal(points_of(study), points_of(whole))
    np.testing.assert_array_equal(study.sampler.theta(study), whole.sampler.theta(whole))


def test_two_workers_agree_and_none_waits_for_the_other(tmp_path):
    workers = [make_study(file_storage(tmp_path)) for _ in range(2)]
    slow = workers[0].ask()  # trial 0, finished last
    slow_value = error(slow)
    for _ in range(6):
        trial = workers[1].ask()
        workers[1].tell(trial, error(trial))
    partial = [worker.sampler.theta(worker, 1) for worker in workers]
    np.testing.assert_array_equal(*partial)
    assert not np.array_equal(partial[0], SPACE.start())  # three of four trials were enough
    workers[0].tell(slow, slow_value)
    thetas = [worker.sampler.theta(worker, 1) for worker in workers]
    np.testing.assert_array_equal(*thetas)
    in_order = make_study()
    in_order.optimize(error, 4)
    np.testing.assert_array_equal(points_of(workers[1])[:4], points_of(in_order))
    np.testing.assert_array_equal(thetas[0], in_order.sampler.theta(in_order, 1))


def test_failed_trials_do_not_count():
    study = make_study()
    broken = {1, 4, 5, 6}

    def sometimes(trial):
        value = error(trial)
        return float("nan") if trial.number in broken else value

    study.optimize(sometimes, 12)
    assert [t.number for t in study.trials if t.state == FAIL] == sorted(broken)
    points = points_of(study)
    values = ((points - GOAL) ** 2).sum(1)
    first = newton.update(SPACE.start(), points[:3], values[:3], SPACE, sampler.DEFAULT)
    np.testing.assert_allclose(study.sampler.theta(study, 1), first)
    np.testing.assert_allclose(study.sampler.theta(study, 2), first)  # a single trial moves nothing


def test_points_of_the_user_are_evaluated_but_do_not_move_theta():
    whole, study = make_study(), make_study()
    whole.optimize(error, 8)
    study.optimize(error, 2)
    study.enqueue_trial(dict(zip(SPACE.unit_names(), GOAL, strict=True)))
    study.optimize(error, 7)
    assert study.best_value == pytest.approx(0)
    points = points_of(study)
    np.testing.assert_allclose(points[2], GOAL)
    np.testing.assert_array_equal(np.delete(points, 2, axis=0), points_of(whole))
    np.testing.assert_array_equal(study.sampler.theta(study), whole.sampler.theta(whole))


def test_optunas_own_samplers_search_the_same_space():
    space = spaces.get("paper")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = []

    def spread(trial):
        found.append(sampler.suggest(trial, space))
        return float(np.ptp(space.schedule(found[-1], 20)))

    study.optimize(spread, 20)
    np.testing.assert_array_equal([sampler.point(trial, space) for trial in study.trials], found)
    assert np.allclose(np.sum(found, axis=1), np.sum(np.array(found)[:, 4:], axis=1) + 1)
    assert set(study.trials[0].params) == set(sampler.distributions(space))


def test_another_setup_is_refused(tmp_path):
    make_study(file_storage(tmp_path)).optimize(error, 1)
    with pytest.raises(ValueError, match="was made with samples 4 and not 5, seed 3 and not 0"):
        make_study(file_storage(tmp_path), samples=5, seed=0).optimize(error, 1)
    study = optuna.load_study(
        study_name="search", storage=file_storage(tmp_path), sampler=StochasticRelaxationSampler(spaces.get("paper"))
    )
    with pytest.raises(ValueError, match="was made with samples"):
        study.ask()
    assert len([t for t in study.trials if t.state == COMPLETE]) == 1


def partly_given():
    study = make_study()
    study.enqueue_trial({"tau": 0.5})
    return error(study.ask())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StochasticRelaxationSampler(SPACE, samples=0), "1 or more samples"),
        (lambda: StochasticRelaxationSampler(SPACE, seed=-1), "a seed of 0 or more"),
        (lambda: make_study().ask().suggest_float("lr", 0, 1), "'lr' is no parameter of this search space"),
        (
            lambda: optuna.create_study(directions=["minimize"] * 2, sampler=StochasticRelaxationSampler(SPACE)).ask(),
            "several objectives",
        ),
        (lambda: partly_given(), "some numbers of its own but not t_k/T"),
        (lambda: sampler.point(optuna.trial.create_trial(value=1.0), SPACE), "trial .* has no c"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
