"""`resnet101`: the wide pre-activation ResNet of MentorNet (ICML 2018, section 5.1 and table 1: "84M").

A 3x3 convolution of 16 channels; three stages of nine basic units with 160, 320 and 640 channels; shortcuts
by average pooling and zero channels; leaky ReLU 0.1; batch norm decay 0.9, epsilon 0.001. 84,627,034
parameters at 10 classes, 84,684,724 at 100.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import Symbolic

VARIANTS = ("paper", "release")


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    widths: Sequence[int],
    units: int,
    variant: str = "paper",
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout, if any, is in front of the last dense layer.

    Options:
        widths: channels of each stage.
        units: units in each stage.
        variant: "paper": the first unit shares BN, then leaky ReLU, between its branch and its shortcut; the
            last activation is a plain ReLU. "release": as the authors' code does it: the first unit shares
            leaky ReLU, then BN, and the last activation is leaky. Both have the same parameters.

    Raises:
        ValueError: unknown variant.
    """
    building.check_choice(name, "variant", variant, VARIANTS)
    layers = building.LayerFactory(
        seed,
        kernel=initialisation.fan_out_normal,
        batch_norm=building.BatchNormOptions(momentum=0.9, epsilon=1e-3).replaced(batch_norm),
        leakiness=0.1,
    )

    def unit(x: Symbolic, filters: int, strides: int, unit_name: str, *, stage: int, index: int) -> Symbolic:
        first = stage == 1 and index == 0
        swapped = first and variant == "release"
        if swapped:
            x = layers.norm(layers.activation(x, f"{unit_name}_relu1"), f"{unit_name}_norm1")
        return building.preactivation_unit(
            layers, x, filters, strides, unit_name, activate_first=not swapped, carry_activated=first
        )

    image = building.image_input(input_shape)
    x = layers.conv(image, 16, 3, "stem")
    x = building.residual_stages(x, unit, widths, units)
    x = layers.norm(x, "final_norm")
    x = layers.activation(x, "final_relu", leakiness=0.1 if variant == "release" else 0.0)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    logits = layers.logits(x, num_classes, kernel=initialisation.unit_scaling_uniform)
    return keras.Model(image, logits, name=name)
