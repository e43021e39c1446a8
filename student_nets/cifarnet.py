"""`cifarnet`: TF-Slim's CifarNet, which the authors' release of MentorNet calls inception (1,756,426
parameters).

Two 5x5 convolutions of 64 channels with 2x2 max pooling and local response normalisation, dense layers of 384
and 192. The accuracies in the release's README for "inception" are this network's. Weights start truncated
normal (0.05, 0.04 and 1/192), dense biases at 0.1.
"""

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.layers import LocalResponseNormalization


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout is behind the first dense layer. The first convolution is pooled, then normalised; the second the
    other way round.
    """
    layers = building.LayerFactory(seed, kernel=initialisation.truncated_normal(0.05))
    kernel, bias = initialisation.truncated_normal(0.04), initialisation.constant(0.1)

    image = building.image_input(input_shape)
    x = layers.activation(layers.conv(image, 64, 5, "conv1", use_bias=True), "relu1")
    x = keras.layers.MaxPooling2D(2, name="pool1")(x)
    x = LocalResponseNormalization(name="norm1")(x)
    x = layers.activation(layers.conv(x, 64, 5, "conv2", use_bias=True), "relu2")
    x = LocalResponseNormalization(name="norm2")(x)
    x = keras.layers.MaxPooling2D(2, name="pool2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = layers.activation(layers.dense(x, 384, "fc3", kernel=kernel, bias=bias), "relu3")
    x = layers.dropout(x, dropout_keep_probability, "dropout3")
    x = layers.activation(layers.dense(x, 192, "fc4", kernel=kernel, bias=bias), "relu4")
    logits = layers.logits(x, num_classes, kernel=initialisation.truncated_normal(1 / 192))
    return keras.Model(image, logits, name=name)
