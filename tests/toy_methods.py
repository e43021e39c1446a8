"""Methods that use all of the protocol between method, engine and data, for the tests of the engine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf

from mentornet.features import random_seed
from mentornet.methods.base import Batch, NoisyLabelMethod, Weighting
from mentornet.methods.loss_split import clean_probability
from mentornet.stages import Stage, Stream, Streams

TEMPERATURE = 0.5


class ToyMix(NoisyLabelMethod):
    """Two networks that take turns, each on the samples that the other one takes for clean, in the manner of DivideMix.

    Args:
        student: of the first; the second is built after it.
        epochs: each of them has a turn of both networks.
        warmup_epochs: how many of these are plain training.
        by_epoch: rows at the end of every epoch; else by the run's interval.
        num_examples: of the training set.
        **shared: see ``NoisyLabelMethod``.
    """

    peers = 2
    report_columns = ("supposed_clean",)

    def __init__(
        self, student: Any, *, epochs: int, warmup_epochs: int, by_epoch: bool = True, num_examples: int, **shared: Any
    ):
        super().__init__(student, max_steps=None, num_examples=num_examples, **shared)
        self._epochs, self._warmup, self._by_epoch = epochs, warmup_epochs, by_epoch
        self.total_stages = 2 * epochs
        self.clean = [tf.Variable(tf.ones([num_examples], tf.float64), trainable=False) for _ in range(2)]
        traced: Counter = Counter()
        self._traced = lambda: traced

    @property
    def traced(self) -> Counter:
        """How often Python went through the step of a kind, and through a look."""
        return self._traced()

    def next_stage(self, done: int) -> Stage | None:
        epoch, turn = divmod(done, 2)
        if epoch >= self._epochs:
            return None
        record = (turn == 1) if self._by_epoch else None
        return Stage(("warm" if epoch < self._warmup else "mix", turn), done, record=record)

    def look(self, stage: Stage, training: Any) -> bool:
        if stage.kind != ("mix", 0):  # both splits before either trains
            return False
        self.traced["look"] += 1
        for k, student in enumerate(self.students):
            losses = training.outputs(student.network).loss
            self.clean[1 - k].assign(clean_probability(losses, self.seed + stage.number))
        return True

    def streams(self, stage: Stage) -> Streams:
        phase, turn = stage.kind
        if phase == "warm":
            return {"given": Stream(size=16)}
        p = self.clean[turn].numpy()
        chosen, weak = p > 0.5, ("weak", "weak")
        return {
            "labelled": Stream(chosen, 8, weak, {"clean": p.astype(np.float32)}),
            "unlabelled": Stream(~chosen, 8, weak),
        }

    def train_step(self, batch: Batch) -> dict[str, Any]:
        self.traced[self.stage.kind] += 1
        phase, turn = self.stage.kind
        return self._plain(batch, turn) if phase == "warm" else self._mixed(batch, turn)

    def _plain(self, batch: Batch, turn: int) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            logits = self.networks[turn](batch["image"], training=True)
            losses = self.task.losses(batch["label"], logits)
            objective = tf.reduce_mean(losses) + self.decay_term(network=self.networks[turn])
        self.descend(tape, objective, peer=turn)
        ones = tf.ones_like(losses)
        return self.finish_step(batch, logits, losses, Weighting(ones, ones, tf.constant(0.0)))

    def _mixed(self, batch: Batch, turn: int) -> dict[str, Any]:
        network, trust = self.networks[turn], batch["labelled_clean"]
        views = [tf.unstack(batch[f"{part}_image"], axis=1) for part in ("labelled", "unlabelled")]
        own = tf.add_n([tf.nn.softmax(network(view)) for view in views[0]]) / 2
        guessed = tf.add_n([tf.nn.softmax(one(view)) for view in views[1] for one in self.networks]) / 4
        given = tf.one_hot(batch["labelled_label"], own.shape[-1])
        refined = trust[:, tf.newaxis] * given + (1 - trust[:, tf.newaxis]) * own
        soft = [tf.pow(target, 1 / TEMPERATURE) for target in (refined, guessed)]
        targets = tf.concat([soft[0], soft[0], soft[1], soft[1]], axis=0)
        targets /= tf.reduce_sum(targets, axis=1, keepdims=True)
        images = tf.concat([*views[0], *views[1]], axis=0)
        share = tf.random.stateless_uniform([], random_seed(self.seed, "share", self.step), 0.5, 1.0)
        images, targets = (share * x + (1 - share) * x[::-1] for x in (images, tf.stop_gradient(targets)))
        with tf.GradientTape() as tape:
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, network(images, training=True))
            objective = tf.reduce_mean(losses) + self.decay_term(network=network)
        self.descend(tape, objective, peer=turn)
        booked = {name: batch[f"labelled_{name}"] for name in ("label", "index", "is_clean")}
        logits = network(views[0][0])
        return self.finish_step(
            booked, logits, self.task.losses(booked["label"], logits), Weighting(trust, trust, tf.constant(0.0))
        )

    def report(self) -> dict[str, float]:
        return {"supposed_clean": float(np.mean([np.mean(p.numpy() > 0.5) for p in self.clean]))}


class Diary(NoisyLabelMethod):
    """Trains plainly and writes down the positions of every batch.

    Args:
        student: its student.
        stages: the stages.
        read: the streams of each kind.
        size: samples of a batch.
        **shared: see ``NoisyLabelMethod``.
    """

    def __init__(self, student: Any, *, stages: list[Stage], read: dict[Any, Streams], size: int, **shared: Any):
        super().__init__(student, **shared)
        self._given_stages, self._read = lambda: stages, lambda: read
        self.positions = tf.Variable(tf.fill([self.max_steps, size], -1), trainable=False)

    def next_stage(self, done: int) -> Stage | None:
        stages = self._given_stages()
        return stages[done] if done < len(stages) else None

    def streams(self, stage: Stage) -> Streams:
        return self._read()[stage.kind]

    def train_step(self, batch: Batch) -> dict[str, Any]:
        self.positions.scatter_nd_update([[self.step]], batch["index"][tf.newaxis])
        with tf.GradientTape() as tape:
            logits = self.student(batch["image"], training=True)
            losses = self.task.losses(batch["label"], logits)
            objective = tf.reduce_mean(losses)
        self.descend(tape, objective)
        ones = tf.ones_like(losses)
        return self.finish_step(batch, logits, losses, Weighting(ones, ones, tf.constant(0.0)))
