"""C2D: contrast to divide, DivideMix behind contrastive pre-training (Zheltonozhskii et al., WACV 2022).

Both networks start from the features of one student that has learned without labels (``scripts/pretrain_simclr.py``),
each with a dense layer of its own. So the warm-up is short, its gradient clipped, and a label counts as right from a
small probability on. The second network is asked, the first one trains, is asked as it is then, and the second one
trains. Losses are remembered from the warm-up on. As in the released code rows that are not labelled are mixed, but not
passed where lambda_u is 0; it trains one epoch more than it is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.contrastive import copy_features
from mentornet.methods.dividemix import DivideMix
from mentornet.methods.taking_turns import WARM
from mentornet.options import NO_RUN, Option, RunFacts
from mentornet.stages import Stage

_DEFAULTS = {"warmup_epochs": 5, "split_threshold": 0.03}


class C2D(DivideMix):
    """DivideMix from pre-trained features.

    Args:
        student: see ``SemiSupervised``.
        pretrained: a student of the same architecture, whose features both networks start with; None: as they are.
        warmup_epochs: of plain training; 5 on both CIFAR.
        split_threshold: the probability from which on a label is kept; it moves just inside the probabilities.
        warmup_clip_norm: largest global norm of the gradient in the warm-up.
        **options: see ``DivideMix``.

    Raises:
        ValueError: a setting out of range, or a pre-trained student of another architecture.
    """

    OPTIONS = (
        *(
            dataclasses.replace(option, default=_DEFAULTS.get(option.name, option.default))
            for option in DivideMix.OPTIONS
        ),
        Option("warmup_clip_norm", 1.0, "largest global norm of the gradient in the warm-up", within="(0, inf)"),
        Option(
            "pretrained_run",
            None,
            "the run folder of scripts/pretrain_simclr.py (or a .keras file of such a student) that both networks "
            f"start from, or {NO_RUN}",
        ),
    )
    iterations = 200

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        pretrained: keras.Model | None = None,
        warmup_epochs: int = 5,
        split_threshold: float = 0.03,
        warmup_clip_norm: float | None = 1.0,
        **options: Any,
    ):
        settings = {"split_threshold": split_threshold, "warmup_clip_norm": warmup_clip_norm, **options}
        super().__init__(student, warmup_epochs=warmup_epochs, **settings)
        if pretrained is not None:
            for network in self.networks:
                copy_features(network, pretrained)

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        super().check_options(options, run)
        if options.get("pretrained_run") is None and run.num_epochs is not None:
            raise ValueError(
                "--method=c2d starts from a student that learned without labels: make one with "
                f"scripts/pretrain_simclr.py and give its folder as --pretrained_run, or --pretrained_run={NO_RUN}"
            )

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        made = super().prepared(options, data)
        source = made.pop("pretrained_run", NO_RUN)
        if source != NO_RUN and not data.continued:
            made["pretrained"] = data.read_student(source)
        return made

    def looks(self, stage: Stage) -> dict[int, int]:
        """The network whose turn it is not; in the warm-up only where losses are remembered."""
        kind, turn = cast(tuple[str, int], stage.kind)
        assert stage.epoch is not None
        before = stage.epoch - (1 - turn)  # the second network is first asked when it has trained, too
        if before < 0 or (kind == WARM and not hasattr(self, "loss_table")):
            return {}
        return {1 - turn: before}

    def mixed_rows(self, labelled: tf.Tensor) -> tf.Tensor | None:
        return None if self._lambda_u else labelled
