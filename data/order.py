"""Which images a batch holds, as a function of (seed, step) alone.

A keyed permutation takes the place of a shuffled list, so any step can be the first one, at no cost, and millions of
images need no memory for their order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import seeding

# tf.random.experimental.index_shuffle runs 4 rounds of its cipher. Then permutations of different epochs are
# visibly correlated (0.08 at 50,000 images); from 12 rounds on, with mixed keys, they are not.
_SHUFFLE_ROUNDS = 16
GENERATOR = "philox"  # of stateless random numbers; the default would depend on the device


class EpochOrder:
    """The order of n images over all epochs, or one worker's part of it.

    Every epoch visits the images in a new order; the n mod batch_size images left over at its end are skipped, so
    that no image occurs twice in a batch.
    """

    def __init__(
        self,
        num_examples: int,
        batch_size: int,
        seed: int,
        shard: tuple[int, int] = (0, 1),
        *,
        what: str = "training images",
        most_steps: int | None = None,
    ) -> None:
        """Checks that the batches are possible.

        Args:
          num_examples: n.
          batch_size: b, images in a global batch, 1 to n.
          seed: 0 or more.
          shard: (i, k), i < k: this is worker i of k and gets rows i b/k to (i+1) b/k of every global batch.
          what: what the images are called in messages.
          most_steps: an epoch ends after so many batches, even if there are images left; None: not before.

        Raises:
          ValueError: more images in a batch than there are, or a batch that k workers cannot share equally.
        """
        worker, workers = shard
        if not 0 <= worker < workers:
            raise ValueError(f"The shard is worker {worker} of {workers}, but workers are counted from 0.")
        if batch_size < 1 or batch_size % workers:
            raise ValueError(f"A batch of {batch_size} images cannot be shared equally by {workers} worker(s).")
        if num_examples < batch_size and not self._may_repeat:
            raise ValueError(
                f"There are {num_examples} {what}, fewer than the {batch_size} of one batch; choose a smaller batch "
                "size or more images."
            )
        if num_examples < 1:
            raise ValueError(f"There are no {what} to make batches of.")
        self.num_examples, self.batch_size = num_examples, batch_size
        self.rows = slice(worker * batch_size // workers, (worker + 1) * batch_size // workers)
        self._key = seeding.key(seed, "pipeline/order")
        self._most_steps = most_steps

    _may_repeat = False

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one pass over the images, at least 1."""
        steps = max(1, self.num_examples // self.batch_size)
        return steps if self._most_steps is None else min(steps, self._most_steps)

    def indices(self, step: tf.Tensor) -> tf.Tensor:
        """Returns int64 [rows]: which images this worker's part of batch `step`, an int64 scalar, holds."""
        return self._images(step, tf.range(self.rows.start, self.rows.stop, dtype=tf.int64))

    def index(self, step: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Returns some of `indices(step)`, for rows int64 counted from 0 in this worker's part."""
        return self._images(step, row + self.rows.start)

    def _images(self, step: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Which images are in these rows of a global batch."""
        epoch, step_of_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
        return self._shuffled(step_of_epoch * self.batch_size + rows, self._epoch_key(epoch))

    def _epoch_key(self, epoch: tf.Tensor) -> tf.Tensor:
        """int64 [3]; keys of the cipher that differ by one give similar permutations, so the epoch is hashed."""
        return tf.random.stateless_uniform(
            [3], [self._key, epoch], minval=None, maxval=None, dtype=tf.int64, alg=GENERATOR
        )

    def _shuffled(self, places: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.RandomIndexShuffle(
            index=places, seed=keys, max_index=tf.constant(self.num_examples - 1, tf.int64), rounds=_SHUFFLE_ROUNDS
        )


class RepeatedOrder(EpochOrder):
    """The order of fewer images than a batch holds: it holds all of them, again and again, each time in a new order."""

    _may_repeat = True

    def _images(self, step: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        rounds = -(-self.batch_size // self.num_examples)
        keys = tf.stack([self._epoch_key(step * rounds + number) for number in range(rounds)])
        return self._shuffled(rows % self.num_examples, tf.gather(keys, rows // self.num_examples))


class _ByClass(EpochOrder):
    """An order that draws classes first; the images lie in the order of their classes."""

    _purpose: str  # of the random numbers

    def __init__(
        self,
        labels: npt.ArrayLike,
        batch_size: int,
        seed: int,
        shard: tuple[int, int] = (0, 1),
        *,
        what: str = "training images",
        most_steps: int | None = None,
        may_repeat: bool = False,
    ) -> None:
        """Sorts the images by class.

        Args:
          labels: [n] non-negative integers; classes without images are never drawn.
          batch_size: images in a global batch, 1 to n.
          seed: 0 or more.
          shard: see `EpochOrder`.
          what: see `EpochOrder`.
          most_steps: see `EpochOrder`.
          may_repeat: a batch may be larger than n.

        Raises:
          ValueError: as `EpochOrder`.
        """
        given = np.asarray(labels, np.int32)
        self._may_repeat = may_repeat
        super().__init__(len(given), batch_size, seed, shard, what=what, most_steps=most_steps)
        counts = np.bincount(given)
        present = np.flatnonzero(counts)
        self._draw_key = seeding.key(seed, self._purpose)
        self._rarest, self._classes = int(counts[present].min()), present.size
        with tf.device("CPU:0"):
            self._by_class = tf.constant(np.argsort(given, kind="stable"), tf.int64)
            self._starts = tf.constant((np.cumsum(counts) - counts)[present], tf.int64)
            self._counts = tf.constant(counts[present], tf.int64)


class BalancedOrder(_ByClass):
    """Batches in which every given class is equally likely: resampling against class imbalance (L2RW, section 4.1).

    Each place of a batch draws a class and then an image of it, with replacement, as a function of (seed, step, place);
    so images of rare classes come back often, and there are no epochs.
    """

    _purpose = "pipeline/balanced"

    def _images(self, step: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        # Drawn for the global batch, so that it is the same however many workers share it.
        everyone = tf.random.stateless_uniform(
            [self.batch_size, 2], [self._draw_key, step], dtype=tf.float64, alg=GENERATOR
        )
        draws = tf.gather(everyone, rows)
        classes = tf.cast(draws[:, 0] * tf.cast(tf.size(self._counts), tf.float64), tf.int64)
        place = tf.cast(draws[:, 1] * tf.cast(tf.gather(self._counts, classes), tf.float64), tf.int64)
        return tf.gather(self._by_class, tf.gather(self._starts, classes) + place)


class BalancedEpochs(_ByClass):
    """Epochs that are drawn anew each time, with all given classes equally often (Clothing1M in DivideMix and L2B).

    Of the places of an epoch every class that has images gets the same number, one more or less. No image of a class
    comes twice before all of them have come.
    """

    _purpose = "pipeline/within_classes"
    _MOST_ROUNDS = 64  # orders of one class in one epoch; of a class that is gone through more often they come again

    def _images(self, step: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        epoch, step_of_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
        places = self.steps_per_epoch * self.batch_size
        rounds = min(self._MOST_ROUNDS, -(-places // (self._classes * self._rarest)))
        place = tf.raw_ops.RandomIndexShuffle(
            index=step_of_epoch * self.batch_size + rows,
            seed=self._epoch_key(epoch),
            max_index=tf.constant(places - 1, tf.int64),
            rounds=_SHUFFLE_ROUNDS,
        )
        # Where the places are not a multiple of the classes, others get one more in the next epoch.
        each, rank = (place + epoch) % self._classes, place // self._classes
        counts = tf.gather(self._counts, each)
        keys = tf.random.stateless_uniform(
            [self._classes, rounds, 3], [self._draw_key, epoch], minval=None, maxval=None, dtype=tf.int64,
            alg=GENERATOR,
        )  # fmt: skip
        own = tf.gather_nd(keys, tf.stack([each, rank // counts % rounds], axis=1))
        within = tf.raw_ops.RandomIndexShuffle(
            index=rank % counts, seed=own, max_index=counts - 1, rounds=_SHUFFLE_ROUNDS
        )
        return tf.gather(self._by_class, tf.gather(self._starts, each) + within)


def step_numbers(start_step: int | tf.Tensor, num_steps: int | None) -> tf.data.Dataset:
    """Returns the data set of step numbers start_step, start_step + 1, ..., int64; None never ends.

    The first step of one that never ends can be an int64 tensor.

    Raises:
      ValueError: a negative number.
    """
    known = 0 if tf.is_tensor(start_step) else start_step
    if known < 0 or (num_steps is not None and num_steps < 0):
        raise ValueError(f"Batches from step {start_step}, {num_steps} of them, do not exist.")
    if num_steps is None:
        return tf.data.Dataset.counter(start_step)
    return tf.data.Dataset.range(start_step, start_step + num_steps)
