"""How good the estimate of the share of wrong labels is: plain trainings on labels of which it is known.

    python scripts/noise_rate_table.py --data_dir=DATA --output=runs/noise_rates

Trains a student for a few epochs on digits and on 10,000 images of CIFAR-10 with 10, 25, 40 and 60% of the labels
redrawn among the other classes, and with CIFAR-10N's worst labels, asks ``--mode=estimate``, writes a csv. Killed and
started again, it continues.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import csv_table

ROOT = Path(__file__).resolve().parents[1]
SHARES = (0.1, 0.25, 0.4, 0.6)
EPOCHS = 5
DATA = {
    "digits": ["--dataset_name=digits", "--studentnet=small_cnn", "--learning_rate=0.01"],
    "cifar10": ["--dataset_name=cifar10", "--train_examples=10000", "--studentnet=resnet8", "--augmentation=none"],
}
COLUMNS = (
    *("dataset", "noise", "seed", "wrong", "estimate", "by_losses", "by_matrix", "by_confident"),
    *("disagreement", "percentile"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", help="prepared data sets; without it digits alone")
    parser.add_argument("--output", type=Path, default=Path("runs/noise_rates"), help="folder of the runs")
    parser.add_argument("--csv", type=Path, help="the table; default: noise_rates.csv in --output")
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--finished", action="store_true", help="only the trainings that are finished")
    chosen = parser.parse_args()
    rows = []
    for dataset in DATA if chosen.data_dir else ("digits",):
        noises = [(f"symmetric {share:g}", [f"--noise_fraction={share:g}"]) for share in SHARES]
        noises = [(name, ["--noise_type=symmetric", *flags]) for name, flags in noises]
        if dataset == "cifar10":
            noises.append(("human:worse", ["--noise_type=human:worse"]))
        for (noise, flags), seed in itertools.product(noises, map(int, chosen.seeds.split(","))):
            folder = chosen.output / f"{dataset}_{noise.replace(' ', '_').replace(':', '_')}_{seed}"
            if chosen.finished and not (folder / "result.json").exists():
                continue
            row = _row(dataset, flags, folder, seed, chosen.data_dir)
            rows.append({"dataset": dataset, "noise": noise, "seed": seed, **row})
            print(rows[-1], flush=True)
    table = chosen.csv or chosen.output / "noise_rates.csv"
    csv_table.write(table, rows, COLUMNS)
    print(f"written: {table}")
    return 0


def _row(dataset: str, noise: list[str], folder: Path, seed: int, data_dir: str | None) -> dict[str, object]:
    """Trains, unless that is done, and estimates."""
    data = DATA[dataset] + ([f"--data_dir={data_dir}", "--nodownload"] if dataset == "cifar10" else [])
    command = [sys.executable, str(ROOT / "train_cifar.py")]
    length = [f"--num_epochs={EPOCHS}", f"--seed={seed}", "--noshow_progress"]
    if not (folder / "result.json").exists():
        training = [*command, *data, *noise, "--method=standard", *length, f"--train_log_dir={folder}"]
        subprocess.check_call(training, stdout=subprocess.DEVNULL)
    if not (folder / "estimate.json").exists():
        where = [flag for flag in data if flag.startswith(("--data_dir", "--nodownload"))]
        subprocess.check_call(
            [*command, "--mode=estimate", f"--checkpoint_dir={folder}", *where], stdout=subprocess.DEVNULL
        )
    found = json.loads((folder / "estimate.json").read_text("utf-8"))
    result = json.loads((folder / "result.json").read_text("utf-8"))
    return {
        "wrong": round(result["noise_rate_actual"], 3),
        "estimate": round(found["wrong"], 3),
        "by_losses": round(found["wrong_by_losses"], 3),
        "by_matrix": round(found["wrong_by_matrix"], 3),
        "by_confident": round(found["wrong_by_confident"], 3),
        "disagreement": round(found["disagreement"], 3),
        "percentile": found["percentile"],
    }


if __name__ == "__main__":
    sys.exit(main())
