"""What the student and optimiser flags come to: plain values, and the learning rates that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

_PAPER_SCHEDULES = {"inception": (120_000, (78_000,)), "cifarnet": (120_000, (78_000,))}
_PAPER_SCHEDULE = (39_000, (19_531, 25_000, 30_000))


@dataclass(frozen=True)
class StudentConfig:
    """Plain values of the student and optimiser flags, all defaults resolved.

    ``learning_rate_boundaries`` None are the paper's, for a length of training that is not known yet; they are epochs
    for methods that count in these.
    """

    name: str
    dropout_keep_probability: float
    weight_decay: float
    learning_rate: float
    learning_rate_decay_factor: float
    num_epochs_per_decay: float | None
    learning_rate_boundaries: tuple[int, ...] | None
    momentum: float
    auxiliary_head: bool = False
    learning_rate_schedule: str = "steps"
    optimizer: str = "sgd"
    linear_decay_epoch: float | None = None
    adam_beta1: float = 0.9
    adam_beta1_after_decay: float | None = None
    variant: str | None = None
    inverse_decay_epochs: float = 20.0
    cosine_epochs: float | None = None
    lowest_learning_rate: float = 0.0

    def boundaries(self, steps_per_epoch: float) -> tuple[int, ...]:
        """Steps at which the rate drops, once the number of steps an epoch is known."""
        if self.num_epochs_per_decay is None:
            return self.learning_rate_boundaries or ()
        every = self.num_epochs_per_decay * steps_per_epoch
        # Far more decays than any run needs; a rate below 1e-8 of the first changes nothing.
        return tuple(dict.fromkeys(max(1, round(every * k)) for k in range(1, 9)))

    def epoch_rates(self, num_epochs: int) -> tuple[float, ...]:
        """The rate in each epoch, of methods that count in epochs and whose boundaries are epochs."""
        return tuple(self._epoch_rate(epoch, num_epochs) for epoch in range(num_epochs))

    def _epoch_rate(self, epoch: int, num_epochs: int) -> float:
        if self.learning_rate_schedule == "cosine":
            lowest, length = self.lowest_learning_rate, self.cosine_epochs or num_epochs
            return lowest + (self.learning_rate - lowest) * (1.0 + math.cos(math.pi * epoch / length)) / 2.0
        if self.learning_rate_schedule == "linear":
            start = 0.4 * num_epochs if self.linear_decay_epoch is None else self.linear_decay_epoch
            if start >= num_epochs:
                raise ValueError(f"the linear decay starts in epoch {start:g}, but there are only {num_epochs}")
            return self.learning_rate * min(1.0, (num_epochs - epoch) / (num_epochs - start))
        if self.learning_rate_schedule == "inverse":
            return self.learning_rate * self.inverse_decay_epochs / (epoch + self.inverse_decay_epochs)
        if self.num_epochs_per_decay is None:
            drops = sum(epoch >= boundary for boundary in self.learning_rate_boundaries or ())
        else:
            drops = math.floor(epoch / self.num_epochs_per_decay)
        return self.learning_rate * self.learning_rate_decay_factor**drops


def default_boundaries(student: str, max_steps: int) -> tuple[int, ...]:
    """The paper's boundaries of a student's learning rate, scaled to a length of training."""
    length, boundaries = _PAPER_SCHEDULES.get(student, _PAPER_SCHEDULE)
    return tuple(dict.fromkeys(max(1, round(step * max_steps / length)) for step in boundaries))


def default_epoch_boundaries(num_epochs: int) -> tuple[int, ...]:
    """The epoch from which on the rate is a tenth, of methods that count in epochs: half of them (DivideMix)."""
    return (num_epochs // 2,) if num_epochs > 1 else ()
