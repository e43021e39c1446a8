"""Training on one's own small losses: the "MentorNet" of the comparisons in Co-teaching, Co-teaching+ and S2E.

One network that selects the R(t) n smallest losses of each batch of n and descends on their mean: self-paced learning
with the schedule of Co-teaching (Han et al., NeurIPS 2018, sec. 4; S2E, ICML 2020, sec. 5.1).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mentornet.methods.base import Batch
from mentornet.methods.replicas import gather
from mentornet.methods.selection import DIVIDE_TWICE, KEEP_SCHEDULE, SelectingMethod, smallest


class SmallLoss(SelectingMethod):
    """Mean cross-entropy of the smallest losses of the global batch.

    Arguments as ``SelectingMethod``.
    """

    OPTIONS = (KEEP_SCHEDULE, DIVIDE_TWICE)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            logits = tf.cast(self.student(batch["image"], training=True), tf.float32)
            losses = self.task.losses(batch["label"], logits)
            everyone = gather(losses)
            chosen = smallest(everyone, self.kept(tf.shape(everyone)[0]))
            objective = self.chosen_mean(losses, chosen) + self.decay_term()
        self.descend(tape, objective)
        return self.finish(batch, [logits], [losses], [chosen])
