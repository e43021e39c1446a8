"""The part of the learning command that fine-tunes pretrained MentorNets (the December 2017 preprint, sec. 5.2, eq. 7).

    python -m mentornet.learning --input_csv_filename=dump.csv --activations=dump.npz \
      --experts=pretrained:self_paced,pretrained:spcl_linear,pretrained:mentornet_pd --train_dir=my_mixture

Like the command itself it loads TensorFlow only when it learns.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mentornet.curricula.experts import SparseMixture
    from mentornet.learning.dump import LossDump
    from mentornet.learning.trainer import LearningSettings, Report
    from mentornet.network import MentorNetwork

OPTIONS = ("activations", "top", "known_share")
"""What is only used with ``--experts``."""

_NOT_USED = ("network", "starts", "outdir")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments for a mixture."""
    group = parser.add_argument_group("to fine-tune a mixture of learned MentorNets instead, from a loss dump")
    group.add_argument("--experts", help="their folders, or names as in pretrained:self_paced,pretrained:spcl_linear")
    group.add_argument("--activations", help="npz that the dump's --activations_file wrote: the gate reads it, too")
    group.add_argument("--top", type=int, help="experts that count for a sample (default: 2)")
    group.add_argument(
        "--known_share", type=float, help="share of the dump whose correctness is looked at (default: 0.2)"
    )


def check(options: argparse.Namespace) -> None:
    """Refuses what a mixture does not use."""
    given = [name for name in _NOT_USED if getattr(options, name)]
    if options.experts and given:
        raise ValueError(f"--{given[0]} is for learning one MentorNet from the start, --experts fine-tunes several")


def learn(
    options: argparse.Namespace, dump: LossDump, percentiles: Sequence[int], settings: LearningSettings, report: Report
) -> tuple[SparseMixture, dict[str, Any]]:
    """Fine-tunes one mixture a percentile and keeps the best on the held-out rows; see ``learning.experts.finetune``.

    Raises:
        DumpError, ValueError, FileNotFoundError: experts, dump or activations that cannot be used.
    """
    from mentornet.curricula.experts import TOP
    from mentornet.learning.dump import read_activations
    from mentornet.learning.experts import KNOWN_SHARE, finetune

    names = options.experts.split(",")
    experts = [_expert(name, options.fixed_label) for name in names]
    activation = None if options.activations is None else read_activations(options.activations, dump)
    found = [
        finetune(
            experts,
            dump,
            activation,
            KNOWN_SHARE if options.known_share is None else options.known_share,
            percentile,
            TOP if options.top is None else options.top,
            settings=settings,
            seed=options.seed,
            report=report,
        )
        for percentile in percentiles
    ]
    best, card = min(found, key=lambda pair: pair[1]["held_out"]["cross_entropy"])
    card["experts"] = [
        {"name": name, "cross_entropy": alone} for name, alone in zip(names, card.pop("held_out_experts"), strict=True)
    ]
    alone = ", ".join(f"{expert['name']} {expert['cross_entropy']:.3g}" for expert in card["experts"])
    print(f"held-out cross-entropy of the experts alone: {alone}", flush=True)
    card["candidates"] = [{"percentile": tried["percentile"], **tried["held_out"]} for _, tried in found]
    card["chosen_by"] = "lowest cross_entropy on the held-out rows"
    return best, card


def _expert(name: str, fixed_label: int | None) -> MentorNetwork:
    from mentornet import curricula
    from mentornet.curricula.learned import LearnedCurriculum
    from mentornet.network import MentorNetwork

    found = curricula.get(name, fixed_label)
    network = found.network if isinstance(found, LearnedCurriculum) else None
    if not isinstance(network, MentorNetwork):
        kind = "a formula" if network is None else "a mixture"
        raise ValueError(
            f"--experts: {name!r} is {kind}, a mixture is made of single learned MentorNets: give their folders, or "
            f"{', '.join(curricula.PRETRAINED + known for known in curricula.pretrained_names())}"
        )
    return network
