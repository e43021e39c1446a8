"""Kills trainings at random moments, over every method, and checks that each ends as if nothing had happened.

    python scripts/soak.py --minutes=60 [--seed=0] [--output=FOLDER] [--csv=FILE]

Of each method one training is done whole. Others like it are ended with SIGKILL after a random time, up to three times,
and started again; at the end the weights of the student, every row of metrics.csv and every line of samples.csv have to
be those of the whole one, bit for bit. Prints a line a run, and how many kills were survived.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow  # noqa: F401  (processes are forked from this one, which spares them the import)
import tf_keras  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SHARED = (
    *("--dataset_name=digits", "--train_examples=300", "--noise_type=uniform", "--noise_fraction=0.4"),
    *("--studentnet=s2e_mlp", "--batch_size=20", "--learning_rate=0.01", "--noshow_progress"),
)
STEPS = ("--max_number_of_steps=60", "--eval_every_steps=10")
CLEAN = ("--clean_examples=30", "--clean_batch_size=10")
OWN: dict[str, tuple[str, ...]] = {
    "spade": ("--curriculum=mentornet_pd",),
    "l2rw": CLEAN,
    "l2b": CLEAN,
    "clean_only": CLEAN,
    "forward_correction": ("--transition_matrix=true",),
    "backward_correction": ("--transition_matrix=true",),
    "s_model": ("--transition_matrix=true",),
    "c2d": ("--pretrained_run=none",),
}
_EPOCHS = ("--num_epochs=4", "--warmup_epochs=2")
EPOCHS: dict[str, tuple[str, ...]] = dict.fromkeys(("dividemix", "unicon", "c2d"), _EPOCHS)
MOST_KILLS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--methods", help="comma-separated; default: all")
    parser.add_argument("--output", type=Path, help="folder of the runs, kept; default: a temporary one")
    parser.add_argument("--csv", type=Path, help="also write a line a run there")
    chosen = parser.parse_args()
    folder = chosen.output or Path(tempfile.mkdtemp(prefix="soak_"))
    folder.mkdir(parents=True, exist_ok=True)
    methods = chosen.methods.split(",") if chosen.methods else _methods()
    moments, until = random.Random(chosen.seed), time.monotonic() + 60 * chosen.minutes
    whole: dict[str, float] = {}
    rows: list[tuple[str, int, str]] = []
    number = 0
    while time.monotonic() < until:
        method = methods[number % len(methods)]
        number += 1
        reference = folder / f"{method}_whole"
        if method not in whole:
            started = time.monotonic()
            if _run(method, reference) != 0:
                print(f"{method}: does not run with the flags of this script, left out", flush=True)
                methods.remove(method)
                number -= 1
                continue
            whole[method] = time.monotonic() - started
        own = folder / f"{method}_{number}"
        kills, code = 0, -signal.SIGKILL
        for _ in range(moments.randint(1, MOST_KILLS)):
            if (code := _run(method, own, moments.uniform(0.0, whole[method]))) != -signal.SIGKILL:
                break
            kills += 1
        if code == -signal.SIGKILL:
            code = _run(method, own)
        outcome = "equal" if code == 0 and _content(own) == _content(reference) else f"DIFFERENT (exit {code})"
        rows.append((method, kills, outcome))
        print(f"{len(rows):4d}  {method:<28}{kills} kills  {outcome}", flush=True)
        _write(chosen.csv, rows)
        if outcome == "equal":
            shutil.rmtree(own)
    survived = sum(kills for _, kills, outcome in rows if outcome == "equal")
    total = sum(kills for _, kills, _ in rows)
    kinds = len({row[0] for row in rows})
    print(f"{survived} of {total} kills survived bit-equal, in {len(rows)} runs of {kinds} methods")
    if chosen.output is None and survived == total:
        shutil.rmtree(folder)
    return 0 if survived == total else 1


def _methods() -> list[str]:
    """All methods, by name."""
    from mentornet import methods

    return list(methods.names())


def _run(method: str, folder: Path, kill_after: float | None = None) -> int:
    """Trains in a process of its own, which is killed after some seconds; its exit code, negative for a signal."""
    flags = [*SHARED, f"--method={method}", *OWN.get(method, ()), *EPOCHS.get(method, STEPS)]
    child = os.fork()
    if child == 0:
        _become_training([*flags, f"--train_log_dir={folder}"])
    started = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if kill_after is not None and time.monotonic() - started >= kill_after:
            os.kill(child, signal.SIGKILL)
            kill_after = None
        time.sleep(0.002)


def _become_training(flags: list[str]) -> None:
    """Turns a forked process into ``python train_cifar.py`` with these flags; does not return."""
    code = 0
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.argv = ["train_cifar.py", *flags]
        runpy.run_path(str(ROOT / "train_cifar.py"), run_name="__main__")
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        code = 70
    os._exit(code)


def _content(folder: Path) -> tuple[object, ...]:
    """What has to be equal: rows without their seconds, lines of samples.csv, weights."""
    with open(folder / "metrics.csv", newline="") as stream:
        rows = [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(stream)]
    weights: dict[str, bytes] = {}
    with zipfile.ZipFile(folder / "student.keras") as archive:
        stored = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(stored) as file:
        file.visititems(lambda name, item: weights.update({name: _bytes(item)}) if hasattr(item, "shape") else None)
    samples = folder / "samples.csv"  # which a method that uses no labels does not write
    return rows, samples.read_bytes() if samples.exists() else None, weights


def _bytes(values: h5py.Dataset) -> bytes:
    return np.asarray(values).tobytes()


def _write(path: Path | None, rows: list[tuple[str, int, str]]) -> None:
    """One line a method."""
    if path is None:
        return
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("method", "runs", "kills", "survived_bit_equal"))
        for method in dict.fromkeys(row[0] for row in rows):
            own = [row for row in rows if row[0] == method]
            survived = sum(kills for _, kills, outcome in own if outcome == "equal")
            writer.writerow((method, len(own), sum(kills for _, kills, _ in own), survived))


if __name__ == "__main__":
    sys.exit(main())
