"""Recipes of DivideMix, UniCon and C2D, alone and with L2B's step: L2B (Zhou, Li et al., CVPR 2024), tables 2, 3, 7.

Settings are those of the released codes: lambda_u and threshold by noise, warm-up by data set, and with L2B's step
twice DivideMix's batch.
"""

from __future__ import annotations

from pathlib import Path

from scripts.tables.recipe_files import FOLDER

Recipe = tuple[Path, list[str], list[str]]

DATASETS = ("cifar10", "cifar100")
PERCENTS = ("20", "50", "80", "90")
TABLE_2 = {
    "dividemix": (("96.1", "94.6", "93.2", "76.0"), ("77.3", "74.6", "60.2", "31.5")),
    "l2b_dividemix": (("96.1", "95.4", "94.0", "91.3"), ("77.9", "75.9", "62.2", "35.8")),
    "unicon": (("96.0", "95.6", "93.9", "90.8"), ("78.9", "77.6", "63.9", "44.8")),
    "l2b_unicon": (("96.5", "95.8", "94.7", "92.8"), ("78.8", "77.3", "67.6", "49.6")),
    "c2d": (("96.3", "95.2", "94.4", "93.5"), ("78.7", "76.4", "67.8", "58.7")),
    "l2b_c2d": (("96.7", "95.6", "94.8", "94.4"), ("80.1", "78.1", "69.6", "60.7")),
}
# Table 7 by the number of clean images; its column of 1,000 is table 2.
TABLE_7 = {
    ("dividemix", "0"): (("96.3", "95.3", "93.5", "82.6"), ("77.6", "75.3", "60.8", "31.0")),
    ("dividemix", "500"): (("96.1", "95.3", "93.8", "91.1"), ("78.2", "75.3", "62.5", "34.0")),
    ("unicon", "0"): (("96.4", "95.6", "94.2", "92.5"), ("78.7", "77.4", "68.0", "48.6")),
    ("unicon", "500"): (("96.3", "95.6", "94.5", "92.7"), ("78.5", "77.5", "67.8", "51.1")),
    ("c2d", "0"): (("96.4", "95.6", "94.9", "93.7"), ("79.1", "77.8", "68.5", "60.3")),
    ("c2d", "500"): (("96.6", "95.5", "94.9", "94.0"), ("79.5", "77.9", "69.0", "60.8")),
}
LAMBDA_U = {
    "dividemix": {"cifar10": ("0", "25", "25", "50"), "cifar100": ("25", "150", "150", "150")},
    "unicon": {"cifar10": ("0", "30", "30", "50"), "cifar100": ("30", "30", "30", "30")},
    "c2d": {"cifar10": ("0", "25", "25", "50"), "cifar100": ("25", "150", "500", "500")},
}
WARMUP = {"dividemix": {"cifar10": 10, "cifar100": 30}, "unicon": {"cifar10": 10, "cifar100": 30},
          "c2d": {"cifar10": 5, "cifar100": 5}}  # fmt: skip
SHARED = ("--learning_rate=0.02", "--weight_decay=5e-4")
OWN = {
    "dividemix": ("--method=dividemix", "--studentnet=preact_resnet18_dividemix", "--num_epochs=300",
                  "--learning_rate_boundaries=150"),
    "unicon": ("--method=unicon", "--studentnet=preact_resnet18_dividemix", "--num_epochs=300",
               "--learning_rate_schedule=cosine", "--cosine_epochs=280", "--lowest_learning_rate=2e-4"),
    "c2d": ("--method=c2d", "--studentnet=resnet18_cifar", "--num_epochs=361", "--learning_rate_boundaries=150,300"),
}  # fmt: skip
CLIP = {"dividemix": ("0.8", "0.8"), "unicon": ("0.25", "0.8"), "c2d": ("0.8", "0.8")}
HOURS = {"dividemix": 8, "unicon": 14, "c2d": 10}
NOTES = (
    "The paper's figures are of the best epoch; DivideMix's code trains 301 epochs and evaluates by the sum of logits.",
    "Here labels are drawn image by image, there exactly so many; images are standardised one by one, there by the "
    "mean and deviation of CIFAR-10; an epoch leaves out the last, smaller batch.",
)
CLEAN_NOTE = "The clean images leave the noisy data here; in the released code they stay there with noisy labels."
NO_CLEAN_NOTE = "Clean samples are those whose labels the division keeps, with these labels."
UNICON_NOTE = "Unlabelled images a step are a multiple of 8 here; both looks of an epoch are in inference mode."


