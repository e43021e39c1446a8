"""What a review is worth: train, review the worst suspects (played by the true labels), train again.

    python scripts/review_loop.py --data digits --seeds 0,1 [--data_dir DATA] [--work runs/loop] [--output CSV]

Runs, for MentorNet PD and for plain training: the labels as given; with the corrections of the review; MentorNet PD
again with as high a percentile as then are right; and plain without the most suspect images, which nobody looks at.
Suspects are those of MentorNet PD. What is finished in --work is not run again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mentornet.runs.workdir import Workdir  # noqa: E402
from scripts import csv_table  # noqa: E402

_DIGITS = [
    "--dataset_name=digits",
    "--noise_type=uniform",
    "--noise_fraction=0.4",
    "--studentnet=small_cnn",
    "--learning_rate=0.02",
    "--batch_size=64",
    "--max_number_of_steps=600",
]
_CIFAR = "--flagfile=flags/recipes/cpu/methods_uniform_{}.flags"
# data -> (flags of MentorNet PD, of plain training, suspects that are looked at, suspects that are left out unseen)
DATA: dict[str, tuple[list[str], list[str], int, int]] = {
    "digits": (
        [*_DIGITS, "--loss_p_percentile=0.6", "--curriculum=mentornet_pd"],
        [*_DIGITS, "--method=standard"],
        300,
        500,
    ),
    "cifar": ([_CIFAR.format("mentornet_pd")], [_CIFAR.format("plain")], 2000, 3000),
}


def run(script: str, *arguments: str) -> None:
    """Runs a script of this project to its end."""
    subprocess.run([sys.executable, str(ROOT / script), *arguments], cwd=ROOT, check=True)


def loop(data: str, seed: int, work: Path, shared: list[str]) -> list[dict[str, Any]]:
    """All runs of one seed; a row each."""
    pd, plain, looked_at, unseen = DATA[data]
    before, table = work / f"{data}_before_{seed}", work / f"{data}_{seed}.csv"
    rows = []

    def trained(name: str, flags: list[str], method: str, labels: str) -> None:
        folder = work / f"{data}_{name}_{seed}"
        run("train_cifar.py", *flags, *shared, f"--seed={seed}", f"--train_log_dir={folder}")
        result = Workdir(folder).read_result()
        facts = {"data": data, "seed": seed, "method": method, "labels": labels}
        figures = {key: f"{result[key]:.4f}" for key in ("accuracy_last", "accuracy_best", "noise_rate_actual")}
        rows.append({**facts, **figures, "images": result["train_examples"]})

    trained("before", pd, "mentornet_pd", "given")
    run("scripts/simulate_review.py", str(before), f"--top={looked_at}", f"--output={table}")
    corrected = [f"--corrections_file={table}"]
    trained("after", [*pd, *corrected], "mentornet_pd", f"{looked_at} reviewed")
    fitting = f"--loss_p_percentile={1.0 - float(rows[-1]['noise_rate_actual']):.2f}"
    trained("after_fitting", [*pd, *corrected, fitting], "mentornet_pd", f"{looked_at} reviewed, percentile to fit")
    trained("plain_before", plain, "plain", "given")
    trained("plain_after", [*plain, *corrected], "plain", f"{looked_at} reviewed")
    left = f"--leave_out_suspects={unseen}:{before}"
    trained("plain_without", [*plain, left], "plain", f"{unseen} left out unseen")
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train, review, train again.")
    parser.add_argument("--data", choices=sorted(DATA), default="digits")
    parser.add_argument("--seeds", default="0", help="separated by commas")
    parser.add_argument("--data_dir", help="where CIFAR-10 is")
    parser.add_argument("--work", type=Path, default=Path("runs/loop"), help="the run folders")
    parser.add_argument("--output", type=Path, help="adds the rows to this csv")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    shared = ["--noshow_progress", *([f"--data_dir={options.data_dir}"] if options.data_dir else [])]
    rows = [
        row
        for seed in options.seeds.split(",")
        for row in loop(options.data, int(seed), options.work.resolve(), shared)
    ]
    for row in rows:
        print("  ".join(f"{value}" for value in row.values()))
    if options.output is not None:
        csv_table.add(options.output, rows)


if __name__ == "__main__":
    main()
