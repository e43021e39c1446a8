"""Two networks that take turns, an epoch each, and begin with a warm-up of plain training.

DivideMix (Li et al., ICLR 2020, alg. 1) and what came after it. In the warm-up confident predictions may be penalised
(eq. 6), or the gradient be clipped (C2D). What follows is a method's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import tensorflow as tf
import tf_keras as keras

from mentornet import inspection
from mentornet.inspection import DECAYS
from mentornet.methods import mixing
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.clipped_step import clipped_step, scaled
from mentornet.options import Option, RunFacts, check_choice, given
from mentornet.stages import GIVEN, Stage, Stream, Streams

WARM, MIX = "warm-up", "mix"


class TakingTurns(NoisyLabelMethod):
    """Base of methods with two networks, of which each trains an epoch at a time; they predict with their mean logits.

    Args:
        student: the first network, which the second is built after with other starting values; or a list of both.
        num_epochs: how many times each network trains, the warm-up included.
        batch_size: labelled samples a step behind the warm-up; in it twice as many.
        warmup_epochs: of plain training.
        entropy_penalty: the warm-up shuns confident predictions, for asymmetric noise (eq. 6); None: it does not.
        warmup_clip_norm: largest global norm of the gradient in the warm-up; None: no limit.
        decayed: weight decay on "all" trainable variables (released code), or only "kernels", as elsewhere here.
        **shared: see ``NoisyLabelMethod``; ``max_steps`` is None, and ``num_examples`` must be given.

    Raises:
        ValueError: a setting out of range.
    """

    peers = 2
    counts_epochs = True
    OPTIONS: tuple[Option, ...] = (
        Option("warmup_epochs", 10, "epochs of plain training first", within="[0, inf)", source="sec. 4.2"),
        Option(
            "entropy_penalty",
            None,
            "shun confident predictions in the warm-up; by default with asymmetric and pair noise",
            kind=bool,
            source="eq. 6",
        ),
        Option(
            "decayed",
            "all",
            "weight decay on all parameters (released code) or on kernels",
            choices=DECAYS,
            flag="decayed_parameters",
        ),
    )

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        num_epochs: int,
        batch_size: int = 64,
        warmup_epochs: int = 10,
        entropy_penalty: bool | None = None,
        warmup_clip_norm: float | None = None,
        decayed: str = "all",
        **shared: Any,
    ):
        super().__init__(student, **{"max_steps": None, **shared})
        if self.max_steps is not None or self.num_examples is None:
            raise ValueError(f"{type(self).__name__} counts in epochs: give num_epochs and num_examples, no max_steps")
        check_choice("decayed", decayed, DECAYS)
        if not 0 <= warmup_epochs < num_epochs:
            raise ValueError(f"warmup_epochs={warmup_epochs} must leave some of the {num_epochs} epochs")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        if warmup_clip_norm is not None and warmup_clip_norm <= 0:
            raise ValueError(f"warmup_clip_norm={warmup_clip_norm:g} must be above 0")
        self.num_epochs, self.total_stages, self.size = num_epochs, 2 * num_epochs, batch_size
        self.warmup_epochs, self._warmup_clip_norm = warmup_epochs, warmup_clip_norm
        self._penalised, self._decayed = bool(entropy_penalty), decayed

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        defaults = {option.name: option.default for option in cls.OPTIONS}
        warmup = given(options, "warmup_epochs", defaults["warmup_epochs"])
        if run.num_epochs is not None and warmup >= run.num_epochs:
            raise ValueError(
                f"--warmup_epochs={warmup} leave no epoch to the division, as --num_epochs={run.num_epochs}: use a "
                "shorter warm-up or more epochs"
            )

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        if data.batch_size % 2:
            raise ValueError(f"--batch_size={data.batch_size} is half labelled and half unlabelled: use an even number")
        made = {**options, "num_epochs": data.num_epochs, "batch_size": data.batch_size // 2}
        made.setdefault("entropy_penalty", data.noise_type in ("asymmetric", "pair"))
        return made

    def next_stage(self, done: int) -> Stage | None:
        """An epoch of the first network, then the same epoch of the second, at whose end there is a row."""
        epoch, turn = divmod(done, 2)
        kind = (WARM if epoch < self.warmup_epochs else MIX, turn)
        return Stage(kind, done, record=turn == 1, epoch=epoch) if epoch < self.num_epochs else None

    def streams(self, stage: Stage) -> Streams:
        kind, turn = cast(tuple[str, int], stage.kind)
        return {GIVEN: Stream(size=2 * self.size)} if kind == WARM else self.divided(turn)

    def divided(self, turn: int) -> Streams:
        """What a network reads behind the warm-up."""
        raise NotImplementedError

    def decayed_variables(self, network: keras.Model) -> list[tf.Variable]:
        return inspection.decayed(network, self._decayed)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        kind, turn = cast(tuple[str, int], self.stage.kind)
        return self._warm_step(batch, turn) if kind == WARM else self.mix_step(batch, turn)

    def mix_step(self, batch: Batch, turn: int) -> dict[str, Any]:
        """A step of a network behind the warm-up."""
        raise NotImplementedError

    def _warm_step(self, batch: Batch, turn: int) -> dict[str, Any]:
        network, optimizer = self.networks[turn], self.students[turn].optimizer
        with tf.GradientTape() as tape:
            logits = tf.cast(network(batch["image"], training=True), tf.float32)
            losses = self.task.losses(batch["label"], logits)
            ones = tf.ones_like(losses)
            objective = self.weighted_mean(losses, ones)
            if self._penalised:
                objective += self.weighted_mean(mixing.negative_entropies(logits), ones)
            if self._warmup_clip_norm is None:
                objective += self.decay_term(network=network)
            else:
                descended = scaled(optimizer, objective)
        if self._warmup_clip_norm is None:
            self.descend(tape, objective, peer=turn)
        else:
            self.note_objective(objective)
            clipped_step(
                tape,
                descended,
                optimizer,
                network.trainable_variables,
                clip_norm=self._warmup_clip_norm,
                weight_decay=self.weight_decay,
                decayed=self.decayed_variables(network),
            )
        return self.finish_step(batch, logits, losses, Weighting(ones, ones, tf.constant(0.0)))
