"""Contrastive learning: projections of a student's activation, and the loss that draws two views of an image together.

NT-Xent, the normalised temperature-scaled cross-entropy (SimCLR, Chen et al., ICML 2020, eq. 1). Any student whose
logits come from a dense layer has an activation to project; the head is a model of its own, so the student stays what
is saved and predicts.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from mentornet import inspection
from mentornet.inspection import StudentWithActivation
from mentornet.methods.replicas import gather, own_part, replicas


class Projector:
    """A student's pass up to its activation and through a projection head.

    Args:
        student: a functional or sequential Keras model with a dense layer before its logits.
        size: of a projection.
        seed: of the head's starting values.
        hidden: a layer with ReLU as wide as the activation comes first (SimCLR); else batch norm last (UniCon).

    Attributes:
        head: activation [b, a] -> [b, size], a Keras model.

    Raises:
        ValueError: the logits do not come from a dense layer.
    """

    def __init__(self, student: keras.Model, size: int, seed: int, *, hidden: bool = False):
        self._student = StudentWithActivation(student)
        activation = x = keras.Input([self._student.size])
        start = [keras.initializers.GlorotUniform(seed + number) for number in (0, 1)]
        if hidden:
            x = keras.layers.Dense(self._student.size, activation="relu", kernel_initializer=start[1], name="hidden")(x)
        x = keras.layers.Dense(size, kernel_initializer=start[0], name="projection")(x)
        if not hidden:
            together = any(getattr(layer, "synchronized", False) for layer in inspection.layers(student))
            x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=together, name="norm")(x)
        self.head = keras.Model(activation, x, name=f"{student.name}_projection")

    def __call__(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Projections float32 [b, size] and activations float32 [b, a] of images, in training mode."""
        _, activation = self._student(images, training=True)
        return tf.cast(self.head(activation, training=True), tf.float32), activation


def nt_xent(first: tf.Tensor, second: tf.Tensor, temperature: float) -> tf.Tensor:
    """The mean over both views of all images of -log(e^(s_ij / T) / sum_k e^(s_ik / T)), a scalar (eq. 1).

    s is the cosine of two projections, i and j are the views of an image, and k runs over all views but i.

    Args:
        first: float32 [b, d], of one view of this replica's images.
        second: of the other one.
        temperature: T, above 0.

    Returns:
        This replica's share of the mean over the global batch, whose views are all among the k.
    """
    own = tf.concat([tf.math.l2_normalize(view, axis=1, epsilon=1e-12) for view in (first, second)], axis=0)
    b = tf.shape(first)[0]
    every = tf.concat([gather(own[:b]), gather(own[b:])], axis=0)
    everywhere = b * replicas()
    place = own_part(tf.range(everywhere), first)
    itself, partner = tf.concat([place, place + everywhere], 0), tf.concat([place + everywhere, place], 0)
    likeness = tf.matmul(own, every, transpose_b=True) / temperature
    likeness -= 1e9 * tf.one_hot(itself, 2 * everywhere)  # nothing is compared with itself
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(partner, likeness)
    return tf.reduce_sum(losses) / tf.cast(2 * everywhere, tf.float32)


def copy_features(network: keras.Model, pretrained: keras.Model) -> None:
    """Copies all weights of a pre-trained student but those of the dense layer that makes its logits.

    Raises:
        ValueError: it is another network.
    """
    own, first = (_features(model) for model in (network, pretrained))
    if [variable.shape for variable in own] != [variable.shape for variable in first]:
        names = [f"{model.name} for images of {model.input_shape[1:]}" for model in (pretrained, network)]
        raise ValueError(
            "the pre-trained student is another network than --studentnet, or of other images: "
            f"{names[0]}, not {names[1]}"
        )
    for variable, start in zip(own, first, strict=True):
        variable.assign(tf.convert_to_tensor(start))


def _features(student: keras.Model) -> list[tf.Variable]:
    """The weights and averages before the last dense layer; counters of dropout calls are none."""
    head = {id(variable) for variable in inspection.logits_layer(student).variables}
    return [v for v in student.variables if v.dtype.is_floating and id(v) not in head]
