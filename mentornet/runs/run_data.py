"""What the files of a run folder say about a run, finished or not, for plots and reports.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mentornet import reading
from mentornet.files import RunFolderError
from mentornet.runs.mask_samples import MASKS_FILE, is_table_of_slices
from mentornet.runs.metrics_table import summarise
from mentornet.runs.samples import read_samples_csv, telling
from mentornet.runs.workdir import Workdir

# A finished run states a fact in its result under the first name; before that it is looked up among the settings.
_OTHER_NAMES = {
    "dataset": ("dataset_name",),
    "studentnet": ("student",),
    "noise_fraction": ("noise_rate",),
    "max_steps": ("max_number_of_steps",),
}


@dataclasses.dataclass(frozen=True)
class RunData:
    """One run as its folder tells it.

    Attributes:
      path: the folder.
      finished: whether result.json is there.
      identity: the settings that change the result, from run.json.
      result: result.json, or what follows from metrics.csv so far.
      metrics: columns of metrics.csv, float64 [rows], NaN where unknown.
      samples: columns of samples.csv, None before it is written.
      command: the command line of the first start.
      flags: the flags that were given, name -> value, "" for what is switched on or off by name; {} if unknown.
      transition_matrix: float64 [C, C], of a method with one: at the end, or before that what it was made with.
    """

    path: Path
    finished: bool
    identity: Mapping[str, Any]
    result: Mapping[str, Any]
    metrics: Mapping[str, np.ndarray]
    samples: Mapping[str, np.ndarray] | None
    command: str
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    transition_matrix: np.ndarray | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunData:
        """Reads a run folder.

        Raises:
          RunFolderError: (a ValueError) no such folder, not a run folder, or a damaged file in it.
        """
        workdir = Workdir(path)
        if not workdir.path.is_dir():
            raise RunFolderError(f"There is no folder {workdir.path}; give the --train_log_dir of a run.")
        if not workdir.is_run_folder():
            inner = sorted(entry.parent.name for entry in workdir.path.glob("*/run.json"))
            hint = f"it contains run folders, such as {workdir.path / inner[0]}" if inner else "it has no run.json"
            raise RunFolderError(f"Folder {workdir.path} is not a run folder: {hint}.")
        record = workdir.read_run()
        metrics = workdir.metrics.read()
        missing = sorted(set(workdir.metrics.columns) - set(metrics))
        if missing:
            raise RunFolderError(f"{workdir.metrics.path} lacks the columns {missing}.")
        stated = workdir.read_result() if workdir.finished() else {}
        known = {name: value for name, value in stated.items() if value is not None}
        of_images = workdir.samples_file.exists() and not is_table_of_slices(workdir.samples_file)
        samples = read_samples_csv(workdir.samples_file) if of_images else None
        matrices = (file for file in (workdir.final_matrix_file, workdir.matrix_file) if file.exists())
        matrix = next((_read_transition(file, samples) for file in matrices), None)
        return cls(
            path=workdir.path,
            finished=workdir.finished(),
            identity=record["identity"],
            result=summarise(metrics) | known,
            metrics=metrics,
            samples=samples,
            command=record.get("command") or "",
            flags=workdir.given_flags(),
            transition_matrix=matrix,
        )

    def fact(self, name: str) -> Any:
        """A fact by its name in result.json (method, dataset, seed, accuracy_last, ...); None if not known."""
        for source in (self.result, self.identity):
            for key in (name, *_OTHER_NAMES.get(name, ())):
                if source.get(key) is not None:
                    return source[key]
        return None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def curriculum(self) -> str:
        """Name of the curriculum, "-" for a method without one; of a learned MentorNet its folder's name."""
        curriculum = str(self.fact("curriculum") or "").rstrip("/\\")
        return "-" if curriculum in ("", "none") else curriculum.replace("\\", "/").rsplit("/", 1)[-1]

    @property
    def noise(self) -> str:
        """Kind and fraction of the label noise in a few letters, such as "uniform 40%"; of masks the kind alone."""
        kind = str((self.fact("mask_noise") if self.has_masks else None) or self.fact("noise_type") or "none")
        if kind == "none" and self.fact("dataset") == "folder" and self.wrong_share is None:
            return "unknown"
        fraction = self.fact("noise_fraction")
        if kind == "none" or kind.startswith("human") or fraction is None or self.has_masks:
            return kind
        return f"{kind} {100 * float(fraction):g}%"

    @property
    def has_masks(self) -> bool:
        """Whether it predicts a class a pixel: then it goes by Dice, as most pixels are background."""
        return "eval_dice_cases" in self.metrics or (self.path / MASKS_FILE).is_file()

    @property
    def goes_by(self) -> tuple[str, str]:
        """What it is judged by, (in words, as the facts are called): accuracy_last, or dice_cases_last, and so on."""
        return ("Dice of cases", "dice_cases") if self.has_masks else ("accuracy", "accuracy")

    @property
    def curve(self) -> np.ndarray:
        """What it is judged by, over the rows of its metrics."""
        return self.metrics.get(f"eval_{self.goes_by[1]}", np.full(len(self.metrics["step"]), np.nan))

    @property
    def judged_by_given(self) -> bool:
        """Whether its evaluation is by given labels, because there was no test set."""
        return self.fact("judged_by") == "given labels"

    @property
    def judge(self) -> str:
        """What the evaluation is by; a run on people's own images that is not finished does not say."""
        if self.has_masks:
            return "test data"
        if self.judged_by_given:
            return "held-out data, given labels"
        unknown = not self.finished and self.fact("dataset") == "folder"
        return "evaluation data" if unknown else "test data, clean labels"

    @property
    def weights_alike(self) -> bool:
        """Whether all samples have the same weight, as in plain training; False while nothing is known of them."""
        if self.samples is not None and np.isfinite(self.samples["mean_weight"]).any():
            return not np.isfinite(telling(self.samples["mean_weight"])).any()
        used, area = self.metrics["data_utilisation"], self.metrics["weights_auc"]
        used, area = used[np.isfinite(used)], area[np.isfinite(area)]
        return bool(area.size and (area == 0.5).all() and (used == 1).all())

    @property
    def wrong_share(self) -> float | None:
        """The share of training labels that are really wrong, None when clean labels are not known."""
        share = self.fact("noise_rate_actual")
        if share is None and self.samples is not None and "clean_label" in self.samples:
            share = np.mean(self.samples["clean_label"] != self.samples["given_label"])
        return None if share is None or not math.isfinite(share) else float(share)

    @property
    def title(self) -> str:
        """One line for a plot: method, curriculum, student, data set, noise, seed, and whether it is finished."""
        method = str(self.fact("method") or "unknown method")
        rule = "" if self.curriculum == "-" else f" with {self.curriculum}"
        noise = {"none": "no noise added", "unknown": "wrong labels unknown"}.get(self.noise, f"{self.noise} noise")
        known = [self.fact("studentnet"), f"{self.fact('dataset') or 'unknown data'}, {noise}"]
        seed = self.fact("seed")
        parts = [method + rule, *(str(part) for part in known if part), *([] if seed is None else [f"seed {seed}"])]
        return " · ".join(parts) + ("" if self.finished else f" · unfinished, step {self.fact('steps'):,}")


def _read_transition(file: Path, samples: Mapping[str, np.ndarray] | None) -> np.ndarray:
    """A transition matrix that covers the classes of the samples."""
    matrix = reading.read_matrix(file)
    labels = [samples[name] for name in ("given_label", "clean_label") if name in samples] if samples else []
    classes = max((int(column.max()) + 1 for column in labels if column.size), default=1)
    if matrix.shape[0] != matrix.shape[1] or len(matrix) < classes:
        size = " x ".join(map(str, matrix.shape))
        raise RunFolderError(f"The transition matrix in {file} is {size}, but {classes} classes have labels.")
    if matrix.min() < -1e-6 or matrix.max() > 1 + 1e-6:
        raise RunFolderError(f"The transition matrix in {file} has entries that are no probabilities.")
    return matrix
