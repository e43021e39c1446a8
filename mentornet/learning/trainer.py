"""Fitting a weight network to a learning set with Keras (ICML eq. 4, sec. 3.2, app. D).

The networks are tiny, so a step costs microseconds and the loop around it would cost far more. ``Learner.train_step``
therefore runs a block of many steps as one compiled XLA program, and ``fit`` is fed blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.curricula.base import Curriculum
from mentornet.learning.learning_set import LearningSet
from mentornet.network import WeightNetwork

OBJECTIVES = ("mse", "cross_entropy", "explicit")
EVALUATION_ROWS = 4096
_PURPOSE = 22  # keeps this random stream apart from the others of the same seed

Report = Callable[[int, float, dict[str, float]], None]


@dataclass(frozen=True)
class LearningSettings:
    """How a network is fitted; the defaults are the spec's (Adam, 0.1 x 0.9 every 1,000 steps, norm clipped at 5).

    Attributes:
        objective: "mse" to v* (implicit), "cross_entropy" with v* (for targets 0 and 1), or "explicit": minimise
            g l + G(g) (eq. 4), for which the curriculum's G has to be known.
        block_steps: steps in one compiled program, after which the held-out rows are evaluated.
        jit_compile: compile the steps with XLA; about five times faster once compiled.
    """

    steps: int = 30_000
    batch_size: int = 32
    learning_rate: float = 0.1
    decay_factor: float = 0.9
    decay_steps: int = 1000
    clip_norm: float = 5.0
    objective: str = "mse"
    block_steps: int = 1000
    jit_compile: bool = True

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective {self.objective!r}: use one of {', '.join(OBJECTIVES)}")
        for name in ("steps", "batch_size", "decay_steps", "block_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        for name in ("learning_rate", "decay_factor", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: must be greater than 0")


class Learner(keras.Model):
    """A network being fitted. One learner may fit several sets, or one set from several starts, compiling once.

    Args:
        network: built; its weights are what is fitted.
        settings: see ``LearningSettings``.
        curriculum: whose G the objective "explicit" uses.

    Raises:
        ValueError: "explicit" without a curriculum whose G is known on all of [0, 1].
    """

    def __init__(self, network: WeightNetwork, settings: LearningSettings, curriculum: Curriculum | None = None):
        super().__init__(name="learner")
        if settings.objective == "explicit":
            check_explicit(curriculum)
        self.network, self.settings, self._curriculum = network, settings, curriculum
        self._data: dict[str, tf.Variable] = {}
        rate = keras.optimizers.schedules.ExponentialDecay(
            settings.learning_rate, settings.decay_steps, settings.decay_factor, staircase=True
        )
        # TensorFlow 1's epsilon, with which the paper's networks were learned; Keras' own is 1e-7.
        adam = keras.optimizers.Adam(rate, epsilon=1e-8, global_clipnorm=settings.clip_norm)
        adam.build(network.trainable_variables)
        self.compile(optimizer=adam, jit_compile=settings.jit_compile)

    def learn(self, samples: LearningSet, seed: int = 0, report: Report | None = None) -> list[list[float]]:
        """Fits the network to the rows that are not held out, in a shuffled order anew each pass.

        The same samples, seed and starting weights give the same network.

        Args:
            samples: with the network's T.
            seed: decides the order.
            report: called after every block with the step, its mean objective and ``evaluate_network`` of the held-out
                rows.

        Returns:
            [[step, MSE on the held-out rows], ...], one pair a block.

        Raises:
            ValueError: fewer rows than a batch, or none held out.
        """
        learned = np.flatnonzero(~samples.held_out)
        if len(learned) < self.settings.batch_size or len(learned) == len(samples.target):
            raise ValueError(
                f"{samples.source.get('dump', 'the set')}: {len(samples.target)} rows give {len(learned)} to learn "
                f"from and {len(samples.target) - len(learned)} held out (a fifth of the different ids); learning "
                f"needs at least {self.settings.batch_size}, a batch, and 1"
            )
        self._take(samples)
        for variable in self.optimizer.variables:  # the step and Adam's moments all start at 0
            variable.assign(tf.zeros_like(variable))
        curve: list[list[float]] = []

        def after_block(block: int, logs: dict[str, float]) -> None:
            step = min((block + 1) * self.settings.block_steps, self.settings.steps)
            found = evaluate_network(self.network, samples, samples.held_out)
            curve.append([step, found["mse"]])
            if report is not None:
                report(step, float(logs["objective"]), found)

        orders, counts = _blocks(learned, self.settings, seed)
        options = tf.data.Options()
        options.autotune.enabled = False  # see data/batching.py
        blocks = tf.data.Dataset.from_tensor_slices((orders, counts)).with_options(options)
        # One block an "epoch" of fit, so that every block is reported.
        self.fit(
            blocks,
            epochs=len(counts),
            steps_per_epoch=1,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=after_block)],
        )
        return curve

    def objective(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """What is minimised, as the mean over a batch; scalar."""
        logits = self.network.learning_logits(batch, self.optimizer.iterations)
        if self.settings.objective == "cross_entropy":
            return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(batch["target"], logits))
        weights = tf.sigmoid(logits)
        if self.settings.objective == "mse":
            return tf.reduce_mean(tf.square(weights - batch["target"]))
        loss = batch["loss"][:, -1]
        threshold = loss - batch["difference"][:, -1]
        assert self._curriculum is not None
        regulariser = self._curriculum.regulariser(tf.maximum(weights, 1e-6), threshold)
        return tf.reduce_mean(weights * loss + regulariser)

    def train_step(self, block: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes the first ``count`` steps of a block: (rows int32 [steps, batch], count int32 scalar)."""
        rows, count = block
        variables = self.network.trainable_variables

        def step(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = {name: tf.gather(values, rows[number]) for name, values in self._data.items()}
            with tf.GradientTape() as tape:
                objective = self.objective(batch)
            # An embedding's gradient comes in slices, whose norm is not the gradient's: clipping needs the sum.
            gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(objective, variables)]
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return number + 1, total + objective

        # Written as a loop of TensorFlow's: Keras does not convert Python's when it does not compile with XLA.
        _, total = tf.while_loop(lambda number, total: number < count, step, (tf.constant(0), tf.zeros([])))
        return {"objective": total / tf.cast(count, tf.float32)}

    def _take(self, samples: LearningSet) -> None:
        """Puts the samples where the compiled steps read them; a set of the same shape needs no new compilation."""
        arrays = {**samples.inputs(), "target": samples.target}
        if {name: tuple(held.shape) for name, held in self._data.items()} == {
            name: array.shape for name, array in arrays.items()
        }:
            for name, array in arrays.items():
                self._data[name].assign(array)
            return
        self._data = {name: tf.Variable(array, trainable=False) for name, array in arrays.items()}
        self.train_function = None


