"""`inception`: the small Inception of Zhang et al. 2017 that MentorNet calls inception (table 1: 1.7 M
parameters).

1,649,402 parameters at 10 classes, 1,679,732 at 100. What the authors' release calls inception is another
network, `cifarnet`.
"""

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import LayerFactory, Symbolic

# Two numbers: channels of the 1x1 and of the 3x3 convolution side by side. One: of a downsampling module.
MODULES: tuple[tuple[int, ...], ...] = (
    (32, 32), (32, 48), (80,), (112, 48), (96, 64), (80, 80), (48, 96), (96,), (176, 160), (176, 160),
)  # fmt: skip


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    conv_bias: bool = False,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Every convolution is followed by batch norm without scale (decay 0.9, epsilon 0.001) and ReLU; dropout is
    in front of the last dense layer.

    Options:
        conv_bias: False: the batch norm has a learned shift and the convolution no bias, as in TF-Slim. True:
            the other way round, which has as many parameters; the bias then never matters, because the batch
            norm removes it.
    """
    norm_options = building.BatchNormOptions(0.9, 1e-3, scale=False, shift=not conv_bias)
    layers = LayerFactory(
        seed,
        kernel=initialisation.glorot_uniform,
        batch_norm=norm_options.replaced(batch_norm),
    )

    def conv(x: Symbolic, filters: int, size: int, layer_name: str, strides: int = 1) -> Symbolic:
        x = layers.conv(x, filters, size, layer_name, strides=strides, use_bias=conv_bias)
        return layers.norm_activation(x, layer_name)

    image = building.image_input(input_shape)
    x = conv(image, 96, 3, "stem")
    for number, channels in enumerate(MODULES, start=1):
        module = f"module{number}"
        if len(channels) == 2:
            branches = [conv(x, channels[0], 1, f"{module}_1x1"), conv(x, channels[1], 3, f"{module}_3x3")]
        else:
            pool = keras.layers.MaxPooling2D(3, strides=2, padding="same", name=f"{module}_pool")
            branches = [conv(x, channels[0], 3, f"{module}_3x3", strides=2), pool(x)]
        x = keras.layers.Concatenate(name=module)(branches)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    return keras.Model(image, layers.logits(x, num_classes), name=name)
