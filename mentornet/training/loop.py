"""The engine's loop: a method's stages, one after the other, from wherever a run was interrupted.

At a stage's start the method looks at the training set, and what it found is saved; then ``fit`` runs over the batches
that the data makes of the stage's streams. Where a stage was interrupted, the same streams follow from the method's
variables, and the batches from the step, so that the end is the same bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from mentornet import students
from mentornet.methods.base import RECORDED_SHARE, NoisyLabelMethod
from mentornet.runs.samples import weights_auc
from mentornet.stages import Stage
from mentornet.training.callbacks import IntervalRecorder, NanGuard
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.distribution.inputs import training_batches
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.evaluation import Answer, SampleOutputs, answering, sample_outputs
from mentornet.training.inputs import TrainingInputs


class TrainingView:
    """The training samples as a method may look at them; a ``mentornet.stages.TrainingSet``.

    Args:
        inputs: the data.
        distribution: networks are copied out of its strategy.
        folder: the run folder, of the process that writes it.
    """

    def __init__(self, inputs: TrainingInputs, distribution: Distribution, folder: Path | None):
        self._inputs, self._distribution = inputs, distribution
        self.given, self.folder = inputs.given, folder
        self._answers: dict[int, Answer] = {}

    def tells_clean(self, scores: np.ndarray, positions: np.ndarray | None = None) -> float:
        """See ``TrainingSet``."""
        if self._inputs.clean is None:
            return float("nan")
        right = self.given == self._inputs.clean
        return weights_auc(scores, right if positions is None else right[positions])

    def outputs(self, network: keras.Model, positions: np.ndarray | None = None) -> SampleOutputs:
        """See ``TrainingSet``."""
        batches = self._inputs.ordered(positions)
        if self._distribution.kind != "one_device":
            return sample_outputs(students.plain_copy(network), batches)
        if id(network) not in self._answers:  # traced once, however many stages look
            self._answers[id(network)] = answering(network)
        return sample_outputs(network, batches, answer=self._answers[id(network)])


def run_stages(
    method: NoisyLabelMethod,
    inputs: TrainingInputs,
    checkpoints: Checkpoints,
    recorder: IntervalRecorder,
    every: int,
    distribution: Distribution,
    folder: Path | None,
    rates: Sequence[float] | None = None,
) -> None:
    """Trains from the restored state to the end of the last stage.

    Args:
        method: compiled, its state restored.
        inputs: the data.
        checkpoints: saves after a look, and knows how many stages are done.
        recorder: ends intervals.
        every: steps between two rows, counted over all stages.
        distribution: where steps are computed.
        folder: the run folder, of the process that writes it.
        rates: the learning rate in each epoch, of methods that count in epochs; else the optimisers know theirs.
    """
    training = TrainingView(inputs, distribution, folder)
    looks = type(method).look is not NoisyLabelMethod.look
    method.keep_intervals()
    # Inside ``fit`` Keras cuts its steps per execution down to the interval. An evaluation that is built where this
    # leaves 1 runs one batch a call for good, and skips the others once the intervals are longer.
    method.make_test_function()
    while (stage := method.next_stage(checkpoints.stages_done)) is not None:
        method.enter(stage, _is_late(method, stage))
        if rates is not None and stage.epoch is not None:
            method.set_learning_rate(rates[min(stage.epoch, len(rates) - 1)])
        if not checkpoints.looked:
            changed = looks and method.look(stage, training) is not False
            checkpoints.mark_looked()
            recorder.save_if_due(changed)
        following = method.next_stage(stage.number + 1)
        _run_stage(method, stage, inputs, recorder, checkpoints, every, distribution, following)
        checkpoints.mark_done()


def _run_stage(
    method: NoisyLabelMethod,
    stage: Stage,
    inputs: TrainingInputs,
    recorder: IntervalRecorder,
    checkpoints: Checkpoints,
    every: int,
    distribution: Distribution,
    following: Stage | None,
) -> None:
    """The steps of one stage, or what is left of them."""
    streams = method.streams(stage)
    own_order = stage.steps is None
    length = inputs.streams.steps(next(iter(streams.values()))) if stage.steps is None else stage.steps
    first = checkpoints.stage_start
    recorder.enter(stage, first, length, following is None, saves_at_end=not _will_look(method, following))
    method.begin(first, length)
    reached, end = int(method.step.numpy()), first + length
    while reached < end:
        steps, intervals = _next_fit(reached, end, every, stage.record)
        start = reached - first if own_order else reached
        method.fit(
            training_batches(
                distribution, inputs.streams, streams, start, steps * intervals, stage.number if own_order else None
            ),
            epochs=intervals,
            steps_per_epoch=steps,
            verbose=0,
            callbacks=[NanGuard(), recorder],
        )
        reached += steps * intervals


def _will_look(method: NoisyLabelMethod, following: Stage | None) -> bool:
    """Whether the next stage begins with a look, after which a checkpoint that is due at this stage's end is made."""
    return following is not None and type(method).look is not NoisyLabelMethod.look


def _next_fit(reached: int, end: int, every: int, record: bool | None) -> tuple[int, int]:
    """(steps, intervals) of the next call of ``fit``: up to the next row, then whole intervals, then what is left."""
    if record is not None:
        return end - reached, 1
    until_row = every - reached % every
    if until_row < every or until_row > end - reached:
        return min(until_row, end - reached), 1
    return every, (end - reached) // every


def _is_late(method: NoisyLabelMethod, stage: Stage) -> bool:
    """Whether a stage belongs to the last 10% of a method that counts in stages; of less than ten the last one does."""
    total = method.total_stages
    return total is not None and stage.number >= min(RECORDED_SHARE * total, total - 1)


def check_asynchronous(method: NoisyLabelMethod) -> None:
    """Refuses what asynchronous workers can't do: several peers, or stages between which everybody would have to wait.

    Raises:
        ValueError: with one sentence.
    """
    kind: Any = type(method)
    several = f"{kind.peers} students" if kind.peers > 1 else "several stages" if method.next_stage(1) else None
    if several:
        raise ValueError(
            f"{kind.__name__} trains with {several}, which workers that don't wait for each other can't do: use "
            "another strategy than parameter_server"
        )
