"""Training on the clean set alone: from scratch, or as fine-tuning of a trained baseline (L2RW, tables 1 and 2).

"Clean only" starts from new weights, "+FT" from those of a run on the noisy labels; the noisy batches that come along
are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from mentornet.methods.base import Batch
from mentornet.methods.preparation import BASELINE_RUN, START_FROM
from mentornet.methods.protocol import CLEAN_SET
from mentornet.methods.standard import Standard


class CleanOnly(Standard):
    """Mean cross-entropy on the clean batches plus weight decay.

    Args:
        student: any Keras model, images -> logits; for fine-tuning with the weights of the baseline.
        num_examples: ignored, because no noisy sample gets a weight.
        **shared: see ``NoisyLabelMethod``.
    """

    NEEDS = frozenset({CLEAN_SET})
    READS_GIVEN = False
    weighs_sites = True
    OPTIONS = (BASELINE_RUN,)

    def __init__(self, student: keras.Model, *, num_examples: int | None = None, **shared: Any):
        shared["clean_known"] = False
        super().__init__(student, num_examples=None, **shared)

    @classmethod
    def prepared(cls, options: Mapping[str, Any], data: Any) -> dict[str, Any]:
        run = options.get(BASELINE_RUN.name)
        return {} if run is None or data.continued else {START_FROM: data.first_run(run)}

    def train_step(self, batch: Batch) -> dict[str, Any]:
        if "clean_image" not in batch:
            raise ValueError("CleanOnly needs batches with 'clean_image' and 'clean_label'")
        return super().train_step({"image": batch["clean_image"], "label": batch["clean_label"]})
