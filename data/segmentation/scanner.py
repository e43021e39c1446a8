"""What a scanner does to tissue, for the generated data sets, and the grey values that students get."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def sensitivity(random: np.random.Generator, z: Array, y: Array, x: Array, strength: float = 0.16) -> Array:
    """A bias field: what a coil multiplies the signal with, smooth and positive.

    Args:
      random: where its five coefficients are drawn from.
      z: position in the field of view, about -1 to 1, of any shape that broadcasts with the others.
      y: likewise.
      x: likewise.
      strength: standard deviation of the coefficients of its logarithm.
    """
    slope = random.normal(0, strength, 5).astype(np.float32)
    exponent = slope[0] * x + slope[1] * y + slope[2] * z + slope[3] * x * y + slope[4] * (x**2 + y**2 - 1)
    return np.exp(exponent).astype(np.float32)


def magnitude(random: np.random.Generator, signal: Array, noise: float) -> Array:
    """The magnitude of a signal with Gaussian noise in both channels (Rician), of this standard deviation."""
    real, imaginary = random.standard_normal((2, *signal.shape), np.float32) * np.float32(noise)
    return np.hypot(signal + real, imaginary)


def to_bytes(slices: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Returns slices [n, height, width] as uint8, the least value of each at 0 and its largest at 255.

    A slice of one value becomes 0.
    """
    values = np.asarray(slices, np.float32)
    low = values.min(axis=(1, 2), keepdims=True)
    span = values.max(axis=(1, 2), keepdims=True) - low
    return np.rint((values - low) * (255 / np.where(span > 0, span, 1))).astype(np.uint8)
