"""Losses of all training samples at chosen moments of a training, for a MentorNet to be learned from (ICML sec. 3.2).

At the end of a training the student has memorised wrong labels, whose losses are then as small as others'. What a
MentorNet is learned from has to be taken before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mentornet import students
from mentornet.methods.base import NoisyLabelMethod
from mentornet.runs.workdir import Workdir
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.evaluate import DUMP_COLUMNS, write_csv
from mentornet.training.evaluation import sample_outputs
from mentornet.training.inputs import TrainingInputs


def write_dumps(
    percents: Sequence[int],
    inputs: TrainingInputs,
    method: NoisyLabelMethod,
    workdir: Workdir,
    epoch: int,
    distribution: Distribution,
) -> None:
    """Writes id, epoch percent, given label, true label, loss of every training sample.

    Args:
        percents: a file dumps/losses_<percent>.csv for each; all hold the present losses.
        inputs: the data, with true labels.
        method: in training.
        workdir: the run folder.
        epoch: epoch percent to write.
        distribution: networks are copied out of its strategy; the chief writes.

    Raises:
        RunFolderError: a file can't be written.
    """
    assert inputs.clean is not None
    student = method.student if distribution.kind == "one_device" else students.plain_copy(method.student)
    if not distribution.is_chief:
        return
    found = sample_outputs(student, inputs.ordered(None))
    ids = inputs.original_index
    for percent in percents:
        file = workdir.dump_file(percent)
        file.parent.mkdir(exist_ok=True)
        write_csv(file, DUMP_COLUMNS, (ids, np.full(len(ids), epoch), found.label, inputs.clean, found.loss))
