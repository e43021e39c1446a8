"""CPU twins of DivideMix, UniCon and C2D, alone and with L2B's step: digits, small images of CIFAR-10, folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.tables import recipe_files
from scripts.tables.cpu_methods import CPU_FLAGS
from scripts.tables.recipe_files import FOLDER

Recipe = tuple[Path, list[str], list[str]]

DIGITS = ("--dataset_name=digits", "--noise_type=symmetric", "--noise_fraction=0.5", "--studentnet=small_cnn",
          "--augmentation=crop", "--batch_size=32", "--num_epochs=12", "--learning_rate=0.02",
          "--weight_decay=5e-4")  # fmt: skip
CIFAR10 = ("--dataset_name=tfds:cifar10", "--image_size=16", "--train_examples=4000", "--studentnet=small_cnn",
           "--augmentation=release", "--batch_size=64", "--num_epochs=16", "--learning_rate=0.02",
           "--weight_decay=5e-4")  # fmt: skip
# Noise: flags, share of wrong labels that the rows are told, lambda_u of DivideMix and C2D, of UniCon.
NOISES: dict[str, tuple[tuple[str, ...], float, int, int]] = {
    "u50": (("--noise_type=uniform", "--noise_fraction=0.5"), 0.5, 25, 30),
    "u80": (("--noise_type=uniform", "--noise_fraction=0.8"), 0.8, 25, 30),
    "u90": (("--noise_type=uniform", "--noise_fraction=0.9"), 0.9, 50, 50),
    "asym40": (("--noise_type=asymmetric", "--noise_fraction=0.4"), 0.4, 0, 30),
    "human": (("--noise_type=human:worse",), 0.4, 0, 30),
}
WHAT = {"u50": "50% uniform noise", "u80": "80% uniform noise", "u90": "90% uniform noise",
        "asym40": "40% asymmetric noise", "human": "the worst labels of CIFAR-10N"}  # fmt: skip
INSIDE = ("--meta=l2b", "--clean_examples=200", "--clean_batch_size=32")
PAIR = ("--warmup_epochs=4", "--lambda_u={mix}")
CONTRAST = ("--warmup_epochs=4", "--lambda_u={uni}")
START = "--pretrained_run=runs/simclr_{data}"
ROWS = {
    "plain": ("--method=standard",),
    "small_loss": ("--method=small_loss", "--keep_schedule=co_teaching:tau={tau},epochs=5"),
    "co_teaching": ("--method=co_teaching", "--keep_schedule=co_teaching:tau={tau},epochs=5"),
    "dividemix": ("--method=dividemix", *PAIR),
    "unicon": ("--method=unicon", *CONTRAST),
    "c2d": ("--method=c2d", *PAIR, START),
    "l2b_dividemix": ("--method=dividemix", *PAIR, *INSIDE),
    "l2b_unicon": ("--method=unicon", *CONTRAST, *INSIDE),
    "l2b_c2d": ("--method=c2d", *PAIR, START, *INSIDE),
    "l2b_dividemix_clean0": ("--method=dividemix", *PAIR, "--meta=l2b", "--clean_source=labelled",
                             "--clean_batch_size=32"),
}  # fmt: skip
FEW = ("plain", "co_teaching", "dividemix", "l2b_dividemix")
"""The rows under the noises that stand beside 80% and asymmetric noise."""
PRETRAINING = {
    "digits": "--dataset_name=digits --studentnet=small_cnn --augmentation=crop --batch_size=128 --num_epochs=30 "
    "--learning_rate=0.05",
    **{
        f"cifar10_{n}": f"--dataset_name=tfds:cifar10 --data_dir=DATA --image_size=16 --train_examples={n} "
        "--studentnet=small_cnn --augmentation=release --batch_size=250 --num_epochs=60 --learning_rate=0.1"
        for n in (4_000, 10_000)
    },
}


def small_twins() -> list[Recipe]:
    """All rows on digits, half of the labels wrong, and on 4,000 small images of CIFAR-10 under five noises."""
    recipes = []
    for row in ROWS:
        named = {"tau": 0.5, "mix": 25, "uni": 30, "data": "digits"}
        recipes.append(_small("semi_digits", row, "digits, 50% symmetric noise", DIGITS, named))
    for noise, (own, tau, mix, uni) in NOISES.items():
        named = {"tau": tau, "mix": mix, "uni": uni, "data": "cifar10_4000"}
        what = f"CIFAR-10 subset, 4,000 images of 16x16 pixels, {WHAT[noise]}"
        for row in ROWS if noise in ("u80", "asym40") else FEW:
            flags = (*CIFAR10, *own, *(["--entropy_penalty"] if noise in ("asym40", "human") and _divides(row) else []))
            recipes.append(_small(f"semi_cifar10_{noise}", row, what, flags, named))
    return recipes


def _divides(row: str) -> bool:
    """Whether the row has DivideMix's penalty on confident predictions in its warm-up."""
    return row.removeprefix("l2b_").partition("_")[0] in ("dividemix", "c2d")


