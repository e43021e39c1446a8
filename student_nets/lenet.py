"""`lenet`: the LeNet of L2RW's imbalanced MNIST (section 4.1), with one logit a class instead of a single
one.

Three 5x5 convolutions of 16, 32 and 64 channels, each followed by 3x3 max pooling with strides 2 and then
ReLU; a dense layer of 100. A 28x28 image arrives there as 4x4x64 = 1,024 numbers. Weights start truncated
normal with deviation 0.1, biases at 0.
"""

import tf_keras as keras

from student_nets import building, initialisation


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout, if any, is in front of the last dense layer.
    """
    layers = building.LayerFactory(seed, kernel=initialisation.truncated_normal(0.1))
    image = building.image_input(input_shape)
    x = image
    for number, filters in enumerate((16, 32, 64), start=1):
        x = layers.conv(x, filters, 5, f"conv{number}", use_bias=True)
        x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{number}")(x)
        x = layers.activation(x, f"relu{number}")
    x = keras.layers.Flatten(name="flatten")(x)
    x = layers.activation(layers.dense(x, 100, "fc4"), "relu4")
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    return keras.Model(image, layers.logits(x, num_classes), name=name)
