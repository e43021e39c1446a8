"""Learning a MentorNet: from a predefined curriculum, or data-driven from a loss dump (ICML sec. 3.2, app. D and E.3).

Pure functions of their arguments, without files: the command ``python -m mentornet.learning`` and a running
training, which renews its curriculum from its own dump (alg. 1 step 6), call the same ones.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

import mentornet
from mentornet import curricula
from mentornet.features import EPOCH_ROWS
from mentornet.learning.dump import LossDump
from mentornet.learning.learning_set import HELD_OUT_SHARE, LearningSet, hold_out
from mentornet.learning.trainer import Learner, LearningSettings, Report, evaluate_network
from mentornet.network import MentorNetwork, NetworkConfig, build

PERCENTILES = (40, 50, 60, 75, 80, 90)
"""What data-driven learning tries for l_pt, in percent (the release's range)."""

_PURPOSE = 23  # keeps this random stream apart from the others of the same seed
_SEEDS_A_NETWORK = 20  # the initialisers of one network use a few numbers from its seed on


@dataclass(frozen=True)
class Candidate:
    """One network that was learned, and how it does on the held-out rows."""

    network: MentorNetwork
    samples: LearningSet
    held_out: dict[str, float]
    curve: list[list[float]]


def learn_from_set(
    samples: LearningSet,
    config: NetworkConfig | None = None,
    settings: LearningSettings | None = None,
    seed: int = 0,
    starts: int = 1,
    report: Report | None = None,
) -> tuple[MentorNetwork, dict[str, Any]]:
    """Learns a MentorNet from samples with target weights.

    Args:
        samples: what to learn; see ``grid.learning_set`` and ``dump_set``.
        config: the network's shape; None: the paper's with the samples' T, label 0 fed.
        settings: how to fit; None: the spec's settings.
        seed: decides starting values and order.
        starts: networks learned from different starting values, of which the best on the held-out rows is kept.
        report: see ``Learner.learn``.

    Returns:
        (network, card): the card says what was learned, how well, and with what, in plain JSON values; its "curve"
        holds (step, held-out MSE) pairs.

    Raises:
        ValueError: impossible settings, too few samples, or an explicit objective for a curriculum without a known G.
    """
    return learn_best([samples], config, settings, seed, starts, report)


def learn_from_dump(
    dump: LossDump,
    percentiles: Sequence[int] = PERCENTILES,
    config: NetworkConfig | None = None,
    settings: LearningSettings | None = None,
    seed: int = 0,
    num_classes: int | None = None,
    report: Report | None = None,
) -> tuple[MentorNetwork, dict[str, Any]]:
    """Learns a data-driven MentorNet: v* = 1 where the noisy label is right (the release's ``data_driven``).

    One network a percentile is learned from 80% of the samples; the one with the lowest cross-entropy on the other 20%
    is kept. Equal arguments give equal networks.

    Args:
        dump: losses of samples of which some labels are wrong.
        percentiles: tried for l_pt, in percent.
        config: the network's shape; None: the paper's, with the noisy label as an input.
        settings: how to fit; None: the spec's with cross-entropy.
        seed: decides split, starting values and order.
        num_classes: rows of the label embedding, and a bound for the labels; None: as many as the dump shows.
        report: see ``Learner.learn``.

    Returns:
        (network, card): the card has the chosen "percentile" and every "candidates" entry's validation result.

    Raises:
        DumpError: (a ValueError) nothing can be learned from the dump.
        ValueError: a percentile outside 0..100, or a network shape that does not fit.
    """
    settings = settings or LearningSettings(objective="cross_entropy")
    dump.check(math.ceil(settings.batch_size / (1 - HELD_OUT_SHARE)), num_classes)
    if config is None:
        config = NetworkConfig(label_rows=num_classes or dump.num_classes)
    if config.fixed_label is None and config.label_rows <= int(dump.noisy.max()):
        raise ValueError(
            f"{dump.name}: label {int(dump.noisy.max())} has no row in a label embedding of {config.label_rows}"
        )
    sets = [dump_set(dump, percentile, seed, num_classes) for percentile in percentiles]
    return learn_best(sets, config, settings, seed, 1, report)


def dump_set(dump: LossDump, percentile: int, seed: int = 0, num_classes: int | None = None) -> LearningSet:
    """A dump as samples to learn from, with l_pt the given percentile of all its losses; T = 1.

    A fifth of the samples is held out; the rows of one sample are on the same side. The split depends on the seed
    alone, so candidates with different percentiles are compared on the same rows.

    Raises:
        ValueError: the percentile is outside 0..100.
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile {percentile} must lie in 0..100")
    threshold = np.percentile(dump.loss.astype(np.float64), percentile)
    source = {
        "kind": "data_driven",
        "dump": dump.name,
        "rows": len(dump.loss),
        "percentile": percentile,
        "wrong_labels": float(np.mean(~dump.is_clean)),
        "epochs": sorted({int(epoch) for epoch in dump.epoch}),
        "seed": seed,
        "history": 1,
        "num_classes": num_classes or dump.num_classes,
    }
    return LearningSet(
        loss=dump.loss[:, np.newaxis].astype(np.float32),
        difference=(dump.loss - threshold)[:, np.newaxis].astype(np.float32),
        label=dump.noisy.astype(np.int32),
        epoch=dump.epoch.astype(np.int32),
        target=dump.is_clean.astype(np.float32),
        held_out=hold_out(dump.sample, np.random.default_rng([seed, _PURPOSE])),
        source=source,
    )


def learn_best(
    sets: Sequence[LearningSet],
    config: NetworkConfig | None,
    settings: LearningSettings | None,
    seed: int,
    starts: int,
    report: Report | None,
) -> tuple[MentorNetwork, dict[str, Any]]:
    """Learns every set from every start and keeps the best on the held-out rows; see ``learn_from_set``."""
    if not sets or starts < 1:
        raise ValueError(f"{len(sets)} sets and {starts} starts: at least one of each is needed")
    settings = settings or LearningSettings()
    config = config or NetworkConfig(history=sets[0].history, fixed_label=0)
    if config.history != sets[0].history:
        raise ValueError(f"the network reads {config.history} past losses, the samples have {sets[0].history}")
    curriculum = curricula.get(sets[0].source["curriculum"]) if settings.objective == "explicit" else None
    measure = "cross_entropy" if settings.objective == "cross_entropy" else "mse"
    network = build(config, seed)
    learner = Learner(network, settings, curriculum)
    candidates, best = [], None
    for samples in sets:
        for start in range(starts):
            start_seed = seed + _SEEDS_A_NETWORK * start
            network.set_weights(build(config, start_seed).get_weights())
            curve = learner.learn(samples, start_seed, report)
            held_out = evaluate_network(network, samples, samples.held_out)
            candidates.append({"percentile": samples.source.get("percentile"), "seed": start_seed, **held_out})
            if best is None or held_out[measure] < best.held_out[measure]:
                best = Candidate(_copy(network), samples, held_out, curve)
    assert best is not None
    spread_epochs(best.network, best.samples.epoch)
    return best.network, {
        "source": best.samples.source,
        "percentile": best.samples.source.get("percentile"),
        "held_out": best.held_out,
        "held_out_rows": int(best.samples.held_out.sum()),
        "chosen_by": f"lowest {measure} on the held-out rows",
        "candidates": candidates,
        "curve": best.curve,
        "settings": asdict(settings),
        "seed": seed,
        "versions": versions(),
    }


def spread_epochs(network: MentorNetwork, learned: np.ndarray) -> None:
    """Gives every epoch percent that no sample had the embedding of the nearest one that some had.

    A dump is made at one or a few times of the training; without this, the network would answer at random at others.

    Args:
        network: changed in place.
        learned: the samples' epoch percents, integers [n], n >= 1.
    """
    known = np.unique(learned)
    nearest = known[np.argmin(np.abs(np.arange(EPOCH_ROWS)[:, np.newaxis] - known), axis=1)]
    table = network.epoch_embedding.embeddings
    table.assign(table.numpy()[nearest])


def versions() -> dict[str, str]:
    """What a card says about the software."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "tf_keras": keras.__version__,
        "numpy": np.__version__,
        "mentornet": mentornet.__version__,
    }


def _copy(network: MentorNetwork) -> MentorNetwork:
    same = build(network.config)
    same.set_weights(network.get_weights())
    return same
