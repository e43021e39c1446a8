"""Fine-tuning of MentorNets: learns a sparse mixture of pretrained ones (the December 2017 preprint, sec. 5.2, eq. 7).

It is learned by cross-entropy on a share of the training data (20%) of which is known whether the label is right. The
preprint uses no load-balancing term, so none is here. The network itself is in ``mentornet.curricula.experts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mentornet.curricula.experts import TOP, SparseMixture
from mentornet.learning.dump import LossDump
from mentornet.learning.fitting import dump_set, versions
from mentornet.learning.learning_set import hold_out
from mentornet.learning.trainer import Learner, LearningSettings, Report, evaluate_network
from mentornet.network import MentorNetwork

KNOWN_SHARE = 0.2
PERCENTILE = 75
LEARNING_RATE = 0.01
_PURPOSE = 24  # keeps this random stream apart from the others of the same seed


def finetune(
    experts: Sequence[MentorNetwork],
    dump: LossDump,
    activation: np.ndarray | None = None,
    share: float = KNOWN_SHARE,
    percentile: int = PERCENTILE,
    top: int = TOP,
    tune_experts: bool = True,
    settings: LearningSettings | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> tuple[SparseMixture, dict[str, Any]]:
    """Learns a mixture of pretrained MentorNets from samples of which the correctness is known (eq. 7).

    Only ``share`` of the samples is looked at, chosen at random; the clean labels of the others are never read. 80% of
    them are learned from, 20% held out. The same arguments give the same mixture.

    Args:
        experts: k pretrained MentorNets with T = 1 (the preprint's k is 3).
        dump: the student's losses on training samples, with both labels.
        activation: float [n, a], the student's activation before its logits for each row of the dump; None: not used.
        share: of the samples whose correctness is known, in (0, 1].
        percentile: of those samples' losses, taken as l_pt.
        top: experts kept for a sample.
        tune_experts: whether the experts learn on.
        settings: how to fit; None: the spec's with cross-entropy and a learning rate of 0.01, as the experts are
            already learned.
        seed: decides the share, the split, the order and the noise.
        report: see ``Learner.learn``.

    Returns:
        (mixture, card): the card says what was learned and how well, in plain JSON values, beside the experts'
        cross-entropy alone; its "curve" holds (step, held-out MSE) pairs.

    Raises:
        DumpError: (a ValueError) nothing can be learned from those samples.
        ValueError: impossible arguments, or experts that read further losses or fewer labels.
    """
    _check_experts(experts, dump)
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share={share:g} of the samples must lie in (0, 1]")
    if activation is not None and (np.ndim(activation) != 2 or len(activation) != len(dump.loss)):
        raise ValueError(
            f"the activation has the shape {np.shape(activation)}, the dump {len(dump.loss)} rows: a row each is needed"
        )
    settings = settings or LearningSettings(objective="cross_entropy", learning_rate=LEARNING_RATE)
    known = hold_out(dump.sample, np.random.default_rng([seed, _PURPOSE]), share)
    columns = {name: getattr(dump, name)[known] for name in ("sample", "epoch", "noisy", "clean", "loss")}
    part = replace(dump, **columns)
    part.check()
    samples = dump_set(part, percentile, seed)
    width = 0
    if activation is not None:
        width = activation.shape[1]
        samples = replace(samples, activation=activation[known].astype(np.float32))
    mixture = SparseMixture(experts, top, width, tune_experts, seed)
    curve = Learner(mixture, settings).learn(samples, seed, report)
    single = [evaluate_network(expert, samples, samples.held_out)["cross_entropy"] for expert in experts]
    return mixture, {
        "source": {**samples.source, "known_share": share, "experts": len(experts), "top": top, "activation": width},
        "percentile": percentile,
        "held_out": evaluate_network(mixture, samples, samples.held_out),
        "held_out_rows": int(samples.held_out.sum()),
        "held_out_experts": single,
        "curve": curve,
        "settings": asdict(settings),
        "seed": seed,
        "versions": versions(),
    }


def _check_experts(experts: Sequence[MentorNetwork], dump: LossDump) -> None:
    """Refuses experts that cannot read a dump: it has one loss a sample, and labels up to its largest."""
    for number, expert in enumerate(experts, start=1):
        if expert.history != 1:
            raise ValueError(f"expert {number} reads {expert.history} past losses, a dump has one a sample")
        if expert.label_rows is not None and expert.label_rows <= int(dump.noisy.max()):
            raise ValueError(
                f"{dump.name}: label {int(dump.noisy.max())} has no row in the label embedding of expert {number}, "
                f"which has {expert.label_rows}: fix the label it is fed"
            )
