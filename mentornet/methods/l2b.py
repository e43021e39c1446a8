"""L2B: learned weights for the given label and for the student's own (Zhou, Li et al., CVPR 2024, alg. 1).

With f_i the loss against the given label and g_i against the pseudo label argmax z_i of the same pass, the loss is
sum_i alpha_i f_i + beta_i g_i. Both weights are products with the gradient of a clean batch, as in L2RW, rectified and
normalised together over the 2n numbers, so that their ratio carries the relabelling (eqs. 5 to 9). The gradient's
global norm is clipped before weight decay is added. The released code looks ahead with its momentum optimiser and
decays every parameter; the paper's eq. 5 looks ahead with the plain gradient.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import inspection
from mentornet.inspection import DECAYS
from mentornet.methods import mask_views, meta_step
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.clean_step import CLEAN_STEP, take_clean_step
from mentornet.methods.clipped_step import clipped_step, scaled
from mentornet.methods.loss_split import clean_samples
from mentornet.methods.meta_step import MetaStep
from mentornet.methods.protocol import CLEAN_SET
from mentornet.methods.replicas import gather, mirrored_variable, own_part, replicas
from mentornet.methods.statistics import PseudoLabelStatistics
from mentornet.methods.weights import label_weights
from mentornet.options import Option, RunFacts, check_choice
from mentornet.stages import GIVEN, Stage, Stream, Streams, TrainingSet
from mentornet.task import folded, per_sample_cross_entropy

ABLATIONS = ("none", "alpha_zero", "beta_zero", "alpha_plus_beta_one")
NORMALISATIONS = ("rectified", "sigmoid", "softmax")
SCOPES = ("joint", "separate")


class L2B(NoisyLabelMethod):
    """Learning to bootstrap (naive L2B, without a base learner).

    Batches need "clean_image" and "clean_label" beside the noisy part. The weights that are reported are those of the
    given labels, times n: n alpha_i; those of the pseudo labels, n beta_i, are in ``report``.

    Args:
        student: any Keras model, images -> logits.
        warmup_steps: steps of plain training first; the paper's 10 epochs of 300 (1 of 30 on ISIC). They cost what the
            others cost: one compiled step does both, so that replicas and XLA need no branches.
        clip_norm: largest global norm of the loss gradient; None: no limit. The released code has 0.25 on CIFAR-10 and
            0.8 on CIFAR-100, the paper names none.
        ablation: "alpha_zero" trains on pseudo labels only, "beta_zero" on given ones only (L2RW), with
            "alpha_plus_beta_one" every sample has weight 1/n, divided between its two labels (table 8).
        normalisation: "rectified" is eq. 9. "sigmoid" is applied after rectifying, as in the released code, "softmax"
            to the scores divided by ``temperature``; both see scores of the size of the learning rate.
        scope: "joint" normalises alpha and beta together; "separate" gives each row half of the total.
        temperature: of the softmax; 10 in the released command for ISIC.
        mixture_steps: no clean set: after the warm-up, and then whenever this many steps (an epoch) have passed, the
            training samples that a mixture of two components takes for clean are chosen to play its part, with their
            noisy labels. Until then all samples do. Without a warm-up the first choice waits for ``mixture_steps``,
            because the losses of an untrained student tell nothing. Needs ``num_examples``.
        clean_batch_size: m, so that the mixture chooses no fewer.
        decayed: "all" trainable variables decay (released code), or only "kernels", as elsewhere here.
        clean_step: see ``methods.clean_step``.
        pseudo_label_views: of masks: 5 takes pseudo labels from five views of each slice, see ``methods.mask_views``.
        meta_gradient, lookahead, clean_decay: see ``MetaStep``; "momentum" is the default of the second, as in the
            released code, "none" is eq. 5.
        **shared: see ``NoisyLabelMethod``.

    Raises:
        ValueError: a setting outside its range, or one that the chosen ablation or normalisation does not use.
    """

    NEEDS = frozenset({CLEAN_SET})
    clean_sources = ("set", "mixture")
    OPTIONS = (
        *meta_step.options(lookahead="momentum"),
        Option("warmup_steps", 0, "steps of plain training first", within="[0, inf)", source="sec. 4"),
        Option("clip_norm", None, "largest global norm of the loss gradient", kind=float, within="(0, inf)"),
        Option("ablation", "none", "an ablation", choices=ABLATIONS, source="table 8", flag="l2b_ablation"),
        Option(
            "normalisation",
            "rectified",
            "how scores become weights",
            choices=NORMALISATIONS,
            source="eq. 9",
            flag="l2b_normalisation",
        ),
        Option(
            "scope",
            "joint",
            "normalise both kinds of weights together, or each for itself",
            choices=SCOPES,
            flag="l2b_scope",
        ),
        Option(
            "temperature",
            1.0,
            "temperature of the softmax normalisation",
            within="(0, inf)",
            flag="l2b_temperature",
        ),
        Option(
            "decayed",
            "all",
            "weight decay on all parameters (released code) or on kernels",
            choices=DECAYS,
            flag="l2b_decayed",
        ),
        CLEAN_STEP,
        Option("pseudo_label_views", 1, "of masks: 5 views of each slice agree on its pseudo label", within="[1, 5]"),
    )
    largest_weight = 16.0
    weighs_sites, weight_maps = True, "both"
    report_columns = PseudoLabelStatistics.COLUMNS

    def __init__(
        self,
        student: keras.Model,
        *,
        warmup_steps: int = 0,
        clip_norm: float | None = None,
        ablation: str = "none",
        normalisation: str = "rectified",
        scope: str = "joint",
        temperature: float = 1.0,
        mixture_steps: int | None = None,
        clean_batch_size: int = 1,
        decayed: str = "all",
        clean_step: bool = False,
        pseudo_label_views: int = 1,
        meta_gradient: str = "forward",
        lookahead: str = "momentum",
        clean_decay: bool = False,
        **shared: Any,
    ):
        super().__init__(student, **shared)
        for what, value, allowed in (
            ("ablation", ablation, ABLATIONS),
            ("normalisation", normalisation, NORMALISATIONS),
            ("scope", scope, SCOPES),
            ("decayed", decayed, DECAYS),
        ):
            check_choice(what, value, allowed)
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps={warmup_steps} must not be negative")
        if warmup_steps and warmup_steps >= (self.max_steps or 1):
            raise ValueError(
                f"warmup_steps={warmup_steps} leave none of the {self.max_steps} steps to L2B: use a shorter warm-up"
            )
        if clip_norm is not None and not 0 < clip_norm < math.inf:
            raise ValueError(f"clip_norm={clip_norm:g} must be above 0 and finite; leave it out to clip nothing")
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature={temperature:g} must be above 0 and finite")
        if temperature != 1.0 and normalisation != "softmax":
            raise ValueError(f"temperature={temperature:g} belongs to normalisation=softmax, not to {normalisation}")
        if ablation == "alpha_plus_beta_one" and (normalisation != "rectified" or scope != "joint"):
            raise ValueError("ablation=alpha_plus_beta_one fixes the normalisation: leave normalisation and scope out")
        if mixture_steps is not None:
            if self.num_examples is None or mixture_steps < 1:
                raise ValueError(f"mixture_steps={mixture_steps} must be at least 1, and num_examples given with it")
            if not 1 <= clean_batch_size <= self.num_examples:
                raise ValueError(
                    f"the mixture is asked for {clean_batch_size} samples a step, but has {self.num_examples} training "
                    "samples to choose from: use a smaller clean batch"
                )
            self.supposed_clean = mirrored_variable(tf.ones([self.num_examples]), "supposed_clean")
        elif clean_batch_size != 1:
            raise ValueError(f"clean_batch_size={clean_batch_size} is for the mixture: give mixture_steps with it")
        self._mixture_steps, self._clean_batch_size = mixture_steps or 0, clean_batch_size
        self._warmup_steps, self._clip_norm = int(warmup_steps), clip_norm
        self._ablation, self._normalisation, self._scope = ablation, normalisation, scope
        if pseudo_label_views not in mask_views.COUNTS or (pseudo_label_views > 1 and not self.task.sites):
            raise ValueError(f"pseudo_label_views={pseudo_label_views}: masks have 5 views or 1, classes have 1")
        self._clean_step, self._views = clean_step, pseudo_label_views
        self.pseudo_statistics = PseudoLabelStatistics(
            self.statistics.clean_known, self.largest_weight, many=self.task.sites
        )
        self._temperature, self._decayed = float(temperature), decayed
        self._meta = MetaStep(
            lambda: self.students[0],
            self.student,
            meta_gradient=meta_gradient,
            lookahead=lookahead,
            clean_decay=clean_decay,
            weight_decay=self.weight_decay,
            decayed=lambda: self.decayed_variables(self.student),
        )

    @classmethod
    def check_options(cls, options: Mapping[str, Any], run: RunFacts) -> None:
        meta_step.check_options(options, run, lookahead="momentum")
        warmup = options.get("warmup_steps")
        if warmup and run.max_steps is not None and warmup >= run.max_steps:
            raise ValueError(
                f"--warmup_steps={warmup} leave none of the {run.max_steps} steps to L2B: use a shorter warm-up"
            )
        normalisation, scope = options.get("normalisation") or "rectified", options.get("scope") or "joint"
        if options.get("ablation") == "alpha_plus_beta_one" and (normalisation, scope) != ("rectified", "joint"):
            raise ValueError(
                "--l2b_ablation=alpha_plus_beta_one fixes the normalisation: leave --l2b_normalisation and --l2b_scope "
                "out"
            )
        if options.get("temperature") is not None and normalisation != "softmax":
            raise ValueError("--l2b_temperature is only used with --l2b_normalisation=softmax")

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        if data.clean_source != "mixture":
            return dict(options)
        sizes = {"mixture_steps": data.steps_per_epoch, "clean_batch_size": data.clean_batch_size}
        return {**options, **sizes}

    def compile(self, optimizer: Any = "rmsprop", *arguments: Any, **options: Any) -> None:
        super().compile(optimizer, *arguments, **options)
        self._meta.compiled(self.trained_variables())

    def next_stage(self, done: int) -> Stage | None:
        """One stage, or with the mixture one up to every choice of clean samples."""
        if not self._mixture_steps:
            return super().next_stage(done)
        assert self.max_steps is not None
        choices = range(self._warmup_steps or self._mixture_steps, self.max_steps, self._mixture_steps)
        ends = [0, *choices, self.max_steps]
        return Stage(number=done, steps=ends[done + 1] - ends[done]) if done + 1 < len(ends) else None

    def look(self, stage: Stage, training: TrainingSet) -> bool | None:
        """Chooses the samples that a mixture of the present losses takes for clean."""
        if not stage.number:
            return False
        losses = training.outputs(self.student).loss
        chosen = clean_samples(losses, self._clean_batch_size, self.seed + int(self.step.numpy()))
        self.supposed_clean.assign(chosen.astype(np.float32))
        return True

    def streams(self, stage: Stage) -> Streams:
        if not self._mixture_steps:
            return super().streams(stage)
        clean = Stream(self.supposed_clean.numpy() > 0, self._clean_batch_size, balanced=False)
        return {GIVEN: Stream(), "clean": clean}

    def interval_statistics(self) -> list[keras.metrics.Metric]:
        return [*super().interval_statistics(), self.pseudo_statistics]

    def report(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.pseudo_statistics.result().items()}

    def decayed_variables(self, network: keras.Model) -> list[tf.Variable]:
        return inspection.decayed(network, self._decayed)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        image, label, pseudo = batch["image"], batch["label"], hard_labels
        if self._views > 1:
            scales = mask_views.drawn(self.seed, self.step)
            image, label = mask_views.expanded(image, scales), mask_views.expanded(label, scales, nearest=True)
            pseudo = functools.partial(mask_views.agreed, scales=scales)
        direction = self._meta.direction(batch)
        with tf.GradientTape() as tape:
            logits, products = self._meta.logits_and_products(image, lambda z: label_pair(label, z, pseudo), direction)
            kinds = (label, tf.stop_gradient(pseudo(logits)))
            losses = tf.stack([per_sample_cross_entropy(kind, logits) for kind in kinds])
            weights = tf.reshape(self.weights(tf.reshape(products, [2, -1]) * self.learning_rate()), tf.shape(losses))
            objective = tf.reduce_sum(weights * losses)
            descended = scaled(self.optimizer, objective)
        self.note_objective(objective)
        clipped_step(
            tape,
            descended,
            self.optimizer,
            self.student.trainable_variables,
            clip_norm=self._clip_norm,
            weight_decay=self.weight_decay,
            decayed=self.decayed_variables(self.student),
        )
        if self._clean_step:
            take_clean_step(
                self.student,
                self.optimizer,
                batch,
                clip_norm=self._clip_norm,
                weight_decay=self.weight_decay,
                decayed=self.decayed_variables(self.student),
            )
        # Of several views the first, the slice itself, is reported.
        size = tf.cast(tf.size(label) * replicas(), tf.float32)
        logits, given_loss = logits[:: self._views], losses[0, :: self._views]
        shown, of_pseudo = tf.unstack(size * weights[:, :: self._views])
        self.pseudo_statistics.clean_known = self.statistics.clean_known and "is_clean" in batch
        is_clean = batch.get("is_clean", tf.ones_like(batch["label"], tf.bool))
        self.pseudo_statistics.update_state(folded(shown), folded(of_pseudo), folded(is_clean))
        return self.finish_step(batch, logits, given_loss, Weighting(shown, shown, tf.constant(0.0)))

    def weights(self, scores: tf.Tensor) -> tf.Tensor:
        """Scores float32 [2, n] of this replica, pixels of masks in a row -> (alpha, beta) float32 [2, n].

        Normalised over the global batch; during the warm-up alpha is 1/n and beta 0.
        """
        everyone = tf.transpose(gather(tf.transpose(scores)))
        size = tf.cast(tf.shape(everyone)[1], tf.float32)
        found = label_weights(everyone, size, self._ablation, self._normalisation, self._scope, self._temperature)
        plain = tf.stack([tf.ones_like(found[0]), tf.zeros_like(found[0])]) / size
        found = tf.where(self.step < self._warmup_steps, plain, found)
        own = tf.transpose(own_part(tf.transpose(found), tf.transpose(scores)))
        return tf.stop_gradient(own)


def hard_labels(logits: tf.Tensor) -> tf.Tensor:
    """The most probable classes: logits [n, *sites, C] -> int32 [n, *sites]."""
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


def label_pair(
    label: tf.Tensor, logits: tf.Tensor, pseudo: Callable[[tf.Tensor], tf.Tensor] = hard_labels
) -> tf.Tensor:
    """One-hot given labels and pseudo labels (argmax of the logits by default): float32 [2, n, *sites, C]."""
    return tf.one_hot(tf.stack([tf.cast(label, tf.int32), pseudo(logits)]), logits.shape[-1])
