"""MentorNet DD: learning the curriculum from the student while it trains (ICML alg. 1 step 6, app. E.3).

At given percents of training (21 and 75 in the paper, after the learning rate changes) the losses of the present
student on a few doubly labelled samples become a dump, a MentorNet is learned from it, and takes over. What is learned
is a function of (student, seed, step), so a killed run learns the same again. The method decides when; see ``Spade``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mentornet.learning.dump import LossDump
from mentornet.learning.fitting import PERCENTILES, learn_from_dump
from mentornet.learning.trainer import LearningSettings
from mentornet.network import MentorNetwork, NetworkConfig


@dataclass(frozen=True)
class TrustedSamples:
    """Training samples whose true labels may be used: the only clean labels a data-driven MentorNet sees.

    Attributes:
        positions: int64 [k], where they are in the training set.
        index: int64 [k], original index of each.
        clean: int32 [k], true labels.
    """

    positions: np.ndarray
    index: np.ndarray
    clean: np.ndarray


@dataclass(frozen=True)
class CurriculumUpdates:
    """When and how the curriculum is learned again.

    Attributes:
        trusted: the doubly labelled samples.
        percents: of training, increasing, each in 1..99.
        percentiles: tried for l_pt, in percent; validation chooses.
        learning: how each network is fitted.
        seed: of the learning.
    """

    trusted: TrustedSamples
    percents: Sequence[int] = (21, 75)
    percentiles: Sequence[int] = PERCENTILES
    learning: LearningSettings = field(default_factory=lambda: LearningSettings(objective="cross_entropy"))
    seed: int = 0

    def __post_init__(self) -> None:
        if list(self.percents) != sorted(set(self.percents)) or any(not 1 <= p <= 99 for p in self.percents):
            raise ValueError(f"curriculum updates at {list(self.percents)} percent: must increase and lie in 1..99")

    def steps(self, max_steps: int) -> list[int]:
        """The steps before which an update happens."""
        return sorted({math.ceil(percent * max_steps / 100) for percent in self.percents})

    def learn(self, outputs: Any, step: int, epoch: int, shape: NetworkConfig) -> tuple[MentorNetwork, dict[str, Any]]:
        """Learns a MentorNet from what the present student answers on the trusted samples.

        Args:
            outputs: its labels and losses there, see ``training.evaluation.SampleOutputs``.
            step: of the training.
            epoch: the epoch percent the curriculum will be shown.
            shape: of the network.

        Returns:
            (network, card): the card says how well, and has the percentile of l_pt under "percentile".
        """
        dump = LossDump(
            sample=self.trusted.index.astype(np.int64),
            epoch=np.full(len(outputs.label), epoch, np.int32),
            noisy=outputs.label.astype(np.int32),
            clean=self.trusted.clean.astype(np.int32),
            loss=outputs.loss,
            name=f"the trusted samples at step {step}",
        )
        return learn_from_dump(dump, self.percentiles, shape, self.learning, seed=self.seed + step)
