"""What the engine calls between and around the stages of a training: which step, where in time, which statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.stages import Stage


class Staged:
    """Stages and intervals of a method; ``NoisyLabelMethod`` makes the variables."""

    stage: Stage
    max_steps: int | None
    step: tf.Variable
    students: Any
    task: Any
    statistics: Any
    train_function: Any
    train_tf_function: Any
    stage_place: tf.Variable
    records_weights: tf.Variable
    _compiled_steps: Callable[[], dict[Any, Any]]
    _interval_goes_on: bool
    _entered: bool

    def enter(self, stage: Stage, late: bool = False) -> None:
        """Makes ``fit`` take the step of this stage, traced once for each kind.

        Args:
            stage: the coming one.
            late: of methods that count in stages: whether it belongs to the last 10% of them.
        """
        steps = self._compiled_steps()
        steps[self.stage.kind] = (self.train_function, self.train_tf_function)
        self.stage, self._entered = stage, True
        self.train_function, self.train_tf_function = steps.get(stage.kind, (None, None))
        if self.max_steps is None:
            self.records_weights.assign(late)

    def begin(self, first: int, length: int) -> None:
        """Tells where the steps of the present stage lie, before the first of them.

        Args:
            first: the step it begins with.
            length: its steps.
        """
        if self.max_steps is None:
            self.stage_place.assign([self.stage.epoch or 0, first, max(1, length)])

    def present_epoch(self) -> tf.Tensor:
        """The epoch of the coming step with its fraction, float32 scalar, of methods that count in stages."""
        epoch, first, length = tf.unstack(tf.convert_to_tensor(self.stage_place))
        share = tf.cast(self.step - first, tf.float32) / tf.cast(length, tf.float32)
        return tf.cast(epoch, tf.float32) + share

    def set_learning_rate(self, rate: float) -> None:
        """Gives the optimisers of all students this rate, from outside a step."""
        for student in self.students:
            getattr(student.optimizer, "inner_optimizer", student.optimizer).learning_rate = rate

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*self.interval_statistics(), *self.task.metrics()]

    def interval_statistics(self) -> list[keras.metrics.Metric]:
        """What is added up over the training steps of an interval."""
        return [self.statistics]

    def keep_intervals(self) -> None:
        """From now on statistics are added up over calls of ``fit``, until ``end_interval``."""
        self._interval_goes_on = True

    def end_interval(self) -> None:
        """Starts the statistics of the next interval."""
        for metric in self.interval_statistics():
            metric.reset_state()

    def reset_metrics(self) -> None:
        """As in Keras, but for statistics that go on (see ``keep_intervals``)."""
        for metric in self.task.metrics() if self._interval_goes_on else self.metrics:
            metric.reset_state()
