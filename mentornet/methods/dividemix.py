"""DivideMix: two networks that tell each other which labels to keep (Li, Socher and Hoi, ICLR 2020, alg. 1).

After a warm-up of plain training, every epoch begins with a look at all losses of both networks. The smaller component
of a mixture of two Gaussians gives each sample a probability of being labelled right, and what one network says divides
the samples for the other (co-divide). The probable ones keep their labels, as far as they are probable, the others are
unlabelled; a semi-supervised step guesses their labels with both networks, sharpens and mixes (section 3.2).

As in the released code the network that learns makes its guesses in training mode, so that its batch norm averages
move five times a step, and the other one in inference mode; the given labels are refined by the learner alone; and what
is mixed is one batch, whatever its parts. That code trains one epoch more than it is told.
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
from mentornet.methods.loss_split import clean_probability, labelled, scaled
from mentornet.methods.replicas import mirrored_variable, replicas
from mentornet.options import Option, RunFacts, check_choice, given
from mentornet.stages import GIVEN, Stage, Stream, Streams, TrainingSet

WARM, MIX = "warm-up", "mix"
VIEWS = ("weak", "weak")
HISTORY = 5
"""Epochs whose losses are averaged under 90% noise and more."""


class DivideMix(NoisyLabelMethod):
    """Two networks that take turns, an epoch each; they predict with the mean of their logits.

    Args:
        student: the first network, which the second is built after with other starting values; or a list of both.
        num_epochs: how many times each network trains, the warm-up included.
        batch_size: labelled samples a step, beside as many unlabelled ones; twice as many in the warm-up.
        warmup_epochs: of plain training: 10 on CIFAR-10, 30 on CIFAR-100, 1 on Clothing1M.
        lambda_u: weight of the unlabelled loss, which it rises to within 16 epochs: 0 to 150, see the appendix.
        split_threshold: the probability from which on a label is kept; 0.6 under 90% noise.
        temperature: T of sharpening.
        mixup_alpha: both parameters of the Beta distribution of lambda; 0.5 on Clothing1M.
        entropy_penalty: the warm-up shuns confident predictions, for asymmetric noise (eq. 6).
        loss_history: the mixture sees the mean losses of so many last epochs.
        decayed: weight decay on "all" trainable variables (released code), or only "kernels", as elsewhere here.
        **shared: see ``NoisyLabelMethod``; ``max_steps`` is None, and ``num_examples`` must be given.

    Raises:
        ValueError: a setting out of range.
    """

    peers = 2
    counts_epochs = True
    OPTIONS = (
        Option("warmup_epochs", 10, "epochs of plain training first", within="[0, inf)", source="sec. 4.2"),
        Option("lambda_u", 25.0, "weight of the loss on guessed labels", within="[0, inf)", source="eq. 12"),
        Option(
            "split_threshold", 0.5, "least probability with which a label is kept", within="(0, 1)", source="alg. 1"
        ),
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
            "loss_history",
            None,
            f"epochs whose losses are averaged before they are divided; by default {HISTORY} from 90% noise on, else 1",
            kind=int,
            within="[1, inf)",
            source="app. A",
        ),
        Option(
            "decayed",
            "all",
            "weight decay on all parameters (released code) or on kernels",
            choices=DECAYS,
            flag="decayed_parameters",
        ),
    )
    report_columns = tuple(f"{name}_peer_{k}" for name in ("posterior_auc", "labelled_share") for k in (1, 2))

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        num_epochs: int,
        batch_size: int = 64,
        warmup_epochs: int = 10,
        lambda_u: float = 25.0,
        split_threshold: float = 0.5,
        temperature: float = 0.5,
        mixup_alpha: float = 4.0,
        entropy_penalty: bool = False,
        loss_history: int = 1,
        decayed: str = "all",
        **shared: Any,
    ):
        super().__init__(student, **{"max_steps": None, **shared})
        if self.max_steps is not None or self.num_examples is None:
            raise ValueError("DivideMix counts in epochs: give num_epochs and num_examples, and no max_steps")
        check_choice("decayed", decayed, DECAYS)
        if not 0 <= warmup_epochs < num_epochs:
            raise ValueError(f"warmup_epochs={warmup_epochs} must leave some of the {num_epochs} epochs")
        if loss_history < 1 or batch_size < 1:
            raise ValueError(f"loss_history={loss_history} and batch_size={batch_size} must be at least 1")
        self.num_epochs, self.total_stages, self._size = num_epochs, 2 * num_epochs, batch_size
        self._warmup, self._lambda_u, self._threshold = warmup_epochs, float(lambda_u), float(split_threshold)
        self._temperature, self._alpha = float(temperature), float(mixup_alpha)
        self._penalised, self._decayed = entropy_penalty, decayed
        self.clean = mirrored_variable(tf.ones([self.peers, self.num_examples]), "clean")
        self.figures = mirrored_variable(tf.fill([2, self.peers], float("nan")), "figures")
        if loss_history > 1:
            self.loss_table = mirrored_variable(tf.zeros([self.peers, loss_history, self.num_examples]), "loss_table")

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        warmup = given(options, "warmup_epochs", 10)
        if run.num_epochs is not None and warmup >= run.num_epochs:
            raise ValueError(
                f"--warmup_epochs={warmup} leave none of the {run.num_epochs} epochs to the division: use a shorter "
                "warm-up or more --num_epochs"
            )

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        if data.batch_size % 2:
            raise ValueError(f"--batch_size={data.batch_size} is half labelled and half unlabelled: use an even number")
        made = {**options, "num_epochs": data.num_epochs, "batch_size": data.batch_size // 2}
        made.setdefault("entropy_penalty", data.noise_type in ("asymmetric", "pair"))
        made.setdefault("loss_history", HISTORY if (data.noise_fraction or 0.0) >= 0.9 else 1)
        return made

    # ---- stages

    def next_stage(self, done: int) -> Stage | None:
        """An epoch of the first network, then the same epoch of the second, at whose end there is a row."""
        epoch, turn = divmod(done, 2)
        kind = (WARM if epoch < self._warmup else MIX, turn)
        return Stage(kind, done, record=turn == 1, epoch=epoch) if epoch < self.num_epochs else None

    def look(self, stage: Stage, training: TrainingSet) -> bool | None:
        """Both divisions, before either network trains."""
        if stage.kind != (MIX, 0):
            return False
        assert stage.epoch is not None
        told, figures = self.clean.numpy(), self.figures.numpy()
        for k, student in enumerate(self.students):
            losses = self._averaged(k, scaled(training.outputs(student.network).loss), stage.epoch - self._warmup)
            probability = clean_probability(losses, self.seed + stage.number + k)
            told[1 - k] = probability  # co-divide: for the other one
            figures[:, 1 - k] = training.tells_clean(probability), labelled(told[1 - k], self._threshold).mean()
        self.clean.assign(told)
        self.figures.assign(figures)
        if stage.epoch >= min(RECORDED_SHARE * self.num_epochs, self.num_epochs - 1):
            for table, more in ((self.weight_totals, told.sum(axis=0)), (self.weight_visits, float(self.peers))):
                table.assign(tf.convert_to_tensor(table) + more)
        return True

    def _averaged(self, k: int, losses: np.ndarray, looks: int) -> np.ndarray:
        """The mean of a network's last losses [n], these included, of which ``looks`` came before."""
        if not hasattr(self, "loss_table"):
            return losses
        table = self.loss_table.numpy()
        table[k, looks % table.shape[1]] = losses
        self.loss_table.assign(table)
        mean: np.ndarray = table[k, : looks + 1].mean(axis=0, dtype=np.float64)
        return mean

    def streams(self, stage: Stage) -> Streams:
        kind, turn = cast(tuple[str, int], stage.kind)
        if kind == WARM:
            return {GIVEN: Stream(size=2 * self._size)}
        clean = self.clean.numpy()[turn]
        kept = labelled(clean, self._threshold)
        return {
            "labelled": Stream(kept, self._size, VIEWS, {"clean": clean}),
            "unlabelled": Stream(~kept, self._size, VIEWS, {"clean": clean}, balanced=False),
        }

    def report(self) -> dict[str, float]:
        return dict(zip(self.report_columns, self.figures.numpy().ravel().tolist(), strict=True))

    def decayed_variables(self, network: keras.Model) -> list[tf.Variable]:
        return inspection.decayed(network, self._decayed)

    def _is_recorded(self, own_batch: tf.Tensor) -> tf.Tensor:
        """Never in a step: the probabilities of all samples are known at every look."""
        return tf.constant(False)

    # ---- steps

    def train_step(self, batch: Batch) -> dict[str, Any]:
        kind, turn = cast(tuple[str, int], self.stage.kind)
        return self._warm_step(batch, turn) if kind == WARM else self._mix_step(batch, turn)

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

    def _mix_step(self, batch: Batch, turn: int) -> dict[str, Any]:
        learner, other = self.networks[turn], self.networks[1 - turn]
        x, u = tf.unstack(batch["labelled_image"], axis=1), tf.unstack(batch["unlabelled_image"], axis=1)
        clean = tf.cast(batch["labelled_clean"], tf.float32)
        of_u = [learner(view, training=True) for view in u]
        seconded = tf.split(other(tf.concat(u, 0), training=False), len(u))  # in inference mode rows are independent
        of_x = [learner(view, training=True) for view in x]
        target_u = mixing.sharpened(mixing.guess([*of_u, *seconded]), self._temperature)
        target_x = mixing.refined(batch["labelled_label"], clean, mixing.guess(of_x))
        target_x = mixing.sharpened(target_x, self._temperature)
        images, targets = mixing.sample_rows(x, u), mixing.sample_rows([target_x] * len(x), [target_u] * len(u))
        weight = mixing.mixing_weight(self._alpha, self.seed, self.step)
        partners = mixing.permutation(tf.shape(images)[0] * replicas(), self.seed, self.step)
        mixed_images, mixed_targets = mixing.mixed_batch(images, targets, weight, partners)
        strength = self._lambda_u * mixing.ramp(self.present_epoch(), self._warmup)
        with tf.GradientTape() as tape:
            logits = tf.cast(learner(mixed_images, training=True), tf.float32)
            objective = mixing.semi_supervised(mixed_targets, logits, strength) + self.decay_term(network=learner)
        self.descend(tape, objective, peer=turn)
        return self._finish_mix(batch, of_x[0], of_u[0], clean)

    def _finish_mix(self, batch: Batch, of_x: tf.Tensor, of_u: tf.Tensor, clean: tf.Tensor) -> dict[str, Any]:
        """Books both parts of a batch; labels that are left out have the weight 0."""
        names = [name for name in ("label", "index", "is_clean") if f"labelled_{name}" in batch]
        booked = {name: tf.concat([batch[f"labelled_{name}"], batch[f"unlabelled_{name}"]], 0) for name in names}
        logits = tf.cast(tf.concat([of_x, of_u], 0), tf.float32)
        of_unlabelled = tf.cast(batch["unlabelled_clean"], tf.float32)
        weights = tf.concat([clean, tf.zeros_like(of_unlabelled)], 0)
        probabilities = tf.concat([clean, of_unlabelled], 0)
        losses = self.task.losses(booked["label"], logits)
        return self.finish_step(booked, logits, losses, Weighting(weights, probabilities, tf.constant(0.0)))
