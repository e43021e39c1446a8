"""What students are made of: a factory for seeded, named layers, batch norm options, residual units.

The factory gives each layer a seed of its own (made from the student's seed and the layer's name), so a
student is a function of its arguments, whatever was built before it. Nothing here adds a regulariser: weight
decay belongs to the method. Variables called "kernel" are the kernels of convolutions and dense layers and
nothing else.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import tf_keras as keras
from tf_keras.initializers import Initializer

from student_nets import initialisation
from student_nets.initialisation import Initialisation
from student_nets.layers import ParameterFreeShortcut, SeededDropout

Symbolic = Any
"""A symbolic Keras tensor, [b, h, w, c] or [b, c]; tf_keras exports no type for it."""


@dataclasses.dataclass(frozen=True)
class BatchNormOptions:
    """How a student normalises.

    Attributes:
        momentum: share of the old moving average kept by a step, in [0, 1]; papers call it the decay.
        epsilon: added to the variance.
        scale: whether there is a learned factor (gamma).
        shift: whether there is a learned offset (beta).
        synchronized: whether the statistics are over the global batch rather than over each replica's share.

    Raises:
        ValueError: momentum or epsilon out of range.
    """

    momentum: float = 0.9
    epsilon: float = 1e-3
    scale: bool = True
    shift: bool = True
    synchronized: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"The batch norm momentum is {self.momentum}; it must be in [0, 1].")
        if not self.epsilon > 0.0:
            raise ValueError(f"The batch norm epsilon is {self.epsilon}; it must be above 0.")

    def replaced(self, overrides: Mapping[str, Any]) -> "BatchNormOptions":
        """Returns a copy in which `overrides` (by attribute) replace the family's published values."""
        return dataclasses.replace(self, **overrides)


@dataclasses.dataclass(frozen=True)
class LayerFactory:
    """Adds seeded, named layers to a functional model: every method maps a symbolic tensor to another.

    Attributes:
        seed: the student's seed.
        kernel: initialisation of convolution kernels, and of dense kernels unless told otherwise.
        bias: initialisation of biases.
        batch_norm: options of every batch normalisation.
        leakiness: slope of the activation below zero; 0 is plain ReLU.
    """

    seed: int
    kernel: Initialisation
    bias: Initialisation = initialisation.zeros
    batch_norm: BatchNormOptions = BatchNormOptions()
    leakiness: float = 0.0

    def conv(
        self,
        x: Symbolic,
        filters: int,
        size: int | tuple[int, int],
        name: str,
        *,
        strides: int = 1,
        padding: str = "same",
        use_bias: bool = False,
        dtype: str | None = None,
    ) -> Symbolic:
        """Convolution with a size x size kernel, or one of (height, width)."""
        area = math.prod(size) if isinstance(size, tuple) else size * size
        fans = area * x.shape[-1], area * filters
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding=padding,
            use_bias=use_bias,
            kernel_initializer=self._initialiser(self.kernel, fans, f"{name}/kernel"),
            bias_initializer=self._initialiser(self.bias, fans, f"{name}/bias"),
            dtype=dtype,
            name=name,
        )(x)

    def dense(
        self,
        x: Symbolic,
        units: int,
        name: str,
        *,
        kernel: Initialisation | None = None,
        bias: Initialisation | None = None,
        dtype: str | None = None,
    ) -> Symbolic:
        """Dense layer with bias; `kernel` and `bias` replace the factory's initialisations."""
        fans = x.shape[-1], units
        return keras.layers.Dense(
            units,
            kernel_initializer=self._initialiser(kernel or self.kernel, fans, f"{name}/kernel"),
            bias_initializer=self._initialiser(bias or self.bias, fans, f"{name}/bias"),
            dtype=dtype,
            name=name,
        )(x)

    def norm(self, x: Symbolic, name: str) -> Symbolic:
        """Batch normalisation over all axes but the last."""
        options = self.batch_norm
        return keras.layers.BatchNormalization(
            momentum=options.momentum,
            epsilon=options.epsilon,
            scale=options.scale,
            center=options.shift,
            synchronized=options.synchronized,
            name=name,
        )(x)

    def activation(self, x: Symbolic, name: str, *, leakiness: float | None = None) -> Symbolic:
        """ReLU, with the factory's slope below zero unless `leakiness` replaces it."""
        slope = self.leakiness if leakiness is None else leakiness
        return keras.layers.ReLU(negative_slope=slope, name=name)(x)

    def norm_activation(self, x: Symbolic, name: str, order: str = "") -> Symbolic:
        """Batch normalisation called `name`_norm`order`, then the activation `name`_relu`order`."""
        return self.activation(self.norm(x, f"{name}_norm{order}"), f"{name}_relu{order}")

    def dropout(self, x: Symbolic, keep_probability: float, name: str, *, whole_channels: bool = False) -> Symbolic:
        """Seeded dropout (of elements or of whole channels), or nothing if everything is kept."""
        if keep_probability == 1.0:
            return x
        seed = initialisation.derive_seed(self.seed, name)
        return SeededDropout(1.0 - keep_probability, seed, whole_channels, name=name)(x)

    def logits(
        self,
        x: Symbolic,
        num_classes: int,
        *,
        kernel: Initialisation | None = None,
        bias: Initialisation | None = None,
    ) -> Symbolic:
        """The last dense layer [b, c] -> [b, num_classes], float32 under every precision policy."""
        return self.dense(x, num_classes, "logits", kernel=kernel, bias=bias, dtype="float32")

    def _initialiser(self, rule: Initialisation, fans: tuple[int, int], purpose: str) -> Initializer:
        return rule(*fans, initialisation.derive_seed(self.seed, purpose))


