"""What a training says of every sample: how probable its given label was, and its weight, over all steps that met it.

The probability of the given label, averaged over the training, tells wrong labels better than the loss at its end,
because wrong labels are learned late and, once memorised, have losses as small as the others (Arpit et al., ICML 2017;
Pleiss et al., NeurIPS 2020, average margins for the same reason, and Swayamdipta et al., EMNLP 2020, probabilities).
The student has computed it anyway.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mentornet.methods.replicas import add_to_rows, summed_variable


class SampleTables(tf.Module):
    """Sums over the steps of a training, by sample.

    Args:
        num_examples: n.

    Attributes:
        probabilities: float32 [n], sum of the probabilities of the given label.
        weights: float32 [n], sum of the weights, before example dropout.
        visits: float32 [n], how often each sample was in a batch.
    """

    def __init__(self, num_examples: int):
        super().__init__(name="sample_tables")
        self.probabilities = summed_variable(tf.zeros([num_examples]), "probability_totals")
        self.weights = summed_variable(tf.zeros([num_examples]), "all_weight_totals")
        self.visits = summed_variable(tf.zeros([num_examples]), "visits")

    def book(self, index: tf.Tensor, losses: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds a batch: positions int [b], cross-entropies of the given labels and weights float32 [b]."""
        for table, values in (
            (self.probabilities, tf.exp(-losses)),
            (self.weights, weights),
            (self.visits, tf.ones_like(losses)),
        ):
            add_to_rows(table, index, values)

    def mean_probabilities(self) -> np.ndarray:
        """float64 [n] in [0, 1], of the given label; NaN of samples that were never met."""
        return self._mean(self.probabilities)

    def mean_weights(self) -> np.ndarray:
        """float64 [n], over the whole training; NaN of samples that were never met."""
        return self._mean(self.weights)

    def _mean(self, table: tf.Variable) -> np.ndarray:
        total, visits = (tf.convert_to_tensor(values).numpy().astype(np.float64) for values in (table, self.visits))
        mean: np.ndarray = np.divide(total, visits, out=np.full(len(visits), np.nan), where=visits > 0)
        return mean
