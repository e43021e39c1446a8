"""Layers Keras does not have: reproducible dropout, a shortcut without parameters, response normalisation, bilinear
upsampling; and students with several heads.

All compile under XLA. All are registered under the package "student_nets": with this module imported,
`keras.models.load_model` reads a student saved with `model.save("student.keras")`.
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="student_nets")
class SeededDropout(keras.layers.Layer):
    """Dropout whose mask depends on the seed, the number of training calls so far and the replica alone.

    Each element is kept with probability 1 - rate and then divided by it, or set to zero. Keras' own dropout
    draws from a generator that a checkpoint does not hold; here the count of training calls is a variable of
    the layer, so that a run that was killed and resumed draws the masks the uninterrupted run would have
    drawn. Replicas of one step draw different masks. XLA numbers its draws in another order, so a step
    compiled with jit_compile=True has other masks than one that is not, and they are as reproducible.

    Args:
        rate: share of the elements dropped, in [0, 1).
        seed: integer in [0, 2**31); different for every dropout layer of a model.
        whole_channels: whether inputs [b, h, w, c] are kept or dropped a channel of an image at a time rather than
            an element at a time.

    Raises:
        ValueError: rate or seed out of range.
    """

    def __init__(self, rate: float, seed: int, whole_channels: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"The dropout rate is {rate}; it must be at least 0 and below 1.")
        if not 0 <= seed < 2**31:
            raise ValueError(f"The dropout seed is {seed}; it must be an integer from 0 to 2**31 - 1.")
        self.rate = float(rate)
        self.seed = int(seed)
        self.whole_channels = whole_channels

    def build(self, input_shape: tf.TensorShape) -> None:
        # Replicas step together, so the first one speaks for all; without aggregation they would drift apart.
        self.calls = self.add_weight(
            name="calls",
            shape=(),
            dtype=tf.int64,
            initializer="zeros",
            trainable=False,
            experimental_autocast=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training or self.rate == 0.0:
            return inputs
        context = tf.distribute.get_replica_context()
        replica = tf.cast(0 if context is None else context.replica_id_in_sync_group, tf.int64)
        # The seed has 31 bits, so replica * 2**32 keeps the streams of replicas apart.
        key = tf.stack([self.seed + replica * 2**32, tf.identity(self.calls)])
        self.calls.assign_add(1)
        # Named, because the generator chosen by default depends on the device.
        shape = tf.shape(inputs)
        if self.whole_channels:
            shape = tf.stack([shape[0], 1, 1, shape[3]])
        draws = tf.random.stateless_uniform(shape, seed=key, dtype=tf.float32, alg="philox")
        keep_probability = 1.0 - self.rate
        kept = inputs / tf.cast(keep_probability, inputs.dtype)
        return tf.where(draws < keep_probability, kept, tf.zeros_like(inputs))

    def get_config(self) -> dict[str, Any]:
        own = {"rate": self.rate, "seed": self.seed, "whole_channels": self.whole_channels}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="student_nets")
class ParameterFreeShortcut(keras.layers.Layer):
    """Parameter-free shortcut of a residual unit: [b, h, w, c] -> [b, ceil(h/s), ceil(w/s), filters].

    The picture shrinks by averaging windows of s x s ("average": MentorNet, L2RW) or by keeping every s-th
    pixel ("subsample": option A of He et al. 2016), with s = strides. New channels are zeros: half of them
    before the old channels, half behind (an odd one goes behind).

    Args:
        filters: channels of the output, at least those of the input.
        strides: factor the sides shrink by, at least 1.
        reduction: "average" or "subsample".

    Raises:
        ValueError: unknown reduction, or (when built) fewer filters than input channels.
    """

    def __init__(self, filters: int, strides: int, reduction: str = "average", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reduction not in ("average", "subsample"):
            raise ValueError(f"The reduction is {reduction!r}; allowed are 'average' and 'subsample'.")
        self.filters = filters
        self.strides = strides
        self.reduction = reduction

    def build(self, input_shape: tf.TensorShape) -> None:
        missing = self.filters - input_shape[-1]
        if missing < 0:
            raise ValueError(
                f"A shortcut without parameters cannot go from {input_shape[-1]} channels to {self.filters}; "
                "it can only add channels."
            )
        self._padding = (missing // 2, missing - missing // 2)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = inputs
        if self.strides > 1 and self.reduction == "average":
            outputs = tf.nn.avg_pool2d(outputs, self.strides, self.strides, "SAME")
        elif self.strides > 1:
            outputs = outputs[:, :: self.strides, :: self.strides, :]
        return tf.pad(outputs, [(0, 0), (0, 0), (0, 0), self._padding])

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "strides": self.strides, "reduction": self.reduction}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="student_nets")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides x[b, h, w, c] by (bias + alpha * s)**beta, s = sum of squares of channels c-radius to c+radius.

    Krizhevsky et al. 2012, section 3.3; the defaults are those of TF-Slim's CifarNet. Computed in float32
    under every precision policy, since the squares overflow half precision.
    """

    def __init__(
        self,
        radius: int = 4,
        bias: float = 1.0,
        alpha: float = 0.001 / 9.0,
        beta: float = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.radius = radius
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # TensorFlow's own operation has no second derivative, which meta-gradients (L2RW, L2B) need.
        values = tf.cast(inputs, tf.float32)
        channels = inputs.shape[-1]
        neighbours = tf.linalg.band_part(tf.ones((channels, channels)), self.radius, self.radius)
        sums = tf.tensordot(tf.square(values), neighbours, axes=1)
        outputs = values * tf.pow(self.bias + self.alpha * sums, -self.beta)
        return tf.cast(outputs, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"radius": self.radius, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="student_nets")
class BilinearUpsampling(keras.layers.Layer):
    """Doubles the sides of a picture, corner pixels on corner pixels: [b, h, w, c] -> [b, 2 h, 2 w, c].

    Row i of the output lies at row i (h - 1) / (2 h - 1) of the input and is interpolated linearly between its two
    neighbours there; columns likewise. TensorFlow's own resizing has no second derivative, which meta-gradients (L2B)
    need.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, channels = inputs.shape
        outputs = _doubled(tf.reshape(inputs, [-1, height, width * channels]))
        outputs = _doubled(tf.reshape(outputs, [-1, width, channels]))
        return tf.reshape(outputs, [-1, 2 * height, 2 * width, channels])


def _doubled(x: tf.Tensor) -> tf.Tensor:
    """[a, n, c] -> [a, 2 n, c]. New point 2 k lies k / (2 n - 1) in front of old point k, which follows from
    2 k (n - 1) = k (2 n - 1) - k, and 2 k + 1 lies (n - 1 - k) / (2 n - 1) behind it.
    """
    points = x.shape[1]
    distance = tf.constant(np.arange(points)[:, None] / (2 * points - 1), x.dtype)
    # Where the shifts wrap around, the distance is 0.
    even = x + distance * (tf.roll(x, 1, axis=1) - x)
    odd = x + distance[::-1] * (tf.roll(x, -1, axis=1) - x)
    return tf.reshape(tf.stack([even, odd], axis=2), [-1, 2 * points, x.shape[2]])


@keras.saving.register_keras_serializable(package="student_nets")
class BackgroundLogit(keras.layers.Layer):
    """One logit a pixel as two classes: [b, h, w, 1] -> [b, h, w, 2], the background's logit 0 in front.

    Softmax cross-entropy of the two is the binary cross-entropy of the one.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.concat([tf.zeros_like(inputs), inputs], axis=-1)


@keras.saving.register_keras_serializable(package="student_nets")
class WithDeepSupervision(keras.Model):
    """A functional segmentation student with several outputs, of which the first is its prediction.

    Zhou et al. 2018 (UNet++), section 3.2: inner nodes are trained to segment too. So `student(images, training=True)`
    is the tuple of all logits, and without `training` it is the first alone, as of every other student.

    Args:
        inputs: images [b, h, w, c].
        outputs: the list of the logits, all [b, h, w, channels], the student's own first.

    Attributes:
        output_weights: what the losses of the outputs count, in their order: all the same, together 1.
    """

    @property
    def output_weights(self) -> tuple[float, ...]:
        """Weights of the outputs' losses; they sum to 1."""
        return (1.0 / len(self.outputs),) * len(self.outputs)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """That of the first output."""
        return tuple(self.outputs[0].shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> Any:
        every = super().call(inputs, training=training, mask=mask)
        return tuple(every) if training else every[0]


@keras.saving.register_keras_serializable(package="student_nets")
class WithAuxiliaryHead(keras.Model):
    """A functional student [logits, auxiliary logits] whose second classifier takes part in training only.

    Szegedy et al. 2015 (GoogLeNet), section 5: an inner layer is trained to classify too, with a smaller weight in
    the loss, and is thrown away afterwards. So `student(images, training=True)` is the pair (logits, auxiliary
    logits), and without `training` it is the logits alone, as of every other student. A trainer learns from
    `has_auxiliary_head` that there is a pair.

    Args:
        inputs: images [b, h, w, c].
        outputs: the list of the two logits, both [b, num_classes].
    """

    has_auxiliary_head = True

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """That of the logits, as of every student."""
        return tuple(self.outputs[0].shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> Any:
        logits, auxiliary = super().call(inputs, training=training, mask=mask)
        return (logits, auxiliary) if training else logits
