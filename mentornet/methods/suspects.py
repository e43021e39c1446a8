"""Which training labels are most likely wrong, of a method that was used as a Keras model."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mentornet.ranking import rank_suspects


def ranked(method: Any, ordered: tf.data.Dataset) -> dict[str, np.ndarray]:
    """See ``KerasUse.suspects``.

    Args:
        method: a ``NoisyLabelMethod`` after its training.
        ordered: batches {"image", "label"} of all training samples in the order of their numbers.

    Raises:
        ValueError: no samples, or another number than ``num_examples``.
    """
    given, predicted, loss = [], [], []
    for batch in ordered:
        logits = method.student(batch["image"], training=False)
        given.append(batch["label"].numpy())
        predicted.append(np.argmax(logits.numpy(), axis=-1))
        loss.append(method.task.losses(batch["label"], logits).numpy())
    if not given:
        raise ValueError("there are no samples to rank")
    columns = {
        name: np.concatenate(parts) for name, parts in (("given", given), ("predicted", predicted), ("loss", loss))
    }
    count, tables = len(columns["given"]), method.sample_tables
    if tables is not None and count != method.num_examples:
        raise ValueError(f"there are {count:,} samples, but num_examples={method.num_examples:,} were trained on")
    unknown = np.full(count, np.nan)
    columns["weight"] = unknown if tables is None else tables.mean_weights()
    columns["mean_probability"] = unknown if tables is None else tables.mean_probabilities()
    by = None if method.weights_rank_suspects else columns["mean_probability"]
    rank = rank_suspects(columns["weight"], columns["loss"], by)
    order = np.argsort(rank)
    return {"rank": rank[order], "index": order, **{name: values[order] for name, values in columns.items()}}
