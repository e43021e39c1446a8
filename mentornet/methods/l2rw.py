"""L2RW: weights from the direction in which a small clean set improves (Ren et al., ICML 2018, alg. 1).

Per step: u_i = <g, grad f_i> with g the gradient of the mean loss of a clean batch; w_i = max(u_i, 0) / sum of all
(eqs. 7 to 9 and 12; the step sizes cancel); the loss is sum_i w_i f_i + weight decay. Where the released code differs
from the paper (its regularised clean loss), an argument says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods import meta_step
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.meta_step import MetaStep
from mentornet.methods.protocol import CLEAN_SET
from mentornet.methods.replicas import gather, own_part
from mentornet.methods.weights import normalised
from mentornet.options import Option, RunFacts, check_choice
from mentornet.task import per_sample_cross_entropy

ALL_ZERO = ("keep", "uniform")


class L2RW(NoisyLabelMethod):
    """Learning to reweight examples.

    Batches need "clean_image" float32 [m, h, w, c] and "clean_label" int32 [m] beside the noisy part. The weights that
    are reported are n w_i, so that their mean is 1, as in plain training.

    Args:
        student: any Keras model, images -> logits.
        all_zero: what happens when no sample of the batch points in the clean direction. "keep": all weights are 0 and
            the step consists of momentum and weight decay (paper and code). "uniform": a plain step.
        meta_gradient, lookahead, clean_decay: see ``MetaStep``.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a setting that is not among its choices.
    """

    NEEDS = frozenset({CLEAN_SET})
    OPTIONS = (
        *meta_step.options(lookahead="none"),
        Option(
            "all_zero",
            "keep",
            "when no weight is positive, keep them 0 or step plainly (uniform)",
            choices=ALL_ZERO,
            flag="all_zero_weights",
        ),
    )
    largest_weight = 16.0
    weighs_sites, weight_maps = True, "given"

    def __init__(
        self,
        student: keras.Model,
        *,
        all_zero: str = "keep",
        meta_gradient: str = "forward",
        lookahead: str = "none",
        clean_decay: bool = False,
        **shared: Any,
    ):
        super().__init__(student, **shared)
        check_choice("all_zero", all_zero, ALL_ZERO)
        self._uniform_when_zero = all_zero == "uniform"
        self._meta = MetaStep(
            lambda: self.students[0],
            self.student,
            meta_gradient=meta_gradient,
            lookahead=lookahead,
            clean_decay=clean_decay,
            weight_decay=self.weight_decay,
        )

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        meta_step.check_options(options, run, lookahead="none")

    def compile(self, optimizer: Any = "rmsprop", *arguments: Any, **options: Any) -> None:
        super().compile(optimizer, *arguments, **options)
        self._meta.compiled(self.trained_variables())

    def train_step(self, batch: Batch) -> dict[str, Any]:
        direction = self._meta.direction(batch)
        with tf.GradientTape() as tape:
            logits, products = self._meta.logits_and_products(
                batch["image"], lambda z: tf.one_hot(batch["label"], z.shape[-1])[tf.newaxis], direction
            )
            losses = per_sample_cross_entropy(batch["label"], logits)
            weights = self.weights(products[0])
            objective = self.weighted_mean(losses, weights) + self.decay_term()
        self.descend(tape, objective)
        return self.finish_step(batch, logits, losses, Weighting(weights, weights, tf.constant(0.0)))

    def weights(self, products: tf.Tensor) -> tf.Tensor:
        """Eqs. 8 and 9, times the entries of the global batch: products float32 [n, *sites] -> weights of mean 1 or 0.

        The normalisation is over the global batch. It makes products of any size to full weights, however well the
        clean batch is fitted; they are 0 only where no product is positive in float32.
        """
        everyone = tf.nn.relu(gather(products))
        size = tf.cast(tf.size(everyone), tf.float32)
        total = tf.reduce_sum(everyone)
        everyone = size * normalised(everyone, total)
        if self._uniform_when_zero:
            everyone = tf.where(tf.equal(total, 0.0), tf.ones_like(everyone), everyone)
        return own_part(everyone, products)
