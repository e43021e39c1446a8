"""What a training reports about its weights: Keras metrics, cheap enough for every step.

Sums over samples only, so that replicas add up; ``is_clean`` is a diagnostic and never reaches the update.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.replicas import replicas

USED_ABOVE = 0.001
"""A sample counts as used when its weight exceeds this (data utilisation, spec sec. 3)."""

_BINS = 256
_FIELDS = (
    "samples",
    "raw_loss",
    "weighted_loss",
    "train_accuracy",
    "weight",
    "used",
    "drop_rate",
    "clean",
    "weight_clean",
    "weight_wrong",
    "used_clean",
)


class WeightStatistics(keras.metrics.Metric):
    """Means over an evaluation interval, and how well the weights separate clean from wrong labels.

    The area under the ROC curve is taken over a histogram of ``_BINS`` weights (ties count half), of the weights
    before example dropout, because dropping at random says nothing of the curriculum; ``kept_precision`` is the share
    of clean labels among the samples used after it.

    Args:
        clean_known: whether "is_clean" means anything.
        largest_weight: upper end of the histogram; weights above it count as alike.
        many: batches are of thousands of entries, pixels: counts in another way, with the same result.
    """

    def __init__(
        self,
        clean_known: bool = True,
        largest_weight: float = 1.0,
        many: bool = False,
        name: str = "statistics",
    ):
        super().__init__(name=name, dtype=tf.float32)
        self._place = _counted if many else _placed
        self.clean_known = clean_known
        self.largest_weight = largest_weight
        self.totals = self.add_weight(name="totals", shape=(len(_FIELDS),), initializer="zeros")
        self.histogram = self.add_weight(name="histogram", shape=(2, _BINS), initializer="zeros")
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros")

    def update_state(
        self,
        losses: tf.Tensor,
        weights: tf.Tensor,
        correct: tf.Tensor,
        is_clean: tf.Tensor,
        curriculum_weights: tf.Tensor,
        drop_rate: tf.Tensor,
    ) -> None:
        """Adds one batch.

        Args:
            losses: float32 [b], unweighted.
            weights: float32 [b], as used in the update.
            correct: bool [b], prediction equals the given label.
            is_clean: bool [b], given label equals the true one; ignored unless ``clean_known``.
            curriculum_weights: float32 [b], before example dropout.
            drop_rate: float32 scalar.
        """
        clean = tf.cast(is_clean, tf.float32)
        used = tf.cast(weights > USED_ABOVE, tf.float32)
        ones = tf.ones_like(losses)
        columns = [
            ones,
            losses,
            weights * losses,
            tf.cast(correct, tf.float32),
            weights,
            used,
            ones * tf.cast(drop_rate, tf.float32),
            clean,
            curriculum_weights * clean,
            curriculum_weights * (1.0 - clean),
            used * clean,
        ]
        self.totals.assign_add(tf.reduce_sum(tf.stack(columns), axis=1))
        self.histogram.assign_add(self._place(curriculum_weights / self.largest_weight, clean))
        # A share a replica, so that the sum over replicas counts global batches.
        self.steps.assign_add(1.0 / replicas())

    def reset_state(self) -> None:
        _reset(self)

    def result(self) -> dict[str, tf.Tensor]:
        """Scalars named as the columns of metrics.csv; NaN where clean labels are not known."""
        total = dict(zip(_FIELDS, tf.unstack(self.totals), strict=True))
        samples = total["samples"]
        values = {
            "raw_loss": total["raw_loss"] / samples,
            "weighted_loss": total["weighted_loss"] / samples,
            "train_accuracy": total["train_accuracy"] / samples,
            "weight_sum": total["weight"] / self.steps,
            "data_utilisation": total["used"] / samples,
            "drop_rate": total["drop_rate"] / samples,
        }
        diagnostics = {
            "weights_auc": _area(self.histogram),
            "kept_precision": total["used_clean"] / total["used"],
            "weight_mean_clean": total["weight_clean"] / total["clean"],
            "weight_mean_wrong": total["weight_wrong"] / (samples - total["clean"]),
        }
        unknown = tf.constant(float("nan"))
        return values | {name: value if self.clean_known else unknown for name, value in diagnostics.items()}


class PseudoLabelStatistics(keras.metrics.Metric):
    """What L2B says about the weights of its pseudo labels, over an evaluation interval.

    Samples are told apart by their given label, right or wrong. Beside the weight alpha of the given label, which
    ``WeightStatistics`` has, two more figures might tell these apart: its share alpha / (alpha + beta), and
    alpha + beta.

    Args:
        clean_known, largest_weight, many: see ``WeightStatistics``; the second for alpha + beta.
    """

    COLUMNS = (
        "pseudo_weight_sum",  # mean over batches of the sum of beta
        "pseudo_weight_mean_clean",
        "pseudo_weight_mean_wrong",
        "given_share_auc",
        "both_weights_auc",
    )

    def __init__(
        self,
        clean_known: bool = True,
        largest_weight: float = 1.0,
        many: bool = False,
        name: str = "pseudo_label_statistics",
    ):
        super().__init__(name=name, dtype=tf.float32)
        self._place = _counted if many else _placed
        self.clean_known = clean_known
        self.largest_weight = largest_weight
        self.totals = self.add_weight(name="totals", shape=(4,), initializer="zeros")
        self.histograms = self.add_weight(name="histograms", shape=(2, 2, _BINS), initializer="zeros")
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros")

    def update_state(self, given_weights: tf.Tensor, pseudo_weights: tf.Tensor, is_clean: tf.Tensor) -> None:
        """Adds one batch: alpha and beta, float32 [b], times the batch size; is_clean bool [b]."""
        clean = tf.cast(is_clean, tf.float32)
        wrong = 1.0 - clean
        columns = [clean, wrong, pseudo_weights * clean, pseudo_weights * wrong]
        self.totals.assign_add(tf.reduce_sum(tf.stack(columns), axis=1))
        both = (given_weights + pseudo_weights) / self.largest_weight
        scores = (given_share(given_weights, pseudo_weights), both)
        self.histograms.assign_add(tf.stack([self._place(score, clean) for score in scores]))
        self.steps.assign_add(1.0 / replicas())

    def reset_state(self) -> None:
        _reset(self)

    def result(self) -> dict[str, tf.Tensor]:
        """Scalars named as ``COLUMNS``; NaN where clean labels are not known."""
        clean, wrong, of_clean, of_wrong = tf.unstack(self.totals)
        diagnostics = (of_clean / clean, of_wrong / wrong, _area(self.histograms[0]), _area(self.histograms[1]))
        unknown = tf.constant(float("nan"))
        known = [value if self.clean_known else unknown for value in diagnostics]
        return dict(zip(self.COLUMNS, [(of_clean + of_wrong) / self.steps, *known], strict=True))


def given_share(given_weights: tf.Tensor, pseudo_weights: tf.Tensor) -> tf.Tensor:
    """alpha / (alpha + beta), elementwise; 1/2 where both are 0."""
    both = given_weights + pseudo_weights
    return tf.where(both > 0, given_weights / tf.where(both > 0, both, 1.0), 0.5)


def _placed(scores: tf.Tensor, clean: tf.Tensor) -> tf.Tensor:
    """Histograms [2, bins] of scores in [0, 1], float32 [b], of the clean (1) and of the wrong (0) samples."""
    return tf.matmul(tf.stack([clean, 1.0 - clean]), tf.one_hot(_bins(scores), _BINS))


def _counted(scores: tf.Tensor, clean: tf.Tensor) -> tf.Tensor:
    """The same without a row of bins an entry, which would be gigabytes for the pixels of a batch."""
    counts = tf.math.unsorted_segment_sum(tf.stack([clean, 1.0 - clean], axis=1), _bins(scores), _BINS)
    return tf.transpose(counts)


def _bins(scores: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(scores, 0.0, 1.0) * (_BINS - 1) + 0.5, tf.int32)


def _area(histogram: tf.Tensor) -> tf.Tensor:
    """The area under the ROC curve of histograms [2, bins]: how often a clean score exceeds a wrong one."""
    clean, wrong = histogram[0], histogram[1]
    wrong_below = tf.cumsum(wrong, exclusive=True)
    pairs = tf.reduce_sum(clean) * tf.reduce_sum(wrong)
    return tf.reduce_sum(clean * (wrong_below + 0.5 * wrong)) / pairs


def _reset(metric: keras.metrics.Metric) -> None:
    for variable in metric.variables:
        variable.assign(tf.zeros(variable.shape, variable.dtype))  # reading it would communicate
