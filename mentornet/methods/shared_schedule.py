"""R(t) that moves while a training goes on, by ASNG with shared weights (``search.weight_sharing``).

Its state is part of the training's checkpoints, so a killed training continues with the same samples.
"""

from __future__ import annotations

import tensorflow as tf

from mentornet.methods.replicas import mirrored_variable
from mentornet.search.weight_sharing import WeightSharing, read

KIND = "asng"


class SharedSchedule(tf.Module):
    """The keep rates of a method, and the search that changes them at every evaluation.

    Args:
        text: asng:samples=2,step=1,seed=0,space=paper, see ``search.weight_sharing``.
        epochs: of the training.

    Attributes:
        rates: R of all epochs under the present sample, float64 [epochs].

    Raises:
        ValueError: a text that can't be read.
    """

    def __init__(self, text: str, epochs: int):
        super().__init__(name="shared_schedule")
        self._search = WeightSharing(read(text), epochs)
        self.rates = mirrored_variable(tf.constant(self._search.schedule(), tf.float64), "keep_rates")
        self.moving = {
            name: mirrored_variable(tf.constant(value, tf.float64), name)
            for name, value in self._search.state().items()
        }

    def tell(self, accuracy: float) -> None:
        """Ends a stretch of training, from outside a step.

        Args:
            accuracy: on the validation data.
        """
        self._search.restore({name: variable.numpy() for name, variable in self.moving.items()})
        self._search.tell(accuracy)
        for name, value in self._search.state().items():
            self.moving[name].assign(value)
        self.rates.assign(self._search.schedule())
