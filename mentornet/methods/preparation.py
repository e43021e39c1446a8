"""What a method is made from beyond numbers: labels that are counted, matrices, a first training.

``Preparation`` is what ``prepared`` of a method gets; ``flags.build`` makes it of a run's data and folder. The options
here are shared by the methods that need a transition matrix or a first training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from mentornet import transition
from mentornet.options import Option

START_FROM = "start_from"
"""Among what ``prepared`` gives: no argument, but the ``FirstRun`` whose student's weights the new one gets."""

TRANSITION_MATRIX = Option(
    "transition_matrix",
    None,
    "a .csv (comma-separated numbers, a line for every true class, no heading) or .npy file with T[i, j] = P(given j | "
    "true i), or true for the matrix of the injected noise (an oracle)",
)
BASELINE_RUN = Option(
    "baseline_run",
    None,
    "the run folder of a first training: where a matrix is estimated or counted (+CONF), or weights come from (+FT)",
)
OUTLIERS = Option(
    "transition_outlier_share",
    None,
    "with --baseline_run: share of the inputs passed over; by default 0.03 (CIFAR-100: 0)",
    kind=float,
    within="[0, 1)",
    source="Patrini et al. 2017, sec. 3.2",
)
_OUTLIER_SHARE = 0.03
_WITHOUT_OUTLIERS = ("cifar100",)


class FirstRun(Protocol):
    """A finished first training on the same data."""

    def probabilities(self) -> np.ndarray:
        """Its student's predicted distributions of this run's training samples, float32 [n, C]."""

    def predicted(self) -> np.ndarray:
        """The most probable class of each, int32 [n]."""


@dataclass(frozen=True)
class Preparation:
    """The data of a run, as far as a method may be made from it.

    Attributes:
        dataset_name: its name.
        given: int32 [n], labels trained on.
        num_classes: C.
        steps_per_epoch: at least 1.
        clean_source: "set", "mixture", "labelled" or "none".
        clean_batch_size: clean samples a step, where the method chooses them itself.
        true_labels: gives int32 [n]; raises ValueError with what the labels are needed for, if nobody knows them.
        read_matrix: path -> float64 [r, c]; raises ValueError, FileNotFoundError.
        first_run: folder -> the first training; raises ValueError, FileNotFoundError if it is not finished or on other
            data.
        noise_fraction: share of labels that noise was injected into; None where that is not known.
        noise_type: what kind of noise was injected, "none" without.
        batch_size: samples a step.
        num_epochs: length of the run, where it was given in epochs.
        balanced_epochs: every epoch is drawn anew with all given classes equally often.
        most_batches: of an epoch; None: as many as there are.
        kept_matrix: the matrix that the run folder keeps, of a run that goes on; None for others.
        continued: the run goes on from a checkpoint.
        read_student: run folder or file -> its student; raises ValueError, FileNotFoundError.
    """

    dataset_name: str
    given: np.ndarray
    num_classes: int
    steps_per_epoch: int
    clean_source: str
    clean_batch_size: int
    true_labels: Callable[[str], np.ndarray]
    read_matrix: Callable[[str], np.ndarray]
    first_run: Callable[[str], FirstRun]
    noise_fraction: float | None = None
    noise_type: str = "none"
    batch_size: int = 1
    num_epochs: int | None = None
    balanced_epochs: bool = False
    most_batches: int | None = None
    kept_matrix: np.ndarray | None = None
    continued: bool = False
    read_student: Callable[[str], Any] = field(default=lambda source: None)

    @property
    def is_clean(self) -> np.ndarray:
        """bool [n]: the given label is the true one.

        Raises:
            ValueError: nobody knows the true labels.
        """
        return self.true_labels("class weights by precision need") == self.given

    def transition_matrix(self, options: Mapping[str, Any], confusion: bool = False) -> np.ndarray:
        """T, float [C, C], as ``TRANSITION_MATRIX`` and ``BASELINE_RUN`` ask; a run that goes on takes what it keeps.

        Args:
            options: of the method.
            confusion: of a first run count the confusion matrix of its student, instead of estimating T.

        Raises:
            ValueError, FileNotFoundError: missing, unreadable or unfitting sources.
        """
        if self.kept_matrix is not None:
            return self.kept_matrix
        given = options.get(TRANSITION_MATRIX.name)
        if given == "true":
            true = self.true_labels("--transition_matrix=true needs")
            return transition.confusion(true, self.given, self.num_classes)
        if given is not None:
            return self.read_matrix(given)
        first = self.first_run(options[BASELINE_RUN.name])
        if confusion:
            return transition.confusion(first.predicted(), self.given, self.num_classes)
        # Patrini et al. pass over outliers except on CIFAR-100.
        share = options.get(OUTLIERS.name)
        if share is None:
            share = 0.0 if self.dataset_name in _WITHOUT_OUTLIERS else _OUTLIER_SHARE
        return transition.estimated(first.probabilities(), share)


def check_matrix_options(options: Mapping[str, Any], needed: bool) -> None:
    """Refuses options that give a matrix twice, or none where one is needed.

    Raises:
        ValueError: with one sentence.
    """
    file, run = options.get(TRANSITION_MATRIX.name), options.get(BASELINE_RUN.name)
    if options.get(OUTLIERS.name) is not None and run is None:
        raise ValueError("--transition_outlier_share is of an estimate: give --baseline_run, or leave it out")
    if file is not None and run is not None:
        raise ValueError("--transition_matrix and --baseline_run both give the transition matrix: give one of them")
    if needed and file is None and run is None:
        raise ValueError(
            "a loss correction needs a transition matrix: give --transition_matrix, or --baseline_run to estimate it"
        )
