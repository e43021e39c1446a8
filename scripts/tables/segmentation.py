"""The recipes of segmentation: L2B (Zhou, Li et al., CVPR 2024), tables 5 and 6, and their twins for a CPU.

Settings at full scale are those of the released code: UNet++ without deep
supervision, slices of 144 x 144, batches of one slice in five views beside two clean ones, 100 epochs.
"""

from __future__ import annotations

from scripts.tables import recipe_files
from scripts.tables.recipe_files import FOLDER, File

LEVELS = ("l1", "l2", "l3")
# Table 5, at level 2: Dice, Hausdorff distance, average surface distance.
TABLE_5 = {
    "standard": "73.74 / 11.63 / 3.70",
    "clean_only": "73.04 / 17.06 / 5.50",
    "reweighting": "76.64 / 8.33 / 2.75",
    "mixup": "69.18 / 13.25 / 4.56",
    "l2b": "80.83 / 6.68 / 2.10",
}
TABLE_6 = {"standard": ("59.77", "73.74", "80.03"), "l2b": ("77.70", "80.83", "82.01")}
STEP = "with the supervised step on clean slices that the released code takes and the paper does not tell of"
META = ("--batch_size=1", "--clean_batch_size=2", "--pseudo_label_views=5", "--clip_norm=0.2")
METHODS = {
    "standard": ("--method=standard", "--batch_size=4"),
    "clean_only": ("--method=clean_only", "--batch_size=4"),
    "reweighting": ("--method=l2b", "--l2b_ablation=beta_zero", *META),
    "mixup": ("--method=mixup", "--batch_size=4"),
    "l2b": ("--method=l2b", *META),
    "l2b_clean_step": ("--method=l2b", *META, "--clean_step"),
}
SHARED = (
    "--dataset_name=promise12",
    "--studentnet=unet_plus_plus",
    "--num_epochs=100",
    "--learning_rate=0.005",
    "--learning_rate_schedule=inverse",
    "--weight_decay=5e-4",
)
CPU = (
    "--studentnet=unet_small",
    "--image_size=32",
    "--num_cases=12,3,6",
    "--num_slices=8",
    "--batch_size=8",
    "--max_number_of_steps=400",
    "--learning_rate=0.05",
    "--learning_rate_schedule=cosine",
    "--weight_decay=5e-4",
    "--eval_every_steps=100",
)
CPU_METHODS = {
    "standard": ("--method=standard",),
    "clean_only": ("--method=clean_only",),
    "l2rw": ("--method=l2rw",),
    "mixup": ("--method=mixup",),
    "l2b": ("--method=l2b",),
    "l2b_clean_step": ("--method=l2b", "--clean_step"),
}
# The grey matter of brain is a ribbon of a few pixels, which a level at its full strength would destroy.
CPU_DATA = {
    "phantoms": ("--dataset_name=phantoms", "--mask_noise={}"),
    "brain": ("--dataset_name=brain_template", "--mask_noise={}:0.2"),
}


def _full(table: int, name: str, level: str, expected: str) -> File:
    method = name.removesuffix("_clean_step")
    notes = [f"This is {method} {STEP}; the paper's figure may contain it."] if method != name else []
    head = [
        f"L2B (Zhou, Li et al. 2024) table {table}: {name}, PROMISE12, noise level {level.upper()}.",
        f"expected (test cases, best epoch): {expected}",
        "hardware and hours: one GPU; not measured here, and PROMISE12 itself was not run here",
        "Five repetitions in the paper: --seed=0 to 4. Dice is dice in result.json, the distances in mm beside it.",
        *notes,
    ]
    flags = [*SHARED, f"--mask_noise={level}", *METHODS[name]]
    return recipe_files.file(
        FOLDER / f"l2b_table{table}" / f"promise12_{level}_{name}.flags", head, flags, "train_cifar.py"
    )


def tables() -> list[File]:
    """Tables 5 (all methods at level 2) and 6 (three levels)."""
    files = [_full(5, name, "l2", f"Dice / HD / ASD {figures}") for name, figures in TABLE_5.items()]
    files.append(_full(5, "l2b_clean_step", "l2", "not told apart in the paper"))
    for name, by_level in TABLE_6.items():
        files += [_full(6, name, level, f"Dice {dice}") for level, dice in zip(LEVELS, by_level, strict=True)]
    files += [_full(6, "l2b_clean_step", level, "not told apart in the paper") for level in LEVELS]
    return files


def cpu_twins() -> list[File]:
    """The same methods on data that the project makes, with a small student."""
    files = []
    for data, source in CPU_DATA.items():
        for level in LEVELS:
            for name, own in CPU_METHODS.items():
                path = FOLDER / "cpu" / f"{data}_{level}_{name}.flags"
                head = [
                    f"Segmentation on a CPU: {name}, a small U-Net, {data} of 32x32 pixels, noise {level.upper()}.",
                    recipe_files.measured(path.stem),
                    "hardware and hours: 2 CPU cores, about a minute",
                ]
                flags = [*(flag.format(level) for flag in source), *CPU, *own]
                files.append(recipe_files.file(path, head, flags, "train_cifar.py", data=""))
    return files


def recipes() -> list[File]:
    """All recipes of this module."""
    return [*tables(), *cpu_twins()]
