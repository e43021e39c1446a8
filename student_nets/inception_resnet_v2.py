"""`inception_resnet_v2`: the student of MentorNet's ImageNet and WebVision runs (Szegedy et al., AAAI 2017).

As TF-Slim builds it, whose training the paper follows: no padding in the stem, batch norm (decay 0.9997, epsilon
0.001) without scale, residuals scaled by 0.17, 0.10 and 0.20, and an auxiliary classifier behind the second
stage. Trainable parameters at 1,001 classes: 59,182,258 with the auxiliary head, 55,814,729 without. Pixels are
expected in [-1, 1]. With that decay the statistics used in evaluation need some 10,000 steps to mean anything.
`inception_resnet_v2_tiny` has the same graph with one block a stage, an eighth of the channels and decay 0.9, for CPUs
and tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras as keras

from student_nets import building, initialisation
from student_nets.building import LayerFactory, Symbolic
from student_nets.layers import WithAuxiliaryHead

# Residual blocks: the branches, each a chain of (channels, kernel height, kernel width).
_BLOCK35 = (((32, 1, 1),), ((32, 1, 1), (32, 3, 3)), ((32, 1, 1), (48, 3, 3), (64, 3, 3)))
_BLOCK17 = (((192, 1, 1),), ((128, 1, 1), (160, 1, 7), (192, 7, 1)))
_BLOCK8 = (((192, 1, 1),), ((192, 1, 1), (224, 1, 3), (256, 3, 1)))

# Reductions: chains whose last convolution has stride 2 and no padding; a 3x3 max pool goes beside them.
_REDUCTION_A = (((384, 3, 3),), ((256, 1, 1), (256, 3, 3), (384, 3, 3)))
_REDUCTION_B = (((256, 1, 1), (384, 3, 3)), ((256, 1, 1), (288, 3, 3)), ((256, 1, 1), (288, 3, 3), (320, 3, 3)))

_AUXILIARY_POOL, _AUXILIARY_STRIDE = 5, 3

Chains = Sequence[Sequence[tuple[int, int, int]]]


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    dropout_keep_probability: float,
    seed: int,
    name: str,
    batch_norm: Mapping[str, Any],
    blocks: tuple[int, int, int],
    width: float,
    decay: float,
    auxiliary_head: bool = False,
) -> keras.Model:
    """Builds the student; see `student_nets.get` for the arguments all students share.

    Dropout is in front of the last dense layer. Published at 299x299; 75x75 is the least the reductions allow.

    Options:
        blocks: residual blocks of the three stages; (10, 20, 10) as published, the last of which has no scaling and
            no ReLU.
        width: factor of the channels of every convolution.
        decay: momentum of the batch norm, unless `batch_norm` replaces it.
        auxiliary_head: whether the student has a second classifier, used in training only: then
            `student(images, training=True)` returns the pair (logits, auxiliary logits), both [b, num_classes]
            (see `layers.WithAuxiliaryHead`).
    """
    layers = LayerFactory(
        seed,
        kernel=initialisation.glorot_uniform,
        batch_norm=building.BatchNormOptions(decay, 1e-3, scale=False).replaced(batch_norm),
    )
    net = _Builder(layers, width)
    image = building.image_input(input_shape)
    x = net.mixed_5b(net.stem(image))
    for index in range(blocks[0]):
        x = net.residual(x, _BLOCK35, 0.17, f"block35_{index + 1}")
    x = net.reduction(x, _REDUCTION_A, "mixed_6a")
    for index in range(blocks[1]):
        x = net.residual(x, _BLOCK17, 0.10, f"block17_{index + 1}")
    auxiliary = net.auxiliary_logits(x, num_classes) if auxiliary_head else None
    x = net.reduction(x, _REDUCTION_B, "mixed_7a")
    for index in range(blocks[2] - 1):
        x = net.residual(x, _BLOCK8, 0.20, f"block8_{index + 1}")
    x = net.residual(x, _BLOCK8, 1.0, f"block8_{blocks[2]}", active=False)
    x = net.conv(x, (1536, 1, 1), "conv_7b")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, dropout_keep_probability, "dropout")
    logits = layers.logits(x, num_classes)
    if auxiliary is None:
        return keras.Model(image, logits, name=name)
    return WithAuxiliaryHead(image, [logits, auxiliary], name=name)


class _Builder:
    """The modules of the network over one layer factory."""

    def __init__(self, layers: LayerFactory, width: float) -> None:
        self._layers, self._width = layers, width

    def conv(
        self, x: Symbolic, shape: tuple[int, int, int], name: str, *, strides: int = 1, padding: str = "same"
    ) -> Symbolic:
        """Convolution, batch norm, ReLU."""
        channels, height, width = shape
        x = self._layers.conv(x, self._channels(channels), (height, width), name, strides=strides, padding=padding)
        return self._layers.norm_activation(x, name)

    def stem(self, x: Symbolic) -> Symbolic:
        """[b, 299, 299, 3] -> [b, 35, 35, 192]."""
        x = self.conv(x, (32, 3, 3), "conv_1a", strides=2, padding="valid")
        x = self.conv(x, (32, 3, 3), "conv_2a", padding="valid")
        x = self.conv(x, (64, 3, 3), "conv_2b")
        x = keras.layers.MaxPooling2D(3, strides=2, name="pool_3a")(x)
        x = self.conv(x, (80, 1, 1), "conv_3b", padding="valid")
        x = self.conv(x, (192, 3, 3), "conv_4a", padding="valid")
        return keras.layers.MaxPooling2D(3, strides=2, name="pool_5a")(x)

    def mixed_5b(self, x: Symbolic) -> Symbolic:
        """The Inception-A module: [b, h, w, 192] -> [b, h, w, 320]."""
        chains: Chains = (((96, 1, 1),), ((48, 1, 1), (64, 5, 5)), ((64, 1, 1), (96, 3, 3), (96, 3, 3)))
        branches = [self._chain(x, chain, f"mixed_5b_branch{k}") for k, chain in enumerate(chains)]
        pooled = keras.layers.AveragePooling2D(3, strides=1, padding="same", name="mixed_5b_pool")(x)
        branches.append(self._chain(pooled, ((64, 1, 1),), "mixed_5b_branch3"))
        return keras.layers.Concatenate(name="mixed_5b")(branches)

    def residual(self, x: Symbolic, chains: Chains, scale: float, name: str, *, active: bool = True) -> Symbolic:
        """Adds a scaled 1x1 projection (with bias, without batch norm) of the branches to x."""
        branches = [self._chain(x, chain, f"{name}_branch{k}") for k, chain in enumerate(chains)]
        mixed = keras.layers.Concatenate(name=f"{name}_concat")(branches)
        up = self._layers.conv(mixed, x.shape[-1], 1, f"{name}_up", use_bias=True)
        scaled = keras.layers.Rescaling(scale, name=f"{name}_scale")(up)
        x = keras.layers.Add(name=f"{name}_add")([x, scaled])
        return self._layers.activation(x, f"{name}_relu") if active else x

    def reduction(self, x: Symbolic, chains: Chains, name: str) -> Symbolic:
        """Halves the picture: [b, h, w, c] -> [b, (h - 1) // 2, (w - 1) // 2, more]."""
        branches = [self._chain(x, chain, f"{name}_branch{k}", halves=True) for k, chain in enumerate(chains)]
        branches.append(keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x))
        return keras.layers.Concatenate(name=name)(branches)

    def auxiliary_logits(self, x: Symbolic, num_classes: int) -> Symbolic:
        """The second classifier: [b, h, w, c] -> [b, num_classes] float32; its window shrinks with small pictures."""
        window = min(_AUXILIARY_POOL, *x.shape[1:3])
        x = keras.layers.AveragePooling2D(window, strides=_AUXILIARY_STRIDE, name="auxiliary_pool")(x)
        x = self.conv(x, (128, 1, 1), "auxiliary_1")
        x = self.conv(x, (768, *x.shape[1:3]), "auxiliary_2", padding="valid")
        x = keras.layers.Flatten(name="auxiliary_flatten")(x)
        return self._layers.dense(x, num_classes, "auxiliary_logits", dtype="float32")

    def _chain(
        self, x: Symbolic, chain: Sequence[tuple[int, int, int]], name: str, *, halves: bool = False
    ) -> Symbolic:
        for number, shape in enumerate(chain, start=1):
            last = halves and number == len(chain)
            strides, padding = (2, "valid") if last else (1, "same")
            x = self.conv(x, shape, f"{name}_{number}", strides=strides, padding=padding)
        return x

    def _channels(self, published: int) -> int:
        return max(1, round(published * self._width))
