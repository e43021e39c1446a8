"""What all methods share: students and their losses, stages and streams, the coupled weight decay, counters, reports.

A method is one Keras model with its own ``train_step``. Batches are flat dictionaries: "image" float32 [b, h, w, c],
"label" int32 [b] (given labels), "index" int32 [b] (position in the training set), for diagnostics "is_clean" bool [b],
and what further streams bring (see ``mentornet.stages``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet import inspection, students
from mentornet.methods.keras_use import KerasUse, check_compile, check_keras
from mentornet.methods.protocol import MethodProtocol
from mentornet.methods.replicas import add_to_rows, mirrored_variable, replicas, summed_variable, total
from mentornet.methods.sample_tables import SampleTables
from mentornet.methods.staged import Staged
from mentornet.methods.statistics import WeightStatistics
from mentornet.stages import Stage
from mentornet.students import Student
from mentornet.task import Classification, folded, per_sample

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


class NoisyLabelMethod(Staged, MethodProtocol, KerasUse):
    """Base class of the methods; what each may say of itself is in ``MethodProtocol``.

    Args:
        student: any Keras model, images -> logits; of methods with several peers the first of them, or a list of all.
        max_steps: length of the whole training in steps; schedules and epoch percents refer to it. None for methods
            that count in stages (``total_stages``).
        num_examples: size n of the training set; needed to record per-sample weights (None: not recorded).
        weight_decay: theta of ICML eq. 1; the loss gains theta/2 ||kernels||^2 (TensorFlow's l2_loss, as the release).
        seed: all random numbers of the method follow from it and the step.
        clean_known: batches carry a meaningful "is_clean".
        task: what is predicted; default: a class an image.

    Attributes:
        stage: the present one.
        student: the model that predicts: the only student, or the ensemble of all.
        networks: what is trained, a list of ``peers`` Keras models.

    Raises:
        ValueError: a setting out of range, or a student whose outputs this method cannot use.
    """

    train_function: Any
    train_tf_function: Any

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        max_steps: int | None,
        num_examples: int | None = None,
        weight_decay: float = 0.0,
        seed: int = 0,
        clean_known: bool = True,
        task: Classification | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps={max_steps}: training needs at least one step")
        if not 0 <= weight_decay < math.inf:
            raise ValueError(f"weight_decay={weight_decay:g} must be finite and not negative")
        self.distribute_reduction_method = "first"  # what a step returns is merged over replicas already
        for given in student if isinstance(student, (list, tuple)) else [student]:
            check_keras(given)
        networks = students.peers(student, self.peers)
        inspection.check_outputs(networks[0], type(self).__name__, self.takes_auxiliary_head)
        self.student = students.ensemble(networks)
        if self.peers > 1:
            self.peer_networks = networks
        self.max_steps, self.num_examples = None if max_steps is None else int(max_steps), num_examples
        self.weight_decay, self.seed = float(weight_decay), int(seed)
        self.stage = Stage()
        self.step = mirrored_variable(tf.constant(0, tf.int64), "step")
        self.first_bad_step = mirrored_variable(tf.constant(-1, tf.int64), "first_bad_step")
        many = task is not None and task.sites
        if many and not vars(type(self)).get("weighs_sites"):
            raise ValueError(f"{type(self).__name__} needs one loss an image, so it can't learn from masks")
        self.statistics = WeightStatistics(clean_known, self.largest_weight, many=many)
        # Behind functions, so that Keras and checkpoints do not see them: evaluations and traces start anew.
        predicted, compiled_steps = task or Classification(self.peers), dict[Any, Any]()
        self._task, self._compiled_steps = lambda: predicted, lambda: compiled_steps
        self._interval_goes_on = self._entered = False
        if num_examples is not None:
            self.weight_totals = summed_variable(tf.zeros([num_examples]), "weight_totals")
            self.weight_visits = summed_variable(tf.zeros([num_examples]), "weight_visits")
        tables = None if num_examples is None else SampleTables(num_examples)
        self._tables = lambda: tables  # checkpoints keep them by a name of their own
        if self.max_steps is None:
            self.records_weights = mirrored_variable(tf.constant(False), "records_weights")
            self.stage_place = mirrored_variable(tf.constant([0, 0, 1], tf.int64), "stage_place")

    @property
    def sample_tables(self) -> SampleTables | None:
        """Sums by sample over the whole training; None without ``num_examples``."""
        return self._tables()

    # ---- students

    @property
    def networks(self) -> list[keras.Model]:
        return list(self.peer_networks) if self.peers > 1 else [self.student]

    @property
    def students(self) -> tuple[Student, ...]:
        """The networks with their optimisers."""
        further = self.peer_optimizers if self.peers > 1 else []
        return tuple(Student(*pair) for pair in zip(self.networks, [self.optimizer, *further], strict=True))

    @property
    def task(self) -> Classification:
        """What is predicted."""
        return self._task()

    def compile(self, optimizer: Any = "rmsprop", *arguments: Any, **options: Any) -> None:
        """As in Keras, without a loss or metrics; every further peer gets a fresh optimiser of the same settings.

        Raises:
            ValueError: a loss or metrics, which would not be used, an optimiser of another Keras, or eager steps, in
                which the derivative along the clean gradient would be lost.
        """
        check_compile(optimizer, options)
        eager = options.get("run_eagerly") or tf.config.functions_run_eagerly()
        if eager and (getattr(self, "_meta", None) or getattr(self, "_bootstrap", None)) is not None:
            raise ValueError(f"{type(self).__name__} takes its meta step in a compiled graph: leave run_eagerly out")
        super().compile(optimizer, *arguments, **options)
        self._compiled_steps().clear()
        if self.peers > 1:
            self.peer_optimizers = [students.copied_optimizer(self.optimizer) for _ in range(self.peers - 1)]

    def build_optimizers(self) -> None:
        """Makes the optimisers' variables, inside a strategy's scope and before the first step."""
        for number, student in enumerate(self.students):
            student.optimizer.build(self.trained_variables(number))

    def call(self, inputs: Batch | tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Logits of the model that predicts, as at test time."""
        return self.student(inputs["image"] if isinstance(inputs, dict) else inputs, training=training)

    # ---- the parts of a step

    def decay_term(self, scale: tf.Tensor | float = 1.0, network: keras.Model | None = None) -> tf.Tensor:
        """theta/2 ||decayed||^2 of a network (default: ``student``) times ``scale``; this replica's share of it."""
        if not self.weight_decay:
            return tf.constant(0.0)
        variables = self.decayed_variables(self.student if network is None else network)
        squares = tf.add_n([tf.nn.l2_loss(tf.cast(variable, tf.float32)) for variable in variables])
        return self.weight_decay * scale * squares / replicas()

    def decayed_variables(self, network: keras.Model) -> list[tf.Variable]:
        """What the weight decay of a network applies to: its kernels."""
        return inspection.kernels(network)

    def weighted_mean(self, losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """sum_i v_i l_i / b with b the entries of the global batch: divided by b, not by sum v (ICML eq. 1)."""
        size = tf.cast(tf.size(losses) * replicas(), tf.float32)
        return tf.reduce_sum(losses * tf.stop_gradient(weights)) / size

    def descend(self, tape: tf.GradientTape, objective: tf.Tensor, peer: int = 0) -> None:
        """One step of a peer's optimiser on ``objective``; replicas' gradients add up."""
        self.note_objective(objective)
        self.students[peer].optimizer.minimize(objective, self.trained_variables(peer), tape=tape)

    def trained_variables(self, peer: int = 0) -> list[tf.Variable]:
        """What a peer's optimiser moves: its network's trainable variables, first, and any of the method's own."""
        return list(self.networks[peer].trainable_variables)

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
        correct = self.task.correct(batch["label"], logits)
        self.statistics.clean_known &= "is_clean" in batch
        is_clean = batch.get("is_clean", tf.ones_like(correct))
        self.statistics.update_state(
            folded(losses),
            folded(weighting.weights),
            folded(correct),
            folded(is_clean),
            folded(weighting.curriculum_weights),
            weighting.drop_rate,
        )
        if (tables := self._tables()) is not None:
            recorded = tf.cast(self._is_recorded(tf.shape(batch["label"])[0]), tf.float32)
            shown = per_sample(weighting.curriculum_weights)
            for table, values in ((self.weight_totals, shown), (self.weight_visits, tf.ones_like(shown))):
                add_to_rows(table, batch["index"], recorded * values)
            tables.book(batch["index"], per_sample(self.task.losses(batch["label"], logits)), shown)
        self.step.assign_add(1)
        if replicas() > 1:  # merging all statistics takes communication: done by who reads them, not in every step
            return {"weighted_loss": total(self.weighted_mean(losses, weighting.weights))}
        return self.statistics.result()

    def _is_recorded(self, own_batch: tf.Tensor) -> tf.Tensor:
        """Whether this step is in the last 10% of training, or from the beginning of its last whole epoch on.

        So that in short trainings, too, every sample is met.
        """
        assert self.num_examples is not None
        if self.max_steps is None:
            return tf.convert_to_tensor(self.records_weights)
        batch = tf.cast(own_batch * replicas(), tf.int64)
        before = tf.maximum(self.max_steps * batch // self.num_examples - 1, 0) * self.num_examples // batch
        late = tf.cast(self.step, tf.float32) >= RECORDED_SHARE * self.max_steps
        return tf.logical_or(late, self.step >= before)

    # ---- reports

    def learning_rate(self, peer: int = 0) -> tf.Tensor:
        """A peer's rate: that of the coming step, if the optimiser can tell it (``training.optimizers``)."""
        optimizer = self.students[peer].optimizer
        inner: Any = getattr(optimizer, "inner_optimizer", optimizer)
        rate = inner.present_rate() if hasattr(inner, "present_rate") else inner.learning_rate
        return tf.cast(rate, tf.float32)

    def report(self) -> dict[str, float]:
        """Method-specific values for the metrics row, read at the end of an interval."""
        return {}

    def transition_matrix(self) -> np.ndarray | None:
        """P(given label j | true class i) as the method has it now, float [C, C], row-stochastic; None: it has none."""
        return None

    def test_step(self, batch: Batch) -> dict[str, Any]:
        """Adds a batch to the evaluation; rows with a negative label only fill it up and don't count."""
        task = self.task
        of_peers = [network(batch["image"], training=False) for network in self.networks] if self.peers > 1 else None
        logits = self.student(batch["image"], training=False) if of_peers is None else tf.add_n(of_peers) / self.peers
        task.evaluate(batch["label"], logits, of_peers, batch.get("index"))
        return {metric.name: metric.result() for metric in task.metrics()}
