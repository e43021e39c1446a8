"""What students predict: the losses, hits and evaluation metrics that follow from it.

A task folds over sites: with targets [b, *sites] and logits [b, *sites, C], losses, weights and hits are [b, *sites].
Classification has no sites; a task with a class a pixel has (h, w).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


def per_sample_cross_entropy(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy on one-hot labels (ICML eq. 1) of labels [b, *sites], logits [..., C]: [b, *sites]."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=tf.cast(logits, tf.float32))


def folded(values: tf.Tensor) -> tf.Tensor:
    """Values [b, *sites] as a list [b * sites], for what counts entries alike."""
    return values if values.shape.rank == 1 else tf.reshape(values, [-1])


def per_sample(values: tf.Tensor) -> tf.Tensor:
    """Values [b, *sites] as their means over the sites, [b]."""
    return values if values.shape.rank == 1 else tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))


def peer_columns(peers: int) -> tuple[str, ...]:
    """What an evaluation of several networks says of each of them, and of their mean."""
    if peers == 1:
        return ()
    return (*(f"accuracy_peer_{number}" for number in range(1, peers + 1)), "accuracy_peer_mean")


class Classification:
    """A class an image: targets int [b], logits [b, C]. ``mentornet.segmentation.Segmentation`` has a class a pixel.

    Args:
        peers: networks whose accuracy is reported one by one, beside their ensemble's.
    """

    sites = False

    def __init__(self, peers: int = 1):
        self.loss = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        self.top5 = keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5")
        names = peer_columns(peers)[:peers]
        self.of_peers = [keras.metrics.SparseCategoricalAccuracy(name=name) for name in names]

    def losses(self, target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The loss of every entry, float32 [b, *sites]."""
        return per_sample_cross_entropy(target, logits)

    def correct(self, target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Whether the prediction equals the target, bool [b, *sites]."""
        return tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.cast(target, tf.int32))

    def metrics(self) -> list[keras.metrics.Metric]:
        """What an evaluation adds up."""
        return [self.loss, self.accuracy, self.top5, *self.of_peers]

    def results(self) -> dict[str, float]:
        """The figures of an evaluation by name."""
        found = {metric.name: float(metric.result()) for metric in self.metrics()}
        if self.of_peers:
            found["accuracy_peer_mean"] = sum(found[metric.name] for metric in self.of_peers) / len(self.of_peers)
        return found

    def evaluate(
        self,
        target: tf.Tensor,
        logits: tf.Tensor,
        of_peers: list[tf.Tensor] | None = None,
        index: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch to the evaluation; rows with a negative target only fill it up and don't count."""
        del index
        counted, target = target >= 0, tf.maximum(target, 0)
        self.loss.update_state(self.losses(target, logits), sample_weight=counted)
        for metric, answered in self._answers(logits, of_peers or []):
            metric.update_state(target, answered, sample_weight=counted)

    def _answers(self, logits: tf.Tensor, of_peers: list[tf.Tensor]) -> list[tuple[Any, tf.Tensor]]:
        return [(self.accuracy, logits), (self.top5, logits), *zip(self.of_peers, of_peers, strict=True)]
