"""Searches R(t), how much to trust small losses in epoch t (S2E, ICML 2020), or tunes any setting of a recipe.

    python scripts/search_schedule.py --flagfile=flags/recipes/s2e_fig3/mnist_sym50_co_teaching.flags --data_dir=DATA
        --space=paper --sampler=newton --outer=6 --samples=6 --workers=2 --output=runs/search
    python scripts/search_schedule.py --flagfile=RECIPE --space=grid:gamma=1,2,3 --output=runs/gamma

Every trial is a training by train_cifar.py, whose flags are taken, too. Started again it continues; several such
commands, on any machines, may work on one study. docs/search.md shows the uses.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from flags import quiet  # noqa: E402

quiet.start_tensorflow(sys.argv)

from absl import app, flags  # noqa: E402

from flags import configuration  # noqa: E402

try:
    from flags.define import search_flags
except ImportError as missing:
    configuration.fail(Path(sys.argv[0]).name, missing)
from mentornet.search import command, objective, summary, weight_sharing_command  # noqa: E402
from mentornet.search.plan import SHARING  # noqa: E402
from mentornet.search.sampler import optuna  # noqa: E402

SCRIPT = os.path.relpath(ROOT / "train_cifar.py")


def main(argv: Sequence[str]) -> None:
    """Runs the search; mistakes end with one sentence and exit code 2, a training that failed with 1."""
    name = os.path.basename(argv[0])
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        if said := search_flags.check_command_line(sys.argv[1:]):
            print(said, flush=True)
        plan = search_flags.plan(SCRIPT)
        search = weight_sharing_command if plan.sampler == SHARING else command
        result = search.run(plan, search_flags.workers(), search_flags.retrain_seeds())
    except (ValueError, OSError, flags.Error, optuna.exceptions.OptunaError) as error:
        configuration.fail(name, error, code=2)
    except objective.TrialFailed as error:
        configuration.fail(name, error, code=1)
    except KeyboardInterrupt:
        configuration.fail(name, ValueError("stopped; the same command continues the search"), code=130)
    test = result["test"]["accuracy_last"]
    what = summary.judged(result["test"])
    shown = "" if test is None else f", test images: {what} {test:.4f} (seeds: {result['test']['seeds']})"
    if plan.sampler == SHARING:
        found = f"found: the mean of p_theta after {result['trials']} samples"
    else:
        found = f"best: trial {result['best_trial']} with {result['best_score']:.4f} on the validation data"
    print(f"{found}{shown}; see {plan.folder / 'report.md'}")


if __name__ == "__main__":
    for module in search_flags.MODULES:
        flags.adopt_module_key_flags(module)
    app.run(
        main,
        flags_parser=lambda argv: configuration.parse_command_line(argv, search_flags.config, search_flags.MODULES),
    )
