"""A process of the tests of compilation: forty steps of every method compiled by XLA, what was compiled, and times.

    XLA_FLAGS=--xla_dump_to=FOLDER python tests/compiled_methods.py FOLDER OUTPUT.json [CASE...]

XLA leaves a file in the folder for each program that it compiles, for which there is no counter. Run as a program of
its own, because XLA reads its flags when it is first used.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tensorflow as tf
import tf_keras as keras

from benchmarks.clock import StepClock
from mentornet import methods
from mentornet.methods.base import Weighting
from mentornet.training.optimizers import Adam, LinearDecay, MomentumSGD, stepwise_rate
from tests.equal_methods import CASES, EXAMPLES, source, student

STEPS = 40
INDEXING, FEW_STEPS = "indexing by a tensor", 8  # each of them is compiled
WARM = 3
"""Steps of a stage after which nothing new may be compiled."""


class Indexing(methods.Standard):
    """Wrong on purpose: indexing by a tensor makes XLA compile every step anew. For the proof that this is noticed."""

    def weigh(self, losses: tf.Tensor, label: tf.Tensor) -> Weighting:
        weights = tf.ones_like(losses) * tf.constant([1.0] * STEPS)[self.step]
        return Weighting(weights, weights, tf.constant(0.0))


def programs(folder: Path) -> int:
    """How many XLA has compiled so far."""
    return len(list(folder.glob("module_*.before_optimizations.txt")))


def optimizer(kind: type[methods.NoisyLabelMethod]) -> keras.optimizers.Optimizer:
    """With a rate that changes in the middle, and a first beta, too; the momentum look-ahead reads velocities."""
    if kind is methods.L2B:
        return MomentumSGD(stepwise_rate(1e-3, [15, 30], 0.1), 0.9)
    rate = LinearDecay(1e-3, 4, 10)
    return Adam(rate, rate.switched(0.9, 0.1))


def take_steps(case: str, folder: Path) -> dict[str, Any]:
    """What the steps of a method in its stages needed."""
    kind = Indexing if case == INDEXING else methods.get(case.split()[0])
    traced: dict[Any, int] = {}

    class Counted(kind):  # type: ignore[misc, valid-type]
        def train_step(self, batch: dict[str, tf.Tensor]) -> Any:
            traced[str(self.stage.kind)] = traced.get(str(self.stage.kind), 0) + 1
            return super().train_step(batch)

    length = FEW_STEPS if case == INDEXING else STEPS
    method = Counted(
        student(), max_steps=length, num_examples=EXAMPLES, weight_decay=1e-2, seed=4, **CASES.get(case, {})
    )
    method.compile(optimizer(kind), jit_compile=True)
    method.build_optimizers()
    batches = source().dataset({}, 0, None).repeat()
    method.keep_intervals()
    done, clock, start = 0, StepClock(), programs(folder)
    late = []
    while (stage := method.next_stage(done)) is not None:
        method.enter(stage)
        first = min(WARM, stage.steps - 1)
        for steps in (first, stage.steps - first):
            method.fit(batches.take(steps), steps_per_epoch=steps, verbose=0, callbacks=[clock])
            late.append(programs(folder))
        done += 1
    return {
        "steps": int(method.step.numpy()),
        "traced": traced,
        "compiled": late[-1] - start,
        "recompiled": sum(after - before for before, after in zip(late[::2], late[1::2], strict=True)),
        "seconds": clock.seconds,
    }


def main() -> None:
    folder, output, *cases = sys.argv[1:]
    tf.random.set_seed(0)
    held = {case: take_steps(case, Path(folder)) for case in cases or [*CASES, INDEXING]}
    Path(output).write_text(json.dumps(held))


if __name__ == "__main__":
    main()
