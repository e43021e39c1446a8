"""The tables of the pages on reviewing, settings, semi-supervised methods, masks and search, from docs/results."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Sequence

from scripts.tables import semi_twins
from scripts.tables.document_table import DocumentTable, Row, auc, by_recipe, figure, read, spread_of

SEMI, SEGMENTATION = "docs/results/cpu_semi_supervised.csv", "docs/results/cpu_segmentation.csv"
REVIEW, SUSPECTS = "docs/results/review_loop.csv", "docs/results/suspects.csv"
NOISE, L2B = "docs/results/noise_rates.csv", "docs/papers/l2b.csv"
MNIST, MNIST_TENTH = "docs/results/s2e_mnist_{}.csv", "docs/results/s2e_mnist6000_sym50.csv"
SEARCHES = {"figure6": "docs/results/s2e_mnist6000_figure6.csv", "table2": "docs/results/s2e_mnist6000_table2.csv"}
FIGURE_10 = "docs/results/s2e_figure10.csv"


def percent(row: Row, name: str, digits: int = 1) -> str:
    """A share in %; empty where it is not known."""
    return f"{100 * float(row[name]):.{digits}f}" if row.get(name) else ""


def _of_semi(prefix: str, columns: Sequence[str]) -> list[list[str]]:
    """A line a recipe of the family that has run."""
    rows = []
    for recipe, row in by_recipe(SEMI).items():
        if recipe.startswith(f"{prefix}_"):
            rows.append([f"`{recipe.removeprefix(f'{prefix}_')}`", *(_semi(row, name) for name in columns)])
    return rows


def _of_semi_cifar10(column: str) -> list[list[str]]:
    """A line a method, a column a noise; empty where nothing has run."""
    found = by_recipe(SEMI)
    rows = []
    for method in semi_twins.ROWS:
        runs = [found.get(f"semi_cifar10_{noise}_{method}") for noise in semi_twins.NOISES]
        if any(runs):
            rows.append([f"`{method}`", *(_semi(run, column) for run in runs)])
    return rows


def _semi(row: Row | None, name: str) -> str:
    return auc(row, name) if name.endswith("_auc") else figure(row, name)


_LABELS = {"given": "as given", "300 reviewed": "300 worst suspects reviewed",
           "300 reviewed, percentile to fit": "the same, with the percentile that fits then",
           "500 left out unseen": "500 worst suspects left out, nobody looks"}  # fmt: skip


def _of_review() -> list[list[str]]:
    found = read(REVIEW)
    rows = []
    for method, name in (("plain", "plain"), ("mentornet_pd", "MentorNet PD")):
        for labels, text in _LABELS.items():
            runs = [row for row in found if (row["method"], row["labels"]) == (method, labels)]
            if runs:
                shares = (
                    spread_of([100 * float(row[key]) for row in runs])
                    for key in ("noise_rate_actual", "accuracy_last", "accuracy_best")
                )
                rows.append([name, text, *shares])
    return rows


_RANKINGS = {"mean probability of the given label": "mean probability of the given label", "mean loss": "mean loss",
             "mean weight at the end, then loss": "mean weight at the end, then loss (the ranking before)",
             "loss at the end": "loss at the end", "times forgotten": "times forgotten"}  # fmt: skip


def _of_suspects(data: str, images: str, columns: Sequence[str]) -> list[list[str]]:
    rows = [row for row in read(SUSPECTS) if (row["data"], row["images"]) == (data, images)]
    rows.sort(key=lambda row: -float(row["auroc"]))
    return [[_ranking(row["ranking"]), *(row[column] for column in columns)] for row in rows]


def _of_suspects_digits() -> list[list[str]]:
    """Rankings by their AUROC under the first kind of noise."""
    kinds = [
        {row["ranking"]: row for row in read(SUSPECTS) if row["data"] == f"digits_{kind}"}
        for kind in ("uniform", "uniform25", "asymmetric")
    ]
    order = sorted(kinds[0], key=lambda name: -float(kinds[0][name]["auroc"]))
    return [[_ranking(name), *(found[name][column] for found in kinds for column in _SUSPECTS)] for name in order]


def _ranking(text: str) -> str:
    who, _, what = text.partition(": ")
    names = {"mentornet_pd": "MentorNet PD", "plain": "plain", "cleanlab": "cleanlab"}
    what = {"self_confidence": "self-confidence", "normalized_margin": "normalised margin"}.get(
        what.split(",")[0], _RANKINGS.get(what, what)
    )
    return f"{names[who]}: {what}"


def _of_noise() -> list[list[str]]:
    """Means over seeds."""
    data = {"digits": "digits, small_cnn", "cifar10": "CIFAR-10, 10,000 images, resnet8"}
    found = read(NOISE)
    rows = []
    for dataset, noise in dict.fromkeys((row["dataset"], row["noise"]) for row in found):
        runs = [row for row in found if (row["dataset"], row["noise"]) == (dataset, noise)]
        human = ", CIFAR-10N worst" if noise.startswith("human") else ""
        figures = (f"{100 * statistics.mean(float(row[name]) for row in runs):.1f}%" for name in
                   ("wrong", "estimate", "by_losses", "by_matrix", "by_confident", "disagreement"))  # fmt: skip
        rows.append([data[dataset] + human, str(len(runs)), *figures])
    return rows


def _runs(recipe: str) -> list[Row]:
    return [row for row in read(SEGMENTATION) if row["recipe"] == recipe]


def _each(rows: Sequence[Row], name: str, write: Callable[[float], str]) -> str:
    return ", ".join(write(float(row[name])) for row in rows if row[name])


def _dice(value: float) -> str:
    return f"{100 * value:.1f}"


def _area(value: float) -> str:
    return f"{value:.3f}"


def _of_table_5(data: str = "phantoms") -> list[list[str]]:
    """The methods at level 2, each seed's figure after the other, and the paper's."""
    printed = {(row["row"], row["column"]): row["value"] for row in read(L2B) if row["table"] == "table 5"}
    rows = []
    for method in ("standard", "clean_only", "l2rw", "mixup", "l2b", "l2b_clean_step"):
        runs = _runs(f"{data}_l2_{method}")
        if not runs:
            continue
        paper = {"l2rw": "reweighting"}.get(method, method)
        theirs = " / ".join(printed[paper, column] for column in ("dice", "hd", "asd") if (paper, column) in printed)
        rows.append([
            f"`{method}`", _each(runs, "dice", _dice), _each(runs, "hausdorff", lambda v: f"{v:.1f}"),
            _each(runs, "average_surface_distance", lambda v: f"{v:.2f}"),
            *(_each(runs, f"pixel_auc_{name}", _area) for name in ("loss", "weight", "share")),
            *([theirs] if data == "phantoms" else []),
        ])  # fmt: skip
    return rows


def _of_table_6() -> list[list[str]]:
    printed = {(row["row"], row["column"]): row["value"] for row in read(L2B) if row["table"] == "table 6"}
    rows = []
    for level in ("l1", "l2", "l3"):
        plain, ours, more = (_runs(f"phantoms_{level}_{method}") for method in ("standard", "l2b", "l2b_clean_step"))
        theirs = (printed.get((row, level), "") for row in ("standard", "l2b"))
        rows.append([
            level, _each(plain, "dice_given_masks", _dice), _each(plain, "dice", _dice), _each(ours, "dice", _dice),
            _each(more, "dice", _dice), _each(ours, "pixel_auc_weight", _area), *theirs,
        ])  # fmt: skip
    return rows


def _of_search(file: str) -> list[list[str]]:
    rows = []
    for row in read(file):
        name = "`co_teaching` with the searched R(t)" if row["method"] == "s2e" else f"`{row['method']}`"
        shown = ("accuracy_best", "accuracy_mean_last_5_percent", "label_precision_last")
        rows.append([name, *(percent(row, column) for column in shown)])
    return rows


_BEST = ("best_1", "best_2", "best_3", "best_4")


def _of_searches(by: str, columns: Sequence[str], table: str) -> list[list[str]]:
    rows = []
    for row in read(SEARCHES[table]):
        seed = "" if row["search_seed"] == "0" else f", seed {row['search_seed']}"
        rows.append([f"`{row[by].partition('(')[0]}`{seed}", *(percent(row, column) for column in columns)])
    return rows


def _of_figure_10() -> list[list[str]]:
    return [
        [
            f"{float(row['tau']):g}, {row['t_k']}, {float(row['c']):g}",
            f"{float(row['rmse']):.3f}",
            f"{float(row['largest_difference']):.2f}",
        ]
        for row in read(FIGURE_10)
    ]


_SUSPECTS_HEAD = ("ranking", "AUROC", "average precision", "precision at 100")
_SUSPECTS = ("auroc", "average_precision", "precision_at_100")

TABLES = {
    "semi_digits": DocumentTable(
        (SEMI,),
        ("recipe `cpu/semi_digits_*`", "last", "best", "mean of last 10", "AUC of weights", "AUC of suspects"),
        lambda: _of_semi(
            "semi_digits", ("accuracy_last", "accuracy_best", "accuracy_mean_last_10", "weights_auc", "suspects_auc")
        ),
    ),
    "semi_folder": DocumentTable(
        (SEMI,),
        ("recipe `cpu/semi_folder_*`", "accuracy, last", "AUC of suspects"),
        lambda: _of_semi("semi_folder", ("accuracy_last", "suspects_auc")),
    ),
    "semi_cifar10_best": DocumentTable(
        (SEMI,), ("best accuracy, %", *semi_twins.NOISES), lambda: _of_semi_cifar10("accuracy_best")
    ),
    "semi_cifar10_last": DocumentTable(
        (SEMI,), ("mean accuracy of the last 10, %", *semi_twins.NOISES),
        lambda: _of_semi_cifar10("accuracy_mean_last_10"),
    ),
    "semi_cifar10_auc": DocumentTable(
        (SEMI,), ("AUC of suspects", *semi_twins.NOISES), lambda: _of_semi_cifar10("suspects_auc")
    ),
    "review_loop": DocumentTable(
        (REVIEW,), ("training", "labels", "wrong labels, %", "accuracy, last", "best"), _of_review, left=(1,)
    ),
    "suspects_digits": DocumentTable(
        (SUSPECTS,),
        ("ranking", "uniform 40%: AUROC", "average precision", "precision at 100", "uniform 25%: AUROC",
         "average precision", "precision at 100", "asymmetric 40%: AUROC", "average precision", "precision at 100"),
        _of_suspects_digits,
        best=(1, 2, 4, 5, 7, 8, 9),
    ),
    "suspects_cifar10": DocumentTable(
        (SUSPECTS,),
        (*_SUSPECTS_HEAD, "at 1,000"),
        lambda: _of_suspects("cifar10_worst", "10000", (*_SUSPECTS, "precision_at_1000")),
    ),
    "suspects_cleanlab": DocumentTable(
        (SUSPECTS,),
        (*_SUSPECTS_HEAD, "at 1,000"),
        lambda: _of_suspects("cifar10_worst", "2000", (*_SUSPECTS, "precision_at_1000")),
    ),
    "noise_rates": DocumentTable(
        (NOISE,),
        ("data, student", "seeds", "labels wrong", "estimate", "by losses", "by matrix", "by surest",
         "student disagrees"),
        _of_noise,
    ),
    "segmentation_table5": DocumentTable(
        (SEGMENTATION, L2B),
        ("method, noise l2", "Dice %", "HD, mm", "ASD, mm", "AUC of loss", "AUC of weight", "AUC of share",
         "paper, PROMISE12: Dice / HD / ASD in voxels"),
        _of_table_5,
    ),
    "segmentation_brain": DocumentTable(
        (SEGMENTATION,),
        ("method, noise l2", "Dice %", "HD, mm", "ASD, mm", "AUC of loss", "AUC of weight", "AUC of share"),
        lambda: _of_table_5("brain"),
    ),
    "segmentation_table6": DocumentTable(
        (SEGMENTATION, L2B),
        ("noise", "Dice of the given masks", "`standard`", "`l2b`", "`l2b_clean_step`", "AUC of weight", "paper: plain",
         "L2B"),
        _of_table_6,
    ),
    **{
        f"s2e_mnist_{noise}": DocumentTable(
            (MNIST.format(noise),),
            (f"MNIST, {title}, 60,000 images, 200 epochs", "best epoch", "last", "label precision at the end"),
            functools.partial(_of_search, MNIST.format(noise)),
        )
        for noise, title in (("sym20", "sym-20"), ("sym50", "sym-50"), ("pair45", "pair-45"))
    },
    "s2e_figure6": DocumentTable(
        (SEARCHES["figure6"],),
        ("sampler", "best of 6", "of 12", "of 18", "of 24", "mean of 24", "mean of the last 6"),
        lambda: _of_searches("sampler", (*_BEST, "mean", "mean_last_quarter"), "figure6"),
    ),
    "s2e_table2": DocumentTable(
        (SEARCHES["table2"],),
        ("space", "best of 24", "mean of 24", "test images, the best trained anew, last"),
        lambda: _of_searches("space", ("best_4", "mean", "test_retrained"), "table2"),
    ),
    "s2e_mnist6000": DocumentTable(
        (MNIST_TENTH,),
        ("MNIST, sym-50, 6,000 images, 200 epochs", "best epoch", "last", "label precision at the end"),
        lambda: _of_search(MNIST_TENTH),
    ),
    "s2e_figure10": DocumentTable(
        (FIGURE_10,),
        ("tau, t_k, c of 200 epochs", "root of the mean squared difference", "largest difference"),
        _of_figure_10,
    ),
}  # fmt: skip
"""By the names in the documents' markers."""
