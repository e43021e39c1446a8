"""Runs that repeat bit for bit: TensorFlow's deterministic kernels, where XLA does not stand in the way."""

from __future__ import annotations

import tensorflow as tf

_NO_KERNEL = "deterministic XLA implementation"


def make_deterministic(jit_compile: bool) -> None:
    """Only deterministic kernels from here on, in the whole process; call it before the first operation.

    With ``jit_compile`` this asks nothing on a machine without a GPU: there what XLA compiles repeats anyway, while
    TensorFlow's switch would refuse the gradient of max pooling, which XLA has no deterministic GPU kernel for.
    """
    if not jit_compile or tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def explained(error: Exception) -> Exception:
    """The error as a user can act on it: XLA's refusal of a non-deterministic kernel in one sentence, others as is."""
    if _NO_KERNEL not in str(error):
        return error
    return ValueError(
        "XLA has no deterministic kernel for a part of this student, such as max pooling on a GPU: "
        "add --nodeterministic, or leave --jit_compile out"
    )
