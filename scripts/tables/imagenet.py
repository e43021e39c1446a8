"""The recipes of train_imagenet.py: ICML tables 4 and 5, table 6 of the preprint, and small twins for a CPU.

Each head states command, expected numbers, hardware and hours. Full-scale recipes have not been run here. A twin has
the flags of its original but for size and speed, and trains on images that scripts/make_fake_imagenet.py generates.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.tables import recipe_files
from scripts.tables.declarations import Table
from scripts.tables.recipe_files import FOLDER

SCRIPT = "train_imagenet.py"
TWINS = FOLDER / "cpu_imagenet"

ASYNCHRONOUS = "--distribution_strategy=parameter_server"
CLUSTER = (
    "hardware: {workers} GPUs in the paper, asynchronous, batch 32 each (TF_CONFIG: BUILD.md); for a single one add "
    "--distribution_strategy=one_device"
)
HOURS = "hours: {hours} on P100-class GPUs by its FLOPs, not measured here"
MENTORNET_NOTE = (
    "The paper does not say which MentorNet; this is the predefined one. A learned one: --curriculum=FOLDER "
    "--fixed_label=0"
)
STAR_NOTE = (
    "MentorNet* also has some 30,000 labels of 118 classes that people verified (Lee et al., CleanNet). How it uses "
    "them the paper does not say: here what they found right stays, what they found wrong is left out. Bring "
    "webvision_verified.csv yourself, in the form of docs/reviewing.md"
)
SELF_PACED = ["--curriculum=self_paced:growth=0.2", "--loss_p_percentile=0.75", "--example_dropout_rates=0",
              "--burn_in_epoch=0"]  # fmt: skip
MENTORNET = ["--curriculum=mentornet_pd", "--loss_p_percentile=0.75"]
# The preprint's own (section 5, alg. 1): half of each batch at weight 1 for the first fifth, which is sampling and no
# burn-in; then 1[l <= l_pt] at the 75th percentile, sampled at 0.95; in the last tenth linear weights at the 80th, and
# sampling rises to 1. Samples are drawn in proportion to their weights, without replacement.
RISING = ",".join(f"{(9 - k) * 0.005:g},1" for k in range(10))
MENTORNET_V1 = ["--curriculum=mentornet_pd_v1", "--loss_p_percentile=0.75,90,0.8,10", "--burn_in_epoch=0",
                f"--example_dropout_rates=0.5,20,0.05,70,{RISING}", "--example_dropout_mode=proportional"]  # fmt: skip
V1_NOTE = (
    "The preprint's predefined MentorNet (its section 5): half of each batch at weight 1 up to 20%, then the 75th "
    "percentile, from 90% on linear weights and the 80th; samples drawn in proportion to their weights"
)
NO_REGULARISATION = {"weight_decay": "--weight_decay=0", "dropout": "--dropout_keep_probability=1",
                     "augmentation": "--augmentation=none"}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One row of a table: name, expected numbers as printed, flags of its own, steps, a remark."""

    name: str
    expected: str
    flags: tuple[str, ...]
    steps: int = 1_000_000
    note: str = ""


def without(*kept: str) -> tuple[str, ...]:
    """The flags that switch off all regularisers but these."""
    return tuple(flag for name, flag in NO_REGULARISATION.items() if name not in kept)


PLAIN = "--method=standard"
FORGETTING = (PLAIN, "--dropout_keep_probability=0.2")

TABLE_4 = (
    Cell("noreg", ".538 (.770)", (PLAIN, *without()), 500_000),
    Cell("noreg_wedecay", ".560 (.809)", (PLAIN, *without("weight_decay")), 500_000),
    Cell("noreg_dropout", ".575 (.807)", (PLAIN, *without("dropout")), 500_000),
    Cell("noreg_dataaug", ".522 (.772)", (PLAIN, *without("augmentation")), 500_000),
    Cell("noreg_mentornet", ".590 (.814)", (*MENTORNET, *without()), 500_000, MENTORNET_NOTE),
    Cell("fullmodel", ".612 (.844)", (PLAIN,)),
    Cell("forgetting", ".628 (.845)", FORGETTING),
    Cell("mentornet", ".651 (.859)", tuple(MENTORNET), note=MENTORNET_NOTE),
)
TABLE_5_ENTIRE = (
    Cell("forgetting", ".590 (.808) on ILSVRC12, .666 (.856) on WebVision", FORGETTING),
    Cell("mentornet", ".625 (.830) on ILSVRC12, .708 (.880) on WebVision", tuple(MENTORNET), note=MENTORNET_NOTE),
    Cell(
        "mentornet_star",
        ".642 (.848) on ILSVRC12, .726 (.889) on WebVision",
        (*MENTORNET, "--corrections_file=webvision_verified.csv"),
        note=STAR_NOTE,
    ),
)
TABLE_5_MINI = (
    Cell("fullmodel", ".585 (.818) on ILSVRC12", (PLAIN,)),
    Cell("forgetting", ".562 (.816) on ILSVRC12", FORGETTING),
    Cell("reed_soft", ".565 (.827) on ILSVRC12", ("--method=reed", "--reed_kind=soft"),
         note="The paper tunes beta over 0.7, 0.8, 0.9, 0.95 (app. E.2): --reed_beta."),
    Cell("self_paced", ".576 (.822) on ILSVRC12", tuple(SELF_PACED),
         note="The paper tunes the percentile over 0.5, 0.6, 0.75 (app. E.2)."),
    Cell("mentornet", ".638 (.858) on ILSVRC12", tuple(MENTORNET), note=MENTORNET_NOTE),
)  # fmt: skip
YFCC_STEPS = 95_684  # 50 epochs of 61,238 images, 32 a step
TABLE_6 = (
    Cell("fullmodel", ".585 (.818)", (PLAIN,), YFCC_STEPS),
    Cell("reed_soft", ".560 (.826)", ("--method=reed", "--reed_kind=soft"), YFCC_STEPS),
    Cell("s_model", ".561 (.824)", ("--method=s_model",), YFCC_STEPS),
    Cell("self_paced", ".543 (.798)", tuple(SELF_PACED), YFCC_STEPS),
    Cell("mentornet", ".622 (.845)", tuple(MENTORNET_V1), YFCC_STEPS, V1_NOTE),
)

