"""L2RW's experiment on class imbalance: LeNet on MNIST, 4 against 9 (Ren et al. 2018, section 4.1, figure 2).

    python scripts/imbalance_experiment.py --data_dir=DATA --output_dir=runs/imbalance --threads=1        # full size
    python scripts/imbalance_experiment.py --data_dir=DATA --output_dir=runs/try --runs=1 --steps=200 --ratios=9,199

Every (method, ratio, run) is one cell: a line of imbalance.csv, written when it is finished, with the table
imbalance.md and the figure imbalance.png so far. The same command continues with the cells that are missing. The figure
shows the paper's claim: at 200:1 the error of L2RW is about 2 percent points above the balanced case, while the others
fail. As in the paper: 5,000 images, a clean set of 10 for L2RW alone, batch 100 (hard mining: 500), momentum 0.9 at a
constant rate of 0.001, 8,000 steps for every method (the released code stops L2RW at 4,000), error at the last step on
250 + 250 test images. Instead of one sigmoid output the student has two logits, and the images come from all 60,000 of
the training part, not from 55,000.

Run by run: a stop leaves whole runs of the figure. All of it takes a day of one core (docs/methods.md says why), with
--bfloat16 two thirds of that where the processor multiplies bfloat16 itself; cells of the two precisions are kept
apart, because hard mining at least is better in bfloat16. --processes=N --threads=1 trains N cells at a time.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402

from data import datasets, imbalance  # noqa: E402
from data.image_dataset import ImageDataset  # noqa: E402
from mentornet import files  # noqa: E402
from mentornet.training import determinism  # noqa: E402
from mentornet.training.progress import duration  # noqa: E402
from scripts.imbalance_results import append_row, key, read_rows, short, write_summary  # noqa: E402
from scripts.imbalance_training import METHODS, Cell, run_cell  # noqa: E402

RATIOS = (9, 19, 49, 99, 199)
CPUINFO = Path("/proc/cpuinfo")


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    """All cells, run by run, so that a few seeds of the whole figure come first."""
    precision = "bfloat16" if options.bfloat16 else "float32"
    for run in range(options.runs):
        for ratio in dict.fromkeys(options.ratios):
            for name in dict.fromkeys(options.methods):
                yield Cell(name, ratio, run, options.steps, options.train_examples, precision)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; None reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", help="where the prepared MNIST is (or is downloaded to)")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/imbalance"), help="of imbalance.csv, .md and .png"
    )
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated, of: " + ", ".join(METHODS))
    parser.add_argument(
        "--ratios", default=",".join(map(str, RATIOS)), help="nines to one four: 9 is 9:1, 199 the paper's 200:1"
    )
    parser.add_argument("--runs", type=int, default=10, help="seeds of every point of the figure")
    parser.add_argument("--steps", type=int, default=8000, help="of every training")
    parser.add_argument("--train_examples", type=int, default=5000, help="training images, clean ones included")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of a process (0: TensorFlow's choice)")
    parser.add_argument("--processes", type=int, default=1, help="cells that are trained at the same time")
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        help="layers compute in bfloat16, weights stay float32: for processors with avx512_bf16 or AMX",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the missing cells and draws the figure; a mistake ends with one sentence."""
    options = parse(arguments)
    try:
        run_all(options)
    except (ValueError, OSError) as error:
        print(f"imbalance_experiment.py: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenProcessPool:
        print(
            "imbalance_experiment.py: a process was ended from outside, perhaps for want of memory: the same command "
            "continues with the missing cells, with fewer --processes if need be",
            file=sys.stderr,
        )
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        for child in multiprocessing.active_children():
            child.terminate()
        print("stopped; the same command continues with the missing cells", file=sys.stderr)
        raise SystemExit(130) from None


def trained(missing: Sequence[Cell], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of the cells, in the order in which they are finished."""
    if not missing:
        return
    workers = min(options.processes, len(missing))
    if workers == 1:
        prepare(options)
        yield from map(work, missing)
        return
    datasets.load("mnist", data_dir=options.data_dir)  # an error is told once, by this process
    context = multiprocessing.get_context("spawn")  # a forked TensorFlow hangs
    with ProcessPoolExecutor(workers, context, initializer=prepare, initargs=(options,)) as pool:
        futures = [pool.submit(work, cell) for cell in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_prepared: dict[str, ImageDataset] = {}
"""Of this process: the digits."""


def prepare(options: argparse.Namespace) -> None:
    """Sets TensorFlow up and loads the digits, once a process; a worker process ends with the one that started it."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=leave_with, args=(parent,), daemon=True).start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    if options.bfloat16:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    determinism.make_deterministic(jit_compile=False)
    _prepared["mnist"] = datasets.load("mnist", data_dir=options.data_dir)


def leave_with(parent: Any) -> None:
    """Waits for the end of a process, then ends this one."""
    parent.join()
    os._exit(1)


def work(cell: Cell) -> dict[str, Any]:
    """Trains a cell in a prepared process."""
    keras.utils.set_random_seed(cell.seed)
    return run_cell(cell, _prepared["mnist"])


def multiplies_bfloat16() -> bool:
    """Whether the processor does; TensorFlow computes in float32 on others, without a word."""
    return CPUINFO.exists() and not {"avx512_bf16", "amx_bf16"}.isdisjoint(CPUINFO.read_text(encoding="utf-8").split())


def wanted_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells that the options ask for.

    Raises:
        ValueError: unknown methods, impossible numbers.
    """
    options.methods = options.methods.split(",")
    unknown = sorted(set(options.methods) - set(METHODS))
    if unknown:
        raise ValueError(f"--methods={','.join(unknown)}: use some of {', '.join(METHODS)}")
    for name, least in (("runs", 1), ("steps", 1), ("processes", 1), ("threads", 0)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name}={getattr(options, name)} must be at least {least}")
    try:
        options.ratios = [float(text) for text in options.ratios.split(",")]
    except ValueError:
        raise ValueError(f"--ratios={options.ratios}: expected numbers such as 9,49,199") from None
    for ratio in options.ratios:
        if not 0 < ratio < math.inf:
            raise ValueError(f"--ratios={short(ratio)}: expected positive numbers such as 9,49,199")
    wanted = list(cells(options))
    for cell in wanted:
        try:
            imbalance.class_sizes(cell.examples, cell.majority_share, cell.clean_per_class)
        except ValueError as error:
            raise ValueError(f"{cell.method} at {short(cell.ratio)}:1 can't be trained: {error}") from None
    return wanted


def run_all(options: argparse.Namespace) -> None:
    """Does what the options ask for.

    Raises:
        ValueError, OSError: see ``wanted_cells``; missing data, or a folder that is damaged or in use.
    """
    wanted, folder = wanted_cells(options), options.output_dir
    file = folder / "imbalance.csv"
    if (not folder.is_dir() and folder.exists()) or file.is_dir():
        raise ValueError(f"--output_dir={folder}: there is something else of this name, or of imbalance.csv inside")
    folder.mkdir(parents=True, exist_ok=True)
    files.lock(folder)
    found = {key(row) for row in read_rows(file)}
    missing = [cell for cell in wanted if key(asdict(cell)) not in found]
    if missing and options.bfloat16 and not multiplies_bfloat16():
        raise ValueError("--bfloat16: this processor has neither avx512_bf16 nor AMX, so TensorFlow would ignore it")
    print(f"{len(wanted) - len(missing)} of {len(wanted)} cells are there", flush=True)
    shown = {key(asdict(cell)) for cell in wanted}
    summary, started = "", time.monotonic()
    for number, row in enumerate(trained(missing, options), start=1):
        append_row(file, row)
        summary = write_summary(folder, shown)
        done = number + min(options.processes - 1, len(missing) - number) / 2  # the others' are half done on average
        left = (time.monotonic() - started) / done * (len(missing) - done)
        print(
            f"{number}/{len(missing)} {row['method']} {row['ratio']}:1 run {row['run']}: error {row['error']} "
            f"({row['seconds']} s), about {duration(left)} left",
            flush=True,
        )
    print(summary or write_summary(folder, shown), end="")


if __name__ == "__main__":
    main()
