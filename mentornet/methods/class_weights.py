"""Weights that depend on the given label alone: by class size, or by how often the label is right (L2RW, section 4).

Three rules: "balanced" gives every class the same total weight; "share" is the released code's rule for two classes,
where a sample counts as much as the other classes are frequent; "precision" is the oracle WEIGHTED of table 2, where a
sample counts as much as its given label is right, normalised over the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.inspection import num_classes
from mentornet.methods.base import Weighting
from mentornet.methods.replicas import gather, own_part
from mentornet.methods.standard import Standard
from mentornet.methods.weights import normalised
from mentornet.options import Option, RunFacts

RULES = ("balanced", "share", "precision")


class ClassWeights(Standard):
    """Cross-entropy times a fixed weight of the sample's given class.

    Args:
        student: a Keras model with a known output shape, images -> logits.
        class_weights: one weight a class, not negative, not all 0; see ``class_weights``.
        normalise_batch: divide by the sum of the weights of the batch instead of by its size.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: another number of weights than classes, one that is negative or infinite, or only zeros.
    """

    OPTIONS = (
        Option(
            "class_weights_rule",
            "balanced",
            "balanced, share (released L2RW code), or precision (an oracle: how often the label is right)",
            choices=RULES,
        ),
    )
    largest_weight = 16.0

    def __init__(
        self, student: keras.Model, *, class_weights: Sequence[float], normalise_batch: bool = False, **shared: Any
    ):
        super().__init__(student, **shared)
        values = np.asarray(class_weights, np.float32)
        classes = num_classes(student)
        if values.shape != (classes,):
            raise ValueError(f"class weights {list(class_weights)} must be one for each of the {classes} classes")
        if not (np.all(np.isfinite(values)) and np.all(values >= 0) and np.any(values > 0)):
            raise ValueError(f"class weights {list(class_weights)} must be finite, not negative, and not all 0")
        self._class_weights, self._normalise = tf.constant(values), normalise_batch

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        if run.balanced and options.get("class_weights_rule") != "precision":
            raise ValueError(
                "--balanced_batches draws the classes equally often, and class weights by size weigh them as if it did "
                "not: use one of them"
            )

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        rule = options.get("class_weights_rule") or "balanced"
        is_clean = data.is_clean if rule == "precision" else None
        found = class_weights(rule, data.given, data.num_classes, is_clean)
        return {"class_weights": found, "normalise_batch": rule == "precision"}

    def weigh(self, losses: tf.Tensor, label: tf.Tensor) -> Weighting:
        weights = tf.gather(self._class_weights, gather(label))
        if self._normalise:
            size = tf.cast(tf.shape(weights)[0], tf.float32)
            weights = size * normalised(weights, tf.reduce_sum(weights))
        own = own_part(weights, losses)
        return Weighting(own, own, tf.constant(0.0))


def class_weights(
    rule: str, given: np.ndarray, num_classes: int, is_clean: np.ndarray | None = None
) -> tuple[float, ...]:
    """The weight of every class under a rule.

    Args:
        rule: one of ``RULES``.
        given: int [n], labels of the training set.
        num_classes: C.
        is_clean: bool [n], for "precision" only.

    Returns:
        C floats. A class without samples has weight 0.

    Raises:
        ValueError: an unknown rule, or "precision" without ``is_clean``.
    """
    counts = np.bincount(given, minlength=num_classes).astype(np.float64)
    present = counts > 0
    if rule == "balanced":
        values = len(given) / (present.sum() * np.maximum(counts, 1.0))
    elif rule == "share":
        values = 1.0 - counts / len(given)
    elif rule == "precision":
        if is_clean is None:
            raise ValueError("class weights by precision need the true labels, which this data set does not have")
        values = np.bincount(given, weights=is_clean, minlength=num_classes) / np.maximum(counts, 1.0)
    else:
        raise ValueError(f"rule={rule!r}: use one of {', '.join(RULES)}")
    return tuple(float(value) for value in np.where(present, values, 0.0))
