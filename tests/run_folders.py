"""Makes run folders with known content, for the tests of what reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mentornet.runs.samples import write_samples_csv
from mentornet.runs.workdir import Workdir

SETTINGS = {
    "method": "spade",
    "curriculum": "mentornet_pd",
    "dataset_name": "digits",
    "noise_type": "uniform",
    "noise_fraction": 0.4,
    "studentnet": "small",
    "seed": 1,
    "max_number_of_steps": 2000,
    "burn_in_epoch": 18,
}


def make_run(
    path: Path,
    *,
    accuracy: list[float] | None = None,
    finished: bool = True,
    samples: bool = True,
    clean_known: bool = True,
    **settings: Any,
) -> Workdir:
    """A run folder whose test accuracy at step 100, 200, ... is the given one; the other curves are made up."""
    settings = SETTINGS | settings
    accuracy = [0.3, 0.6, 0.7, 0.8, 0.75] if accuracy is None else accuracy
    rng = np.random.default_rng(settings["seed"])
    workdir = Workdir(path)
    workdir.claim("".join(f"--{name}={value}\n" for name, value in settings.items()), settings)
    count = len(accuracy)
    for k, value in enumerate(accuracy):
        done = (k + 1) / count
        row = {
            "step": 100 * (k + 1),
            "epoch_percent": min(99, int(100 * done)),
            "seconds": 2.0 * (k + 1),
            "learning_rate": 0.1,
            "raw_loss": 1.4 - 0.6 * done + rng.normal(0, 0.02),
            "weighted_loss": 0.6 - 0.5 * done,
            "train_accuracy": 0.2 + 0.5 * done,
            "loss_percentile": 1.2 - 0.4 * done,
            "weight_sum": 128 * 0.6,
            "data_utilisation": 0.6 + rng.normal(0, 0.01),
            "drop_rate": 0.05,
            "eval_loss": 2 - 1.5 * done,
            "eval_accuracy": value,
        }
        if clean_known:
            row |= {
                "weights_auc": 1 - 0.5 * (1 - done) ** 2,
                "kept_precision": 0.6 + 0.35 * done,
                "weight_mean_clean": 0.5 + 0.45 * done,
                "weight_mean_wrong": 0.5 - 0.45 * done,
            }
        workdir.metrics.append_row(row)
    if samples:
        size = 300
        clean = rng.integers(0, 10, size)
        wrong = rng.random(size) < 0.4
        given = np.where(wrong, (clean + 3) % 10, clean)
        weight = np.where(wrong, rng.beta(0.3, 4, size), rng.beta(5, 1, size))
        weight[:7] = np.nan
        write_samples_csv(
            workdir.samples_file,
            index=np.arange(size),
            given=given,
            predicted=clean,
            mean_weight=weight,
            loss=rng.exponential(1.0, size),
            clean=clean if clean_known else None,
        )
    if finished:
        workdir.write_result({"steps": 100 * count, "accuracy_last": accuracy[-1], "accuracy_best": max(accuracy)})
    return workdir
