"""Hard example mining: only the samples with the largest losses of the batch count (L2RW, section 4.1).

The released L2RW code means to do this but ranks a constant, so that it keeps the first samples; this is the real
top-k. (As a curriculum against a moving percentile, see ``mentornet.curricula``: hard_example_mining.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.inspection import num_classes, random_layer
from mentornet.methods.base import Batch, Weighting
from mentornet.methods.replicas import gather, own_part, replicas
from mentornet.methods.standard import Standard
from mentornet.options import Option, RunFacts


class HardMining(Standard):
    """Mean cross-entropy of the hardest samples of the global batch.

    Args:
        student: any Keras model, images -> logits.
        kept_share: k / b in (0, 1]; exactly max(1, round(kept_share b)) samples are kept, the earlier of two alike.
            Not used with ``positive_label``.
        positive_label: keep every sample of this class, and of the others the k hardest, k = max(1, number of
            positives): the two-class setting of L2RW with a rare positive class.
        choose_first: choose in a pass of its own, then train on the chosen samples alone. The update is the same and
            takes less than half as long if few are kept; how many is known while training only, so XLA can't compile
            it. For students whose outputs don't depend on the rest of the batch.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a share outside (0, 1], a label that is no class, or ``choose_first`` with a student that has batch
            norm or dropout.
    """

    OPTIONS = (
        Option("kept_share", 0.5, "share of each batch that is kept", within="(0, 1]"),
        Option(
            "positive_label",
            None,
            "keep all of this class and as many of the hardest others",
            kind=int,
            within="[0, inf)",
            source="L2RW sec. 4.1",
        ),
    )
    largest_weight = 16.0

    def __init__(
        self,
        student: keras.Model,
        *,
        kept_share: float = 0.5,
        positive_label: int | None = None,
        choose_first: bool = False,
        **shared: Any,
    ):
        super().__init__(student, **shared)
        if not 0.0 < kept_share <= 1.0:
            raise ValueError(f"kept_share={kept_share:g} must lie in (0, 1]")
        if positive_label is not None and not 0 <= positive_label < num_classes(student):
            raise ValueError(f"positive_label={positive_label}, but the classes are 0 to {num_classes(student) - 1}")
        if choose_first and (student.non_trainable_variables or random_layer(student) is not None):
            raise ValueError(
                f"choose_first runs chosen samples alone, but the outputs of {student.name!r} depend on the batch or "
                "on earlier calls (batch norm, dropout): leave it out"
            )
        self._kept_share, self._positive = float(kept_share), positive_label
        self._choose_first = choose_first

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        if options.get("kept_share") is not None and options.get("positive_label") is not None:
            raise ValueError("--kept_share and --positive_label both say how many samples are kept: give one of them")

    def train_step(self, batch: Batch) -> dict[str, Any]:
        if not self._choose_first:
            return super().train_step(batch)
        image, label = batch["image"], batch["label"]
        logits = self.student(image, training=True)
        losses = self.sample_losses(label, logits)
        weighting = self.weigh(losses, label)
        kept = tf.where(weighting.weights > 0)[:, 0]
        with tf.GradientTape() as tape:
            again = self.sample_losses(tf.gather(label, kept), self.student(tf.gather(image, kept), training=True))
            size = tf.cast(tf.shape(losses)[0] * replicas(), tf.float32)
            objective = tf.reduce_sum(tf.gather(weighting.weights, kept) * again) / size + self.decay_term()
        self.descend(tape, objective)
        return self.finish_step(batch, logits, losses, weighting)

    def weigh(self, losses: tf.Tensor, label: tf.Tensor) -> Weighting:
        everyone = gather(losses)
        size = tf.cast(tf.shape(everyone)[0], tf.float32)
        if self._positive is None:
            kept = self._hardest(everyone, tf.maximum(1.0, tf.round(self._kept_share * size)))
        else:
            positive = tf.equal(gather(label), self._positive)
            count = tf.reduce_sum(tf.cast(positive, tf.float32))
            others = tf.where(positive, -1.0, everyone)  # a cross-entropy is not negative, so these come last
            kept = tf.logical_or(positive, self._hardest(others, tf.maximum(1.0, count)))
        chosen = tf.cast(kept, tf.float32)
        weights = chosen * size / tf.reduce_sum(chosen)  # a mean over the kept ones
        own = own_part(weights, losses)
        return Weighting(own, own, 1.0 - tf.reduce_mean(chosen))

    @staticmethod
    def _hardest(losses: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        order = tf.argsort(losses, direction="DESCENDING", stable=True)
        rank = tf.argsort(order, stable=True)
        return tf.cast(rank, tf.float32) < count
