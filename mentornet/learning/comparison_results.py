"""Results of the comparison of architectures: kept run by run, summed up as app. D's table 1 and its two figures.

``appendix_d_runs.csv`` holds the test error of every run along its steps and is what a stopped comparison continues
from; the table and the figures are drawn from it alone.
"""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mentornet import files

RUNS_FILE = "appendix_d_runs.csv"
TABLE_FILE = "appendix_d_table1.csv"
MARKDOWN_FILE = "appendix_d_table1.md"
CONVERGENCE_FILE = "appendix_d_convergence.png"
EXPLICIT_FILE = "appendix_d_explicit.png"

SCHEMES = {
    "self_paced": "Self-paced",
    "hard_example_mining": "Hard negative mining",
    "spcl_linear": "Linear weighting",
    "prediction_variance": "Prediction variance",
    "focal_loss": "Focal loss",
    "temporal_mixture": "Temporal mixture",
}
ARCHITECTURES = {"logistic": "Logistic", "mlp": "MLP", "cnn": "CNN", "rnn": "RNN", "mentornet": "MentorNet"}
EXPLICIT_SCHEMES = ("self_paced", "spcl_linear")

# App. D, table 1: (mean, half-width of the 90% interval), in the order of ARCHITECTURES.
PAPER = {
    "self_paced": ((8.9e-3, 0.8e-3), (1.1e-5, 0.3e-5), (4.9e-2, 1.0e-2), (1.6e-2, 1.0e-2), (1.6e-6, 0.5e-6)),
    "hard_example_mining": ((7.1e-3, 0.7e-3), (1.6e-5, 0.6e-5), (2.7e-3, 0.6e-3), (2.2e-3, 0.4e-3), (6.6e-7, 4.5e-7)),
    "spcl_linear": ((9.2e-4, 0.1e-4), (1.2e-4, 0.4e-4), (1.1e-4, 0.2e-4), (2.0e-2, 0.3e-2), (4.4e-5, 1.3e-5)),
    "prediction_variance": ((6.8e-3, 0.1e-3), (4.0e-3, 0.1e-3), (2.8e-2, 0.4e-2), (6.2e-3, 0.2e-3), (1.4e-3, 0.7e-3)),
    "focal_loss": ((1.7e-3, 0.0), (6.0e-5, 3.5e-5), (1.2e-2, 0.3e-2), (1.2e-2, 0.3e-2), (1.5e-5, 0.8e-5)),
    "temporal_mixture": ((1.8e-1, 0.0), (1.9e-2, 0.4e-2), (1.2e-1, 0.6e-1), (6.6e-2, 0.4e-2), (1.2e-4, 1.1e-4)),
}

# 95th percentile of Student's t with 1, 2, ... degrees of freedom: the half-width of a 90% interval.
_T_90 = (6.3138, 2.9200, 2.3534, 2.1318, 2.0150, 1.9432, 1.8946, 1.8595, 1.8331)
MAX_RUNS = len(_T_90) + 1

_COLUMNS = ("scheme", "architecture", "objective", "run", "step", "mse")
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#000000")


@dataclass(frozen=True)
class Cell:
    """What is compared: one architecture learning one scheme with one objective ("mse" or "explicit")."""

    scheme: str
    architecture: str
    objective: str = "mse"


Curve = list[tuple[int, float]]
Results = dict[Cell, list[Curve]]
"""For every finished cell the (step, test MSE) pairs of each of its runs."""


def rounded(mse: float) -> float:
    """An error with the digits that are kept in the file, so that a comparison ends the same stopped or not."""
    return float(f"{mse:.4g}")


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half-width of its 90% t-interval (NaN for one value; up to ten values)."""
    if len(values) < 2:
        return statistics.fmean(values), math.nan
    error = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), _T_90[len(values) - 2] * error


def read_runs(folder: Path, budget: Mapping[str, float]) -> Results:
    """The finished cells in ``appendix_d_runs.csv``, none if there is no such file.

    Raises:
        ValueError: the file is damaged, or was made under another budget.
    """
    path = folder / RUNS_FILE
    if not path.is_file():
        return {}
    head, _, body = path.read_text(encoding="utf-8").partition("\n")
    if head != _head(budget):
        raise ValueError(f"{str(path)!r} was made with {head.lstrip('# ')!r}, not {_head(budget).lstrip('# ')!r}")
    results: Results = {}
    try:
        for row in csv.DictReader(io.StringIO(body)):
            curves = results.setdefault(Cell(row["scheme"], row["architecture"], row["objective"]), [])
            if int(row["run"]) == len(curves):
                curves.append([])
            curves[int(row["run"])].append((int(row["step"]), float(row["mse"])))
    except (KeyError, TypeError, ValueError, IndexError):
        raise ValueError(f"{str(path)!r} is damaged; move it away to start the comparison anew") from None
    return results


def write_runs(folder: Path, results: Results, budget: Mapping[str, float]) -> None:
    """Writes every run's curve, all or nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for cell, curves in results.items():
        for run, curve in enumerate(curves):
            for step, mse in curve:
                writer.writerow((cell.scheme, cell.architecture, cell.objective, run, step, rounded(mse)))
    files.write_text(folder / RUNS_FILE, f"{_head(budget)}\n{text.getvalue()}")


