"""The meta step: how much a clean loss would fall if a sample counted more (L2RW eq. 12, L2B eqs. 19 and 24).

(a) the clean gradient g; (b) one forward pass of the noisy batch together with its derivative along g, which gives the
products <g, gradient of each sample's loss>; what follows is the method's: weights from them, and the update, on the
logits of (b). A method owns a ``MetaStep``, so any method can have one; see ``mentornet.methods.meta_gradient``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet import inspection
from mentornet.methods import meta_gradient
from mentornet.methods.base import Batch
from mentornet.methods.meta_gradient import Targets
from mentornet.options import Option, RunFacts, check_choice
from mentornet.students import Student

META_GRADIENTS = ("forward", "double_backprop")
LOOKAHEADS = ("none", "momentum")


def options(lookahead: str) -> tuple[Option, ...]:
    """What a method with a meta step offers; ``lookahead`` is its default place of the clean gradient."""
    return (
        Option(
            "meta_gradient",
            "forward",
            "one forward-mode product, or the same weights by double backpropagation, slower",
            choices=META_GRADIENTS,
        ),
        Option(
            "lookahead",
            lookahead,
            "take the clean gradient at the present weights (none; the papers) or where momentum and decay alone lead "
            "(momentum; the released L2B code)",
            choices=LOOKAHEADS,
        ),
        Option("clean_decay", False, "add the weight decay to the clean loss, as the released L2RW code does"),
    )


def check_options(options: Mapping[str, Any], run: RunFacts, lookahead: str) -> None:
    """Refuses a decay of the clean loss where nothing decays, and what asynchronous workers can't do.

    Args:
        options: those of a method.
        run: what is known of the run.
        lookahead: the method's default.

    Raises:
        ValueError: with one sentence.
    """
    if options.get("clean_decay") and not run.weight_decay:
        raise ValueError("--clean_decay adds the weight decay, which is 0: give --weight_decay, or leave it out")
    ahead = options.get("lookahead") or lookahead
    check_synchronous(run.asynchronous and ahead == "momentum")
    if ahead == "momentum" and run.optimizer != "sgd":
        raise ValueError(
            f"the momentum look-ahead reads the velocities of momentum SGD: give --lookahead=none with "
            f"--optimizer={run.optimizer}"
        )


class MetaStep:
    """The products of a noisy batch with a clean gradient, for one student.

    Args:
        student: gives the student, with its optimiser once there is one.
        meta_gradient: "forward", or "double_backprop": the same products from differentiating a gradient, slower, and
            only for students whose dropout can be repeated in a second pass.
        lookahead: where the clean gradient is taken. "none": at the present weights (both papers). "momentum": where
            momentum and decay alone would carry the next step (released L2B code); needs ``MomentumSGD``.
        clean_decay: add the weight decay to the clean loss, as the released L2RW code does and its paper does not.
        weight_decay: its factor.
        decayed: the variables that decay applies to; default: the kernels.

    Raises:
        ValueError: a setting that is not among its choices, or double_backprop with a student that draws otherwise in
            each pass.
    """

    def __init__(
        self,
        student: Callable[[], Student],
        network: keras.Model,
        *,
        meta_gradient: str = "forward",
        lookahead: str = "none",
        clean_decay: bool = False,
        weight_decay: float = 0.0,
        decayed: Callable[[], list[tf.Variable]] | None = None,
    ):
        check_choice("meta_gradient", meta_gradient, META_GRADIENTS)
        check_choice("lookahead", lookahead, LOOKAHEADS)
        self._student, self._network = student, network
        self._double_backprop = meta_gradient == "double_backprop"
        drawing = inspection.random_layer(network)
        if self._double_backprop and drawing is not None:
            raise ValueError(
                f"double_backprop passes the batch twice, but the layer {drawing!r} of {network.name!r} draws anew "
                "each time: use SeededDropout, or the meta-gradient forward"
            )
        self._shared = False
        self._lookahead, self._clean_decay, self._weight_decay = lookahead, clean_decay, weight_decay
        self._decayed = decayed or (lambda: inspection.kernels(network))

    def compiled(self, variables: list[tf.Variable]) -> None:
        """To be called when the student has its optimiser, in the strategy's scope.

        The momentum look-ahead reads the optimiser's velocities, so they are made at once.

        Args:
            variables: what the optimiser moves.

        Raises:
            ValueError: the momentum look-ahead with an optimiser that has no such velocities, or in asynchronous
                training; there also a student with state that the pass of the clean batch can't but write.
        """
        self._shared = isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy)
        check_synchronous(self._shared and self._lookahead == "momentum")
        written = inspection.unshareable(self._network) if self._shared else None
        if written is not None:
            raise ValueError(
                f"the clean batch must leave no trace in {written!r} of {self._network.name!r}, which asynchronous "
                "workers share: use another student or a synchronous strategy"
            )
        if self._lookahead == "momentum":
            optimizer = self._student().optimizer
            optimizer.build(variables)
            meta_gradient.velocities_of(optimizer)

    def direction(self, batch: Batch) -> list[tf.Tensor]:
        """The gradient g of the clean loss, one tensor a trainable variable.

        Args:
            batch: holds "clean_image" float32 [m, h, w, c] and "clean_label" int32 [m].

        Raises:
            ValueError: the batch has no clean part.
        """
        if "clean_image" not in batch or "clean_label" not in batch:
            raise ValueError(
                "the meta step needs clean samples beside the noisy ones: batches with 'clean_image' and 'clean_label'"
            )
        network, image, label = self._network, batch["clean_image"], batch["clean_label"]
        decay, decayed = self._weight_decay if self._clean_decay else 0.0, self._decayed()
        if self._lookahead == "none":
            return meta_gradient.clean_gradient(network, image, label, decay, decayed, shared=self._shared)
        variables = network.trainable_variables
        optimizer = self._student().optimizer
        point = meta_gradient.momentum_lookahead(optimizer, variables, decayed, self._weight_decay)
        with meta_gradient.moved_to(variables, point):
            return meta_gradient.clean_gradient(network, image, label, decay, decayed)

    def logits_and_products(
        self, image: tf.Tensor, targets: Targets, direction: list[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The update's forward pass (call it under the update's tape) and <g, gradient of each loss>.

        Returns:
            logits [n, C] to differentiate, and products [k, n] for the k targets, constants.
        """
        if self._double_backprop:
            products = meta_gradient.contracted_products(self._network, image, targets, direction, shared=self._shared)
            logits = tf.cast(self._network(image, training=True), tf.float32)
        else:
            logits, derivative = meta_gradient.logits_along(self._network, image, direction)
            products = meta_gradient.target_products(logits, derivative, targets(logits))
        return logits, tf.stop_gradient(products)


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
