"""L2RW (Ren et al., ICML 2018), figures 3 to 7: weights, size of the clean set, share of noise, confusion, curves.

All train ResNet-32 under flips to one class as table 2 does. The paper prints no numbers of these figures; where its
axes can't be read from the text, our points are round numbers, which the remarks of the tables say.
"""

from __future__ import annotations

from scripts.tables.cpu_methods import FIRST, Recipe
from scripts.tables.declarations import Table
from scripts.tables.l2rw import BACKGROUND, PER_CLASS, STOPPED, STUDENT_NOTE
from scripts.tables.recipe_files import FOLDER, run_folder

SIZES = (15, 50, 100, 500, 1000)
LEVELS = (0, 10, 20, 30, 50)
"""Percent of noise in figure 5 that table 2, which has 40%, lacks."""
TUNING = ("--method=clean_only", "--learning_rate=0.001", "--max_number_of_steps=5000", "--learning_rate_boundaries=")
METHODS = {
    "baseline": ("--method=standard",),
    "baseline_es": ("--method=standard", *STOPPED),
    "baseline_ft": TUNING,
    "baseline_es_ft": TUNING,
    "l2rw": ("--method=l2rw",),
}
HOURS = {"baseline": "1 hour", "baseline_es": "45 minutes", "baseline_ft": "4 minutes beside the first run",
         "baseline_es_ft": "4 minutes beside the first run", "l2rw": "2 hours"}  # fmt: skip


def _recipe(
    figure: int, stem: str, row: str, dataset: str, what: str, own: list[str], left_out: tuple[str, ...] = ()
) -> Recipe:
    flags = [*METHODS[row], *own]
    named = {flag.partition("=")[0] for flag in flags} | set(left_out)
    shared = [flag for flag in BACKGROUND if flag.partition("=")[0] not in named]
    head = [
        f"L2RW (Ren et al. 2018) figure {figure}: {row}, {dataset}, {what}.",
        "expected: a picture; the paper prints no numbers",
        f"hardware and hours: one GPU; about {HOURS[row]} on a V100-class GPU by its FLOPs; not measured here",
        STUDENT_NOTE,
    ]
    if row.endswith("_ft"):
        first = FOLDER / f"l2rw_fig{figure}" / f"{stem.replace('_ft', '', 1)}.flags"
        if figure == 4:
            first = FOLDER / "l2rw_fig4" / f"{dataset}_{row.removesuffix('_ft')}.flags"
        head.append(FIRST.format(first.name))
        flags.append(f"--baseline_run={run_folder(first)}")
    return FOLDER / f"l2rw_fig{figure}" / f"{stem}.flags", head, [f"--dataset_name={dataset}", *shared, *flags]


def figure_3() -> list[Recipe]:
    """L2RW for half of the steps at a constant rate, whose weights are looked at."""
    own = [PER_CLASS, "--max_number_of_steps=40000", "--learning_rate_boundaries="]
    return [_recipe(3, "cifar10_l2rw", "l2rw", "cifar10", "40% flips to one class, half of the training", own)]


def figure_4() -> list[Recipe]:
    """Sizes of the clean set; 40% flipped to class 3."""
    what = "40% flips to class 3"
    found = [
        _recipe(4, f"cifar10_{row}", row, "cifar10", what, ["--noise_class=3"]) for row in ("baseline", "baseline_es")
    ]
    for size in SIZES:
        for row in ("l2rw", "baseline_ft", "baseline_es_ft"):
            own = ["--noise_class=3", f"--clean_examples={size}"]
            found.append(_recipe(4, f"cifar10_{row}_{size}", row, "cifar10", f"{what}, {size} clean images", own))
    return found


def figure_5() -> list[Recipe]:
    """Shares of noise."""
    found = []
    for dataset in ("cifar10", "cifar100"):
        for level in LEVELS:
            noise = [f"--noise_fraction={level / 100:g}"] if level else []
            left_out = () if level else ("--noise_fraction", "--noise_type", "--noise_variant")
            for row in ("baseline", "baseline_es", "baseline_es_ft", "l2rw"):
                own = [*noise, *([PER_CLASS] if row in ("baseline_es_ft", "l2rw") else [])]
                what = f"{level}% flips to one class" if level else "clean labels"
                found.append(_recipe(5, f"{dataset}_{level}_{row}", row, dataset, what, own, left_out))
    return found


def recipes() -> list[Recipe]:
    """All recipes of this module."""
    return [*figure_3(), *figure_4(), *figure_5()]


TABLES = (
    Table(
        "l2rw_fig3",
        "L2RW (ICML 2018), figure 3: the weights of right and wrong labels",
        r"(?P<column>cifar10)_(?P<row>.+)",
        figure="weights_auc",
        remark="weights.png of its run folder has the histogram, of training images; the paper takes a batch of others",
    ),
    Table(
        "l2rw_fig4",
        "L2RW (ICML 2018), figure 4: size of the clean set",
        r"cifar10_(?P<row>[a-z0-9_]+?)(?:_(?P<column>\d+))?",
        remark="sizes 15, 100 and 1,000 are named in the paper's text, the others are ours",
    ),
    Table(
        "l2rw_fig5",
        "L2RW (ICML 2018), figure 5: shares of noise",
        r"(?P<column>cifar\d+_\d+)_(?P<row>.+)",
        shared={
            f"l2rw_table2/{dataset}_{row}": (row, f"{dataset}_40")
            for dataset in ("cifar10", "cifar100")
            for row in ("baseline", "baseline_es", "baseline_es_ft", "l2rw")
        },
        remark="the shares, in percent, run from 0 to 50 as in the paper's text; its legend is in a picture alone",
    ),
    Table(
        "l2rw_fig6",
        "L2RW (ICML 2018), figure 6: confusion matrices",
        "",
        shared={f"l2rw_table{n}/cifar10_{row}": (row, f"table {n}") for n in (1, 2) for row in ("baseline", "l2rw")},
        remark="the students of these cells; student.keras predicts (docs/keras.md), no command draws the matrices",
    ),
    Table(
        "l2rw_fig7",
        "L2RW (ICML 2018), figure 7: training curves",
        "",
        shared={f"l2rw_table2/cifar10_{row}": (row, "cifar10") for row in ("baseline", "s_model", "l2rw")},
        remark="the curves are in metrics.csv and accuracy.png of these run folders",
    ),
)
