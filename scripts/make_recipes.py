"""Writes flags/recipes: flagfiles for cells of the papers' tables.

    python scripts/make_recipes.py          # writes the files; a test holds that they are what this script gives

Each head states command, expected number, hardware and hours. Full-scale recipes have not been run here; heads of the
cpu/ family say whether they have, by the csv files in docs/results. The tables of L2RW and L2B are in
scripts/method_recipes.py, S2E's in scripts/selection_recipes.py and, of its searches, scripts/search_recipes.py,
DivideMix's in scripts/dividemix_recipes.py, those on masks in scripts/segmentation_recipes.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import (
    dividemix_recipes,
    method_recipes,
    recipe_files,
    search_recipes,
    segmentation_recipes,
    selection_recipes,
)
from scripts.recipe_files import FOLDER

NOISES = ("0.2", "0.4", "0.8")
DATASETS = ("cifar100", "cifar10")

# ICML table 2: method -> student -> CIFAR-100 at the three noise fractions, then CIFAR-10.
TABLE_2 = {
    "fullmodel": {"resnet101": (".60", ".45", ".08", ".82", ".69", ".18"),
                  "inception": (".43", ".38", ".15", ".76", ".73", ".42")},
    "forgetting": {"resnet101": (".61", ".44", ".16", ".78", ".63", ".35"),
                   "inception": (".42", ".37", ".17", ".76", ".71", ".44")},
    "self_paced": {"resnet101": (".70", ".55", ".13", ".89", ".85", ".28"),
                   "inception": (".44", ".38", ".14", ".80", ".74", ".33")},
    "focal_loss": {"resnet101": (".59", ".44", ".09", ".79", ".65", ".28"),
                   "inception": (".43", ".38", ".15", ".77", ".74", ".40")},
    "reed_soft": {"resnet101": (".62", ".46", ".08", ".81", ".63", ".18"),
                  "inception": (".42", ".39", ".12", ".78", ".73", ".39")},
    "mentornet_pd": {"resnet101": (".72", ".56", ".14", ".91", ".77", ".33"),
                     "inception": (".44", ".39", ".16", ".79", ".74", ".44")},
    "mentornet_dd": {"resnet101": (".73", ".68", ".35", ".92", ".89", ".49"),
                     "inception": (".46", ".41", ".20", ".79", ".76", ".46")},
}  # fmt: skip

# ICML table 3, 40% noise: CIFAR-100, CIFAR-10. Its MentorNet is the DD of table 2, so the student is taken to be
# resnet101; soft bootstrapping is in both tables.
TABLE_3 = {"reed_hard": (".47", ".62"), "reed_soft": (".46", ".61"), "goldberger": (".46", ".70")}

# What the release's own re-run of resnet101 reached (its README), same order of cells.
RELEASE = {
    "fullmodel": (".624", ".448", ".084", ".796", ".568", ".238"),
    "self_paced": (".652", ".509", ".089", ".822", ".802", ".297"),
    "focal_loss": (".613", ".467", ".079", ".797", ".634", ".250"),
    "mentornet_pd": (".733", ".567", ".193", ".910", ".776", ".283"),
    "mentornet_dd": (".726", ".675", ".301", ".914", ".887", ".463"),
}

BETAS = "The paper tunes beta over 0.7, 0.8, 0.9, 0.95 (app. E.2): --reed_beta."
METHODS = {
    "fullmodel": (["--method=standard"], ""),
    "forgetting": (
        ["--method=standard", "--dropout_keep_probability=0.5"],
        "The paper searches the keep probability in 0.2 to 0.9 and reports the best: repeat with each.",
    ),
    "self_paced": (
        ["--curriculum=self_paced:growth=0.2", "--loss_p_percentile=0.75", "--example_dropout_rates=0",
         "--burn_in_epoch=0"],
        "The paper tunes the percentile over 0.5, 0.6, 0.75 (app. E.2).",
    ),
    "focal_loss": (
        ["--curriculum=focal_loss:gamma=2", "--example_dropout_rates=0", "--burn_in_epoch=0"],
        "The paper tunes gamma over 1, 2, 3 (app. E.2).",
    ),
    "reed_soft": (["--method=reed", "--reed_kind=soft"], BETAS),
    "reed_hard": (["--method=reed", "--reed_kind=hard"], BETAS),
    "goldberger": (
        ["--method=s_model"],
        "The S-model; its noise layer starts near the identity here (--noise_layer_smoothing), with --baseline_run at "
        "the confusion matrix of that run.",
    ),
    "mentornet_pd": (["--curriculum=mentornet_pd", "--loss_p_percentile=0.75"], "Percentile of app. E.3."),
    "mentornet_dd": (
        ["--curriculum=mentornet_dd", "--mentor_examples=5000"],
        "Learned from 5,000 training images with true labels, at 21% and 75% of training (app. E.3).",
    ),
}  # fmt: skip

# On CIFAR-100 no true label may be used: a MentorNet learned on CIFAR-10 at the same noise is carried over (app. E.3).
# It is learned as the authors did: from the losses of 5,000 images under a student that has trained on noisy labels for
# 18 epochs, which are 18% of the 39,000 steps of resnet101.
DD_TRANSFER = (
    ["--curriculum=runs/dd_{student}_{noise}/mentornet", "--fixed_label=0", "--burn_in_epoch=18",
     "--fixed_epoch_after_burn_in", "--example_dropout_rates=0.5,18,0.05,82"],
    "First learn its MentorNet on CIFAR-10 at the same noise and full scale: from 5,000 of the 50,000 images with true "
    "labels too, under {student} after 18 epochs (7,020 steps of 128): python scripts/mentornet_dd.py "
    "--noise_fraction={noise} --train_examples=0 --steps=39000 --flags='--studentnet={student} --augmentation=cifar' "
    "--data_dir=DATA --output=runs/dd_{student}_{noise} --learn_only",
)  # fmt: skip

STUDENTS = {
    "resnet101": (39_000, "one GPU in the paper; 39,000 steps of 84.6 M parameters, some 10 hours on a V100-class "
                          "GPU by its FLOPs, not measured here"),
    "inception": (120_000, "one GPU in the paper; 120,000 steps of 1.65 M parameters, some 3 hours on a V100-class "
                           "GPU by its FLOPs, not measured here"),
}  # fmt: skip

# Burn-in and example dropout belong to MentorNet (ICML sec. 5.1); the other curricula decide from the first step.
CPU_BASELINE = ["--loss_p_percentile=0.6", "--burn_in_epoch=0", "--example_dropout_rates=0"]
CPU_METHODS = {
    "plain": ["--method=standard"],
    "self_paced": ["--curriculum=self_paced", *CPU_BASELINE],
    "focal_loss": ["--curriculum=focal_loss:gamma=2", *CPU_BASELINE],
    "hard_example_mining": ["--curriculum=hard_example_mining:positive_label_kept=0", *CPU_BASELINE],
    "spcl_linear": ["--curriculum=spcl_linear", *CPU_BASELINE],
    "mentornet_pd": [
        "--curriculum=mentornet_pd",
        "--loss_p_percentile=0.6",
        "--burn_in_epoch=20",
        "--example_dropout_rates=0.5,20,0.05,80",
    ],
}


def _file(path: Path, head: list[str], flags: list[str]) -> recipe_files.File:
    return recipe_files.file(path, head, flags, "train_cifar.py")


def percent(noise: str) -> str:
    """The fraction as shown to people: 0.4 -> 40%."""
    return f"{100 * float(noise):.0f}%"


def _cell(
    table: int, method: str, student: str, dataset: str, noise: str, expected: str, tables: str
) -> recipe_files.File:
    steps, hardware = STUDENTS[student]
    own, note = DD_TRANSFER if (method, dataset) == ("mentornet_dd", "cifar100") else METHODS[method]
    head = [
        f"ICML 2018 {tables}: {method}, {student}, {dataset}, {percent(noise)} uniform noise.",
        f"expected accuracy on clean validation: {expected}",
        f"hardware and hours: {hardware}",
        *([note.format(noise=noise, student=student)] if note else []),
    ]
    flags = [
        f"--dataset_name={dataset}",
        "--noise_type=uniform",
        f"--noise_fraction={noise}",
        f"--studentnet={student}",
        f"--max_number_of_steps={steps}",
        "--batch_size=128",
        "--learning_rate=0.1",
        *(flag.format(noise=noise, student=student) for flag in own),
    ]
    return _file(FOLDER / f"icml_table{table}" / f"{student}_{dataset}_{noise}_{method}.flags", head, flags)


def table_2() -> list[recipe_files.File]:
    """Flagfiles of ICML table 2; some of its cells at 40% are in table 3 too."""
    files = []
    for method, by_student in TABLE_2.items():
        for student, numbers in by_student.items():
            cells = [(dataset, noise) for dataset in DATASETS for noise in NOISES]
            for k, (dataset, noise) in enumerate(cells):
                expected, tables = numbers[k], "table 2"
                if student == "resnet101" and method in RELEASE:
                    expected += f"; the release's own re-run: {RELEASE[method][k]}"
                if student == "resnet101" and noise == "0.4":
                    if method in TABLE_3:
                        expected += f"; table 3 prints {TABLE_3[method][DATASETS.index(dataset)]}"
                    if method in (*TABLE_3, "mentornet_dd"):
                        tables = "tables 2 and 3"
                files.append(_cell(2, method, student, dataset, noise, expected, tables))
    return files


def table_3() -> list[recipe_files.File]:
    """Flagfiles of the cells of ICML table 3 that table 2 does not have."""
    return [
        _cell(3, method, "resnet101", dataset, "0.4", expected, "table 3")
        for method, numbers in TABLE_3.items()
        if method not in TABLE_2
        for dataset, expected in zip(DATASETS, numbers, strict=True)
    ]


def cpu_family() -> list[recipe_files.File]:
    """Small runs on real CIFAR-10: 10,000 images, a ResNet-8, 2,400 steps."""
    files = []
    for method, own in CPU_METHODS.items():
        for noise in NOISES:
            head = [
                f"CIFAR-10 subset on a CPU: {method}, ResNet-8, 10,000 images, {percent(noise)} uniform noise.",
                recipe_files.measured(f"cifar10_{noise}_{method}"),
                "hardware and hours: 2 CPU cores, under 10 minutes",
            ]
            flags = [
                "--dataset_name=cifar10",
                "--train_examples=10000",
                "--noise_type=uniform",
                f"--noise_fraction={noise}",
                "--studentnet=resnet8",
                "--augmentation=none",
                "--max_number_of_steps=2400",
                "--eval_every_steps=200",
                *own,
            ]
            files.append(_file(FOLDER / "cpu" / f"cifar10_{noise}_{method}.flags", head, flags))
    return files


def recipes() -> list[recipe_files.File]:
    """(path from the repository's root, content) of every recipe this script writes."""
    families = (method_recipes, selection_recipes, search_recipes, dividemix_recipes)
    methods = [_file(*recipe) for family in families for recipe in family.recipes()]
    return [*table_2(), *table_3(), *cpu_family(), *methods, *search_recipes.searches(), *segmentation_recipes.files()]


if __name__ == "__main__":
    recipe_files.write(recipes())
