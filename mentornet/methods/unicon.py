"""UniCon: uniform selection and contrastive learning (Karim et al., CVPR 2022).

Before each network's epoch all labels are measured by the Jensen-Shannon divergence between what both networks predict
on average and the given label. Of every class as many of the smallest divergences are kept, so that none is left out;
the others are unlabelled. Then a step like DivideMix's with four views of each sample: two weak ones for guesses, two
strong ones that are mixed. Projections of both strong views of unlabelled samples are drawn together, which needs no
labels at all.

The released code measures the second time with the first network in training mode; here it is always inference mode.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from mentornet.inspection import num_classes
from mentornet.methods.base import Batch
from mentornet.methods.contrastive import Projector, nt_xent
from mentornet.methods.replicas import mirrored_variable
from mentornet.methods.semi_supervised import SemiSupervised
from mentornet.methods.taking_turns import WARM
from mentornet.options import Option
from mentornet.stages import Stage, TrainingSet

CERTAIN = 0.5
"""Labels with a smaller divergence count fully."""

MOST_UNLABELLED = 8
"""Unlabelled samples a step are at most so many times the labelled ones, whatever share is kept."""

GRAIN = 8
"""Where it is possible they are a multiple of this, which replicas can share; fewer stages have a size of their own."""

_DEFAULTS = {"lambda_u": 30.0}


class UniCon(SemiSupervised):
    """Uniform selection by divergence, four views, contrastive loss.

    Args:
        student: see ``SemiSupervised``; its logits come from a dense layer, whose input is projected.
        lambda_u: see ``SemiSupervised``.
        lambda_c: weight of the contrastive loss.
        contrastive_temperature: T of that loss.
        projection_size: of what it compares.
        unlabelled_factor: unlabelled samples a step are so many times the labelled ones divided by the kept share.
        **options: see ``SemiSupervised``.

    Raises:
        ValueError: a setting out of range, or a student without a dense layer before its logits.
    """

    OPTIONS = (
        *(
            dataclasses.replace(option, default=_DEFAULTS.get(option.name, option.default))
            for option in SemiSupervised.OPTIONS
        ),
        Option("lambda_c", 0.025, "weight of the contrastive loss", within="[0, inf)"),
        Option("contrastive_temperature", 0.05, "temperature of the contrastive loss", within="(0, inf)"),
        Option("projection_size", 128, "numbers of a projection that is contrasted", within="[1, inf)"),
        Option(
            "unlabelled_factor",
            0.5,
            "unlabelled images a step: so many times the labelled ones, divided by the share of kept labels; 1 in "
            "L2B's code above 50% noise",
            within="(0, inf)",
        ),
    )
    VIEWS = ("weak", "weak", "strong", "strong")
    CLEAN_VIEW = "strong"

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        lambda_u: float = 30.0,
        lambda_c: float = 0.025,
        contrastive_temperature: float = 0.05,
        projection_size: int = 128,
        unlabelled_factor: float = 0.5,
        **options: Any,
    ):
        super().__init__(student, lambda_u=lambda_u, **options)
        if min(contrastive_temperature, unlabelled_factor) <= 0 or lambda_c < 0 or projection_size < 1:
            raise ValueError(
                f"contrastive_temperature={contrastive_temperature:g} and unlabelled_factor={unlabelled_factor:g} must "
                f"be above 0, lambda_c={lambda_c:g} not below it, projection_size={projection_size} at least 1"
            )
        self._lambda_c, self._contrastive_temperature = float(lambda_c), float(contrastive_temperature)
        self._unlabelled_factor = float(unlabelled_factor)
        projectors = [Projector(network, projection_size, self.seed + 2 * k) for k, network in enumerate(self.networks)]
        self.projection_heads = [projector.head for projector in projectors]
        self._projectors = lambda: projectors  # hidden from Keras, which would store the students twice
        traced = dict[int, int]()
        self._traced_sizes = lambda: traced
        self.kept = mirrored_variable(tf.zeros([self.peers, self.num_examples], tf.bool), "kept")

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        made = super().prepared(options, data)
        if made.get("meta") == "l2b" and data.dataset_name == "cifar10":
            made.setdefault("clip_norm", 0.25)  # as in L2B's code
        return made

    def look(self, stage: Stage, training: TrainingSet) -> bool | None:
        """Divides the samples for the network whose turn it is, by both as they are now."""
        kind, turn = cast(tuple[str, int], stage.kind)
        if kind == WARM:
            return False
        assert stage.epoch is not None
        likely = [np.exp(-training.outputs(network).loss.astype(np.float64)) for network in self.networks]
        divergence = label_divergence(np.mean(likely, axis=0))
        chosen = uniform_selection(divergence, training.given, num_classes(self.networks[0]))
        clean, kept = self.clean.numpy(), self.kept.numpy()
        clean[turn], kept[turn] = np.where(divergence < CERTAIN, 1.0, 1.0 - divergence), chosen
        self.clean.assign(clean)
        self.kept.assign(kept)
        self.note_division(turn, training.tells_clean(-divergence), chosen)
        self.note_probabilities(1.0 - divergence[np.newaxis] / math.log(2.0), stage.epoch)
        return True

    def begin(self, first: int, length: int) -> None:
        """Traces the step anew where the number of unlabelled samples is another one.

        A graph for any number rounds otherwise than one for this number, and which one there is would depend on
        where a run was interrupted.
        """
        super().begin(first, length)
        kind, turn = cast(tuple[str, int], self.stage.kind)
        if kind != WARM:
            size = self.unlabelled_size(self.kept_labels(turn))
            if self._traced_sizes().get(turn) != size:
                self.train_function = self.train_tf_function = None
            self._traced_sizes()[turn] = size

    def kept_labels(self, turn: int) -> np.ndarray:
        kept: np.ndarray = self.kept.numpy()[turn]
        return kept

    def unlabelled_size(self, kept: np.ndarray) -> int:
        """As many that a pass of the unlabelled ones takes about as long as the labelled ones'.

        The released code has labelled samples / (2 share), rounded down.
        """
        grain = math.gcd(self.size, GRAIN)
        wanted = min(self._unlabelled_factor * self.size / max(float(kept.mean()), 1e-9), MOST_UNLABELLED * self.size)
        return max(grain, int(wanted) // grain * grain)

    def further_loss(self, batch: Batch, turn: int) -> tf.Tensor:
        if not self._lambda_c:
            return tf.constant(0.0)
        views = tf.unstack(batch["unlabelled_image"], axis=1)[-2:]
        first, second = (self._projectors()[turn](view)[0] for view in views)
        return self._lambda_c * nt_xent(first, second, self._contrastive_temperature)

    def trained_variables(self, peer: int = 0) -> list[tf.Variable]:
        return [*super().trained_variables(peer), *self.projection_heads[peer].trainable_variables]

    def decayed_variables(self, network: keras.Model) -> list[tf.Variable]:
        head = next(h for n, h in zip(self.networks, self.projection_heads, strict=True) if n is network)
        return [*super().decayed_variables(network), *super().decayed_variables(head)]


def label_divergence(likely: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The Jensen-Shannon divergence, natural logarithm, between predicted distributions and given labels.

    Of a distribution and a label it depends on the probability p of that label alone:
    (log(2 / (1 + p)) + (1 - p) log 2 + p log(2 p / (1 + p))) / 2.

    Args:
        likely: p, float [n] in [0, 1].

    Returns:
        float64 [n], from 0 at p = 1 to log 2 at p = 0.

    Raises:
        ValueError: a probability that is not finite.
    """
    p = np.asarray(likely, np.float64)
    if not np.isfinite(p).all():
        raise ValueError("the losses are not finite, so no labels can be told: lower the learning rate")
    p = np.clip(p, 0.0, 1.0)
    shared = p * np.log(np.maximum(2.0 * p, 1e-300) / (1.0 + p))
    found: npt.NDArray[np.float64] = (np.log(2.0 / (1.0 + p)) + (1.0 - p) * math.log(2.0) + shared) / 2.0
    return np.maximum(found, 0.0)


def uniform_selection(divergence: np.ndarray, given: np.ndarray, classes: int) -> npt.NDArray[np.bool_]:
    """The labels that are kept: of every given class as many of the smallest divergences.

    Their number is the share of divergences below the mean, times n / C, rounded down; a smaller class is kept whole.
    At least one of each class that has any is kept, and not all of them, so that there is something on both sides.
    Where all divergences are equal, half of n / C are kept.

    Args:
        divergence: float [n], n at least 2.
        given: int [n].
        classes: C.

    Returns:
        bool [n].
    """
    below = float(np.mean(divergence < divergence.mean()))
    share = below if 0.0 < below < 1.0 and np.ptp(divergence) > 0 else 0.5
    each = max(1, int(share * len(given) / classes))
    chosen = np.zeros(len(given), bool)
    for label in np.unique(given):
        of_class = np.flatnonzero(given == label)
        chosen[of_class[np.argsort(divergence[of_class], kind="stable")[:each]]] = True
    if chosen.all():
        chosen[np.argmax(divergence)] = False
    return chosen
