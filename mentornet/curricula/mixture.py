"""Fine-tuning of MentorNets: a sparse mixture of pretrained ones (the December 2017 preprint, sec. 5.2, eq. 7).

k pretrained MentorNets are the experts of a sparsely gated mixture (Shazeer et al. 2017, eq. 3 to 5). The gate reads
their weights and the student's activation before its logits, adds Gaussian noise while it learns, and keeps the top
few; the sample's weight is the mixture of theirs. It is learned by cross-entropy on a share of the training data (20%)
of which is known whether the label is right. The preprint uses no load-balancing term, so none is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.curricula.dump import LossDump
from mentornet.curricula.learn import dump_set, versions
from mentornet.curricula.learner import Learner, LearningSettings, Report, evaluate_network
from mentornet.curricula.learning_set import hold_out
from mentornet.network import MentorNetwork, NetworkConfig, WeightNetwork, build

KNOWN_SHARE = 0.2
PERCENTILE = 75
TOP = 2
LEARNING_RATE = 0.01
_PURPOSE = 24  # keeps this random stream apart from the others of the same seed
_LEAST_WEIGHT = 1e-6  # the cross-entropy of a weight of exactly 0 or 1 could be infinite


@dataclass(frozen=True)
class MixtureConfig:
    """The shape of one mixture.

    Attributes:
        experts: the shapes of its k MentorNets, which read the same number of losses.
        top: experts that count for a sample, 1 to k.
        activation_size: a, width of the student's activation before its logits; 0: none.
    """

    experts: tuple[NetworkConfig, ...]
    top: int = TOP
    activation_size: int = 0

    def __post_init__(self) -> None:
        histories = sorted({expert.history for expert in self.experts})
        if len(histories) != 1:
            raise ValueError(f"a mixture needs experts that read the same number of losses, got {histories}")
        count = len(self.experts)
        if type(self.top) is not int or not 1 <= self.top <= count:
            raise ValueError(f"top={self.top}: a mixture of {count} experts keeps 1 to {count} of them")
        if type(self.activation_size) is not int or self.activation_size < 0:
            raise ValueError(f"activation_size={self.activation_size} must be a whole number, not negative")

    @classmethod
    def from_plain(cls, shape: dict[str, Any], fixed_label: int | None = None) -> MixtureConfig:
        """The shape from the plain values of a card; ``fixed_label`` takes the place of every expert's if given.

        Raises:
            ValueError: these are not the settings of a mixture.
        """
        experts = shape.get("experts")
        known = {field.name for field in fields(NetworkConfig)}
        if not isinstance(experts, list) or not all(isinstance(e, dict) and set(e) <= known for e in experts):
            raise ValueError("a mixture's card lists its experts with the network settings of each")
        own = {} if fixed_label is None else {"fixed_label": fixed_label}
        return cls(**{**shape, "experts": tuple(NetworkConfig(**{**expert, **own}) for expert in experts)})


class SparseMixture(WeightNetwork):
    """A mixture of MentorNets, called as they are, with ``"activation"`` [b, a] as a further input if a > 0.

    Args:
        experts: k built MentorNets that read the same history; they are copied.
        top, activation_size: see ``MixtureConfig``.
        tune_experts: whether the experts' own weights are learned on (Theta in eq. 7) or only the gate.
        seed: of the noise.

    Raises:
        ValueError: no experts, experts of different histories, or ``top`` out of range.
    """

    def __init__(
        self,
        experts: Sequence[MentorNetwork],
        top: int = TOP,
        activation_size: int = 0,
        tune_experts: bool = True,
        seed: int = 0,
    ):
        super().__init__(name="mixture")
        self.config = MixtureConfig(tuple(expert.config for expert in experts), top, activation_size)
        self.history = experts[0].history
        self.experts = [_copy(expert, tune_experts) for expert in experts]
        self.top, self.activation_size, self._seed = top, activation_size, seed
        # Zeros, as Shazeer et al. have it: all experts are used alike at the start, only the noise chooses.
        self.gate = keras.layers.Dense(len(experts), kernel_initializer="zeros", name="gate")
        self.noise_gate = keras.layers.Dense(len(experts), kernel_initializer="zeros", name="noise_gate")
        self.create_variables()

    @property
    def label_rows(self) -> int | None:
        return min((expert.label_rows for expert in self.experts if expert.label_rows is not None), default=None)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "experts": [expert.get_config() for expert in self.experts],
            "top": self.top,
            "activation_size": self.activation_size,
        }

    def create_variables(self, rows: int = 1) -> None:
        features = tf.zeros([rows, len(self.experts) + self.activation_size])
        self.gate(features)
        self.noise_gate(features)

    def logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        weights, features = self._experts_and_features(inputs)
        return self._mixed(weights, self.gate(features))

    def learning_logits(self, inputs: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        weights, features = self._experts_and_features(inputs)
        seed = tf.stack([tf.constant(self._seed, tf.int64), tf.cast(step, tf.int64)])
        noise = tf.random.stateless_normal(tf.shape(weights), seed)
        return self._mixed(weights, self.gate(features) + noise * tf.math.softplus(self.noise_gate(features)))

    def shares(self, scores: tf.Tensor) -> tf.Tensor:
        """The gate's softmax over the ``top`` highest scores of each sample, 0 for the others; float32 [b, k]."""
        highest = tf.math.top_k(scores, self.top).indices
        kept = tf.reduce_max(tf.one_hot(highest, len(self.experts)), axis=1)
        return tf.nn.softmax(tf.where(kept > 0, scores, tf.fill(tf.shape(scores), -np.inf)), axis=-1)

    def _experts_and_features(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The experts' weights [b, k] and what the gate reads [b, k + a]."""
        weights = tf.stack([expert(inputs) for expert in self.experts], axis=-1)
        if not self.activation_size:
            return weights, weights
        if "activation" not in inputs or inputs["activation"].shape[-1] != self.activation_size:
            found = inputs["activation"].shape if "activation" in inputs else None
            raise ValueError(f"this mixture reads an activation of shape [b, {self.activation_size}], got {found}")
        return weights, tf.concat([weights, tf.cast(inputs["activation"], tf.float32)], axis=-1)

    def _mixed(self, weights: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        mixed = tf.reduce_sum(self.shares(scores) * weights, axis=-1)
        mixed = tf.clip_by_value(mixed, _LEAST_WEIGHT, 1.0 - _LEAST_WEIGHT)
        return tf.math.log(mixed) - tf.math.log1p(-mixed)


def build_mixture(config: MixtureConfig) -> SparseMixture:
    """A mixture of that shape that has learned nothing."""
    return SparseMixture([build(expert) for expert in config.experts], config.top, config.activation_size)


def finetune(
    experts: Sequence[MentorNetwork],
    dump: LossDump,
    activation: np.ndarray | None = None,
    share: float = KNOWN_SHARE,
    percentile: int = PERCENTILE,
    top: int = TOP,
    tune_experts: bool = True,
    settings: LearningSettings | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> tuple[SparseMixture, dict[str, Any]]:
    """Learns a mixture of pretrained MentorNets from samples of which the correctness is known (eq. 7).

    Only ``share`` of the samples is looked at, chosen at random; the clean labels of the others are never read. 80% of
    them are learned from, 20% held out. The same arguments give the same mixture.

    Args:
        experts: k pretrained MentorNets with T = 1 (the preprint's k is 3).
        dump: the student's losses on training samples, with both labels.
        activation: float [n, a], the student's activation before its logits for each row of the dump; None: not used.
        share: of the samples whose correctness is known, in (0, 1].
        percentile: of those samples' losses, taken as l_pt.
        top: experts kept for a sample.
        tune_experts: whether the experts learn on.
        settings: how to fit; None: the spec's with cross-entropy and a learning rate of 0.01, as the experts are
            already learned.
        seed: decides the share, the split, the order and the noise.
        report: see ``Learner.learn``.

    Returns:
        (mixture, card): the card says what was learned and how well, in plain JSON values, beside the experts'
        cross-entropy alone; its "curve" holds (step, held-out MSE) pairs.

    Raises:
        DumpError: (a ValueError) nothing can be learned from those samples.
        ValueError: impossible arguments, or experts that read further losses or fewer labels.
    """
    _check_experts(experts, dump)
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share={share:g} of the samples must lie in (0, 1]")
    if activation is not None and (np.ndim(activation) != 2 or len(activation) != len(dump.loss)):
        raise ValueError(
            f"the activation has the shape {np.shape(activation)}, the dump {len(dump.loss)} rows: a row each is needed"
        )
    settings = settings or LearningSettings(objective="cross_entropy", learning_rate=LEARNING_RATE)
    known = hold_out(dump.sample, np.random.default_rng([seed, _PURPOSE]), share)
    columns = {name: getattr(dump, name)[known] for name in ("sample", "epoch", "noisy", "clean", "loss")}
    part = replace(dump, **columns)
    part.check()
    samples = dump_set(part, percentile, seed)
    width = 0
    if activation is not None:
        width = activation.shape[1]
        samples = replace(samples, activation=activation[known].astype(np.float32))
    mixture = SparseMixture(experts, top, width, tune_experts, seed)
    curve = Learner(mixture, settings).learn(samples, seed, report)
    single = [evaluate_network(expert, samples, samples.held_out)["cross_entropy"] for expert in experts]
    return mixture, {
        "source": {**samples.source, "known_share": share, "experts": len(experts), "top": top, "activation": width},
        "percentile": percentile,
        "held_out": evaluate_network(mixture, samples, samples.held_out),
        "held_out_rows": int(samples.held_out.sum()),
        "held_out_experts": single,
        "curve": curve,
        "settings": asdict(settings),
        "seed": seed,
        "versions": versions(),
    }


def _check_experts(experts: Sequence[MentorNetwork], dump: LossDump) -> None:
    """Refuses experts that cannot read a dump: it has one loss a sample, and labels up to its largest."""
    for number, expert in enumerate(experts, start=1):
        if expert.history != 1:
            raise ValueError(f"expert {number} reads {expert.history} past losses, a dump has one a sample")
        if expert.label_rows is not None and expert.label_rows <= int(dump.noisy.max()):
            raise ValueError(
                f"{dump.name}: label {int(dump.noisy.max())} has no row in the label embedding of expert {number}, "
                f"which has {expert.label_rows}: fix the label it is fed"
            )


def _copy(expert: MentorNetwork, trainable: bool) -> MentorNetwork:
    same = build(expert.config)
    same.set_weights(expert.get_weights())
    same.trainable = trainable
    return same
