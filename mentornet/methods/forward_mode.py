"""The derivative of a student's outputs along a direction of its weights, as one more pass through its operations.

TensorFlow's ``ForwardAccumulator`` gives the same numbers, but differentiates batch normalisation by formulas of some
fifteen elementwise passes. Here the operations that a call of the student adds to the graph are walked once:
the rule for batch normalisation below uses fused kernels, every other operation the rule that its own gradient implies
(the product with the Jacobian is the transpose of the product with its transpose). On a CPU the derivative of ResNet-32
then costs what its two convolutions a layer cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

_READ = "ReadVariableOp"
_WRITES = frozenset({"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"})
_BATCH_NORM = "FusedBatchNormV3"
_BIAS = "BiasAdd"
# Sums over replicas (synchronised batch norm). TensorFlow wraps them in an operation with a gradient of its own, which
# the walk meets right behind them and transposes like any other; the inner ones read resources that are no weights.
_REDUCTIONS = frozenset({"CollectiveReduceV2", "CollectiveReduceV3"})

Call = Callable[[], tf.Tensor]
Derivatives = dict[object, tf.Tensor]


def outputs_and_derivative(
    call: Call, variables: Sequence[tf.Variable], direction: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Calls a network once and differentiates what it returns along a direction of its variables.

    Args:
        call: returns a float tensor; reads the variables.
        variables: float variables.
        direction: one tensor a variable, of its shape.

    Returns:
        The outputs, which a gradient tape around this function can differentiate, and their derivative, of the same
        shape.

    Raises:
        ValueError: the network reads its variables in ways that the walk does not see.
    """
    if tf.executing_eagerly():
        with tf.autodiff.ForwardAccumulator(variables, list(direction)) as accumulator:
            outputs = call()
        return outputs, accumulator.jvp(outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    outputs = call()
    return outputs, _derivative(outputs, graph.get_operations()[before:], variables, direction)


@tf.autograph.experimental.do_not_convert
def _derivative(
    outputs: tf.Tensor,
    operations: Sequence[tf.Operation],
    variables: Sequence[tf.Variable],
    direction: Sequence[tf.Tensor],
) -> tf.Tensor:
    """The walk through the operations that made the outputs; plain Python that AutoGraph has no business with."""
    _check_reads(operations)
    along = {
        _handle(variable).ref(): tf.cast(change, variable.dtype)
        for variable, change in zip(variables, direction, strict=True)
    }
    derivatives: Derivatives = {}
    for operation in operations:
        if operation.type in _REDUCTIONS:
            continue
        if operation.type == _READ:
            found: Sequence[tf.Tensor | None] = [along.get(operation.inputs[0].ref())]
        else:
            given = [derivatives.get(tensor.ref()) for tensor in operation.inputs]
            if all(derivative is None for derivative in given):
                continue
            found = _rule(operation)(operation, given)
        for tensor, derivative in zip(operation.outputs, found, strict=True):
            if derivative is not None:
                derivatives[tensor.ref()] = derivative
    return derivatives.get(outputs.ref(), tf.zeros_like(outputs))


def _check_reads(operations: Sequence[tf.Operation]) -> None:
    """Refuses reads inside loops and nested functions, and of single rows.

    TensorFlow's accumulator fails there as well, or takes such variables for constants without a word.
    """
    for operation in operations:
        reads = any(tensor.dtype == tf.resource for tensor in operation.inputs)
        if reads and operation.type not in {_READ} | _WRITES | _REDUCTIONS:
            raise ValueError(
                f"the student uses its weights inside {operation.type} ({operation.name}), where a forward-mode "
                "derivative can't follow them: use the meta-gradient double_backprop"
            )


def _handle(variable: tf.Variable) -> tf.Tensor:
    """The resource by which operations of the present graph read the variable."""
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype).op.inputs[0]


Rule = Callable[[tf.Operation, Sequence[tf.Tensor | None]], Sequence[tf.Tensor | None]]


def _rule(operation: tf.Operation) -> Rule:
    if operation.type == _BATCH_NORM and operation.get_attr("is_training"):
        return _batch_norm
    return _bias if operation.type == _BIAS else _by_transposition


def _bias(operation: tf.Operation, given: Sequence[tf.Tensor | None]) -> Sequence[tf.Tensor | None]:
    """The same addition of the changes: cheaper than what its gradient implies, and it stays one addition of two.

    As a sum TensorFlow would join it with that of the convolution before, in an order that depends on which operand's
    memory is free; see ``training.determinism``.
    """
    x = operation.inputs[0]
    dx, dbias = given
    if dbias is None:
        return [dx]
    dx = tf.zeros_like(x) if dx is None else dx
    return [tf.nn.bias_add(dx, dbias, data_format=operation.get_attr("data_format").decode())]


def _batch_norm(operation: tf.Operation, given: Sequence[tf.Tensor | None]) -> Sequence[tf.Tensor | None]:
    """Batch normalisation by the statistics of the batch, which are differentiated as well.

    With respect to its input the Jacobian is symmetric but for the scale, so the kernel that backpropagates also
    pushes forward. With respect to scale and offset the output is linear: the same normalisation with their changes.
    """
    x, scale, offset = operation.inputs[:3]
    dx, dscale, doffset = given[:3]
    options = {"epsilon": operation.get_attr("epsilon"), "data_format": operation.get_attr("data_format").decode()}
    parts = []
    if dx is not None:
        saved = {f"reserve_space_{k}": operation.outputs[2 + k] for k in (1, 2, 3)}
        parts.append(
            tf.raw_ops.FusedBatchNormGradV3(y_backprop=dx, x=x, scale=scale, **saved, is_training=True, **options)[0]
        )
    if dscale is not None or doffset is not None:
        changed = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.zeros_like(scale) if dscale is None else dscale,
            offset=tf.zeros_like(offset) if doffset is None else doffset,
            mean=[],
            variance=[],
            is_training=True,
            **options,
        )
        parts.append(changed[0])
    # The other outputs are statistics for the moving averages and for backpropagation.
    return [tf.add_n(parts), *[None] * (len(operation.outputs) - 1)]


def _by_transposition(operation: tf.Operation, given: Sequence[tf.Tensor | None]) -> Sequence[tf.Tensor | None]:
    """Any operation with a gradient: v -> J^T v is linear in v, and its own gradient with respect to v is u -> J u."""
    # Each input once, even if it is both factors of a product: its gradient is that of the two together.
    moving = {
        tensor.ref(): (tensor, derivative)
        for tensor, derivative in zip(operation.inputs, given, strict=True)
        if derivative is not None
    }
    inputs, changes = [list(column) for column in zip(*moving.values(), strict=True)]
    outputs = [tensor for tensor in operation.outputs if tensor.dtype.is_floating]
    seeds = [tf.zeros_like(tensor) for tensor in outputs]
    # Inputs may depend on each other (a shortcut does); only what happens in this operation counts.
    pulled = tf.gradients(outputs, inputs, grad_ys=seeds, stop_gradients=inputs)
    # Identities, because one tensor that is the gradient of two inputs would be counted once.
    known = [
        (tf.identity(tf.convert_to_tensor(p)), change)
        for p, change in zip(pulled, changes, strict=True)
        if p is not None
    ]
    pushed: dict[object, tf.Tensor | None] = {}
    if known:
        pulled, changes = [p for p, _ in known], [change for _, change in known]
        results = tf.gradients(pulled, seeds, grad_ys=changes)
        pushed = {output.ref(): result for output, result in zip(outputs, results, strict=True)}
    return [pushed.get(tensor.ref()) for tensor in operation.outputs]
