"""DivideMix: two networks that tell each other which labels to keep (Li, Socher and Hoi, ICLR 2020, alg. 1).

After a warm-up of plain training, every epoch begins with a look at all losses of both networks. The smaller component
of a mixture of two Gaussians gives each sample a probability of being labelled right, and what one network says divides
the samples for the other (co-divide). The probable ones keep their labels, as far as they are probable, the others are
unlabelled; a semi-supervised step guesses their labels with both networks, sharpens and mixes (section 3.2).

Where epochs are drawn anew with all classes equally often (Clothing1M), each network looks at a draw of its own and the
other one trains on that alone, so that a look at a million images is not needed; as in the released code.

A learner's batch norm averages move five times a step, see ``mentornet.methods.semi_supervised``. The released code
trains one epoch more than it is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from mentornet.methods.loss_split import clean_probability, labelled, scaled
from mentornet.methods.replicas import mirrored_variable
from mentornet.methods.semi_supervised import SemiSupervised
from mentornet.methods.taking_turns import MIX
from mentornet.options import Option
from mentornet.stages import Stage, TrainingSet

HISTORY = 5
"""Epochs whose losses are averaged under 90% noise and more."""


class DivideMix(SemiSupervised):
    """Co-divide by a mixture of the losses, and MixMatch with two views.

    Args:
        student: see ``SemiSupervised``. The warm-up has 10 epochs on CIFAR-10, 30 on CIFAR-100, 1 on Clothing1M;
            lambda_u lies between 0 and 150 (appendix), and mixup_alpha is 0.5 on Clothing1M.
        split_threshold: the probability from which on a label is kept; 0.6 under 90% noise.
        loss_history: the mixture sees the mean losses of so many last epochs; None: of the last one.
        drawn_examples: a network looks at about so many samples before an epoch, the given classes equally often, and
            the other one trains on them; None: at all of them.
        **options: see ``SemiSupervised``.

    Raises:
        ValueError: a setting out of range.
    """

    OPTIONS = (
        *SemiSupervised.OPTIONS,
        Option("split_threshold", 0.5, "least probability of labels that are kept", within="(0, 1)", source="alg. 1"),
        Option(
            "loss_history",
            None,
            f"epochs whose losses are averaged before they are divided; by default {HISTORY} from 90% noise on, else 1",
            kind=int,
            within="[1, inf)",
            source="app. A",
        ),
    )
    iterations = 10
    """Most steps of expectation and maximisation of the mixture."""

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        split_threshold: float = 0.5,
        loss_history: int | None = None,
        drawn_examples: int | None = None,
        **options: Any,
    ):
        super().__init__(student, **options)
        loss_history = 1 if loss_history is None else loss_history
        if loss_history < 1 or not 0 < split_threshold < 1:
            raise ValueError(
                f"loss_history={loss_history} must be at least 1, and split_threshold={split_threshold:g} in (0, 1)"
            )
        assert self.num_examples is not None
        self._threshold, self._drawn_examples = float(split_threshold), drawn_examples
        if drawn_examples is not None:
            if loss_history > 1:
                raise ValueError(
                    f"loss_history={loss_history} averages losses that every epoch has, but --balanced_epochs looks at "
                    "other samples in each: leave one of them out"
                )
            self.balanced = False  # the draw is, and its kept labels come as they are
            self.drawn = mirrored_variable(tf.zeros([self.peers, self.num_examples], tf.bool), "drawn")
        if loss_history > 1:
            self.loss_table = mirrored_variable(tf.zeros([self.peers, loss_history, self.num_examples]), "loss_table")

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        made = super().prepared(options, data)
        if data.balanced_epochs:
            size = made["batch_size"]
            most = len(data.given) // size if data.most_batches is None else data.most_batches
            made["drawn_examples"] = min(most * size, len(data.given))
        made.setdefault(
            "loss_history", HISTORY if (data.noise_fraction or 0.0) >= 0.9 and not data.balanced_epochs else 1
        )
        return made

    def looks(self, stage: Stage) -> dict[int, int]:
        """Which networks' losses divide the samples before a stage, and how many of their looks came before."""
        assert stage.epoch is not None
        return dict.fromkeys((0, 1), stage.epoch - self.warmup_epochs) if stage.kind == (MIX, 0) else {}

    def look(self, stage: Stage, training: TrainingSet) -> bool | None:
        assert stage.epoch is not None
        looks, noted = self.looks(stage), []
        clean = self.clean.numpy()
        for k, before in looks.items():
            positions = None if self._drawn_examples is None else self._drawn_anew(stage, k, training.given)
            losses = self._averaged(k, scaled(training.outputs(self.networks[k], positions).loss), before)
            if stage.epoch < self.warmup_epochs:
                continue
            turn = 1 - k  # co-divide: for the other one
            probability = clean_probability(losses, self.seed + stage.number + k, self.iterations)
            clean[turn, slice(None) if positions is None else positions] = probability
            self.clean.assign(clean)
            if positions is None:
                noted.append(turn)
            else:
                drawn = self.drawn.numpy()
                drawn[turn] = np.isin(np.arange(len(drawn[turn])), positions)
                self.drawn.assign(drawn)
                self.note_drawn(probability, positions)
            kept = self.kept_labels(turn)
            self.note_division(
                turn, training.tells_clean(probability, positions), kept if positions is None else kept[positions]
            )
        if noted:
            self.note_probabilities(clean[noted], stage.epoch)
        return bool(looks)

    def _drawn_anew(self, stage: Stage, k: int, given: np.ndarray) -> np.ndarray:
        """Positions int64 of the samples that network k looks at before a stage, in order."""
        assert self._drawn_examples is not None
        return balanced_draw(given, self._drawn_examples, np.random.default_rng([self.seed, stage.number, k]))

    def _averaged(self, k: int, losses: np.ndarray, looks: int) -> np.ndarray:
        """The mean of a network's last losses [n], these included, of which ``looks`` came before."""
        if not hasattr(self, "loss_table"):
            return losses
        table = self.loss_table.numpy()
        table[k, looks % table.shape[1]] = losses
        self.loss_table.assign(table)
        mean: np.ndarray = table[k, : looks + 1].mean(axis=0, dtype=np.float64)
        return mean

    def kept_labels(self, turn: int) -> np.ndarray:
        clean = self.clean.numpy()[turn]
        if self._drawn_examples is None:
            return labelled(clean, self._threshold)
        drawn: np.ndarray = self.drawn.numpy()[turn].copy()
        drawn[drawn] = labelled(clean[drawn], self._threshold)
        return drawn

    def other_samples(self, turn: int, kept: np.ndarray) -> np.ndarray:
        others = super().other_samples(turn, kept)
        return others if self._drawn_examples is None else others & self.drawn.numpy()[turn]


def balanced_draw(given: np.ndarray, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """As many samples of each given class as make ``count`` in all, none twice; of a small class all it has.

    Args:
        given: int [n].
        count: at least 2.
        rng: where the draw comes from.

    Returns:
        Positions int64 [k], k at most ``count`` and at least 2 where n is, in increasing order.
    """
    classes = np.unique(given)
    each = max(1, count // len(classes))
    chosen = [rng.permutation(np.flatnonzero(given == label))[:each] for label in classes]
    found = np.concatenate(chosen)
    if len(found) < 2:  # one class, one sample: the division needs two
        found = rng.permutation(len(given))[:2]
    return np.sort(found).astype(np.int64)
