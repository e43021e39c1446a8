"""Pictures of a run: accuracy.png (of masks dice.png), loss.png, weights.png, transition_matrix.png; compare.png.

Everything is drawn through matplotlib's object interface, so neither pyplot's global state nor a display is touched.
Curves that are not known (no clean labels, no evaluation yet) are left out. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mentornet import files, transition
from mentornet.reports import names
from mentornet.runs.run_data import RunData
from mentornet.runs.samples import weights_auc

_BLUE, _ORANGE, _GREEN, _GREY = "#0072b2", "#d55e00", "#009e73", "#6b7580"
_WRAP = 34  # letters in a line of a legend
_FEW = 25  # up to so many points are also marked one by one
_NUMBERED = 12  # a matrix of up to so many classes shows its numbers


def draw_run(run: RunData) -> None:
    """Draws accuracy.png (of a run on masks dice.png) and loss.png into the run's folder, weights.png unless all
    weights are alike, and transition_matrix.png if it has one.

    Raises:
      RunFolderError: (a ValueError) the pictures cannot be written.
    """
    plot_accuracy(run.path / ("dice.png" if run.has_masks else "accuracy.png"), run)
    plot_loss(run.path / "loss.png", run)
    if not run.weights_alike:
        plot_weights(run.path / "weights.png", run)
    if run.transition_matrix is not None:
        plot_transition(run.path / "transition_matrix.png", run.transition_matrix, run)


def plot_accuracy(path: str | os.PathLike[str], run: RunData) -> None:
    """Accuracy on the evaluation and on the given training labels over the steps, best and last marked; Dice of masks.

    A dashed line shows the share of training labels that are right, if known: training accuracy beyond it can only
    come from learning wrong labels by heart.
    """
    figure, (axes,) = _canvas(run.title)
    step = run.metrics["step"]
    test = run.curve
    if run.has_masks:
        _curve(axes, step, run.metrics.get("eval_dice_slices", test), "test slices, mean", _GREY, "--")
        _curve(axes, step, test, "test cases as volumes, mean", _BLUE)
    else:
        _curve(axes, step, run.metrics["train_accuracy"], "training data, given labels", _ORANGE)
        _curve(axes, step, test, run.judge, _BLUE)
    known = np.flatnonzero(np.isfinite(test))
    if known.size:
        best, last = known[test[known].argmax()], known[-1]
        marks = [("best", best, "*", 15), ("last", last, "o", 8)]
        for label, at, marker, size in marks if best != last else [("best and last", best, "*", 15)]:
            text = f"{label}: {test[at]:.3f} at step {int(step[at]):,}"
            axes.plot(step[at], test[at], marker, color=_BLUE, mec="white", ms=size, label=text, zorder=4)
        for at in known[step[known] == run.fact("early_stopped_step")]:
            text = f"chosen by the hold-out: {test[at]:.3f} at step {int(step[at]):,}"
            axes.plot(step[at], test[at], "D", color=_GREEN, mec="white", ms=8, label=text, zorder=5)
    if run.wrong_share:
        right = 1 - run.wrong_share
        axes.axhline(right, color=_GREY, ls="--", lw=1.2, label=f"share of training labels that are right: {right:.3f}")
    accuracy = "agreement with given labels" if run.judged_by_given else "accuracy"
    _finish(axes, "Dice" if run.has_masks else accuracy, run)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.02), min(high, 1.02))
    _save(figure, path)


def plot_loss(path: str | os.PathLike[str], run: RunData) -> None:
    """Mean training loss before and after weighting, the moving percentile, and the loss on clean test labels."""
    figure, (axes,) = _canvas(run.title)
    step, metrics = run.metrics["step"], run.metrics
    if run.weights_alike:  # one curve would hide the other
        _curve(axes, step, metrics["raw_loss"], "training loss", _ORANGE)
    else:
        _curve(axes, step, metrics["raw_loss"], "training loss, unweighted", _ORANGE)
        _curve(axes, step, metrics["weighted_loss"], "training loss, weighted", _GREEN)
    _curve(axes, step, metrics["eval_loss"], f"loss on {run.judge}", _BLUE)
    _curve(axes, step, metrics["loss_percentile"], "moving loss percentile", _GREY, "--")
    _finish(axes, "cross-entropy loss, mean of pixels" if run.has_masks else "cross-entropy loss", run)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    _save(figure, path)


def plot_weights(path: str | os.PathLike[str], run: RunData) -> None:
    """Weights of clean and wrong samples over the steps, and a histogram of the mean weights at the end.

    The histogram needs samples.csv; it tells clean from wrong labels if they are known there.
    """
    weight = None if run.samples is None else run.samples["mean_weight"]
    has_histogram = weight is not None and bool(np.isfinite(weight).any())
    figure, panels = _canvas(run.title, 2 if has_histogram else 1)
    axes, step, metrics = panels[0], run.metrics["step"], run.metrics
    right, wrong = ("right pixels", "wrong pixels") if run.has_masks else ("clean labels", "wrong labels")
    _curve(axes, step, metrics["weight_mean_clean"], f"mean weight, {right}", _BLUE)
    _curve(axes, step, metrics["weight_mean_wrong"], f"mean weight, {wrong}", _ORANGE)
    _curve(axes, step, metrics["weights_auc"], "separation of the two (AUC)", _GREEN)
    _curve(axes, step, metrics["data_utilisation"], "data utilisation (weight > 0.001)", _GREY, "--")
    _finish(axes, "mean weight, share, AUC", run)
    axes.set_ylim(-0.03, 1.03)
    if has_histogram and run.samples is not None:
        _histogram(panels[1], run.samples)
    _save(figure, path)


def plot_transition(path: str | os.PathLike[str], matrix: np.ndarray, run: RunData) -> None:
    """The method's transition matrix, float [C, C], beside that of the training labels if the true ones are known."""
    panels = {"the method's matrix": matrix}
    labels, error = run.samples, run.fact("transition_l1_error")
    if labels is not None and "clean_label" in labels:
        panels["counted in the true labels"] = transition.confusion(
            labels["clean_label"], labels["given_label"], len(matrix)
        )
    figure, axes = _canvas(run.title, len(panels))
    for part, (title, values) in zip(axes, panels.items(), strict=True):
        image = part.imshow(values, cmap="Blues", vmin=0, vmax=1)
        part.set_title(title + ("" if error is None or part is not axes[0] else f": L1 error {error:.3f}"), fontsize=10)
        part.set_xlabel("given label")
        part.set_ylabel("true label")
        for number in (part.xaxis, part.yaxis):
            number.set_major_locator(MaxNLocator(nbins=_NUMBERED, integer=True))
        if len(values) <= _NUMBERED:
            for (row, column), value in np.ndenumerate(values):
                colour = "white" if value > 0.5 else "black"
                part.text(column, row, f"{value:.2f}", color=colour, fontsize=7, ha="center", va="center")
    figure.colorbar(image, ax=axes, label="P(given label | true label)")
    _save(figure, path)


