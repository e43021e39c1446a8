"""SPADE: the student and the weights of its samples, minimised together over mini-batches (ICML sec. 4, alg. 1).

Per batch: losses of the student in training mode -> moving percentile l_pt -> weights v of a curriculum (predefined
or a frozen MentorNet), or one projected gradient step on v when the curriculum's G is used explicitly (step 9)
-> example dropout -> loss = sum v l / b + theta mean(v) L2 (app. E.3) -> momentum step. No gradient flows through v.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet import curricula
from mentornet.curricula import learned
from mentornet.curricula.base import Curriculum
from mentornet.curricula.learned import LearnedCurriculum
from mentornet.features import (
    DROPOUT_MODES,
    EPOCH_ROWS,
    PERCENTILE_METHODS,
    bernoulli_weights,
    epoch_percent,
    example_dropout,
    moving_percentile,
    per_epoch_table,
    random_seed,
    steps_to_settle,
)
from mentornet.inspection import StudentWithActivation, num_classes, student_outputs, with_auxiliary_loss
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.replicas import gather, mirrored_variable, own_part, set_rows
from mentornet.network import MentorNetwork
from mentornet.stages import Stage, TrainingSet
from mentornet.task import per_sample_cross_entropy

BURN_IN_MODES = ("bernoulli", "ones")
UNSETTLED_SHARE = 0.05
"""Share of a training in which the moving percentile may still lag behind without a warning."""


class Spade(NoisyLabelMethod):
    """MentorNet training of a student.

    Args:
        student: any Keras model, images -> logits.
        curriculum: a ``Curriculum``, a name or path for ``mentornet.curricula.get``, or any TensorFlow function of
            (loss, loss minus its moving percentile, label, epoch percent) to weights [b]. One with an
            ``activation_size`` is shown the student's activation before its logits, from the same forward pass.
        max_steps, num_examples, weight_decay, seed, clean_known: see ``NoisyLabelMethod``.
        loss_percentile: p of l_pt in [0, 1]; a number, or a table over training ("0.75,90,0.8,10").
        loss_moving_average_decay: 0.95 in the paper, 0.5 in the release.
        percentile_method: "linear" or "nearest" (the release).
        burn_in_epoch: percent of training before the curriculum decides; 20 in the paper, 0 in the release.
        burn_in_mode: "bernoulli": weights drawn as 1 with probability 1 - drop rate (paper, sec. 3.1); "ones": weights
            raised to 1 while e < burn_in_epoch - 1, example dropout on top (the release); a MentorNet that has learned
            nothing yet waits for burn_in_epoch itself, when it is learned first.
        fixed_epoch_after_burn_in: show the curriculum min(e, burn_in_epoch) (MentorNet DD); the tables go on by e.
        example_dropout_rates: drop rate r; a number or a table over training. By default half of the samples during
            burn-in, then 5% (ICML sec. 5.1, v1 sec. 5); 0 for none.
        example_dropout_mode: "uniform" or "proportional" (v1).
        explicit: use the curriculum's G by alg. 1 step 9 instead of its closed form; v is kept per training sample.
        weight_step_size: step size on v in that mode; None takes the student's learning rate, as alg. 1 does.
        updates: when and from what the MentorNet is learned anew (alg. 1 step 6), ``mentornet.learning.updates``.

    Raises:
        ValueError: a setting outside its range, a curriculum without a known G in explicit mode, or one that reads an
            activation which the student does not have.
    """

    takes_auxiliary_head = True

    def __init__(
        self,
        student: keras.Model,
        curriculum: Curriculum | str | Callable[..., tf.Tensor] = "mentornet_pd",
        *,
        max_steps: int,
        num_examples: int | None = None,
        weight_decay: float = 0.0,
        seed: int = 0,
        clean_known: bool = True,
        loss_percentile: str | float | Sequence[float] = 0.75,
        loss_moving_average_decay: float = 0.95,
        percentile_method: str = "linear",
        burn_in_epoch: int = 20,
        burn_in_mode: str = "bernoulli",
        fixed_epoch_after_burn_in: bool = False,
        example_dropout_rates: str | float | Sequence[float] = "0.5,20,0.05,80",
        example_dropout_mode: str = "uniform",
        explicit: bool = False,
        weight_step_size: float | None = None,
        updates: Any = None,
        name: str | None = None,
    ):
        self.max_steps: int
        super().__init__(
            student,
            max_steps=max_steps,
            num_examples=num_examples,
            weight_decay=weight_decay,
            seed=seed,
            clean_known=clean_known,
            name=name,
        )
        if not 0.0 <= loss_moving_average_decay < 1.0:
            raise ValueError(f"loss_moving_average_decay={loss_moving_average_decay:g} must lie in [0, 1)")
        if not 0 <= burn_in_epoch <= 100:
            raise ValueError(f"burn_in_epoch={burn_in_epoch} must lie in 0..100 (percent of training)")
        for what, value, allowed in (
            ("percentile_method", percentile_method, PERCENTILE_METHODS),
            ("burn_in_mode", burn_in_mode, BURN_IN_MODES),
            ("example_dropout_mode", example_dropout_mode, DROPOUT_MODES),
        ):
            if value not in allowed:
                raise ValueError(f"{what}={value!r}: use one of {', '.join(allowed)}")
        found = curricula.of(curriculum)
        self.curriculum = found.for_classes(num_classes(student)) if found.counts_classes else found
        self._one_early = int(getattr(self.curriculum, "learned", True))
        self._curriculum_variables = self.curriculum.frozen_variables
        self._with_activation = self._activation_reader()
        # A variable, because a data-driven curriculum brings the percentile it was learned with.
        table = per_epoch_table(loss_percentile, "loss_p_percentile")
        self.percentiles = tf.Variable(table, trainable=False, dtype=tf.float32, name="percentiles")
        self._drop_rates = tf.constant(per_epoch_table(example_dropout_rates, "example_dropout_rates"))
        self._decay, self._percentile_method = float(loss_moving_average_decay), percentile_method
        self._burn_in_epoch, self._burn_in_mode = int(burn_in_epoch), burn_in_mode
        self._fixed_epoch = fixed_epoch_after_burn_in
        self._dropout_mode = example_dropout_mode
        self._explicit, self._weight_step_size = explicit, weight_step_size
        self.loss_percentile = mirrored_variable(tf.constant(0.0), "loss_percentile")
        self._create_tables()
        # Behind a function: Keras wraps what it may have to save.
        self._updates = lambda: updates

    @property
    def keeps_values_per_sample(self) -> bool:
        """Whether a batch may hold a sample once only, because each of them updates its own row of a table."""
        return self._explicit or self.curriculum.history > 1

    def _activation_reader(self) -> StudentWithActivation | None:
        """What answers with the activation that the curriculum reads; None if it reads none."""
        size = self.curriculum.activation_size
        if not size:
            return None
        reader = StudentWithActivation(self.student)
        if reader.size != size:
            raise ValueError(
                f"curriculum {self.curriculum.name!r} reads an activation of {size} values, but the student "
                f"{self.student.name!r} has {reader.size} before its logits: train the student it was learned from"
            )
        return reader

    def _create_tables(self) -> None:
        """Per-sample state: v of the explicit mode, and past losses for curricula that read a history."""
        past = self.curriculum.history - 1
        if (self._explicit or past) and self.num_examples is None:
            raise ValueError(f"curriculum {self.curriculum.name!r} keeps a value per sample: give num_examples")
        if self._explicit:
            limit = self.curriculum.weight_limit
            if self.curriculum.regulariser_gradient(tf.constant([limit]), 1.0) is None:
                raise ValueError(f"curriculum {self.curriculum.name!r} has no known G, so it can't be used explicitly")
            self.sample_weights = mirrored_variable(tf.fill([self.num_examples], limit), "sample_weights")
        if past:
            unseen = tf.fill([self.num_examples, past, 2], float("nan"))
            self.loss_history = mirrored_variable(unseen, "loss_history")

    def schedule_warning(self) -> str | None:
        """Whether l_pt is still far below the losses when the curriculum, which then drops nearly all, begins."""
        begins, needed = math.ceil(self._burn_in_epoch * self.max_steps / 100), steps_to_settle(self._decay)
        if needed - begins <= UNSETTLED_SHARE * self.max_steps or not self._drops_beyond_the_percentile():
            return None
        return (
            f"the moving percentile of the losses starts at 0 and needs about {needed} steps, but the curriculum "
            f"decides from step {begins} of {self.max_steps:,} on, so that nearly all samples have no weight at first: "
            "train for more epochs, or with smaller batches"
        )

    def _drops_beyond_the_percentile(self) -> bool:
        """Whether the curriculum gives hardly any weight to a loss that lies far above the percentile."""
        if self._explicit or self.keeps_values_per_sample or self._with_activation is not None:
            return False  # v starts at its limit, or it can't be asked about a loss alone
        large, label = tf.constant([2.0]), tf.constant([0])
        return bool(self.curriculum(large, large, label, tf.constant(50))[0] < 0.1)

    def next_stage(self, done: int) -> Stage | None:
        """One stage, or one up to every update of the MentorNet."""
        if self._updates() is None:
            return super().next_stage(done)
        ends = [0, *self._updates().steps(self.max_steps), self.max_steps]
        return Stage(number=done, steps=ends[done + 1] - ends[done]) if done + 1 < len(ends) else None

    def look(self, stage: Stage, training: TrainingSet) -> bool | None:
        """Learns the MentorNet anew from the present student; the run folder keeps it in ``curricula``."""
        if not stage.number:
            return False
        updates, step = self._updates(), int(self.step.numpy())
        found = training.outputs(self.student, updates.trusted.positions)
        network, card = updates.learn(found, step, self.shown_epoch(step), self.learned_network().config)
        self.update_curriculum(network, card["percentile"] / 100)
        if training.folder is not None:
            learned.save(network, training.folder / "curricula" / f"step_{step:06d}", {**card, "step": step})
            print(f"step {step:,}: curriculum learned anew from {len(found.label):,} trusted samples", flush=True)
        return True

    def train_step(self, batch: Batch) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            activation = None
            if self._with_activation is None:
                outputs = self.student(batch["image"], training=True)
            else:
                outputs, activation = self._with_activation(batch["image"], training=True)
            logits, auxiliary = student_outputs(outputs)
            losses = per_sample_cross_entropy(batch["label"], logits)
            # Data without positions will do where no value is kept per sample.
            index = batch["index"] if self.keeps_values_per_sample else batch.get("index", batch["label"])
            weighting = self.weigh(tf.stop_gradient(losses), batch["label"], index, activation)
            descended = with_auxiliary_loss(
                losses, auxiliary, lambda second: per_sample_cross_entropy(batch["label"], second)
            )
            # Replicas have equal parts of the batch, so that their shares of the decay add up to the mean of it all.
            decay = self.decay_term(tf.reduce_mean(weighting.weights))
            objective = self.weighted_mean(descended, weighting.weights) + decay
        self.descend(tape, objective)
        return self.finish_step(batch, logits, losses, weighting)

    def weigh(
        self, losses: tf.Tensor, label: tf.Tensor, index: tf.Tensor, activation: tf.Tensor | None = None
    ) -> Weighting:
        """Steps 4 to 11 of algorithm 1 for one batch: losses, labels and indices [b] -> weights [b].

        A curriculum that reads an activation gets it, float32 [b, a]. All of it runs on the global batch, so that every
        replica reaches the same l_pt and draws the same samples.
        """
        own = losses
        losses, label, index = gather(losses), gather(label), gather(index)
        epoch = epoch_percent(self.step, self.max_steps)
        shown_epoch = tf.minimum(epoch, self._burn_in_epoch) if self._fixed_epoch else epoch
        # Gathered, because indexing by a tensor would have XLA compile every step.
        drop_rate, fraction = tf.gather(self._drop_rates, epoch), tf.gather(self.percentiles, epoch)
        self.loss_percentile.assign(
            moving_percentile(self.loss_percentile, losses, fraction, self._decay, self._percentile_method)
        )
        threshold = tf.convert_to_tensor(self.loss_percentile)
        if self._explicit:
            curriculum_weights = self._explicit_weights(losses, index, threshold)
        else:
            inputs = self._with_history(losses, losses - threshold, index)
            shown = {}
            if activation is not None:  # gathering forgets the width
                size = self.curriculum.activation_size
                shown["activation"] = tf.ensure_shape(gather(tf.stop_gradient(activation)), [None, size])
            curriculum_weights = self.curriculum(*inputs, label, shown_epoch, **shown)
        weights, curriculum_weights = self._sample(curriculum_weights, epoch, drop_rate)
        weights, curriculum_weights = tf.stop_gradient(weights), tf.stop_gradient(curriculum_weights)
        return Weighting(own_part(weights, own), own_part(curriculum_weights, own), drop_rate)

    def _sample(self, weights: tf.Tensor, epoch: tf.Tensor, drop_rate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Burn-in and example dropout: curriculum weights -> (weights used, curriculum weights in force)."""
        size = tf.shape(weights)[0]
        seed = random_seed(self.seed, "example_dropout", self.step)
        if self._burn_in_mode == "ones":
            weights = tf.where(epoch < self._burn_in_epoch - self._one_early, tf.ones_like(weights), weights)
            return example_dropout(weights, drop_rate, seed, self._dropout_mode), weights
        burning = epoch < self._burn_in_epoch
        drawn = bernoulli_weights(size, drop_rate, random_seed(self.seed, "burn_in", self.step))
        kept = example_dropout(weights, drop_rate, seed, self._dropout_mode)
        return tf.where(burning, drawn, kept), tf.where(burning, tf.ones_like(weights), weights)

    def _explicit_weights(self, losses: tf.Tensor, index: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        """Algorithm 1 step 9: v <- v - alpha (l + dG/dv), projected to [0, limit], for this batch's samples only."""
        weights = tf.gather(self.sample_weights, index)
        step_size = self.learning_rate() if self._weight_step_size is None else self._weight_step_size
        gradient = losses + self.curriculum.regulariser_gradient(weights, threshold)
        updated = tf.clip_by_value(weights - step_size * gradient, 0.0, self.curriculum.weight_limit)
        set_rows(self.sample_weights, index, updated)
        return updated

    def _with_history(self, losses: tf.Tensor, differences: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[b] -> [b, T] for curricula that read a history; a sample not seen before repeats its present loss."""
        if self.curriculum.history == 1:
            return losses, differences
        present = tf.stack([losses, differences], axis=-1)[:, tf.newaxis]
        past = tf.gather(self.loss_history, index)
        series = tf.concat([tf.where(tf.math.is_nan(past), present, past), present], axis=1)
        set_rows(self.loss_history, index, series[:, 1:])
        return series[:, :, 0], series[:, :, 1]

    def shown_epoch(self, step: int) -> int:
        """The epoch percent the curriculum is shown at a step (see ``fixed_epoch_after_burn_in``)."""
        epoch = int(epoch_percent(step, self.max_steps))
        return min(epoch, self._burn_in_epoch) if self._fixed_epoch else epoch

    def learned_network(self) -> MentorNetwork:
        """The frozen MentorNet in force.

        Raises:
            ValueError: the curriculum is a formula or a mixture.
        """
        if not isinstance(self.curriculum, LearnedCurriculum):
            raise ValueError(f"curriculum {self.curriculum.name!r} is a formula: only a learned one can be updated")
        if not isinstance(self.curriculum.network, MentorNetwork):
            raise ValueError(
                f"curriculum {self.curriculum.name!r} is a mixture: only a single MentorNet can be updated"
            )
        return self.curriculum.network

    def update_curriculum(self, network: MentorNetwork, loss_percentile: float) -> None:
        """Lets a newly learned MentorNet of the same shape take over, with its percentile (alg. 1 step 6)."""
        self.learned_network().set_weights(network.get_weights())
        self.percentiles.assign(tf.fill([EPOCH_ROWS], tf.constant(loss_percentile, tf.float32)))

    def report(self) -> dict[str, float]:
        return {"loss_percentile": float(self.loss_percentile.numpy())}
