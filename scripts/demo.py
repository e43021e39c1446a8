"""The main job on embedded real data: handwritten digits with 40% wrong labels, plain training against MentorNet PD.

    make demo             # or: python scripts/demo.py [--output runs/demo]

Prints accuracy on clean test labels of both, how well the weights separate wrong from right labels, and where the
plots are. Killed and started again, it continues.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = [
    "--dataset_name=digits",
    "--noise_type=uniform",
    "--noise_fraction=0.4",
    "--studentnet=small_cnn",
    "--learning_rate=0.01",
]
RUNS = {
    "plain": ["--method=standard"],
    "mentornet_pd": ["--curriculum=mentornet_pd", "--loss_p_percentile=0.6"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="parent folder of the two run folders")
    parser.add_argument("--steps", type=int, default=2000)
    chosen = parser.parse_args()
    started = time.monotonic()
    for name, own in RUNS.items():
        print(f"== {name}", flush=True)
        steps = [f"--max_number_of_steps={chosen.steps}", f"--eval_every_steps={max(1, chosen.steps // 10)}"]
        command = [sys.executable, "train_cifar.py", *SHARED, *own, *steps]
        code = subprocess.call([*command, f"--train_log_dir={(chosen.output / name).resolve()}"], cwd=ROOT)
        if code:
            return code
    results = {name: json.loads((chosen.output / name / "result.json").read_text("utf-8")) for name in RUNS}
    folders = [str(chosen.output / name) for name in RUNS]
    subprocess.check_call(
        [sys.executable, "-m", "mentornet.reports", *folders, "--output", str(chosen.output)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    wrong = 100 * results["plain"]["noise_rate_actual"]
    print(f"\nDigits, {wrong:.0f}% of the training labels wrong, {chosen.steps} steps")
    print(f"{'':<14}{'accuracy, last':>15}{'best':>8}{'weights AUC':>13}")
    for name, result in results.items():
        cells = (result["accuracy_last"], result["accuracy_best"], result["weights_auc"])
        print(f"{name:<14}{cells[0]:>15.3f}{cells[1]:>8.3f}{cells[2]:>13.3f}")
    print("accuracy on clean test labels; AUC: 0.5 = weights say nothing of which labels are wrong, 1 = they say all")
    print(
        f"plots: {chosen.output}/compare.png and accuracy.png, loss.png, weights.png, suspects.png in each run folder"
    )
    print(f"took {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