def plot_compare(path: str | os.PathLike[str], groups: Mapping[str, Sequence[RunData]], title: str) -> None:
    """Compares runs: accuracy over the steps, mean and range of the seeds, and best and last accuracy, best on top.

    Args:
      path: the PNG; replaced all at once.
      groups: label -> the runs that differ by their seed only.
      title: what all of the runs have in common.
    """
    order = sorted(groups, key=lambda label: -_mean_last(groups[label]))
    drawn = names.looks([groups[label][0] for label in order])
    labels = [label + (f" ({len(groups[label])} seeds)" if len(groups[label]) > 1 else "") for label in order]
    labels = [textwrap.fill(label, _WRAP) for label in labels]
    lines = sum(1 + label.count("\n") for label in labels)
    figure = Figure(figsize=(12.5, max(4.6, 1.2 + 0.21 * lines + 0.12 * len(labels))), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, fontweight="bold", wrap=True, parse_math=False)
    curves, points = figure.subplots(1, 2, width_ratios=(3, 2))
    for row, (label, (colour, style)) in enumerate(zip(order, drawn, strict=True)):
        runs = groups[label]
        _band(curves, runs, colour, style)
        known = [(run.fact(f"{run.goes_by[1]}_last"), run.fact(f"{run.goes_by[1]}_best")) for run in runs]
        known = [pair for pair in known if None not in pair]
        for last, best in known:
            points.plot([last, best], [row, row], color=colour, lw=1, alpha=0.5)
            points.plot(best, row, "o", mfc="white", mec=colour, ms=6)
            points.plot(last, row, "o", color=colour, mec="white", ms=7)
        if not known:
            points.text(0.02, row, "no values yet", transform=points.get_yaxis_transform(), color=_GREY, va="center")
    judged = {run.judge for runs in groups.values() for run in runs}
    goes_by = " or ".join(sorted({run.goes_by[0] for runs in groups.values() for run in runs}))
    _finish(curves, f"{goes_by} on {judged.pop()}" if len(judged) == 1 else goes_by)
    # The rows are the legend of both panels: a piece of the line before each name.
    points.set_yticks(range(len(labels)), labels, fontsize=9, parse_math=False)
    points.tick_params(axis="y", length=0, pad=30)
    for row, (text, (colour, style)) in enumerate(zip(points.get_yticklabels(), drawn, strict=True)):
        text.set_color(colour)
        across = points.get_yaxis_transform()
        points.plot([-0.07, -0.01], [row] * 2, color=colour, ls=style, lw=2, transform=across, clip_on=False)
    points.set_ylim(len(labels) - 0.4, -0.6)
    points.margins(x=0.06)
    points.set_xlabel("last step (full) and best step (hollow)")
    _tidy(points, "x")
    points.spines["left"].set_visible(False)
    _save(figure, path)


