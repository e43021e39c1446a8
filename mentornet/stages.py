"""Stages and streams: what a method asks of the engine and of the data, as plain values.

A training is a sequence of stages. In a stage the data stays the same, and one compiled step runs over batches that the
data makes of the stage's streams. Between two stages a method may look at the whole training set and choose other
streams: which samples, how many a step, how many augmented views of each, which values come along.

A batch is one flat dictionary. The stream "given" brings "image", "label", "index" and its values by their own names;
every other stream brings the same with its name in front, as in "clean_image".
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

GIVEN = "given"
"""The stream whose names in a batch have nothing in front."""

VIEWS = ("weak", "strong", "simclr", "none")
"""weak: the run's augmentation. strong: AutoAugment's policy as well. simclr: for contrastive learning, resized crops
and distorted colours instead. none: standardised only, as in evaluation."""


@dataclass(frozen=True)
class Stage:
    """A stretch of training in which the data stays the same.

    Attributes:
        kind: the step is compiled once for each kind, so ``train_step`` may ask ``self.stage.kind`` in plain Python.
        number: how many stages came before.
        steps: its length. The streams go on where the training is: step t of the run has the same batch whatever stages
            lie before. None: one pass over the first stream, in an order of this stage's own, counted from its start.
        record: whether there is a row of metrics.csv at its end, and none inside. None: rows go by the run's interval.
        epoch: which epoch of the training it belongs to, of methods that count in epochs; the learning rate goes by it.
    """

    kind: Hashable = "train"
    number: int = 0
    steps: int | None = None
    record: bool | None = None
    epoch: int | None = None


@dataclass(frozen=True, eq=False)
class Stream:
    """Which samples a stage reads, and how.

    Attributes:
        positions: bool [n] or int64 [k], among the n samples of the source; None: all. If k < size, they are repeated.
        size: samples a step in all replicas; None: the run's batch size (of its clean samples for the source "clean").
        views: one augmented view a name, see ``VIEWS``. One: images [b, h, w, c]; k of them: [b, k, h, w, c].
        values: further arrays [n, ...] by name, of which a batch gets the rows of its samples.
        source: "training", or "clean" for the clean set.
        balanced: every given class is equally likely, with repetitions; None: as the run's flags say.
    """

    positions: np.ndarray | None = None
    size: int | None = None
    views: tuple[str, ...] = ("weak",)
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    source: str = "training"
    balanced: bool | None = None

    def __post_init__(self) -> None:
        unknown = [view for view in self.views if view not in VIEWS]
        if unknown or not self.views:
            raise ValueError(f"views={self.views}: give at least one of {', '.join(VIEWS)}")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size={self.size}: a stream has at least one sample a step")


Streams = Mapping[str, Stream]
"""The streams of a stage by name, the one that sets the length of a pass first."""


class TrainingSet(Protocol):
    """The training samples as a method may look at them between stages, outside any distribution strategy.

    Attributes:
        given: int32 [n], the labels trained on.
        folder: the run folder, of the process that writes it; None in the others.
        tells_clean: scores [n], or [k] of the samples at positions int64 [k] -> the area under the ROC curve with which
            they tell right from wrong labels, NaN where that is not known; a diagnostic.
    """

    given: np.ndarray
    folder: Path | None

    def tells_clean(self, scores: np.ndarray, positions: np.ndarray | None = None) -> float: ...

    def outputs(self, network: Any, positions: np.ndarray | None = None) -> Any:
        """What a network answers, in inference mode and not augmented; see ``training.evaluation.SampleOutputs``.

        Args:
            network: images -> logits; all processes of a run have to ask at the same point.
            positions: int64 [k]; None: all n samples.
        """
