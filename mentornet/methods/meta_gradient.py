"""Exact meta-gradients of sample weights at the price of one extra forward pass (L2RW eq. 12, L2B eqs. 19 and 24).

L2RW and L2B ask how the loss of a clean batch would fall if sample i got a little more weight in the next step. The
look-ahead step starts at weights of zero and is linear in them, so the answer has no second-order term: it is the
product <g, grad f_i> of the clean gradient g with the gradient of the sample's loss (times the step size). All n
products come from one forward-mode product of the logits: with zdot_i = J_i g, the derivative of the logits of sample
i along g, the product for a loss against any target distribution t is (softmax(z_i) - t_i) . zdot_i. Batch
normalisation is differentiated through its batch statistics, as backpropagation does.

``contracted_products`` gets the same numbers by differentiating a gradient (double backpropagation), as the released
L2RW code does for CIFAR; it is slower and there to be compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet import inspection
from mentornet.methods.forward_mode import outputs_and_derivative
from mentornet.methods.replicas import replicas
from mentornet.task import per_sample_cross_entropy

Targets = Callable[[tf.Tensor], tf.Tensor]
"""Logits [n, *sites, C] -> k target distributions, float32 [k, n, *sites, C]; the result is taken as constant."""


def clean_gradient(
    student: keras.Model,
    image: tf.Tensor,
    label: tf.Tensor,
    weight_decay: float = 0.0,
    decayed: Sequence[tf.Variable] = (),
    *,
    shared: bool = False,
) -> list[tf.Tensor]:
    """The gradient g of the mean cross-entropy on a clean batch, in training mode, at the present weights.

    The batch is normalised by its own statistics; the moving averages stay as they are.

    Args:
        student: images -> logits.
        image: float32 [m, h, w, c], this replica's part of the clean batch.
        label: int [m].
        weight_decay: adds this times the ``decayed`` variables: the decay term that the released L2RW code has in its
            clean loss.
        decayed: those that weight decay applies to.
        shared: see ``untouched``.

    Returns:
        One tensor a trainable variable, the same on every replica.
    """
    variables = student.trainable_variables
    with untouched(student, counters=False, shared=shared), tf.GradientTape() as tape:
        loss = tf.reduce_mean(per_sample_cross_entropy(label, student(image, training=True)))
    gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    if replicas() > 1:
        gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
    return with_decay(gradients, variables, decayed, weight_decay)


def with_decay(
    values: Sequence[tf.Tensor], variables: Sequence[tf.Variable], decayed: Sequence[tf.Variable], weight_decay: float
) -> list[tf.Tensor]:
    """The values, one a variable, with ``weight_decay`` times the variable added for those among ``decayed``."""
    if not weight_decay:
        return list(values)
    chosen = {id(variable) for variable in decayed}
    return [
        value + weight_decay * variable if id(variable) in chosen else value
        for value, variable in zip(values, variables, strict=True)
    ]


def logits_along(student: keras.Model, image: tf.Tensor, direction: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """One training-mode forward pass with its derivative along a direction of the weights.

    This is the pass of the update: call it inside the update's gradient tape and use the logits for the loss.

    Args:
        student: images -> logits.
        image: float32 [n, h, w, c].
        direction: one tensor a trainable variable.

    Returns:
        logits z float32 [n, C] and their derivative zdot float32 [n, C].
    """
    return outputs_and_derivative(
        lambda: tf.cast(student(image, training=True), tf.float32), student.trainable_variables, direction
    )


def target_products(logits: tf.Tensor, derivative: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """<g, gradient of the cross-entropy against each target> from one forward-mode product.

    Args:
        logits: z float32 [n, C].
        derivative: zdot float32 [n, C].
        targets: distributions over the classes, float32 [n, C] or [k, n, C] for k hypotheses a sample.

    Returns:
        float32 [n] or [k, n].
    """
    return tf.reduce_sum((tf.nn.softmax(logits) - targets) * derivative, axis=-1)


def contracted_products(
    student: keras.Model, image: tf.Tensor, targets: Targets, direction: Sequence[tf.Tensor], *, shared: bool = False
) -> tf.Tensor:
    """The same products by double backpropagation, in a forward pass of their own.

    With l = sum e_i f_i at e = 0, the gradient of l with respect to the student's weights is contracted with the
    direction and differentiated by e. The pass leaves no trace: the one that follows sees the same dropout masks, if
    the student counts its draws (see ``inspection.random_layer``).

    Args:
        student: images -> logits.
        image: float32 [n, h, w, c].
        targets: what the k losses of a sample are against.
        direction: one tensor a trainable variable.
        shared: see ``untouched``.

    Returns:
        float32 [k, n].
    """
    variables = student.trainable_variables
    with tf.GradientTape() as outer:
        with untouched(student, counters=True, shared=shared), tf.GradientTape() as inner:
            logits = tf.cast(student(image, training=True), tf.float32)
            against = tf.stop_gradient(targets(logits))
            epsilon = tf.zeros(tf.shape(against)[:-1])
            outer.watch(epsilon)
            losses = -tf.reduce_sum(against * tf.nn.log_softmax(logits), axis=-1)
            loss = tf.reduce_sum(epsilon * losses)
        gradients = inner.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        product = tf.add_n(
            [tf.reduce_sum(gradient * along) for gradient, along in zip(gradients, direction, strict=True)]
        )
    return outer.gradient(product, epsilon)


@contextmanager
def untouched(student: keras.Model, *, counters: bool, shared: bool = False) -> Iterator[None]:
    """The moving averages of batch normalisation are behind the block what they were before it.

    Args:
        student: called in training mode inside the block.
        counters: whole-number state too, which counts the calls of dropout. False lets it run on, so that the next
            pass draws other masks.
        shared: other workers write the moving averages meanwhile. They are not put back then, which would undo that,
            but moved by a momentum of 1: each update subtracts 0. For graphs, and students that
            ``inspection.unshareable`` passes.
    """
    state = [v for v in student.non_trainable_variables if (not shared if v.dtype.is_floating else counters)]
    before = [tf.identity(variable) for variable in state]
    layers = inspection.batch_norms(student) if shared else []
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        # A tensor, because for a number Keras has the fused kernel compute new averages and writes these.
        layer.momentum = tf.constant(1.0)
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for variable, value in zip(state, before, strict=True):
        variable.assign(value)


@contextmanager
def moved_to(variables: Sequence[tf.Variable], values: Sequence[tf.Tensor]) -> Iterator[None]:
    """The variables have other values inside the block, and exactly their old ones behind it."""
    before = [tf.identity(variable) for variable in variables]
    assign_all(variables, values)
    yield
    assign_all(variables, before)


def assign_all(variables: Sequence[tf.Variable], values: Sequence[tf.Tensor]) -> None:
    """Assigns to trainable variables, on each replica its own values, which have to be the same everywhere."""
    if replicas() == 1:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return

    def update(strategy: tf.distribute.Strategy, new: Sequence[Any]) -> None:
        for variable, value in zip(variables, new, strict=True):
            strategy.extended.update(variable, lambda v, x: v.assign(x), args=(value,))

    # A mirrored variable can only be written for all replicas together.
    tf.distribute.get_replica_context().merge_call(update, args=(list(values),))


def velocities_of(optimizer: Any) -> tuple[Any, list[tf.Variable]]:
    """The momentum SGD behind an optimiser, and its velocities.

    Args:
        optimizer: ``mentornet.training.optimizers.MomentumSGD``, built, or a loss-scaling wrapper of it.

    Raises:
        ValueError: it keeps no velocities with the learning rate outside.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    velocities = getattr(inner, "velocities", None)
    if velocities is None or not hasattr(inner, "present_rate"):
        raise ValueError(
            f"the momentum look-ahead reads the velocities of MomentumSGD, which {type(inner).__name__} does not have: "
            "use MomentumSGD, or look-ahead none"
        )
    return inner, velocities


def momentum_lookahead(
    optimizer: Any, variables: Sequence[tf.Variable], decayed: Sequence[tf.Variable], weight_decay: float
) -> list[tf.Tensor]:
    """Where the next step of momentum SGD would lead if the loss had no gradient: w - rate (momentum v + decay w).

    The released L2B code takes the clean gradient there, because its look-ahead step copies the optimiser's state.

    Args:
        optimizer: see ``velocities_of``.
        variables: the student's trainable variables, in the optimiser's order.
        decayed: those weight decay applies to.
        weight_decay: its factor.
    """
    inner, velocities = velocities_of(optimizer)
    rate = inner.present_rate()
    own = velocities[: len(variables)]  # further variables of the method come behind the student's
    changes = with_decay([inner.momentum * velocity for velocity in own], variables, decayed, weight_decay)
    return [variable - rate * change for variable, change in zip(variables, changes, strict=True)]
