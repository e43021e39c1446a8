"""A worker of a search: ``python -m mentornet.search.worker`` with the plan as JSON on its standard input.

It takes trials of the study one after another until all are done, repeats those whose process died, and may be killed
at any moment. Workers know nothing of each other; any number of them, on any machine, may share a study.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable

from mentornet.search import study as studies
from mentornet.search.objective import Objective, TrialFailed, stop_on_signals
from mentornet.search.plan import Plan
from mentornet.search.sampler import optuna

IDLE = 0.5  # seconds
HOPELESS = 3  # if so many trials fail and none succeeds, the search ends


def work(plan: Plan, alive: Callable[[], bool] = lambda: True) -> None:
    """Takes trials until the search is at its end, or hopeless.

    Args:
        plan: of the search.
        alive: asked now and then; false ends the worker, its trial is repeated by another one.
    """
    study, turn = studies.open_study(plan), studies.turn_lock(plan)
    objective = Objective(plan, study, taken=turn.release, alive=alive)
    while alive():
        turn.acquire()
        try:
            studies.repair(study, plan)
            groups = studies.grouped(study.get_trials(deepcopy=False))
            if is_over(groups, plan):
                return
            waiting = any(trial.state == optuna.trial.TrialState.WAITING for g in groups for trial in g.open)
            if waiting or len(groups) < plan.trials:
                study.optimize(objective, n_trials=1, catch=(TrialFailed,))  # gives the turn to others once it trains
                continue
        finally:
            turn.release()
        time.sleep(IDLE)  # the last trials are with other workers; should one die, it is repeated here


def is_over(groups: list[studies.Tries], plan: Plan) -> bool:
    """Whether nothing is left to do: as many trials as are asked for are done or have failed, or there is no hope.

    More may have been begun than are asked for now, by a longer search that was stopped; nobody goes on with them.
    """
    failed = sum(1 for tries in groups if tries.error)
    done = sum(1 for tries in groups if tries.done)
    hopeless = not done and failed >= min(HOPELESS, plan.trials)
    return hopeless or done + failed >= plan.trials


def main() -> None:
    """Runs a worker for the process that started it, and ends when that does."""
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    stop_on_signals()
    parent = os.getppid()
    try:
        work(Plan.from_json(sys.stdin.read()), lambda: os.getppid() == parent)
    except (ValueError, OSError, optuna.exceptions.OptunaError) as error:
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
