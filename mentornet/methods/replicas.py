"""The global batch seen from one replica: N replicas with b/N samples must do what one device does with b."""

from __future__ import annotations

import tensorflow as tf


def replicas() -> int:
    """Number of replicas that take one synchronous step together; 1 outside a distribution strategy."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def gather(values: tf.Tensor) -> tf.Tensor:
    """Per-sample values [b/N, ...] of this replica -> those of the global batch [b, ...], in replica order."""
    if replicas() == 1:
        return values
    return tf.distribute.get_replica_context().all_gather(values, axis=0)


def own_part(global_values: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """The rows of a gathered tensor that belong to this replica; ``own`` has as many rows."""
    if replicas() == 1:
        return global_values
    size = tf.shape(own)[0]
    position = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
    return global_values[position * size : (position + 1) * size]


def mirrored_variable(value: tf.Tensor, name: str) -> tf.Variable:
    """A non-trainable state that every replica computes alike.

    Without an explicit aggregation replicas drift apart silently; the first one's value is everyone's.
    """
    return tf.Variable(value, trainable=False, name=name, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
