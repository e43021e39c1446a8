"""What all methods share: the student, its per-sample losses, the coupled weight decay, counters and reports.

A method is one Keras model with its own ``train_step``. Batches are dictionaries: "image" float32 [b, h, w, c],
"label" int32 [b] (given labels), "index" int32 [b] (position in the training set), and for diagnostics "is_clean"
bool [b].
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods.replicas import add_to_rows, mirrored_variable, replicas, summed_variable, total
from mentornet.methods.statistics import WeightStatistics

RECORDED_SHARE = 0.9
"""Mean weights per sample are recorded from this share of training on (its last 10%), or over its last epoch."""

LARGEST_LOSS = 1e8
"""Beyond it, on either side of 0, a training counts as diverged; corrected losses may fall without bound."""

Batch = dict[str, tf.Tensor]


class Weighting(NamedTuple):
    """The weights of one batch and where they came from.

    Attributes:
        weights: float32 [b], used in the update.
        curriculum_weights: float32 [b], before example dropout.
        drop_rate: float32 scalar in [0, 1].
    """

    weights: tf.Tensor
    curriculum_weights: tf.Tensor
    drop_rate: tf.Tensor


def per_sample_cross_entropy(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy on one-hot labels (ICML eq. 1), float32 [b], from labels [b] and logits [b, classes]."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=tf.cast(logits, tf.float32))


def kernels(student: keras.Model) -> list[tf.Variable]:
    """The variables weight decay applies to: convolution and dense kernels, no biases, no batch norm."""
    return [v for v in student.trainable_variables if v.name.split("/")[-1].split(":")[0].endswith("kernel")]


def num_classes(student: keras.Model) -> int:
    """The classes C that a student tells apart, for methods that need to know before they see its outputs.

    Raises:
        ValueError: a student whose output shape is not known, such as a subclassed model.
    """
    try:
        return int(student.output_shape[-1])
    except AttributeError:
        raise ValueError(
            f"the student {student.name!r} does not tell its output shape: build it from keras.Input, or wrap it in "
            "such a model"
        ) from None


class NoisyLabelMethod(keras.Model):
    """Base class of the methods.

    Args:
        student: any Keras model, images -> logits.
        max_steps: length of the whole training in steps; schedules and epoch percents refer to it.
        num_examples: size n of the training set; needed to record per-sample weights (None: not recorded).
        weight_decay: theta of ICML eq. 1; the loss gains theta/2 ||kernels||^2 (TensorFlow's l2_loss, as the release).
        seed: all random numbers of the method follow from it and the step.
        clean_known: batches carry a meaningful "is_clean".

    Attributes:
        needs_clean_set: batches must hold "clean_image" and "clean_label" beside the noisy samples.
        chooses_clean_samples: the clean samples are training samples that the method chooses itself.
        largest_weight: weights above it count as alike in the area under the ROC curve.
        takes_auxiliary_head: the method trains students with an auxiliary head, too (see ``auxiliary``).
        divergence_advice: what to do when the loss has diverged, half a sentence.
        report_columns: what ``report`` adds to the columns of metrics.csv that all methods have.
        within_interval: ``fit`` is called for a further part of an evaluation interval, whose statistics add up.

    Raises:
        ValueError: a setting out of range, or a student whose outputs this method cannot use.
    """

    needs_clean_set = False
    chooses_clean_samples = False
    largest_weight = 1.0
    takes_auxiliary_head = False
    divergence_advice = "a lower --learning_rate usually helps"
    report_columns: tuple[str, ...] = ()

    def __init__(
        self,
        student: keras.Model,
        *,
        max_steps: int,
        num_examples: int | None = None,
        weight_decay: float = 0.0,
        seed: int = 0,
        clean_known: bool = True,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if max_steps < 1:
            raise ValueError(f"max_steps={max_steps}: training needs at least one step")
        if not 0 <= weight_decay < math.inf:
            raise ValueError(f"weight_decay={weight_decay:g} must be finite and not negative")
        last = student.layers[-1] if getattr(student, "layers", None) else None
        if getattr(getattr(last, "activation", None), "__name__", "") == "softmax":
            raise ValueError(f"the student {student.name!r} ends in a softmax; methods need its logits: leave it out")
        if getattr(student, "has_auxiliary_head", False) and not self.takes_auxiliary_head:
            raise ValueError(
                f"{type(self).__name__} trains one classifier, but the student {student.name!r} has an auxiliary head: "
                "build it without"
            )
        self.distribute_reduction_method = "first"  # what a step returns is merged over replicas already
        self.student = student
        self.max_steps, self.num_examples = int(max_steps), num_examples
        self.weight_decay, self.seed = float(weight_decay), int(seed)
        self.within_interval = False
        self.step = mirrored_variable(tf.constant(0, tf.int64), "step")
        self.first_bad_step = mirrored_variable(tf.constant(-1, tf.int64), "first_bad_step")
        self.statistics = WeightStatistics(clean_known, self.largest_weight)
        self.eval_loss = keras.metrics.Mean(name="loss")
        self.eval_accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        self.eval_top5 = keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5")
        if num_examples is not None:
            self.weight_totals = summed_variable(tf.zeros([num_examples]), "weight_totals")
            self.weight_visits = summed_variable(tf.zeros([num_examples]), "weight_visits")

    def call(self, inputs: Batch | tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Logits of the student alone, as at test time."""
        return self.student(inputs["image"] if isinstance(inputs, dict) else inputs, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*self.interval_statistics(), self.eval_loss, self.eval_accuracy, self.eval_top5]

    def interval_statistics(self) -> list[keras.metrics.Metric]:
        """What is added up over the training steps of an interval."""
        return [self.statistics]

    def reset_metrics(self) -> None:
        """As in Keras, but for statistics that go on (see ``within_interval``)."""
        kept = {id(metric) for metric in self.interval_statistics()} if self.within_interval else set()
        for metric in self.metrics:
            if id(metric) not in kept:
                metric.reset_state()

    def decay_term(self, scale: tf.Tensor | float = 1.0) -> tf.Tensor:
        """theta/2 ||kernels||^2 times ``scale``; this replica's share of it."""
        if not self.weight_decay:
            return tf.constant(0.0)
        total = tf.add_n([tf.nn.l2_loss(tf.cast(kernel, tf.float32)) for kernel in kernels(self.student)])
        return self.weight_decay * scale * total / replicas()

    def weighted_mean(self, losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """sum_i v_i l_i / b with b the global batch size: divided by b, not by sum v (spec sec. 3)."""
        size = tf.cast(tf.shape(losses)[0] * replicas(), tf.float32)
        return tf.reduce_sum(losses * tf.stop_gradient(weights)) / size

    def descend(self, tape: tf.GradientTape, objective: tf.Tensor) -> None:
        """One optimiser step on ``objective``; replicas' gradients add up."""
        self.note_objective(objective)
        self.optimizer.minimize(objective, self.trained_variables(), tape=tape)

    def trained_variables(self) -> list[tf.Variable]:
        """What the optimiser moves: the student's trainable variables, first, and any of the method's own."""
        return list(self.student.trainable_variables)

    def note_objective(self, objective: tf.Tensor) -> None:
        """Remembers the first step whose objective is not finite, or so large that training has diverged."""
        self.first_bad_step.assign(
            tf.where(
                tf.logical_or(self.first_bad_step >= 0, tf.abs(total(objective)) <= LARGEST_LOSS),
                self.first_bad_step,
                self.step,
            )
        )

    def finish_step(self, batch: Batch, logits: tf.Tensor, losses: tf.Tensor, weighting: Weighting) -> dict[str, Any]:
        """Books a batch: statistics, per-sample weights towards the end of training, the step counter."""
        label = batch["label"]
        correct = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.cast(label, tf.int32))
        if "is_clean" not in batch:
            self.statistics.clean_known = False
        is_clean = batch.get("is_clean", tf.ones_like(correct))
        self.statistics.update_state(
            losses, weighting.weights, correct, is_clean, weighting.curriculum_weights, weighting.drop_rate
        )
        if self.num_examples is not None:
            recorded = tf.cast(self._is_recorded(tf.shape(label)[0]), tf.float32)
            ones = tf.ones_like(weighting.weights)
            for table, values in ((self.weight_totals, weighting.curriculum_weights), (self.weight_visits, ones)):
                add_to_rows(table, batch["index"], recorded * values)
        self.step.assign_add(1)
        if replicas() > 1:  # merging all statistics takes communication: done by who reads them, not in every step
            return {"weighted_loss": total(self.weighted_mean(losses, weighting.weights))}
        return self.statistics.result()

    def _is_recorded(self, own_batch: tf.Tensor) -> tf.Tensor:
        """Whether this step is in the last 10% of training, or from the beginning of its last whole epoch on.

        So that in short trainings, too, every sample is met.
        """
        assert self.num_examples is not None
        batch = tf.cast(own_batch * replicas(), tf.int64)
        before = tf.maximum(self.max_steps * batch // self.num_examples - 1, 0) * self.num_examples // batch
        late = tf.cast(self.step, tf.float32) >= RECORDED_SHARE * self.max_steps
        return tf.logical_or(late, self.step >= before)

    def learning_rate(self) -> tf.Tensor:
        """The optimiser's rate: that of the coming step, if the optimiser can tell it (``MomentumSGD``)."""
        inner: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        rate = inner.present_rate() if hasattr(inner, "present_rate") else inner.learning_rate
        return tf.cast(rate, tf.float32)

    def chosen_clean_samples(self, student: keras.Model, training_in_order: tf.data.Dataset) -> np.ndarray:
        """Positions of the training samples to come as "clean_image" from now on, int64.

        Called before the first step of a run or of what follows an interruption, and before every step that
        ``next_choice`` names; only if ``chooses_clean_samples``.

        Args:
            student: the present student, outside any distribution strategy.
            training_in_order: the training samples, not augmented.
        """
        raise NotImplementedError(f"{type(self).__name__} does not choose clean samples")

    def next_choice(self, step: int) -> int | None:
        """The first step after ``step`` before which clean samples are to be chosen anew; None for none."""
        del step
        return None

    def report(self) -> dict[str, float]:
        """Method-specific values for the metrics row, read at the end of an interval."""
        return {}

    def transition_matrix(self) -> np.ndarray | None:
        """P(given label j | true class i) as the method has it now, float [C, C], row-stochastic; None: it has none."""
        return None

    def test_step(self, batch: Batch) -> dict[str, Any]:
        """Adds a batch to the evaluation; rows with a negative label only fill it up and don't count."""
        logits = self.student(batch["image"], training=False)
        counted, label = batch["label"] >= 0, tf.maximum(batch["label"], 0)
        self.eval_loss.update_state(per_sample_cross_entropy(label, logits), sample_weight=counted)
        for metric in (self.eval_accuracy, self.eval_top5):
            metric.update_state(label, logits, sample_weight=counted)
        return {metric.name: metric.result() for metric in (self.eval_loss, self.eval_accuracy, self.eval_top5)}
