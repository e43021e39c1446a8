"""The main job on embedded real data: handwritten digits with 40% wrong labels, plain training against MentorNet PD.

    make demo             # or: python scripts/demo.py [--output runs/demo]

Prints accuracy on clean test labels of both, how well the weights separate wrong from right labels, and where the
plots are: demo.png tells the story on one sheet. Killed and started again, it continues.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mentornet.reports import names, story  # noqa: E402
from mentornet.runs.run_data import RunData  # noqa: E402

LOOKS = 20  # evaluations, each with a dump of the losses
DUMPS = tuple(100 * k // LOOKS - 1 for k in range(1, LOOKS + 1))  # percent of the training
SHARED = [
    "--dataset_name=digits",
    "--noise_type=uniform",
    "--noise_fraction=0.4",
    "--studentnet=small_cnn",
    "--learning_rate=0.01",
    f"--keep_dumps_at={','.join(map(str, DUMPS))}",
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
        steps = [f"--max_number_of_steps={chosen.steps}", f"--eval_every_steps={max(1, chosen.steps // LOOKS)}"]
        command = [sys.executable, "train_cifar.py", *SHARED, *own, *steps]
        code = subprocess.call([*command, f"--train_log_dir={(chosen.output / name).resolve()}"], cwd=ROOT)
        if code:
            return code
    folders = [str(chosen.output / name) for name in RUNS]
    subprocess.check_call(
        [sys.executable, "-m", "mentornet.reports", *folders, "--output", str(chosen.output)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    runs = [RunData.load(folder) for folder in folders]
    sheet = chosen.output / "demo.png"
    story.draw(sheet, *runs)
    print(f"\nDigits, {100 * (runs[0].wrong_share or 0):.0f}% of the training labels wrong, {chosen.steps:,} steps")
    print(f"{'':<14}{'accuracy, last':>15}{'best':>8}{'weights AUC':>13}")
    for run in runs:
        area = "-" if run.weights_alike else f"{run.fact('weights_auc'):.3f}"
        accuracies = (run.fact("accuracy_last"), run.fact("accuracy_best"))
        print(f"{names.name(run):<14}{accuracies[0]:>15.3f}{accuracies[1]:>8.3f}{area:>13}")
    print("accuracy on clean test labels; AUC: 0.5 = weights say nothing of which labels are wrong, 1 = they say all")
    print(f"the whole story on one sheet: {sheet}")
    print(
        f"more: {chosen.output}/compare.png, and accuracy.png, loss.png, weights.png, suspects.png in each run folder"
    )
    print(f"took {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
