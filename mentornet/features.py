"""What a curriculum sees of a mini-batch, and the sampling layer behind it (ICML sec. 3.1, fig. 1; alg. 1).

Everything here is a pure TensorFlow function of its arguments (it compiles for XLA, GPU and TPU). Random numbers are
stateless: they depend on (seed, purpose, step) only.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import tensorflow as tf

EPOCH_ROWS = 100
"""Training progress is counted in whole percents, 0 to 99 (the paper's "epoch percentage")."""

PERCENTILE_METHODS = ("linear", "nearest")
DROPOUT_MODES = ("uniform", "proportional")

# One number a purpose keeps the random streams of one run apart; those without one here get theirs by their name.
_PURPOSES = {"burn_in": 11, "example_dropout": 12, "drawn_weights": 13}


def epoch_percent(step: tf.Tensor, max_steps: int) -> tf.Tensor:
    """Training progress as an integer percent, min(99, floor(100 step / max_steps)).

    Args:
        step: integer scalar >= 0, steps already taken.
        max_steps: length of the whole training, >= 1.

    Returns:
        int32 scalar in 0..99.
    """
    percent = 100 * tf.cast(step, tf.int64) // tf.cast(max_steps, tf.int64)
    return tf.cast(tf.minimum(percent, EPOCH_ROWS - 1), tf.int32)


def percentile(losses: tf.Tensor, fraction: tf.Tensor | float, method: str = "linear") -> tf.Tensor:
    """The p-th percentile of a batch of losses.

    Args:
        losses: float [b].
        fraction: p in [0, 1].
        method: "linear" interpolates between the two neighbours (NumPy's default); "nearest" takes the sample whose
            rank from the top is closest to (b - 1)(1 - p), halves to even, as the original release does.

    Returns:
        float32 scalar.

    Raises:
        ValueError: the method is not one of ``PERCENTILE_METHODS``.
    """
    if method not in PERCENTILE_METHODS:
        raise ValueError(f"percentile method {method!r}: use one of {', '.join(PERCENTILE_METHODS)}")
    ordered = tf.sort(tf.cast(losses, tf.float32))
    last = tf.cast(tf.shape(ordered)[0] - 1, tf.float32)
    fraction = tf.cast(fraction, tf.float32)
    if method == "nearest":
        from_top = tf.cast(tf.round(last * (1.0 - fraction)), tf.int32)
        return ordered[tf.shape(ordered)[0] - 1 - from_top]
    position = last * fraction
    low = tf.floor(position)
    share = position - low
    lower = tf.gather(ordered, tf.cast(low, tf.int32))
    upper = tf.gather(ordered, tf.cast(tf.minimum(low + 1.0, last), tf.int32))
    return lower + share * (upper - lower)


def moving_percentile(
    previous: tf.Tensor, losses: tf.Tensor, fraction: tf.Tensor | float, decay: float, method: str = "linear"
) -> tf.Tensor:
    """One update of l_pt (ICML sec. 3.1): decay * previous + (1 - decay) * the percentile of the batch."""
    return decay * previous + (1.0 - decay) * percentile(losses, fraction, method)


def steps_to_settle(decay: float, share: float = 0.95) -> int:
    """Steps after which l_pt, which starts at 0, has come within 1 - ``share`` of losses that stay alike."""
    return 1 if decay == 0.0 else math.ceil(math.log(1.0 - share) / math.log(decay))


def per_epoch_table(spec: str | float | Sequence[float], what: str) -> tuple[float, ...]:
    """Reads a value that changes with training progress: "value,epochs,value,epochs,..." -> 100 values.

    Args:
        spec: one number (the same for every percent), 100 numbers, or the release's text format, whose epoch counts
            sum to 100, e.g. "0.5,17,0.05,83".
        what: the setting's name, for messages.

    Returns:
        100 floats in [0, 1], indexed by epoch percent.

    Raises:
        ValueError: not numbers, counts that do not sum to 100, or a value outside [0, 1].
    """
    if isinstance(spec, str):
        try:
            numbers = [float(cell) for cell in spec.split(",")]
        except ValueError:
            raise ValueError(f"{what}={spec!r}: expected numbers separated by commas") from None
    elif isinstance(spec, (int, float)):
        numbers = [float(spec)]
    else:
        numbers = [float(number) for number in spec]
    if len(numbers) == 1:
        table = numbers * EPOCH_ROWS
    elif len(numbers) == EPOCH_ROWS and not isinstance(spec, str):
        table = numbers
    else:
        values, counts = numbers[0::2], numbers[1::2]
        if len(values) != len(counts) or any(count != int(count) or count < 0 for count in counts):
            raise ValueError(f"{what}={spec!r}: expected value,epochs pairs with whole numbers of epochs")
        if sum(counts) != EPOCH_ROWS:
            raise ValueError(f"{what}={spec!r}: the numbers of epochs sum to {sum(counts):g}, they must sum to 100")
        table = [value for value, count in zip(values, counts, strict=True) for _ in range(int(count))]
    if any(not 0.0 <= value <= 1.0 for value in table):
        raise ValueError(f"{what}={spec!r}: every value must lie in [0, 1]")
    return tuple(table)


def random_seed(seed: int, purpose: str, step: tf.Tensor) -> tf.Tensor:
    """A stateless seed (int [2]) for one purpose at one step of one run."""
    base = tf.constant([seed, _PURPOSES.get(purpose, zlib.crc32(purpose.encode()))], tf.int64)
    return tf.random.experimental.stateless_fold_in(base, tf.cast(step, tf.int64))


def bernoulli_weights(batch_size: tf.Tensor | int, drop_rate: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Burn-in weights of the paper (sec. 3.1): each sample is kept (1) with probability 1 - drop_rate, else 0. [b]."""
    numbers = tf.random.stateless_uniform([batch_size], seed)
    return tf.cast(numbers >= drop_rate, tf.float32)


def example_dropout(
    weights: tf.Tensor, drop_rate: tf.Tensor | float, seed: tf.Tensor, mode: str = "uniform"
) -> tf.Tensor:
    """The probabilistic sampling layer: keeps exactly floor(b (1 - r)) samples and zeroes the other weights.

    Args:
        weights: float32 [b] in [0, 1].
        drop_rate: r in [0, 1].
        seed: stateless seed, int [2].
        mode: "uniform" draws the kept samples without replacement, all alike (the release's training);
            "proportional" without replacement in proportion to their weights (v1), by the Gumbel top-k rule.

    Returns:
        float32 [b].

    Raises:
        ValueError: the mode is not one of ``DROPOUT_MODES``.
    """
    if mode not in DROPOUT_MODES:
        raise ValueError(f"example dropout mode {mode!r}: use one of {', '.join(DROPOUT_MODES)}")
    size = tf.shape(weights)[0]
    # The small offset keeps products such as 100 * (1 - 0.9) from falling below the whole number they stand for.
    keep = tf.floor(tf.cast(size, tf.float32) * (1.0 - tf.cast(drop_rate, tf.float32)) + 1e-3)
    keys = tf.random.stateless_uniform([size], seed, minval=1e-20)
    if mode == "proportional":
        keys = tf.math.log(weights) - tf.math.log(-tf.math.log(keys))
    rank = tf.argsort(tf.argsort(keys, direction="DESCENDING", stable=True), stable=True)
    return tf.where(rank < tf.cast(keep, tf.int32), weights, tf.zeros_like(weights))
