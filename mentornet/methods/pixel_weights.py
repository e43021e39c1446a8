"""Weight maps of masks at the end of a training: what a method with a meta step would give every pixel now.

The maps are for people. They are taken with the finished student, slices that are not augmented, and the gradient of
many clean slices at once, so they are less noisy than the weights of any one step; alpha and beta are as in L2B (CVPR
2024, eqs. 8 and 9), rectified and normalised over a batch, times its pixels.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods import meta_gradient
from mentornet.methods.l2b import label_pair
from mentornet.methods.weights import normalised

KINDS = ("given", "both")
_BATCH = 8
_CLEAN = 32


def weight_maps(
    student: keras.Model, images: np.ndarray, masks: np.ndarray, clean: tuple[np.ndarray, np.ndarray], kind: str
) -> np.ndarray:
    """Weights of the given class of every pixel and of the student's own; of "given" the second are 0.

    Args:
        student: trained, outside any strategy; it is left as it is.
        images: float32 [n, h, w, c], as the student takes them.
        masks: int [n, h, w], as given.
        clean: images float32 [m, h, w, c] and masks int [m, h, w] that are right.
        kind: "given" (L2RW) or "both" (L2B).

    Returns:
        float32 [2, n, h, w], 1 on average over a batch of slices.
    """
    if kind not in KINDS:
        raise ValueError(f"weight maps are of {' or '.join(KINDS)}, not {kind!r}")
    rows = 2 if kind == "both" else 1

    @tf.function(reduce_retracing=True)
    def clean_gradient(image: tf.Tensor, mask: tf.Tensor) -> list[tf.Tensor]:
        return meta_gradient.clean_gradient(student, image, mask)

    @tf.function(reduce_retracing=True)
    def maps(image: tf.Tensor, mask: tf.Tensor, direction: list[tf.Tensor]) -> tf.Tensor:
        with meta_gradient.untouched(student, counters=True):
            logits, derivative = meta_gradient.logits_along(student, image, direction)
        products = tf.nn.relu(meta_gradient.target_products(logits, derivative, label_pair(mask, logits)[:rows]))
        return normalised(products, tf.reduce_sum(products)) * tf.cast(tf.size(mask), tf.float32)

    chosen = _mixed_order(len(clean[0]))[:_CLEAN]
    parts = [clean_gradient(clean[0][part], clean[1][part]) for part in np.array_split(chosen, -(-len(chosen) // 16))]
    direction = [tf.add_n(gradients) / len(parts) for gradients in zip(*parts, strict=True)]
    found = np.zeros((2, *masks.shape), np.float32)
    # Batch norm sees slices of many cases together, as in training.
    for part in np.array_split(_mixed_order(len(images)), -(-len(images) // _BATCH)):
        found[:rows, part] = maps(images[part], masks[part].astype(np.int32), direction).numpy()
    return found


def _mixed_order(count: int) -> np.ndarray:
    """A fixed order of ``count`` slices without neighbours beside each other."""
    return np.random.default_rng(0).permutation(count)
