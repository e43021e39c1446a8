"""Recipes of segmentation have the settings of L2B's code, and the table of results is a mean over seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from flags import configuration
from mentornet.training.optimizers import InverseDecay
from scripts import segmentation_results
from scripts.tables import segmentation

ROOT = Path(__file__).resolve().parents[1]


def settings(recipe):
    path = ROOT / "flags" / "recipes" / recipe
    return configuration.parse(["train_cifar.py", f"--flagfile={path}", "--data_dir=d", "--train_log_dir=t"])


@pytest.mark.parametrize("table", ["l2b_table5", "l2b_table6"])
def test_l2b_at_full_scale_is_that_of_the_released_code(table):
    config = settings(f"{table}/promise12_l2_l2b.flags")
    student, options = config.student, config.method.options
    assert (student.name, student.learning_rate, student.momentum, student.weight_decay) == (
        "unet_plus_plus", 0.005, 0.9, 5e-4,
    )  # fmt: skip
    assert (config.run.num_epochs, config.data.batch_size, config.clean.clean_batch_size) == (100, 1, 2)
    assert options == {"clip_norm": 0.2, "pseudo_label_views": 5}
    assert (config.data.augmentation, config.data.mask_options) == ("slices", {"mask_noise": "l2"})
    rate = InverseDecay(student.learning_rate, 10, student.inverse_decay_epochs)
    assert [float(rate(step)) for step in (0, 9, 10, 995)] == pytest.approx(
        [0.005, 0.005, 0.005 * 20 / 21, 0.005 * 20 / 119]
    )


def test_both_tables_have_their_rows():
    names = {path.stem for path, _ in segmentation.tables() if path.parent.name == "l2b_table6"}
    assert {f"promise12_{level}_{name}" for level in ("l1", "l2", "l3") for name in ("standard", "l2b")} <= names
    reweighting = settings("l2b_table5/promise12_l2_reweighting.flags")
    assert reweighting.method.options["ablation"] == "beta_zero"


def test_the_table_has_means_over_seeds():
    blank = dict.fromkeys([name for name, _, _ in segmentation_results.FIGURES])
    one = {"recipe": "phantoms_l2_l2b", "dataset": "phantoms", "noise": "l2", "method": "l2b", **blank}
    rows = [one | {"seed": 0, "dice": 0.5, "hausdorff": 3.0}, one | {"seed": 1, "dice": 0.7, "hausdorff": 4.0}]
    line = segmentation_results.markdown(rows).splitlines()[2]
    assert line.startswith("| phantoms | l2 | `l2b` | 0, 1 | 0.600 | 3.5 |")
