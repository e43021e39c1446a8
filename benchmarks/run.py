"""Times training steps as ratios to the plain cross-entropy step of the same student, measured in turn in one process.

    make bench            # or: python benchmarks/run.py [--quick] [--output benchmarks/latest.json]

Without --students it measures all variants on ResNet-32, and L2RW and L2B on ResNet-32 and PreActResNet-18 with L2RW's
100 noisy and 100 clean samples a step. Prints a table and writes a list of {student, batch, variant, seconds_per_step,
ratio, peak_bytes}. Some steps are measured compiled with XLA, too (``_xla``), as --jit_compile of a training compiles
them. Times are medians over rounds; in every round each variant takes the same number of steps, so a slow moment of the
machine meets all of them. A peak is that of a process that runs this variant alone. The "data" rows are
the time a training loop waits for its next batch, as a share of the plain step. Behind them, without --students, come
the rows of benchmarks/input_pipeline.py: {variant, images_per_second_per_core, ratio}, the ratio to decoding alone, and
of benchmarks/overhead.py: {variant, seconds, plain_steps}, what a run costs beyond its steps, and those of
benchmarks/semi_supervised.py: {student, variant, images_per_second, ratio, data_wait}.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import student_nets  # noqa: E402
from benchmarks import input_pipeline, masks, memory, overhead, semi_supervised  # noqa: E402
from data import pipeline  # noqa: E402
from data.streams import TRAINING, MemoryStreams, Source  # noqa: E402
from mentornet import methods  # noqa: E402
from mentornet.curricula.learned import LearnedCurriculum  # noqa: E402
from mentornet.methods.protocol import CLEAN_SET  # noqa: E402
from mentornet.network import NetworkConfig, build  # noqa: E402
from mentornet.stages import GIVEN, Stream  # noqa: E402
from mentornet.training.optimizers import MomentumSGD  # noqa: E402

Step = Callable[[dict[str, tf.Tensor]], Any]
CLASSES, EXAMPLES = 10, 5_000
XLA = "_xla"  # behind the name of a compiled variant


@dataclass(frozen=True)
class Case:
    """What is measured in turn: a student, samples a step, variants beside the plain one (none: all), how often.

    ``compiled`` names what is measured a second time, compiled with XLA.
    """

    student: str
    batch: int
    variants: tuple[str, ...] = ()
    rounds: int = 9
    steps: int = 3
    compiled: tuple[str, ...] = ()


META = ("l2rw_forward", "l2rw_double", "l2b_forward", "l2b_double")
VARIANTS = ("spade_mentornet_pd", "spade_learned", "small_loss", "co_teaching", *META, "l2b_views")
CASES: tuple[Case, ...] = (
    Case("resnet32", 128),
    Case("resnet32", 100, META),
    Case("preact_resnet18", 100, META, rounds=7, steps=1),  # seconds a step on a CPU
    Case(
        "resnet8", 128, ("spade_mentornet_pd", "l2rw_forward"), compiled=("plain", "spade_mentornet_pd", "l2rw_forward")
    ),
    Case("unet_small", 8, masks.VARIANTS, rounds=7, steps=1),  # every pixel of slices of 144 x 144
)


def variants(student: str, seed: int = 0) -> dict[str, methods.NoisyLabelMethod]:
    """The plain step first, then what is compared with it; each on a student of its own."""
    if student_nets.kind(student) == "segmentation":
        return masks.variants(student, seed)

    def network() -> Any:
        return student_nets.get(student, CLASSES, seed=seed)

    shared: dict[str, Any] = {"max_steps": 10_000, "num_examples": EXAMPLES, "weight_decay": 2e-4}
    dropout: dict[str, Any] = {"example_dropout_rates": "0.5,20,0.05,80", "burn_in_epoch": 0}
    return {
        "plain": methods.Standard(network(), **shared),
        "spade_mentornet_pd": methods.Spade(network(), "mentornet_pd", **shared, **dropout),
        "spade_learned": methods.Spade(
            network(), LearnedCurriculum(build(NetworkConfig(label_rows=CLASSES))), **shared, **dropout
        ),
        "small_loss": methods.SmallLoss(network(), **shared, keep_schedule="constant:0.6"),
        "co_teaching": methods.CoTeaching(network(), **shared, keep_schedule="constant:0.6"),
        "l2rw_forward": methods.L2RW(network(), **shared),
        "l2rw_double": methods.L2RW(network(), **shared, meta_gradient="double_backprop"),
        "l2b_forward": methods.L2B(network(), **shared, clip_norm=0.25),
        "l2b_double": methods.L2B(network(), **shared, clip_norm=0.25, meta_gradient="double_backprop"),
    }


def training_step(method: methods.NoisyLabelMethod, jit_compile: bool) -> Step:
    """The compiled training step of a method."""
    method.compile(optimizer=MomentumSGD(0.1, 0.9))
    method.build_optimizers()
    return tf.function(method.train_step, jit_compile=jit_compile, reduce_retracing=True)


def batches(batch: int, clean: bool, student: str = "") -> Iterator[dict[str, tf.Tensor]]:
    """Augmented batches as a training reads them; with ``clean``, as many clean samples beside each."""
    if student and student_nets.kind(student) == "segmentation":
        return masks.batches(batch, clean)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, 32, 32, 3), np.uint8)
    labels = rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)
    sources = {TRAINING: Source(images, labels, batch, rng.random(EXAMPLES) < 0.6)}
    streams = {GIVEN: Stream()}
    if clean:
        sources["clean"] = Source(images[:1000], labels[:1000], batch)
        streams["clean"] = Stream(source="clean")
    return iter(MemoryStreams(sources, seed=0, augmentation=pipeline.AUGMENTATIONS["cifar"]).dataset(streams))


def measure(case: Case) -> list[dict[str, Any]]:
    """One row a variant, plus the wait for data during the plain variant's steps."""
    student, batch, only = case.student, case.batch, case.variants
    chosen = {name: method for name, method in variants(student).items() if not only or name in {"plain", *only}}
    if case.compiled:
        chosen |= {name + XLA: method for name, method in variants(student).items() if name in case.compiled}
    sources = {
        clean: batches(batch, clean, student) for clean in {CLEAN_SET in method.NEEDS for method in chosen.values()}
    }
    read = {name: sources[CLEAN_SET in method.NEEDS] for name, method in chosen.items()}
    compiled = {name: training_step(method, name.endswith(XLA)) for name, method in chosen.items()}
    for name, step in compiled.items():
        _wait(step(next(read[name])))
        _wait(step(next(read[name])))
    seconds: dict[str, list[float]] = {name: [] for name in compiled}
    waits: list[float] = []
    for number in range(case.rounds):
        turn = number % len(compiled)  # nobody is always first, or always behind the same neighbour's caches
        for name in [*list(compiled)[turn:], *list(compiled)[:turn]]:
            step = compiled[name]
            total = 0.0
            for _ in range(case.steps):
                asked = time.perf_counter()
                item = next(read[name])
                got = time.perf_counter()
                _wait(step(item))
                total += time.perf_counter() - got
                if name == "plain":
                    waits.append(got - asked)
            seconds[name].append(total / case.steps)
    plain = statistics.median(seconds["plain"])
    rows = [
        {
            "student": student,
            "batch": batch,
            "variant": name,
            "seconds_per_step": statistics.median(times),
            # Paired by round, so that a drift of the machine cancels.
            "ratio": statistics.median(t / p for t, p in zip(times, seconds["plain"], strict=True)),
            "peak_bytes": peak_alone(student, batch, name),
        }
        for name, times in seconds.items()
    ]
    waited = statistics.median(waits)
    rows.append(
        {
            "student": student,
            "batch": batch,
            "variant": "data_wait",
            "seconds_per_step": waited,
            "ratio": waited / plain,
            "peak_bytes": 0,
        }
    )
    return rows


