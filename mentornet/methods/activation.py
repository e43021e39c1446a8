"""The student's activation before its logits, an input of the preprint's fine-tuned MentorNets (v1, sec. 5).

It is what the last dense layer reads, so logits = activation @ kernel + bias. One pass through the student gives both;
in training mode the activation has the dropout that the logits have.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


class StudentWithActivation:
    """A student that answers with its activation beside its logits, in one pass and with its own layers.

    It is no part of whatever holds it: Keras and checkpoints do not see through this class, so that no weight is
    counted or stored twice.

    Args:
        student: a functional or sequential Keras model, images -> logits, with or without an auxiliary head.

    Attributes:
        size: a, the width of the activation.

    Raises:
        ValueError: the logits do not come from a dense layer.
    """

    def __init__(self, student: keras.Model):
        activation = _before_logits(student)
        self.size = int(activation.shape[-1])
        self._auxiliary = getattr(student, "has_auxiliary_head", False)
        self._model = keras.Model(student.inputs, [*student.outputs, activation], name=f"{student.name}_activation")

    def __call__(self, images: tf.Tensor, training: bool) -> tuple[Any, tf.Tensor]:
        """What the student itself returns for images [b, h, w, c], and its activation, float32 [b, a]."""
        *outputs, activation = self._model(images, training=training)
        answer = tuple(outputs) if self._auxiliary and training else outputs[0]
        return answer, tf.cast(activation, tf.float32)


def _before_logits(student: keras.Model) -> Any:
    """The symbolic input [b, a] of the dense layer that makes the logits; what follows it may only keep the shape."""
    outputs = getattr(student, "outputs", None) or [None]
    tensor, shape = outputs[0], getattr(outputs[0], "shape", None)
    while tensor is not None and tensor.shape == shape:
        node = tensor.node
        if isinstance(node.layer, keras.layers.Dense):
            before = node.keras_inputs[0]
            if len(before.shape) == 2:
                return before
        if len(node.keras_inputs) != 1 or node.is_input:
            break
        tensor = node.keras_inputs[0]
    raise ValueError(
        f"the logits of the student {student.name!r} do not come from a dense layer of a functional or sequential "
        "model, so it has no activation before them: use another student, or do without the activation"
    )
