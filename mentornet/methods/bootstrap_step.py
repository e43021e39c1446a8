"""L2B's step as a second one inside a semi-supervised method (L2B, CVPR 2024, section 4; its code with DivideMix).

After each step on mixed samples the same optimiser makes another one on the same samples, not mixed, whose targets are
soft: f_i is the cross-entropy against the sharpened target, g_i that against the student's own most probable class.
Their weights are products with a clean gradient, rectified and normalised over all 2n numbers as in eq. 9. The clean
gradient is taken where momentum and decay alone would lead; the norm of the step's gradient is clipped, then decay is
added, for the second time in an iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.base import Batch
from mentornet.methods.clipped_step import clipped_step, scaled
from mentornet.methods.meta_step import MetaStep
from mentornet.methods.mixing import cross_entropies
from mentornet.methods.replicas import total
from mentornet.methods.weights import normalised
from mentornet.students import Student


class BootstrapStep:
    """One step of a student on weighted targets and predictions.

    Args:
        student: gives the student, with its optimiser once there is one.
        network: its network.
        clip_norm: largest global norm of the gradient; None: no limit. 0.8 in the code with DivideMix and C2D.
        weight_decay: its factor.
        decayed: gives the variables that decay.
        **settings: of the ``MetaStep``.
    """

    def __init__(
        self,
        student: Callable[[], Student],
        network: keras.Model,
        *,
        clip_norm: float | None,
        weight_decay: float,
        decayed: Callable[[], list[tf.Variable]],
        **settings: Any,
    ):
        self._student, self._clip_norm, self._weight_decay, self._decayed = student, clip_norm, weight_decay, decayed
        shared: dict[str, Any] = {"lookahead": "momentum", "weight_decay": weight_decay, "decayed": decayed}
        self._meta, self._network = MetaStep(student, network, **shared | settings), network

    def compiled(self, variables: list[tf.Variable]) -> None:
        """To be called when the student has its optimiser; see ``MetaStep.compiled``.

        Only the network's own variables move in this step, whatever else is among these.
        """
        self._meta.compiled(variables)

    def __call__(self, batch: Batch, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Moves the student once. Returns this replica's share of the weighted loss.

        Args:
            batch: holds "clean_image" float32 [m, h, w, c] and "clean_label" int32 [m].
            images: float32 [n, h, w, c], not mixed.
            targets: distributions float32 [n, C].

        Raises:
            ValueError: the batch has no clean part.
        """
        optimizer, direction = self._student().optimizer, self._meta.direction(batch)
        with tf.GradientTape() as tape:
            logits, products = self._meta.logits_and_products(images, lambda z: with_predictions(targets, z), direction)
            losses = cross_entropies(tf.stop_gradient(with_predictions(targets, logits)), logits)
            raw = tf.nn.relu(products)
            weights = tf.stop_gradient(normalised(raw, total(tf.reduce_sum(raw))))
            objective = tf.reduce_sum(weights * losses)
            descended = scaled(optimizer, objective)
        clipped_step(
            tape,
            descended,
            optimizer,
            self._network.trainable_variables,
            clip_norm=self._clip_norm,
            weight_decay=self._weight_decay,
            decayed=self._decayed(),
        )
        return objective


def with_predictions(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The targets and the most probable classes as distributions: float32 [2, n, C]."""
    return tf.stack([targets, tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1])])
