"""What a method says of itself: to the command line, to the engine between stages, and to the data about a stage.

Everything here has a default, which makes a method of one student and one stage over the given labels; a method
replaces what differs. The engine is ``mentornet.training.loop``, the data ``data.streams``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mentornet.options import Option, RunFacts
from mentornet.stages import GIVEN, Stage, Stream, Streams, TrainingSet
from mentornet.task import peer_columns

CLEAN_SET = "clean_set"
"""In ``NEEDS``: a stream "clean" of samples whose labels are right."""


class MethodProtocol:
    """The seams between a method and everything around it.

    Attributes:
        peers: how many students it trains, each with an optimiser of its own.
        OPTIONS: what can be chosen on the command line.
        NEEDS: what the data must have, ``CLEAN_SET`` for one.
        clean_sources: where the clean samples may come from, by the names of --clean_source.
        READS_GIVEN: whether the noisy samples are looked at.
        uses_labels: False where what is learned for later knows no label, so that nobody asks for its suspects.
        shown_loss: the column of metrics.csv that the progress line shows; if not the loss of the given labels, one of
            ``report``.
        largest_weight: weights above it count as alike in the area under the ROC curve.
        takes_auxiliary_head: the method trains students with an auxiliary head, too (see ``mentornet.inspection``).
        weighs_sites: it treats every pixel of a mask as a sample, so it can segment; a class says it for itself alone.
        weight_maps: of masks, which weights of pixels are shown at the end: "given", or "both" kinds of labels'.
        divergence_advice: what to do when the loss has diverged, half a sentence.
        report_columns: what ``report`` adds to the columns of metrics.csv that all methods have.
        VIEWS: of a sample beside the usual one; others than "weak" exist for images in memory only.
        RELEASE: (flag, value) of other flags under --preset=release, where this method's code differs.
        counts_epochs: its length is a number of epochs, whose steps follow from what it finds: no ``max_steps``, but
            ``num_epochs`` and ``total_stages``, and every stage says its epoch.
        total_stages: how many stages there are, of methods that count in these; else None.
        weights_rank_suspects: its weights tell wrong labels better than the mean probabilities of given labels do.
    """

    peers = 1
    OPTIONS: tuple[Option, ...] = ()
    NEEDS: frozenset[str] = frozenset()
    clean_sources: tuple[str, ...] = ("set",)
    READS_GIVEN = True
    uses_labels = True
    shown_loss = "raw_loss"
    largest_weight = 1.0
    takes_auxiliary_head = False
    weighs_sites = False
    weight_maps: str | None = None
    divergence_advice = "a lower --learning_rate usually helps"
    report_columns: tuple[str, ...] = ()
    VIEWS: tuple[str, ...] = ("weak",)
    RELEASE: tuple[tuple[str, Any], ...] = ()
    counts_epochs = False
    total_stages: int | None = None
    weights_rank_suspects = False
    max_steps: int | None

    @classmethod
    def metric_columns(cls) -> tuple[str, ...]:
        """What this method adds to the columns of metrics.csv that all runs have."""
        return cls.report_columns + tuple(f"eval_{name}" for name in peer_columns(cls.peers))

    @classmethod
    def needs(cls, options: Mapping[str, Any]) -> frozenset[str]:
        """What the data must have under these options, by the names of ``OPTIONS``."""
        del options
        return cls.NEEDS

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        """Refuses options that contradict each other or the run, before any work.

        Args:
            options: by the names of ``OPTIONS``, those that are given.
            run: what is known of the run.

        Raises:
            ValueError: with one sentence.
        """

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """The arguments of the constructor, from the options and what they are read, counted or estimated from.

        Args:
            options: as in ``check_options``.
            data: labels, files and first trainings, see ``methods.preparation.Preparation``.

        Raises:
            ValueError, FileNotFoundError: sources that are missing or do not fit.
        """
        del data
        return dict(options)

    def schedule_warning(self) -> str | None:
        """What of the method does not fit into so short a training, in a sentence; None: all of it does."""
        return None

    def next_stage(self, done: int) -> Stage | None:
        """The stage after ``done`` others, a function of that number alone; None at the end of the training."""
        return Stage(steps=self.max_steps) if done == 0 else None

    def look(self, stage: Stage, training: TrainingSet) -> bool | None:
        """Looks at the whole training set before a stage; what is found goes into variables of the method.

        A checkpoint follows, unless the answer is False: nothing has changed.
        """
        del stage, training
        return False

    def evaluated(self, figures: Mapping[str, float]) -> None:
        """Takes note of a row of metrics.csv, before the checkpoint that may follow; outside a step, in all processes.

        Args:
            figures: the row by its columns.
        """

    def streams(self, stage: Stage) -> Streams:
        """What the stage reads, a function of the stage and the method's variables."""
        del stage
        return {GIVEN: Stream()} | ({"clean": Stream(source="clean")} if CLEAN_SET in self.NEEDS else {})
