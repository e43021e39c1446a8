"""Random weights: a new rectified Gaussian in every step (L2RW, eq. 16), the baseline that learns nothing.

w_i = max(z_i, 0) / sum of all, z_i standard normal. Half of the samples are left out at random.
"""

from __future__ import annotations

import tensorflow as tf

from mentornet.features import random_seed
from mentornet.methods.base import Weighting
from mentornet.methods.replicas import gather, own_part
from mentornet.methods.standard import Standard
from mentornet.methods.weights import normalised


class RandomWeights(Standard):
    """Rectified Gaussian weights; reported times the batch size, so that their mean is 1."""

    largest_weight = 16.0

    def weigh(self, losses: tf.Tensor, label: tf.Tensor) -> Weighting:
        size = tf.shape(gather(losses))[0]
        drawn = tf.nn.relu(tf.random.stateless_normal([size], random_seed(self.seed, "drawn_weights", self.step)))
        weights = tf.cast(size, tf.float32) * normalised(drawn, tf.reduce_sum(drawn))
        own = own_part(weights, losses)
        return Weighting(own, own, tf.constant(0.0))
