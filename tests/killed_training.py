"""A process of the tests of resumption: a training script that kills itself with SIGKILL at a moment of a stage.

    python tests/killed_training.py SCRIPT WHAT:STAGE:COUNT FLAGS...

WHAT is "start" (before the first step), "step" (after COUNT steps of the stage), "look" (when COUNT networks have been
looked at), "evaluation" (in the row at its end) or "end" (after everything else).
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mentornet.training import loop
from mentornet.training.callbacks import IntervalRecorder
from mentornet.training.checkpoints import Checkpoints

ROOT = Path(__file__).resolve().parents[1]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killing(
    what: str, stage: int, count: int, die: Callable[[], None] = die, put: Callable[..., None] = setattr
) -> None:
    """Replaces the part of the engine in which the moment lies.

    Args:
        what: see above, as are the next two.
        stage: its number.
        count: of steps or looks.
        die: ends the training there; with one that raises it ends in the test's process.
        put: like ``setattr``.
    """
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

    put(IntervalRecorder, "enter", enter)
    put(IntervalRecorder, "on_train_batch_end", on_train_batch_end)
    put(IntervalRecorder, "_evaluate", evaluate)
    put(Checkpoints, "mark_done", mark_done)
    put(loop.TrainingView, "outputs", outputs)


if __name__ == "__main__":
    script, moment = sys.argv.pop(1), sys.argv.pop(1)
    what, stage, count = moment.split(":")
    killing(what, int(stage), int(count))
    sys.argv[0] = script
    runpy.run_path(str(ROOT / script), run_name="__main__")
