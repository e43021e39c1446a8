"""Mix-up: training on convex combinations of two samples (Zhang et al., ICLR 2018; a baseline of L2B).

x = lambda x_i + (1 - lambda) x_j and the loss lambda f(x, y_i) + (1 - lambda) f(x, y_j), with lambda ~ Beta(a, a), one
a step, and j a random order of the batch. Masks mix like labels, pixel by pixel.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods import mixing
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.replicas import gather, own_part
from mentornet.options import Option


class Mixup(NoisyLabelMethod):
    """Cross-entropy of mixed samples plus weight decay.

    Args:
        student: any Keras model, images -> logits.
        mixup_alpha: a of the Beta distribution; L2B's code has 32, which mixes almost half and half.
        **shared: see ``NoisyLabelMethod``.
    """

    OPTIONS = (
        Option(
            "mixup_alpha",
            32.0,
            "a of lambda ~ Beta(a, a), the share of a sample in a mixed one",
            within="(0, inf)",
            flag="mixup_shape",
        ),
    )
    weighs_sites = True

    def __init__(self, student: keras.Model, *, mixup_alpha: float = 32.0, **shared: Any):
        super().__init__(student, **shared)
        if mixup_alpha <= 0:
            raise ValueError(f"mixup_alpha={mixup_alpha:g} must be above 0")
        self._alpha = float(mixup_alpha)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        everyone = gather(batch["label"])
        order = mixing.permutation(tf.shape(everyone)[0], self.seed, self.step)
        share = mixing.mixing_weight(self._alpha, self.seed, self.step)
        partners = own_part(order, batch["label"])
        image = mixing.mixed(batch["image"], tf.gather(gather(batch["image"]), partners), share)
        other = tf.gather(everyone, partners)
        with tf.GradientTape() as tape:
            logits = self.student(image, training=True)
            losses = self.task.losses(batch["label"], logits)
            descended = mixing.mixed(losses, self.task.losses(other, logits), share)
            weights = tf.ones_like(losses)
            objective = self.weighted_mean(descended, weights) + self.decay_term()
        self.descend(tape, objective)
        return self.finish_step(batch, logits, losses, Weighting(weights, weights, tf.constant(0.0)))
