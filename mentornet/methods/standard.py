"""Plain training: every sample counts fully (the tables' FullModel, with the regularisers set by flags).

The baseline of ICML tables 2 to 5; "Forgetting" is the same with a lower dropout keep probability (app. E.2). Methods
that only have another loss a sample, or fixed rules for weights, inherit this step and replace one of its two parts.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mentornet.inspection import student_outputs, with_auxiliary_loss
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting


class Standard(NoisyLabelMethod):
    """Mean cross-entropy on the given labels plus weight decay."""

    takes_auxiliary_head = True
    weighs_sites = True

    def train_step(self, batch: Batch) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            logits, auxiliary = student_outputs(self.student(batch["image"], training=True))
            losses = self.sample_losses(batch["label"], logits)
            weighting = self.weigh(tf.stop_gradient(losses), batch["label"])
            descended = with_auxiliary_loss(
                losses, auxiliary, lambda second: self.sample_losses(batch["label"], second)
            )
            objective = self.weighted_mean(descended, weighting.weights) + self.decay_term()
        self.descend(tape, objective)
        return self.finish_step(batch, logits, losses, weighting)

    def sample_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The loss of every sample: label int [b], logits [b, classes] -> float32 [b]."""
        return self.task.losses(label, logits)

    def weigh(self, losses: tf.Tensor, label: tf.Tensor) -> Weighting:
        """The weight of every sample, here 1: losses float32 [b], label int [b] -> weights [b]."""
        ones = tf.ones_like(losses)
        return Weighting(ones, ones, tf.constant(0.0))
