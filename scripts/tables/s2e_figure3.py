"""The recipes of the methods that select samples: the comparison of S2E (Yao et al., ICML 2020), figure 3.

Networks, optimiser and data are those of the paper's section 4 and appendix:
200 epochs of at most 401 batches of 128, Adam with its rate falling linearly to 0 from epoch 80 on, pixels in [0, 1],
no augmentation, one set of noisy labels for all seeds, the first 5,000 test images apart for validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.tables.declarations import Table
from scripts.tables.recipe_files import FOLDER, run_folder

Recipe = tuple[Path, list[str], list[str]]

NETWORKS = {"mnist": "s2e_mlp", "cifar10": "s2e_model1", "cifar100": "s2e_model2"}
NOISES = {"sym20": ("symmetric", 0.2), "sym50": ("symmetric", 0.5), "pair45": ("pair", 0.45)}
# Epochs of plain Co-teaching before Co-teaching+ begins, in its released code.
WARMUP = {"mnist": 0, "cifar10": 20, "cifar100": 5}
# Hours of one core of the machine in docs/search.md, one network and two.
HOURS = {"mnist": "3 minutes", "cifar10": "30 minutes", "cifar100": "some 15 hours"}
SHARED = ("--num_epochs=200", "--max_batches_per_epoch=401", "--batch_size=128", "--optimizer=adam",
          "--learning_rate=0.001", "--learning_rate_schedule=linear", "--linear_decay_epoch=80", "--weight_decay=0",
          "--dropout_keep_probability=1", "--augmentation=raw", "--noise_seed=0", "--validation=test_half",
          "--steps_per_execution=200")  # fmt: skip


def _methods(dataset: str, tau: float) -> dict[str, tuple[str, ...]]:
    keep = f"--keep_schedule=co_teaching:tau={tau:g},epochs=10"
    return {
        "standard": ("--method=standard",),
        "small_loss": ("--method=small_loss", keep),
        "decoupling": ("--method=decoupling",),
        "co_teaching": ("--method=co_teaching", keep),
        "co_teaching_plus": ("--method=co_teaching_plus", keep, f"--warmup_epochs={WARMUP[dataset]}"),
        "forward_first": ("--method=standard", "--holdout_examples={holdout}"),
        "forward": ("--method=forward_correction",),
    }


NOTES = {
    "small_loss": "The figure calls it MentorNet: one network that selects its own small losses.",
    "forward_first": "The first of the two trainings of F-correction: a tenth of the noisy data chooses its epoch.",
    "forward": "F-correction (Patrini et al., CVPR 2017). First run the recipe {} of this folder: it estimates T.",
}


def figure_3() -> list[Recipe]:
    """Seven methods on three data sets under three noises; accuracy of two networks is accuracy_peer_mean."""
    recipes = []
    for dataset, network in NETWORKS.items():
        for noise, (kind, fraction) in NOISES.items():
            for name, own in _methods(dataset, fraction).items():
                stem = f"{dataset}_{noise}"
                first = FOLDER / "s2e_fig3" / f"{stem}_forward_first.flags"
                head = [
                    f"S2E (Yao et al. 2020) figure 3: {name}, {dataset}, {noise}.",
                    "expected: a curve; the paper prints no numbers (table 2 has S2E's own)",
                    f"hardware and hours: one CPU core, about {HOURS[dataset]} for one network",
                    *([NOTES[name].format(first.name)] if name in NOTES else []),
                ]
                holdout = 6000 if dataset == "mnist" else 5000
                flags = [
                    f"--dataset_name={dataset}",
                    f"--noise_type={kind}",
                    f"--noise_fraction={fraction:g}",
                    f"--studentnet={network}",
                    *SHARED,
                    *(flag.format(holdout=holdout) for flag in own),
                    *([f"--baseline_run={run_folder(first)}"] if name == "forward" else []),
                ]
                recipes.append((FOLDER / "s2e_fig3" / f"{stem}_{name}.flags", head, flags))
    return recipes


def recipes() -> Sequence[Recipe]:
    """All recipes of this module."""
    return figure_3()


TABLES = (
    Table(
        "s2e_fig3",
        "S2E (ICML 2020), figure 3: methods that select",
        r"(?P<column>[a-z0-9]+_(?:sym|pair)\d+)_(?P<row>.+)",
    ),
)