class ResidualBlock(Protocol):
    """One residual unit as `residual_stages` calls it."""

    def __call__(
        self, x: Symbolic, filters: int, strides: int, name: str, /, *, stage: int, index: int
    ) -> Symbolic: ...


def residual_stages(x: Symbolic, block: ResidualBlock, widths: Sequence[int], units: int | Sequence[int]) -> Symbolic:
    """Stacks `units` residual units a stage; the first unit of each stage but the first halves the picture.

    Args:
        x: [b, h, w, c], the output of the stem.
        block: makes one unit; told the stage (from 1), the unit's index in it (from 0) and a name for its
            layers.
        widths: channels of each stage.
        units: units in each stage, or one number for each of them.
    """
    counts = [units] * len(widths) if isinstance(units, int) else units
    for stage, (filters, count) in enumerate(zip(widths, counts, strict=True), start=1):
        for index in range(count):
            strides = 2 if stage > 1 and index == 0 else 1
            x = block(x, filters, strides, f"stage{stage}_unit{index + 1}", stage=stage, index=index)
    return x


def changes_shape(x: Symbolic, filters: int, strides: int) -> bool:
    """Whether a unit's output differs in shape from its input `x`, so that the shortcut is no identity."""
    return strides != 1 or x.shape[-1] != filters


def preactivation_unit(
    layers: LayerFactory,
    x: Symbolic,
    filters: int,
    strides: int,
    name: str,
    *,
    activate_first: bool = True,
    carry_activated: bool = False,
    projection: bool = False,
    first_keep_probability: float = 1.0,
    second_keep_probability: float = 1.0,
) -> Symbolic:
    """Pre-activation unit (He et al. 2016, "Identity mappings"): BN-ReLU-conv3x3 twice, plus the shortcut.

    Args:
        layers: the student's factory.
        x: [b, h, w, c].
        filters: channels of the output.
        strides: strides of the first convolution.
        name: prefix of the names of the unit's layers; its output is the layer `name`_add.
        activate_first: whether the first BN-ReLU (and the dropout behind it) is there.
        carry_activated: whether the shortcut starts behind the first BN-ReLU rather than at x.
        projection: shortcut by a 1x1 convolution where the shape changes, instead of average pooling and zero
            channels.
        first_keep_probability: keep probability behind the first ReLU.
        second_keep_probability: keep probability behind the second ReLU.

    Returns:
        [b, ceil(h / strides), ceil(w / strides), filters].
    """
    residual = layers.norm_activation(x, name, "1") if activate_first else x
    carried = residual if carry_activated else x
    if activate_first:
        residual = layers.dropout(residual, first_keep_probability, f"{name}_dropout1")
    residual = layers.conv(residual, filters, 3, f"{name}_conv1", strides=strides)
    residual = layers.norm_activation(residual, name, "2")
    residual = layers.dropout(residual, second_keep_probability, f"{name}_dropout2")
    residual = layers.conv(residual, filters, 3, f"{name}_conv2")
    if changes_shape(x, filters, strides):
        if projection:
            carried = layers.conv(carried, filters, 1, f"{name}_shortcut", strides=strides)
        else:
            carried = ParameterFreeShortcut(filters, strides, name=f"{name}_shortcut")(carried)
    return keras.layers.Add(name=f"{name}_add")([carried, residual])


def postactivation_unit(
    layers: LayerFactory,
    x: Symbolic,
    filters: int,
    strides: int,
    name: str,
    *,
    projection: bool = True,
    padded: bool = False,
) -> Symbolic:
    """The basic unit of He et al. 2016 ("Deep residual learning", figure 2): the activation follows the addition.

    Args:
        layers: the student's factory.
        x: [b, h, w, c].
        filters: channels of the output.
        strides: strides of the first convolution.
        name: prefix of the names of the unit's layers; its output is the layer `name`_relu2.
        projection: shortcut by a 1x1 convolution and BN where the shape changes (option B) instead of every
            strides-th pixel and zero channels (option A).
        padded: a convolution with strides sees a border of one zero on all sides, as in PyTorch, and not, as in
            TensorFlow, at the bottom and on the right alone where the sides are even.

    Returns:
        [b, ceil(h / strides), ceil(w / strides), filters].
    """
    residual, padding = x, "same"
    if padded and strides > 1:
        residual, padding = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x), "valid"
    residual = layers.conv(residual, filters, 3, f"{name}_conv1", strides=strides, padding=padding)
    residual = layers.norm_activation(residual, name, "1")
    residual = layers.conv(residual, filters, 3, f"{name}_conv2")
    residual = layers.norm(residual, f"{name}_norm2")
    carried = x
    if changes_shape(x, filters, strides):
        if projection:
            carried = layers.conv(carried, filters, 1, f"{name}_shortcut", strides=strides)
            carried = layers.norm(carried, f"{name}_shortcut_norm")
        else:
            carried = ParameterFreeShortcut(filters, strides, "subsample", name=f"{name}_shortcut")(carried)
    return layers.activation(keras.layers.Add(name=f"{name}_add")([carried, residual]), f"{name}_relu2")


def image_input(input_shape: tuple[int, int, int]) -> Symbolic:
    """The input of every student: images [b, h, w, c] float32."""
    return keras.Input(input_shape, dtype="float32", name="image")


def check_choice(student: str, option: str, given: str, allowed: Mapping[str, Any] | Sequence[str]) -> None:
    """Raises ValueError if `given` is not one of the `allowed` values of a student's `option`."""
    if given not in allowed:
        raise ValueError(f"The {option} of {student} is {given!r}; allowed are {', '.join(sorted(allowed))}.")
