"""The tables in README.md and docs/ that ``reproduce.py docs`` writes, each from its csv files in docs/results."""

from __future__ import annotations

import math
import statistics

from scripts.tables import cpu_other_data, mask_tables, page_tables, speed_tables, suspect_tables, tuned_page
from scripts.tables.document_table import DocumentTable, Row, auc, by_recipe, figure, read, spread_of

CPU, DD = "docs/results/cpu_cifar10_0.4.csv", "docs/results/cpu_mentornet_dd.csv"
TABLE_2 = "docs/results/cpu_icml_table2.csv"
OTHER = "docs/results/cpu_other_data.csv"
APPENDIX_D = "docs/results/appendix_d_table1.csv"
METHODS, SELECTION = "docs/results/cpu_methods.csv", "docs/results/cpu_methods_selection.csv"
DIGITS, ICML = "docs/results/digits_selection.csv", "docs/papers/icml.csv"
IMBALANCE, FLOAT32 = "docs/results/imbalance_mnist.csv", "docs/results/imbalance_mnist_float32.csv"


def printed(row: str, noise: str) -> str:
    """ICML table 2, resnet101 on CIFAR-10, in %."""
    for line in read(ICML):
        if (line["table"], line["row"], line["column"]) == ("table 2", row, f"resnet101_cifar10_{noise}"):
            return f"{100 * float(line['value']):.0f}"
    return ""


_FIRST = (("plain", "plain", "fullmodel"), ("hard example mining", "hard_example_mining", ""),
          ("self-paced", "self_paced", "self_paced"), ("focal loss", "focal_loss", "focal_loss"),
          ("linear weighting (SPCL)", "spcl_linear", ""), ("MentorNet PD", "mentornet_pd", "mentornet_pd"),
          ("MentorNet DD ([its command](docs/learning.md))", "mentornet_dd", "mentornet_dd"))  # fmt: skip


def _of_readme() -> list[list[str]]:
    found = by_recipe(CPU, DD)
    return [
        [
            label,
            figure(row := found[f"cifar10_0.4_{name}"], "accuracy_last"),
            figure(row, "accuracy_best"),
            auc(row),
            f"{100 * float(row['data_utilisation']):.0f}%",
            printed(paper, "0.4"),
        ]
        for label, name, paper in _FIRST
    ]


def _of_other() -> list[list[str]]:
    found = by_recipe(OTHER)
    rows = []
    for name, (title, _) in cpu_other_data.DATA.items():
        plain, ours = (found.get(f"other_{name}_{method}") for method in cpu_other_data.METHODS)
        rows.append([title, *(figure(row, "accuracy_last") for row in (plain, ours)), auc(ours)])
    return rows


def _of_dd() -> list[list[str]]:
    found = by_recipe(DD)
    rows = []
    for label, name in (("plain", "plain"), ("self-paced", "self_paced"), ("MentorNet PD", "mentornet_pd"),
                        ("MentorNet DD", "mentornet_dd"),
                        ("the same, half of each batch dropped to the end",
                         "mentornet_dd_example_dropout_0.5")):  # fmt: skip
        cells = [label]
        for noise in ("0.4", "0.8"):
            row = found[f"cifar10_{noise}_{name}"]
            cells += [figure(row, "accuracy_last"), figure(row, "accuracy_best"), auc(row)]
        paper = "fullmodel" if name == "plain" else name
        cells.append(f"{printed(paper, '0.4')} / {printed(paper, '0.8')}" if printed(paper, "0.4") else "")
        rows.append(cells)
    return rows


def _of_table_2() -> list[list[str]]:
    found = by_recipe(TABLE_2, DD)
    rows = []
    for label, name, paper in _FIRST:
        cells = [label.partition(" ([")[0]]
        for noise in ("0.2", "0.8"):
            row = found.get(f"cifar10_{noise}_{name}")
            cells += [figure(row, "accuracy_last"), figure(row, "accuracy_best"), auc(row), printed(paper, noise)]
        rows.append(cells)
    return [cells for cells in rows if cells[1] or cells[5]]


_METHODS = ("plain", "forgetting", "reed_soft", "reed_hard", "s_model", "s_model_confusion", "forward_true",
            "forward_estimated", "backward_true", "generalised_cross_entropy", "mentornet_pd", "random_weights",
            "hard_mining", "early_stopping", "class_weights", "resampling", "clean_only", "fine_tuned", "l2rw", "l2b",
            "l2b_mixture", "small_loss", "decoupling", "co_teaching", "co_teaching_plus")  # fmt: skip


