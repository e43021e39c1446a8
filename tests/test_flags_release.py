"""--preset=release against the released scripts' values, typed anew from them; and the table of docs/release.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from absl import flags as absl_flags

from data.pipeline import AUGMENTATIONS
from flags import configuration
from flags.build import in_memory
from flags.commands import trained_run
from flags.define import presets

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "release.md"
BASE = ["--train_log_dir=t", "--dataset_name=cifar10"]
SPADE = "--curriculum=self_paced"
RESNET, INCEPTION = "--studentnet=resnet101", "--studentnet=inception"

# cifar_train_mentornet.py, cifar_train_baseline.py and what they import.
EVERYWHERE = {"batch_size": 128, "learning_rate": 0.1, "learning_rate_decay_factor": 0.1, "max_steps": 39_000}
OF_SPADE = {
    "loss_percentile": "0.7,100",
    "loss_moving_average_decay": 0.5,
    "percentile_method": "nearest",
    "burn_in_epoch": 0,
    "burn_in_mode": "ones",
    "fixed_epoch_after_burn_in": False,
    "example_dropout_rates": "0.5,17,0.05,78,1,5",
    "example_dropout_mode": "uniform",
}
OF_RESNET = {
    "studentnet": "resnet101",
    "student_variant": "release",
    "momentum": 0.9,
    "weight_decay": 0.0002,
    "dropout_keep_probability": 1.0,
}
OF_INCEPTION = {"studentnet": "cifarnet", "momentum": 0.0, "weight_decay": 0.0, "dropout_keep_probability": 0.8}


def parsed(*flags: str):
    return configuration.parse(["train_cifar.py", *BASE, *flags])


def released(*flags: str):
    return parsed("--preset=release", *flags)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([RESNET, SPADE], EVERYWHERE | OF_RESNET | OF_SPADE),
        ([INCEPTION, SPADE], EVERYWHERE | OF_INCEPTION | OF_SPADE),
        ([RESNET], EVERYWHERE | OF_RESNET),
        ([INCEPTION], EVERYWHERE | OF_INCEPTION),
    ],
)
def test_every_default_is_the_released_scripts(flags, expected):
    identity = released(*flags).identity()
    assert {name: identity.get(name) for name in expected} == expected


@pytest.mark.parametrize(("student", "padding"), [(RESNET, 2), (INCEPTION, 8)])
def test_images_are_padded_mirrored_and_standardised_as_there(student, padding):
    augmentation = AUGMENTATIONS[released(student).data.augmentation]
    assert (augmentation.pad, augmentation.flip, augmentation.standardise) == (padding, True, "per_image")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        # steps of 50,000 images: 50 epochs are 19,531
        ([RESNET, SPADE], {19_000: 0.1, 19_600: 0.01, 25_100: 0.001, 30_100: 0.0001}),
        ([RESNET, SPADE, "--max_number_of_steps=10000"], {9_999: 0.1}),
        ([RESNET, SPADE, "--num_epochs=20"], {7_000: 0.1}),
        ([RESNET], {19_000: 0.1, 19_600: 0.01, 38_000: 0.01}),
        ([INCEPTION, SPADE], {19_000: 0.1, 19_600: 0.01, 38_999: 0.01}),
        ([INCEPTION, "--max_number_of_steps=120000"], {39_200: 0.001, 119_999: 1e-7}),
        ([INCEPTION, "--num_epochs_per_decay=200"], {38_999: 0.1}),
        ([INCEPTION, "--learning_rate_boundaries=100"], {99: 0.1, 200: 0.01, 38_999: 0.01}),
    ],
)
def test_the_learning_rate_falls_when_it_falls_there(flags, expected):
    optimizer = in_memory.optimizer(released(*flags).resolved(50_000), 50_000)
    found = {}
    for step in expected:
        optimizer.iterations.assign(step)
        found[step] = float(optimizer.present_rate())
    assert found == pytest.approx(expected, rel=1e-4)


def test_other_schedules_and_optimisers_are_free_of_the_releases_decay():
    for flag in ("--learning_rate_schedule=cosine", "--learning_rate_schedule=linear"):
        assert released(INCEPTION, flag).student.num_epochs_per_decay is None


FLAGS_OF_PAPER = [
    "--loss_p_percentile=0.7",
    "--loss_moving_average_decay=0.5",
    "--percentile_method=nearest",
    "--burn_in_epoch=0",
    "--burn_in_mode=ones",
    "--example_dropout_rates=0.5,17,0.05,78,1.0,5",
]


@pytest.mark.parametrize(
    ("student", "moved"),
    [
        (
            RESNET,
            ["--student_variant=release", "--augmentation=release", "--learning_rate_boundaries=19531,25000,30000"],
        ),
        (
            INCEPTION,
            ["--studentnet=cifarnet", "--momentum=0", "--num_epochs_per_decay=50", "--augmentation=release_inception",
             "--weight_decay=0", "--dropout_keep_probability=0.8"],
        ),
    ],
)  # fmt: skip
def test_the_flags_of_the_table_make_a_release_of_the_paper(student, moved):
    assert parsed(student, SPADE, *FLAGS_OF_PAPER, *moved).identity() == released(student, SPADE).identity()
    named = set(re.findall(r"`--(\w+)", _table()))
    assert {flag[2:].split("=")[0] for flag in (*FLAGS_OF_PAPER, *moved)} <= named


def _table() -> str:
    text = DOCUMENT.read_text(encoding="utf-8")
    return text[text.index("## Training a student") : text.index("## The MentorNet")]


def test_the_table_has_a_row_for_every_difference_of_the_presets():
    flag_of = {
        "students": "studentnet",
        "loss_p_percentile": "loss_p_percentile",
        "epochs_per_decay": "num_epochs_per_decay",
        "plain_epochs_per_decay": "num_epochs_per_decay",
        "boundaries": "learning_rate_boundaries",
    }
    rows = [line for line in _table().splitlines() if line.startswith("|")]
    for field in presets.Preset.__dataclass_fields__:
        paper, release = getattr(presets.PAPER, field), getattr(presets.RELEASE, field)
        if paper != release and field != "release":
            flag = flag_of.get(field, field)
            assert flag in absl_flags.FLAGS
            assert any(f"`--{flag}`" in row for row in rows), field


def test_a_variant_of_another_student_is_refused():
    with pytest.raises(ValueError, match="--student_variant=release: --studentnet=resnet32 is built in one way only"):
        parsed("--studentnet=resnet32", "--student_variant=release")


def test_other_students_keep_their_recipes():
    """Methods of other authors, whose codes the preset stands for, too, go by the paper's schedule and momentum."""
    student = released("--studentnet=resnet32").student
    assert (student.num_epochs_per_decay, student.learning_rate_boundaries) == (None, (19_531, 25_000, 30_000))
    assert (student.momentum, student.variant) == (0.9, None)
    assert released("--studentnet=resnet32", "--max_number_of_steps=3900").student.learning_rate_boundaries == (
        1953,
        2500,
        3000,
    )


class _Stop(Exception):
    pass


@pytest.mark.parametrize(("preset", "variant"), [("paper", "paper"), ("release", "release")])
def test_the_variant_reaches_the_network(preset, variant, monkeypatch):
    def get(name, classes, **options):
        raise _Stop(options["variant"])

    monkeypatch.setattr(in_memory.student_nets, "get", get)

    class Loaded:
        class dataset:
            num_classes, image_shape = 10, (32, 32, 3)

    with pytest.raises(_Stop, match=variant):
        in_memory.student(parsed(RESNET, f"--preset={preset}").student, Loaded, seed=0)


@pytest.mark.parametrize(("recorded", "variant"), [({"student_variant": "release"}, "release"), ({}, "paper")])
def test_an_evaluation_builds_the_student_of_the_run(recorded, variant, tmp_path):
    """Folders from before there was a choice don't say it, and have the paper's."""
    record = {"identity": {"studentnet": "resnet101", "method": "standard", **recorded}}
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    for preset in ("paper", "release"):
        config = parsed("--mode=evaluate", f"--checkpoint_dir={tmp_path}", f"--preset={preset}")
        assert trained_run.as_trained(config, tmp_path).student.variant == variant
