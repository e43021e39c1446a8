"""`resnet8`, `resnet20`, `resnet32`, `resnet32_l2rw`: the narrow ResNets for CIFAR (He et al. 2016, section
4.2), in four constructions.

A 3x3 convolution of 16 channels and three stages of basic units with 16, 32 and 64 channels. ResNet-32 (five
units a stage) is L2RW's student under background noise, in a construction of its own: `resnet32_l2rw`.
Parameters of ResNet-32 at 10 classes: 466,906 with projections ("option_b", the default), 464,154 without
("option_a", and "preactivation" too), 462,954 as L2RW builds it ("l2rw"). ResNet-8 with projections has 78,042.
"""

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import LayerFactory, Symbolic

WIDTHS = (16, 32, 64)

# He et al. give no epsilon; 1e-5 is that of their released model definitions.
_BATCH_NORM = {
    "option_a": building.BatchNormOptions(momentum=0.9, epsilon=1e-5),
    "option_b": building.BatchNormOptions(momentum=0.9, epsilon=1e-5),
    "preactivation": building.BatchNormOptions(momentum=0.9, epsilon=1e-3),
    "l2rw": building.BatchNormOptions(momentum=0.999, epsilon=1e-3, scale=False),
}


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    units: int,
    variant: str = "option_b",
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout, if any, is in front of the last dense layer.

    Options:
        units: units in each stage: (depth - 2) / 6.
        variant: what a unit is. "option_a": conv-BN-ReLU-conv-BN, added, ReLU; shape-changing shortcuts keep
            every second pixel and add zero channels. "option_b": the same with 1x1 convolution and BN as
            those shortcuts. "preactivation": BN-ReLU-conv twice, average pooling and zero channels; the first
            unit activates before the branch. "l2rw": pre-activation as in L2RW (section 5): BN without scale,
            decay 0.999, BN-ReLU behind the stem, no first BN-ReLU in any unit of the first stage, truncated
            initial weights.

    Raises:
        ValueError: unknown variant.
    """
    building.check_choice(name, "variant", variant, _BATCH_NORM)
    kernel = initialisation.fan_out_truncated_normal if variant == "l2rw" else initialisation.fan_out_normal
    layers = LayerFactory(seed, kernel, batch_norm=_BATCH_NORM[variant].replaced(batch_norm))

    def unit(x: Symbolic, filters: int, strides: int, unit_name: str, *, stage: int, index: int) -> Symbolic:
        if variant == "l2rw":
            active = stage > 1
            return building.preactivation_unit(layers, x, filters, strides, unit_name, activate_first=active)
        if variant == "preactivation":
            first = stage == 1 and index == 0
            return building.preactivation_unit(layers, x, filters, strides, unit_name, carry_activated=first)
        return building.postactivation_unit(layers, x, filters, strides, unit_name, projection=variant == "option_b")

    image = building.image_input(input_shape)
    x = layers.conv(image, WIDTHS[0], 3, "stem")
    if variant != "preactivation":
        x = layers.norm_activation(x, "stem")
    x = building.residual_stages(x, unit, WIDTHS, units)
    if variant in ("preactivation", "l2rw"):
        x = layers.norm_activation(x, "final")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    logits = layers.logits(x, num_classes, kernel=initialisation.unit_scaling_uniform)
    return keras.Model(image, logits, name=name)
