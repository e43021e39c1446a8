"""What batches in memory and batches from the disk have in common: checks, labels on the host, order of delivery."""

from __future__ import annotations

import os
from collections.abc import Callable

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


def images_on_host(images: npt.NDArray[np.uint8], **others: npt.ArrayLike) -> dict[str, tf.Tensor]:
    """Returns images, as "image", and arrays with one value each as tensors in main memory.

    Raises:
      ValueError: other than uint8 images [n, h, w, c], or arrays that do not belong to them.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"Images are uint8 [n, h, w, c], but these are {images.dtype} of shape {images.shape}.")
    with tf.device("CPU:0"):
        return {"image": tf.constant(images), **on_host(len(images), **others)}


def refuse_empty_batches(batch_size: int) -> None:
    """Raises ValueError if there is less than one image in a batch."""
    if batch_size < 1:
        raise ValueError(f"The batch size is {batch_size}, but it has to be at least 1.")


def parallel(starts: tf.data.Dataset, make: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> tf.data.Dataset:
    """Returns what is made of each start, ahead of its use and on several threads, in order."""
    made = starts.map(make, num_parallel_calls=min(16, os.cpu_count() or 1), deterministic=True)
    return in_order(made, ahead=2)


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
