"""The tables of the pages on semi-supervised methods and on search, from docs/results."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from scripts.tables import semi_twins
from scripts.tables.document_table import DocumentTable, Row, auc, by_recipe, figure, read

SEMI = "docs/results/cpu_semi_supervised.csv"
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
