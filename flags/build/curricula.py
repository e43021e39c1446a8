"""From flags to the data-driven MentorNet: the curriculum itself, and from which samples it is learned anew."""

from __future__ import annotations

import os

import numpy as np

from data import labels
from data.image_dataset import Split
from data.labels import NoisyLabels
from flags.define.spade_flags import DATA_DRIVEN, MethodConfig
from mentornet import curricula
from mentornet.curricula import learned
from mentornet.curricula.base import Curriculum
from mentornet.curricula.learned import LearnedCurriculum
from mentornet.learning.trainer import LearningSettings
from mentornet.learning.updates import CurriculumUpdates, TrustedSamples
from mentornet.network import MentorNetwork, NetworkConfig, build


def curriculum(config: MethodConfig, num_classes: int, seed: int) -> Curriculum:
    """The curriculum of that name or folder; the data-driven one starts as a network that has learned nothing.

    Raises:
        ValueError, FileNotFoundError: no such curriculum, one that was learned with fewer classes, or updates for one
            that cannot be learned anew.
    """
    assert config.curriculum is not None
    if config.curriculum == DATA_DRIVEN:
        network = build(NetworkConfig(fixed_label=config.fixed_label or 0), seed)
        return LearnedCurriculum(network, name=DATA_DRIVEN, learned=False)
    found = curricula.get(config.curriculum, config.fixed_label)
    learned_network = found.network if isinstance(found, LearnedCurriculum) else None
    if config.update_epochs and not isinstance(learned_network, MentorNetwork):
        raise ValueError(
            f"--curriculum_update_epochs learns a single MentorNet anew, and --curriculum={config.curriculum} is none"
        )
    rows = None if learned_network is None else learned_network.label_rows
    if rows is not None and rows < num_classes:
        raise ValueError(
            f"the MentorNet {config.curriculum} was learned with {rows} classes and this data set has {num_classes}: "
            "give --fixed_label=0 to feed it no label (app. E.3)"
        )
    return found


def check(config: MethodConfig) -> None:
    """Refuses a folder that holds no MentorNet before any work; names were checked with the flags.

    Raises:
        ValueError, FileNotFoundError: no such curriculum.
    """
    if config.curriculum is not None and (os.sep in config.curriculum or os.path.isdir(config.curriculum)):
        learned.read_card(config.curriculum)


def trusted_positions(train: Split, count: int, seed: int) -> np.ndarray:
    """Positions [count] of the samples whose true labels may be used: drawn at random, a function of the seed.

    Raises:
        ValueError: more than there are, or fewer than classes.
    """
    if count >= len(train):
        raise ValueError(f"--mentor_examples={count}: the training set has only {len(train)} samples")
    return np.flatnonzero(np.isin(train.ids, labels.subset(train, count, seed).ids))


def updates(config: MethodConfig, train: Split, noisy: NoisyLabels, seed: int) -> CurriculumUpdates | None:
    """When the curriculum is learned anew, and from what; None for never.

    Only the true labels of the trusted samples leave their type here.

    Raises:
        ValueError: the true labels are not known.
    """
    if not config.update_epochs:
        return None
    if noisy.clean is None:
        raise ValueError(f"--curriculum={config.curriculum} learns from true labels, which this data set does not have")
    chosen = trusted_positions(train, config.mentor_examples, seed)
    trusted = TrustedSamples(positions=chosen, index=train.ids[chosen], clean=noisy.clean.reveal()[chosen])
    learning = LearningSettings(objective="cross_entropy", steps=config.mentor_steps)
    return CurriculumUpdates(trusted, config.update_epochs, learning=learning, seed=seed)
