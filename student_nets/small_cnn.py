"""`small_cnn`: three convolutions, for CPUs, demonstrations and tests; not from a paper.

Large enough to memorise wrong labels (without which there is nothing to show), small enough for thousands of
steps in seconds on 8x8 images and minutes on 32x32.
"""

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Convolutions of 32, 64 and 128 channels with batch norm (decay 0.9, epsilon 0.001) and ReLU, the first two
    pooled by 2; dropout, if any, is in front of the dense layer.
    """
    layers = building.LayerFactory(
        seed,
        kernel=initialisation.fan_out_normal,
        batch_norm=building.BatchNormOptions(momentum=0.9, epsilon=1e-3).replaced(batch_norm),
    )
    image = building.image_input(input_shape)
    x = image
    for number, filters in enumerate((32, 64, 128), start=1):
        x = layers.norm_activation(layers.conv(x, filters, 3, f"conv{number}"), f"conv{number}")
        if number < 3:
            x = keras.layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    logits = layers.logits(x, num_classes, kernel=initialisation.glorot_uniform)
    return keras.Model(image, logits, name=name)