def _of_methods() -> list[list[str]]:
    found = by_recipe(METHODS, SELECTION)
    rows = []
    for name in _METHODS:
        both = [found.get(f"methods_{noise}_{name}") for noise in ("uniform", "background")]
        one = both[0] is not None and both[0]["seeds"] == "1"
        cells = [f"`{name}`" + (" (seed 0)" if one else "")]
        for row in both:
            cells += [figure(row, "accuracy_last"), figure(row, "accuracy_best"), auc(row)]
        rows.append([*cells, _fastest(both[0])])
    return rows


def _fastest(row: Row | None) -> str:
    """Steps a second of the faster of two seeds, which mean and deviation tell; a single one had others beside it."""
    if row is None or not row["steps_per_second_std"]:
        return ""
    return f"{float(row['steps_per_second']) + float(row['steps_per_second_std']) / math.sqrt(2):.0f}"


def _of_half() -> list[list[str]]:
    found = by_recipe(SELECTION)
    names = ("plain", "mentornet_pd", "small_loss", "decoupling", "co_teaching", "co_teaching_plus")
    rows = [found[f"methods_uniform50_{name}"] for name in names]
    return [
        [f"`{name}`", figure(row, "accuracy_last"), figure(row, "accuracy_best"), auc(row)]
        for name, row in zip(names, rows, strict=True)
    ]


def _of_digits() -> list[list[str]]:
    rows = []
    for name in ("standard", "small_loss", "decoupling", "co_teaching", "co_teaching_plus"):
        runs = [row for row in read(DIGITS) if row["method"] == name]

        def of(column: str, runs: list[Row] = runs) -> list[float]:
            return [float(row[column]) for row in runs if row[column]]

        precision = of("label_precision_last")
        rows.append(
            [
                f"`{name}`",
                *(spread_of([100 * v for v in of(c)]) for c in ("accuracy_last", "accuracy_peer_mean_last")),
                spread_of([100 * v for v in of("accuracy_best")]),
                f"{statistics.fmean(precision):.3f}" if precision else "",
            ]
        )
    return rows


_RATIOS = ("9", "19", "49", "99", "199")


def _errors(file: str, method: str, ratio: str) -> dict[str, float]:
    """Error in % by run."""
    return {
        row["run"]: 100 * float(row["error"]) for row in read(file) if row["method"] == method and row["ratio"] == ratio
    }


def _of_imbalance() -> list[list[str]]:
    methods = sorted({row["method"] for row in read(IMBALANCE)})
    return [
        [method, *(spread_of(list(_errors(IMBALANCE, method, ratio).values())) for ratio in _RATIOS)]
        for method in methods
    ]


def _of_float32() -> list[list[str]]:
    rows = []
    for method in ("hard_mining", "resample", "l2rw", "plain", "proportion"):
        exact, rough = (_errors(file, method, "199") for file in (FLOAT32, IMBALANCE))
        same = sorted(exact, key=int)
        differences = ", ".join(f"{exact[run] - rough[run]:.1f}" for run in same)
        cells = [spread_of([values[run] for run in same]) for values in (exact, rough)]
        rows.append([method, str(len(same)), *cells, differences])
    return rows


# Label, the paper's row, our curriculum.
_SCHEMES = (("Self-paced", "self_paced", "self_paced"),
            ("Hard negative mining", "hard_negative_mining", "hard_example_mining"),
            ("Linear weighting", "linear_weighting", "spcl_linear"),
            ("Prediction variance", "prediction_variance", "prediction_variance"),
            ("Focal loss", "focal_loss", "focal_loss"),
            ("Temporal mixture", "temporal_mixture", "temporal_mixture"))  # fmt: skip
_ARCHITECTURES = ("logistic", "mlp", "cnn", "rnn", "mentornet")


def _of_appendix_d() -> list[list[str]]:
    """Ours and the paper's below; the lowest of a row is bold."""
    ours = {
        (row["scheme"], row["architecture"]): (float(row["mse_mean"]), float(row["mse_ci90"]))
        for row in read(APPENDIX_D)
    }
    paper = {
        (row["row"], row["column"]): (float(row["value"]), float(row["spread"]))
        for row in read(ICML)
        if row["table"] == "appendix D table 1"
    }
    rows = []
    for label, printed_as, curriculum in _SCHEMES:
        for first, whose, found, scheme in ((label, "ours", ours, curriculum), ("", "paper", paper, printed_as)):
            figures = [found[scheme, architecture] for architecture in _ARCHITECTURES]
            texts = [_in_tens(*figure) for figure in figures]
            lowest = figures.index(min(figures))
            texts[lowest] = f"**{texts[lowest]}**"
            rows.append([first, whose, *texts])
    return rows


