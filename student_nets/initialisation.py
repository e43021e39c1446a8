"""Starting values of the students' weights: one seeded initialiser a layer, each from a seed of its own.

The rules are those of the papers (see every family's file). A rule is a function of the layer's fan-in and
fan-out (kernel area times the channels that go in or out) and of a seed. Two layers never share a seed: with
equal seeds, equal shapes would start equal.
"""

import hashlib
import math
from collections.abc import Callable

import tf_keras as keras

Initialisation = Callable[[int, int, int], keras.initializers.Initializer]
"""(fan_in, fan_out, seed) -> initialiser of one variable."""


def derive_seed(seed: int, purpose: str) -> int:
    """Returns a seed in [0, 2**31) that depends on `seed` and `purpose` alone, not on the order of calls."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % 2**31


def zeros(fan_in: int, fan_out: int, seed: int) -> keras.initializers.Initializer:
    """All zeros."""
    return keras.initializers.Zeros()


def constant(value: float) -> Initialisation:
    """Returns the rule "every element is `value`"."""
    return lambda fan_in, fan_out, seed: keras.initializers.Constant(value)


def truncated_normal(stddev: float) -> Initialisation:
    """Returns the rule N(0, `stddev`) redrawn beyond two standard deviations, whatever the layer's size."""
    return lambda fan_in, fan_out, seed: keras.initializers.TruncatedNormal(0.0, stddev, seed)


def fan_out_normal(fan_in: int, fan_out: int, seed: int) -> keras.initializers.Initializer:
    """N(0, sqrt(2 / (k*k*out))): the residual networks of MentorNet and of Zagoruyko and Komodakis."""
    return keras.initializers.RandomNormal(0.0, math.sqrt(2.0 / fan_out), seed)


def fan_out_truncated_normal(fan_in: int, fan_out: int, seed: int) -> keras.initializers.Initializer:
    """As `fan_out_normal`, redrawn beyond two standard deviations (the deviation is not corrected for it):
    L2RW.
    """
    return keras.initializers.TruncatedNormal(0.0, math.sqrt(2.0 / fan_out), seed)


def unit_scaling_uniform(fan_in: int, fan_out: int, seed: int) -> keras.initializers.Initializer:
    """U(-sqrt(3 / fan_in), sqrt(3 / fan_in)): the last dense layer of MentorNet's and L2RW's residual
    networks.
    """
    bound = math.sqrt(3.0 / fan_in)
    return keras.initializers.RandomUniform(-bound, bound, seed)


def glorot_uniform(fan_in: int, fan_out: int, seed: int) -> keras.initializers.Initializer:
    """U(-sqrt(6 / (fan_in + fan_out)), ...): Glorot and Bengio 2010, the default of TF-Slim and Keras."""
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-bound, bound, seed)


def inverse_root_uniform(fan_in: int, fan_out: int, seed: int) -> keras.initializers.Initializer:
    """U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): PyTorch's default for kernels and biases alike (S2E, L2B,
    DivideMix).
    """
    bound = 1.0 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-bound, bound, seed)
