"""A process of the tests of resumption: train_cifar.py that kills itself with SIGKILL at a moment of a stage.

    python tests/killed_training.py WHAT:STAGE:COUNT FLAGS...

WHAT is "start" (before the first step), "step" (after COUNT steps of the stage), "look" (when COUNT networks have been
looked at), "evaluation" (in the row at its end) or "end" (after everything else).
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mentornet.training import loop
from mentornet.training.callbacks import IntervalRecorder
from mentornet.training.checkpoints import Checkpoints

ROOT = Path(__file__).resolve().parents[1]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killing(what: str, stage: int, count: int) -> None:
    """Replaces the part of the engine in which the moment lies."""
    entered, trained = IntervalRecorder.enter, IntervalRecorder.on_train_batch_end
    evaluated, done, looked, looks = IntervalRecorder._evaluate, Checkpoints.mark_done, loop.TrainingView.outputs, 0

    def enter(self: Any, present: Any, *arguments: Any, **options: Any) -> None:
        entered(self, present, *arguments, **options)
        if what == "start" and present.number == stage:
            die()

    def on_train_batch_end(self: Any, batch: int, logs: Any = None) -> None:
        trained(self, batch, logs)
        if what == "step" and self._stage.number == stage and int(self.model.step.numpy()) - self._start >= count:
            die()

    def evaluate(self: Any, *arguments: Any) -> Any:
        if what == "evaluation" and self._stage.number == stage:
            die()
        return evaluated(self, *arguments)

    def mark_done(self: Any) -> None:
        if what == "end" and self.stages_done == stage:
            die()
        done(self)

    def outputs(self: Any, *arguments: Any) -> Any:
        nonlocal looks
        if what == "look" and looks == count:  # of the first stage that looks
            die()
        looks += 1
        return looked(self, *arguments)

    IntervalRecorder.enter = enter
    IntervalRecorder.on_train_batch_end = on_train_batch_end
    IntervalRecorder._evaluate = evaluate
    Checkpoints.mark_done = mark_done
    loop.TrainingView.outputs = outputs


if __name__ == "__main__":
    what, stage, count = sys.argv.pop(1).split(":")
    killing(what, int(stage), int(count))
    sys.argv[0] = "train_cifar.py"
    runpy.run_path(str(ROOT / "train_cifar.py"), run_name="__main__")
