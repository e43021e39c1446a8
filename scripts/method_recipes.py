"""The recipes of the methods that MentorNet is compared with: L2RW tables 1 and 2, L2B tables 1 and 8, twins for a CPU.

``scripts/make_recipes.py`` writes them. Full-scale recipes have not been run here; most twins have, as
their heads say: every method on 10,000 CIFAR-10 images of 16x16 pixels, with the same student and as many steps. Left
out are the rows that L2RW quotes of MentorNet, and L2B's ISIC2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.recipe_files import FOLDER, measured, run_folder

DATASETS = ("cifar10", "cifar100")
Recipe = tuple[Path, list[str], list[str]]
"""Where it is, the lines of its head, its flags."""

CLEAN = "--clean_examples=1000"
MENTORNET_DROPOUT = "--example_dropout_rates=0.5,20,0.05,80"


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


FIRST = "First run the recipe {} of this folder: this one needs its student."
CLEAN_ONLY = ("--method=clean_only", "--max_number_of_steps=2000", "--learning_rate_boundaries=")
REED_HARD, REED_SOFT = ("--method=reed", "--reed_kind=hard"), ("--method=reed", "--reed_kind=soft")
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

L2B_PERCENTS = ("20", "30", "40", "50")
L2B_TABLE_1 = {
    "ce": (("86.9", "84.9", "83.3", "81.3"), ("59.6", "52.2", "49.2", "44.4")),
    "bootstrap": (("85.2", "84.8", "82.9", "79.2"), ("61.8", "54.2", "50.2", "45.8")),
    "l2rw": (("90.6", "89.0", "86.6", "85.3"), ("67.8", "63.8", "59.7", "55.6")),
    "l2b": (("92.2", "90.7", "89.9", "88.5"), ("71.8", "69.5", "67.3", "64.5")),
}
L2B_TABLE_8 = {
    "ce": ("59.6", "49.2"),
    "alpha_zero": ("55.7", "47.1"),
    "beta_zero": ("63.2", "57.5"),
    "alpha_plus_beta_one": ("64.8", "59.1"),
    "full": ("71.8", "67.3"),
}
# Per data set: batch, clean images a class, norm of clipping, steps of an epoch (49,000 images, whole batches).
L2B_SIZES = {"cifar10": (512, 100, 0.25, 95), "cifar100": (256, 10, 0.8, 191)}
L2B_EPOCHS, L2B_WARMUP_EPOCHS = 300, 10
L2B_PLAIN = ["--method=standard", "--train_examples=49000"]
L2B_BOOTSTRAP = ["--method=reed", "--reed_kind=hard", "--reed_beta=0.8", "--train_examples=49000"]
L2B_PLAIN_NOTE = (
    "Weight decay is on kernels only in this row, on all parameters in those of l2rw and l2b as in the released code; "
    "nothing is clipped."
)
L2B_BOOTSTRAP_NOTE = "Target: beta given label + (1 - beta) own prediction; figure 1a tries 0.6 and 0.8 (--reed_beta)."

CPU_FLAGS = ("--dataset_name=tfds:cifar10", "--image_size=16", "--train_examples=10000", "--noise_fraction=0.4",
             "--studentnet=small_cnn", "--augmentation=none", "--batch_size=100", "--learning_rate=0.02",
             "--max_number_of_steps=1500", "--eval_every_steps=300")  # fmt: skip
KEEP = "--keep_schedule=co_teaching:tau={},epochs=5"
CPU_AFTER_PLAIN = ("s_model_confusion", "forward_estimated", "fine_tuned")
"""Those that begin with the run of plain training."""
# Every method, and the variants that are rows of the papers' tables; clean sets of 1,000 of the 10,000 images.
CPU_METHODS: dict[str, tuple[str, ...]] = {
    "plain": ("--method=standard",),
    "early_stopping": ("--method=standard", "--holdout_examples=1000"),
    "forgetting": ("--method=standard", "--dropout_keep_probability=0.5"),
    "mentornet_pd": ("--curriculum=mentornet_pd", "--loss_p_percentile=0.6", "--burn_in_epoch=20", MENTORNET_DROPOUT),
    "reed_soft": REED_SOFT,
    "reed_hard": REED_HARD,
    "s_model": ("--method=s_model",),
    "s_model_confusion": ("--method=s_model",),
    "forward_estimated": ("--method=forward_correction",),
    "forward_true": ("--method=forward_correction", "--transition_matrix=true"),
    "backward_true": ("--method=backward_correction", "--transition_matrix=true"),
    "generalised_cross_entropy": ("--method=generalised_cross_entropy",),
    "resampling": ("--method=standard", "--balanced_batches"),
    "class_weights": ("--method=class_weights",),
    "hard_mining": ("--method=hard_mining",),
    "random_weights": ("--method=random_weights",),
    "mixup": ("--method=mixup",),
    "clean_only": ("--method=clean_only", CLEAN),
    "fine_tuned": ("--method=clean_only", CLEAN),
    "l2rw": ("--method=l2rw", CLEAN),
    "l2b": ("--method=l2b", CLEAN, "--warmup_steps=100", "--clip_norm=0.25"),
    "l2b_mixture": ("--method=l2b", "--clean_source=mixture", "--warmup_steps=300", "--clip_norm=0.25"),
    "small_loss": ("--method=small_loss", KEEP),
    "decoupling": ("--method=decoupling",),
    "co_teaching": ("--method=co_teaching", KEEP),
    "co_teaching_plus": ("--method=co_teaching_plus", KEEP, "--warmup_epochs=5"),
}
CPU_HALF = ("plain", "mentornet_pd", "small_loss", "decoupling", "co_teaching", "co_teaching_plus")
"""Those that also run under 50% uniform noise."""

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


def l2rw_tables() -> list[Recipe]:
    """Table 1 (uniform flips, WRN-28-10) and table 2 (flips to one class, ResNet-32), data as the released code's."""
    shared = ["--train_examples=45000", "--noise_fraction=0.4", "--noise_variant=author", "--augmentation=l2rw",
              "--batch_size=100", "--learning_rate=0.1", "--weight_decay=2e-4"]  # fmt: skip
    uniform = [*shared, "--noise_type=uniform", "--studentnet=wrn28_10_l2rw", "--dropout_keep_probability=0.7",
               *STOPPED]  # fmt: skip
    background = [*shared, "--noise_type=background", "--studentnet=resnet32_l2rw", "--max_number_of_steps=80000",
                  "--learning_rate_boundaries=40000,60000"]  # fmt: skip
    return [
        *_l2rw_table(1, L2RW_TABLE_1, "40% uniform flips of the released code (the paper's own: symmetric)",
                     (7, 20), uniform),
        *_l2rw_table(2, L2RW_TABLE_2, "40% flips to one class (--noise_class=0, 1, 3, 5, 7 in the five trials on "
                     "CIFAR-10; 7, 12, 41, 62, 85 on CIFAR-100)",
                     (1, 2), background),
    ]  # fmt: skip


