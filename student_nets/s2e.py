"""`s2e_mlp`, `s2e_model1`, `s2e_model2`: the small students of S2E (ICML 2020, section 4) and Co-teaching+.

S2E uses the MLP on MNIST, model 1 on CIFAR-10 and model 2 on CIFAR-100, with pixels in [0, 1]. PyTorch's
initial weights and batch norm (decay 0.9, epsilon 1e-5). Dropout, if any, is in front of the last dense
layer; S2E has none.
"""

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import LayerFactory, Symbolic

# The paper's table gives the last two as 196, 196; only 196, 16 fits the 256 inputs of its dense layer.
MODEL2_STAGES = ((64, 64), (128, 128), (196, 16))


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    network: str,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Options:
        batch_norm: of model 2, the only one with batch normalisation.
        network: "mlp", "model1" or "model2".
    """
    layers = LayerFactory(
        seed,
        kernel=initialisation.inverse_root_uniform,
        bias=initialisation.inverse_root_uniform,
        batch_norm=building.BatchNormOptions(momentum=0.9, epsilon=1e-5).replaced(batch_norm),
    )
    image = building.image_input(input_shape)
    x = _BODIES[network](layers, image)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    return keras.Model(image, layers.logits(x, num_classes), name=name)


def _mlp(layers: LayerFactory, x: Symbolic) -> Symbolic:
    """One hidden layer of 256."""
    x = keras.layers.Flatten(name="flatten")(x)
    return layers.activation(layers.dense(x, 256, "fc1"), "relu1")


def _model1(layers: LayerFactory, x: Symbolic) -> Symbolic:
    """Two 5x5 convolutions without padding (6, 16 channels), each pooled by 2; dense 120 and 84."""
    for number, filters in enumerate((6, 16), start=1):
        x = layers.conv(x, filters, 5, f"conv{number}", padding="valid", use_bias=True)
        x = keras.layers.MaxPooling2D(2, name=f"pool{number}")(layers.activation(x, f"relu{number}"))
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate((120, 84), start=3):
        x = layers.activation(layers.dense(x, units, f"fc{number}"), f"relu{number}")
    return x


def _model2(layers: LayerFactory, x: Symbolic) -> Symbolic:
    """Three pairs of 3x3 convolutions with bias, BN and ReLU, each pair pooled by 2."""
    for stage, widths in enumerate(MODEL2_STAGES, start=1):
        for index, filters in enumerate(widths, start=1):
            layer = f"stage{stage}_conv{index}"
            x = layers.norm_activation(layers.conv(x, filters, 3, layer, use_bias=True), layer)
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    return keras.layers.Flatten(name="flatten")(x)


_BODIES = {"mlp": _mlp, "model1": _model1, "model2": _model2}
