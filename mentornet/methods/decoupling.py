"""Decoupling "when to update" from "how to update" (Malach and Shalev-Shwartz, NeurIPS 2017, alg. 1).

Two networks, each trained with its own loss, but only on the samples D of a batch about which the two disagree. As in
the released code the sum of their losses is divided by |D|, or by a tenth of the batch if D is smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.base import Batch
from mentornet.methods.replicas import gather, own_part
from mentornet.methods.selection import SelectingMethod
from mentornet.options import Option, RunFacts, given

LEAST_SHARE = 0.1


class Decoupling(SelectingMethod):
    """Cross-entropy where two peers disagree; nothing where they agree.

    Args:
        student: the first network, which the second is built after with other starting values; or a list of both.
        agreement_steps: steps of training on all samples first, fewer than the training has.
        **options: see ``SelectingMethod``; there is no keep rate.

    Raises:
        ValueError: a negative number of steps, or so many that none is left for disagreement.
    """

    peers = 2
    OPTIONS = (
        Option("agreement_steps", 0, "steps of training on all samples first", within="[0, inf)", source="sec. 4"),
    )

    def __init__(self, student: keras.Model, *, agreement_steps: int = 0, **options: Any):
        super().__init__(student, **options)
        if agreement_steps < 0:
            raise ValueError(f"agreement_steps={agreement_steps} must not be negative")
        _check_length(agreement_steps, self.max_steps)
        self._agreement_steps = agreement_steps

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        _check_length(given(options, "agreement_steps", 0), run.max_steps)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        with tf.GradientTape() as first, tf.GradientTape() as second:
            logits = [tf.cast(network(batch["image"], training=True), tf.float32) for network in self.networks]
            losses = [self.task.losses(batch["label"], answered) for answered in logits]
            chosen = self.disagreed(logits)
            size = tf.cast(tf.size(chosen), tf.float32)
            own = own_part(chosen, losses[0]) / tf.maximum(LEAST_SHARE * size, tf.reduce_sum(chosen))
            objectives = [
                tf.reduce_sum(loss * own) + self.decay_term(network=network)
                for loss, network in zip(losses, self.networks, strict=True)
            ]
        self.descend(first, objectives[0], peer=0)
        self.descend(second, objectives[1], peer=1)
        return self.finish(batch, logits, losses, [chosen, chosen])

    def disagreed(self, logits: list[tf.Tensor]) -> tf.Tensor:
        """1 for the samples of the global batch whose predicted classes differ, float32 [n]; all 1 at first."""
        predicted = [gather(tf.argmax(answered, axis=-1, output_type=tf.int32)) for answered in logits]
        return tf.cast(tf.logical_or(tf.not_equal(*predicted), self.step < self._agreement_steps), tf.float32)


def _check_length(agreement_steps: int, max_steps: int | None) -> None:
    if max_steps is not None and agreement_steps >= max_steps:
        raise ValueError(
            f"agreement_steps={agreement_steps} leaves none of the {max_steps} steps for disagreement: give fewer"
        )
