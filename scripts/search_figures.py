"""S2E's figures 3, 5, 6 and 10 and table 2 (Yao et al., ICML 2020) from finished runs, as csv and pictures.

    python scripts/search_figures.py curves --runs small_loss=RUN co_teaching=RUN --output docs/results/s2e_mnist_sym50
    python scripts/search_figures.py searches --runs newton=SEARCH random=SEARCH --output docs/results/s2e_figure6
    python scripts/search_figures.py fit --output docs/results/s2e_figure10

``curves`` writes OUTPUT.csv, a row a run with its test accuracies and its label precision, OUTPUT_curves.csv,
a row an evaluation, and OUTPUT.png, figure 3 above figure 5. Of methods with two networks accuracies and precisions are
the mean of both. ``searches`` compares finished searches, of samplers (figure 6) or of spaces (table 2): OUTPUT.csv, a
row a search with the best score at each quarter of its trainings, the mean scores, and what the best schedule came
to when it was trained anew; OUTPUT.png has the best score against trainings, the mean of searches with one name.
``fit`` approximates schedules of Co-teaching within the paper's space by least squares, figure 10.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


from mentornet import reading  # noqa: E402
from mentornet.files import RunFolderError  # noqa: E402
from mentornet.reports import names  # noqa: E402
from mentornet.runs.metrics_table import MetricsTable  # noqa: E402
from mentornet.search import fit, plots, spaces  # noqa: E402
from scripts import csv_table  # noqa: E402

EPOCHS = 200
SEARCHED = ("S2E", "#d55e00")  # Co-teaching with a searched schedule, which is no method of its own
# (tau, t_k, c) of eq. 1 that the paper's own setting and the corners of its ranges have.
TARGETS = ((0.5, 10, 1.0), (0.5, 100, 1.0), (0.5, 100, 0.5), (0.7, 60, 2.0))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("curves", "searches", "fit"))
    parser.add_argument("--runs", nargs="*", default=[], help="NAME=FOLDER of each run or search")
    parser.add_argument("--output", type=Path, required=True, help="path of the files without their endings")
    parser.add_argument("--title", default="", help="above the picture")
    chosen = parser.parse_args(arguments)
    pairs = [text.partition("=")[::2] for text in chosen.runs]
    if bool(pairs) == (chosen.what == "fit") or not all(name and folder for name, folder in pairs):
        parser.error("curves and searches need --runs as NAME=FOLDER, and fit has none")
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        if chosen.what == "fit":
            figure_10(chosen.output)
        elif chosen.what == "searches":
            figure_6(chosen.output, [(name, Path(folder)) for name, folder in pairs], chosen.title)
        else:
            figures_3_and_5(chosen.output, {name: Path(folder) for name, folder in pairs}, chosen.title)
    except (ValueError, OSError, RunFolderError) as error:
        parser.error(" ".join(str(error).split()))
    print(chosen.output.with_suffix(".csv"))
    return 0


def curves(run: Path) -> dict[str, np.ndarray]:
    """Of a run: "epoch", "accuracy" on the test images, "label_precision" (NaN if the method chooses nothing)."""
    metrics = MetricsTable(run / "metrics.csv").read()
    if not len(metrics["step"]):
        raise ValueError(f"{run} has no evaluation")
    result = reading.read_json(run / "result.json")
    kept = [values for name, values in metrics.items() if name.startswith("label_precision")]
    nothing = np.full(len(metrics["step"]), np.nan)
    return {
        "step": metrics["step"],
        "share": metrics["step"] / float(result["steps"]),
        "accuracy": metrics.get("eval_accuracy_peer_mean", metrics["eval_accuracy"]),
        "label_precision": np.mean(kept, axis=0) if kept else nothing,
    }


def figures_3_and_5(output: Path, runs: Mapping[str, Path], title: str) -> None:
    """Writes the curves of several runs, see the head of this file."""
    found = {name: curves(run) for name, run in runs.items()}
    rows, points = [], []
    for name, curve in found.items():
        accuracy, precision = curve["accuracy"], curve["label_precision"]
        tail = slice(-max(1, round(len(accuracy) / 20)), None)  # the last 5% of the training: 10 of 200 epochs
        figures = {
            "accuracy_last": accuracy[-1],
            "accuracy_mean_last_5_percent": accuracy[tail].mean(),
            "accuracy_best": accuracy.max(),
            "label_precision_last": precision[-1],
        }
        result = reading.read_json(runs[name] / "result.json")
        facts = {key: result[key] for key in ("seed", "train_examples", "steps")}
        rows.append({"method": name, **facts, **{key: _rounded(value) for key, value in figures.items()}})
        for step, a, p in zip(curve["step"], accuracy, precision, strict=True):
            points.append({"method": name, "step": int(step), "accuracy": _rounded(a), "label_precision": _rounded(p)})
    csv_table.write(output.with_suffix(".csv"), rows)
    csv_table.write(output.with_name(f"{output.name}_curves.csv"), points)
    figure, (above, below) = plots.canvas(title, 2, 1, (7.6, 7.8))
    for name, curve in found.items():
        label, colour = SEARCHED if name == "s2e" else names.of_method(name)
        style: dict[str, Any] = {"color": colour, "lw": 1.6, "label": label}
        above.plot(100 * curve["share"], 100 * curve["accuracy"], **style)
        if np.isfinite(curve["label_precision"]).any():
            below.plot(100 * curve["share"], 100 * curve["label_precision"], **style)
    plots.finish(above, "", "test accuracy, % (figure 3)")
    plots.finish(below, "training done, %", "label precision, % (figure 5)")
    plots.save(figure, output.with_suffix(".png"))


def figure_6(output: Path, searches: Sequence[tuple[str, Path]], title: str) -> None:
    """Writes how searches went, see the head of this file.

    Raises:
        ValueError: a search has fewer than four trials that ended.
        RunFolderError, OSError: a folder is no finished search.
    """
    rows, lines = [], defaultdict(list)
    for name, folder in searches:
        result = reading.read_json(folder / "result.json")
        with (folder / "progress.csv").open(newline="", encoding="utf-8") as stream:
            trials = [row for row in csv.DictReader(stream) if row["best"]]
        if len(trials) < 4:
            raise ValueError(f"{folder} has {len(trials)} trials, fewer than four")
        best = np.array([float(row["best"]) for row in trials])
        scores = np.array([float(row["score"]) for row in trials if row["state"] == "complete"])
        spent = np.array([float(row["trainings"]) for row in trials])  # a trial that was stopped early is a part of one
        ends = np.maximum(np.searchsorted(spent, spent[-1] * np.arange(1, 5) / 4, side="right") - 1, 0)
        marks = {f"best_{quarter}": best[end] for quarter, end in enumerate(ends, start=1)}
        figures = {**marks, "mean": scores.mean(), "mean_last_quarter": scores[-(len(scores) // 4) :].mean()}
        anew = (result.get("test") or {}).get("accuracy_mean_last_10")
        rows.append({
            "search": name, **{key: result[key] for key in ("space", "sampler", "search_seed")},
            "trials": len(trials), "trainings": trials[-1]["trainings"],
            **{key: _rounded(value) for key, value in figures.items()},
            "test_retrained": _rounded(np.nan if anew is None else anew),
        })  # fmt: skip
        lines[name].append((spent, best))
    csv_table.write(output.with_suffix(".csv"), rows)
    figure, axes = plots.canvas(title, 1, 1, (7.6, 4.4))
    for k, (name, found) in enumerate(lines.items()):
        grid = max((trainings for trainings, _ in found), key=len)
        mean = np.mean([np.interp(grid, *line) for line in found], axis=0)
        axes[0].step(grid, 100 * mean, where="post", color=f"C{k}", lw=1.8, label=name)
    # The first draws lie far below all that is compared.
    axes[0].set_ylim(bottom=100 * min(best[len(best) // 4] for found in lines.values() for _, best in found) - 1)
    plots.finish(axes[0], "trainings", "best validation accuracy so far, %")
    plots.save(figure, output.with_suffix(".png"))


def figure_10(output: Path) -> None:
    """Writes how close the paper's space comes to schedules of Co-teaching."""
    space, co_teaching = spaces.get("paper"), spaces.get("co_teaching", variant="code")
    rows = []
    headline = "Schedules of Co-teaching, and the closest ones of S2E's space (figure 10)"
    figure, axes = plots.canvas(headline, 1, 1, (7.6, 3.9))
    for k, (tau, length, exponent) in enumerate(TARGETS):
        target = co_teaching.schedule([tau, length / EPOCHS, exponent / 2], EPOCHS)
        found = fit.least_squares(space, target)
        facts = {"tau": tau, "t_k": length, "c": exponent}
        rows.append({**facts, "rmse": _rounded(found.rmse), "largest_difference": _rounded(found.largest)})
        axes[0].plot(target, color=f"C{k}", lw=1.2, ls="--")
        axes[0].plot(found.curve, color=f"C{k}", lw=1.8, label=f"tau {tau:g}, t_k {length:g}, c {exponent:g}")
    csv_table.write(output.with_suffix(".csv"), rows)
    plots.finish(axes[0], "epoch", "R(t); dashed: Co-teaching's")
    plots.save(figure, output.with_suffix(".png"))


def _rounded(value: float) -> float | str:
    return round(float(value), 5) if np.isfinite(value) else ""


if __name__ == "__main__":
    sys.exit(main())
