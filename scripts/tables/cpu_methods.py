"""Every method on 10,000 CIFAR-10 images of 16x16 pixels, with the same student and as many steps: minutes on a CPU.

Clean sets are 1,000 of the 10,000 images. Most have been run, as their heads say.
"""

from __future__ import annotations

from pathlib import Path

from scripts.tables.declarations import Table
from scripts.tables.recipe_files import FOLDER, measured, run_folder

Recipe = tuple[Path, list[str], list[str]]
"""Where it is, the lines of its head, its flags."""

CLEAN = "--clean_examples=1000"
MENTORNET_DROPOUT = "--example_dropout_rates=0.5,20,0.05,80"


FIRST = "First run the recipe {} of this folder: this one needs its student."
CLEAN_ONLY = ("--method=clean_only", "--max_number_of_steps=2000", "--learning_rate_boundaries=")
REED_HARD, REED_SOFT = ("--method=reed", "--reed_kind=hard"), ("--method=reed", "--reed_kind=soft")
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


def recipes() -> list[Recipe]:
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


TABLES = (
    Table(
        "methods",
        "every method at CPU scale",
        r"methods_(?P<column>uniform50|uniform|background)_(?P<row>.+)",
        folder="cpu",
        setting="10,000 images of CIFAR-10 at 16x16 pixels, a small CNN, 1,500 steps of 100",
    ),
)