def _l2b_recipe(table: int, name: str, dataset: str, percent: str, expected: str, own: Sequence[str]) -> Recipe:
    batch, _, _, epoch = L2B_SIZES[dataset]
    head = [
        f"L2B (Zhou, Li et al. 2024) table {table}: {name}, {dataset}, {percent}% symmetric noise, own class included.",
        f"expected test accuracy at the best epoch (accuracy_best): {expected}",
        "hardware and hours: one GPU; some 2 hours on a V100-class GPU by its FLOPs, with a clean set 6; not measured "
        "here",
        "Images are standardised one by one here, by the mean and deviation of CIFAR-10 in the released code; the "
        "cosine falls with every step here, once an epoch there.",
        *([] if "--method=l2b" in own else [L2B_PLAIN_NOTE]),
        *([L2B_BOOTSTRAP_NOTE] if "--method=reed" in own else []),
    ]
    flags = [
        f"--dataset_name={dataset}",
        "--noise_type=uniform",
        f"--noise_fraction={int(percent) / 100:g}",
        "--studentnet=preact_resnet18",
        f"--batch_size={batch}",
        "--learning_rate=0.15",
        "--learning_rate_schedule=cosine",
        "--weight_decay=5e-4",
        f"--max_number_of_steps={L2B_EPOCHS * epoch}",
        f"--eval_every_steps={epoch}",
        *own,
    ]
    return FOLDER / f"l2b_table{table}" / f"{dataset}_{percent}_{name}.flags", head, flags


