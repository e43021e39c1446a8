"""`unet`, `unet_plus_plus`, `unet_small`: students that give every pixel a class.

`unet_plus_plus` is L2B's student on PROMISE12 (section 4, "Generalization to image segmentation"): UNet++ (Zhou et al.
2018) of widths 64 to 1,024. `unet` is the U-Net (Ronneberger et al. 2015) of the same widths, built of the same
parts, so that the two differ in their skip connections alone. `unet_small`, with widths 16 to 64, is for CPUs,
demonstrations and tests, and from no paper.

A node is two 3x3 convolutions with bias, each with BN and ReLU; 2x2 max pools lead down, bilinear upsampling (corners
on corners) leads up, a 1x1 convolution to the logits. PyTorch's initial weights and batch norm (decay 0.9, epsilon
1e-5). Trainable parameters with one channel in and one out: 36,628,481 (`unet_plus_plus`), 31,389,569 (`unet`),
118,625 (`unet_small`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import LayerFactory, Symbolic
from student_nets.layers import BilinearUpsampling, WithDeepSupervision


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    widths: Sequence[int],
    nested: bool,
    deep_supervision: bool = False,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Images [b, h, w, c] -> logits [b, h, w, num_classes]; num_classes of 1 is foreground against background, for a
    sigmoid (L2B). Dropout, if any, is behind the deepest node (Ronneberger et al., section 3.1).

    Options:
        widths: channels of each level; every level has half the sides of the one above.
        nested: whether the skip connections are those of UNet++.
        deep_supervision: whether the top nodes inside a nested network have outputs of their own: then
            `student(images, training=True)` returns all logits, those of the last node first (see
            `layers.WithDeepSupervision`). L2B trains without.

    Raises:
        ValueError: sides that cannot be halved often enough.
    """
    height, width, _ = input_shape
    factor = 2 ** (len(widths) - 1)
    if height % factor or width % factor:
        raise ValueError(
            f"The sides of the images of {name} must be multiples of {factor}, but these have {height}x{width}; resize "
            "or pad them."
        )
    layers = LayerFactory(
        seed,
        kernel=initialisation.inverse_root_uniform,
        bias=initialisation.inverse_root_uniform,
        batch_norm=building.BatchNormOptions(momentum=0.9, epsilon=1e-5).replaced(batch_norm),
    )
    image = building.image_input(input_shape)
    down = _way_down(layers, image, widths)
    down[-1] = layers.dropout(down[-1], dropout_keep_probability, "dropout")
    top = _nested_way_up(layers, down, widths) if nested else [_way_up(layers, down, widths)]
    names = ["logits", *(f"logits_0_{column}" for column in range(len(top) - 1, 0, -1))]
    outputs = [
        layers.conv(node, num_classes, 1, output, use_bias=True, dtype="float32")
        for node, output in zip(reversed(top), names, strict=True)
        if deep_supervision or output == "logits"
    ]
    return (
        WithDeepSupervision(image, outputs, name=name) if deep_supervision else keras.Model(image, *outputs, name=name)
    )


def _way_down(layers: LayerFactory, x: Symbolic, widths: Sequence[int]) -> list[Symbolic]:
    """The nodes (level, 0), of which each sees the pooled one above it."""
    nodes: list[Symbolic] = []
    for level, width in enumerate(widths):
        if level:
            x = keras.layers.MaxPooling2D(2, name=f"pool_{level}")(x)
        x = _node(layers, x, width, level, 0)
        nodes.append(x)
    return nodes


def _way_up(layers: LayerFactory, down: Sequence[Symbolic], widths: Sequence[int]) -> Symbolic:
    """U-Net: on each level one more node, of the first there and the last one below."""
    deepest = len(widths) - 1
    x = down[deepest]
    for level in range(deepest - 1, -1, -1):
        x = _joined(layers, [down[level]], x, widths[level], level, deepest - level)
    return x


def _nested_way_up(layers: LayerFactory, down: Sequence[Symbolic], widths: Sequence[int]) -> list[Symbolic]:
    """UNet++, equation 1: node (level, column) sees all nodes left of it and (level + 1, column - 1).

    Returns:
        The top level's nodes but the first.
    """
    rows = [[node] for node in down]
    for column in range(1, len(widths)):
        for level in range(len(widths) - column):
            rows[level].append(_joined(layers, rows[level], rows[level + 1][column - 1], widths[level], level, column))
    return rows[0][1:]


def _joined(
    layers: LayerFactory, left: Sequence[Symbolic], below: Symbolic, width: int, level: int, column: int
) -> Symbolic:
    up = BilinearUpsampling(name=f"up_{level}_{column}")(below)
    joined = keras.layers.Concatenate(name=f"concat_{level}_{column}")([*left, up])
    return _node(layers, joined, width, level, column)


def _node(layers: LayerFactory, x: Symbolic, width: int, level: int, column: int) -> Symbolic:
    for number in (1, 2):
        name = f"node_{level}_{column}_conv{number}"
        x = layers.norm_activation(layers.conv(x, width, 3, name, use_bias=True), name)
    return x
