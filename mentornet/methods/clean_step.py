"""A supervised step on the clean batch behind a method's own, as L2B's released code has for segmentation.

It is not in the paper, and a part of what that code gains may be its: results with it are reported apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.base import Batch
from mentornet.methods.clipped_step import clipped_step, scaled
from mentornet.methods.replicas import replicas
from mentornet.options import Option
from mentornet.task import per_sample_cross_entropy

CLEAN_STEP = Option(
    "clean_step", False, "after each step one more, supervised, on the clean batch; in the released code, not the paper"
)


def take_clean_step(
    network: keras.Model,
    optimizer: Any,
    batch: Batch,
    *,
    clip_norm: float | None,
    weight_decay: float,
    decayed: Sequence[tf.Variable],
) -> None:
    """Moves the student by the mean loss of the clean batch; the learning rate's schedule does not count the step.

    Args:
        network: images -> logits.
        optimizer: of the network.
        batch: holds "clean_image" and "clean_label".
        clip_norm: see ``clipped_step``.
        weight_decay: likewise.
        decayed: likewise.
    """
    with tf.GradientTape() as tape:
        logits = network(batch["clean_image"], training=True)
        loss = tf.reduce_mean(per_sample_cross_entropy(batch["clean_label"], logits)) / replicas()
        descended = scaled(optimizer, loss)
    clipped_step(
        tape,
        descended,
        optimizer,
        network.trainable_variables,
        clip_norm=clip_norm,
        weight_decay=weight_decay,
        decayed=decayed,
    )
    getattr(optimizer, "inner_optimizer", optimizer).iterations.assign_sub(1)
