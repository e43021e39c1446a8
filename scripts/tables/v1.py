"""Tables 1 to 5 and the figures of MentorNet's preprint (v1, December 2017), and table 1 and figures of the ICML paper.

The preprint's MentorNet is its predefined one (section 5), of which ``imagenet`` has the settings. Most other rows are
those of the ICML paper, whose recipes they share. Table 6 is in ``imagenet``. Nothing here has been run at full scale.
"""

from __future__ import annotations

from scripts.tables import recipe_files
from scripts.tables.declarations import Command, Table
from scripts.tables.icml_cifar import METHODS, STUDENTS, percent
from scripts.tables.imagenet import MENTORNET_V1, V1_NOTE, without
from scripts.tables.recipe_files import FOLDER

NOISES = ("0.2", "0.4", "0.8")
EXPERTS = "pretrained:self_paced,pretrained:spcl_linear,pretrained:mentornet_pd"
# ICML table 1 and v1 table 2: test accuracy after training on clean labels.
CLEAN = {("cifar10", "inception"): ".81", ("cifar10", "resnet101"): ".96", ("cifar100", "inception"): ".49",
         ("cifar100", "resnet101"): ".79"}  # fmt: skip
CLEAN_IMAGENET = ".77"
# v1 table 4, resnet101 on CIFAR-100, for which the ICML paper has no recipe; 0.0 are clean labels.
TABLE_4 = {
    "self_paced": {"0.0": ".69"},
    "focal_loss": {"0.0": ".77"},
    "mentornet": {"0.0": ".73", "0.2": ".72", "0.4": ".57; table 3 prints .569", "0.8": ".13"},
}
FIGURE_4 = {
    "noreg": ("--method=standard", *without()),
    "noreg_wedecay": ("--method=standard", *without("weight_decay")),
    "noreg_dropout": ("--method=standard", *without("dropout")),
    "noreg_dataaug": ("--method=standard", *without("augmentation")),
    "noreg_mentornet": (*MENTORNET_V1, *without()),
    "mentornet": tuple(MENTORNET_V1),
}
CURVE = "a curve; the paper prints no numbers"


def _recipe(
    folder: str, stem: str, title: str, student: str, dataset: str, noise: str, own: tuple[str, ...], expected: str
) -> recipe_files.File:
    steps, hardware = STUDENTS[student]
    head = [
        title,
        f"expected accuracy on the clean test images: {expected}",
        f"hardware and hours: {hardware}",
        *([V1_NOTE] if "--curriculum=mentornet_pd_v1" in own else []),
    ]
    flags = [
        f"--dataset_name={dataset}",
        *(() if noise == "0.0" else ("--noise_type=uniform", f"--noise_fraction={noise}")),
        f"--studentnet={student}",
        f"--max_number_of_steps={steps}",
        "--batch_size=128",
        "--learning_rate=0.1",
        *own,
    ]
    return recipe_files.file(FOLDER / folder / f"{stem}.flags", head, flags, "train_cifar.py")


def clean_students() -> list[recipe_files.File]:
    """The students on clean labels: ICML table 1, v1 table 2."""
    files = []
    for (dataset, student), expected in CLEAN.items():
        title = f"ICML 2018 table 1 and preprint table 2: {student} on {dataset}, clean labels."
        stem = f"{dataset}_{student}"
        files.append(_recipe("icml_table1", stem, title, student, dataset, "0.0", ("--method=standard",), expected))
    head = [
        "ICML 2018 table 1 and preprint table 2: inception_resnet_v2 on ImageNet, clean labels.",
        f"expected P@1 on clean validation: {CLEAN_IMAGENET}",
        "hardware: 50 GPUs in the paper, asynchronous, batch 32 each (TF_CONFIG: BUILD.md); for a single one add "
        "--distribution_strategy=one_device",
        "hours: some 5 on P100-class GPUs by its FLOPs, not measured here",
    ]
    flags = ["--dataset_name=imagenet", "--distribution_strategy=parameter_server", "--max_number_of_steps=1000000",
             "--method=standard"]  # fmt: skip
    path = FOLDER / "icml_table1" / "imagenet_inception_resnet.flags"
    files.append(recipe_files.file(path, head, flags, "train_imagenet.py", "--data_dir=IMAGENET"))
    return files


