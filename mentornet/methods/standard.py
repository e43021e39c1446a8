"""Plain training: every sample counts fully (the tables' FullModel, with the regularisers set by flags).

The baseline of ICML tables 2 to 5; "Forgetting" is the same with a lower dropout keep probability (app. E.2).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting, per_sample_cross_entropy


class Standard(NoisyLabelMethod):
    """Mean cross-entropy on the given labels plus weight decay."""

    def train_step(self, batch: Batch) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            logits = self.student(batch["image"], training=True)
            losses = per_sample_cross_entropy(batch["label"], logits)
            weights = tf.ones_like(losses)
            objective = self.weighted_mean(losses, weights) + self.decay_term()
        self.descend(tape, objective)
        weighting = Weighting(weights, weights, tf.constant(1.0), tf.constant(0.0))
        return self.finish_step(batch, logits, losses, weighting)
