"""Early stopping on a noisy hold-out: which step did best on samples that were kept back.

By its mean loss, as the first training of the loss corrections is selected (Patrini et al., CVPR 2017), or by its
accuracy. (The rows "+ES" of L2RW's table 2 are shorter trainings.) Training goes on to its end; the student of the best
interval is kept beside the last one. The hold-out has noisy labels like the training data, so nothing clean is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras as keras

from mentornet import students
from mentornet.runs.metrics_table import MetricsTable
from mentornet.runs.workdir import Workdir
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.evaluation import sample_outputs, save_student
from mentornet.training.inputs import TrainingInputs

CRITERIA = ("loss", "accuracy")
COLUMNS = ("step", "holdout_accuracy", "holdout_loss")


class HoldoutSelector:
    """Evaluates the hold-out at the end of every interval: a row of holdout.csv, and the student if it is the best.

    Has to be done before the interval's checkpoint is written. After a kill the rows behind the checkpoint are taken
    back; the steps are repeated exactly, so the saved student is that of the best row again.

    Args:
        workdir: the run folder.
        inputs: with a hold-out.
        start: the step that training begins with; rows behind it are taken back.
        distribution: decides which process writes.
    """

    def __init__(self, workdir: Workdir, inputs: TrainingInputs, start: int, distribution: Distribution):
        self._workdir, self._holdout, self._distribution = workdir, inputs.holdout, distribution
        self._criterion = inputs.holdout_criterion
        self.table = MetricsTable(workdir.path / "holdout.csv", COLUMNS)
        if distribution.is_chief:
            self.table.truncate_after(start)

    def record(self, student: keras.Model, step: int) -> None:
        """Evaluates the student that has come to a step. All processes of a run take part, the chief writes."""
        if self._distribution.kind != "one_device":
            student = students.plain_copy(student)  # all processes take part in reading the variables
        if not self._distribution.is_chief:
            return
        found = sample_outputs(student, self._holdout)
        row = {
            "step": step,
            "holdout_accuracy": found.accuracy,
            "holdout_loss": float(found.loss.mean(dtype=np.float64)),
        }
        self.table.append_row(row)
        if best_step(self.table, self._criterion) == step:
            save_student(student, self._workdir.early_stopped_file)


def best_step(table: MetricsTable, criterion: str) -> int:
    """The step with the lowest hold-out loss or the highest accuracy, the first of several alike.

    A loss that is no number, of a student whose logits overflow, is the worst.
    """
    columns = table.read()
    worse = -columns["holdout_accuracy"] if criterion == "accuracy" else columns["holdout_loss"]
    return int(columns["step"][int(np.argmin(np.where(np.isnan(worse), np.inf, worse)))])


def early_stopped_figures(workdir: Workdir, criterion: str) -> dict[str, Any]:
    """Step and evaluation accuracy of the student that the hold-out chose, for result.json; {} without a hold-out."""
    table = MetricsTable(workdir.path / "holdout.csv", COLUMNS)
    if not table.path.exists():
        return {}
    step, metrics = best_step(table, criterion), workdir.metrics.read()
    row = np.flatnonzero(metrics["step"] == step)
    accuracy = float(metrics["eval_accuracy"][row[0]]) if row.size else float("nan")
    return {
        "early_stopped_step": step,
        "accuracy_early_stopped": accuracy if np.isfinite(accuracy) else None,
    }