def peak_alone(student: str, batch: int, name: str) -> int:
    """Peak memory of a process that takes a few steps of one variant and does nothing else."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak_here, student, batch, name).result()


def _peak_here(student: str, batch: int, name: str) -> int:
    method = variants(student)[name.removesuffix(XLA)]
    step, read = training_step(method, name.endswith(XLA)), batches(batch, CLEAN_SET in method.NEEDS, student)
    for _ in range(3):
        _wait(step(next(read)))
    return memory.peak_bytes()


def _wait(outputs: Any) -> None:
    tf.nest.map_structure(lambda value: value.numpy(), outputs)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text."""
    head = f"{'student':<18}{'batch':>6}  {'variant':<22}{'s/step':>10}{'ratio':>8}{'peak MiB':>10}"
    lines = [
        f"{row['student']:<18}{row['batch']:>6}  {row['variant']:<22}{row['seconds_per_step']:>10.4f}"
        f"{row['ratio']:>8.3f}{row['peak_bytes'] / 2**20:>10.0f}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="json of the rows; benchmarks/latest.json for a whole measurement")
    parser.add_argument("--students", default="", help="comma-separated names; default: see above")
    parser.add_argument("--batch", type=int, default=128, help="with --students")
    parser.add_argument("--rounds", type=int, default=9, help="with --students")
    parser.add_argument("--steps", type=int, default=3, help="with --students: steps a variant takes in each round")
    parser.add_argument("--variants", default="", help="with --students: comma-separated names beside plain")
    parser.add_argument("--jit_compile", action="store_true", help="with --students: also compiled with XLA")
    parser.add_argument("--quick", action="store_true", help="resnet8, few rounds: does it run?")
    chosen = parser.parse_args()
    only = tuple(name for name in chosen.variants.split(",") if name)
    unknown = sorted({*only} - {"plain", *VARIANTS})
    if unknown:
        parser.error(f"--variants={','.join(unknown)}: use some of {', '.join(VARIANTS)}")
    if only and not (chosen.students or chosen.quick):
        parser.error("--variants chooses among those of --students, which is not given")
    cases = CASES
    if chosen.quick:
        cases = (Case("resnet8", chosen.batch, only, rounds=3),)
    elif chosen.students:
        again = (*only, "plain") if only else ("plain", *VARIANTS)
        compiled = again if chosen.jit_compile else ()
        cases = tuple(
            Case(name, chosen.batch, only, chosen.rounds, chosen.steps, compiled) for name in chosen.students.split(",")
        )
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows += measure(case)
    print(table(rows))
    if not chosen.students:
        images = input_pipeline.measure(rounds=1, batches=8) if chosen.quick else input_pipeline.measure()
        print(input_pipeline.table(images))
        beyond = overhead.measure(22) if chosen.quick else overhead.measure()
        print(overhead.table(beyond))
        mixed = semi_supervised.measure("resnet8", 2) if chosen.quick else semi_supervised.measure()
        print(semi_supervised.table(mixed))
        rows += images + beyond + mixed
    whole = not (chosen.quick or chosen.students)
    output = chosen.output or (Path(__file__).with_name("latest.json") if whole else None)
    if output:
        output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(f"written to {output}")


if __name__ == "__main__":
    main()
