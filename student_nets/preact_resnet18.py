"""`preact_resnet18`: the pre-activation ResNet-18 for small images of L2B and of DivideMix (11.2 M
parameters).

A 3x3 convolution of 64 channels; four stages of two units with 64, 128, 256 and 512 channels; no BN-ReLU
behind the last unit; average pooling (over the whole 4x4 map of a 32x32 image). The two papers' codes differ;
see `variant`. PyTorch's initial weights and batch norm (decay 0.9, epsilon 1e-5).
"""

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import Symbolic

WIDTHS = (64, 128, 256, 512)
VARIANTS = ("dividemix", "l2b")


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    variant: str = "l2b",
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout, if any, is in front of the last dense layer. Shortcuts that change shape are 1x1 convolutions of
    the activated input in both variants.

    Options:
        variant: "l2b": no BN-ReLU behind the stem; an identity shortcut carries the unit's input.
            "dividemix": BN-ReLU behind the stem; an identity shortcut carries the activated input.

    Raises:
        ValueError: unknown variant.
    """
    building.check_choice(name, "variant", variant, VARIANTS)
    layers = building.LayerFactory(
        seed,
        kernel=initialisation.inverse_root_uniform,
        bias=initialisation.inverse_root_uniform,
        batch_norm=building.BatchNormOptions(momentum=0.9, epsilon=1e-5).replaced(batch_norm),
    )

    def unit(x: Symbolic, filters: int, strides: int, unit_name: str, *, stage: int, index: int) -> Symbolic:
        carry_activated = variant == "dividemix" or building.changes_shape(x, filters, strides)
        return building.preactivation_unit(
            layers, x, filters, strides, unit_name, carry_activated=carry_activated, projection=True
        )

    image = building.image_input(input_shape)
    x = layers.conv(image, WIDTHS[0], 3, "stem")
    if variant == "dividemix":
        x = layers.norm_activation(x, "stem")
    x = building.residual_stages(x, unit, WIDTHS, units=2)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    return keras.Model(image, layers.logits(x, num_classes), name=name)