def _in_tens(value: float, spread: float) -> str:
    exponent = math.floor(math.log10(value))
    return f"{value / 10**exponent:.1f}±{spread / 10**exponent:.1f}E{exponent}"


def _of_recipes() -> list[list[str]]:
    """Every declared table: cells and hours at both scales, as the heads of the recipes state them."""
    from scripts import tables
    from scripts.reproduction import planning

    rows = []
    for table in tables.tables().values():
        cells = [] if table.apart else tables.cells(table.name)
        folder = table.folder or table.name
        linked = any(cell.recipe is not None and cell.recipe.parent.name == folder for cell in cells)
        shown = f"[`{table.name}`](../flags/recipes/{folder})" if linked else f"`{table.name}`"
        apart = f": `{table.own_command.split(' --')[0]}`" if table.own_command else ""
        row = [shown, f"{table.title}{apart}"]
        for scale in ("cpu", "paper"):
            of_scale = [cell for cell in cells if cell.scale == scale]
            hours = planning.total(planning.stated_hours(cell) for cell in of_scale if cell.recipe is not None)
            row += [str(len(of_scale)) if of_scale else "", f"{hours:.1f}" if of_scale and hours else ""]
        rows.append(row)
    return rows


TABLES = {
    "recipes": DocumentTable(
        ("scripts/tables",),
        ("table", "what", "cells, CPU scale", "core hours", "cells, full scale", "hours"),
        _of_recipes,
        left=(1,),
    ),
    "cpu_cifar10_0.4": DocumentTable(
        (CPU, DD, ICML),
        ("method", "last step", "best step", "weights AUC", "data used", "the paper, last"),
        _of_readme,
        best=(1, 2, 3),
    ),
    "cpu_other_data": DocumentTable(
        (OTHER,), ("", "`plain`, last", "`mentornet_pd`, last", "AUC of its weights"), _of_other
    ),
    "icml_table2_cpu": DocumentTable(
        (TABLE_2, DD, ICML),
        ("", "20%: last step", "best", "weights AUC", "the paper", "80%: last step", "best", "weights AUC",
         "the paper"),
        _of_table_2,
    ),
    "appendix_d": DocumentTable(
        (APPENDIX_D, ICML),
        ("scheme", "", "Logistic", "MLP", "CNN", "RNN", "MentorNet"),
        _of_appendix_d,
        left=(1, 2, 3, 4, 5, 6),
    ),
    "mentornet_dd": DocumentTable(
        (DD, ICML),
        ("", "40%: last step", "best step", "weights AUC", "80%: last step", "best step", "weights AUC",
         "the paper, 40% / 80%"),
        _of_dd,
        best=(1, 2, 3, 4, 5, 6),
        compared=4,
    ),
    "methods": DocumentTable(
        (METHODS, SELECTION),
        ("method", "uniform: last step", "best", "weights AUC", "background: last step", "best", "weights AUC",
         "steps/s, the faster seed"),
        _of_methods,
    ),
    "methods_uniform50": DocumentTable(
        (SELECTION,), ("50% uniform noise", "last step", "best", "weights AUC"), _of_half, best=(1,)
    ),
    "digits_selection": DocumentTable(
        (DIGITS,),
        ("method", "last step", "mean of the two networks", "best step", "label precision, last epoch"),
        _of_digits,
        best=(1,),
    ),
    "imbalance": DocumentTable(
        (IMBALANCE,),
        ("test error in %", "9:1", "19:1", "49:1", "99:1", "199:1 (the paper's 200:1)"),
        _of_imbalance,
    ),
    "imbalance_float32": DocumentTable(
        (FLOAT32, IMBALANCE),
        ("at 200:1", "seeds", "float32", "bfloat16", "float32 minus bfloat16, a seed"),
        _of_float32,
        left=(4,),
    ),
    **page_tables.TABLES,
    **suspect_tables.TABLES,
    **mask_tables.TABLES,
    **speed_tables.TABLES,
    **tuned_page.TABLES,
}  # fmt: skip
"""By the names in the documents' markers."""
