"""Steps on slices with masks: plain, L2RW and L2B of every pixel, and L2B with the five views of its pseudo labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

import student_nets
from data import mask_streams
from data.streams import TRAINING
from mentornet import methods
from mentornet.segmentation import Segmentation
from mentornet.stages import GIVEN, Stream
from student_nets.layers import BackgroundLogit

SIDE, EXAMPLES, CLEAN = 144, 200, 40
VARIANTS = ("l2rw_forward", "l2b_forward", "l2b_views")


def variants(student: str, seed: int = 0) -> dict[str, methods.NoisyLabelMethod]:
    """The plain step first, then what is compared with it; each on a student of its own."""

    def network() -> keras.Model:
        net = student_nets.get(student, 1, input_shape=(SIDE, SIDE, 1), seed=seed)
        return keras.Model(net.input, BackgroundLogit()(net.output), name=net.name)

    shared: dict[str, Any] = {"max_steps": 10_000, "num_examples": EXAMPLES, "weight_decay": 5e-4}
    task = Segmentation([0])
    return {
        "plain": methods.Standard(network(), task=task, **shared),
        "l2rw_forward": methods.L2RW(network(), task=task, **shared),
        "l2b_forward": methods.L2B(network(), task=task, clip_norm=0.2, **shared),
        "l2b_views": methods.L2B(network(), task=task, clip_norm=0.2, pseudo_label_views=5, **shared),
    }


def batches(batch: int, clean: bool) -> Iterator[dict[str, tf.Tensor]]:
    """Augmented slices as a training reads them; with ``clean``, as many clean ones beside each."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, SIDE, SIDE, 1), np.uint8)
    given, true = (rng.integers(0, 2, images.shape[:3], np.uint8) for _ in range(2))
    sources = {TRAINING: mask_streams.MaskSource(images, given, batch, true)}
    streams = {GIVEN: Stream()}
    if clean:
        sources["clean"] = mask_streams.MaskSource(images[:CLEAN], true[:CLEAN], batch)
        streams["clean"] = Stream(source="clean")
    how = mask_streams.augmentation("slices")
    return iter(mask_streams.MaskStreams(sources, seed=0, augmentation=how).dataset(streams))