def final_errors(results: Results, cell: Cell) -> list[float]:
    """The last test MSE of each run of a finished cell."""
    return [curve[-1][1] for curve in results[cell]]


def write_table(folder: Path, results: Results) -> None:
    """Writes ``appendix_d_table1.csv`` (scheme, architecture, mse_mean, mse_ci90, runs) and the Markdown table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scheme", "architecture", "mse_mean", "mse_ci90", "runs"))
    for scheme in SCHEMES:
        for architecture in ARCHITECTURES:
            cell = Cell(scheme, architecture)
            if cell in results:
                mean, interval = mean_and_interval(final_errors(results, cell))
                writer.writerow((scheme, architecture, f"{mean:.4e}", f"{interval:.4e}", len(results[cell])))
    files.write_text(folder / TABLE_FILE, text.getvalue())
    files.write_text(folder / MARKDOWN_FILE, markdown(results))


def markdown(results: Results) -> str:
    """Table 1 with the paper's figure under ours; the lowest of each row in bold."""
    lines = [
        "| scheme | | " + " | ".join(ARCHITECTURES.values()) + " |",
        "|---|---|" + "---|" * len(ARCHITECTURES),
    ]
    for scheme, title in SCHEMES.items():
        ours = {
            architecture: mean_and_interval(final_errors(results, Cell(scheme, architecture)))
            for architecture in ARCHITECTURES
            if Cell(scheme, architecture) in results
        }
        rows = ((title, "ours", ours), ("", "paper", dict(zip(ARCHITECTURES, PAPER[scheme], strict=True))))
        for name, who, figures in rows:
            best = min(figures, key=lambda key: figures[key][0], default=None)
            cells = [
                ("**{}**" if architecture == best else "{}").format(scientific(*figures[architecture]))
                if architecture in figures
                else "-"
                for architecture in ARCHITECTURES
            ]
            lines.append(f"| {name} | {who} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def scientific(mean: float, interval: float) -> str:
    """The paper's notation: 8.9±0.8E-3."""
    exponent = math.floor(math.log10(mean)) if mean > 0 else 0
    spread = "" if math.isnan(interval) else f"±{interval / 10.0**exponent:.1f}"
    return f"{mean / 10.0**exponent:.1f}{spread}E{exponent}"


def draw_convergence(folder: Path, results: Results) -> None:
    """App. D's convergence figure: mean test MSE over the steps, one panel a scheme, one curve an architecture."""
    figure = Figure(figsize=(12, 6.5))
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.08, top=0.95, hspace=0.25, wspace=0.22)
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3, sharex=True).ravel()
    for axes, (scheme, title) in zip(panels, SCHEMES.items(), strict=True):
        for (architecture, name), colour in zip(ARCHITECTURES.items(), _COLOURS, strict=True):
            if Cell(scheme, architecture) in results:
                _mean_curve(axes, results[Cell(scheme, architecture)], name, colour)
        _label(axes, title)
    handles, labels = next((axes.get_legend_handles_labels() for axes in panels if axes.lines), ([], []))
    panels[0].legend(handles, labels, fontsize=8)
    _save(figure, folder / CONVERGENCE_FILE)


def draw_explicit(folder: Path, results: Results) -> None:
    """App. D's comparison of explicit (eq. 4) and implicit (MSE) learning on two curricula of known G."""
    figure = Figure(figsize=(9, 3.6))
    figure.subplots_adjust(left=0.08, right=0.99, bottom=0.15, top=0.9, wspace=0.22)
    FigureCanvasAgg(figure)
    for axes, scheme in zip(figure.subplots(1, 2), EXPLICIT_SCHEMES, strict=True):
        for objective, name, colour in (("mse", "implicit", "#0072b2"), ("explicit", "explicit", "#d55e00")):
            cell = Cell(scheme, "mentornet", objective)
            if cell in results:
                _mean_curve(axes, results[cell], name, colour)
        _label(axes, SCHEMES[scheme])
        if axes.lines:
            axes.legend(fontsize=8)
    _save(figure, folder / EXPLICIT_FILE)


def _head(budget: Mapping[str, float]) -> str:
    return "# " + " ".join(f"{name}={value}" for name, value in budget.items())


def _mean_curve(axes: Axes, curves: Sequence[Curve], name: str, colour: str) -> None:
    steps = [step for step, _ in curves[0]]
    values = np.array([[mse for _, mse in curve] for curve in curves])
    axes.plot(steps, values.mean(axis=0), color=colour, label=name, lw=1.5)
    axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.12, lw=0)


def _label(axes: Axes, title: str) -> None:
    axes.set_yscale("log")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("step")
    axes.set_ylabel("test MSE")
    axes.grid(alpha=0.3)


def _save(figure: Figure, path: Path) -> None:
    with files.replacing(path) as stream:
        figure.savefig(stream, format="png", dpi=80)
