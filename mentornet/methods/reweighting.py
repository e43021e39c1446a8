"""What L2RW and L2B share: a step that asks a clean batch how much every noisy sample should count.

(a) the clean gradient g; (b) one forward pass of the noisy batch together with its derivative along g, which gives the
products <g, gradient of each sample's loss>; (c) weights from them; (d) the update, on the logits of (b). See
``mentornet.methods.meta_gradient``.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods import meta_gradient
from mentornet.methods.base import Batch, NoisyLabelMethod, kernels
from mentornet.methods.meta_gradient import Targets, random_layer, unshareable

META_GRADIENTS = ("forward", "double_backprop")
LOOKAHEADS = ("none", "momentum")


class MetaReweighting(NoisyLabelMethod):
    """Base of the methods that learn weights from a clean batch ("clean_image", "clean_label") beside each noisy one.

    Args:
        student: any Keras model, images -> logits.
        meta_gradient: "forward", or "double_backprop": the same weights from differentiating a gradient, slower, and
            only for students whose dropout can be repeated in a second pass.
        lookahead: where the clean gradient is taken. "none": at the present weights (both papers). "momentum": where
            momentum and decay alone would carry the next step (released L2B code); needs ``MomentumSGD``.
        clean_decay: add the weight decay to the clean loss, as the released L2RW code does and its paper does not.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a setting that is not among its choices, or double_backprop with a student that draws otherwise in
            each pass.
    """

    needs_clean_set = True
    largest_weight = 16.0

    def __init__(
        self,
        student: keras.Model,
        *,
        meta_gradient: str = "forward",
        lookahead: str = "none",
        clean_decay: bool = False,
        **shared: Any,
    ):
        super().__init__(student, **shared)
        check_choice("meta_gradient", meta_gradient, META_GRADIENTS)
        check_choice("lookahead", lookahead, LOOKAHEADS)
        self._double_backprop = meta_gradient == "double_backprop"
        drawing = random_layer(student)
        if self._double_backprop and drawing is not None:
            raise ValueError(
                f"double_backprop passes the batch twice, but the layer {drawing!r} of {student.name!r} draws anew "
                "each time: use SeededDropout, or the meta-gradient forward"
            )
        self._shared = False
        self._lookahead, self._clean_decay = lookahead, clean_decay

    def compile(self, optimizer: Any = "rmsprop", *arguments: Any, **options: Any) -> None:
        """As in Keras. The momentum look-ahead reads the optimiser's velocities, so they are made at once.

        Raises:
            ValueError: the momentum look-ahead with an optimiser that has no such velocities, or in asynchronous
                training; there also a student with state that the pass of the clean batch can't but write.
        """
        self._shared = isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy)
        check_synchronous(self._shared and self._lookahead == "momentum")
        written = unshareable(self.student) if self._shared else None
        if written is not None:
            raise ValueError(
                f"the clean batch must leave no trace in {written!r} of {self.student.name!r}, which asynchronous "
                "workers share: use another student or a synchronous strategy"
            )
        super().compile(optimizer, *arguments, **options)
        if self._lookahead == "momentum":
            self.optimizer.build(self.trained_variables())
            meta_gradient.velocities_of(self.optimizer)

    def decayed_variables(self) -> list[tf.Variable]:
        """The variables weight decay applies to."""
        return kernels(self.student)

    def clean_direction(self, batch: Batch) -> list[tf.Tensor]:
        """The gradient g of the clean loss, one tensor a trainable variable.

        Raises:
            ValueError: the batch has no clean part.
        """
        if "clean_image" not in batch or "clean_label" not in batch:
            raise ValueError(
                f"{type(self).__name__} needs clean samples beside the noisy ones: batches with 'clean_image' and "
                "'clean_label'"
            )
        image, label = batch["clean_image"], batch["clean_label"]
        decay, decayed = self.weight_decay if self._clean_decay else 0.0, self.decayed_variables()
        if self._lookahead == "none":
            return meta_gradient.clean_gradient(self.student, image, label, decay, decayed, shared=self._shared)
        variables = self.student.trainable_variables
        point = meta_gradient.momentum_lookahead(self.optimizer, variables, decayed, self.weight_decay)
        with meta_gradient.moved_to(variables, point):
            return meta_gradient.clean_gradient(self.student, image, label, decay, decayed)

    def logits_and_products(
        self, image: tf.Tensor, targets: Targets, direction: list[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The update's forward pass (call it under the update's tape) and <g, gradient of each loss>.

        Returns:
            logits [n, C] to differentiate, and products [k, n] for the k targets, constants.
        """
        if self._double_backprop:
            products = meta_gradient.contracted_products(self.student, image, targets, direction, shared=self._shared)
            logits = tf.cast(self.student(image, training=True), tf.float32)
        else:
            logits, derivative = meta_gradient.logits_along(self.student, image, direction)
            products = meta_gradient.target_products(logits, derivative, targets(logits))
        return logits, tf.stop_gradient(products)


def normalised(weights: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """L2RW eq. 9: weights / (S + [S = 0]) with S their sum over the global batch, so that they sum to 1 or are 0."""
    return weights / (total + tf.cast(tf.equal(total, 0.0), tf.float32))


def check_synchronous(asynchronous: bool) -> None:
    """Raises ValueError for a momentum look-ahead in asynchronous training.

    It moves the weights to another point and back, which on a parameter server would undo what other workers did
    meanwhile.
    """
    if asynchronous:
        raise ValueError(
            "the momentum look-ahead moves the weights that asynchronous workers share: use --lookahead=none with "
            "parameter_server, or another strategy"
        )


def check_choice(what: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError unless ``value`` is among the allowed ones."""
    if value not in allowed:
        raise ValueError(f"{what}={value!r}: use one of {', '.join(allowed)}")