def _l2b_flags(dataset: str, *own: str) -> list[str]:
    _, per_class, clip, epoch = L2B_SIZES[dataset]
    clean = f"--clean_examples_per_class={per_class}"
    return ["--method=l2b", clean, f"--clip_norm={clip:g}", f"--warmup_steps={L2B_WARMUP_EPOCHS * epoch}", *own]


def l2b_tables() -> list[Recipe]:
    """Table 1 (four noise levels; ISIC is left out) and table 8 (ablations on CIFAR-100)."""
    recipes = []
    for name, by_dataset in L2B_TABLE_1.items():
        for dataset, numbers in zip(DATASETS, by_dataset, strict=True):
            own = {
                "ce": L2B_PLAIN,
                "bootstrap": L2B_BOOTSTRAP,
                "l2rw": _l2b_flags(dataset, "--l2b_ablation=beta_zero"),  # the same loop without the pseudo labels
                "l2b": _l2b_flags(dataset),
            }[name]
            for percent, expected in zip(L2B_PERCENTS, numbers, strict=True):
                recipes.append(_l2b_recipe(1, name, dataset, percent, expected, own))
    for name, pair in L2B_TABLE_8.items():
        ablation = () if name == "full" else (f"--l2b_ablation={name}",)
        own = L2B_PLAIN if name == "ce" else _l2b_flags("cifar100", *ablation)
        for percent, expected in zip(("20", "40"), pair, strict=True):
            recipes.append(_l2b_recipe(8, name, "cifar100", percent, expected, own))
    return recipes


def cpu_twins() -> list[Recipe]:
    """Every method under uniform noise and under background noise, small enough for a CPU."""
    recipes = []
    for noise, percent, names in (("uniform", 40, CPU_METHODS), ("background", 40, CPU_METHODS),
                                  ("uniform", 50, CPU_HALF)):  # fmt: skip
        family = f"methods_{noise}" + ("" if percent == 40 else str(percent))
        for name in names:
            own = [flag.format(percent / 100) for flag in CPU_METHODS[name]]
            head = [
                f"CIFAR-10 subset on a CPU: {name}, a small CNN, 10,000 images of 16x16 pixels, {percent}% {noise} "
                "noise.",
                measured(f"{family}_{name}"),
                "hardware and hours: 2 CPU cores, 1 to 3 minutes",
            ]
            general = [flag for flag in CPU_FLAGS if not flag.startswith("--noise_fraction")]
            place = CPU_FLAGS.index("--noise_fraction=0.4")
            flags = [*general[:place], f"--noise_fraction={percent / 100:g}", *general[place:]]
            flags += [f"--noise_type={noise}", *own]
            if name in CPU_AFTER_PLAIN:
                plain = FOLDER / "cpu" / f"{family}_plain.flags"
                head.append(FIRST.format(plain.name))
                flags.append(f"--baseline_run={run_folder(plain)}")
            recipes.append((FOLDER / "cpu" / f"{family}_{name}.flags", head, flags))
    return recipes


def recipes() -> list[Recipe]:
    """All recipes of this module."""
    return [*l2rw_tables(), *l2b_tables(), *cpu_twins()]
