"""`s2e_model3`: the nine-layer network of Co-teaching (NeurIPS 2018, table 2), "model 3" of S2E (ICML 2020, figure 1d).

Nine 3x3 convolutions with bias, BN and leaky ReLU 0.01: three of 128 channels, three of 256, then 512, 256 and 128
without padding; behind the first two triples a 2x2 max pool and dropout 0.25; average over what is left of the
picture (2x2 of 32x32), dense. PyTorch's initial weights and batch norm (decay 0.9, epsilon 1e-5). 4,434,570 trainable
parameters at 10 classes and three input channels.

In the authors' code the dropout is of whole channels and, by a slip, also at work when the network is tested. Here it
is of elements and in training only; whole channels are an option, noise at test time is not.
"""

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation

# Three convolutions a stage; the first two stages keep the picture's size, and a pool and dropout follow them.
PADDED_STAGES = ((128, 128, 128), (256, 256, 256))
LAST_STAGE = (512, 256, 128)


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    whole_channels: bool = False,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout is behind both pools.

    Options:
        whole_channels: whether dropout takes whole channels of an image, as the authors' code does, rather than
            single elements.
    """
    layers = building.LayerFactory(
        seed,
        kernel=initialisation.inverse_root_uniform,
        bias=initialisation.inverse_root_uniform,
        batch_norm=building.BatchNormOptions(momentum=0.9, epsilon=1e-5).replaced(batch_norm),
        leakiness=0.01,
    )
    image = building.image_input(input_shape)
    x = image
    for stage, widths in enumerate((*PADDED_STAGES, LAST_STAGE), start=1):
        padded = stage <= len(PADDED_STAGES)
        for index, filters in enumerate(widths, start=1):
            layer = f"stage{stage}_conv{index}"
            x = layers.conv(x, filters, 3, layer, padding="same" if padded else "valid", use_bias=True)
            x = layers.norm_activation(x, layer)
        if padded:
            x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
            x = layers.dropout(x, dropout_keep_probability, f"stage{stage}_dropout", whole_channels=whole_channels)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.logits(x, num_classes), name=name)