def table_3_and_4() -> list[recipe_files.File]:
    """What of tables 3 and 4 is not in the ICML paper."""
    files = []
    for row, numbers in TABLE_4.items():
        own = tuple(MENTORNET_V1) if row == "mentornet" else tuple(METHODS[row][0])
        for noise, expected in numbers.items():
            labels = "clean labels" if noise == "0.0" else f"{percent(noise)} uniform noise"
            title = f"Preprint (v1) table 4: {row}, resnet101, cifar100, {labels}."
            stem = f"cifar100_{noise}_{row}"
            files.append(_recipe("v1_table4", stem, title, "resnet101", "cifar100", noise, own, expected))
    title = "Preprint (v1) table 3: mentornet, resnet101, cifar10, 40% uniform noise."
    own = tuple(MENTORNET_V1)
    files.append(_recipe("v1_table3", "cifar10_mentornet", title, "resnet101", "cifar10", "0.4", own, ".766"))
    return files


def table_5() -> list[recipe_files.File]:
    """The two rows of table 5 that have the preprint's MentorNet."""
    files = []
    for row, expected, own, steps in (
        ("noreg_mentornet", ".590 (.814)", (*MENTORNET_V1, *without()), 500_000),
        ("mentornet", ".642 (.857)", tuple(MENTORNET_V1), 1_000_000),
    ):
        head = [
            f"Preprint (v1) table 5, ImageNet with 40% uniform noise: {row}.",
            f"expected P@1 (P@5) on clean validation: {expected}",
            "hardware: 50 GPUs in the paper, asynchronous, batch 32 each (TF_CONFIG: BUILD.md); for a single one add "
            "--distribution_strategy=one_device",
            f"hours: some {'3' if steps == 500_000 else '5'} on P100-class GPUs by its FLOPs, not measured here",
            V1_NOTE,
        ]
        flags = ["--dataset_name=imagenet", "--noise_type=uniform", "--noise_fraction=0.4",
                 "--distribution_strategy=parameter_server", f"--max_number_of_steps={steps}", *own]  # fmt: skip
        path = FOLDER / "v1_table5" / f"{row}.flags"
        files.append(recipe_files.file(path, head, flags, "train_imagenet.py", "--data_dir=IMAGENET"))
    return files


_SHARED_OF_FIGURE_4 = {
    **{
        f"icml_table2/{student}_{dataset}_{noise}_fullmodel": ("fullmodel", f"{student}_{dataset}_{noise}")
        for student in STUDENTS
        for dataset in ("cifar10", "cifar100")
        for noise in NOISES
    },
    **{f"v1_table4/cifar100_{noise}_mentornet": ("mentornet", f"resnet101_cifar100_{noise}") for noise in NOISES},
    "v1_table3/cifar10_mentornet": ("mentornet", "resnet101_cifar10_0.4"),
}


def figure_4() -> list[recipe_files.File]:
    """Each regulariser alone, and MentorNet without and with all of them."""
    there = set(_SHARED_OF_FIGURE_4.values())
    files = []
    for student in STUDENTS:
        for dataset in ("cifar10", "cifar100"):
            for noise in NOISES:
                for row, own in FIGURE_4.items():
                    if (row, f"{student}_{dataset}_{noise}") in there:
                        continue
                    title = f"Preprint (v1) figure 4: {row}, {student}, {dataset}, {percent(noise)} uniform noise."
                    stem = f"{student}_{dataset}_{noise}_{row}"
                    files.append(_recipe("v1_fig4", stem, title, student, dataset, noise, own, CURVE))
    return files


def recipes() -> list[recipe_files.File]:
    """All recipes of this module."""
    return [*clean_students(), *table_3_and_4(), *table_5(), *figure_4()]


_CLEAN_STEMS = (*(f"{dataset}_{student}" for dataset, student in CLEAN), "imagenet_inception_resnet")
_APPENDIX_D = "python -m mentornet.learning.architecture_comparison --output=docs/results --threads=1"
_CURVES = "the curves are in metrics.csv and accuracy.png of these run folders"

