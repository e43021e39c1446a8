"""R(t) that moves while a training goes on, such as ASNG with shared weights (``search.weight_sharing``).

Its state is part of the training's checkpoints, so a killed training continues with the same schedules.
"""

from __future__ import annotations

import tensorflow as tf

from mentornet.methods.keep_schedule import MOVING
from mentornet.methods.replicas import mirrored_variable


class SharedSchedule(tf.Module):
    """The keep rates of a method, and what changes them at every evaluation.

    Args:
        text: of a kind of ``keep_schedule.MOVING``.
        epochs: of the training.

    Attributes:
        rates: the present R of all epochs, float64 [epochs].

    Raises:
        ValueError: a text that can't be read.
    """

    def __init__(self, text: str, epochs: int):
        super().__init__(name="shared_schedule")
        self._search = MOVING[text.partition(":")[0]](text, epochs)
        self.rates = mirrored_variable(tf.constant(self._search.schedule(), tf.float64), "keep_rates")
        self.moving = {
            name: mirrored_variable(tf.constant(value, tf.float64), name)
            for name, value in self._search.state().items()
        }

    def tell(self, accuracy: float) -> None:
        """Changes the rates, from outside a step.

        Args:
            accuracy: on the validation data.
        """
        self._search.restore({name: variable.numpy() for name, variable in self.moving.items()})
        self._search.tell(accuracy)
        for name, value in self._search.state().items():
            self.moving[name].assign(value)
        self.rates.assign(self._search.schedule())
