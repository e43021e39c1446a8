"""What a training run is given: the streams of its data, an evaluation set, and the labels it trains on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from mentornet.stages import Stream, Streams
from mentornet.training.progress import Heartbeat


class StreamSource(Protocol):
    """What makes batches of streams: ``data.streams.MemoryStreams``, or of images on the disk ``DiskStreams``."""

    def steps(self, stream: Stream) -> int:
        """How many batches one pass over a stream has."""

    def dataset(
        self, streams: Streams, start_step: Any, num_steps: int | None, stage: int | None = None
    ) -> tf.data.Dataset:
        """Batches from any step on, so that a resumed run sees exactly what an uninterrupted one would.

        Args:
            streams: of a stage.
            start_step: the first; an int64 tensor (up to 2**40) if the batches never end, on asynchronous workers.
            num_steps: how many; None never ends.
            stage: gives the random numbers of a stage of its own; None: those of the run.

        Returns:
            Batches; where several processes train together, this one's part of each.
        """


@dataclass(frozen=True)
class TrainingInputs:
    """The data of one run, as plain callables and arrays.

    Attributes:
        streams: makes the batches.
        evaluation: clean test samples in order, {"image", "label", "index"}; the last batch may be smaller. Where
            several processes train together, every k-th sample, so that each evaluates its share.
        ordered: positions int64 [k] -> these training samples, not augmented, in that order; None: all of them.
        given: int32 [n], labels trained on.
        clean: int32 [n], true labels where known; for reports only.
        original_index: int64 [n], position in the full data set.
        class_names: a name a class.
        pictures: positions [k] -> k uint8 images for the sheet of suspects.
        label_facts: where the labels come from (noise type, fraction, seed), saved beside them.
        clean_set: int64 [k] and int32 [k], index and true label of each sample of a clean set, saved with the labels.
        paths: positions [k] -> names of the files of these training samples, for reports; None if they have none.
        evaluation_examples: samples of the whole evaluation, over all processes; needed by several replicas.
        holdout: noisy samples kept back to choose the best step, {"image", "label", "index"}.
        holdout_criterion: "loss" or "accuracy" of the hold-out; see ``early_stopping``.
        more_evaluations: further test sets by name: batches as ``evaluation``, and how many samples all processes have.
        evaluated_examples: how many samples of the evaluation could be read, as of the last ``check``; default: all.
        judged_by_given: whether the labels of the evaluation are given ones, of which some are wrong.
        masks: where a class a pixel is predicted, what is reported of masks; ``given`` then says which slices have any
            foreground.
        check: called now and then while training; raises ValueError where too much of the data can't be read.
    """

    streams: StreamSource
    evaluation: tf.data.Dataset
    ordered: Callable[[np.ndarray | None], tf.data.Dataset]
    given: np.ndarray
    clean: np.ndarray | None
    original_index: np.ndarray
    class_names: Sequence[str]
    pictures: Callable[[np.ndarray], np.ndarray | Sequence[np.ndarray]]
    label_facts: dict[str, Any] = field(default_factory=dict)
    clean_set: tuple[np.ndarray, np.ndarray] | None = None
    paths: Callable[[np.ndarray], Sequence[str] | None] = lambda _: None
    evaluation_examples: int | None = None
    holdout: tf.data.Dataset | None = None
    holdout_criterion: str = "loss"
    more_evaluations: Mapping[str, tuple[tf.data.Dataset, int]] = field(default_factory=dict)
    evaluated_examples: Callable[[], int | None] = lambda: None
    masks: Any = None
    check: Callable[[], None] = lambda: None
    judged_by_given: bool = False

    def evaluations(self) -> dict[str, TrainingInputs]:
        """These inputs by the prefix of their columns in metrics.csv: "eval", and "eval_<name>" for more of them."""
        more = {
            f"eval_{name}": replace(self, evaluation=batches, evaluation_examples=examples)
            for name, (batches, examples) in self.more_evaluations.items()
        }
        return {"eval": self, **more}


@dataclass(frozen=True)
class RunSettings:
    """How a run proceeds; nothing here changes its result but the two step counts and the rates.

    Attributes:
        max_steps: steps in all; None where the method counts in stages.
        eval_every_steps: steps between two rows of metrics.csv (evaluation, checkpoint).
        evaluate: False leaves the evaluation columns empty.
        save_interval_secs: least time between two checkpoints; the end is always saved.
        save_summaries_secs: least time between two TensorBoard entries.
        keep_checkpoints: how many checkpoints stay.
        jit_compile: compile the step with XLA.
        steps_per_execution: steps run by one call of the compiled training function.
        progress: print the progress line.
        dumps_at: percents of the training at whose first row the losses of all samples are written, see ``dumps``.
        heartbeat: tells what takes long; None: nobody does.
        rates: the learning rate in each epoch, where the method counts in epochs; None: the optimiser knows it.
    """

    max_steps: int | None
    eval_every_steps: int
    evaluate: bool = True
    save_interval_secs: float = 0.0
    save_summaries_secs: float = 0.0
    keep_checkpoints: int = 2
    jit_compile: bool = False
    steps_per_execution: int = 10
    progress: bool = True
    rates: tuple[float, ...] | None = None
    heartbeat: Heartbeat | None = None
    dumps_at: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if (self.max_steps is not None and self.max_steps < 1) or self.eval_every_steps < 1:
            raise ValueError(f"a run needs at least one step and one step an interval, got {self}")