TABLES = (
    Table(
        "icml_table1",
        "ICML 2018, table 1: the students on clean labels",
        paper="icml",
        printed="table 1",
        column="validation",
        remark="parameters are counted by a test and training accuracy is in metrics.csv: both are no cells",
    ),
    Table(
        "icml_fig3",
        "ICML 2018, figure 3: error of resnet101 on CIFAR-100, 40% noise",
        "",
        shared={
            f"icml_table2/resnet101_cifar100_0.4_{row}": (row, "cifar100") for row in ("fullmodel", "mentornet_dd")
        },
        remark=_CURVES,
    ),
    Table(
        "icml_fig4",
        "ICML 2018, figure 4: curricula that MentorNet has learned",
        "",
        remark="no table of numbers: python -m mentornet.learning.plots --model_dir=FOLDER draws any learned MentorNet",
    ),
    Table(
        "v1_table1",
        "preprint 2017, table 1 and figure 3: architectures of MentorNet",
        own_command=_APPENDIX_D,
    ),
    Table(
        "v1_table2",
        "preprint 2017, table 2: the students on clean labels",
        "",
        paper="v1",
        printed="table 2",
        shared={f"icml_table1/{stem}": (stem, "test") for stem in _CLEAN_STEMS},
        remark="the cells of icml_table1",
    ),
    Table(
        "v1_table3",
        "preprint 2017, table 3: CIFAR under 40% uniform noise",
        r"(?P<column>cifar\d+)_(?P<row>.+)",
        paper="v1",
        printed="table 3",
        shared={
            **{
                f"icml_table{table}/resnet101_{dataset}_0.4_{row}": (printed, dataset)
                for dataset in ("cifar10", "cifar100")
                for table, row, printed in (
                    (3, "reed_hard", "reed_hard"),
                    (2, "reed_soft", "reed_soft"),
                    (3, "goldberger", "s_model"),
                )
            },
            "v1_table4/cifar100_0.4_mentornet": ("mentornet", "cifar100"),
        },
        remark="its S-model with a simple CNN and AIR are figures quoted from other papers",
    ),
    Table(
        "v1_table4",
        "preprint 2017, table 4: MentorNet and fine-tuned mixtures on CIFAR-100",
        r"cifar100_(?P<column>0\.\d)_(?P<row>.+)",
        paper="v1",
        printed="table 4",
        shared={
            f"icml_table2/resnet101_cifar100_{noise}_{row}": (row, noise)
            for row in ("self_paced", "focal_loss")
            for noise in NOISES
        }
        | {"other_cifar100_mentornet_pd": ("mentornet", "0.4")},
        commands=(
            Command(
                name="mixture_0.4",
                script="scripts/mentornet_dd.py",
                flags=("--noise_fraction=0.4", "--trusted=2000", "--percentiles=60", f"--experts={EXPERTS}",
                       "--flags=--dataset_name=cifar100"),
                row="mentornet_finetuned",
                column="0.4",
                scale="cpu",
                steps=2_832,
            ),
        ),
        setting="10,000 images of CIFAR-100, ResNet-8, 2,400 steps, no augmentation, 60th percentile; the mixture is "
        f"of {EXPERTS.replace('pretrained:', '').replace(',', ', ')}",
        remark="at full scale, the mixture is made by the commands of docs/learning.md, 'Experts, and a gate'",
    ),
    Table(
        "v1_table5",
        "preprint 2017, table 5 and figure 7: ImageNet under 40% uniform noise",
        paper="v1",
        printed="table 5",
        column="P@1",
        shared={
            f"icml_table4/{row}": (row, "P@1")
            for row in ("noreg", "noreg_wedecay", "noreg_dropout", "noreg_dataaug", "fullmodel")
        },
        remark=f"figure 7: {_CURVES}",
    ),
    Table(
        "v1_fig4",
        "preprint 2017, figure 4: each regulariser and MentorNet against the share of noise",
        r"(?P<column>[a-z0-9]+_cifar\d+_0\.\d)_(?P<row>.+)",
        shared=_SHARED_OF_FIGURE_4,
        remark="noise fractions are those of the tables: the paper prints no numbers of this figure",
    ),
    Table(
        "v1_fig5",
        "preprint 2017, figure 5: training error and test accuracy of resnet101 on CIFAR-100, 40% noise",
        "",
        shared={
            "icml_table2/resnet101_cifar100_0.4_fullmodel": ("fullmodel", "cifar100"),
            "v1_fig4/resnet101_cifar100_0.4_noreg": ("noreg", "cifar100"),
            "v1_table4/cifar100_0.4_mentornet": ("mentornet", "cifar100"),
        },
        remark=_CURVES,
    ),
    Table(
        "v1_fig6",
        "preprint 2017, figures 6, 8 and 9: images of high weight, an embedding, a confusion matrix",
        "",
        remark="no tables of numbers; the weights are in samples.csv of a run folder, and no command draws these",
    ),
)  # fmt: skip
