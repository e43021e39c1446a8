"""MentorNet DD end to end: student on noisy labels -> loss dump -> learn a MentorNet -> train a student with it.

    python scripts/mentornet_dd.py --noise_fraction=0.4 --data_dir DATA --output runs/dd_0.4

CIFAR-10 at CPU scale (10,000 images, ResNet-8, 2,400 steps; --flags changes any of it). The MentorNet sees the true
labels of 5,000 training images and of no other. It is learned three times: from the dump of a plain student after 18%
of the steps (18 epochs in the paper), and anew at 21% and 75% of the final training (ICML alg. 1 step 6, app. E.3).
With ``--experts=pretrained:self_paced,...`` it is a mixture of these, fine-tuned once with the student's activations
and never updated (December 2017 preprint, sec. 5 and table 4).
Started again after a stop, it continues. The learned MentorNet is in OUTPUT/mentornet, the final run in OUTPUT/run.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mentornet import files, reading  # noqa: E402
from scripts import commands  # noqa: E402

_OLDER = {"experts": "", "percentiles": "75"}  # what OUTPUT of a version without these was made with
DUMP_EPOCH = 18  # the epoch percent the MentorNet is learned at, and shown from the end of burn-in on


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise_fraction", type=float, default=0.4)
    parser.add_argument("--data_dir", default=None)
    parser.add_argument("--output", type=Path, default=Path("runs/mentornet_dd"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train_examples", type=int, default=10_000, help="0: all of them")
    parser.add_argument("--trusted", type=int, default=5_000, help="training images whose true labels may be used")
    parser.add_argument("--steps", type=int, default=2_400, help="of the final training")
    parser.add_argument("--mentor_steps", type=int, default=30_000)
    parser.add_argument("--experts", default="", help="fine-tune a mixture of these MentorNets instead")
    parser.add_argument("--percentiles", default="75", help="tried for l_pt of a mixture")
    parser.add_argument("--learn_only", action="store_true", help="stop when the MentorNet is learned")
    parser.add_argument("--flags", default="", help="more flags for the student's trainings, in one string")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Goes through the steps, or the rest of them."""
    read = parser()
    chosen = read.parse_args(arguments)
    output = Path(os.path.relpath(chosen.output, ROOT))  # as it appears in the cards; the commands run in ROOT
    if problem := other_settings(chosen):
        read.error(problem)
    for name, command in stages(chosen, output):
        if name == "mentornet" and (ROOT / output / "mentornet" / "card.json").is_file():
            continue
        print(f"== {name}: {shlex.join(command)}", flush=True)
        if code := commands.run([sys.executable, *command], ROOT):
            return code
    return 0


def other_settings(chosen: argparse.Namespace) -> str | None:
    """Writes down the settings of a new OUTPUT; what is wrong if it was made with others, else None."""
    settings = {name: value for name, value in vars(chosen).items() if name not in ("output", "data_dir", "learn_only")}
    file = chosen.output / "settings.json"
    if not file.is_file():
        chosen.output.mkdir(parents=True, exist_ok=True)
        files.write_json(file, settings)
        return None
    made_with = reading.read_json(file)
    made_with = {**_OLDER, **made_with}
    differing = [f"--{name}={made_with.get(name)}" for name in settings if settings[name] != made_with.get(name)]
    if not differing:
        return None
    return f"{chosen.output} was made with {', '.join(differing)}: give the same, or another --output"


def stages(chosen: argparse.Namespace, output: Path) -> list[tuple[str, list[str]]]:
    """(name, arguments of Python) of each step."""
    data = [
        "--dataset_name=cifar10",
        *([f"--data_dir={Path(chosen.data_dir).resolve()}"] if chosen.data_dir else []),
        f"--train_examples={chosen.train_examples}",
        f"--seed={chosen.seed}",
        "--studentnet=resnet8",
        "--augmentation=none",
        *shlex.split(chosen.flags),
    ]
    noise = ["--noise_type=uniform", f"--noise_fraction={chosen.noise_fraction}"]
    student_steps = max(1, chosen.steps * DUMP_EPOCH // 100)
    dump, student, mentor = output / "dump.csv", output / "student", output / "mentornet"
    activations = output / "dump.npz"
    learning = ["-m", "mentornet.learning", f"--input_csv_filename={dump}", f"--train_dir={mentor}",
                f"--seed={chosen.seed}", "--fixed_label=0", f"--max_step_train={chosen.mentor_steps}"]  # fmt: skip
    if chosen.experts:
        learning += [f"--experts={chosen.experts}", f"--activations={activations}", "--known_share=1",
                     f"--percentiles={chosen.percentiles}"]  # fmt: skip
    found = [
        (
            "student",
            ["train_cifar.py", *data, *noise, "--method=standard", f"--max_number_of_steps={student_steps}",
             "--learning_rate_boundaries=", f"--train_log_dir={student}"],
        ),
        (
            "dump",
            ["train_cifar.py", *data, "--mode=dump_losses", "--split_name=train", f"--checkpoint_dir={student}",
             f"--dump_examples={chosen.trusted}", f"--dump_epoch={DUMP_EPOCH}", f"--output_csv_file={dump}",
             *([f"--activations_file={activations}"] if chosen.experts else [])],
        ),
        ("mentornet", learning),
    ]  # fmt: skip
    if chosen.learn_only:
        return found
    updates = [
        "--curriculum_update_epochs=21,75", f"--mentor_examples={chosen.trusted}",
        f"--mentor_steps={chosen.mentor_steps}", "--fixed_epoch_after_burn_in",
    ]  # fmt: skip
    final = [
        "train_cifar.py", *data, *noise, f"--curriculum={mentor}", *([] if chosen.experts else updates),
        f"--burn_in_epoch={DUMP_EPOCH}",
        f"--example_dropout_rates=0.5,{DUMP_EPOCH},0.05,{100 - DUMP_EPOCH}", f"--max_number_of_steps={chosen.steps}",
        "--eval_every_steps=200", f"--train_log_dir={output / 'run'}",
    ]  # fmt: skip
    return [*found, ("run", final)]


if __name__ == "__main__":
    sys.exit(main())
