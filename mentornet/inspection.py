"""Looking into a student: its kernels, classes, layers that draw or average, its activation before the logits.

Students are any Keras models, images -> logits. Two things are agreed between them and the methods:

- *Auxiliary classifier* (Szegedy et al. 2015, sec. 5; Inception-ResNet-v2). In training mode such a student returns the
  pair (logits, auxiliary logits), else logits alone, and says so by an attribute ``has_auxiliary_head``. Its loss
  enters as in TF-Slim, times 0.4, and times the same weight of the sample: one that is thought to be wrong is wrong for
  both.
- *Activation before the logits*, an input of the preprint's fine-tuned MentorNets (v1, sec. 5): what the last dense
  layer reads, so logits = activation @ kernel + bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
import tf_keras as keras

AUXILIARY_WEIGHT = 0.4
DECAYS = ("all", "kernels")


def kernels(student: keras.Model) -> list[tf.Variable]:
    """The variables weight decay applies to: convolution and dense kernels, no biases, no batch norm."""
    return [v for v in student.trainable_variables if v.name.split("/")[-1].split(":")[0].endswith("kernel")]


def decayed(student: keras.Model, which: str) -> list[tf.Variable]:
    """The variables that decay, by one of ``DECAYS``."""
    return list(student.trainable_variables) if which == "all" else kernels(student)


def num_classes(student: keras.Model) -> int:
    """The classes C that a student tells apart, for methods that need to know before they see its outputs.

    Raises:
        ValueError: a student whose output shape is not known, such as a subclassed model.
    """
    try:
        shape = student.output_shape
        return int((shape[0] if isinstance(shape, list) else shape)[-1])  # the first of two: an auxiliary head follows
    except AttributeError:
        raise ValueError(
            f"the student {student.name!r} does not tell its output shape: build it from keras.Input, or wrap it in "
            "such a model"
        ) from None


def check_outputs(student: keras.Model, method: str, takes_auxiliary_head: bool) -> None:
    """Refuses a student whose outputs a method cannot use.

    Raises:
        ValueError: it ends in a softmax, or has an auxiliary head that the method does not train.
    """
    last = student.layers[-1] if getattr(student, "layers", None) else None
    softmax = isinstance(last, keras.layers.Softmax)
    if softmax or getattr(getattr(last, "activation", None), "__name__", "") == "softmax":
        raise ValueError(f"the student {student.name!r} ends in a softmax; methods need its logits: leave it out")
    if getattr(student, "has_auxiliary_head", False) and not takes_auxiliary_head:
        raise ValueError(
            f"{method} trains one classifier, but the student {student.name!r} has an auxiliary head: build it without"
        )


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


def layers(student: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers, those inside others too."""
    return (part for part in student.submodules if isinstance(part, keras.layers.Layer))


def random_layer(student: keras.Model) -> str | None:
    """The name of a layer that draws from Keras' own generator, differently in each pass; None if there is none.

    ``student_nets.layers.SeededDropout`` counts its draws in a variable instead, so that a pass can be repeated.
    """
    drawing = (keras.__internal__.layers.BaseRandomLayer,)
    return next((layer.name for layer in layers(student) if isinstance(layer, drawing)), None)


def batch_norms(student: keras.Model) -> list[Any]:
    """Its layers of ordinary batch normalisation."""
    kind = keras.layers.BatchNormalization
    return [layer for layer in layers(student) if isinstance(layer, kind) and not layer.renorm]


def unshareable(student: keras.Model) -> str | None:
    """The name of a float state that a pass in training mode may write other than as a moving average, or None."""
    averages = {id(v) for layer in batch_norms(student) for v in (layer.moving_mean, layer.moving_variance)}
    others = (v for v in student.non_trainable_variables if v.dtype.is_floating and id(v) not in averages)
    return next((v.name for v in others), None)


class StudentWithActivation:
    """A student that answers with its activation beside its logits, in one pass and with its own layers.

    In training mode the activation has the dropout that the logits have. It is no part of whatever holds it: Keras and
    checkpoints do not see through this class, so that no weight is counted or stored twice.

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
    return _logits_node(student).keras_inputs[0]


def logits_layer(student: keras.Model) -> keras.layers.Dense:
    """The dense layer that makes a student's logits.

    Raises:
        ValueError: they do not come from one.
    """
    layer: keras.layers.Dense = _logits_node(student).layer
    return layer


def _logits_node(student: keras.Model) -> Any:
    outputs = getattr(student, "outputs", None) or [None]
    tensor, shape = outputs[0], getattr(outputs[0], "shape", None)
    while tensor is not None and tensor.shape == shape:
        node = tensor.node
        if isinstance(node.layer, keras.layers.Dense):
            before = node.keras_inputs[0]
            if len(before.shape) == 2:
                return node
        if len(node.keras_inputs) != 1 or node.is_input:
            break
        tensor = node.keras_inputs[0]
    raise ValueError(
        f"the logits of the student {student.name!r} do not come from a dense layer of a functional or sequential "
        "model, so it has no activation before them: use another student, or do without the activation"
    )
