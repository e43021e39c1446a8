"""What a training run is given: batches from any step on, an evaluation set, and the labels it trains on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class TrainingInputs:
    """The data of one run, as plain callables and arrays.

    Attributes:
        batches: (start_step, num_steps) -> data set of batches; any step can be the first, so that a resumed run sees
            exactly what an uninterrupted one would. Where several processes train together, this one's part of each.
        evaluation: clean test samples in order, {"image", "label", "index"}; the last batch may be smaller. Where
            several processes train together, every k-th sample, so that each evaluates its share.
        training_in_order: the training samples, not augmented, in order of their index.
        given: int32 [n], labels trained on.
        clean: int32 [n], true labels where known; for reports only.
        original_index: int64 [n], position in the full data set.
        class_names: a name a class.
        pictures: positions [k] -> k uint8 images for the sheet of suspects.
        label_facts: where the labels come from (noise type, fraction, seed), saved beside them.
        clean_set: int64 [k] and int32 [k], index and true label of each sample of a clean set, saved with the labels.
        paths: positions [k] -> names of the files of these training samples, for reports; None if they have none.
        evaluation_examples: samples of the whole evaluation, over all processes; needed by several replicas.
        worker_stream: first step (int64 tensor, up to 2**40) -> the endless batches from there on; traced here and run
            on asynchronous workers, which alone need it.
        batches_beside: positions of training samples -> ``batches`` with these as the clean samples beside each batch.
        holdout: noisy samples kept back to choose the best step, {"image", "label", "index"}.
        holdout_criterion: "loss" or "accuracy" of the hold-out; see ``early_stopping``.
        more_evaluations: further test sets by name: batches as ``evaluation``, and how many samples all processes have.
        check: called now and then while training; raises ValueError where too much of the data can't be read.
    """

    batches: Callable[[int, int], tf.data.Dataset]
    evaluation: tf.data.Dataset
    training_in_order: tf.data.Dataset
    given: np.ndarray
    clean: np.ndarray | None
    original_index: np.ndarray
    class_names: Sequence[str]
    pictures: Callable[[np.ndarray], np.ndarray | Sequence[np.ndarray]]
    label_facts: dict[str, Any] = field(default_factory=dict)
    clean_set: tuple[np.ndarray, np.ndarray] | None = None
    paths: Callable[[np.ndarray], Sequence[str] | None] = lambda _: None
    evaluation_examples: int | None = None
    worker_stream: Callable[[tf.Tensor], tf.data.Dataset] | None = None
    batches_beside: Callable[[np.ndarray], Callable[[int, int], tf.data.Dataset]] | None = None
    holdout: tf.data.Dataset | None = None
    holdout_criterion: str = "loss"
    more_evaluations: Mapping[str, tuple[tf.data.Dataset, int]] = field(default_factory=dict)
    check: Callable[[], None] = lambda: None

    def evaluations(self) -> dict[str, TrainingInputs]:
        """These inputs by the prefix of their columns in metrics.csv: "eval", and "eval_<name>" for more of them."""
        more = {
            f"eval_{name}": replace(self, evaluation=batches, evaluation_examples=examples)
            for name, (batches, examples) in self.more_evaluations.items()
        }
        return {"eval": self, **more}


@dataclass(frozen=True)
class RunSettings:
    """How a run proceeds; nothing here changes its result but the two step counts.

    Attributes:
        max_steps: steps in all.
        eval_every_steps: steps between two rows of metrics.csv (evaluation, checkpoint).
        evaluate: False leaves the evaluation columns empty.
        save_interval_secs: least time between two checkpoints; the end is always saved.
        save_summaries_secs: least time between two TensorBoard entries.
        keep_checkpoints: how many checkpoints stay.
        jit_compile: compile the step with XLA.
        steps_per_execution: steps run by one call of the compiled training function.
        progress: print the progress line.
    """

    max_steps: int
    eval_every_steps: int
    evaluate: bool = True
    save_interval_secs: float = 0.0
    save_summaries_secs: float = 0.0
    keep_checkpoints: int = 2
    jit_compile: bool = False
    steps_per_execution: int = 10
    progress: bool = True

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.eval_every_steps < 1:
            raise ValueError(f"a run needs at least one step and one step an interval, got {self}")
