"""Compares architectures for g_m on predefined curricula (ICML app. D, table 1 and its two figures).

    python -m mentornet.learning.architecture_comparison --output=docs/results

Six weighting schemes, five architectures, five runs from different starting values each; 300,000 grid points with
T = 10 past losses, 80% to learn from, the mean squared error on the other 20%. The paper's budget is not stated; here
every network takes 30,000 steps of 32 samples, the default of the original release, from a learning rate of 0.01: the
release's 0.1 is too high for all of them but logistic regression. Finished cells are kept, so a stopped comparison goes
on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mentornet import quiet

if __name__ == "__main__":
    quiet.start_tensorflow()  # before the imports below bring it in, with its notes

import tensorflow as tf

from mentornet import curricula, files
from mentornet.learning import architectures, grid
from mentornet.learning import comparison_results as results_of
from mentornet.learning.comparison_results import Cell, Curve, Results
from mentornet.learning.learning_set import LearningSet
from mentornet.learning.trainer import Learner, LearningSettings

HISTORY = 10


@dataclass(frozen=True)
class Budget:
    """What every cell gets: grid points, steps of 32 samples, runs, first learning rate; the seed decides the rest."""

    rows: int = 300_000
    steps: int = 30_000
    runs: int = 5
    seed: int = 0
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        if not 1 <= self.runs <= results_of.MAX_RUNS:
            raise ValueError(f"runs={self.runs}: use 1 to {results_of.MAX_RUNS}")

    def values(self) -> dict[str, float]:
        """The budget by name."""
        return asdict(self)


def cells(schemes: Sequence[str], names: Sequence[str]) -> list[Cell]:
    """The cells asked for, one architecture after another; explicit learning of g_m where fig. 2 shows it."""
    table = [Cell(scheme, architecture) for architecture in names for scheme in schemes]
    explicit = [Cell(scheme, "mentornet", "explicit") for scheme in results_of.EXPLICIT_SCHEMES if scheme in schemes]
    return table + (explicit if "mentornet" in names else [])


class CellRunner:
    """Learns one cell after another, compiling once for an architecture and objective.

    All cells share one set of grid points and histories; only the targets differ.
    """

    def __init__(self, budget: Budget, jit_compile: bool = True):
        self._budget, self._jit_compile = budget, jit_compile
        self._learner: Learner | None = None
        self._learner_of: tuple[str, str, str] | None = None

    def run(self, cell: Cell) -> list[Curve]:
        """The curve (step, test MSE) of each of the cell's runs."""
        samples = self._samples(cell.scheme)
        learner = self._learner_for(cell)
        curves = []
        for run in range(self._budget.runs):
            # Initialisers use a few numbers from the seed on; the factor keeps the runs' apart.
            seed = 1000 * self._budget.seed + 20 * run
            start = architectures.build(cell.architecture, HISTORY, seed)
            learner.network.set_weights(start.get_weights())
            curves.append([(int(step), results_of.rounded(mse)) for step, mse in learner.learn(samples, seed)])
        return curves

    def _samples(self, scheme: str) -> LearningSet:
        return grid.learning_set(curricula.get(scheme), self._budget.rows, self._budget.seed, HISTORY)

    def _learner_for(self, cell: Cell) -> Learner:
        # The objective "explicit" compiles the curriculum's G in; the others know nothing of the scheme.
        key = (cell.architecture, cell.objective, cell.scheme if cell.objective == "explicit" else "")
        if self._learner is None or self._learner_of != key:
            settings = LearningSettings(
                steps=self._budget.steps,
                learning_rate=self._budget.learning_rate,
                objective=cell.objective,
                block_steps=max(1, self._budget.steps // 20),
                jit_compile=self._jit_compile,
            )
            network = architectures.build(cell.architecture, HISTORY)
            self._learner = Learner(network, settings, curricula.get(cell.scheme))
            self._learner_of = key
        return self._learner


def compare(wanted: Sequence[Cell], budget: Budget, folder: Path, jit_compile: bool = True) -> Results:
    """Runs the cells that the folder does not have yet; renews its table after each, its figures at the end.

    Raises:
        ValueError: the folder holds cells of another budget, or cannot be written.
    """
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    results = results_of.read_runs(folder, budget.values())
    left = [cell for cell in wanted if cell not in results]
    print(f"{len(wanted) - len(left)} of {len(wanted)} cells are finished", flush=True)
    runner, started = CellRunner(budget, jit_compile), time.monotonic()
    for number, cell in enumerate(left, start=1):
        results[cell] = runner.run(cell)
        results_of.write_runs(folder, results, budget.values())
        results_of.write_table(folder, results)
        mean, interval = results_of.mean_and_interval(results_of.final_errors(results, cell))
        elapsed = time.monotonic() - started
        print(
            f"{number}/{len(left)} {cell.scheme} {cell.architecture} {cell.objective}: "
            f"{results_of.scientific(mean, interval)} | {elapsed / 60:.1f} min, "
            f"about {elapsed / number * (len(left) - number) / 60:.0f} min left",
            flush=True,
        )
    results_of.write_table(folder, results)
    results_of.draw_convergence(folder, results)
    results_of.draw_explicit(folder, results)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m mentornet.learning.architecture_comparison", description=__doc__)
    parser.add_argument("--output", required=True, metavar="DIR", help="where the results go")
    parser.add_argument("--schemes", default=",".join(results_of.SCHEMES), help="default: %(default)s")
    parser.add_argument("--architectures", default=",".join(results_of.ARCHITECTURES), help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=Budget.rows, help="grid points (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=Budget.steps, help="steps of 32 samples (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=Budget.runs, help="runs a cell (default: %(default)s)")
    parser.add_argument("--learning_rate", type=float, default=Budget.learning_rate, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=Budget.seed, help="default: %(default)s")
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads an operation may use (0: TensorFlow's choice)"
    )
    options = parser.parse_args(arguments)
    try:
        schemes = _known(options.schemes, tuple(results_of.SCHEMES), "schemes")
        names = _known(options.architectures, architectures.names(), "architectures")
        budget = Budget(options.rows, options.steps, options.runs, options.seed, options.learning_rate)
        if options.threads:
            tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        compare(cells(schemes, names), budget, Path(options.output))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _known(text: str, allowed: Sequence[str], what: str) -> list[str]:
    names = text.split(",")
    wrong = [name for name in names if name not in allowed]
    if wrong:
        raise ValueError(f"--{what}={text}: {wrong[0]!r} is not one of {', '.join(allowed)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