TWIN_FLAGS = (
    "--studentnet=inception_resnet_v2_tiny",
    "--image_size=75",
    "--max_number_of_steps=240",
    "--num_epochs_per_decay=20",
    "--eval_every_steps=60",
)


def _table(
    folder: str, title: str, cells: tuple[Cell, ...], flags: list[str], command_flags: str, workers: int, hours: str
) -> list[recipe_files.File]:
    files = []
    for cell in cells:
        head = [
            f"{title}: {cell.name}.",
            f"expected P@1 (P@5) on clean validation: {cell.expected}",
            CLUSTER.format(workers=workers),
            HOURS.format(hours=hours if cell.steps != 500_000 else "some 3"),
            *([cell.note] if cell.note else []),
        ]
        own = [*flags, ASYNCHRONOUS, f"--max_number_of_steps={cell.steps}", *cell.flags]
        files.append(recipe_files.file(FOLDER / folder / f"{cell.name}.flags", head, own, SCRIPT, command_flags))
    return files


def full_scale() -> list[recipe_files.File]:
    """ICML tables 4 and 5, table 6 of the preprint."""
    webvision = "--data_dir=WEBVISION --ilsvrc_dir=IMAGENET"
    noisy = ["--dataset_name=imagenet", "--noise_type=uniform", "--noise_fraction=0.4"]
    return [
        *_table("icml_table4", "ICML 2018 table 4, ImageNet with 40% uniform noise", TABLE_4, noisy,
                "--data_dir=IMAGENET", 50, "some 5"),
        *_table("icml_table5_entire", "ICML 2018 table 5, all of WebVision", TABLE_5_ENTIRE,
                ["--dataset_name=webvision"], webvision, 50, "some 5"),
        *_table("icml_table5_mini", "ICML 2018 table 5, WebVision's Google images of 50 classes", TABLE_5_MINI,
                ["--dataset_name=webvision_mini"], webvision, 50, "some 5"),
        *_table("v1_table6", "Preprint (v1) table 6, 61,238 images of YFCC100M for 51 classes", TABLE_6,
                ["--dataset_name=list"], "--data_dir=YFCC", 15, "some 2"),
    ]  # fmt: skip


def twins() -> list[recipe_files.File]:
    """Small runs on generated images, one for every table: plain training and MentorNet."""
    layouts = {
        "imagenet": ("slim", ["--dataset_name=imagenet", "--noise_type=uniform", "--noise_fraction=0.4"]),
        "webvision_mini": ("webvision", ["--dataset_name=webvision_mini", "--webvision_parts=google,flickr"]),
        "list": ("list", ["--dataset_name=list"]),
    }
    files = []
    for name, (layout, flags) in layouts.items():
        for method, own in (("fullmodel", [PLAIN]), ("mentornet", MENTORNET_V1 if name == "list" else MENTORNET)):
            head = [
                f"Twin of the large {name} runs for a CPU: {method}, a tiny Inception-ResNet-v2 on generated images.",
                "data: python scripts/make_fake_imagenet.py --train=600 --test=120 "
                f"--layout={layout} --output_dir=FAKE",
                "expected accuracy: far above the 0.25 of chance; the images are no benchmark",
                "hardware and hours: 2 CPU cores, some 2 minutes",
            ]
            path = TWINS / f"{name}_{method}.flags"
            files.append(recipe_files.file(path, head, [*flags, *TWIN_FLAGS, *own], SCRIPT, "--data_dir=FAKE"))
    return files


def recipes() -> list[recipe_files.File]:
    """(path from the repository's root, content) of every recipe this script writes."""
    return [*full_scale(), *twins()]


def _declared(name: str, title: str, paper: str, printed: str, column: str, twin: str) -> Table:
    return Table(
        name,
        title,
        paper=paper,
        printed=printed,
        column=column,
        shared={f"cpu_imagenet/{twin}_{row}": (row, column) for row in ("fullmodel", "mentornet")},
        setting="a tiny Inception-ResNet-v2 on generated images; no benchmark",
    )


TABLES = (
    _declared("icml_table4", "ICML 2018, table 4: ImageNet under 40% uniform noise", "icml", "table 4", "P@1",
              "imagenet"),
    Table("icml_table5_entire", "ICML 2018, table 5: WebVision", paper="icml", printed="table 5 (entire)",
          column="ILSVRC12 P@1"),
    _declared("icml_table5_mini", "ICML 2018, table 5: WebVision mini", "icml", "table 5 (mini)", "ILSVRC12 P@1",
              "webvision_mini"),
    _declared("v1_table6", "preprint 2017, table 6: images from the web", "v1", "table 6", "P@1", "list"),
)  # fmt: skip
