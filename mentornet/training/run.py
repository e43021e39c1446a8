"""One training run from the first step to the last, and the folder it leaves behind.

The engine is Keras' ``fit`` with the method's own ``train_step``; one of its "epochs" is one evaluation interval here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tf_keras as keras

from mentornet import students
from mentornet.methods.base import NoisyLabelMethod
from mentornet.runs.workdir import Workdir
from mentornet.training import segmentation
from mentornet.training.callbacks import IntervalRecorder
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.early_stopping import HoldoutSelector
from mentornet.training.finishing import finish, sample_records
from mentornet.training.inputs import RunSettings, TrainingInputs
from mentornet.training.loop import check_asynchronous, run_stages


def train(
    method: NoisyLabelMethod,
    optimizer: keras.optimizers.Optimizer,
    inputs: TrainingInputs,
    workdir: Workdir,
    settings: RunSettings,
    facts: dict[str, Any],
    distribution: Distribution | None = None,
) -> dict[str, Any]:
    """Trains, or continues a killed training, and writes the whole run folder.

    Args:
        method: the student's trainer, not compiled yet, created in the distribution's scope.
        optimizer: of the student; likewise.
        inputs: the data.
        workdir: a run folder, claimed by the chief.
        settings: intervals and speed.
        facts: what result.json says about the run besides its figures (method, curriculum, dataset, seed, ...).
        distribution: where the steps are computed; default: in this process, on one device.

    Returns:
        The content of result.json; of the chief only, {} in a process that cooperates with it.

    Raises:
        TrainingDiverged: the loss is not finite.
        RunFolderError: the folder can't be written.
        ValueError: several students or stages, asynchronously.
    """
    distribution = distribution or Distribution()
    if settings.dumps_at and inputs.clean is None:
        raise ValueError("--keep_dumps_at needs the true labels, which this data set does not have: leave it out")
    if distribution.asynchronous:
        check_asynchronous(method)
    if distribution.is_chief:
        workdir.save_labels(inputs.given, inputs.clean, inputs.original_index, inputs.clean_set, **inputs.label_facts)
        if inputs.masks is not None:
            segmentation.save_masks(workdir, inputs.masks)
    # Asynchronous steps are handed out one by one, so that a worker that dies takes no more than one with it.
    most = 1 if distribution.asynchronous else settings.eval_every_steps
    with distribution.scope():
        method.compile(
            optimizer=optimizer,
            jit_compile=settings.jit_compile,
            steps_per_execution=max(1, min(settings.steps_per_execution, most)),
        )
    checkpoints = Checkpoints(workdir.checkpoints, method, settings.keep_checkpoints, distribution)
    start = checkpoints.restore()
    if distribution.is_chief:
        workdir.metrics.truncate_after(start)
        if start:
            print(f"continuing from step {start:,}{_of(settings.max_steps)}", flush=True)
    if settings.max_steps is None or start < settings.max_steps:
        selector = None if inputs.holdout is None else HoldoutSelector(workdir, inputs, start, distribution)
        recorder = IntervalRecorder(workdir, inputs, settings, checkpoints, start, distribution, selector)
        folder = workdir.path if distribution.is_chief else None
        if settings.heartbeat is not None:
            settings.heartbeat.doing("TensorFlow prepares the first step, which can take a minute")
        try:
            run_stages(
                method,
                inputs,
                checkpoints,
                recorder,
                settings.eval_every_steps,
                distribution,
                folder,
                settings.rates,
            )
        finally:
            recorder.close()
    if settings.heartbeat is not None:
        settings.heartbeat.doing("looking for suspects among all training images", aloud=False)
    student = method.student if distribution.kind == "one_device" else students.plain_copy(method.student)
    told = sample_records(method, len(inputs.given))
    matrix = method.transition_matrix()
    result = finish(student, told, inputs, workdir, facts, matrix) if distribution.is_chief else {}
    distribution.from_chief(0)  # the others stay until the chief has written everything
    return result


def _of(max_steps: int | None) -> str:
    return "" if max_steps is None else f" of {max_steps:,}"


def checkpoint_folder(path: str | Path) -> Path:
    """The folder that holds checkpoints: a run folder's, or the path itself."""
    inside = Path(path) / "checkpoints"
    return inside if inside.is_dir() else Path(path)
