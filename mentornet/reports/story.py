"""One sheet that tells what noisy labels do to plain training, and what a curriculum does about it.

Accuracy on clean labels, the share of the wrong labels that the student knows by heart, what becomes of the loss, and
the curriculum's first twelve suspects. Both runs need the true labels and dumps of their losses (``--keep_dumps_at``).
Nothing here imports TensorFlow.
"""

from __future__ import annotations

import io
import os
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from PIL import Image

from mentornet import files, reading
from mentornet.reports import names
from mentornet.runs import suspect_pictures
from mentornet.runs.run_data import RunData

SUSPECTS = 12
_GREY, _WRONG = "#6b7580", "#d55e00"
_CELL = reading.Value(float)


@dataclass(frozen=True)
class _Dumps:
    """Means over all training samples at the moments of the dumps, float64 [moments]."""

    step: np.ndarray
    memorised: np.ndarray
    loss_right: np.ndarray
    loss_wrong: np.ndarray


def draw(path: str | os.PathLike[str], plain: RunData, curriculum: RunData) -> None:
    """Draws the sheet of two runs on the same labels.

    Args:
      path: the PNG; replaced all at once.
      plain: a finished run without a curriculum.
      curriculum: a finished run with one.

    Raises:
      RunFolderError: (a ValueError) a run has no dumps, no suspects or no true labels, or a file is damaged.
    """
    runs = (plain, curriculum)
    dumps = [_dumps(run) for run in runs]
    figure = Figure(figsize=(13, 6.6), dpi=120, layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.08))
    FigureCanvasAgg(figure)
    wrong = 100 * (curriculum.wrong_share or 0.0)
    figure.suptitle(
        f"{wrong:.0f}% of the training labels are wrong: {names.name(plain)} against {names.name(curriculum)} "
        f"({curriculum.fact('dataset')}, seed {curriculum.fact('seed')})",
        fontweight="bold",
    )
    parts: Any = figure.subfigures(2, 1, height_ratios=(3.2, 1.35))
    upper, lower = parts
    accuracy, memorised, loss = upper.subplots(1, 3)
    for run, dump in zip(runs, dumps, strict=True):
        colour, name = names.looks([run])[0][0], names.name(run)
        step, metrics = run.metrics["step"], run.metrics
        accuracy.plot(step, metrics["eval_accuracy"], color=colour, lw=2, marker="o", ms=3.5, label=name)
        memorised.plot(dump.step, dump.memorised, color=colour, lw=2, marker="o", ms=3.5, label=name)
        loss.plot(step, metrics["raw_loss"], color=colour, lw=2, label=f"{name}, all labels")
        for axes, x, values in ((accuracy, step, metrics["eval_accuracy"]), (memorised, dump.step, dump.memorised)):
            axes.annotate(
                f"{100 * values[-1]:.0f}%", (x[-1], values[-1]), (-2, -13 if values[-1] > 0.95 else 7),
                textcoords="offset points", ha="right", color=colour, fontweight="bold",
            )  # fmt: skip
    colour, name = names.looks([curriculum])[0][0], names.name(curriculum)
    loss.plot(dumps[1].step, dumps[1].loss_wrong, color=colour, lw=1.5, ls=":", label=f"{name}, wrong labels")
    loss.plot(dumps[1].step, dumps[1].loss_right, color=colour, lw=1.5, ls="--", label=f"{name}, right labels")
    _finish(accuracy, "Accuracy on clean test labels", curriculum, percent=True)
    _finish(memorised, "Wrong labels learned by heart", curriculum, percent=True)
    memorised.set_ylim(-0.03, 1.05)
    _finish(loss, "Training loss", curriculum)
    loss.set_ylim(bottom=0)
    text = (
        f"The loss of {name} rises, and that is good: it refuses the wrong labels, "
        "which cost the more the surer it is of the right ones."
    )
    white = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    loss.text(0.02, 0.99, textwrap.fill(text, 46), transform=loss.transAxes, va="top", fontsize=8.5, bbox=white)
    loss.set_ylim(top=1.45 * loss.get_ylim()[1])
    for axes in (accuracy, memorised, loss):
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2 if axes is loss else 1, frameon=False, fontsize=9
        )
    _suspects(lower, curriculum)
    with files.replacing(path) as stream:
        figure.savefig(stream, format="png")


def _dumps(run: RunData) -> _Dumps:
    """What the dumps of a run say of right and of wrong labels."""
    moments: list[tuple[float, float, float, float]] = []
    found = sorted((run.path / "dumps").glob("losses_*.csv"), key=lambda file: int(file.stem.rpartition("_")[2]))
    for file in found:
        needed = ("epoch_percent", "noisy_label", "clean_label", "loss")
        table = reading.read_table(file, lambda _: _CELL, needed, "a dump of losses")
        wrong, loss = table["noisy_label"] != table["clean_label"], table["loss"]
        if not 0 < wrong.sum() < len(wrong):
            raise files.RunFolderError(f"{file} has no wrong labels, or no right ones: the sheet needs both.")
        # Dumps are taken at evaluations, so the moment that was asked for may not be theirs.
        percent = float(table["epoch_percent"][0])
        step = float(run.fact("max_steps") or run.fact("steps")) * (percent + 1) / 100
        # A label whose loss is below log 2 has more than half of the probability: the student answers with it.
        moments.append(
            (step, float(np.mean(loss[wrong] < np.log(2))), float(loss[~wrong].mean()), float(loss[wrong].mean()))
        )
    if not moments:
        raise files.RunFolderError(f"{run.path} has no dumps of its losses: train it with --keep_dumps_at=10,50,99.")
    return _Dumps(*(np.array(column) for column in zip(*moments, strict=True)))


def _finish(axes: Axes, title: str, run: RunData, *, percent: bool = False) -> None:
    """Title, grid, axes, and the end of burn-in with its name."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("training step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="y", color="#e3e6e9", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    burn_in, steps = run.fact("burn_in_epoch"), run.fact("max_steps") or run.fact("steps")
    if burn_in and steps:
        axes.axvline(float(burn_in) / 100 * float(steps), color=_GREY, lw=1, ls=":", label="end of burn-in")


def _suspects(part: SubFigure, run: RunData) -> None:
    """The first suspects in a row, with what they are given as and what they are."""
    if run.samples is None or "clean_label" not in run.samples:
        raise files.RunFolderError(f"{run.path} has no samples.csv with true labels.")
    kept, class_names = suspect_pictures.load(run.path / suspect_pictures.NAME)
    ranked = np.argsort(run.samples["suspect_rank"], kind="stable")
    order = [int(at) for at in ranked if int(run.samples["index"][at]) in kept][:SUSPECTS]
    part.suptitle(
        f"The first {len(order)} suspects of {names.name(run)}: given label and true one",
        x=0.012,
        ha="left",
        fontsize=11,
    )
    for axes, at in zip(part.subplots(1, SUSPECTS), order, strict=False):
        given, clean = (int(run.samples[f"{kind}_label"][at]) for kind in ("given", "clean"))
        with Image.open(io.BytesIO(kept[int(run.samples["index"][at])])) as picture:
            axes.imshow(np.asarray(picture.convert("RGB")), interpolation="nearest")
        given_name, clean_name = (class_names[label] if class_names else label for label in (given, clean))
        axes.set_xticks([])
        axes.set_yticks([])
        is_wrong = given != clean
        axes.spines[:].set(color=_WRONG if is_wrong else _GREY, linewidth=2.5 if is_wrong else 1)
        axes.set_xlabel(f"given {given_name}\nis {clean_name}", fontsize=9.5, color=_WRONG if is_wrong else _GREY)
