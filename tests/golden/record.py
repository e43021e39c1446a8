"""Records what the training engine of a checkout produces; run by hand, before the engine is changed.

    python tests/golden/record.py --code=PATH_OF_CHECKOUT [--only=NAME,...]

Writes beside this file:

  engine.json          figures of short runs of the training scripts, by name, see ``reading.measured``
  run_finished/        the folder of a finished run
  run_interrupted_*/   folders of runs that were killed in the middle

tests/test_golden.py replays the runs and continues the folders. The data are the embedded digits and generated images.
With --only, only these runs and their folders are recorded anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "2"}  # as in the tests

from tests.golden import reading  # noqa: E402

GOLDEN = reading.GOLDEN
ATTEMPTS = 20
TRIES_PER_SECOND = 1000
FAKE = ["--layout=slim", "--classes=5", "--train=60", "--test=20", "--width=48", "--height=40"]

DIGITS = [
    "--dataset_name=digits", "--noise_type=uniform", "--noise_fraction=0.4", "--batch_size=32",
    "--learning_rate=0.005", "--noshow_progress",
]  # fmt: skip
RESNET = [*DIGITS, "--studentnet=resnet8", "--max_number_of_steps=72", "--eval_every_steps=18"]
CNN = [
    *DIGITS, "--studentnet=small_cnn", "--dropout_keep_probability=0.8", "--weight_decay=1e-3",
    "--max_number_of_steps=70", "--eval_every_steps=20",
]  # fmt: skip
PD = ["--curriculum=mentornet_pd"]
DD = [
    "--curriculum=mentornet_dd", "--mentor_examples=200", "--mentor_steps=200", "--max_number_of_steps=80",
    "--eval_every_steps=20",
]  # fmt: skip
CLEAN = ["--clean_examples=50", "--clean_batch_size=16"]
L2B = ["--method=l2b", *CLEAN, "--clip_norm=0.5", "--warmup_steps=10"]
# 12 steps are an epoch of 400 samples: the mixture is fitted at steps 10, 22, 34, 46 and 58, rows come at 18, 36, ...
MIXTURE = ["--method=l2b", "--clean_source=mixture", "--warmup_steps=10", "--train_examples=400"]
TWO_DEVICES = ["--distribution_strategy=mirrored", "--logical_cpus=2"]
# The smallest student: its checkpoints are committed.
SMALLEST = [
    *DIGITS, "--studentnet=s2e_mlp", "--dropout_keep_probability=0.8", "--weight_decay=1e-3", "--train_examples=400",
    "--max_number_of_steps=80", "--eval_every_steps=20", "--keep_checkpoints=1",
]  # fmt: skip

RUNS = {
    "standard": [*RESNET, "--method=standard"],
    "spade_pd": [*CNN, *PD],
    "spade_pretrained": [*RESNET, "--curriculum=pretrained:mentornet_dd_0.4"],
    "spade_explicit": [*CNN, "--curriculum=spcl_linear", "--explicit_curriculum", "--train_examples=400"],
    "spade_variance": [*CNN, "--curriculum=prediction_variance", "--train_examples=400"],
    "spade_dd": [*CNN, *DD, "--curriculum_update_epochs=25,75"],
    "spade_dd_between_rows": [*CNN, *DD, "--curriculum_update_epochs=30,70"],
    "l2rw": [*RESNET, "--method=l2rw", *CLEAN],
    "l2b": [*CNN, *L2B],
    "l2b_mixture": [*CNN, *MIXTURE, "--eval_every_steps=18"],
    "s_model": [*CNN, "--method=s_model"],
    "hard_mining": [*CNN, "--method=hard_mining", "--kept_share=0.6"],
    "balanced_batches": [*RESNET, "--method=standard", "--balanced_batches", "--noise_type=symmetric"],
    "holdout": [*CNN, "--method=standard", "--holdout_examples=100"],
    "clean_only": [*RESNET, "--method=clean_only", "--clean_examples=200"],
    "forward_correction": [*CNN, "--method=forward_correction", "--transition_matrix=true"],
    "reed": [*CNN, "--method=reed", "--noise_type=symmetric"],
    "augmented": [*RESNET, *PD, "--augmentation=crop"],
    "cosine": [*CNN, "--method=standard", "--learning_rate_schedule=cosine"],
    "float16": [*CNN, *PD, "--mixed_precision=float16"],
    "spade_two_devices": [*RESNET, *PD, *TWO_DEVICES],
    "l2b_two_devices": [*CNN, *L2B, *TWO_DEVICES, "--max_number_of_steps=40"],
    "finished": [*SMALLEST, *PD],
    "interrupted_spade": [*SMALLEST, *PD, "--seed=1"],
    "interrupted_spade_dd": [*SMALLEST, *DD, "--curriculum_update_epochs=25,75"],
    "interrupted_l2b_mixture": [*SMALLEST, *MIXTURE],
}
IMAGENET = {
    "imagenet_pd": [
        "--data_dir={data}/slim", "--index_dir={data}/index", "--studentnet=resnet8", "--image_size=16",
        "--batch_size=16", "--noise_type=uniform", "--noise_fraction=0.4", *PD, "--learning_rate=0.02",
        "--max_number_of_steps=24", "--eval_every_steps=6", "--noshow_progress",
    ],
}  # fmt: skip
INTERRUPTED = {"interrupted_spade": 40, "interrupted_spade_dd": 40, "interrupted_l2b_mixture": 40}
KEPT = ("flags.txt", "run.json", "labels.npz", "metrics.csv", "result.json", "samples.csv", "student.keras")


class Recorder:
    """Starts the scripts of a checkout in a temporary folder, where all the paths in their records are relative."""

    def __init__(self, code: Path, work: Path):
        self.code, self.work = code, work

    def command(self, script: str, *flags: str) -> list[str]:
        return [sys.executable, str(self.code / script), *flags]

    def run(self, script: str, *flags: str) -> None:
        subprocess.run(self.command(script, *flags), cwd=self.work, check=True)

    def recorded(self, name: str) -> dict[str, Any]:
        """One run to its end."""
        script, flags = script_and_flags(name)
        given = [flag.format(data="data") for flag in flags]
        self.run(script, *given, f"--train_log_dir=runs/{name}")
        return {"script": script, "flags": flags, **reading.measured(self.work / "runs" / name)}

    def interrupt(self, name: str, step: int) -> Path:
        """The folder of a run that was killed between its checkpoint of a step and the next one."""
        script, flags = script_and_flags(name)
        folder = self.work / "killed" / name
        for _ in range(ATTEMPTS):
            shutil.rmtree(folder, ignore_errors=True)
            command = self.command(script, *flags, f"--train_log_dir=killed/{name}")
            process = subprocess.Popen(command, cwd=self.work)
            while process.poll() is None and _whole_checkpoints(folder) != [step]:
                time.sleep(1 / TRIES_PER_SECOND)
            process.kill()
            if process.wait() == -signal.SIGKILL and _whole_checkpoints(folder) == [step]:
                return folder
        raise SystemExit(f"{name}: {ATTEMPTS} times it went on too fast to be killed at step {step}")

    def keep(self, source: Path, name: str) -> None:
        """Puts a run folder beside this file, without what names this machine."""
        target = GOLDEN / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for file in KEPT:
            if (source / file).exists():
                shutil.copyfile(source / file, target / file)
        for folder in ("checkpoints", "curricula"):
            if (source / folder).is_dir():
                shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns("*.png"))
        for file in (target / "run.json", target / "result.json"):
            if file.exists():
                content = self._neutral(json.loads(file.read_text(encoding="utf-8")))
                file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _neutral(self, record: dict[str, Any]) -> dict[str, Any]:
        changes = {"folder": ".", "platform": "host"}
        record |= {key: value for key, value in changes.items() if key in record}
        command = record["command"].replace(f"{self.code}{os.sep}", "")
        return record | {"command": re.sub(r"^\S+ ", "python ", command)}


def script_and_flags(name: str) -> tuple[str, list[str]]:
    return ("train_imagenet.py", IMAGENET[name]) if name in IMAGENET else ("train_cifar.py", RUNS[name])


def write(file: Path, processor: dict[str, Any], runs: dict[str, dict[str, Any]]) -> None:
    """engine.json with a line for every list or table, and one for every row of metrics."""

    def entry(key: str, value: Any) -> str:
        if key == "rows":
            return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n   ]"
        return json.dumps(value)

    parts = [
        f' "{name}": {{\n' + ",\n".join(f'   "{key}": {entry(key, value)}' for key, value in run.items()) + "\n  }"
        for name, run in sorted(runs.items())
    ]
    text = f'{{\n"fingerprint": {json.dumps(processor)},\n"runs": {{\n' + ",\n".join(parts) + "\n}\n}\n"
    json.loads(text)
    file.write_text(text, encoding="utf-8")


def _whole_checkpoints(folder: Path) -> list[int]:
    """Steps of the checkpoints of a run that did not end; none if one is just being written or removed."""
    checkpoints = folder / "checkpoints"
    if not (checkpoints / "checkpoint").exists() or (folder / "result.json").exists():
        return []
    names = {file.name for file in checkpoints.iterdir()}
    steps = [int(match[1]) for name in names if (match := re.fullmatch(r"ckpt-(\d+)\.index", name))]
    expected = {"checkpoint", *(f"ckpt-{s}{ending}" for s in steps for ending in (".index", ".data-00000-of-00001"))}
    listed = re.findall(r'all_model_checkpoint_paths: "ckpt-(\d+)"', (checkpoints / "checkpoint").read_text("utf-8"))
    return steps if names == expected and listed == [str(step) for step in steps] else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, default=ROOT, help="checkout whose scripts are run (default: this one)")
    parser.add_argument("--only", default="", help="names of runs, separated by commas")
    options = parser.parse_args()
    file = GOLDEN / "engine.json"
    names = options.only.split(",") if options.only else [*RUNS, *IMAGENET]
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if options.only else {}
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(os.cpu_count()) as pool:
        recorder = Recorder(options.code.resolve(), Path(work))
        recorder.run("scripts/make_fake_imagenet.py", *FAKE, "--output_dir=data/slim")
        runs |= dict(zip(names, pool.map(recorder.recorded, names), strict=True))
        write(file, reading.fingerprint(), runs)
        if "finished" in names:
            recorder.keep(Path(work) / "runs/finished", "run_finished")
        for name in names:
            if name in INTERRUPTED:
                recorder.keep(recorder.interrupt(name, INTERRUPTED[name]), f"run_{name}")


if __name__ == "__main__":
    main()