def _mean_last(runs: Sequence[RunData]) -> float:
    """Mean accuracy at the end, by which groups are sorted; those without any come last."""
    known = [float(value) for run in runs if (value := run.fact(f"{run.goes_by[1]}_last")) is not None]
    return float(np.mean(known)) if known else -1.0


def _band(axes: Axes, runs: Sequence[RunData], colour: str, style: Any) -> None:
    """The mean accuracy of several seeds over the steps, and from the lowest to the highest a band."""
    tables: list[dict[float, float]] = []
    for run in runs:
        step, accuracy = run.metrics["step"], run.curve
        known = np.isfinite(accuracy)
        tables.append(dict(zip(step[known].tolist(), accuracy[known].tolist(), strict=True)))
    steps = np.array(sorted({step for table in tables for step in table}))
    if not steps.size:
        return
    values = [[table[step] for table in tables if step in table] for step in steps.tolist()]
    low, mean, high = (np.array([pick(value) for value in values]) for pick in (np.min, np.mean, np.max))
    _curve(axes, steps, mean, None, colour, style)
    if len(runs) > 1:
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, lw=0)


def _histogram(axes: Axes, samples: Mapping[str, np.ndarray]) -> None:
    weight = samples["mean_weight"]
    visited = np.isfinite(weight)
    top = max(1.0, float(weight[visited].max()))
    bins = np.linspace(0, top, 41).tolist()
    title = "mean weight of each sample at the end"
    groups = [("all samples", visited, _GREY)]
    if "clean_label" in samples:
        right = samples["clean_label"] == samples["given_label"]
        groups = [("clean labels", visited & right, _BLUE), ("wrong labels", visited & ~right, _ORANGE)]
        area = weights_auc(weight, right)
        title += "" if np.isnan(area) else f" (AUC {area:.3f})"
    for label, chosen, colour in groups:
        count = int(chosen.sum())
        if count:
            share = np.full(count, 100 / count)
            text = f"{label}: {count:,}"
            axes.hist(weight[chosen], bins, weights=share, color=colour, alpha=0.35)
            axes.hist(weight[chosen], bins, weights=share, color=colour, histtype="step", lw=1.4, label=text)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("mean weight at the end of training")
    axes.set_ylabel("% of its group")
    axes.legend(frameon=False, fontsize=9)
    _tidy(axes, "y")


def _canvas(title: str, panels: int = 1, height: float = 4.6) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7.6 if panels == 1 else 12.5, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, fontweight="bold", wrap=True, parse_math=False)  # names may have dollar signs
    return figure, [figure.add_subplot(1, panels, k + 1) for k in range(panels)]


def _curve(
    axes: Axes, step: np.ndarray, values: np.ndarray, label: str | None, colour: str, style: Any = "-", alpha: float = 1
) -> None:
    """Draws the finite values of a column; nothing, not even a legend entry, when there are none."""
    known = np.isfinite(values)
    if known.any():
        marker = "o" if known.sum() <= _FEW else ""
        axes.plot(
            step[known], values[known], ls=style, color=colour, lw=1.8, marker=marker, ms=3.5, label=label, alpha=alpha
        )


def _finish(axes: Axes, ylabel: str, run: RunData | None = None) -> None:
    """Labels the axes over the steps and adds the legend, or says that there is nothing to show."""
    axes.set_xlabel("training step")
    axes.set_ylabel(ylabel)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    _tidy(axes, "y")
    if not axes.lines:
        axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center", va="center", color=_GREY)
        return
    if run is not None and run.fact("burn_in_epoch") and run.fact("max_steps"):
        end = float(run.fact("burn_in_epoch")) / 100 * float(run.fact("max_steps"))
        if run.metrics["step"].size and end < run.metrics["step"][-1]:
            axes.axvline(end, color=_GREY, lw=1, ls=":", label="end of burn-in")
    if axes.get_legend_handles_labels()[0]:
        # Below the axes: curves may be anywhere inside them.
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False, fontsize=9)


def _tidy(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid, color="#e3e6e9", lw=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    with files.replacing(path) as stream:
        figure.savefig(stream, format="png")