def check_explicit(curriculum: Curriculum | None) -> None:
    """Raises ValueError if explicit learning cannot use the curriculum's G."""
    if curriculum is None or curriculum.regulariser(tf.ones([1]), 1.0) is None:
        name = curriculum.name if curriculum is not None else None
        raise ValueError(f"explicit learning minimises g l + G(g), and no G is known for {name!r}; learn it implicitly")
    if curriculum.weight_limit < 1.0:
        raise ValueError(
            f"explicit learning needs G on all of [0, 1], but {curriculum.name!r} has it up to "
            f"{curriculum.weight_limit:g} only; learn it implicitly"
        )


def predict(network: WeightNetwork, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The logits of any number of samples, float32 [n], in order, a fixed number of rows at a time."""
    total = len(inputs["label"])
    found = []
    for start in range(0, total, EVALUATION_ROWS):
        # The last piece is filled up with its last row: one shape, one tracing.
        rows = np.minimum(np.arange(start, start + EVALUATION_ROWS), total - 1)
        found.append(
            network.traced_logits({name: tf.constant(values[rows]) for name, values in inputs.items()}).numpy()
        )
    return np.concatenate(found)[:total]


def evaluate_network(network: WeightNetwork, samples: LearningSet, rows: np.ndarray) -> dict[str, float]:
    """How close the network comes to the targets of some rows (a mask or row numbers).

    Returns:
        "mse", "cross_entropy" (natural logarithm) and "accuracy" (share of weights on the target's side of 1/2).
    """
    logits = predict(network, samples.inputs(rows)).astype(np.float64)
    target = samples.target[rows].astype(np.float64)
    # log(1 + exp(x)) - x * target, without overflow.
    cross_entropy = np.logaddexp(0.0, logits) - logits * target
    weights = 1.0 / (1.0 + np.exp(-np.clip(logits, -500, 500)))
    return {
        "mse": float(np.mean(np.square(weights - target))),
        "cross_entropy": float(np.mean(cross_entropy)),
        "accuracy": float(np.mean((weights > 0.5) == (target > 0.5))),
    }


def _blocks(learned: np.ndarray, settings: LearningSettings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of every step, int32 [blocks, steps a block, batch], and how many steps of each block count.

    Whole passes over the rows, each in its own order; the incomplete batch at the end of a pass is left out.
    """
    rng = np.random.default_rng([seed, _PURPOSE])
    batches_a_pass = len(learned) // settings.batch_size
    passes = -(-settings.steps // batches_a_pass)
    order = np.concatenate(
        [rng.permutation(learned)[: batches_a_pass * settings.batch_size] for _ in range(passes)]
    ).astype(np.int32)
    batches = order.reshape(-1, settings.batch_size)[: settings.steps]
    length = min(settings.block_steps, settings.steps)
    count = -(-settings.steps // length)
    # The rows after the last step are never read.
    padded = np.zeros((count * length, settings.batch_size), np.int32)
    padded[: settings.steps] = batches
    counts = np.full(count, length, np.int32)
    counts[-1] = settings.steps - (count - 1) * length
    return padded.reshape(count, length, settings.batch_size), counts
