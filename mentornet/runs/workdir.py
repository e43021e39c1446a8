"""The run folder: what belongs to which run, what is in it, and that nothing of an earlier run gets lost.

A folder is claimed once, by the settings that change the result (its identity). Started again with the same
settings it is continued, with others it is refused. Everything but metrics.csv is written all or nothing, so
a run can be killed at any moment. Nothing here imports TensorFlow.

  flags.txt     the settings, as a flagfile that starts the run again
  run.json      identity, command, versions, git commit and host; one more entry for every time it was resumed
  labels.npz    the labels really used, the clean ones if known, and which samples were a clean set
  metrics.csv   one row an evaluation interval
  transition_matrix.csv   of methods with one: what it was read from or estimated as, for when the run goes on
  transition_matrix_final.csv   the method's at the end of training: the S-model's is learned, others' are as before
  result.json   the figures of the finished run; its presence means "finished"
  samples.csv   every training sample with its weight and its rank as a suspect
  student.keras, student_early_stopped.keras   the last student, and the one that a hold-out chose
  *.png         pictures of the above
  dumps/        losses of all training samples at moments that were asked for
  estimate/, estimate.json   a short plain run, and the share of wrong labels that its losses tell of
  checkpoints/, events/   for resuming, and for TensorBoard
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mentornet import arrays, files, reading
from mentornet.files import RunFolderError
from mentornet.runs import schemas
from mentornet.runs.metrics_table import METRIC_COLUMNS, MetricsTable
from mentornet.runs.run_record import run_record

__all__ = ["RunFolderError", "Workdir"]

_SHOWN = 3
# What a person looks at first where two runs differ; other settings often follow from these.
_TELLING = (
    "dataset_name",
    "data_dir",
    "image_size",
    "method",
    "curriculum",
    "studentnet",
    "noise_type",
    "noise_fraction",
    "num_epochs",
    "max_steps",
    "batch_size",
    "learning_rate",
    "seed",
)


class Workdir:
    """The files of one run folder.

    Args:
      path: the folder. It need not exist; nothing is touched before `claim`.
      metric_columns: columns of a new metrics.csv.
    """

    def __init__(self, path: str | os.PathLike[str], metric_columns: Sequence[str] = METRIC_COLUMNS):
        self.path = Path(path)
        self.flags_file = self.path / "flags.txt"
        self.run_file = self.path / "run.json"
        self.labels_file = self.path / "labels.npz"
        self.result_file = self.path / "result.json"
        self.samples_file = self.path / "samples.csv"
        self.matrix_file = self.path / "transition_matrix.csv"
        self.final_matrix_file = self.path / "transition_matrix_final.csv"
        self.student_file = self.path / "student.keras"
        self.early_stopped_file = self.path / "student_early_stopped.keras"
        self.suspects_file = self.path / "suspects.png"
        self.estimate_file = self.path / "estimate.json"
        self.estimate_run = self.path / "estimate"
        self.checkpoints = self.path / "checkpoints"
        self.events = self.path / "events"
        self.metrics = MetricsTable(self.path / "metrics.csv", metric_columns)

    def dump_file(self, percent: int) -> Path:
        """The losses of all training samples at a percent of the training."""
        return self.path / "dumps" / f"losses_{percent}.csv"

    def check_place(self) -> None:
        """Makes sure that the folder can be made and written into, and leaves everything as it is.

        Raises:
          RunFolderError: it can't, or it has content but is no run folder.
        """
        files.check_place(self.path, "create the run folder")
        if self.path.is_dir() and not self.is_run_folder():
            self._refuse_foreign_content()

    def claim(self, flags_text: str, identity: Mapping[str, Any]) -> bool:
        """Makes the folder this run's own, or finds that it already is.

        Args:
          flags_text: the settings as a flagfile; written to flags.txt of a new folder.
          identity: all the settings that change the result, as values JSON can hold.

        Returns:
          True for a new run, False when an earlier start of the same run is continued.

        Raises:
          RunFolderError: (a ValueError) the folder cannot be written, belongs to a run with another
            identity, is no run folder but has content, or is in use by another process. Nothing of it is
            changed then.
        """
        with files.explained(self.path, "create the run folder"):
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.run_file.exists():
                self._refuse_foreign_content()
            files.lock(self.path)
        if not self.run_file.exists():
            files.write_json(self.run_file, {**run_record(), "identity": identity, "resumed": []})
            files.write_text(self.flags_file, flags_text)
            return True
        record = self.read_run()
        self.check_identity(identity)
        if not self.finished():
            record["resumed"] = [*(record.get("resumed") or []), run_record()]
            files.write_json(self.run_file, record)
        if not self.flags_file.exists():  # killed between the two writes above
            files.write_text(self.flags_file, flags_text)
        return False

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Makes sure that this folder belongs to a run with these settings.

        Raises:
          RunFolderError: it belongs to another, or to none.
        """
        stored, given = files.plain(self.read_run()["identity"]), files.plain(identity)
        differing = [name for name in {**stored, **given} if _shown(stored, name) != _shown(given, name)]
        if differing:
            differing.sort(key=lambda name: (_TELLING.index(name) if name in _TELLING else len(_TELLING), name))
            told = [f"{name} was {_shown(stored, name)} and is now {_shown(given, name)}" for name in differing]
            raise RunFolderError(
                f"Folder {self.path} belongs to a run with other settings: {_some(told, '; ')}; choose another folder, "
                f"or continue that run with --flagfile={self.flags_file}."
            )

    def is_run_folder(self) -> bool:
        """Whether a run has claimed this folder."""
        return self.run_file.is_file()

    def finished(self) -> bool:
        """Whether the run in this folder came to its end and wrote its result."""
        return self.result_file.is_file()

    def read_run(self) -> dict[str, Any]:
        """run.json: what `run_record` gives at the first start, plus `identity` and a list `resumed`."""
        record = reading.read_json(self.run_file, schemas.RUN)
        if record.get("identity") is None:
            raise RunFolderError(f"{self.run_file} does not say which run it belongs to; choose another folder.")
        reading.check_object(record["identity"], schemas.IDENTITY, f"Cannot read the identity in {self.run_file}")
        return record

    def given_flags(self) -> dict[str, str]:
        """The flags in flags.txt, name -> value, "" for what is switched on or off by name; {} without the file."""
        if not self.flags_file.is_file():
            return {}
        raw = reading.read_bytes(self.flags_file, reading.LARGEST_TEXT)
        lines = raw.decode("utf-8", errors="replace").splitlines()
        given = (line[2:].partition("=") for line in lines if line.startswith("--"))
        return {name: value for name, _, value in given}

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes result.json, which marks the run as finished: write it last. NaN becomes null."""
        files.write_json(self.result_file, result)

    def read_result(self) -> dict[str, Any]:
        """The content of result.json."""
        return reading.read_json(self.result_file, schemas.RESULT)

    def save_labels(
        self,
        given: np.ndarray,
        clean: np.ndarray | None = None,
        index: np.ndarray | None = None,
        clean_set: tuple[np.ndarray, np.ndarray] | None = None,
        **meta: Any,
    ) -> None:
        """Writes the labels really used in training to labels.npz; if a run goes on, makes sure that they are the same.

        Args:
          given: int [n], the labels the run trains on.
          clean: int [n], the true labels, when known.
          index: int [n], position of each sample in the original data set; 0..n-1 by default.
          clean_set: index and true label, int [k] each, of the samples of a clean set; one that is no part of the
            original training data counts its own samples.
          **meta: numbers and strings that tell where the labels come from (noise_type, seed, ...).

        Raises:
          ValueError: arrays that are not integers or not of the same length.
          RunFolderError: the run began with other images or labels.
        """
        present = _label_arrays(given, clean, index, clean_set)
        clash = sorted(set(meta) & {"given", "clean", "index", "clean_set_index", "clean_set_label"})
        if clash:
            raise ValueError(f"Names {clash} are taken by the label arrays.")
        if self.labels_file.exists():
            self._check_labels(present)
        else:
            files.write_npz(self.labels_file, present | {name: np.asarray(value) for name, value in meta.items()})

    def read_labels(self) -> dict[str, np.ndarray]:
        """The arrays of labels.npz.

        Raises:
          RunFolderError: the file is missing or is not what `save_labels` writes.
        """
        found = arrays.read_arrays(self.labels_file)
        return arrays.vectors(found, schemas.LABELS, ("given", "index"), f"Cannot read {self.labels_file}")

    def _refuse_foreign_content(self) -> None:
        # Hidden files are partial writes of a killed start, or a desktop's own notes.
        foreign = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))
        # Another process may have made it a run folder meanwhile; the lock tells.
        if foreign and not self.run_file.exists():
            raise RunFolderError(
                f"Folder {self.path} is not a run folder but has other content ({_some(foreign)}); "
                "choose a new or an empty folder."
            )

    def _check_labels(self, present: Mapping[str, np.ndarray]) -> None:
        stored = self.read_labels()
        changed = [name for name in present if name in stored and not np.array_equal(stored[name], present[name])]
        if changed:
            what = "other samples or labels of its clean set" if "clean_set" in changed[0] else "other images or labels"
            raise RunFolderError(
                f"The run in {self.path} began with {what}: a file or folder they come from has changed since; put it "
                "back as it was, or choose another folder."
            )


def _label_arrays(
    given: np.ndarray,
    clean: np.ndarray | None,
    index: np.ndarray | None,
    clean_set: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, np.ndarray]:
    """The arrays of labels.npz, see `Workdir.save_labels`."""
    found = {"given": given, "index": np.arange(len(given)) if index is None else index}
    if clean is not None:
        found["clean"] = clean
    if clean_set is not None:
        found["clean_set_index"], found["clean_set_label"] = clean_set
    for name, values in found.items():
        values = np.asarray(values)
        count = len(found["clean_set_index"] if name.startswith("clean_set") else given)
        if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"Labels array {name!r} must hold {count} integers; it is {values.dtype} of shape {values.shape}."
            )
        found[name] = values.astype(np.int64 if name.endswith("index") else np.int32)
    return found


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings[name], sort_keys=True) if name in settings else "not set"


def _some(items: Sequence[str], separator: str = ", ") -> str:
    """The first few items in one string, and how many there are beyond."""
    more = len(items) - _SHOWN
    shown = separator.join(items[:_SHOWN])
    return f"{shown}{separator}and {more} more" if more > 0 else shown
