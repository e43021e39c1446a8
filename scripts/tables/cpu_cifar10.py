"""ICML table 2 small enough for a CPU: 10,000 images of CIFAR-10, a ResNet-8, 2,400 steps, uniform noise."""

from __future__ import annotations

from scripts.tables import recipe_files
from scripts.tables.recipe_files import FOLDER

NOISES = ("0.2", "0.4", "0.8")
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


def recipes() -> list[recipe_files.File]:
    """Small runs on real CIFAR-10: 10,000 images, a ResNet-8, 2,400 steps."""
    files = []
    for method, own in CPU_METHODS.items():
        for noise in NOISES:
            head = [
                f"CIFAR-10 subset on a CPU: {method}, ResNet-8, 10,000 images, "
                f"{100 * float(noise):.0f}% uniform noise.",
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
            files.append(
                recipe_files.file(FOLDER / "cpu" / f"cifar10_{noise}_{method}.flags", head, flags, "train_cifar.py")
            )
    return files
