"""Students with an auxiliary classifier on an inner layer (Szegedy et al. 2015, sec. 5; Inception-ResNet-v2).

The seam between student and method: in training mode such a student returns the pair (logits, auxiliary logits), else
logits alone, and says so by an attribute ``has_auxiliary_head``. A method that knows of it sets
``takes_auxiliary_head``; the others refuse such a student when they are built.
The second classifier's loss enters as in TF-Slim, times 0.4, and times the same weight v of the sample: a sample that
is thought to be wrong is wrong for both. Curricula, moving percentile and reports see the first loss only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

AUXILIARY_WEIGHT = 0.4


def student_outputs(outputs: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
    """What a student returned in training mode -> (logits [b, classes], auxiliary logits [b, classes] or None)."""
    if isinstance(outputs, (tuple, list)):
        logits, auxiliary = outputs
        return logits, auxiliary
    return outputs, None


def with_auxiliary_loss(
    losses: tf.Tensor, auxiliary: tf.Tensor | None, loss_of: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """The losses to descend on, float32 [b].

    Args:
        losses: of the student's own logits, [b].
        auxiliary: auxiliary logits [b, classes], or None.
        loss_of: logits [b, classes] -> losses [b].
    """
    return losses if auxiliary is None else losses + AUXILIARY_WEIGHT * loss_of(auxiliary)
