"""What methods have in common that train on some samples of a batch: choosing them, and how often they are right.

Small losses are told from the large ones of wrong labels over the global batch (Co-teaching, Han et al., NeurIPS 2018,
alg. 1). Label precision is the share of right labels among the chosen, mean over batches, for each network (S2E, ICML
2020, fig. 5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.keep_schedule import KeepSchedule, is_moving
from mentornet.methods.replicas import gather, own_part, replicas
from mentornet.methods.shared_schedule import SharedSchedule
from mentornet.options import Option, RunFacts

KEEP_SCHEDULE = Option(
    "keep_schedule",
    None,
    "share R(t) of small losses that counts in epoch t: co_teaching:tau=0.5,epochs=10,exponent=1, constant:0.8, "
    "file:R.csv (a number an epoch; ,rescale or ,hold behind it if the training has another length), "
    "searched:FOLDER of a search, or asng:space=paper to search it while training; by default "
    "co_teaching with the injected share of noise as tau",
    source="Han et al. 2018, sec. 3",
)
DIVIDE_TWICE = Option(
    "divide_twice", False, "divide the mean loss by the number of its samples once more", release=True
)


class SelectingMethod(NoisyLabelMethod):
    """Base of the methods that choose samples; each network has a mean loss over the ones chosen for it.

    Args:
        student: see ``NoisyLabelMethod``.
        steps_per_epoch: batches that make an epoch, t of R(t).
        keep_schedule: R(t), see ``keep_schedule``; None: all samples count.
        divide_twice: divide the mean loss by the number of its samples once more, as the released codes do. Next to
            nothing changes under Adam; under SGD it is another learning rate.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a schedule that can't be read, or less than one step an epoch.
    """

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        steps_per_epoch: int = 1,
        keep_schedule: str | None = None,
        divide_twice: bool = False,
        **shared: Any,
    ):
        super().__init__(student, **shared)
        if steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch={steps_per_epoch} must be at least 1")
        assert self.max_steps is not None
        self.steps_per_epoch, self._divide_twice = int(steps_per_epoch), divide_twice
        self._epochs = math.ceil(self.max_steps / self.steps_per_epoch)
        self._moves = is_moving(keep_schedule)
        if self._moves:
            assert keep_schedule is not None
            self.shared_schedule = SharedSchedule(keep_schedule, self._epochs)
        else:
            rates = np.ones(self._epochs) if keep_schedule is None else KeepSchedule(keep_schedule).rates(self._epochs)
            self._fixed_rates = tf.constant(rates, tf.float64)
        self.label_precision = LabelPrecision(self.peers, self.statistics.clean_known)

    @property
    def keep_rates(self) -> tf.Tensor:
        """R of all epochs, float64 [epochs]."""
        return tf.convert_to_tensor(self.shared_schedule.rates) if self._moves else self._fixed_rates

    def evaluated(self, figures: Mapping[str, float]) -> None:
        if self._moves:
            self.shared_schedule.tell(figures[validation_column(self.peers)])

    @classmethod
    def metric_columns(cls) -> tuple[str, ...]:
        return (*super().metric_columns(), *LabelPrecision.columns(cls.peers))

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        text = options.get(KEEP_SCHEDULE.name)
        if text is not None and not text.startswith("file:"):
            KeepSchedule(text)

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        made = {**options, "steps_per_epoch": data.steps_per_epoch}
        if KEEP_SCHEDULE not in cls.OPTIONS or made.get("keep_schedule") is not None:
            return made
        if data.noise_fraction is None:
            raise ValueError(
                "the share of wrong labels is not known: give --keep_schedule=co_teaching:tau=SHARE, or another one"
            )
        release = ",release=1" if made.get("divide_twice") else ""
        return {**made, "keep_schedule": f"co_teaching:tau={data.noise_fraction:g}{release}"}

    def interval_statistics(self) -> list[keras.metrics.Metric]:
        return [*super().interval_statistics(), self.label_precision]

    def report(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.label_precision.result().items()}

    def kept(self, of: tf.Tensor) -> tf.Tensor:
        """int(R(t) n) of n samples, at least 1 of them, int32 scalar."""
        return tf.maximum(1, self.truncated(of))

    def truncated(self, of: tf.Tensor) -> tf.Tensor:
        """int(R(t) n) of n samples, int32 scalar; in float64, as Python does it: 0.29 of 100 samples are 28."""
        epoch = tf.minimum(self.step // self.steps_per_epoch, self._epochs - 1)
        return tf.cast(tf.gather(self.keep_rates, epoch) * tf.cast(of, tf.float64), tf.int32)

    def chosen_mean(self, losses: tf.Tensor, chosen: tf.Tensor, whole: tf.Tensor | bool = False) -> tf.Tensor:
        """The own share of the mean loss over the chosen of all replicas; 0 if there are none.

        Args:
            losses: float32 [b] of this replica.
            chosen: float32 [n] of the global batch, 1 for the chosen.
            whole: nothing was selected, the whole batch is trained on; such a mean is never divided twice.
        """
        count = tf.maximum(tf.reduce_sum(chosen), 1.0)
        mean = tf.reduce_sum(losses * own_part(chosen, losses)) / count
        return mean / tf.where(whole, 1.0, count) if self._divide_twice else mean

    def finish(
        self, batch: Batch, logits: list[tf.Tensor], losses: list[tf.Tensor], chosen: list[tf.Tensor]
    ) -> dict[str, Any]:
        """Books a batch; weights are the mean over the networks of what was chosen for each.

        Args:
            batch: of this replica.
            logits: float32 [b, C] of each network.
            losses: float32 [b] of each.
            chosen: float32 [n], of the global batch, for each.
        """
        known = self.statistics.clean_known and "is_clean" in batch
        is_clean = tf.cast(batch.get("is_clean", tf.ones_like(losses[0])), tf.float32)  # replicas gather no booleans
        self.label_precision.clean_known = known
        self.label_precision.update_state(tf.stack(chosen), gather(is_clean))
        weights = own_part(tf.add_n(chosen) / self.peers, losses[0])
        shown = Weighting(weights, weights, tf.constant(0.0))
        return self.finish_step(batch, tf.add_n(logits) / self.peers, tf.add_n(losses) / self.peers, shown)


def validation_column(peers: int) -> str:
    """The column of metrics.csv that a schedule is searched by: validation accuracy, the mean of several networks."""
    return "eval_validation_accuracy" + ("_peer_mean" if peers > 1 else "")


def smallest(losses: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """1 for the ``count`` smallest of losses [n], the earlier of two alike, else 0: float32 [n]."""
    rank = tf.argsort(tf.argsort(tf.stop_gradient(losses), stable=True), stable=True)
    return tf.cast(rank < count, tf.float32)


class LabelPrecision(keras.metrics.Metric):
    """Share of right labels among the chosen samples, mean over the batches in which there are any.

    Args:
        peers: networks that samples are chosen for.
        clean_known: whether "is_clean" means anything.
    """

    def __init__(self, peers: int, clean_known: bool = True, name: str = "label_precision"):
        super().__init__(name=name, dtype=tf.float32)
        self._peers, self.clean_known = peers, clean_known
        self.sums = self.add_weight(name="sums", shape=(2, peers), initializer="zeros")

    @staticmethod
    def columns(peers: int) -> tuple[str, ...]:
        """The names of the figures."""
        if peers == 1:
            return ("label_precision",)
        return tuple(f"label_precision_peer_{number}" for number in range(1, peers + 1))

    def update_state(self, chosen: tf.Tensor, is_clean: tf.Tensor) -> None:
        """Adds a global batch: chosen float32 [peers, n], is_clean bool or float32 [n]."""
        count = tf.reduce_sum(chosen, axis=1)
        right = tf.reduce_sum(chosen * tf.cast(is_clean, tf.float32), axis=1)
        any_chosen = tf.cast(count > 0, tf.float32)
        # A share a replica, because each of them sees the whole batch.
        self.sums.assign_add(tf.stack([right / tf.maximum(count, 1.0), any_chosen]) / replicas())

    def reset_state(self) -> None:
        self.sums.assign(tf.zeros([2, self._peers]))

    def result(self) -> dict[str, tf.Tensor]:
        """NaN where clean labels are not known, or nothing was chosen."""
        precision = self.sums[0] / self.sums[1] if self.clean_known else tf.fill([self._peers], float("nan"))
        return dict(zip(self.columns(self._peers), tf.unstack(precision), strict=True))
