"""The recipes of DivideMix, alone and with L2B's step inside: L2B (Zhou, Li et al., CVPR 2024), tables 2, 3 and 7.

Settings are those of the two released codes: lambda_u and threshold by noise,
warm-up by data set, twice the batch with L2B's step.
"""

from __future__ import annotations

from pathlib import Path

from scripts.tables import recipe_files
from scripts.tables.cpu_methods import CPU_FLAGS
from scripts.tables.recipe_files import FOLDER

Recipe = tuple[Path, list[str], list[str]]

DATASETS = ("cifar10", "cifar100")
PERCENTS = ("20", "50", "80", "90")
TABLE_2 = {
    "dividemix": (("96.1", "94.6", "93.2", "76.0"), ("77.3", "74.6", "60.2", "31.5")),
    "l2b_dividemix": (("96.1", "95.4", "94.0", "91.3"), ("77.9", "75.9", "62.2", "35.8")),
}
# Table 7 by the number of clean images; its column of 1,000 is table 2.
TABLE_7 = {
    "0": (("96.3", "95.3", "93.5", "82.6"), ("77.6", "75.3", "60.8", "31.0")),
    "500": (("96.1", "95.3", "93.8", "91.1"), ("78.2", "75.3", "62.5", "34.0")),
}
LAMBDA_U = {"cifar10": ("0", "25", "25", "50"), "cifar100": ("25", "150", "150", "150")}
WARMUP = {"cifar10": 10, "cifar100": 30}
SHARED = ("--studentnet=preact_resnet18_dividemix", "--num_epochs=300", "--learning_rate=0.02",
          "--learning_rate_boundaries=150", "--weight_decay=5e-4", "--method=dividemix")  # fmt: skip
NOTES = (
    "The paper's figures are of the best epoch; that code trains 301 epochs, and evaluates by the sum of logits, too.",
    "Here labels are drawn image by image, there exactly so many; images are standardised one by one, there by the "
    "mean and deviation of CIFAR-10; an epoch leaves out the last, smaller batch.",
)
CLEAN_NOTE = "The clean images leave the noisy data here; in the released code they stay there with noisy labels."
NO_CLEAN_NOTE = "Clean samples are those whose labels the division keeps, with these labels."


def _recipe(table: int, name: str, dataset: str, percent: str, expected: str, own: list[str], notes: str) -> Recipe:
    asymmetric = percent == "asym40"
    noise = "40% asymmetric" if asymmetric else f"{percent}% symmetric (own class included)"
    head = [
        f"L2B (Zhou, Li et al. 2024) table {table}: {name}, {dataset}, {noise} noise.",
        f"expected test accuracy at the best epoch (accuracy_best): {expected}",
        f"hardware and hours: one GPU; some {'15' if 'l2b' in name else '8'} hours on a V100-class GPU by its FLOPs; "
        "not measured here",
        *NOTES,
        *([notes] if notes else []),
    ]
    column = PERCENTS.index("20" if asymmetric else percent)
    flags = [
        f"--dataset_name={dataset}",
        f"--noise_type={'asymmetric' if asymmetric else 'uniform'}",
        f"--noise_fraction={0.4 if asymmetric else int(percent) / 100:g}",
        *SHARED,
        f"--warmup_epochs={WARMUP[dataset]}",
        f"--lambda_u={LAMBDA_U[dataset][column]}",
        *(["--split_threshold=0.6"] if percent == "90" else []),
        *own,
    ]
    return FOLDER / f"l2b_table{table}" / f"{dataset}_{percent}_{name}.flags", head, flags


def _inside(clean: str) -> list[str]:
    """L2B's step: 128 labelled images beside as many unlabelled ones, 64 clean ones, or 128 without a clean set."""
    source = ["--clean_source=labelled", "--clean_batch_size=128"]
    if clean != "0":
        source = [f"--clean_examples={clean}", "--clean_batch_size=64"]
    return ["--batch_size=256", "--meta=l2b", "--clip_norm=0.8", *source]


def tables() -> list[Recipe]:
    """Tables 2, 3 (asymmetric noise) and 7 (sizes of the clean set)."""
    recipes = []
    for name, by_dataset in TABLE_2.items():
        own, note = (_inside("1000"), CLEAN_NOTE) if name == "l2b_dividemix" else (["--batch_size=128"], "")
        for dataset, numbers in zip(DATASETS, by_dataset, strict=True):
            for percent, expected in zip(PERCENTS, numbers, strict=True):
                recipes.append(_recipe(2, name, dataset, percent, expected, own, note))
    recipes.append(_recipe(3, "dividemix", "cifar10", "asym40", "93.4", ["--batch_size=128"], ""))
    for clean, by_dataset in TABLE_7.items():
        note = NO_CLEAN_NOTE if clean == "0" else CLEAN_NOTE
        for dataset, numbers in zip(DATASETS, by_dataset, strict=True):
            for percent, expected in zip(PERCENTS, numbers, strict=True):
                name = f"l2b_dividemix_clean{clean}"
                recipes.append(_recipe(7, name, dataset, percent, expected, _inside(clean), note))
    return recipes


def cpu_twins() -> list[Recipe]:
    """DivideMix beside the twins of the other methods: the same data and student, as many epochs as their steps make.

    Its two views need an augmentation, which theirs do without.
    """
    recipes = []
    for noise in ("uniform", "background"):
        head = [
            f"CIFAR-10 subset on a CPU: dividemix, a small CNN, 10,000 images of 16x16 pixels, 40% {noise} noise.",
            recipe_files.measured(f"methods_{noise}_dividemix"),
            "hardware and hours: 2 CPU cores, about 5 minutes",
        ]
        left_out = ("--max_number_of_steps", "--eval_every_steps", "--augmentation")
        flags = [flag for flag in CPU_FLAGS if flag.partition("=")[0] not in left_out]
        flags += [f"--noise_type={noise}", "--augmentation=release", "--method=dividemix", "--num_epochs=15",
                  "--warmup_epochs=5", "--lambda_u=25"]  # fmt: skip
        recipes.append((FOLDER / "cpu" / f"methods_{noise}_dividemix.flags", head, flags))
    return recipes


def recipes() -> list[Recipe]:
    """All recipes of this module."""
    return [*tables(), *cpu_twins()]
