"""Measures a few training steps with the flags of a run, and prints {"seconds", "parameters", "peers"} as JSON.

    python scripts/measure_step.py train_cifar.py --flagfile=RECIPE --data_dir=DATA --train_log_dir=ANY

Used by ``scripts/reproduce.py plan``. The first steps, which compile, don't count; the others' median does. Nothing is
written to the run folder.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

from absl import flags as absl_flags  # noqa: E402

from benchmarks.clock import StepClock  # noqa: E402
from flags import configuration  # noqa: E402
from flags.build import imagenet, in_memory  # noqa: E402
from flags.define import imagenet_flags  # noqa: E402
from mentornet.training.distribution.inputs import training_batches  # noqa: E402
from mentornet.training.distribution.strategy import Distribution  # noqa: E402

WARM_UP, COUNTED = 2, 4
WITHOUT_WARM_UP = "--warmup_steps=0"  # a method's first steps may be cheaper than the others


def measure(arguments: Sequence[str]) -> dict[str, Any]:
    """The figures of a command line: script first, then its flags."""
    whole = arguments[0] == "train_imagenet.py"
    build: Any = imagenet if whole else in_memory
    given = [*arguments, *([WITHOUT_WARM_UP] if any("--warmup_steps=" in flag for flag in arguments) else [])]
    if whole:
        given.append("--distribution_strategy=one_device")
    config = (imagenet_flags if whole else configuration).parse(given)
    loaded = build.set_apart(build.load_data(config.data), config.clean, config.data.noise_seed)
    config = config.resolved(len(loaded.train))
    distribution = Distribution()
    inputs = build.training_inputs(loaded, config, distribution)
    method = build.method(config, build.student(config.student, loaded, config.run.seed), loaded)
    method.compile(optimizer=build.optimizer(config, len(loaded.train)))
    stage = method.next_stage(0)
    method.enter(stage, False)
    streams = method.streams(stage)
    method.begin(0, WARM_UP + COUNTED)
    own_order = stage.number if stage.steps is None else None
    clock = StepClock()
    method.fit(
        training_batches(distribution, inputs.streams, streams, 0, WARM_UP + COUNTED, own_order),
        steps_per_epoch=WARM_UP + COUNTED,
        verbose=0,
        callbacks=[clock],
    )
    peers = type(method).peers
    return {
        "seconds": statistics.median(clock.seconds[WARM_UP:]),
        "parameters": int(method.student.count_params()) // peers,
        "peers": peers,
    }


if __name__ == "__main__":
    try:
        print(json.dumps(measure(sys.argv[1:])))
    except (ValueError, OSError, absl_flags.Error) as error:
        configuration.fail("measure_step.py", error, code=1)
