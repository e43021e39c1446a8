"""`wrn28_10`, `wrn28_10_l2rw`: the wide residual network of Zagoruyko and Komodakis 2016, L2RW's student under
uniform noise.

A 3x3 convolution of 16 channels and three stages of four pre-activation units with 160, 320 and 640 channels,
dropout 0.3 inside the units. 36,479,194 parameters at 10 classes with 1x1 projections ("standard", `wrn28_10`),
36,211,178 as L2RW builds it ("l2rw", `wrn28_10_l2rw`).
"""

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import Symbolic

_BATCH_NORM = {
    "standard": building.BatchNormOptions(momentum=0.9, epsilon=1e-5),
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
    width: int,
    units: int,
    variant: str = "standard",
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Options:
        width: factor of the channels 16, 32, 64.
        units: units in each stage: (depth - 4) / 6.
        variant: "standard": dropout between a unit's two convolutions; a unit that changes shape activates
            before it branches and has a 1x1 convolution as its shortcut. "l2rw": dropout behind the unit's
            first ReLU, shortcuts by average pooling and zero channels, BN without scale and decay 0.999,
            BN-ReLU behind the stem, and no first BN-ReLU (nor its dropout) in any unit of the first stage;
            truncated initial weights.

    Raises:
        ValueError: unknown variant.
    """
    building.check_choice(name, "variant", variant, _BATCH_NORM)
    l2rw = variant == "l2rw"
    layers = building.LayerFactory(
        seed,
        kernel=initialisation.fan_out_truncated_normal if l2rw else initialisation.fan_out_normal,
        batch_norm=_BATCH_NORM[variant].replaced(batch_norm),
    )

    def unit(x: Symbolic, filters: int, strides: int, unit_name: str, *, stage: int, index: int) -> Symbolic:
        if l2rw:
            return building.preactivation_unit(
                layers,
                x,
                filters,
                strides,
                unit_name,
                activate_first=stage > 1,
                first_keep_probability=dropout_keep_probability,
            )
        return building.preactivation_unit(
            layers,
            x,
            filters,
            strides,
            unit_name,
            carry_activated=building.changes_shape(x, filters, strides),
            projection=True,
            second_keep_probability=dropout_keep_probability,
        )

    image = building.image_input(input_shape)
    x = layers.conv(image, 16, 3, "stem")
    if l2rw:
        x = layers.norm_activation(x, "stem")
    x = building.residual_stages(x, unit, (16 * width, 32 * width, 64 * width), units)
    x = layers.norm_activation(x, "final")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.logits(x, num_classes, kernel=initialisation.unit_scaling_uniform)
    return keras.Model(image, logits, name=name)
