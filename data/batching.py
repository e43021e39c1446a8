"""What batches in memory and batches from the disk have in common: checks, labels on the host, order of delivery."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf


def on_host(count: int, **values: npt.ArrayLike) -> dict[str, tf.Tensor]:
    """Returns arrays with one value an image as tensors in main memory, whatever devices there are.

    Raises:
      ValueError: an array of another shape than [count].
    """
    arrays = {name: np.asarray(value) for name, value in values.items()}
    for name, array in arrays.items():
        if array.shape != (count,):
            raise ValueError(f"There are {count} images, but {name} has the shape {array.shape}.")
    with tf.device("CPU:0"):
        return {name: tf.constant(array) for name, array in arrays.items()}


def refuse_empty_batches(batch_size: int) -> None:
    """Raises ValueError if there is less than one image in a batch."""
    if batch_size < 1:
        raise ValueError(f"The batch size is {batch_size}, but it has to be at least 1.")


def in_order(batches: tf.data.Dataset, ahead: int) -> tf.data.Dataset:
    """Returns the data set with so many batches made ahead of their use, in their order, whole on every worker."""
    options = tf.data.Options()
    options.deterministic = True
    # Workers take their own part of each batch themselves; TensorFlow must not divide it again.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # The thread that tunes sleeps twice as long every time, up to a minute, and may miss that its iterator ends
    # (TensorFlow 2.21 wakes it before it sets the flag): every evaluation interval would then wait for it.
    options.autotune.enabled = False
    return batches.prefetch(ahead).with_options(options)
