"""The training statistics against NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from mentornet.methods.statistics import PseudoLabelStatistics, WeightStatistics


def test_means_and_separation_over_batches():
    rng = np.random.default_rng(0)
    metric = WeightStatistics()
    losses, weights, curriculum, correct, clean, rates = [], [], [], [], [], []
    for rate in (0.5, 0.1, 0.1):
        loss, is_clean = rng.gamma(2.0, size=64).astype(np.float32), rng.random(64) < 0.6
        v = np.clip(rng.normal(0.3 + 0.4 * is_clean, 0.3), 0, 1).astype(np.float32)
        used = v * (rng.random(64) >= rate)
        hit = rng.random(64) < 0.5
        metric.update_state(*map(tf.constant, (loss, used, hit, is_clean, v)), tf.constant(rate))
        for store, value in zip(
            (losses, weights, curriculum, correct, clean), (loss, used, v, hit, is_clean), strict=True
        ):
            store.append(value)
        rates.append(rate)
    loss, used, v, hit, is_clean = map(np.concatenate, (losses, weights, curriculum, correct, clean))
    found = {name: float(value) for name, value in metric.result().items()}
    kept = used > 0.001
    assert found == pytest.approx(
        {
            "raw_loss": loss.mean(),
            "weighted_loss": (used * loss).mean(),
            "train_accuracy": hit.mean(),
            "weight_sum": used.sum() / 3,
            "data_utilisation": kept.mean(),
            "drop_rate": np.mean(rates),
            # Weights fall into 256 bins; ties inside a bin count half, so it is exact to about a bin's width.
            "weights_auc": roc_auc_score(is_clean, v),
            "kept_precision": is_clean[kept].mean(),
            "weight_mean_clean": v[is_clean].mean(),
            "weight_mean_wrong": v[~is_clean].mean(),
        },
        abs=2e-3,
    )


def test_binary_weights_give_the_exact_area():
    clean = np.array([1, 1, 1, 0, 0, 1, 0, 1], bool)
    v = np.array([1, 1, 0, 0, 1, 1, 0, 1], np.float32)
    metric = WeightStatistics()
    metric.update_state(tf.ones([8]), tf.constant(v), tf.constant(clean), tf.constant(clean), tf.constant(v), 0.0)
    assert float(metric.result()["weights_auc"]) == pytest.approx(roc_auc_score(clean, v), abs=1e-6)


def test_unknown_clean_labels_give_no_separation():
    metric = WeightStatistics(clean_known=False)
    ones = tf.ones([4])
    metric.update_state(ones, ones, ones > 0, ones > 0, ones, 0.0)
    result = {name: float(value) for name, value in metric.result().items()}
    assert np.isnan([result[n] for n in ("weights_auc", "kept_precision", "weight_mean_clean")]).all()
    assert result["raw_loss"] == 1.0


def test_reset_forgets_everything():
    metric = WeightStatistics()
    ones = tf.ones([4])
    metric.update_state(5 * ones, ones, ones > 0, ones > 0, ones, 0.0)
    metric.reset_state()
    metric.update_state(ones, ones, ones > 0, ones > 0, ones, 0.0)
    assert float(metric.result()["raw_loss"]) == 1.0


def test_pseudo_label_weights_over_batches():
    """Means, and the separation by alpha / (alpha + beta) and by alpha + beta, whose ties in a bin count half."""
    rng = np.random.default_rng(1)
    metric, batches = PseudoLabelStatistics(largest_weight=16.0), []
    for _ in range(3):
        is_clean = rng.random(400) < 0.6
        alpha, beta = (rng.gamma(shape, size=400).astype(np.float32) for shape in (1 + 2 * is_clean, 2 - is_clean))
        alpha[:40] = beta[:20] = 0
        metric.update_state(*map(tf.constant, (alpha, beta, is_clean)))
        batches.append((alpha, beta, is_clean))
    alpha, beta, is_clean = map(np.concatenate, zip(*batches, strict=True))
    both = alpha + beta
    share = np.divide(alpha, both, out=np.full_like(alpha, 0.5), where=both > 0)
    found = {name: float(value) for name, value in metric.result().items()}
    assert tuple(found) == PseudoLabelStatistics.COLUMNS
    assert found == pytest.approx(
        {
            "pseudo_weight_sum": beta.sum() / 3,
            "pseudo_weight_mean_clean": beta[is_clean].mean(),
            "pseudo_weight_mean_wrong": beta[~is_clean].mean(),
            "given_share_auc": roc_auc_score(is_clean, share),
            "both_weights_auc": roc_auc_score(is_clean, both),
        },
        rel=1e-3,
    )
    assert found["given_share_auc"] > found["both_weights_auc"] + 0.1 > 0.6
    metric.reset_state()
    metric.clean_known = False
    metric.update_state(tf.ones([4]), 2 * tf.ones([4]), tf.ones([4], tf.bool))
    found = {name: float(value) for name, value in metric.result().items()}
    assert found["pseudo_weight_sum"] == 8
    assert np.isnan([value for name, value in found.items() if name != "pseudo_weight_sum"]).all()
