"""SimCLR: a student learns features without labels (Chen et al., ICML 2020), for C2D to start from.

Two views of every image go through the student and a projection head, and NT-Xent draws them together. The student's
own dense layer is a linear probe: it learns the given labels from the activation, but its gradient ends there. So the
features know no label, and the accuracy on the test images is that of a linear evaluation.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet import inspection
from mentornet.methods import mixing
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.contrastive import Projector, nt_xent
from mentornet.methods.replicas import total
from mentornet.options import Option
from mentornet.stages import GIVEN, Stage, Stream, Streams


class SimCLR(NoisyLabelMethod):
    """NT-Xent of two views, and a linear probe.

    Args:
        student: its logits come from a dense layer, whose input is projected.
        contrastive_temperature: T of the loss.
        projection_size: of what it compares.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a setting out of range, or a student without a dense layer before its logits.
    """

    OPTIONS = (
        Option("contrastive_temperature", 0.5, "temperature of the contrastive loss", within="(0, inf)"),
        Option("projection_size", 128, "numbers of a projection that is contrasted", within="[1, inf)"),
    )
    report_columns = ("contrastive_loss",)
    shown_loss = "contrastive_loss"
    VIEWS = ("simclr", "simclr")
    uses_labels = False  # but for the probe, whose gradient ends there

    def __init__(
        self,
        student: keras.Model,
        *,
        contrastive_temperature: float = 0.5,
        projection_size: int = 128,
        **shared: Any,
    ):
        super().__init__(student, **shared)
        if contrastive_temperature <= 0 or projection_size < 1:
            raise ValueError(
                f"contrastive_temperature={contrastive_temperature:g} must be above 0 and "
                f"projection_size={projection_size} at least 1"
            )
        self._temperature = float(contrastive_temperature)
        projector, probe = Projector(student, projection_size, self.seed, hidden=True), inspection.logits_layer(student)
        self.projection_head = projector.head
        self._parts = lambda: (projector, probe)  # hidden from Keras, which would store the student twice
        self.contrast = keras.metrics.Mean("contrastive_loss")

    def streams(self, stage: Stage) -> Streams:
        return {GIVEN: Stream(views=self.VIEWS)}

    def interval_statistics(self) -> list[keras.metrics.Metric]:
        return [*super().interval_statistics(), self.contrast]

    def report(self) -> dict[str, float]:
        return {"contrastive_loss": float(self.contrast.result())}

    def trained_variables(self, peer: int = 0) -> list[tf.Variable]:
        return [*super().trained_variables(peer), *self.projection_head.trainable_variables]

    def decayed_variables(self, network: keras.Model) -> list[tf.Variable]:
        return [*super().decayed_variables(network), *super().decayed_variables(self.projection_head)]

    def train_step(self, batch: Batch) -> dict[str, Any]:
        projector, probe = self._parts()
        with tf.GradientTape() as tape:
            projections, activations = projector(mixing.sample_rows(tf.unstack(batch["image"], axis=1)))
            contrast = nt_xent(projections[::2], projections[1::2], self._temperature)
            logits = tf.cast(probe(tf.stop_gradient(activations[::2])), tf.float32)
            losses = self.task.losses(batch["label"], logits)
            ones = tf.ones_like(losses)
            objective = contrast + self.weighted_mean(losses, ones) + self.decay_term()
        self.descend(tape, objective)
        self.contrast.update_state(total(contrast))
        return self.finish_step(batch, logits, losses, Weighting(ones, ones, tf.constant(0.0)))
