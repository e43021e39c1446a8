"""L2RW (Ren et al., ICML 2018), tables 1 and 2. Left out are the rows that it quotes of MentorNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.tables.cpu_methods import CLEAN, CLEAN_ONLY, FIRST, REED_HARD, REED_SOFT, Recipe
from scripts.tables.declarations import Table
from scripts.tables.recipe_files import FOLDER, run_folder

DATASETS = ("cifar10", "cifar100")


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: of the row, and of its recipes behind the data set.
        expected: the printed figure for each data set.
        flags: its own.
        first: the row of the same table whose student this one needs.
        note: a remark for the head.
    """

    name: str
    expected: tuple[str, str]
    flags: tuple[str, ...]
    first: str = ""
    note: str = ""


def _tuned(first: str, expected: tuple[str, str], clean: str) -> Row:
    """Fine-tuning on the clean set: 5,000 steps at the last rate from the student of another recipe."""
    flags = ("--method=clean_only", clean, "--learning_rate=0.001", "--max_number_of_steps=5000",
             "--learning_rate_boundaries=")  # fmt: skip
    return Row(f"{first}_ft", expected, flags, first)


WEIGHTED = ("--method=class_weights", "--class_weights_rule=precision")
WEIGHTED_NOTE = (
    "The class flipped to weighs as much as its labels are right: 0.217 on CIFAR-10, as in the released code, and "
    "0.025 on CIFAR-100, where that code has 0.246, because it takes 0.1, the share of one class of ten, there too."
)
PER_CLASS = "--clean_examples_per_class=10"
# Early stopping means fewer steps in these tables.
STOPPED = ("--max_number_of_steps=60000", "--learning_rate_boundaries=40000,50000")

L2RW_TABLE_1 = (
    Row("baseline", ("67.97 ± 0.62", "50.66 ± 0.24"), ("--method=standard",)),
    Row("reed_hard", ("69.66 ± 1.21", "51.34 ± 0.17"), REED_HARD),
    Row("s_model", ("70.64 ± 3.09", "49.10 ± 0.58"), ("--method=s_model",)),
    Row("random", ("86.06 ± 0.32", "58.01 ± 0.37"), ("--method=random_weights",)),
    Row("clean_only", ("46.64 ± 3.90", "9.94 ± 0.82"), (*CLEAN_ONLY, CLEAN)),
    _tuned("baseline", ("78.66 ± 0.44", "54.52 ± 0.40"), CLEAN),
    _tuned("random", ("86.55 ± 0.24", "58.54 ± 0.52"), CLEAN),
    Row("l2rw", ("86.92 ± 0.19", "61.34 ± 2.06"), ("--method=l2rw", CLEAN)),
)  # fmt: skip
L2RW_TABLE_2 = (
    Row("baseline", ("59.54 ± 2.16", "37.82 ± 0.69"), ("--method=standard",)),
    Row("baseline_es", ("64.96 ± 1.19", "39.08 ± 0.65"), ("--method=standard", *STOPPED)),
    Row("random", ("69.51 ± 1.36", "36.56 ± 0.44"), ("--method=random_weights",)),
    Row("weighted", ("79.17 ± 1.36", "36.56 ± 0.44 (as printed; equal to random)"), WEIGHTED, note=WEIGHTED_NOTE),
    Row("reed_soft_es", ("63.47 ± 1.05", "38.44 ± 0.90"), (*REED_SOFT, *STOPPED)),
    Row("reed_hard_es", ("65.22 ± 1.06", "39.03 ± 0.55"), (*REED_HARD, *STOPPED)),
    Row("s_model", ("58.60", "37.02"), ("--method=s_model",)),
    Row("s_model_conf", ("68.93", "46.72"), ("--method=s_model",), "baseline"),
    Row("s_model_conf_es", ("79.24", "54.50"), ("--method=s_model", *STOPPED), "baseline"),
    Row("clean_only", ("15.90 ± 3.32", "8.06 ± 0.76"), (*CLEAN_ONLY, PER_CLASS)),
    _tuned("baseline", ("82.82", "54.23"), PER_CLASS),
    _tuned("baseline_es", ("85.19", "55.22"), PER_CLASS),
    _tuned("weighted", ("85.98", "53.99"), PER_CLASS),
    _tuned("s_model_conf", ("81.90", "53.11"), PER_CLASS),
    _tuned("s_model_conf_es", ("85.86", "55.75"), PER_CLASS),
    Row("l2rw", ("86.73 ± 0.48", "59.30 ± 0.60"), ("--method=l2rw", PER_CLASS)),
)  # fmt: skip

STUDENT_NOTE = (
    "The student is the released code's (_l2rw): shortcuts by average pooling and zero channels, batch norm without "
    "scale and with a decay of 0.999, no first BN-ReLU in any unit of stage 1."
)