def pretraining(dataset: str) -> str:
    """The head's line about the student that C2D starts from."""
    command = (
        f"python scripts/pretrain_simclr.py --dataset_name={dataset} --data_dir=DATA --studentnet=resnet18_cifar "
        f"--batch_size=512 --num_epochs=500 --learning_rate=0.5 --train_log_dir=runs/simclr_{dataset}"
    )
    return f"First pre-train, once for all noises (its length and rate are ours): {command}"


def _recipe(table: int, name: str, dataset: str, percent: str, expected: str, own: list[str], notes: str) -> Recipe:
    base = name.removeprefix("l2b_").split("_")[0]
    asymmetric = percent == "asym40"
    noise = "40% asymmetric" if asymmetric else f"{percent}% symmetric (own class included)"
    head = [
        f"L2B (Zhou, Li et al. 2024) table {table}: {name}, {dataset}, {noise} noise.",
        f"expected test accuracy at the best epoch (accuracy_best): {expected}",
        f"hardware and hours: one GPU; some {HOURS[base] * (2 if 'l2b' in name else 1) - ('l2b' in name)} hours on a "
        "V100-class GPU by its FLOPs; not measured here",
        *NOTES,
        *([UNICON_NOTE] if base == "unicon" else []),
        *([pretraining(dataset)] if base == "c2d" else []),
        *([notes] if notes else []),
    ]
    column = PERCENTS.index("20" if asymmetric else percent)
    flags = [
        f"--dataset_name={dataset}",
        f"--noise_type={'asymmetric' if asymmetric else 'uniform'}",
        f"--noise_fraction={0.4 if asymmetric else int(percent) / 100:g}",
        *OWN[base],
        *SHARED,
        *([f"--pretrained_run=runs/simclr_{dataset}"] if base == "c2d" else []),
        f"--warmup_epochs={WARMUP[base][dataset]}",
        f"--lambda_u={LAMBDA_U[base][dataset][column]}",
        *(["--split_threshold=0.6"] if percent == "90" and base == "dividemix" else []),
        *(["--unlabelled_factor=1"] if name.startswith("l2b_unicon") and percent in ("80", "90") else []),
        *own,
    ]
    return FOLDER / f"l2b_table{table}" / f"{dataset}_{percent}_{name}.flags", head, flags


def _inside(base: str, dataset: str, clean: str) -> list[str]:
    """L2B's step: 64 clean images, or without a clean set as many as there are labelled ones.

    Inside DivideMix 128 labelled images a step, inside the others 64.
    """
    labelled = 128 if base == "dividemix" else 64
    source = ["--clean_source=labelled", f"--clean_batch_size={labelled}"]
    if clean != "0":
        source = [f"--clean_examples={clean}", "--clean_batch_size=64"]
    clip = CLIP[base][DATASETS.index(dataset)]
    return [f"--batch_size={2 * labelled}", "--meta=l2b", f"--clip_norm={clip}", *source]


def tables() -> list[Recipe]:
    """Tables 2, 3 (asymmetric noise) and 7 (sizes of the clean set)."""
    recipes = []
    for name, by_dataset in TABLE_2.items():
        for dataset, numbers in zip(DATASETS, by_dataset, strict=True):
            own, note = ["--batch_size=128"], ""
            if name.startswith("l2b_"):
                own, note = _inside(name.removeprefix("l2b_"), dataset, "1000"), CLEAN_NOTE
            for percent, expected in zip(PERCENTS, numbers, strict=True):
                recipes.append(_recipe(2, name, dataset, percent, expected, own, note))
    recipes.append(_recipe(3, "dividemix", "cifar10", "asym40", "93.4", ["--batch_size=128"], ""))
    inside = [*_inside("c2d", "cifar10", "1000"), "--num_epochs=200", "--learning_rate_boundaries=150"]
    recipes.append(_recipe(3, "l2b_c2d", "cifar10", "asym40", "94.0", inside, CLEAN_NOTE))
    for (base, clean), by_dataset in TABLE_7.items():
        note = NO_CLEAN_NOTE if clean == "0" else CLEAN_NOTE
        for dataset, numbers in zip(DATASETS, by_dataset, strict=True):
            for percent, expected in zip(PERCENTS, numbers, strict=True):
                own = _inside(base, dataset, clean)
                recipes.append(_recipe(7, f"l2b_{base}_clean{clean}", dataset, percent, expected, own, note))
    return recipes


def recipes() -> list[Recipe]:
    """All recipes of this module."""
    return tables()
