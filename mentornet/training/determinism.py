"""Runs that repeat bit for bit: TensorFlow's deterministic kernels, where XLA does not stand in the way.

TensorFlow's switch leaves one thing to chance, on CPUs, too: what is read in three places or more gets its gradient
from as many sides, and AddN, which adds them, begins with whichever operand's memory is free at that moment. So the
last bit depends on which thread was faster. UNet++ and Inception have such places.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop

_NO_KERNEL = "deterministic XLA implementation"


def make_deterministic(jit_compile: bool) -> None:
    """Only deterministic kernels from here on, in the whole process; call it before the first operation.

    With ``jit_compile`` this asks nothing on a machine without a GPU: there what XLA compiles repeats anyway, while
    TensorFlow's switch would refuse the gradient of max pooling, which XLA has no deterministic GPU kernel for.
    """
    if not jit_compile or tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    add_gradients_in_order()


def add_gradients_in_order() -> None:
    """Gradients that come from three sides or more are added in their order from here on, in the whole process.

    A chain of additions would not do: TensorFlow's graph optimiser makes an AddN of it again.
    """
    in_order = backprop._default_vspace._replace(aggregate_fn=_sum)
    pywrap_tfe.TFE_Py_RegisterVSpace(in_order)


def _sum(gradients: list[Any]) -> Any:
    several = len(gradients) > 2 and all(isinstance(gradient, tf.Tensor) for gradient in gradients)
    numbers = several and all(gradient.dtype.is_floating for gradient in gradients)
    # Two are the same in both orders; what is no dense tensor, such as rows of a table, is left as it was.
    return tf.reduce_sum(tf.stack(gradients), axis=0) if numbers else backprop._aggregate_grads(gradients)


def explained(error: Exception) -> Exception:
    """The error as a user can act on it: XLA's refusal of a non-deterministic kernel in one sentence, others as is."""
    if _NO_KERNEL not in str(error):
        return error
    return ValueError(
        "XLA has no deterministic kernel for a part of this student, such as max pooling on a GPU: "
        "add --nodeterministic, or leave --jit_compile out"
    )
