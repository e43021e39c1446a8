"""Pictures of a search: the schedule against learning curves, scores against trials and time, and p_theta.

The second is figure 6 of S2E (Yao et al., ICML 2020) for one search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from mentornet import files
from mentornet.search import objective
from mentornet.search.base import Space
from mentornet.search.plan import Plan
from mentornet.search.proposals import Schedules

if TYPE_CHECKING:
    from mentornet.search.summary import Found

_BLUE, _ORANGE, _GREEN, _GREY = "#1b6ca8", "#d9772b", "#2a8c5a", "#8a939b"
_DRAWS = 400
_GRID = 201
MOST_INSIDE = 4  # lines whose legend fits among them


def draw(
    plan: Plan, found: Found, rows: Sequence[Mapping[str, Any]], theta: np.ndarray | None, runs: Sequence[Path]
) -> list[str]:
    """Writes the pictures into the search folder.

    Args:
        plan: of the search.
        found: its trials, one finished or more.
        rows: of progress.csv.
        theta: parameters of p_theta, if the sampler has them.
        runs: run folders of the retrained best trial; without any, the trial's own is shown.

    Returns:
        Names of the files.
    """
    number, trial = found.best
    chosen, names = plan.proposals(), ["progress.png"]
    plot_progress(plan.folder / "progress.png", rows, f"{plan.study}: {chosen.title}, {plan.sampler}")
    if isinstance(chosen, Schedules):
        shown, epochs = (list(runs), plan.epochs) if runs else ([plan.trial_folder(number) / "run"], plan.trial_epochs)
        others = [chosen.schedule(other.params, epochs) for n, other in found.complete if n != number]
        plot_schedule(
            plan.folder / "schedule.png",
            chosen.schedule(trial.params, epochs),
            others,
            [curves(plan, run) for run in shown],
            f"{plan.study}: R(t) of trial {number}, space {chosen.title.removesuffix('()')}",
        )
        names.append("schedule.png")
        if theta is not None:
            plot_distribution(plan.folder / "distribution.png", chosen, theta, f"{plan.study}: p_theta")
            names.append("distribution.png")
    return names


def plot_schedule(
    path: Path,
    rates: np.ndarray,
    others: Sequence[np.ndarray],
    curves: Sequence[Mapping[str, np.ndarray]],
    title: str,
) -> None:
    """R(t) above, learning curves of trainings with it below, on the same epochs.

    Args:
        path: the PNG.
        rates: float64 [epochs], the schedule.
        others: of the other trials.
        curves: of each training a column by its name, float64 [evaluations].
        title: above both.
    """
    figure, (above, below) = canvas(title, 2, 1, (7.6, 7.0))
    for k, other in enumerate(others):
        above.plot(other, color=_GREY, lw=0.7, alpha=0.35, label="other trials" if not k else None)
    above.plot(rates, color=_BLUE, lw=2.2, label="the best one")
    above.set_ylim(0, 1.03)
    finish(above, "", "R(t), share of small losses kept")
    colours = {"test": _GREEN, "validation": _BLUE, "given labels (training)": _ORANGE}
    for k, curve in enumerate(curves):
        for name, values in curve.items():
            epochs = (np.arange(len(values)) + 1) * (len(rates) / max(1, len(values)))
            below.plot(epochs, values, color=colours[name], lw=1.4, alpha=0.8, label=name if not k else None)
    above.set_xlim(0, len(rates))
    below.set_xlim(0, len(rates))
    finish(below, "epoch", "accuracy")
    save(figure, path)


def plot_progress(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Score of every trial and the best so far, against full trainings spent and against their hours."""
    figure, panels = canvas(title, 1, 2, (12.0, 4.6))
    scored = [row for row in rows if row["score"] is not None]
    for axes, column, label in zip(panels, ("trainings", "hours"), ("trainings", "hours of training"), strict=True):
        for state, marker in (("complete", "o"), ("pruned", "x")):
            chosen = [row for row in scored if row["state"] == state]
            if chosen:
                x, y = ([row[name] for row in chosen] for name in (column, "score"))
                axes.plot(x, y, marker, color=_GREY, ms=5, label=f"{state} trials")
        best = [row for row in rows if row["best"] is not None]
        axes.step([row[column] for row in best], [row["best"] for row in best], where="post", color=_BLUE, lw=2,
                  label="best so far")  # fmt: skip
        finish(axes, label, "score on the validation data")
    save(figure, path)


def plot_distribution(path: Path, chosen: Schedules, theta: np.ndarray, title: str) -> None:
    """Densities of the numbers under p_theta, and the schedules that it gives beside those of the uniform one."""
    space: Space = chosen.space
    figure, (left, right) = canvas(title, 1, 2, (12.0, 5.0))
    x = np.linspace(0, 1, _GRID)[1:-1]
    for k, (name, (a, b)) in enumerate(marginals(space, theta).items()):
        density = stats.beta.pdf(x, a, b)
        left.plot(x, density, color=f"C{k % 10}", ls=("-", "--", ":")[k // 10 % 3], lw=1.3, label=name)
    finish(left, "x", "density under p_theta")
    left.legend(fontsize=7, ncols=3, frameon=False)
    rng = np.random.default_rng(0)
    for where, colour, label in ((space.start(), _GREY, "uniform, as at the start"), (theta, _BLUE, "now")):
        curves = np.stack(
            [space.schedule(space.sample(where, rng), chosen.horizon, horizon=chosen.horizon) for _ in range(_DRAWS)]
        )
        low, middle, high = np.quantile(curves, (0.1, 0.5, 0.9), axis=0)
        right.fill_between(np.arange(chosen.horizon), low, high, color=colour, alpha=0.2)
        right.plot(middle, color=colour, lw=2, label=label)
    right.set_ylim(0, 1.03)
    finish(right, "epoch", "R(t): median, and 80% of the draws")
    save(figure, path)


def marginals(space: Space, theta: np.ndarray) -> dict[str, tuple[float, float]]:
    """(a, b) of the Beta that each number of x follows; those of a Dirichlet are Betas, too."""
    c = theta[: space.simplex]
    pairs = [(value, c.sum() - value) for value in c]
    pairs += [tuple(pair) for pair in theta[space.simplex :].reshape(-1, 2)]
    return dict(zip(space.names(), ((float(a), float(b)) for a, b in pairs), strict=True))


def curves(plan: Plan, run: Path) -> dict[str, np.ndarray]:
    """The learning curves of a training by what they are measured on, float64 [evaluations] each."""
    columns = {"test": plan.test_column, "validation": plan.column, "given labels (training)": "train_accuracy"}
    return {name: objective.accuracies(run, column) for name, column in columns.items()}


def canvas(title: str, rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with a headline, and its axes row by row."""
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, fontweight="bold", wrap=True)
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(rows * columns)]


def finish(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Labels, a quiet grid, and a legend if there is anything to tell apart."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(axis="y", color="#e3e6e9", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        many = len(axes.get_legend_handles_labels()[0]) > MOST_INSIDE
        beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if many else {}
        axes.legend(frameon=False, fontsize=9, **beside)


def save(figure: Figure, path: Path) -> None:
    """A PNG, replaced all at once."""
    with files.replacing(path) as stream:
        figure.savefig(stream, format="png")
