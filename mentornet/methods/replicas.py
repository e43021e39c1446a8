"""The global batch seen from one replica: N replicas with b/N samples must do what one device does with b.

States come in two kinds. What every replica computes alike from the global batch (the moving percentile, the step, v
per sample) is a `mirrored_variable`: each replica has its own copy and writes it itself, without communication. What
replicas contribute a part to (sums over samples) is a `summed_variable`: the copies add up when it is read.
Under a parameter server there is one replica a step and one copy of everything, on the server; `add_to_rows` and
`set_rows` are single operations there, so concurrent workers lose nothing.
"""

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
    # Gathering goes by a tensor's device, which those straight from the input don't have.
    return tf.distribute.get_replica_context().all_gather(tf.identity(values), axis=0)


def total(values: tf.Tensor) -> tf.Tensor:
    """The sum of every replica's values, elementwise."""
    if replicas() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def own_part(global_values: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """The rows of a gathered tensor that belong to this replica; ``own`` has as many rows."""
    if replicas() == 1:
        return global_values
    size = tf.shape(own)[0]
    position = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
    return global_values[position * size : (position + 1) * size]


def mirrored_variable(value: tf.Tensor, name: str) -> tf.Variable:
    """A non-trainable state that every replica computes alike, from gathered values only.

    Without an explicit aggregation replicas drift apart silently; the first one's value is everyone's when the state
    is read from outside a step or saved.
    """
    return tf.Variable(
        value,
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def summed_variable(value: tf.Tensor, name: str) -> tf.Variable:
    """A non-trainable state that replicas add their own samples' parts to."""
    return tf.Variable(
        value,
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )


def add_to_rows(table: tf.Variable, index: tf.Tensor, values: tf.Tensor) -> None:
    """table[index[i]] += values[i], for index int [b]."""
    if isinstance(table, tf.distribute.DistributedValues):  # copies of replicas have no scatter operations
        table.assign_add(tf.scatter_nd(index[:, tf.newaxis], values, tf.shape(table)))
    else:
        table.scatter_add(tf.IndexedSlices(values, index))


def set_rows(table: tf.Variable, index: tf.Tensor, values: tf.Tensor) -> None:
    """table[index[i]] = values[i], for index int [b] without repetitions."""
    if isinstance(table, tf.distribute.DistributedValues):
        table.assign(tf.tensor_scatter_nd_update(table, index[:, tf.newaxis], values))
    else:
        table.scatter_update(tf.IndexedSlices(values, index))
