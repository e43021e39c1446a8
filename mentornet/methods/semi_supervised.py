"""Two networks that take turns and train on labelled and unlabelled samples: what methods like DivideMix share.

A warm-up of plain training, an epoch of the first network and then of the second; afterwards in each step a batch of
samples whose labels are kept and as large a one of others, targets for both from the networks' guesses, and one pass of
their mixtures (Li et al., ICLR 2020, alg. 1). How samples are divided and targets made is a method's own. With
``meta="l2b"`` the first network takes L2B's step after each of these (``mentornet.methods.bootstrap_step``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import inspection
from mentornet.inspection import DECAYS
from mentornet.methods import mixing
from mentornet.methods.base import RECORDED_SHARE, Batch, NoisyLabelMethod, Weighting
from mentornet.methods.bootstrap_step import BootstrapStep
from mentornet.methods.protocol import CLEAN_SET
from mentornet.methods.replicas import mirrored_variable, replicas
from mentornet.options import Option, RunFacts, check_choice, given
from mentornet.stages import GIVEN, Stage, Stream, Streams

WARM, MIX = "warm-up", "mix"
METAS = ("none", "l2b")


class SemiSupervised(NoisyLabelMethod):
    """Base of methods with two networks, of which each trains an epoch at a time; they predict with their mean logits.

    Args:
        student: the first network, which the second is built after with other starting values; or a list of both.
        num_epochs: how many times each network trains, the warm-up included.
        batch_size: labelled samples a step, beside as many unlabelled ones; twice as many in the warm-up.
        warmup_epochs: of plain training.
        lambda_u: weight of the unlabelled loss, which it rises to within 16 epochs.
        temperature: T of sharpening.
        mixup_alpha: both parameters of the Beta distribution of lambda.
        entropy_penalty: the warm-up shuns confident predictions, for asymmetric noise (eq. 6); None: it does not.
        decayed: weight decay on "all" trainable variables (released code), or only "kernels", as elsewhere here.
        meta: "l2b": the first network takes L2B's step after each of its own, with the same optimiser.
        clip_norm: largest global norm of that step's gradient.
        clean_source: where its clean samples are from: "set", or "labelled" for those whose labels are kept.
        clean_batch_size: how many a step, of the latter.
        **shared: see ``NoisyLabelMethod``; ``max_steps`` is None, and ``num_examples`` must be given.

    Raises:
        ValueError: a setting out of range.
    """

    peers = 2
    weights_rank_suspects = True  # the division's probabilities, of the smoothed losses of both networks
    counts_epochs = True
    clean_sources = ("set", "labelled")
    OPTIONS: tuple[Option, ...] = (
        Option("warmup_epochs", 10, "epochs of plain training first", within="[0, inf)", source="sec. 4.2"),
        Option("lambda_u", 25.0, "weight of the loss on guessed labels", within="[0, inf)", source="eq. 12"),
        Option("temperature", 0.5, "temperature of sharpening", within="(0, inf)", flag="sharpening_temperature"),
        Option("mixup_alpha", 4.0, "parameter of the Beta distribution of mixing", within="(0, inf)", source="eq. 8"),
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
        Option("meta", "none", "a second step of the first network: l2b, with clean samples beside", choices=METAS),
        Option("clip_norm", 0.8, "largest global norm of the gradient of L2B's step", within="(0, inf)"),
    )
    report_columns: tuple[str, ...] = ("labelled_share_peer_1", "labelled_share_peer_2")

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        num_epochs: int,
        batch_size: int = 64,
        warmup_epochs: int = 10,
        lambda_u: float = 25.0,
        temperature: float = 0.5,
        mixup_alpha: float = 4.0,
        entropy_penalty: bool | None = None,
        decayed: str = "all",
        meta: str = "none",
        clip_norm: float = 0.8,
        clean_source: str = "set",
        clean_batch_size: int | None = None,
        **shared: Any,
    ):
        super().__init__(student, **{"max_steps": None, **shared})
        if self.max_steps is not None or self.num_examples is None:
            raise ValueError(f"{type(self).__name__} counts in epochs: give num_epochs and num_examples, no max_steps")
        for what, value, allowed in (
            ("decayed", decayed, DECAYS),
            ("meta", meta, METAS),
            ("clean_source", clean_source, self.clean_sources),
        ):
            check_choice(what, value, allowed)
        if not 0 <= warmup_epochs < num_epochs:
            raise ValueError(f"warmup_epochs={warmup_epochs} must leave some of the {num_epochs} epochs")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self.num_epochs, self.total_stages, self.size = num_epochs, 2 * num_epochs, batch_size
        self.warmup_epochs, self._lambda_u = warmup_epochs, float(lambda_u)
        self.temperature, self._alpha = float(temperature), float(mixup_alpha)
        self._penalised, self._decayed = bool(entropy_penalty), decayed
        self._clean_source, self._clean_size = clean_source, clean_batch_size or batch_size
        self.labelled_share = mirrored_variable(tf.fill([self.peers], float("nan")), "labelled_share")
        self._bootstrap: BootstrapStep | None = None
        if meta == "l2b":
            first = self.networks[0]
            self._bootstrap = BootstrapStep(
                lambda: self.students[0],
                first,
                clip_norm=clip_norm,
                weight_decay=self.weight_decay,
                decayed=lambda: self.decayed_variables(first),
            )

    @classmethod
    def needs(cls, options: Mapping[str, Any]) -> frozenset[str]:
        return cls.NEEDS | ({CLEAN_SET} if options.get("meta") == "l2b" else frozenset())

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        defaults = {option.name: option.default for option in cls.OPTIONS}
        warmup = given(options, "warmup_epochs", defaults["warmup_epochs"])
        if run.num_epochs is not None and warmup >= run.num_epochs:
            raise ValueError(
                f"--warmup_epochs={warmup} leave none of the {run.num_epochs} epochs to the division: use a shorter "
                "warm-up or more --num_epochs"
            )
        if options.get("clip_norm") is not None and options.get("meta") != "l2b":
            raise ValueError("--clip_norm is of the step of --meta=l2b: give that, or leave it out")

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        if data.batch_size % 2:
            raise ValueError(f"--batch_size={data.batch_size} is half labelled and half unlabelled: use an even number")
        made = {**options, "num_epochs": data.num_epochs, "batch_size": data.batch_size // 2}
        made.setdefault("entropy_penalty", data.noise_type in ("asymmetric", "pair"))
        if data.clean_source != "none":
            made |= {"clean_source": data.clean_source, "clean_batch_size": data.clean_batch_size}
        return made

    def compile(self, optimizer: Any = "rmsprop", *arguments: Any, **options: Any) -> None:
        super().compile(optimizer, *arguments, **options)
        if self._bootstrap is not None:
            self._bootstrap.compiled(self.trained_variables())

    # ---- stages

    def next_stage(self, done: int) -> Stage | None:
        """An epoch of the first network, then the same epoch of the second, at whose end there is a row."""
        epoch, turn = divmod(done, 2)
        kind = (WARM if epoch < self.warmup_epochs else MIX, turn)
        return Stage(kind, done, record=turn == 1, epoch=epoch) if epoch < self.num_epochs else None

    def streams(self, stage: Stage) -> Streams:
        kind, turn = cast(tuple[str, int], stage.kind)
        if kind == WARM:
            return {GIVEN: Stream(size=2 * self.size)}
        streams = self.divided(turn)
        if self._bootstrap is None or turn:
            return streams
        labelled = Stream(streams["labelled"].positions, self._clean_size, balanced=False)
        return {**streams, "clean": labelled if self._clean_source == "labelled" else Stream(source="clean")}

    def divided(self, turn: int) -> dict[str, Stream]:
        """The streams "labelled" and "unlabelled" of a network, with the values "clean"."""
        raise NotImplementedError

    def note_probabilities(self, clean: np.ndarray, epoch: int) -> None:
        """Books what samples.csv says of each sample, from the last epochs or the last one.

        Args:
            clean: float32 [2, n], how probably each given label is right, for each network.
            epoch: the coming one.
        """
        if epoch >= min(RECORDED_SHARE * self.num_epochs, self.num_epochs - 1):
            for table, more in ((self.weight_totals, clean.sum(axis=0)), (self.weight_visits, float(self.peers))):
                table.assign(tf.convert_to_tensor(table) + more)

    def _is_recorded(self, own_batch: tf.Tensor) -> tf.Tensor:
        """Never in a step: the probabilities of all samples are known, drawn or not."""
        return tf.constant(False)

    def report(self) -> dict[str, float]:
        return {f"labelled_share_peer_{k}": float(share) for k, share in enumerate(self.labelled_share.numpy(), 1)}

    def decayed_variables(self, network: keras.Model) -> list[tf.Variable]:
        return inspection.decayed(network, self._decayed)

    # ---- steps

    def train_step(self, batch: Batch) -> dict[str, Any]:
        kind, turn = cast(tuple[str, int], self.stage.kind)
        return self._warm_step(batch, turn) if kind == WARM else self.mix_step(batch, turn)

    def mix_step(self, batch: Batch, turn: int) -> dict[str, Any]:
        """A step of a network behind the warm-up."""
        raise NotImplementedError

    def _warm_step(self, batch: Batch, turn: int) -> dict[str, Any]:
        network = self.networks[turn]
        with tf.GradientTape() as tape:
            logits = tf.cast(network(batch["image"], training=True), tf.float32)
            losses = self.task.losses(batch["label"], logits)
            ones = tf.ones_like(losses)
            objective = self.weighted_mean(losses, ones) + self.decay_term(network=network)
            if self._penalised:
                objective += self.weighted_mean(mixing.negative_entropies(logits), ones)
        self.descend(tape, objective, peer=turn)
        return self.finish_step(batch, logits, losses, Weighting(ones, ones, tf.constant(0.0)))

    def learn(self, batch: Batch, turn: int, images: tf.Tensor, targets: tf.Tensor) -> None:
        """Mixes rows as ``mixing.sample_rows`` makes them, takes the step on them, and L2B's if there is one."""
        learner = self.networks[turn]
        weight = mixing.mixing_weight(self._alpha, self.seed, self.step)
        partners = mixing.permutation(tf.shape(images)[0] * replicas(), self.seed, self.step)
        mixed_images, mixed_targets = mixing.mixed_batch(images, targets, weight, partners)
        strength = self._lambda_u * mixing.ramp(self.present_epoch(), self.warmup_epochs)
        with tf.GradientTape() as tape:
            logits = tf.cast(learner(mixed_images, training=True), tf.float32)
            objective = mixing.semi_supervised(mixed_targets, logits, strength) + self.decay_term(network=learner)
        self.descend(tape, objective, peer=turn)
        if self._bootstrap is not None and not turn:
            self.note_objective(self._bootstrap(batch, images, targets))

    def finish_mix(self, batch: Batch, of_labelled: tf.Tensor, of_unlabelled: tf.Tensor) -> dict[str, Any]:
        """Books both parts of a batch, with the learner's logits of a view; labels left out have the weight 0."""
        names = [name for name in ("label", "index", "is_clean", "clean") if f"labelled_{name}" in batch]
        booked = {name: tf.concat([batch[f"labelled_{name}"], batch[f"unlabelled_{name}"]], 0) for name in names}
        logits = tf.cast(tf.concat([of_labelled, of_unlabelled], 0), tf.float32)
        probabilities = tf.cast(booked.pop("clean"), tf.float32)
        weights = probabilities * tf.cast(tf.range(tf.size(probabilities)) < tf.shape(of_labelled)[0], tf.float32)
        losses = self.task.losses(booked["label"], logits)
        return self.finish_step(booked, logits, losses, Weighting(weights, probabilities, tf.constant(0.0)))
