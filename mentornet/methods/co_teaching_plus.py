"""Co-teaching+: peers that choose for each other among the samples they disagree about (Yu et al., ICML 2019, alg. 1).

After a warm-up of plain Co-teaching, the R(t) |D| smallest losses are selected among the samples D whose predicted
classes differ, and exchanged. Should R(t) |D| round to nothing, all of D is exchanged. Where the networks agree about
the whole batch, all of it counts early in the training (released code: for the first 5,000 steps) and none of it later.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from mentornet.methods.co_teaching import CoTeaching
from mentornet.methods.replicas import gather
from mentornet.methods.selection import smallest
from mentornet.options import Option
from mentornet.stages import Stage

WARM = "warm-up"


class CoTeachingPlus(CoTeaching):
    """Update by disagreement, crossed.

    Args:
        student: see ``CoTeaching``.
        warmup_epochs: epochs of plain Co-teaching: 0 on MNIST, 20 on CIFAR-10, 5 on CIFAR-100 in the paper's code.
        agreed_steps: steps in which a batch without disagreement is trained on as a whole.
        double_softmax: after the warm-up cross-entropy takes the softmax for logits, in ranking and in training, as the
            released code does.
        **options: see ``SelectingMethod``.

    Raises:
        ValueError: a setting out of range, or a warm-up that leaves nothing.
    """

    OPTIONS = (
        *CoTeaching.OPTIONS,
        Option("warmup_epochs", 0, "epochs of plain Co-teaching first", within="[0, inf)", source="sec. 4"),
        Option("agreed_steps", 5000, "steps in which full agreement trains on the whole batch", within="[0, inf)"),
        Option("double_softmax", False, "take the softmax for logits after the warm-up", release=True),
    )

    def __init__(
        self,
        student: keras.Model,
        *,
        warmup_epochs: int = 0,
        agreed_steps: int = 5000,
        double_softmax: bool = False,
        **options: Any,
    ):
        super().__init__(student, **options)
        self._warmup = warmup_epochs * self.steps_per_epoch
        self._agreed_steps, self._double_softmax = agreed_steps, double_softmax
        if warmup_epochs < 0 or self._warmup >= (self.max_steps or 1):
            raise ValueError(
                f"warmup_epochs={warmup_epochs} must be at least 0 and leave some of the {self._epochs} epochs"
            )

    def next_stage(self, done: int) -> Stage | None:
        assert self.max_steps is not None
        kinds = ([(WARM, self._warmup)] if self._warmup else []) + [("disagreement", self.max_steps - self._warmup)]
        return Stage(kinds[done][0], done, kinds[done][1]) if done < len(kinds) else None

    def ranked_losses(self, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        twice = self._double_softmax and self.stage.kind != WARM
        return super().ranked_losses(label, tf.nn.softmax(logits) if twice else logits)

    def exchanged(self, logits: list[tf.Tensor], losses: list[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor | bool]:
        if self.stage.kind == WARM:
            return super().exchanged(logits, losses)
        predicted = [gather(tf.argmax(answered, axis=-1, output_type=tf.int32)) for answered in logits]
        everyone = [gather(loss) for loss in losses]
        differ = tf.not_equal(*predicted)
        count = tf.reduce_sum(tf.cast(differ, tf.int32))
        wanted = self.truncated(count)
        wanted = tf.where(wanted > 0, wanted, count)
        agreed = tf.cast(self.step < self._agreed_steps, tf.float32) * tf.ones_like(everyone[0])
        among = [tf.where(differ, loss, loss.dtype.max) for loss in everyone]
        return [tf.where(count > 0, smallest(loss, wanted), agreed) for loss in reversed(among)], count == 0
