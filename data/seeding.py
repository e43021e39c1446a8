"""Random numbers as a function of (seed, purpose), so that no two uses of one seed share a stream.

NumPy code takes a `generator`; TensorFlow's stateless operations take a `key`, to which they add the step or
the epoch as the second half of their seed.
"""

from __future__ import annotations

import operator
import zlib

import numpy as np


def _sequence(seed: int, purpose: str) -> np.random.SeedSequence:
    value = operator.index(seed)
    if value < 0:
        raise ValueError(f"The seed is {value}, but a seed is an integer of 0 or more.")
    # CRC-32 rather than hash(): the latter differs from one Python process to the next.
    return np.random.SeedSequence(value, spawn_key=(zlib.crc32(purpose.encode()),))


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Returns the NumPy generator that belongs to this seed and purpose.

    Raises:
      ValueError: the seed is negative.
      TypeError: the seed is not an integer.
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose)))


def key(seed: int, purpose: str) -> int:
    """Returns an integer in [0, 2**63) for the first half of a TensorFlow stateless seed.

    Raises:
      ValueError: the seed is negative.
      TypeError: the seed is not an integer.
    """
    return int(_sequence(seed, purpose).generate_state(1, np.uint64)[0] >> np.uint64(1))
