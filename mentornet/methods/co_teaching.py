"""Co-teaching: two networks that choose the samples for each other (Han et al., NeurIPS 2018, alg. 1).

Each selects the R(t) n smallest losses of a batch of n, and is trained on what the other one selected. Both look at the
batch before either is updated, in training mode, as in the released code.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mentornet.methods.base import Batch
from mentornet.methods.replicas import gather
from mentornet.methods.selection import DIVIDE_TWICE, KEEP_SCHEDULE, SelectingMethod, smallest
from mentornet.options import Option


class CoTeaching(SelectingMethod):
    """Mean cross-entropy of the samples that the peer finds easiest.

    Args:
        student: the first network, which the second is built after with other starting values; or a list of both.
        **options: see ``SelectingMethod``.
    """

    peers = 2
    OPTIONS: tuple[Option, ...] = (KEEP_SCHEDULE, DIVIDE_TWICE)
    RELEASE = (("adam_beta1_after_decay", 0.1),)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        with tf.GradientTape() as first, tf.GradientTape() as second:
            logits = [tf.cast(network(batch["image"], training=True), tf.float32) for network in self.networks]
            losses = [self.ranked_losses(batch["label"], answered) for answered in logits]
            chosen, whole = self.exchanged(logits, losses)
            objectives = [
                self.chosen_mean(loss, mask, whole) + self.decay_term(network=network)
                for loss, mask, network in zip(losses, chosen, self.networks, strict=True)
            ]
        self.descend(first, objectives[0], peer=0)
        self.descend(second, objectives[1], peer=1)
        return self.finish(batch, logits, [self.task.losses(batch["label"], answered) for answered in logits], chosen)

    def ranked_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The losses that are ranked and descended on, float32 [b], of labels [b] and logits [b, C]."""
        return self.task.losses(label, logits)

    def exchanged(self, logits: list[tf.Tensor], losses: list[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor | bool]:
        """What each network is trained on: the other one's small losses.

        Args:
            logits: float32 [b, C] of each network, of this replica.
            losses: float32 [b] of each, likewise.

        Returns:
            For each, float32 [n] over the global batch, and whether that is all of it because nothing was selected.
        """
        del logits
        everyone = [gather(loss) for loss in losses]
        count = self.kept(tf.shape(everyone[0])[0])
        return [smallest(everyone[1], count), smallest(everyone[0], count)], False
