"""How suspect labels are, from what a training says of every sample. Nothing here imports TensorFlow."""

from __future__ import annotations

import numpy as np


def rank_suspects(mean_weight: np.ndarray, loss: np.ndarray, mean_probability: np.ndarray | None = None) -> np.ndarray:
    """Ranks samples by how suspect their labels are.

    Args:
      mean_weight: float [n]; NaN for a sample that was not visited, which is ranked as one of mean weight.
      loss: float [n], decides between equal weights: the higher, the more suspect. NaN counts as lowest.
      mean_probability: float [n] in [0, 1], of the given label over the training. If it is known it decides, and the
        others only between equal ones; a sample that was never visited (NaN) counts with exp(-loss).

    Returns:
      int64 [n], a permutation of 1..n; 1 is the most suspect. What is still tied keeps the given order.
    """
    mean_weight, loss = np.asarray(mean_weight, np.float64), np.asarray(loss, np.float64)
    if mean_weight.ndim != 1 or mean_weight.shape != loss.shape:
        raise ValueError(f"Weights {mean_weight.shape} and losses {loss.shape} must be one value a sample.")
    visited = np.isfinite(mean_weight)
    typical = float(mean_weight[visited].mean()) if visited.any() else 0.0
    weight = np.where(visited, mean_weight, typical)
    loss = np.where(np.isnan(loss), -np.inf, loss)
    keys = [-loss, weight]
    if mean_probability is not None and np.isfinite(mean_probability).any():
        if np.shape(mean_probability) != loss.shape:
            raise ValueError(
                f"Probabilities {np.shape(mean_probability)} and losses {loss.shape} must be one value a sample."
            )
        at_end = np.exp(-np.where(np.isfinite(loss), loss, 0.0))
        keys.append(np.where(np.isfinite(mean_probability), mean_probability, at_end))
    order = np.lexsort(keys)  # stable
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(1, order.size + 1)
    return rank
