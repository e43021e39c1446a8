"""A network trains on labelled and unlabelled samples, and another one helps: what methods like DivideMix share.

After the warm-up each step has a batch of samples whose labels are kept and one of others, targets for both from the
networks' guesses, and one pass of their mixtures (Li et al., ICLR 2020, alg. 1). How samples are divided is a method's
own. With ``meta="l2b"`` the first network takes L2B's step after each of these (``mentornet.methods.bootstrap_step``).

As in the released code of DivideMix the network that learns makes its guesses in training mode, so that its batch norm
averages move with each pass, and the other one in inference mode; the given labels are refined by the learner alone;
and what is mixed is one batch, whatever its parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods import mixing
from mentornet.methods.base import RECORDED_SHARE, Batch, Weighting
from mentornet.methods.bootstrap_step import BootstrapStep
from mentornet.methods.protocol import CLEAN_SET
from mentornet.methods.replicas import mirrored_variable, replicas
from mentornet.methods.taking_turns import TakingTurns
from mentornet.options import Option, RunFacts, check_choice
from mentornet.stages import Stream, Streams

METAS = ("none", "l2b")


class SemiSupervised(TakingTurns):
    """Base of methods that mix samples whose labels are kept with others.

    Attributes:
        VIEWS: of each sample; the first two are for guesses, the last two are mixed.
        CLEAN_VIEW: of the samples of a clean set.
        balanced: whether kept labels are drawn class by class; None: as the run's flags say.
        clean: float32 [2, n], how far each network trusts each given label.
        posterior_auc: float32 [2], how well that tells right labels from wrong ones, where these are known.
        labelled_share: float32 [2], of the labels that are kept.

    Args:
        student: see ``TakingTurns``.
        lambda_u: weight of the unlabelled loss, which it rises to within 16 epochs.
        temperature: T of sharpening.
        mixup_alpha: both parameters of the Beta distribution of lambda.
        meta: "l2b": the first network takes L2B's step after each of its own, with the same optimiser.
        clip_norm: largest global norm of that step's gradient.
        clean_source: where its clean samples are from: "set", or "labelled" for those whose labels are kept.
        clean_batch_size: how many a step, of the latter.
        **options: see ``TakingTurns``.

    Raises:
        ValueError: a setting out of range.
    """

    weights_rank_suspects = True  # the division's probabilities, of the smoothed losses of both networks
    clean_sources = ("set", "labelled")
    VIEWS: tuple[str, ...] = ("weak", "weak")
    CLEAN_VIEW = "weak"
    balanced: bool | None = None
    OPTIONS: tuple[Option, ...] = (
        *TakingTurns.OPTIONS,
        Option("lambda_u", 25.0, "weight of the loss on guessed labels", within="[0, inf)", source="eq. 12"),
        Option("temperature", 0.5, "temperature of sharpening", within="(0, inf)", flag="sharpening_temperature"),
        Option("mixup_alpha", 4.0, "parameter of the Beta distribution of mixing", within="(0, inf)", source="eq. 8"),
        Option("meta", "none", "a second step of the first network: l2b, with clean samples beside", choices=METAS),
        Option("clip_norm", 0.8, "largest global norm of the gradient of L2B's step", within="(0, inf)"),
    )
    report_columns: tuple[str, ...] = (
        "posterior_auc_peer_1",
        "posterior_auc_peer_2",
        "labelled_share_peer_1",
        "labelled_share_peer_2",
    )

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        lambda_u: float = 25.0,
        temperature: float = 0.5,
        mixup_alpha: float = 4.0,
        meta: str = "none",
        clip_norm: float = 0.8,
        clean_source: str = "set",
        clean_batch_size: int | None = None,
        **options: Any,
    ):
        super().__init__(student, **options)
        check_choice("meta", meta, METAS)
        check_choice("clean_source", clean_source, self.clean_sources)
        self._lambda_u, self.temperature, self._alpha = float(lambda_u), float(temperature), float(mixup_alpha)
        self._clean_source, self._clean_size = clean_source, clean_batch_size or self.size
        self.clean = mirrored_variable(tf.ones([self.peers, self.num_examples]), "clean")
        self.posterior_auc = mirrored_variable(tf.fill([self.peers], float("nan")), "posterior_auc")
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
        super().check_options(options, run)
        if options.get("clip_norm") is not None and options.get("meta") != "l2b":
            raise ValueError("--clip_norm is of the step of --meta=l2b: give that, or leave it out")

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        made = super().prepared(options, data)
        if data.clean_source != "none":
            made |= {"clean_source": data.clean_source, "clean_batch_size": data.clean_batch_size}
        return made

    def compile(self, optimizer: Any = "rmsprop", *arguments: Any, **options: Any) -> None:
        super().compile(optimizer, *arguments, **options)
        if self._bootstrap is not None:
            self._bootstrap.compiled(self.trained_variables())

    # ---- divisions

    def divided(self, turn: int) -> Streams:
        """The streams "labelled" and "unlabelled" with the values "clean", and the clean samples of L2B's step."""
        kept, values = self.kept_labels(turn), {"clean": self.clean.numpy()[turn]}
        streams = {
            "labelled": Stream(kept, self.size, self.VIEWS, values, balanced=self.balanced),
            "unlabelled": Stream(
                self.other_samples(turn, kept), self.unlabelled_size(kept), self.VIEWS, values, balanced=False
            ),
        }
        if self._bootstrap is None or turn:
            return streams
        if self._clean_source == "labelled":
            return streams | {"clean": Stream(kept, self._clean_size, balanced=False)}
        return streams | {"clean": Stream(views=(self.CLEAN_VIEW,), source="clean")}

    def kept_labels(self, turn: int) -> np.ndarray:
        """The samples whose labels a network trains with, bool [n]; neither none nor all."""
        raise NotImplementedError

    def other_samples(self, turn: int, kept: np.ndarray) -> np.ndarray:
        """The samples that a network trains with without their labels, bool [n], beside the kept ones bool [n]."""
        del turn
        return ~kept

    def unlabelled_size(self, kept: np.ndarray) -> int:
        """Unlabelled samples a step, of kept labels bool [n]."""
        del kept
        return self.size

    def note_division(self, turn: int, told: float, kept: np.ndarray) -> None:
        """Books how samples were divided for a network.

        Args:
            turn: the network.
            told: area under the curve of what divides them.
            kept: bool [n].
        """
        for variable, value in ((self.posterior_auc, told), (self.labelled_share, kept.mean())):
            values = variable.numpy()
            values[turn] = value
            variable.assign(values)

    def note_probabilities(self, clean: np.ndarray, epoch: int) -> None:
        """Books what samples.csv says of each sample, from the last epochs or the last one.

        Args:
            clean: float [k, n], how probably each given label is right, for each of k networks.
            epoch: the coming one.
        """
        if epoch >= min(RECORDED_SHARE * self.num_epochs, self.num_epochs - 1):
            for table, more in ((self.weight_totals, clean.sum(axis=0)), (self.weight_visits, float(len(clean)))):
                table.assign(tf.convert_to_tensor(table) + more)

    def note_drawn(self, clean: np.ndarray, positions: np.ndarray) -> None:
        """The same of some samples: float [k] at int64 [k], of all epochs, as each has few of them."""
        for table, more in ((self.weight_totals, clean), (self.weight_visits, 1.0)):
            values = tf.convert_to_tensor(table).numpy()
            values[positions] += more
            table.assign(values)

    def _is_recorded(self, own_batch: tf.Tensor) -> tf.Tensor:
        """Never in a step: the probabilities of all samples are known, drawn or not."""
        return tf.constant(False)

    def report(self) -> dict[str, float]:
        held = {"posterior_auc": self.posterior_auc, "labelled_share": self.labelled_share}
        return {f"{name}_peer_{k}": float(value) for name, of in held.items() for k, value in enumerate(of.numpy(), 1)}

    # ---- steps

    def mix_step(self, batch: Batch, turn: int) -> dict[str, Any]:
        """A step of a network behind the warm-up: guesses, mixtures, and L2B's step if there is one."""
        learner, other = self.networks[turn], self.networks[1 - turn]
        x, u = (tf.unstack(batch[f"{part}_image"], axis=1) for part in ("labelled", "unlabelled"))
        of_u = [learner(view, training=True) for view in u[:2]]
        seconded = tf.split(other(tf.concat(u[:2], 0), training=False), 2)  # in inference mode rows are independent
        of_x = [learner(view, training=True) for view in x[:2]]
        target_u = mixing.guess([*of_u, *seconded])
        target_x = mixing.refined(batch["labelled_label"], batch["labelled_clean"], mixing.guess(of_x))
        images, targets = (
            tf.concat([mixing.sample_rows(labelled), mixing.sample_rows(unlabelled)], 0)
            for labelled, unlabelled in (
                (x[-2:], u[-2:]),
                tuple([mixing.sharpened(target, self.temperature)] * 2 for target in (target_x, target_u)),
            )
        )
        self._learn(batch, turn, images, targets, 2 * tf.shape(target_x)[0])
        return self._finish_mix(batch, of_x[0], of_u[0])

    def further_loss(self, batch: Batch, turn: int) -> tf.Tensor:
        """Another loss beside that of the mixtures, this replica's share of it."""
        del batch, turn
        return tf.constant(0.0)

    def mixed_rows(self, labelled: tf.Tensor) -> tf.Tensor | None:
        """How many of the rows are passed once they are mixed; None: all. ``labelled`` come first."""
        del labelled
        return None

    def _learn(self, batch: Batch, turn: int, images: tf.Tensor, targets: tf.Tensor, labelled: tf.Tensor) -> None:
        """Mixes rows, the labelled ones first, takes the step on them, and L2B's if there is one."""
        learner = self.networks[turn]
        weight = mixing.mixing_weight(self._alpha, self.seed, self.step)
        partners = mixing.permutation(tf.shape(images)[0] * replicas(), self.seed, self.step)
        mixed_images, mixed_targets = mixing.mixed_batch(images, targets, weight, partners, labelled)
        passed = self.mixed_rows(labelled)
        strength = self._lambda_u * mixing.ramp(self.present_epoch(), self.warmup_epochs)
        with tf.GradientTape() as tape:
            logits = tf.cast(learner(mixed_images[:passed], training=True), tf.float32)
            objective = mixing.semi_supervised(mixed_targets[:passed], logits, strength, labelled)
            objective += self.further_loss(batch, turn) + self.decay_term(network=learner)
        self.descend(tape, objective, peer=turn)
        if self._bootstrap is not None and not turn:
            self.note_objective(self._bootstrap(batch, images, targets))

    def _finish_mix(self, batch: Batch, of_labelled: tf.Tensor, of_unlabelled: tf.Tensor) -> dict[str, Any]:
        """Books both parts of a batch, with the learner's logits of a view; labels left out have the weight 0."""
        names = [name for name in ("label", "index", "is_clean", "clean") if f"labelled_{name}" in batch]
        booked = {name: tf.concat([batch[f"labelled_{name}"], batch[f"unlabelled_{name}"]], 0) for name in names}
        logits = tf.cast(tf.concat([of_labelled, of_unlabelled], 0), tf.float32)
        probabilities = tf.cast(booked.pop("clean"), tf.float32)
        weights = probabilities * tf.cast(tf.range(tf.size(probabilities)) < tf.shape(of_labelled)[0], tf.float32)
        losses = self.task.losses(booked["label"], logits)
        return self.finish_step(booked, logits, losses, Weighting(weights, probabilities, tf.constant(0.0)))
