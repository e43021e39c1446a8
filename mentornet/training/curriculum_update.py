"""MentorNet DD: learning the curriculum from the student while it trains (ICML alg. 1 step 6, app. E.3).

At given percents of training (21 and 75 in the paper, after the learning rate changes) the losses of the present
student on a few doubly labelled samples become a dump, a MentorNet is learned from it, and takes over. What is learned
is a function of (student, seed, step), and the checkpoint written after it carries the new network, so a killed run
resumes across an update.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.curricula import learned
from mentornet.learning.dump import LossDump
from mentornet.learning.fitting import PERCENTILES, learn_from_dump
from mentornet.learning.trainer import LearningSettings
from mentornet.methods.spade import Spade
from mentornet.runs.workdir import Workdir
from mentornet.training.evaluation import sample_outputs


@dataclass(frozen=True)
class TrustedSamples:
    """Training samples whose true labels may be used: the only clean labels a data-driven MentorNet sees.

    Attributes:
        batches: the samples in order, not augmented, {"image", "label"} with their noisy labels.
        index: int64 [k], original index of each.
        clean: int32 [k], true labels.
    """

    batches: tf.data.Dataset
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

    def update(self, method: Spade, student: keras.Model, workdir: Workdir | None) -> None:
        """Learns a MentorNet from the present student and hands it to the method.

        Args:
            method: trains the student; its curriculum is a learned one.
            student: the same network, outside any distribution strategy.
            workdir: keeps the new MentorNet in its folder ``curricula``; None where another process does that.
        """
        step = int(method.step.numpy())
        found = sample_outputs(student, self.trusted.batches)
        dump = LossDump(
            sample=self.trusted.index.astype(np.int64),
            epoch=np.full(len(found.label), method.shown_epoch(step), np.int32),
            noisy=found.label.astype(np.int32),
            clean=self.trusted.clean.astype(np.int32),
            loss=found.loss,
            name=f"the trusted samples at step {step}",
        )
        network, card = learn_from_dump(
            dump, self.percentiles, method.learned_network().config, self.learning, seed=self.seed + step
        )
        method.update_curriculum(network, card["percentile"] / 100)
        if workdir is None:
            return
        learned.save(network, workdir.path / "curricula" / f"step_{step:06d}", {**card, "step": step})
        print(f"step {step:,}: curriculum learned anew from {len(found.label):,} trusted samples", flush=True)
