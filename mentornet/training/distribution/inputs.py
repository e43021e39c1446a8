"""Batches for the replicas of a strategy: every process reads its own part and divides it among its devices.

Training batches keep their order: replica j of N gets rows j b/N to (j+1) b/N of the global batch, so that gathering
from all replicas gives back the batch of a single device. Evaluation batches are filled up with rows of label -1, which
`test_step` does not count: all replicas then take the same number of equally large steps, as TPUs and collective
operations demand, and no sample is dropped.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.stages import Streams
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.inputs import StreamSource, TrainingInputs

EVALUATION_ROWS = 100
"""Samples of one evaluation batch of one replica."""

_PADDING_LABEL = -1
_ENDLESS = 2**40


def training_batches(
    distribution: Distribution, source: StreamSource, streams: Streams, start: int, steps: int, stage: int | None = None
) -> Any:
    """What ``fit`` takes: the batches of steps start to start + steps - 1, divided among the replicas.

    Asynchronous workers each read their own endless stream instead.

    Args:
        distribution: who shares a batch.
        source: makes the batches.
        streams: what they hold.
        start: the first step; counted in the stage if ``stage`` is given.
        steps: how many.
        stage: see ``StreamSource.dataset``.
    """
    if distribution.asynchronous:
        return _worker_streams(source, streams)
    batches = source.dataset(streams, start, steps, stage)
    if distribution.replicas == 1:
        return batches
    return _per_replica(distribution, batches)


def evaluation_batches(distribution: Distribution, inputs: TrainingInputs) -> tuple[Any, int | None]:
    """(what ``evaluate`` takes, its number of steps).

    Raises:
        ValueError: the inputs don't say how many samples the evaluation has.
    """
    if distribution.replicas == 1:
        return inputs.evaluation, None
    if inputs.evaluation_examples is None:
        raise ValueError("several replicas share an evaluation only if its number of samples is given")
    processes = distribution.input_shard[1]
    rows = EVALUATION_ROWS * distribution.replicas // processes
    share = -(-inputs.evaluation_examples // processes)
    steps = -(-share // rows)
    full = inputs.evaluation.rebatch(rows).map(lambda batch: _filled(batch, rows))
    nothing = inputs.evaluation.take(1).map(lambda batch: _filled({n: v[:0] for n, v in batch.items()}, rows))
    return _per_replica(distribution, full.concatenate(nothing.repeat()).take(steps)), steps


def _per_replica(distribution: Distribution, batches: tf.data.Dataset) -> Any:
    """The batches of this process as a distributed data set, whose consecutive elements go to consecutive replicas.

    Raises:
        ValueError: batches that the replicas can't share equally.
    """
    processes = distribution.input_shard[1]
    for name, spec in batches.element_spec.items():
        rows, replicas = (spec.shape[0] or 0) * processes, distribution.replicas
        if rows % replicas:
            raise ValueError(
                f"{rows} rows of {name!r} cannot be shared equally by {replicas} replicas: use a multiple of {replicas}"
            )

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        hosts = context.num_input_pipelines // processes  # more than one on a TPU pod, driven by one process
        here = distribution.replicas // context.num_input_pipelines
        first = context.input_pipeline_id % hosts * here if hosts > 1 else 0
        parts = hosts * here
        divided = batches.flat_map(lambda batch: _parts(batch, parts, first, here))
        return divided.prefetch(2 * here).with_options(_in_order())

    return distribution.strategy.distribute_datasets_from_function(of_host)


def _parts(batch: dict[str, tf.Tensor], parts: int, first: int, count: int) -> tf.data.Dataset:
    """``count`` of the ``parts`` equal parts of a batch, as elements."""

    def divided(values: tf.Tensor) -> tf.Tensor:
        rows = -1 if values.shape[0] is None else values.shape[0] // parts
        return tf.reshape(values, [parts, rows, *values.shape[1:]])[first : first + count]

    return tf.data.Dataset.from_tensor_slices({name: divided(values) for name, values in batch.items()})


def _filled(batch: dict[str, tf.Tensor], rows: int) -> dict[str, tf.Tensor]:
    """A batch of exactly ``rows`` rows: what is missing has zeros as pixels and a label that doesn't count."""
    missing = rows - tf.shape(batch["label"])[0]
    filled = {}
    for name, values in batch.items():
        padding = tf.concat([[[0, missing]], tf.zeros([values.shape.rank - 1, 2], tf.int32)], 0)
        constant = _PADDING_LABEL if name == "label" else tf.zeros([], values.dtype)
        filled[name] = tf.ensure_shape(tf.pad(values, padding, constant_values=constant), [rows, *values.shape[1:]])
    return filled


def _worker_streams(source: StreamSource, streams: Streams) -> keras.utils.experimental.DatasetCreator:
    """An endless stream for every asynchronous worker, made on the worker itself.

    A worker that starts, or starts again, draws from its clock where in the endless order it begins, far from others.
    """

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        del context  # says "pipeline 0 of 1" to every worker
        microseconds = tf.cast(tf.timestamp() * 1e6, tf.int64)
        first_step = tf.random.stateless_uniform([], [0, microseconds], 0, _ENDLESS, tf.int64)
        return source.dataset(streams, first_step, None).with_options(_in_order())

    return keras.utils.experimental.DatasetCreator(of_worker)


def _in_order() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # Processes and replicas take their own part themselves; TensorFlow must not divide it again.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    options.autotune.enabled = False  # see data/batching.py
    return options