def _duration(hours: float) -> str:
    """As an estimate is told: "2 hours", "50 minutes"."""
    if hours >= 1.5:
        return f"{round(hours)} hours"
    minutes = round(60 * hours)
    return "1 hour" if minutes > 57 else f"{minutes if minutes < 15 else 5 * round(minutes / 5)} minutes"


def _l2rw_table(
    number: int, rows: Sequence[Row], noise: str, hours: tuple[float, float], shared: Sequence[str]
) -> list[Recipe]:
    """Recipes of a table; ``hours`` of the whole training on the hardware named in their heads, plain and of L2RW."""
    folder = FOLDER / f"l2rw_table{number}"
    all_steps = _steps(shared)
    recipes = []
    for row in rows:
        for dataset, expected in zip(DATASETS, row.expected, strict=True):
            named = {flag.partition("=")[0] for flag in row.flags}
            general = [flag for flag in shared if flag.partition("=")[0] not in named]
            time = hours["--method=l2rw" in row.flags] * _steps([*general, *row.flags]) / all_steps
            head = [
                f"L2RW (Ren et al. 2018) table {number}: {row.name}, {dataset}, {noise}.",
                f"expected test accuracy at the last step: {expected} (mean of 5 splits, 95% interval if printed)",
                f"hardware and hours: one GPU; about {_duration(time)} on a V100-class GPU by its FLOPs"
                f"{' beside the first run' if row.first else ''}; not measured here",
                STUDENT_NOTE,
                *([row.note] if row.note else []),
            ]
            own = [*row.flags]
            if row.first:
                first = folder / f"{dataset}_{row.first}.flags"
                head.append(FIRST.format(first.name))
                own.append(f"--baseline_run={run_folder(first)}")
            path = folder / f"{dataset}_{row.name}.flags"
            recipes.append((path, head, [f"--dataset_name={dataset}", *general, *own]))
    return recipes


def _steps(flags: Sequence[str]) -> int:
    return next(int(flag.partition("=")[2]) for flag in flags if flag.startswith("--max_number_of_steps="))


SHARED = ("--train_examples=45000", "--noise_fraction=0.4", "--noise_variant=author", "--augmentation=l2rw",
          "--batch_size=100", "--learning_rate=0.1", "--weight_decay=2e-4")  # fmt: skip
BACKGROUND = (*SHARED, "--noise_type=background", "--studentnet=resnet32_l2rw", "--max_number_of_steps=80000",
              "--learning_rate_boundaries=40000,60000")  # fmt: skip
"""Of table 2 and figures 3 to 7."""


def l2rw_tables() -> list[Recipe]:
    """Table 1 (uniform flips, WRN-28-10) and table 2 (flips to one class, ResNet-32), data as the released code's."""
    uniform = [*SHARED, "--noise_type=uniform", "--studentnet=wrn28_10_l2rw", "--dropout_keep_probability=0.7",
               *STOPPED]  # fmt: skip
    return [
        *_l2rw_table(1, L2RW_TABLE_1, "40% uniform flips of the released code (the paper's own: symmetric)",
                     (7, 20), uniform),
        *_l2rw_table(2, L2RW_TABLE_2, "40% flips to one class (--noise_class=0, 1, 3, 5, 7 in the five trials on "
                     "CIFAR-10; 7, 12, 41, 62, 85 on CIFAR-100)",
                     (1, 2), BACKGROUND),
    ]  # fmt: skip


def recipes() -> list[Recipe]:
    """All recipes of this module."""
    return l2rw_tables()


_SETTING = "10,000 images of CIFAR-10 at 16x16 pixels, a small CNN, 1,500 steps, clean sets of 1,000"
_TWINS = {"baseline": "plain", "s_model": "s_model", "random": "random_weights", "clean_only": "clean_only",
          "baseline_ft": "fine_tuned", "l2rw": "l2rw"}  # fmt: skip
TABLES = (
    *(
        Table(
            f"l2rw_table{number}",
            f"L2RW (ICML 2018), table {number}: {title}",
            r"(?P<column>cifar\d+)_(?P<row>.+)",
            paper="l2rw",
            printed=f"table {number}",
            shared={f"methods_{noise}_{twin}": (row, "cifar10") for row, twin in {**_TWINS, **more}.items()},
            setting=f"{_SETTING}; the paper: {student}, 45,000 images",
        )
        for number, title, noise, more, student in (
            (1, "CIFAR, 40% uniform flips", "uniform", {"reed_hard": "reed_hard"}, "WRN-28-10"),
            (2, "CIFAR, 40% flips to one class", "background", {"s_model_conf": "s_model_confusion"}, "ResNet-32"),
        )
    ),
    Table(
        "l2rw_fig2",
        "L2RW (ICML 2018), figure 2: class imbalance",
        own_command="python scripts/imbalance_experiment.py --data_dir=DATA --output_dir=runs/imbalance",
    ),
)