def _small(family: str, row: str, what: str, shared: Sequence[str], named: Mapping[str, object]) -> Recipe:
    head = [
        f"{what}, on a CPU: {row}, a small CNN.",
        recipe_files.measured(f"{family}_{row}"),
        "hardware and hours: 2 CPU cores, minutes",
        *([_first(str(named["data"]))] if "c2d" in row else []),
    ]
    flags = [*shared, *(flag.format(**named) for flag in ROWS[row])]
    return FOLDER / "cpu" / f"{family}_{row}.flags", head, flags


FOLDERS = ("--dataset_name=folder", "--image_size=16", "--noise_type=symmetric", "--noise_fraction=0.4",
           "--studentnet=small_cnn", "--augmentation=crop", "--batch_size=64", "--num_epochs=10",
           "--learning_rate=0.02", "--weight_decay=5e-4")  # fmt: skip
SUSPECTING = {
    "mentornet_pd": ("--curriculum=mentornet_pd", "--loss_p_percentile=0.6"),
    "dividemix": ("--method=dividemix", "--warmup_epochs=4"),
}


def folders() -> list[Recipe]:
    """Whose suspects are the wrong labels, in folders of images as docs/semi_supervised.md makes them."""
    recipes = []
    for row, own in SUSPECTING.items():
        head = [
            f"Digits as folders of PNG files, 40% symmetric noise, on a CPU: {row}, a small CNN.",
            recipe_files.measured(f"semi_folder_{row}"),
            "hardware and hours: 2 CPU cores, a minute or two",
        ]
        recipes.append((FOLDER / "cpu" / f"semi_folder_{row}.flags", head, [*FOLDERS, *own]))
    return recipes


def cpu_twins() -> list[Recipe]:
    """These methods beside the twins of the others: the same data and student, as many epochs as their steps make.

    Their views need an augmentation, which those do without.
    """
    recipes = []
    left_out = ("--max_number_of_steps", "--eval_every_steps", "--augmentation")
    shared = [flag for flag in CPU_FLAGS if flag.partition("=")[0] not in left_out]
    for noise in ("uniform", "background"):
        for row in ("dividemix", "unicon", "c2d"):
            head = [
                f"CIFAR-10 subset on a CPU: {row}, a small CNN, 10,000 images of 16x16 pixels, 40% {noise} noise.",
                recipe_files.measured(f"methods_{noise}_{row}"),
                f"hardware and hours: 2 CPU cores, about {5 if row == 'dividemix' else 10} minutes",
                *([_first("cifar10_10000")] if row == "c2d" else []),
            ]
            own = [flag.format(data="cifar10_10000", mix=25, uni=30) for flag in ROWS[row]]
            own[1] = "--warmup_epochs=5"
            flags = [*shared, f"--noise_type={noise}", "--augmentation=release", own[0], "--num_epochs=15", *own[1:]]
            recipes.append((FOLDER / "cpu" / f"methods_{noise}_{row}.flags", head, flags))
    return recipes


def _first(data: str) -> str:
    """The head's line about the student that C2D starts from on a CPU."""
    return f"First: python scripts/pretrain_simclr.py {PRETRAINING[data]} --train_log_dir=runs/simclr_{data}"


def recipes() -> list[Recipe]:
    """All recipes of this module."""
    return [*cpu_twins(), *small_twins(), *folders()]
