"""MentorNet PD beside plain training on other data sets, as small as the runs on CIFAR-10 (``cpu_cifar10``)."""

from __future__ import annotations

from scripts.tables import recipe_files
from scripts.tables.cpu_cifar10 import CPU_METHODS
from scripts.tables.recipe_files import FOLDER

METHODS = ("plain", "mentornet_pd")
_RESNET = ["--train_examples=10000", "--studentnet=resnet8", "--augmentation=none", "--max_number_of_steps=2400",
           "--eval_every_steps=200"]  # fmt: skip
_UNIFORM = ["--noise_type=uniform", "--noise_fraction=0.4"]
# name -> what it is, flags
DATA = {
    "mnist": (
        "MNIST, LeNet, 40% uniform noise",
        ["--dataset_name=mnist", *_UNIFORM, "--studentnet=lenet", "--learning_rate=0.01", "--max_number_of_steps=3000",
         "--eval_every_steps=300"],
    ),
    "human": (
        "CIFAR-10 subset, ResNet-8, 10,000 images, human labels (CIFAR-10N worst)",
        ["--dataset_name=cifar10", "--noise_type=human:worse", *_RESNET],
    ),
    "cifar100": (
        "CIFAR-100 subset, ResNet-8, 10,000 images, 40% uniform noise",
        ["--dataset_name=cifar100", *_UNIFORM, *_RESNET],
    ),
}  # fmt: skip


def recipes() -> list[recipe_files.File]:
    """Plain training and MentorNet PD on each."""
    files = []
    for name, (title, data) in DATA.items():
        for method in METHODS:
            stem = f"other_{name}_{method}"
            head = [
                f"{title}, on a CPU: {method}.",
                recipe_files.measured(stem),
                "hardware and hours: 2 CPU cores, under 10 minutes",
            ]
            flags = [*data, *CPU_METHODS[method]]
            files.append(recipe_files.file(FOLDER / "cpu" / f"{stem}.flags", head, flags, "train_cifar.py"))
    return files
