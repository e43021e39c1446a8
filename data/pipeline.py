"""All images of a set once and in order, for evaluation and for looking at the training set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import batching
from data.augmentation import AUGMENTATIONS, Augmentation, standardised

__all__ = ["AUGMENTATIONS", "Augmentation", "evaluation_batches"]


def evaluation_batches(
    images: npt.NDArray[np.uint8], labels: npt.ArrayLike, batch_size: int, augmentation: Augmentation
) -> tf.data.Dataset:
    """Returns all images once, in order, standardised but not augmented; the last batch may be smaller.

    Args:
      images: uint8 [n, h, w, c].
      labels: integers [n].
      batch_size: at least 1.
      augmentation: whose standardisation is applied.

    Returns:
      Batches of "image", "label" and "index".

    Raises:
      ValueError: arrays of different lengths, or a batch size below 1.
    """
    batching.refuse_empty_batches(batch_size)
    arrays = batching.images_on_host(images, label=np.asarray(labels, np.int32))
    n = len(images)

    def batch(start: tf.Tensor) -> dict[str, tf.Tensor]:
        stop = tf.minimum(start + batch_size, n)
        image = standardised(arrays["image"][start:stop], augmentation.standardise)
        return {
            "image": image,
            "label": arrays["label"][start:stop],
            "index": tf.range(tf.cast(start, tf.int32), tf.cast(stop, tf.int32)),
        }

    return batching.parallel(tf.data.Dataset.range(0, n, batch_size), batch)
