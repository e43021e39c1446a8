"""ICML tables 2 and 3: CIFAR-10 and CIFAR-100 under uniform noise, at full scale.

Each head states command, expected number, hardware and hours. Full-scale recipes have not been run here.
"""

from __future__ import annotations

from pathlib import Path

from scripts.tables import recipe_files
from scripts.tables.declarations import Command, Table
from scripts.tables.recipe_files import FOLDER

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

# Where the preprint (v1, tables 3 and 4) prints another figure for the same cell of resnet101.
PREPRINT = {
    ("reed_hard", "cifar10", "0.4"): (3, ".623"), ("reed_hard", "cifar100", "0.4"): (3, ".465"),
    ("reed_soft", "cifar10", "0.4"): (3, ".613"), ("reed_soft", "cifar100", "0.4"): (3, ".460"),
    ("goldberger", "cifar10", "0.4"): (3, ".699"), ("goldberger", "cifar100", "0.4"): (3, ".458"),
    ("self_paced", "cifar100", "0.2"): (4, ".61"), ("self_paced", "cifar100", "0.4"): (4, ".52"),
}  # fmt: skip

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


def _file(path: Path, head: list[str], flags: list[str]) -> recipe_files.File:
    return recipe_files.file(path, head, flags, "train_cifar.py")


def percent(noise: str) -> str:
    """The fraction as shown to people: 0.4 -> 40%."""
    return f"{100 * float(noise):.0f}%"


def _cell(
    table: int, method: str, student: str, dataset: str, noise: str, expected: str, tables: str
) -> recipe_files.File:
    steps, hardware = STUDENTS[student]
    if student == "resnet101" and (method, dataset, noise) in PREPRINT:
        number, other = PREPRINT[method, dataset, noise]
        expected += f"; the preprint's table {number} prints {other}"
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


def recipes() -> list[recipe_files.File]:
    """All recipes of this module."""
    return [*table_2(), *table_3()]


# Of cpu_cifar10 -> of the paper's table; two of its curricula are in none.
_TWINS = {"plain": "fullmodel", "self_paced": "self_paced", "focal_loss": "focal_loss", "mentornet_pd": "mentornet_pd",
          "hard_example_mining": "hard_example_mining", "spcl_linear": "spcl_linear"}  # fmt: skip
TABLES = (
    Table(
        "icml_table2",
        "ICML 2018, table 2: CIFAR under uniform noise",
        r"(?P<column>[a-z0-9]+_cifar\d+_0\.\d)_(?P<row>.+)",
        paper="icml",
        printed="table 2",
        shared={
            f"cifar10_{noise}_{twin}": (row, f"resnet101_cifar10_{noise}")
            for noise in NOISES
            for twin, row in _TWINS.items()
        },
        commands=tuple(
            Command(
                name=f"mentornet_dd_{noise}",
                script="scripts/mentornet_dd.py",
                flags=(f"--noise_fraction={noise}",),
                row="mentornet_dd",
                column=f"resnet101_cifar10_{noise}",
                scale="cpu",
                steps=2_400,
            )
            for noise in NOISES
        ),
        setting="10,000 images of CIFAR-10, ResNet-8, 2,400 steps, no augmentation; the paper: resnet101, 50,000",
    ),
    Table(
        "icml_table3",
        "ICML 2018, table 3: CIFAR under 40% uniform noise",
        r"resnet101_(?P<column>cifar\d+)_0\.4_(?P<row>.+)",
        paper="icml",
        printed="table 3",
        shared={
            **{
                f"icml_table2/resnet101_{dataset}_0.4_{row}": (row, dataset)
                for row in ("reed_soft", "mentornet_dd")
                for dataset in DATASETS
            },
            "methods_uniform_reed_hard": ("reed_hard", "cifar10"),
            "methods_uniform_reed_soft": ("reed_soft", "cifar10"),
            "methods_uniform_s_model": ("goldberger", "cifar10"),
        },
        setting="10,000 images of CIFAR-10 at 16x16 pixels, a small CNN, 1,500 steps; the paper: resnet101, 50,000",
    ),
    Table(
        "icml_appendix_d",
        "ICML 2018, appendix D: architectures of MentorNet",
        own_command="python -m mentornet.learning.architecture_comparison --output=docs/results --threads=1",
    ),
)
