"""`resnet18`, `resnet50`, `resnet18_cifar`: the networks of He et al. 2016 ("Deep residual learning", table 1).

`resnet18` and `resnet50` start with a 7x7 convolution and a max pool, both halving the picture: L2B's students on
Clothing1M and ISIC2019, DivideMix's on Clothing1M (there with ImageNet weights: `imagenet_weights` for `resnet50`,
`torchvision_weights` for `resnet18`, which therefore pads as PyTorch does).
`resnet18_cifar` starts with a 3x3 convolution alone, for images of 32x32: C2D's student. Four stages; the unit is
conv-BN-ReLU twice (or, in ResNet-50, a bottleneck of three) with the last ReLU behind the addition; shape-changing
shortcuts are a 1x1 convolution and BN.

`resnet50` is the network of `keras.applications`: convolutions have a bias, the first of a unit's three has the
stride, epsilon is 1.001e-5. Trainable parameters at 1,000 classes: 11,689,512 (`resnet18`), 25,583,592 (`resnet50`, of
which 26,560 are those biases); of `resnet18_cifar` at 10: 11,173,962. Batch norm decay 0.9; initial kernels as in
PyTorch's residual networks, the dense layer as every dense layer there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import LayerFactory, Symbolic

WIDTHS = (64, 128, 256, 512)


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    units: Sequence[int],
    bottleneck: bool,
    large_images: bool,
    widths: Sequence[int] = WIDTHS,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout, if any, is in front of the last dense layer.

    Options:
        units: units in each stage.
        bottleneck: whether a unit is 1x1, 3x3 and 1x1 convolutions to four times the stage's width.
        large_images: whether the stem quarters the picture.
        widths: channels of each stage's 3x3 convolutions.
    """
    epsilon = 1.001e-5 if bottleneck else 1e-5
    layers = LayerFactory(
        seed,
        kernel=initialisation.fan_out_normal,
        batch_norm=building.BatchNormOptions(momentum=0.9, epsilon=epsilon).replaced(batch_norm),
    )

    def unit(x: Symbolic, filters: int, strides: int, unit_name: str, *, stage: int, index: int) -> Symbolic:
        if bottleneck:
            return _bottleneck_unit(layers, x, filters, strides, unit_name)
        # Where there are published weights, their borders are those of PyTorch.
        return building.postactivation_unit(layers, x, filters, strides, unit_name, padded=large_images)

    image = building.image_input(input_shape)
    x = image
    if large_images:
        x = keras.layers.ZeroPadding2D(3, name="stem_pad")(x)
        x = layers.conv(x, widths[0], 7, "stem", strides=2, padding="valid", use_bias=bottleneck)
        x = layers.norm_activation(x, "stem")
        # What is padded with are zeros, but nothing here is below 0.
        x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    else:
        x = layers.norm_activation(layers.conv(x, widths[0], 3, "stem"), "stem")
    x = building.residual_stages(x, unit, widths, units)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    rule = initialisation.inverse_root_uniform
    return keras.Model(image, layers.logits(x, num_classes, kernel=rule, bias=rule), name=name)


def _bottleneck_unit(layers: LayerFactory, x: Symbolic, filters: int, strides: int, name: str) -> Symbolic:
    """[b, h, w, c] -> [b, ceil(h / strides), ceil(w / strides), 4 filters]; figure 5, on the right.

    Every first unit of a stage has a projection, as its input has other channels.
    """
    residual = x
    for number, (channels, size) in enumerate(((filters, 1), (filters, 3), (4 * filters, 1)), start=1):
        residual = layers.conv(
            residual, channels, size, f"{name}_conv{number}", strides=strides if number == 1 else 1, use_bias=True
        )
        residual = layers.norm(residual, f"{name}_norm{number}")
        if number < 3:
            residual = layers.activation(residual, f"{name}_relu{number}")
    carried = x
    if building.changes_shape(x, 4 * filters, strides):
        carried = layers.conv(x, 4 * filters, 1, f"{name}_shortcut", strides=strides, use_bias=True)
        carried = layers.norm(carried, f"{name}_shortcut_norm")
    return layers.activation(keras.layers.Add(name=f"{name}_add")([carried, residual]), f"{name}_relu3")
