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
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods import mixing
from mentornet.methods.base import Batch
from mentornet.methods.loss_split import clean_probability, labelled, scaled
from mentornet.methods.replicas import mirrored_variable
from mentornet.methods.semi_supervised import MIX, SemiSupervised
from mentornet.options import Option
from mentornet.stages import Stage, Stream, TrainingSet

VIEWS = ("weak", "weak")
HISTORY = 5
"""Epochs whose losses are averaged under 90% noise and more."""


class DivideMix(SemiSupervised):
    """Co-divide by a mixture of the losses, and MixMatch with two views.

    Args:
        student: see ``SemiSupervised``. The warm-up has 10 epochs on CIFAR-10, 30 on CIFAR-100, 1 on Clothing1M;
            lambda_u lies between 0 and 150 (appendix), and mixup_alpha is 0.5 on Clothing1M.
        split_threshold: the probability from which on a label is kept; 0.6 under 90% noise.
        loss_history: the mixture sees the mean losses of so many last epochs; None: of the last one.
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
    report_columns = ("posterior_auc_peer_1", "posterior_auc_peer_2", *SemiSupervised.report_columns)

    def __init__(
        self,
        student: keras.Model | Sequence[keras.Model],
        *,
        split_threshold: float = 0.5,
        loss_history: int | None = None,
        **options: Any,
    ):
        super().__init__(student, **options)
        loss_history = 1 if loss_history is None else loss_history
        if loss_history < 1 or not 0 < split_threshold < 1:
            raise ValueError(
                f"loss_history={loss_history} must be at least 1, and split_threshold={split_threshold:g} in (0, 1)"
            )
        assert self.num_examples is not None
        self._threshold = float(split_threshold)
        self.clean = mirrored_variable(tf.ones([self.peers, self.num_examples]), "clean")
        self.posterior_auc = mirrored_variable(tf.fill([self.peers], float("nan")), "posterior_auc")
        if loss_history > 1:
            self.loss_table = mirrored_variable(tf.zeros([self.peers, loss_history, self.num_examples]), "loss_table")

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        made = super().prepared(options, data)
        made.setdefault("loss_history", HISTORY if (data.noise_fraction or 0.0) >= 0.9 else 1)
        return made

    def look(self, stage: Stage, training: TrainingSet) -> bool | None:
        """Both divisions, before either network trains."""
        if stage.kind != (MIX, 0):
            return False
        assert stage.epoch is not None
        clean, told = self.clean.numpy(), self.posterior_auc.numpy()
        for k, network in enumerate(self.networks):
            losses = self._averaged(k, scaled(training.outputs(network).loss), stage.epoch - self.warmup_epochs)
            found = clean_probability(losses, self.seed + stage.number + k)
            clean[1 - k], told[1 - k] = found, training.tells_clean(found)  # co-divide: for the other one
        self.clean.assign(clean)
        self.posterior_auc.assign(told)
        self.labelled_share.assign([labelled(each, self._threshold).mean() for each in clean])
        self.note_probabilities(clean, stage.epoch)
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

    def divided(self, turn: int) -> dict[str, Stream]:
        clean = self.clean.numpy()[turn]
        kept, values = labelled(clean, self._threshold), {"clean": clean}
        return {
            "labelled": Stream(kept, self.size, VIEWS, values),
            "unlabelled": Stream(~kept, self.size, VIEWS, values, balanced=False),
        }

    def report(self) -> dict[str, float]:
        told = {f"posterior_auc_peer_{k}": float(area) for k, area in enumerate(self.posterior_auc.numpy(), 1)}
        return told | super().report()

    def mix_step(self, batch: Batch, turn: int) -> dict[str, Any]:
        learner, other = self.networks[turn], self.networks[1 - turn]
        x, u = (tf.unstack(batch[f"{part}_image"], axis=1) for part in ("labelled", "unlabelled"))
        of_u = [learner(view, training=True) for view in u]
        seconded = tf.split(other(tf.concat(u, 0), training=False), len(u))  # in inference mode rows are independent
        of_x = [learner(view, training=True) for view in x]
        target_u = mixing.guess([*of_u, *seconded])
        target_x = mixing.refined(batch["labelled_label"], batch["labelled_clean"], mixing.guess(of_x))
        target_x, target_u = (mixing.sharpened(target, self.temperature) for target in (target_x, target_u))
        targets = mixing.sample_rows([target_x] * len(x), [target_u] * len(u))
        self.learn(batch, turn, mixing.sample_rows(x, u), targets)
        return self.finish_mix(batch, of_x[0], of_u[0])
