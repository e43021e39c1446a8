"""A step whose gradient is clipped before the weight decay is added to it, as PyTorch's optimisers add it (L2B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mentornet.methods.meta_gradient import with_decay
from mentornet.methods.replicas import replicas


def scaled(optimizer: Any, objective: tf.Tensor) -> tf.Tensor:
    """The objective times the loss scale, if the optimiser has one; to be called under the tape."""
    found: tf.Tensor = optimizer.get_scaled_loss(objective) if hasattr(optimizer, "get_scaled_loss") else objective
    return found


def clipped_step(
    tape: tf.GradientTape,
    objective: tf.Tensor,
    optimizer: Any,
    variables: Sequence[tf.Variable],
    *,
    clip_norm: float | None,
    weight_decay: float,
    decayed: Sequence[tf.Variable],
) -> None:
    """Sums the replicas' gradients, clips their global norm, adds the decay, and lets the optimiser step.

    Args:
        tape: has seen the objective.
        objective: this replica's share, see ``scaled``.
        optimizer: of the variables.
        variables: what it moves.
        clip_norm: largest global L2 norm; None: no limit.
        weight_decay: times each of ``decayed`` is added.
        decayed: some of the variables.
    """
    gradients = tape.gradient(objective, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    if hasattr(optimizer, "get_unscaled_gradients"):
        gradients = optimizer.get_unscaled_gradients(gradients)
    if replicas() > 1:
        gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    if clip_norm is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
    gradients = with_decay(gradients, variables, decayed, weight_decay)
    optimizer.apply_gradients(zip(gradients, variables, strict=True), skip_gradients_aggregation=True)
